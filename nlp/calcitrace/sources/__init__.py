"""Where reports come from: files of several formats -> Iterator[Report]; every row that is no report is a reject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from calcitrace.errors import SourceError, StrictError
from calcitrace.model import Reject, Report
from calcitrace.sources.columns import CHOICES, FIELDS, PIECES, choose_columns, joined, text_of
from calcitrace.sources.formats import SOURCES, format_of
from calcitrace.sources.reading import Bad, Options, Row, Tally, decode
from calcitrace.sources.versions import Versions

__all__ = [
    "CHOICES",
    "FIELDS",
    "SOURCES",
    "Inputs",
    "Options",
    "Tally",
    "choose_columns",
    "decode",
    "expand",
    "format_of",
    "read_reports",
    "read_rows",
    "report_of",
    "shown_id",
]
MAX_ID = 64
Inputs = str | Path | Sequence[str | Path]


def read_reports(
    inputs: Inputs,
    options: Options | None = None,
    on_reject: Callable[[Reject], None] | None = None,
    strict: bool = False,
    tally: Tally | None = None,
) -> Iterator[Report]:
    """Stream the reports of files and folders, in order.

    Args:
        inputs: CSV, TSV, JSONL, Parquet or .xlsx files, .txt files or folders of any of them; plain or .gz.
        options: columns, encoding and delimiter where they are not to be recognised.
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
    for _, _, made in read_rows(expand(inputs, tally), options or Options(), tally, strict):
        if isinstance(made, Report):
            yield made
        elif on_reject:
            on_reject(made)


def read_rows(
    paths: Sequence[tuple[Path, str]], options: Options, tally: Tally, strict: bool = False
) -> Iterator[tuple[str, int, Report | Reject]]:
    """Every row of the input files (see `expand`) as (input, row, report or reject), in order.

    Rows are counted as the format counts them: by line, in Excel's way, or from 1. A file that cannot be read is
    one reject with row 0; memory grows by the ids and texts (as digests) that versions and repeats are told by.

    Raises:
        SourceError: no file at all could be read.
        StrictError: a row was rejected and `strict` is set.
    """
    tally.total_bytes = sum(p.stat().st_size for p, _ in paths)
    versions, faults = Versions(), 0
    for path, name in paths:
        read_before = tally.done_bytes
        for number, row in _rows(path, options, tally):
            faults += number == 0
            if faults == len(paths):
                raise SourceError(f"{path}: {row.reason}" if isinstance(row, Bad) else str(path))
            made = report_of(row, name, number)
            if isinstance(made, Report):
                made = versions.settle(made, name, number, shown_id(made.report_id))
            tally.rows += 1
            if isinstance(made, Reject):
                tally.rejects += 1
                if strict:
                    raise StrictError(f"{place(made)}: {made.reason}; stopped because of --strict")
            yield name, number, made
        tally.done_bytes, tally.position = read_before + path.stat().st_size, lambda: 0


def _rows(path: Path, options: Options, tally: Tally) -> Iterator[tuple[int, Row | Bad]]:
    """The rows of a file; a file that gives none because it cannot be read gives one bad row with number 0."""
    try:
        yield from SOURCES[format_of(path)](path, options, tally)
    except SourceError as error:
        yield 0, Bad(str(error))


def place(reject: Reject) -> str:
    """Where a rejected row stands, as `file:row`."""
    return f"{reject.source}:{reject.row}" if reject.row else reject.source


def expand(inputs: Inputs, tally: Tally | None = None) -> list[tuple[Path, str]]:
    """Each input file with the name that messages call it by; folders are walked in sorted order.

    Hidden files and run folders inside a folder are left out, as are files of no known format (which `tally`
    counts by ending); a file that is given twice is read once. Names are made distinct by the folder's name where
    two inputs share one.

    Raises:
        SourceError: an input does not exist or is of no known format, or a folder holds none.
    """
    given = [Path(inputs)] if isinstance(inputs, str | Path) else [Path(i) for i in inputs]
    if not given:
        raise SourceError("no input was given")
    found = {p.resolve(): (p, root, name) for root in given for p, name in _inside(root, tally or Tally())}
    return _distinct(list(found.values()))


def _inside(given: Path, tally: Tally) -> list[tuple[Path, str]]:
    """The files of one input, named by their path inside it."""
    if given.is_dir():
        files = [p for p in sorted(given.rglob("*")) if p.is_file() and not _hidden(p, given)]
        known = [p for p in files if format_of(p)]
        tally.left_out.update(p.suffix or p.name for p in files if not format_of(p))
        if not known:
            raise SourceError(f"{given}: the folder holds no file of a known format ({_formats()})")
        return [(p, p.relative_to(given).as_posix()) for p in known]
    if not given.exists():
        raise SourceError(f"{given}: no such file or folder")
    if not format_of(given):
        raise SourceError(f"{given}: not a known format; known are {_formats()}, plain or .gz")
    return [(given, given.name)]


def _hidden(path: Path, root: Path) -> bool:
    inner = path.relative_to(root)
    folders = [root / part for part in inner.parents]
    return any(part.startswith(".") for part in inner.parts) or any(map(is_run, folders))


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder, whose tables are no reports."""
    return (folder / "manifest.json").is_file() and (folder / "parts").is_dir()


def _distinct(found: Sequence[tuple[Path, Path, str]]) -> list[tuple[Path, str]]:
    shared = Counter(name for _, _, name in found)
    longer = [(p, f"{_folder(p, root)}/{name}" if shared[name] > 1 else name) for p, root, name in found]
    shared = Counter(name for _, name in longer)
    return [(path, path.as_posix() if shared[name] > 1 else name) for path, name in longer]


def _folder(path: Path, given: Path) -> str:
    return (given if given.is_dir() else path.parent).resolve().name


def _formats() -> str:
    return ", ".join(f".{name}" for name in SOURCES)


def report_of(row: Row | Bad, name: str, number: int) -> Report | Reject:
    """The report that a row is, or why it is none; `name` and `number` are its file and its place there."""
    if isinstance(row, Bad):
        return Reject(name, number, row.reason)
    values: dict[str, str] = {}
    for field, cell in row.items():
        try:
            values[field] = text_of(cell)
        except ValueError:
            return Reject(name, number, f"the {field.replace('_', ' ')} is no single value")
    report_id = _whole(values.get("report_id", "")) or _made_id(row, name, number)
    text = values["text"] if "text" in values else joined((p, values[p]) for p in PIECES if p in values)
    if not text.strip("\0 \t\r\n\v\f\xa0\ufeff") or text.isspace():
        return Reject(name, number, "empty text", shown_id(report_id))
    if not report_id.strip():
        return Reject(name, number, "no report id in this row")
    others = {f: _whole(v) for f, v in values.items() if f in FIELDS and f not in ("report_id", "text")}
    return Report(report_id=report_id, text=text, **others)


def _whole(text: str) -> str:
    """`text` with lone surrogates, which no table can hold, as question marks; ids stay distinct by their version."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _made_id(row: Mapping[str, object], name: str, number: int) -> str:
    """An id where the source has none: the file's name for a text file, else file name and row."""
    if name.lower().endswith((".txt", ".txt.gz")):
        return _whole(name.removesuffix(".gz").rpartition(".")[0])
    return "" if "report_id" in row else _whole(f"{name}:{number}")


def shown_id(report_id: str) -> str:
    """An id for a message; nothing where it is prose, as when a wrong column is taken for the id."""
    return report_id if len(report_id) <= MAX_ID and not any(c.isspace() for c in report_id) else ""
