"""Where reports come from: files of several formats -> Iterator[Report]; every row that is no report is a reject."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from calcitrace.errors import SourceError, StrictError, UsageError
from calcitrace.model import Reject, Report
from calcitrace.sources.ahead import AHEAD, Ahead, worth_a_look
from calcitrace.sources.columns import CHOICES, FLAGS, REPORTED, choose_columns, joined, listed, text_of
from calcitrace.sources.delimited import ListError, read_list
from calcitrace.sources.formats import ENDINGS, SOURCES, format_of, source_of
from calcitrace.sources.names import FIELDS, PIECES
from calcitrace.sources.odd import Odd
from calcitrace.sources.reading import NOTE, Bad, Options, Person, Row, Tally, decode
from calcitrace.sources.seen import Seen
from calcitrace.sources.sql import Query, read_sql, without_password
from calcitrace.sources.versions import Versions
from calcitrace.studydate import age_at

__all__ = [
    "CHOICES",
    "FIELDS",
    "FLAGS",
    "NOTE",
    "SOURCES",
    "Inputs",
    "ListError",
    "Options",
    "Place",
    "Query",
    "Tally",
    "choose_columns",
    "decode",
    "expand",
    "format_of",
    "listed",
    "place_of",
    "read_list",
    "read_reports",
    "read_rows",
    "report_of",
    "shown_id",
    "without_password",
]
OTHERS = frozenset((*FIELDS, "version_of")) - {"report_id", "text", "birth_date"}
MAX_ID = 64
Place = Path | Query
Inputs = str | Place | Sequence[str | Place]
QUERY = "query"


def read_reports(
    inputs: Inputs,
    options: Options | None = None,
    on_reject: Callable[[Reject], None] | None = None,
    strict: bool = False,
    tally: Tally | None = None,
) -> Iterator[Report]:
    """Stream the reports of files, folders and queries, in order.

    Args:
        inputs: CSV, TSV, JSONL, Parquet, .xlsx, .txt, HL7 v2, FHIR or OMOP NOTE files or folders of them, plain or .gz;
            or a `Query` of a database.
        options: columns, encoding, delimiter and source where they are not to be recognised.
        on_reject: called with each row that is no report (unreadable, empty, repeated).
        strict: stop at the first such row.
        tally: filled with counts while reading.

    A second text under one report id is a new version: `report_id` gets `~v2`, `~v3` ... and `version_of` keeps
    the id as given. An identical repeat is rejected.

    Raises:
        SourceError: an input is missing or of no known format, or none of them could be read.
        StrictError: a row was rejected and `strict` is set.
    """
    tally = tally or Tally()
    options = options or Options()
    for _, _, made in read_rows(expand(inputs, tally, options.source), options, tally, strict):
        if isinstance(made, Report):
            yield made
        elif on_reject:
            on_reject(made)


def read_rows(
    paths: Sequence[tuple[Place, str]],
    options: Options,
    tally: Tally,
    strict: bool = False,
    scratch: Path | None = None,
) -> Iterator[tuple[str, int, Report | Reject]]:
    """Every row of the inputs (see `expand`) as (input, row, report or reject), in order.

    Rows are counted as the format counts them: by line, in Excel's way, or from 1. A file that cannot be read is
    one reject with row 0. The ids and texts that versions and repeats are told by are kept (as digests) in a temporary
    file in the folder `scratch` once they are many. HL7 and FHIR inputs are read twice, since a later row may withdraw
    an earlier one.

    Raises:
        SourceError: no file at all could be read.
        BrokenOffError: a database broke off, or its rows changed, while they were read.
        StrictError: a row was rejected and `strict` is set.
        RunError: the temporary file cannot be written.
    """
    tally.total_bytes = sum(_size(p) for p, _ in paths)
    with Seen(scratch) as seen:
        yield from _settled(paths, options, tally, strict, Versions(seen))


def _settled(
    paths: Sequence[tuple[Place, str]], options: Options, tally: Tally, strict: bool, versions: Versions
) -> Iterator[tuple[str, int, Report | Reject]]:
    faults, ahead = 0, Ahead(_ahead(paths, options))
    for k, (path, name) in enumerate(paths):
        read_before, odd = tally.done_bytes, Odd(options.date_order)
        for number, found in _rows(path, options, tally):
            row = ahead.settled(found, (k, number)) if ahead or not isinstance(found, dict) else found
            if row is None:
                continue
            faults += number == 0
            if faults == len(paths):
                raise SourceError(f"{path}: {row.reason}" if isinstance(row, Bad) else str(path))
            made = report_of(row, name, number, options.date_order)
            if isinstance(made, Report):
                odd.look(made, (name, number), bool(not isinstance(row, Bad) and row.get("birth_date")))
                made = versions.settle(made, name, number, shown_id)
            tally.rows += 1
            if isinstance(made, Reject):
                tally.rejects += 1
                if strict:
                    raise StrictError(f"{place(made)}: {made.reason}; stopped because of --strict")
            yield name, number, made
        odd.tell(path, tally)
        tally.done_bytes, tally.position = read_before + _size(path), lambda: 0


def place_of(described: Mapping[str, str]) -> Place:
    """The file or query that an entry of a manifest's `inputs` describes; a password is taken from the environment."""
    return Query(described["sql"], described["path"]) if "sql" in described else Path(described["path"])


def _size(place: Place) -> int:
    return place.bytes if isinstance(place, Query) else place.stat().st_size


def _ahead(
    paths: Sequence[tuple[Place, str]], options: Options
) -> Iterator[tuple[tuple[int, int], Row | Bad | Person]]:
    """The rows of the inputs that must be looked at ahead, each with its place."""
    for k, (path, _) in enumerate(paths):
        if isinstance(path, Path) and (source := source_of(path, options)) in AHEAD and worth_a_look(path, source):
            yield from (((k, number), row) for number, row in _rows(path, options, Tally()))


def _rows(path: Place, options: Options, tally: Tally) -> Iterator[tuple[int, Row | Bad | Person]]:
    """The rows of an input; one that gives none because it cannot be read gives one bad row with number 0."""
    try:
        if isinstance(path, Query):
            yield from read_sql(path, options, tally)
        else:
            yield from SOURCES[source_of(path, options)](path, options, tally)
    except SourceError as error:
        yield 0, Bad(str(error))


def place(reject: Reject) -> str:
    """Where a rejected row stands, as `file:row`."""
    return f"{reject.source}:{reject.row}" if reject.row else reject.source


def expand(inputs: Inputs, tally: Tally | None = None, source: str = "auto") -> list[tuple[Place, str]]:
    """Each input file or query with the name that messages call it by; folders are walked in sorted order.

    Hidden files, runs, cohorts and virtual environments inside a folder are left out, as are files of no known format
    (which `tally` counts by ending), unless `source` says the format of all; a file that is given twice is read once.
    Names are made distinct by the folder's name where two inputs share one.

    Raises:
        SourceError: an input does not exist or is of no known format, or a folder holds none.
        UsageError: `source` is no known format.
    """
    if source not in ("auto", *SOURCES):
        raise UsageError(f"{source!r} is not a known format; known are {', '.join(SOURCES)}")
    given = [inputs] if isinstance(inputs, str | Place) else list(inputs)
    if not given:
        raise SourceError("no input was given")
    queries = [q for q in given if isinstance(q, Query)]
    named: list[tuple[Place, str]] = [(q, f"{QUERY} {k}" if k > 1 else QUERY) for k, q in enumerate(queries, 1)]
    files = [Path(p) for p in given if not isinstance(p, Query)]
    found = {
        p.resolve(): (p, root, name) for root in files for p, name in _inside(root, tally or Tally(), source != "auto")
    }
    return [*_distinct(list(found.values())), *named]


def _inside(given: Path, tally: Tally, every: bool) -> list[tuple[Path, str]]:
    """The files of one input, named by their path inside it: those of a known format, or every one."""
    if given.is_dir():
        files = sorted(p for p in _walked(given) if p.is_file())
        known = [p for p in files if every or format_of(p)]
        tally.left_out.update(p.suffix or p.name for p in files if not (every or format_of(p)))
        if not known:
            raise SourceError(f"{given}: the folder holds no file of a known format ({_formats()})")
        return [(p, p.relative_to(given).as_posix()) for p in known]
    if not given.exists():
        raise SourceError(f"{given}: no such file or folder")
    if not every and not format_of(given):
        raise SourceError(f"{given}: not a known format; known are {_formats()}, plain or .gz; --from names others")
    return [(given, given.name)]


def _walked(given: Path) -> Iterator[Path]:
    """The files in a folder, but none that is hidden or in a folder of no reports."""
    for name, folders, files in os.walk(given):
        folder = Path(name)
        if _of_no_reports(folder):
            folders.clear()
            continue
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (folder / f for f in files if not f.startswith("."))


def _of_no_reports(folder: Path) -> bool:
    """Whether a folder is a run, whose tables are no reports, a cohort, or a virtual environment of Python."""
    made = (folder / "manifest.json").is_file()
    ours = made and ((folder / "parts").is_dir() or (folder / "members.parquet").is_file())
    return ours or (folder / "pyvenv.cfg").is_file()


def _distinct(found: Sequence[tuple[Path, Path, str]]) -> list[tuple[Place, str]]:
    shared = Counter(name for _, _, name in found)
    longer = [(p, f"{_folder(p, root)}/{name}" if shared[name] > 1 else name) for p, root, name in found]
    shared = Counter(name for _, name in longer)
    return [(path, path.as_posix() if shared[name] > 1 else name) for path, name in longer]


def _folder(path: Path, given: Path) -> str:
    return (given if given.is_dir() else path.parent).resolve().name


def _formats() -> str:
    return ", ".join(f".{name}" for name in ENDINGS)


def report_of(row: Row | Bad, name: str, number: int, date_order: str = "") -> Report | Reject:
    """The report that a row is, or why it is none; `name` and `number` are its file and its place there.

    Of a birth date only the age at the study is kept, where the row tells none.
    """
    if isinstance(row, Bad):
        return Reject(name, number, row.reason, shown_id(row.report_id))
    values: dict[str, str] = {}
    for field, cell in row.items():
        try:
            values[field] = cell if type(cell) is str else text_of(cell)
        except ValueError:
            return Reject(name, number, f"the {field.replace('_', ' ')} is no single value")
    report_id = _whole(values.get("report_id", "")) or _made_id(row, name, number)
    text = values["text"] if "text" in values else joined((p, values[p]) for p in PIECES if p in values)
    if not _says(text):
        return Reject(name, number, "empty text", shown_id(report_id))
    if "text" not in values and not any(_says(values.get(piece, "")) for piece in REPORTED):
        return Reject(name, number, "no findings and no impression, only what was asked or done", shown_id(report_id))
    if not report_id.strip():
        return Reject(name, number, "no report id in this row")
    others = {f: v if v.isascii() else _whole(v) for f, v in values.items() if f in OTHERS}
    if "birth_date" in values and not others.get("age", "").strip():
        others["age"] = age_at(values["birth_date"], others.get("study_date", ""), date_order)
    return Report(report_id=report_id, text=text, **others)


def _says(text: str) -> bool:
    """Whether a text holds more than white space."""
    return bool(text.strip("\0 \t\r\n\v\f\xa0\ufeff")) and not text.isspace()


def _whole(text: str) -> str:
    """`text` with lone surrogates, which no table can hold, as question marks; ids stay distinct by their version."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _made_id(row: Mapping[str, object], name: str, number: int) -> str:
    """An id where the source has none: the file's name where it is one text, else file name and row."""
    if row.keys() == {"text"} and number == 1 and name.lower().endswith((".txt", ".txt.gz")):
        return _whole(name.removesuffix(".gz").rpartition(".")[0])
    return "" if "report_id" in row else _whole(f"{name}:{number}")


def shown_id(report_id: str) -> str:
    """An id for a message; nothing where it is prose, as when a wrong column is taken for the id."""
    return report_id if len(report_id) <= MAX_ID and report_id.split() == [report_id] else ""
