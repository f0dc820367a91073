"""A run over an archive: reports in, numbered parts out, each committed before the next; a run can be resumed.

Parts have a fixed composition (the order of the input), so tables are the same whatever the number of workers.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from calcitrace.errors import RunError, UsageError
from calcitrace.model import Reject, Report
from calcitrace.rules import load_rules
from calcitrace.ruleset import RuleSet
from calcitrace.sources import Options, Tally, expand, read_reports
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, clean, mention_row, parquet_bytes, report_row, write_csv

PART_ROWS = 2000
CHUNK = 50
MAX_CARDS = 200
MANIFEST = "manifest.json"
DEFAULT_CASE = "intraosseous_migration"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What shapes the output of a run; two runs with equal options, inputs and rules give equal tables."""

    case: str = DEFAULT_CASE
    patterns: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "auto"
    delimiter: str = "auto"


@dataclass(slots=True)
class Progress:
    """How far a run has come; `fraction` is of the input's bytes."""

    rows: int = 0
    reports: int = 0
    rejects: int = 0
    likely: int = 0
    fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder and its counts (`rows` = `reports` + `rejects`)."""

    folder: Path
    rows: int
    reports: int
    rejects: int
    mentions: int
    likely: int
    chosen: Mapping[str, str]


class Worker:
    """Turns reports into plain rows; each process builds its own and keeps it."""

    def __init__(self, patterns: str, case: str) -> None:
        from calcitrace.annotate import Annotator
        from calcitrace.assess import assess

        self.rules: RuleSet = load_rules(patterns or None)
        self.case = case_of(self.rules, case)
        self._annotator, self._assess = Annotator(self.rules), assess

    def __call__(self, reports: Sequence[Report]) -> list[dict[str, Any]]:
        """For each report its rows, or the reason why it is quarantined (never its text)."""
        return [self._guarded(r) for r in reports]

    def _guarded(self, report: Report) -> dict[str, Any]:
        try:
            return self._rows(report)
        except Exception as error:  # one bad report must not end the run; its message may hold text
            return {"quarantined": f"quarantined: {type(error).__name__} while reading the text"}

    def _rows(self, report: Report) -> dict[str, Any]:
        annotated = self._annotator.annotate(report)
        assessment = self._assess(annotated, self.rules, self.case)
        likely = assessment.case_status in self.case.likely
        rows = [mention_row(report.report_id, m) for m in annotated.mentions]
        made: dict[str, Any] = {
            "report": report_row(report, assessment, len(rows), likely, self.rules.hash),
            "mentions": rows,
        }
        if likely:
            made["card"] = {
                "report": made["report"],
                "text": clean(report.text),
                "mentions": [
                    {k: r[k] for k in ("mention_id", "finding", "start", "end", "assertion", "rule_id")} for r in rows
                ],
            }
        return made


def case_of(rules: RuleSet, name: str) -> Any:
    """The case definition called `name`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in rules.cases:
        raise UsageError(f"no case definition {name!r}; there are: {', '.join(rules.cases) or 'none'}")
    return rules.cases[name]


_worker: Worker | None = None


def _start_worker(patterns: str, case: str) -> None:
    global _worker
    _worker = Worker(patterns, case)


def _work(reports: Sequence[Report]) -> list[dict[str, Any]]:
    assert _worker is not None
    return _worker(reports)


def process(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    options: RunOptions | None = None,
    workers: int = 1,
    strict: bool = False,
    also_csv: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunResult:
    """Process reports into the run folder `out`; the same call again continues or confirms an earlier run.

    Args:
        inputs: files or folders (see `read_reports`).
        out: the run folder: reports/, mentions/, rejects.jsonl, manifest.json, summary.html.
        options: rules, case definition and column choices.
        workers: processes; each builds its own pipeline.
        strict: stop at the first row that must be rejected.
        also_csv: write reports.csv and mentions.csv too.
        overwrite: start anew where `out` holds a run with other inputs, rules or options.
        on_progress: called after each part.

    Raises:
        UsageError, SourceError, RuleError, StrictError, RunError: see `calcitrace.errors`.
    """
    options = options or RunOptions()
    rules = load_rules(options.patterns or None)
    case_of(rules, options.case)
    run = _Run(Path(out), inputs, options, rules, overwrite)
    tally = Tally()
    with _pool(workers, options) as work:
        for part in _parts(inputs, options, strict, tally, run.finished):
            run.commit(part, work)
            if on_progress:
                on_progress(run.progress(tally))
    return run.finish(tally, also_csv)


@dataclass(slots=True)
class Part:
    """A stretch of the input: its reports and the rows that were rejected while reading them."""

    number: int
    reports: list[Report]
    rejects: list[Reject]


def _parts(inputs: Any, options: RunOptions, strict: bool, tally: Tally, finished: set[int]) -> Iterator[Part]:
    """The parts of the input that are not yet committed; every row is in exactly one part."""
    reading = Options(options.columns, options.encoding, options.delimiter)
    part = Part(0, [], [])
    stray: list[Reject] = []
    for report in read_reports(inputs, reading, stray.append, strict, tally):
        part.rejects += stray
        stray.clear()
        part.reports.append(report)
        if len(part.reports) + len(part.rejects) >= PART_ROWS:
            if part.number not in finished:
                yield part
            part = Part(part.number + 1, [], [])
    part.rejects += stray
    if (part.reports or part.rejects or part.number == 0) and part.number not in finished:
        yield part


class _pool:
    """A context that gives `work(reports) -> results`, in this process or over spawned ones."""

    def __init__(self, workers: int, options: RunOptions) -> None:
        if workers < 1:
            raise UsageError("workers must be 1 or more")
        self._workers, self._options = workers, options
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Callable[[Sequence[Report]], Iterator[dict[str, Any]]]:
        arguments = (self._options.patterns, self._options.case)
        if self._workers == 1:
            worker: list[Worker] = []

            def here(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
                if not worker:
                    worker.append(Worker(*arguments))
                yield from worker[0](reports)

            return here
        self._executor = ProcessPoolExecutor(
            self._workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=arguments
        )
        executor = self._executor

        def there(reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
            chunks = [reports[i : i + CHUNK] for i in range(0, len(reports), CHUNK)]
            for results in executor.map(_work, chunks):
                yield from results

        return there

    def __exit__(self, *_: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)


class _Run:
    """A run folder while it is written: the manifest, the parts that are committed and their counts."""

    def __init__(self, folder: Path, inputs: Any, options: RunOptions, rules: RuleSet, overwrite: bool) -> None:
        self.folder = folder
        self.manifest = _new_manifest(inputs, options, rules)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{folder}: cannot be made ({error.strerror}); choose another --out") from None
        self._continue(overwrite)
        self.finished = {p["number"] for p in self.manifest["parts"]}
        self._save()

    def _continue(self, overwrite: bool) -> None:
        """Take over the parts of an earlier run with the same fingerprint."""
        path = self.folder / MANIFEST
        if not path.exists():
            if any(self.folder.iterdir()) and not overwrite:
                raise RunError(f"{self.folder}: not empty and no run folder; choose another --out")
            return
        earlier = read_manifest(self.folder)
        changed = [k for k, v in self.manifest["fingerprint"].items() if earlier.get("fingerprint", {}).get(k) != v]
        if changed and not overwrite:
            raise RunError(
                f"{self.folder}: holds a run with other {', '.join(changed)}; choose another --out, or --overwrite"
            )
        if not changed:
            self.manifest["parts"] = [p for p in earlier["parts"] if self._intact(p)]
            self.manifest["started"] = earlier["started"]

    def _intact(self, part: Mapping[str, Any]) -> bool:
        """Whether the files of a part are as they were committed."""
        paths = [(self.folder / name, digest) for name, digest in part["files"].items()]
        return all(p.exists() and hashlib.sha256(p.read_bytes()).hexdigest() == digest for p, digest in paths)

    def commit(self, part: Part, work: Callable[[Sequence[Report]], Iterator[dict[str, Any]]]) -> None:
        """Process a part and commit its files, then list it in the manifest."""
        counts: Counter[str] = Counter()
        reports: list[dict[str, Any]] = []
        mentions: list[dict[str, Any]] = []
        cards: list[dict[str, Any]] = []
        rejects = [asdict(r) for r in part.rejects]
        for report, made in zip(part.reports, work(part.reports), strict=True):
            if "quarantined" in made:
                rejects.append(asdict(Reject("", 0, made["quarantined"], report.report_id)))
                continue
            reports.append(made["report"])
            mentions += made["mentions"]
            if "card" in made and self._cards + len(cards) < MAX_CARDS:
                cards.append(made["card"])
            counts.update(f"{m['finding']}|{m['assertion']}" for m in made["mentions"])
            counts[f"case|{made['report']['case_status']}"] += 1
            counts["likely"] += made["report"]["likely_case"]
        name = f"part-{part.number:05d}"
        side = {"rejects": [_clean(r) for r in rejects], "cards": cards}
        files = {
            f"reports/{name}.parquet": parquet_bytes(reports, REPORT_COLUMNS),
            f"mentions/{name}.parquet": parquet_bytes(mentions, MENTION_COLUMNS),
            f"parts/{name}.json": json.dumps(side, ensure_ascii=False).encode("utf-8"),
        }
        for file, data in files.items():
            commit_file(self.folder / file, data)
        self.manifest["parts"].append(
            {
                "number": part.number,
                "reports": len(reports),
                "rejects": len(rejects),
                "mentions": len(mentions),
                "counts": dict(sorted(counts.items())),
                "files": {file: hashlib.sha256(data).hexdigest() for file, data in files.items()},
                "cards": len(cards),
            }
        )
        self._save()

    @property
    def _cards(self) -> int:
        return sum(p["cards"] for p in self.manifest["parts"])

    def _total(self, key: str) -> int:
        return sum(int(p[key]) for p in self.manifest["parts"])

    def _likely(self) -> int:
        return sum(int(p["counts"].get("likely", 0)) for p in self.manifest["parts"])

    def progress(self, tally: Tally) -> Progress:
        return Progress(tally.rows, self._total("reports"), self._total("rejects"), self._likely(), tally.fraction)

    def finish(self, tally: Tally, also_csv: bool) -> RunResult:
        """Write what spans all parts: rejects, CSV, summary, the manifest's end."""
        from calcitrace.summary import write_summary

        parts = sorted(self.manifest["parts"], key=lambda p: p["number"])
        self.manifest["parts"] = parts
        sides = [json.loads((self.folder / "parts" / f"part-{p['number']:05d}.json").read_bytes()) for p in parts]
        lines = [json.dumps(r, ensure_ascii=False) + "\n" for s in sides for r in s["rejects"]]
        commit_file(self.folder / "rejects.jsonl", "".join(lines).encode("utf-8"))
        reports, rejects = self._total("reports"), self._total("rejects")
        if reports + rejects != tally.rows:
            raise RunError(f"{self.folder}: {tally.rows} rows read, but {reports} reports and {rejects} rejects kept")
        self.manifest |= {
            "status": "complete",
            "finished": _now(),
            "rows": tally.rows,
            "reports": reports,
            "rejects": rejects,
            "mentions": self._total("mentions"),
            "likely": self._likely(),
            "reject_reasons": dict(Counter(r["reason"] for s in sides for r in s["rejects"]).most_common()),
            "chosen": tally.chosen,
        }
        if also_csv:
            for table in ("reports", "mentions"):
                write_csv(sorted((self.folder / table).glob("part-*.parquet")), self.folder / f"{table}.csv")
        page = write_summary(self.manifest, [c for s in sides for c in s["cards"]])
        commit_file(self.folder / "summary.html", page.encode("utf-8"))
        self._save()
        return RunResult(
            self.folder, tally.rows, reports, rejects, self._total("mentions"), self._likely(), tally.chosen
        )

    def _save(self) -> None:
        commit_file(self.folder / MANIFEST, json.dumps(self.manifest, indent=1, ensure_ascii=False).encode("utf-8"))


def _clean(reject: Mapping[str, Any]) -> dict[str, Any]:
    return {k: clean(v) if isinstance(v, str) else v for k, v in reject.items()}


def _new_manifest(inputs: Any, options: RunOptions, rules: RuleSet) -> dict[str, Any]:
    files = [
        {"name": name, "path": str(path), "bytes": path.stat().st_size, "sha256": _file_hash(path)}
        for path, name in expand(inputs)
    ]
    chosen = asdict(options)
    return {
        "calcitrace": version("calcitrace"),
        "status": "running",
        "started": _now(),
        "finished": None,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "ruleset_hash": rules.hash,
        "case": options.case,
        "inputs": files,
        "options": chosen,
        "fingerprint": {
            "inputs": [[f["name"], f["sha256"]] for f in files],
            "rules": rules.hash,
            "options": {k: v for k, v in chosen.items() if k != "patterns"},
            "calcitrace": version("calcitrace"),
        },
        "versions": {p: version(p) for p in ("spacy", "medspacy", "scikit-learn", "pandas", "pyarrow")},
        "python": platform.python_version(),
        "parts": [],
    }


def _file_hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
    except (ValueError, OSError):
        raise RunError(f"{path}: cannot be read; the run must be made anew (--overwrite)") from None
    if not isinstance(found, dict):
        raise RunError(f"{path}: not a manifest")
    return found


def commit_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror}); free space or rights, then run again") from None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
