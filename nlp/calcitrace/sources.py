"""Where reports come from: files of several formats -> Iterator[Report], with every row that is no report rejected.

A new source is one function in `SOURCES`. Readers yield rows as dictionaries or `Bad` rows; everything else
(columns, versions, repeats, reasons) is common to all.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from calcitrace.errors import SourceError, StrictError, UsageError
from calcitrace.model import Reject, Report

_ALIASES = {
    "report_id": "report_id reportid accession_number accession accession_no note_id report_number exam_id study_id id",
    "text": "text report report_text note_text reporttext radiology_report full_text narrative body",
    "patient_id": "patient_id patientid mrn person_id subject_id patient pat_id",
    "study_date": "study_date studydate exam_date note_date report_date date study_datetime exam_datetime",
    "modality": "modality exam_modality",
    "body_part": "body_part bodypart procedure procedure_name exam exam_description study_description note_title",
    "sex": "sex gender patient_sex",
    "age": "age patient_age age_years",
}
FIELDS: dict[str, tuple[str, ...]] = {name: tuple(aliases.split()) for name, aliases in _ALIASES.items()}
PIECES: dict[str, tuple[str, ...]] = {
    "INDICATION": ("indication", "clinical_history", "history", "clinical_information", "reason_for_exam"),
    "TECHNIQUE": ("technique",),
    "COMPARISON": ("comparison",),
    "FINDINGS": ("findings", "finding", "findings_text"),
    "IMPRESSION": ("impression", "conclusion", "impression_text"),
    "RECOMMENDATION": ("recommendation",),
    "ADDENDUM": ("addendum",),
}
VERSION_MARK = "~v"
MAX_UNPACKED = 2_000_000_000
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that could not be read, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Options:
    """How to read: the column for each field (by name, "" = recognise), the text encoding, delimiter and format."""

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "auto"
    delimiter: str = "auto"


@dataclass(slots=True)
class Tally:
    """What was read so far: rows, rejects and a word on what was chosen, by input."""

    rows: int = 0
    rejects: int = 0
    chosen: dict[str, str] = field(default_factory=dict)
    done_bytes: int = 0
    total_bytes: int = 0
    position: Callable[[], int] = lambda: 0

    @property
    def fraction(self) -> float:
        """How much of the input's bytes is read, 0 to 1."""
        return min((self.done_bytes + self.position()) / self.total_bytes, 1.0) if self.total_bytes else 1.0


Numbered = Iterator[tuple[int, "Row | Bad"]]
Reader = Callable[[Path, Options, Tally], Numbered]


def read_reports(
    inputs: str | Path | Sequence[str | Path],
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
        SourceError: an input is missing, of no known format, or has no column of text.
        StrictError: a row was rejected and `strict` is set.
    """
    options, tally = options or Options(), tally or Tally()
    paths = expand(inputs)
    tally.total_bytes = sum(p.stat().st_size for p, _ in paths)
    versions = Versions()
    for path, name in paths:
        read_before = tally.done_bytes
        for number, row in SOURCES[format_of(path)](path, options, tally):
            tally.rows += 1
            made = _report(row, name, number, path, options, tally)
            if isinstance(made, Report):
                made = versions.settle(made, name, number)
            if isinstance(made, Report):
                yield made
                continue
            tally.rejects += 1
            if strict:
                raise StrictError(f"{made.source}:{made.row}: {made.reason}; stopped because of --strict")
            if on_reject:
                on_reject(made)
        tally.done_bytes, tally.position = read_before + path.stat().st_size, lambda: 0


class Versions:
    """Remembers which report ids and texts have come, so that versions are kept and repeats rejected."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def settle(self, report: Report, source: str, row: int) -> Report | Reject:
        """The report (renamed if it is a later version), or the reject if its id and text have come before."""
        key = _digest(report.report_id)
        same = _digest(report.report_id + "\0" + report.text)
        if same in self._seen:
            return Reject(source, row, "repeated: same report id and same text as an earlier row", report.report_id)
        self._seen[same] = 1
        count = self._seen[key] = self._seen.get(key, 0) + 1
        if count == 1:
            return report
        return replace(report, report_id=f"{report.report_id}{VERSION_MARK}{count}", version_of=report.report_id)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def expand(inputs: str | Path | Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Each input file with the name it is called by in messages; folders are walked in sorted order."""
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    found: list[tuple[Path, str]] = []
    for given in map(Path, inputs):
        if given.is_dir():
            inside = [p for p in sorted(given.rglob("*")) if p.is_file() and format_of(p, default="")]
            if not inside:
                raise SourceError(f"{given}: the folder holds no file of a known format ({_formats()})")
            found += [(p, p.relative_to(given).as_posix()) for p in inside]
        elif not given.exists():
            raise SourceError(f"{given}: no such file or folder")
        elif not format_of(given, default=""):
            raise SourceError(f"{given}: not a known format; known are {_formats()}, plain or .gz")
        else:
            found.append((given, given.name))
    return found


def _formats() -> str:
    return ", ".join(f".{name}" for name in SOURCES)


def format_of(path: Path, default: str | None = None) -> str:
    """The format name of a file by its ending (without .gz)."""
    suffixes = [s.lower().lstrip(".") for s in path.suffixes]
    if suffixes and suffixes[-1] == "gz":
        suffixes.pop()
    name = suffixes[-1] if suffixes else ""
    name = {"ndjson": "jsonl", "tab": "tsv", "pq": "parquet"}.get(name, name)
    if name in SOURCES:
        return name
    if default is not None:
        return default
    raise SourceError(f"{path}: not a known format; known are {_formats()}, plain or .gz")


def _binary(path: Path) -> io.BufferedIOBase:
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    return gzip.open(path, "rb")


_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def detect_encoding(path: Path) -> str:
    """utf-8, utf-8-sig or utf-16 by what the bytes say; windows-1252 where they are not valid UTF-8."""
    with _binary(path) as handle:
        head = handle.read(4096)
        for mark, name in _BOMS:
            if head.startswith(mark):
                return name
        if head.count(b"\0") > len(head) // 4:
            return "utf-16-le" if head[1::2].count(b"\0") > head[::2].count(b"\0") else "utf-16-be"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while head:
                decoder.decode(head)
                head = handle.read(1 << 20)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return "windows-1252"
    return "utf-8"


def _open_text(path: Path, options: Options, tally: Tally) -> IO[str]:
    encoding = options.encoding
    try:
        if encoding == "auto":
            encoding = detect_encoding(path)
        codecs.lookup(encoding)
    except LookupError:
        raise UsageError(f"{encoding!r} is no known text encoding; try utf-8, utf-16 or windows-1252") from None
    except (OSError, EOFError) as error:
        raise SourceError(f"{path}: cannot be read ({type(error).__name__}); is the file complete?") from None
    tally.chosen[str(path)] = f"encoding {encoding}"
    errors = "replace" if encoding == "windows-1252" else "strict"
    raw: Any = _binary(path)
    under: Any = raw.fileobj if isinstance(raw, gzip.GzipFile) else raw
    tally.position = lambda: under.tell() if under and not under.closed else 0
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")


def _guarded(path: Path, rows: Numbered) -> Numbered:
    """The rows, with a broken file (truncated gzip, wrong encoding) as one last bad row."""
    number = 0
    try:
        for number, row in rows:
            yield number, row
    except UnicodeDecodeError as error:
        yield number + 1, Bad(f"not valid {error.encoding} after row {number}; the rest of the file was not read")
    except (OSError, EOFError) as error:
        yield number + 1, Bad(f"file broken after row {number} ({type(error).__name__}); the rest was not read")


def _read_delimited(path: Path, options: Options, tally: Tally) -> Numbered:
    csv.field_size_limit(2**31 - 1)
    with _open_text(path, options, tally) as handle:
        yield from _guarded(path, _delimited_rows(path, handle, options, tally))


def _delimited_rows(path: Path, handle: IO[str], options: Options, tally: Tally) -> Numbered:
    first = handle.readline()
    if not first.strip():
        raise SourceError(f"{path}: empty; a table needs a first row with column names")
    delimiter = _delimiter(first, options, path)
    tally.chosen[str(path)] += f", delimiter {delimiter!r}"
    reader = csv.reader(_lines(first, handle), delimiter=delimiter, strict=True)
    try:
        header = [h.strip().lstrip("\ufeff") for h in next(reader)]
    except csv.Error:
        raise SourceError(f"{path}:1: the row of column names cannot be read; check its quotes") from None
    _check_header(path, header)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "quote" if "EOF" in str(error) or "end of data" in str(error) else "quotes or delimiters"
            yield line, Bad(f"unreadable row: broken {reason}")
            continue
        if not row:
            continue
        if len(row) != len(header):
            yield line, Bad(f"{len(row)} fields where the header has {len(header)}")
        else:
            yield line, dict(zip(header, row, strict=True))


def _lines(first: str, handle: IO[str]) -> Iterator[str]:
    yield first
    yield from handle


def _delimiter(first: str, options: Options, path: Path) -> str:
    if options.delimiter != "auto":
        return {"tab": "\t", "\\t": "\t"}.get(options.delimiter, options.delimiter)
    if format_of(path) == "tsv":
        return "\t"
    return max(",;\t|", key=lambda d: (first.count(d), -",;\t|".index(d)))


def _check_header(path: Path, header: Sequence[str]) -> None:
    doubled = {h for h in header if header.count(h) > 1 and h}
    if doubled:
        raise SourceError(f"{path}:1: column {sorted(doubled)[0]!r} stands twice in the header")


def _read_jsonl(path: Path, options: Options, tally: Tally) -> Numbered:
    with _open_text(path, options, tally) as handle:
        yield from _guarded(path, _json_rows(handle))


def _json_rows(handle: IO[str]) -> Numbered:
    for number, line in enumerate(handle, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, Bad("not valid JSON")
            continue
        yield number, row if isinstance(row, dict) else Bad("not a JSON object")


def _read_parquet(path: Path, options: Options, tally: Tally) -> Numbered:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with _binary(path) as raw:
            table = pq.ParquetFile(pa.py_buffer(raw.read()) if path.suffix.lower() == ".gz" else str(path))
            columns = table.schema_arrow.names
            wanted = [c for c in columns if c in _wanted(columns, options)]
            tally.chosen[str(path)] = f"{table.metadata.num_rows} rows"
            number, rows, size = 0, max(table.metadata.num_rows, 1), path.stat().st_size
            for batch in table.iter_batches(batch_size=512, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
                tally.position = lambda read=number: size * read // rows  # type: ignore[misc]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable Parquet file ({type(error).__name__})") from None


def _wanted(columns: Sequence[str], options: Options) -> set[str]:
    fields, pieces = choose_columns(columns, options)
    return {*fields.values(), *pieces.values()} or set(columns)


def _read_xlsx(path: Path, options: Options, tally: Tally) -> Numbered:
    import zipfile

    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(i.file_size for i in archive.infolist()) > MAX_UNPACKED:
                raise SourceError(f"{path}: unpacks to more than {MAX_UNPACKED // 10**9} GB; save it as CSV")
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = sheet.to_python(skip_empty_area=False)
    except (CalamineError, zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{path}: not a readable .xlsx workbook ({type(error).__name__})") from None
    tally.chosen[str(path)] = f"first sheet, {len(rows)} rows"
    if not rows:
        raise SourceError(f"{path}: the first sheet is empty; it needs a first row with column names")
    header = [str(h).strip() for h in rows[0]]
    _check_header(path, header)
    for number, row in enumerate(rows[1:], 2):
        if any(str(v).strip() for v in row):
            yield number, {h: _cell(v) for h, v in zip(header, row, strict=False) if h}


def _cell(value: Any) -> Any:
    """Excel keeps whole numbers as floats and strips leading zeros itself; 123.0 is shown as 123."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_txt(path: Path, options: Options, tally: Tally) -> Numbered:
    with _open_text(path, options, tally) as handle:
        try:
            text = handle.read()
        except (UnicodeDecodeError, OSError, EOFError) as error:
            yield 1, Bad(f"unreadable text file ({type(error).__name__})")
            return
    yield 1, {"report_id": "", "text": text}


SOURCES: dict[str, Reader] = {
    "csv": _read_delimited,
    "tsv": _read_delimited,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "xlsx": _read_xlsx,
    "txt": _read_txt,
}


def _plain_name(column: str) -> str:
    return "_".join(column.strip().lower().replace("-", " ").replace("_", " ").split())


def choose_columns(columns: Iterable[str], options: Options) -> tuple[dict[str, str], dict[str, str]]:
    """The column of each field, and of each piece of text where no column holds the whole text.

    Raises:
        SourceError: a column named in `options` does not exist.
    """
    by_name = {_plain_name(c): c for c in reversed(list(columns))}
    fields: dict[str, str] = {}
    for name, aliases in FIELDS.items():
        given = options.columns.get(name, "")
        if given and given not in by_name.values():
            raise SourceError(f"no column {given!r} for {name}; columns are: {', '.join(sorted(by_name.values()))}")
        column = given or next((by_name[a] for a in aliases if a in by_name), "")
        if column:
            fields[name] = column
    pieces = {head: next((by_name[a] for a in aliases if a in by_name), "") for head, aliases in PIECES.items()}
    return fields, {} if "text" in fields else {head: c for head, c in pieces.items() if c}


def _report(row: Row | Bad, name: str, number: int, path: Path, options: Options, tally: Tally) -> Report | Reject:
    if isinstance(row, Bad):
        return Reject(name, number, row.reason)
    fields, pieces = _columns_of(row, path, options, tally)
    values = {f: _text_of(row.get(c)) for f, c in fields.items()}
    text = values.pop("text", "") if "text" in fields else _joined(row, pieces)
    report_id = values.pop("report_id", "") or _made_id(fields, name, number)
    if not report_id:
        return Reject(name, number, "no report id in this row")
    if not text.strip():
        return Reject(name, number, "empty text", report_id)
    return Report(report_id=report_id, text=text, **values)


_chosen_cache: dict[tuple[Any, ...], tuple[dict[str, str], dict[str, str]]] = {}


def _columns_of(row: Row, path: Path, options: Options, tally: Tally) -> tuple[dict[str, str], dict[str, str]]:
    key = (str(path), tuple(row), tuple(sorted(options.columns.items())))
    if key not in _chosen_cache:
        if len(_chosen_cache) > 500:
            _chosen_cache.clear()
        try:
            fields, pieces = choose_columns(row, options)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        if "text" not in fields and not ({"FINDINGS", "IMPRESSION"} & set(pieces)):
            raise SourceError(
                f"{path}: no column of report text; columns are: {', '.join(map(str, row))}. Name it with --text-column"
            )
        _chosen_cache[key] = fields, pieces
    fields, pieces = _chosen_cache[key]
    said = ", ".join(f"{f} = {c}" for f, c in {**fields, **{h.lower(): c for h, c in pieces.items()}}.items())
    if said not in tally.chosen.get(str(path), ""):
        tally.chosen[str(path)] = f"{tally.chosen.get(str(path), '')}; columns {said}".lstrip("; ")
    return fields, pieces


def _text_of(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool | int | str):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _joined(row: Row, pieces: Mapping[str, str]) -> str:
    parts = [(head, _text_of(row.get(column))) for head, column in pieces.items()]
    return "\n\n".join(f"{head}:\n{text}" for head, text in parts if text.strip())


def _made_id(fields: Mapping[str, str], name: str, number: int) -> str:
    """An id where the source has none: the file's name for a text file, else file name and row."""
    if name.endswith((".txt", ".txt.gz")):
        return name.removesuffix(".gz").removesuffix(".txt")
    return "" if "report_id" in fields else f"{name}:{number}"
