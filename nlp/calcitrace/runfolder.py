"""A run folder on disk: its manifest, and parts that are committed one by one so that a run can be resumed.

A part is committed when its `parts/part-*.json` is there: it is written last and holds the hashes of the part's tables.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from calcitrace.errors import RunError
from calcitrace.summary import SUMMED, first_by_probability, write_summary
from calcitrace.tables import clean, write_csv

MANIFEST = "manifest.json"
RUNNING, COMPLETE = "running", "complete"
LOCK = ".lock"
OURS = (LOCK, f"{MANIFEST}.tmp")  # what a run leaves that was killed before its first write was done
TABLES = ("reports", "mentions")
COPY = "input"  # folder of the reports as they were read, of a run that keeps them
TOTALS = ("reports", "rejects", "mentions", "likely")
NOTED = {"number", "files", "inputs", "counts", "rejected", "cards", *TOTALS}


class RunFolder:
    """A run folder while it is written.

    Args:
        folder: made where it does not exist.
        manifest: of the run that is to be written; its `fingerprint` says what an earlier run must share.
        overwrite: start anew where `folder` holds a run.

    Raises:
        RunError: the folder cannot be made, holds something else, or a run with another fingerprint.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any], overwrite: bool = False) -> None:
        self.folder = folder
        self._lock: IO[bytes] | None = None
        self.manifest = dict(manifest)
        self.parts: set[int] = set()
        self.aside: list[dict[str, Any]] = []  # the first reports that the model sets aside, of a finished run
        self.counts: Counter[str] = Counter()  # by finding and assertion, case status and the like, over all parts
        self._totals: Counter[str] = Counter()
        self._rows: Counter[tuple[str, int]] = Counter()  # by input: its reports (0) and rejects (1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be made ({error.strerror}); choose another --out") from None
        if not (folder / MANIFEST).exists() and any(p.name not in OURS for p in folder.iterdir()):
            raise RunError(f"{folder}: not empty and no run folder; choose another --out")
        self._lock = _locked(folder / LOCK)
        if (folder / MANIFEST).exists():
            self._take_over(overwrite)
        self._save()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock:
            self._lock.close()

    def _take_over(self, overwrite: bool) -> None:
        """Keep the parts of an earlier run with the same fingerprint; clear them where the run starts anew.

        A run that ended before its first part has nothing to lose: it starts anew with any options.
        """
        earlier = {} if overwrite else read_manifest(self.folder)
        if overwrite or (earlier.get("status") == RUNNING and not part_notes(self.folder)):
            self._clear()
            return
        changed = [k for k, v in self.manifest["fingerprint"].items() if earlier["fingerprint"].get(k) != v]
        if changed:
            raise RunError(
                f"{self.folder}: holds a run with other {self._named(changed, earlier['fingerprint'])}; choose another "
                f"--out, or --overwrite to start anew there: a run goes on only with what it began with"
            )
        self.manifest |= {k: earlier[k] for k in ("started", "part_rows") if k in earlier}
        for part in self._sides():
            if self._intact(part):
                self._keep(part)

    def _named(self, changed: Iterable[str], earlier: Mapping[str, Any]) -> str:
        """What of a fingerprint has changed; of options, which."""
        new, old = (f.get("options") or {} for f in (self.manifest["fingerprint"], earlier))
        which = ", ".join(sorted(k for k in {*new, *old} if new.get(k) != old.get(k)))
        return ", ".join(f"options ({which})" if key == "options" else key for key in changed)

    def _clear(self) -> None:
        """Remove what an earlier run made, but for its manifest: without one, a kill here would leave no run folder."""
        tables = [p for t in (*TABLES, COPY) for p in (self.folder / t).glob("part-*.parquet")]
        tables += [self.folder / f"{t}.csv" for t in TABLES]
        written = [self.folder / name for name in ("rejects.jsonl", "summary.html")]
        for path in (*part_notes(self.folder), *tables, *written):
            path.unlink(missing_ok=True)

    def _sides(self) -> Iterator[dict[str, Any]]:
        """What was noted beside the tables of each committed part, in order; an unreadable note is passed over."""
        for path in part_notes(self.folder):
            try:
                side = json.loads(path.read_bytes())
            except (ValueError, OSError):
                continue
            if isinstance(side, dict) and side.keys() >= NOTED:
                yield side

    def _intact(self, part: Mapping[str, Any]) -> bool:
        """Whether the tables of a part are as they were committed."""
        try:
            return all(file_hash(self.folder / name) == digest for name, digest in part["files"].items())
        except OSError:
            return False

    def commit(self, number: int, tables: Mapping[str, bytes], notes: Mapping[str, Any]) -> None:
        """Commit part `number`: its Parquet tables, then its notes (counts, `rejected` rows, `cards` ...)."""
        name = f"part-{number:05d}"
        files = {f"{table}/{name}.parquet": data for table, data in tables.items()}
        for file, data in files.items():
            commit_file(self.folder / file, data)
        side = {"number": number, **notes, "files": {f: hashlib.sha256(d).hexdigest() for f, d in files.items()}}
        commit_file(self.folder / "parts" / f"{name}.json", _json(side))
        self._keep(side)

    def _keep(self, side: Mapping[str, Any]) -> None:
        """Count a committed part; the rest of its notes stays on disk, where archives are large."""
        self.parts.add(side["number"])
        self.counts.update(side["counts"])
        self._totals.update({key: side[key] for key in TOTALS} | {"cards": len(side["cards"])})
        self._rows.update({(name, k): n for name, both in side["inputs"].items() for k, n in enumerate(both)})

    def take_parts(self, shard: Path) -> None:
        """Copy the parts of a shard's folder.

        Raises:
            RunError: one of them is missing or damaged.
        """
        for path in part_notes(shard):
            side = json.loads(path.read_bytes())
            for name, digest in side["files"].items():
                data = (shard / name).read_bytes()
                if hashlib.sha256(data).hexdigest() != digest:
                    raise RunError(f"{shard / name}: is damaged; process this shard again")
                commit_file(self.folder / name, data)
            commit_file(self.folder / "parts" / path.name, path.read_bytes())
            self._keep(side)

    def total(self, key: str) -> int:
        """The sum of a count over the committed parts."""
        return self._totals[key]

    def finish(self, rows: int, chosen: Mapping[str, str], left_out: Mapping[str, int], also_csv: bool) -> None:
        """Write what spans all parts: rejects, CSV, summary and the end of the manifest.

        Raises:
            RunError: the counts do not add up to `rows`, so that the folder cannot be trusted.
        """
        kept = self.total("reports") + self.total("rejects")
        if kept != rows and not self.manifest.get("shard"):
            raise RunError(f"{self.folder}: {rows} rows were read but {kept} are kept; start anew with --overwrite")
        reasons = self._write_rejects()
        self.manifest |= {
            "status": COMPLETE,
            "finished": now(),
            "rows": rows,
            **{key: self.total(key) for key in TOTALS},
            "reject_reasons": dict(reasons.most_common()),
            "left_out": dict(left_out),
            "inputs": [self._counted(f, chosen) for f in self.manifest["inputs"]],
        }
        if also_csv:
            for table in TABLES:
                self._write_csv(table)
        cards = [card for side in self._sides() for card in side["cards"]]
        aside = first_by_probability(row for side in self._sides() for row in side.get("aside", ()))
        self.aside = [{key: row[key] for key in SUMMED} for row in aside]
        counted = {**self.manifest, "parts": [{"counts": self.counts}]}
        commit_file(self.folder / "summary.html", write_summary(counted, cards, aside).encode("utf-8"))
        self._save(map(_entry, self._sides()))

    def _write_csv(self, table: str) -> None:
        parts = [self.folder / table / f"part-{n:05d}.parquet" for n in sorted(self.parts)]
        with committing(self.folder / f"{table}.csv") as handle:
            text = io.TextIOWrapper(handle, encoding="utf-8", newline="")
            write_csv(parts, text)
            text.flush()
            text.detach()

    def _write_rejects(self) -> Counter[str]:
        """Join the rejects of all parts, and count their reasons."""
        reasons: Counter[str] = Counter()
        with committing(self.folder / "rejects.jsonl") as handle:
            for side in self._sides():
                for reject in side["rejected"]:
                    reasons[reject["reason"]] += 1
                    handle.write(_json(reject, indent=None) + b"\n")
        return reasons

    def _counted(self, file: Mapping[str, Any], chosen: Mapping[str, str]) -> dict[str, Any]:
        """An input with its counts, which add up to those of the run, and what was chosen for it."""
        reports, rejects = (self._rows[file["name"], k] for k in (0, 1))
        counts = {"rows": reports + rejects, "reports": reports, "rejects": rejects}
        return {**file, **counts, "chosen": chosen.get(file["path"], "")}

    def _save(self, parts: Iterable[Mapping[str, Any]] = ()) -> None:
        """Write the manifest, with the notes of the parts one by one: in a large archive they are long."""
        rest = _json({k: v for k, v in self.manifest.items() if k != "parts"})
        with committing(self.folder / MANIFEST) as handle:
            handle.write(rest.removesuffix(b"\n}") + b',\n "parts": [')
            for number, part in enumerate(parts):
                handle.write((b",\n" if number else b"\n") + _json(part))
            handle.write(b"]\n}")


def part_notes(folder: Path) -> list[Path]:
    """The notes of the committed parts of a run folder, in order."""
    return sorted((folder / "parts").glob("part-*.json"), key=lambda p: (len(p.name), p.name))


def at_work(folder: Path) -> bool | None:
    """Whether a process is writing a run folder; None where the system cannot tell."""
    try:
        import fcntl

        with (folder / LOCK).open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError) as error:
        return isinstance(error, BlockingIOError)
    except (ImportError, OSError):
        return None
    return False


def lost_tables(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The tables of a finished run, as the manifest names them, that are not in its folder any more."""
    return [name for part in manifest["parts"] for name in part["files"] if not (folder / name).is_file()]


def _locked(path: Path) -> IO[bytes] | None:
    """A lock file that this process holds until it is closed or ends; none where the system cannot lock.

    Raises:
        RunError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:
        return None
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise RunError(
            f"{path.parent}: another process is writing this run; wait for it, or choose another --out"
        ) from None
    return handle


def _entry(side: Mapping[str, Any]) -> dict[str, Any]:
    """The notes of a part without what can be long."""
    return {k: v for k, v in side.items() if k not in ("rejected", "cards", "aside")} | {"cards": len(side["cards"])}


def _json(value: Any, indent: int | None = 1) -> bytes:
    """JSON in UTF-8; what UTF-8 cannot hold (odd bytes of a file name) becomes a question mark."""
    return clean(json.dumps(value, indent=indent, ensure_ascii=False)).encode("utf-8")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def run_mark(manifest: Mapping[str, Any]) -> str:
    """What tells one run from another: of its inputs, rules, options, model and version."""
    told = json.dumps(manifest["fingerprint"], sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{folder}: no run folder (it has no {MANIFEST})") from None
    except NotADirectoryError:
        raise RunError(f"{folder}: a file, and no run; `calcitrace process {folder} --out RUN` makes one") from None
    except (ValueError, OSError):
        raise RunError(f"{path}: cannot be read; the run must be made anew (--overwrite)") from None
    if not isinstance(found, dict) or not isinstance(found.get("fingerprint"), dict):
        raise RunError(f"{path}: not the manifest of a run; choose another folder, or --overwrite")
    return found


@contextmanager
def committing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that is there whole or not at all: temporary file, fsync, rename, fsync of the folder.

    Raises:
        RunError: it cannot be written (no space, no rights).
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); free space or rights, then run again") from None


def commit_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with committing(path) as handle:
        handle.write(data)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_table(folder: Path, manifest: Mapping[str, Any], name: str, columns: Iterable[str]) -> Any:
    """The parts of a table of a run with these columns, as far as it has them, as one Arrow table.

    Raises:
        RunError: a part is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, schema

    wanted, parts = list(columns), []
    try:
        for part in manifest["parts"]:
            file = pq.ParquetFile(folder / name / f"part-{part['number']:05d}.parquet")
            parts.append(file.read([c for c in wanted if c in file.schema_arrow.names]))
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{folder}: a table is missing or damaged ({type(error).__name__}); process the reports again"
        ) from None
    empty = schema(REPORT_COLUMNS if name == "reports" else MENTION_COLUMNS).empty_table()
    return pa.concat_tables(parts) if parts else empty.select([c for c in wanted if c in empty.column_names])
