"""A run on Spark: what Spark reads in, the same run folder out, its parts read by Spark and committed as they come.

A part is a share of the report ids, so that every text of one id is in one part, in the order of the input. Its tables
are made where it is read and written here, so that no folder need be shared; an interrupted run goes on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import takewhile
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from calcitrace.corpus import (
    MAX_CARDS,
    MAX_SHOWN,
    PART_ROWS,
    Made,
    Progress,
    RunOptions,
    RunResult,
    model_note,
    new_manifest,
    result_of,
)
from calcitrace.errors import BrokenOffError, StrictError
from calcitrace.model import Reject, Report
from calcitrace.rules import load_rules
from calcitrace.runfolder import COPY, RunFolder, part_notes
from calcitrace.sources import CHOICES, FIELDS, Tally
from calcitrace.sources.odd import Odd
from calcitrace.sources.seen import Seen
from calcitrace.sources.versions import Versions
from calcitrace.spark import Pack, made_of, packed, records, shared, together, worker_of
from calcitrace.sparkinput import PLACE, Reader, Source, joined, path_of, read, session, told, why, without_secrets
from calcitrace.tables import parquet_bytes
from calcitrace.workers import NO_MODEL, case_of, model_for, why_no_model

if TYPE_CHECKING:
    import pandas as pd

DataFrame = Any
Names = Mapping[tuple[int, str], str]
MAX_PARTS = 20_000
WAVE = 8  # parts of one Spark job
PART = "number int, reports binary, mentions binary, input binary, notes string"
GROUP = "calcitrace"
MAX_KINDS = 5
AGELESS = "birth_dates_without_age"  # a key of a part's notes: reports, since birth dates themselves are not kept
ADAPTIVE = "spark.sql.adaptive.enabled"
COPIED = dict.fromkeys((f for f in FIELDS if f != "birth_date"), ("string", "as read"))
_GAVE_UP = re.compile(
    r"failed (?:the maximum allowable number of times: )?\d+(?: times)?|\b[\w.$]+(?:Exception|Error|Failure)\b"
)
_FAULT = re.compile(r"calcitrace fault: (\w+ at [\w.<>]+:\d+)")


def run(
    inputs: Sequence[str],
    out: str | Path,
    options: RunOptions | None = None,
    reader: Reader | None = None,
    master: str = "",
    strict: bool = False,
    also_csv: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    command: Sequence[str] = (),
) -> RunResult:
    """Process what Spark reads into the run folder `out`; the same call again continues or confirms an earlier run.

    The rows are those of `calcitrace.process` over the same reports, in another order; `input/` holds the reports as
    Spark read them, in which `cohort`, `review`, `train` and `show` read them again.

    Args:
        inputs: files and folders of any file system that Spark knows, tables of its catalog, `jdbc:` URLs.
        out: the run folder, on the machine of the driver.
        options: rules, case definition, model, screen and column choices.
        reader: format and options of Spark's reader; those named `spark.*` are settings of a new session.
        master: of a new session; by default as the site's configuration says, else this machine alone.
        strict, also_csv, overwrite, on_progress, command: as of `calcitrace.process`.

    Raises:
        UsageError, SourceError, RuleError, ModelError, StrictError, RunError, BrokenOffError: see `calcitrace.errors`.
    """
    options, reader = options or RunOptions(), reader or Reader()
    pack, manifest = packed(options), _manifest(options, command)
    settings = {k: v for k, v in reader.options.items() if k.startswith("spark.")}
    with session(master, settings) as spark:
        sources = read(spark, list(dict.fromkeys(inputs)), reader, options.columns)
        rows = joined(sources)
        files, names = _survey(rows, sources)
        _name_inputs(manifest, files, reader)
        tally = _tally(sources, files)
        with RunFolder(Path(out), manifest, overwrite) as folder:
            parts = max(1, ceil(tally.rows / folder.manifest["part_rows"]))
            made = together(rows, *PLACE, parts=parts).mapInPandas(_maker(shared(spark, pack), names), PART)
            warning = "" if options.model == NO_MODEL else manifest.get("no_model", "")
            committing = _Committing(folder, parts, tally, strict, on_progress, warning)
            missing = [n for n in range(parts) if n not in folder.parts]
            with _partitions_kept(spark):
                rdd = made.rdd if tally.rows else None
            with closing(_in_waves(spark, rdd, missing)) as coming:
                for number, part in coming:
                    committing.commit(number, part)
            _tell_odd(folder, files, tally, options.date_order)
            folder.finish(tally.rows, tally.chosen, {}, also_csv)
            return result_of(folder, tally, committing.rejects)


def _tell_odd(folder: RunFolder, files: Sequence[Mapping[str, Any]], tally: Tally, date_order: str) -> None:
    """Note dates and ages that cannot be read, as of all inputs together, from what the run has kept of them."""
    import pyarrow.parquet as pq

    odd = Odd(date_order)
    for path in sorted((folder.folder / COPY).glob("part-*.parquet")):
        table = pq.read_table(path, columns=["study_date", "age"])
        for column, add in (("study_date", odd.add_date), ("age", odd.add_age)):
            for counted in table[column].value_counts().to_pylist():
                add(counted["values"] or "", counted["counts"])
    for path in part_notes(folder.folder):
        odd.add_births(json.loads(path.read_bytes()).get(AGELESS, 0))
    odd.tell(files[0]["path"] if len(files) == 1 else folder.folder / COPY, tally)


@contextmanager
def _partitions_kept(spark: Any) -> Iterator[None]:
    """A context in which Spark plans as many partitions as are asked for, whatever is in them."""
    before = spark.conf.get(ADAPTIVE)
    spark.conf.set(ADAPTIVE, "false")
    try:
        yield
    finally:
        spark.conf.set(ADAPTIVE, before)


def _manifest(options: RunOptions, command: Sequence[str]) -> dict[str, Any]:
    """The manifest that the run begins with, but for its inputs."""
    rules = load_rules(options.patterns or None)
    case = case_of(rules, options.case)
    model, file = model_for(options.model, rules, case)
    no_model = "" if model else why_no_model(options.model, case)
    note = model_note(model, file, options.prevalence)
    return new_manifest([], options, rules, note, no_model, list(map(without_secrets, command)), None)


def _survey(rows: DataFrame, sources: Sequence[Source]) -> tuple[list[dict[str, Any]], Names]:
    """Each input file (a table or query is one) with its rows, bytes and a digest of its rows, and their names."""
    from pyspark.sql import functions as F

    digest = F.sum(F.xxhash64(*CHOICES).cast("decimal(20,0)"))
    size = F.sum(F.octet_length(F.concat_ws("", *CHOICES)))
    counted = rows.groupBy("_input", "_file").agg(F.count(F.lit(1)), digest, size).orderBy("_input", "_file")
    with told(sources[0].name if len(sources) == 1 else "the inputs"):
        found = [tuple(row) for row in counted.collect()]
    found += [(k, "", 0, 0, 0) for k in sorted(set(range(len(sources))) - {row[0] for row in found})]
    short = _short([file for _, file, *_ in found if file])
    names = {(k, file): short[file] if file else sources[k].name for k, file, *_ in found}
    files = [
        {
            "name": names[k, file],
            "path": path_of(file) or sources[k].name,
            "format": sources[k].kind,
            "bytes": size,
            "rows": n,
            "digest": hashlib.sha256(f"{sources[k].columns} {n} {total}".encode()).hexdigest(),
            "chosen": str(sources[k].columns),
        }
        for k, file, n, total, size in found
    ]
    return files, names


def _short(files: Sequence[str]) -> dict[str, str]:
    """The name of each file: its path below the folder that all share."""
    pieces = {file: path_of(file).split("/") for file in files}
    levels = zip(*(folders[:-1] for folders in pieces.values()), strict=False)
    above = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(path[above:]) for file, path in pieces.items()}


def _name_inputs(manifest: dict[str, Any], files: Sequence[Mapping[str, Any]], reader: Reader) -> None:
    """Put the inputs into the manifest, and into what an earlier run must share."""
    said = {k: without_secrets(f"{k}={v}").partition("=")[2] for k, v in reader.options.items()}
    rows = sum(f["rows"] for f in files)
    manifest["engine"] = {"name": "spark", "format": reader.format, "options": said}
    manifest["inputs"] = [dict(f) for f in files]
    manifest["fingerprint"] |= {"inputs": [[f["name"], f["digest"]] for f in files], "engine": "spark"}
    manifest["part_rows"] = max(PART_ROWS, ceil(rows / MAX_PARTS))


def _tally(sources: Sequence[Source], files: Sequence[Mapping[str, Any]]) -> Tally:
    """What was read: rows, and the columns that were chosen for each file."""
    tally = Tally(rows=sum(f["rows"] for f in files))
    for file in files:
        tally.say(file["path"], f"read by Spark as {file['format']}", file["chosen"])
    for source in sources:
        tally.lacking[source.name] = source.lacking
    return tally


def _maker(pack: Callable[[], Pack], names: Names) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """The function that Spark runs over a partition: it makes a part of the run folder, in one row (`PART`)."""

    def make(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        rows = (row for batch in batches for row in records(batch))
        try:
            part = _as_row(*part_of(worker_of(pack()), rows, names, pack().date_order))
        except Exception as error:  # its message may hold report text, and Spark logs it: keep its kind and place
            raise RuntimeError(f"calcitrace fault: {_place(error)}") from None
        import pandas as pd
        from pyspark import TaskContext

        context = cast("Any", TaskContext.get())
        yield pd.DataFrame([{"number": context.partitionId(), **part}])

    return make


def _as_row(tables: Mapping[str, bytes], notes: Mapping[str, Any]) -> dict[str, Any]:
    """A part as one row of `PART`."""
    return {**tables, "notes": json.dumps(notes)}


def _place(error: BaseException) -> str:
    """The kind of an error and where it was raised."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown:0"
    return f"{type(error).__name__} at {where}"


def part_of(
    said_of: Callable[[Report], Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    names: Names,
    date_order: str = "",
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The tables of a part and its notes, from rows of text with their place and what a worker says of a report."""
    rejects, reports, ageless = list[Reject](), list[tuple[str, Report]](), 0
    with Seen() as seen:
        versions = Versions(seen)
        for row in rows:
            source = names[row["_input"], row["_file"]]
            made = made_of(row, source, versions, date_order)
            if isinstance(made, Report):
                reports.append((source, made))
                ageless += _born(row["birth_date"]) and not made.age
            else:
                rejects.append(made)
    part = Made(0, rejects)
    for source, report in reports:
        part.add(source, 0, report, said_of(report))
    copies = [_copied(report) for _, report in reports]
    return {**part.tables(), COPY: parquet_bytes(copies, COPIED)}, {**part.notes(), AGELESS: ageless}


def _born(cell: object) -> bool:
    """Whether a cell holds a birth date; where a source has no column of them, it is null, of some kind."""
    return isinstance(cell, str) and cell != ""


def _copied(report: Report) -> dict[str, str]:
    """A report as it was read: under the id as given, so that versions are told apart again."""
    row = report._asdict() | {"report_id": report.version_of or report.report_id}
    return {name: row[name] for name in COPIED}


def _in_waves(spark: Any, parts: Any, numbers: Sequence[int]) -> Generator[tuple[int, Any]]:
    """The parts of these numbers as Spark makes them, in order: a few jobs at a time, so that no core waits.

    A part without rows, of which Spark gives nothing, is empty; so are all where there are no `parts`.

    Raises:
        BrokenOffError: Spark gave up.
    """
    context, nothing = spark.sparkContext, _as_row(*part_of(lambda _: {}, (), {}))
    waves = [numbers[i : i + WAVE] for i in range(0, len(numbers), WAVE)]

    def job(wave: Sequence[int]) -> dict[int, Any]:
        context.setJobGroup(GROUP, "reading reports", interruptOnCancel=True)
        made = context.runJob(parts, list, wave) if parts is not None else []
        return dict.fromkeys(wave, nothing) | {part["number"]: part for part in made}

    pool = ThreadPoolExecutor(ceil(2 * context.defaultParallelism / WAVE) + 1)
    try:
        for made in pool.map(job, waves):
            yield from made.items()
    except Exception as error:
        raise BrokenOffError(f"Spark gave up ({_why(error)}); give the same command again to go on") from None
    finally:
        with suppress(Exception):  # where Spark is gone, there is nothing to cancel
            context.cancelJobGroup(GROUP)
        pool.shutdown(cancel_futures=True)


def _why(error: BaseException) -> str:
    """Why Spark gave up, by the kinds of errors in its message, which may hold report text."""
    said = str(error)
    if fault := _FAULT.search(said):
        return f"{fault[1]}, a fault of calcitrace: please report it"
    return ", ".join(list(dict.fromkeys(_GAVE_UP.findall(said)))[:MAX_KINDS]) or why(error)


class _Committing:
    """Commits parts as they come, and tells how far the run is."""

    def __init__(
        self,
        folder: RunFolder,
        parts: int,
        tally: Tally,
        strict: bool,
        tell: Callable[[Progress], None] | None,
        warning: str,
    ) -> None:
        self._folder, self._parts, self._tally, self._strict = folder, parts, tally, strict
        self._tell, self._warning = tell, warning
        self._done = 0
        self.rejects: list[Reject] = []
        self._tick()

    def commit(self, number: int, part: Any) -> None:
        """Commit a part that Spark made."""
        notes = json.loads(part["notes"])
        rejects = [Reject(**r) for r in notes["rejected"]]
        if self._strict and rejects:
            first = rejects[0]
            raise StrictError(f"{first.source}: {first.reason} ({first.report_id}); stopped because of --strict")
        self.rejects += rejects[: MAX_SHOWN - len(self.rejects)]
        notes["cards"] = notes["cards"][: MAX_CARDS - self._folder.total("cards")]
        notes["fraction"] = round((len(self._folder.parts) + 1) / self._parts, 6)
        self._folder.commit(number, {t: bytes(part[t]) for t in ("reports", "mentions", COPY)}, notes)
        self._done += notes["reports"]
        self._tick()

    def _tick(self) -> None:
        if self._tell:
            folder = self._folder
            self._tell(
                Progress(
                    reports=folder.total("reports"),
                    rejects=folder.total("rejects"),
                    likely=folder.total("likely"),
                    done=self._done,
                    fraction=len(folder.parts) / self._parts,
                    chosen=self._tally.chosen,
                    lacking=self._tally.lacking,
                    warning=self._warning,
                )
            )
