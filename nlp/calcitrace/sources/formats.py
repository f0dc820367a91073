"""The formats that are read: a reader gives the rows of one file as mappings, or as `Bad` where one is unreadable.

A new format is one function in `SOURCES`; columns, versions, repeats and reasons are common to all. A reader raises
SourceError (without the path) for a file that gives no row; what breaks later is a `Bad` row.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from calcitrace.errors import SourceError
from calcitrace.sources.columns import Columns, choose_columns
from calcitrace.sources.delimited import read_delimited
from calcitrace.sources.fhir import is_fhir, read_fhir
from calcitrace.sources.hl7 import read_hl7
from calcitrace.sources.jsonlines import read_jsonl
from calcitrace.sources.names import PIECES
from calcitrace.sources.reading import (
    MAX_TEXT,
    SAMPLE,
    WRONG_BYTES,
    Bad,
    LongLineError,
    Numbered,
    Options,
    Reader,
    Row,
    Tally,
    TextFile,
    binary,
    guarded,
    unread,
)

BATCH, BUFFER = 512, 1 << 20  # rows at a time, and bytes of a column
MAX_UNPACKED = 2_000_000_000
MAX_RATIO, RATIO_FROM = 200, 50_000_000
MAX_CELLS = 40_000_000
DELIMITERS, FEWEST_NAMES = "|\t;,", 3
TABLE_IN_TEXT = "read as one report, as every .txt file is; if it is a table: --from csv"


def read_parquet(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a Parquet file, numbered from 1; only the chosen columns are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = rows = 0
    try:
        source = pa.py_buffer(_unpacked(path)) if path.suffix.lower() == ".gz" else str(path)
        with pq.ParquetFile(source, buffer_size=BUFFER) as table:
            columns = choose_columns(table.schema_arrow.names, options.columns)
            rows, size = table.metadata.num_rows, path.stat().st_size
            others = tally.choose(path, columns, f"{rows} rows")
            for cells in _texts(table, others.names):
                others.look(cells, cells.values())
            for batch in table.iter_batches(batch_size=BATCH, columns=columns.names, use_threads=False):
                for number, row in enumerate(_plain_rows(batch, columns), number + 1):  # noqa: B020 - it goes on
                    yield number, row
                tally.position = lambda read=number: size * read // max(rows, 1)  # type: ignore[misc]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not number:
            raise SourceError(f"not a readable Parquet file ({type(error).__name__})") from None
        yield number + 1, Bad(f"the file is broken after row {number}; {rows - number:,} rows were not read")


def _texts(table: Any, columns: Sequence[str]) -> list[dict[str, str]]:
    """The first rows of those of the columns that hold text."""
    import pyarrow as pa

    types = (pa.string(), pa.large_string())
    texts = [name for name in columns if table.schema_arrow.field(name).type in types]
    with suppress(pa.ArrowException, OSError, UnicodeDecodeError):  # a fault in a column that is not read
        for batch in table.iter_batches(batch_size=SAMPLE, columns=texts) if texts else ():
            return [*batch.to_pylist()]
    return []


def _plain_rows(batch: Any, columns: Columns) -> Iterator[Row | Bad]:
    """The rows of a batch; one by one where a value (a date before year 1, say) has no Python equal."""
    try:
        values = {name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        cells = zip(*(values[column] for column in columns.chosen.values()), strict=True)
        yield from (dict(zip(columns.chosen, own, strict=True)) for own in cells)
        return
    except (ValueError, OverflowError):
        pass
    for k in range(batch.num_rows):
        try:
            yield from map(columns.row, batch.slice(k, 1).to_pylist())
        except (ValueError, OverflowError):
            yield Bad("a value that cannot be read, such as a date out of range")


def _values(column: Any) -> list[Any]:
    """The values of a column; texts all at once, in a quarter of the time."""
    import pyarrow as pa

    values: list[Any] = []
    if pa.types.is_string(column.type):
        with suppress(pa.ArrowException):  # bytes that are no UTF-8, which is told row by row
            values = column.to_numpy(zero_copy_only=False).tolist()
    return values or column.to_pylist()


def _unpacked(path: Path) -> bytes:
    with binary(path) as handle:
        data: bytes = handle.read(MAX_UNPACKED + 1)
    if len(data) > MAX_UNPACKED:
        raise SourceError(f"unpacks to more than {MAX_UNPACKED // 10**9} GB")
    return data


def read_xlsx(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a workbook's first sheet, numbered as Excel does; rows without content do not count."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        data = io.BytesIO(_unpacked(path)) if path.suffix.lower() == ".gz" else io.BytesIO(path.read_bytes())
        errors = _check_workbook(data)
        book = CalamineWorkbook.from_filelike(data)
        sheet = book.get_sheet_by_index(0)
        rows = enumerate(sheet.iter_rows(), 1)
    except (CalamineError, zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceError(
            f"not a readable .xlsx workbook ({type(error).__name__}); is it protected by a password, or an old .xls"
        ) from None
    first = next(((n, r) for n, r in rows if any(map(_filled, r))), None)
    if first is None:
        raise SourceError("its first sheet is empty; a table needs a first row with column names")
    header = [str(h).strip() for h in first[1]]
    columns = choose_columns(filter(None, header), options.columns)
    others = tally.choose(path, columns, f"sheet 1 of {len(book.sheet_names)}")
    places = columns.places(header)
    for number, row in rows:
        broken = errors.get(number, set()) & {places[name] for name in (*TOLD_BY, *PIECES) if name in places}
        if broken or (number in errors and not any(map(_filled, row))):
            yield number, Bad(EXCEL_ERROR)
        elif any(map(_filled, row)):
            others.look(header, row)
            yield number, {field: row[place] for field, place in places.items()}


def _filled(value: Any) -> bool:
    return bool(str(value).strip())


EXCEL_ERROR = "a cell of this row holds an Excel error (#REF!, #N/A ...); mend its formula, or empty the cell"
TOLD_BY = ("report_id", "patient_id", "text")
_BROKEN = re.compile(rb'<(?:\w+:)?c\s(?=[^>]{0,200}?\bt="e")[^>]{0,200}?\br="([A-Z]{1,3})(\d{1,7})"')
_SHEET = re.compile(rb'<(?:\w+:)?sheet\s[^>]{0,400}?\bid="([^"]{1,80})"')
_TARGET = re.compile(rb"<Relationship\s[^>]{0,600}>")
_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]{0,200}?\br="([A-Z]{1,3})(\d{1,7})"[^>]{0,200}(?<!/)>')


def _check_workbook(data: IO[bytes]) -> dict[int, set[int]]:
    """Refuse a workbook that would unpack to far more than it seems to hold (the library's failure cannot be caught).

    Returns:
        The cells of its first sheet that hold an Excel error, which the library gives as empty: row -> columns from 0.

    Raises:
        SourceError: too large when unpacked, or a sheet whose used area is too large.
        zipfile.BadZipFile: not a zip archive, or sizes that do not hold.
    """
    with zipfile.ZipFile(data) as archive:
        members = archive.infolist()
        size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
        if size > MAX_UNPACKED or (size > RATIO_FROM and size > MAX_RATIO * packed):
            raise SourceError(f"unpacks from {packed:,} to {size:,} bytes; save it as CSV")
        first, errors = _first_sheet(archive), dict[int, set[int]]()
        for member in members:
            with archive.open(member) as part:
                rows, columns = _extent(part, errors if member.filename == first else {})
            if rows * columns > MAX_CELLS:
                raise SourceError(f"a sheet of {rows:,} rows and {columns:,} columns; save it as CSV")
    data.seek(0)
    return errors


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """The name in the archive of a workbook's first sheet, "" where its lists do not tell."""
    try:
        sheet = _SHEET.search(archive.read("xl/workbook.xml"))
        related = _TARGET.findall(archive.read("xl/_rels/workbook.xml.rels"))
    except KeyError:
        return ""
    own = (r for r in related if sheet and b'Id="%b"' % sheet[1] in r)
    target = re.search(rb'Target="([^"]+)"', next(own, b""))
    return f"xl/{target[1].decode('utf-8', 'replace').removeprefix('/xl/')}" if target else ""


def _extent(part: IO[bytes], errors: dict[int, set[int]]) -> tuple[int, int]:
    """The last row and column with content in a sheet's XML, read to its end (which checks its sizes).

    Its cells with an Excel error are added to `errors`.
    """
    rows = columns = 0
    kept = b""
    while chunk := part.read(1 << 20):
        for column, row in _BROKEN.findall(kept + chunk):
            errors.setdefault(int(row), set()).add(_number_of(column) - 1)
        for column, row in _CELL.findall(kept + chunk):
            rows, columns = max(rows, int(row)), max(columns, _number_of(column))
        kept = chunk[-600:]
    return rows, columns


def _number_of(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number


def read_txt(path: Path, options: Options, tally: Tally) -> Numbered:
    """The one report of a text file; its id is the file's name."""
    with TextFile(path, options, tally) as file:
        for number, row in guarded(_one_text(file)):
            if options.columns or (isinstance(row, dict) and _is_table(str(row["text"]))):
                tally.note(path, TABLE_IN_TEXT)
            yield number, row


def _is_table(text: str) -> bool:
    """Whether a text begins as a table of reports does: with names of columns, one of them of their text."""
    first, below, _ = text.strip().partition("\n")
    for names in map(first.split, DELIMITERS):
        with suppress(SourceError):
            if below and len(names) >= FEWEST_NAMES and choose_columns(map(str.strip, names), {}):
                return True
    return False


def _one_text(file: TextFile) -> Numbered:
    try:
        text = file.whole()
    except LongLineError:
        yield 1, Bad(f"a text of more than {MAX_TEXT:,} characters")
        return
    yield 1, Bad(WRONG_BYTES) if unread(text) else {"text": text}


def read_omop(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of an OMOP CDM NOTE table as CSV, TSV or Parquet."""
    columns = OMOP_NOTE | {name: column for name, column in options.columns.items() if column}
    reader = read_parquet if format_of(path) == "parquet" else read_delimited
    yield from reader(path, replace(options, columns=columns), tally)


# the columns of the OMOP CDM v5.4 (and 5.3) NOTE table
OMOP_NOTE = {
    "report_id": "note_id",
    "text": "note_text",
    "patient_id": "person_id",
    "study_date": "note_date",
    "body_part": "note_title",
}
SOURCES: dict[str, Reader] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "xlsx": read_xlsx,
    "txt": read_txt,
    "hl7": read_hl7,
    "fhir": read_fhir,
    "omop": read_omop,
}
ENDINGS = {name: name for name in SOURCES if name not in ("fhir", "omop")} | {
    "ndjson": "jsonl",
    "tab": "tsv",
    "pq": "parquet",
}


def format_of(path: Path) -> str:
    """The format of a file by its ending (without .gz), empty where it is none that is read."""
    suffixes = [s.lower().lstrip(".") for s in path.suffixes]
    if suffixes and suffixes[-1] == "gz":
        suffixes.pop()
    return ENDINGS.get(suffixes[-1], "") if suffixes else ""


def source_of(path: Path, options: Options) -> str:
    """The name in SOURCES of what reads a file: as asked, by its ending, or FHIR where its first line is a resource."""
    name = format_of(path) if options.source == "auto" else options.source
    return "fhir" if name == "jsonl" and options.source == "auto" and is_fhir(path) else name
