"""The formats that are read: a reader gives the rows of one file as mappings, or as `Bad` where one is unreadable.

A new format is one function in `SOURCES`; columns, versions, repeats and reasons are common to all. A reader raises
SourceError (without the path) for a file that gives no row; what breaks later is a `Bad` row.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from calcitrace.errors import SourceError
from calcitrace.sources.columns import ColumnError, Columns, choose_columns
from calcitrace.sources.delimited import read_delimited
from calcitrace.sources.reading import (
    MAX_TEXT,
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

BATCH = 512
MAX_KEY_SETS = 1000
MAX_UNPACKED = 2_000_000_000
MAX_RATIO, RATIO_FROM = 200, 50_000_000
MAX_CELLS = 40_000_000


def read_jsonl(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a file with one JSON object a line; numbers are kept as they are written."""
    with TextFile(path, options, tally) as file:
        yield from guarded(_json_rows(path, file, options, tally))


def _json_rows(path: Path, file: TextFile, options: Options, tally: Tally) -> Numbered:
    choice = _Choice(path, options, tally)
    number = 0
    while True:
        number += 1
        try:
            line = next(file)
        except StopIteration:
            return
        except LongLineError:
            yield number, Bad(f"a line of more than {MAX_TEXT:,} characters")
            continue
        if line.strip():
            yield number, _json_row(line, choice)


class _Choice:
    """The columns of rows that need not have the same ones; what was chosen is told once for each set of keys."""

    def __init__(self, path: Path, options: Options, tally: Tally) -> None:
        self._path, self._options, self._tally = path, options, tally
        self._known: dict[tuple[str, ...], Columns | Bad] = {}

    def __call__(self, keys: tuple[str, ...]) -> Columns | Bad:
        """The columns for a row with these keys, or why it has none."""
        if keys not in self._known:
            if len(self._known) >= MAX_KEY_SETS:
                self._known.clear()
            self._known[keys] = self._choose(keys)
        return self._known[keys]

    def _choose(self, keys: tuple[str, ...]) -> Columns | Bad:
        try:
            columns = choose_columns(keys, self._options.columns)
        except ColumnError as error:
            return Bad(error.brief)
        if str(columns) not in self._tally.chosen[str(self._path)]:
            self._tally.say(self._path, str(columns))
        return columns


def _json_row(line: str, choice: _Choice) -> Row | Bad:
    if unread(line):
        return Bad(WRONG_BYTES)
    try:
        row = json.loads(line, parse_int=str, parse_float=str, parse_constant=lambda _: None, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return Bad(str(error) if isinstance(error, _TwiceError) else "not valid JSON")
    if not isinstance(row, dict):
        return Bad("not a JSON object")
    columns = choice(tuple(row))
    return columns if isinstance(columns, Bad) else columns.row(row)


class _TwiceError(ValueError):
    """A key that stands twice in one JSON object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError("a key stands twice in the JSON object")
    return found


def read_parquet(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a Parquet file, numbered from 1; only the chosen columns are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = rows = 0
    try:
        with pq.ParquetFile(pa.py_buffer(_unpacked(path)) if path.suffix.lower() == ".gz" else str(path)) as table:
            columns = choose_columns(table.schema_arrow.names, options.columns)
            rows, size = table.metadata.num_rows, path.stat().st_size
            tally.say(path, f"{rows} rows", str(columns))
            for batch in table.iter_batches(batch_size=BATCH, columns=columns.names):
                for row in _plain_rows(batch):
                    number += 1
                    yield number, row if isinstance(row, Bad) else columns.row(row)
                tally.position = lambda read=number: size * read // max(rows, 1)  # type: ignore[misc]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if not number:
            raise SourceError(f"not a readable Parquet file ({type(error).__name__})") from None
        yield number + 1, Bad(f"the file is broken after row {number}; {rows - number:,} rows were not read")


def _plain_rows(batch: Any) -> Iterator[Row | Bad]:
    """The rows of a batch; one by one where a value (a date before year 1, say) has no Python equal."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError):
        pass
    for k in range(batch.num_rows):
        try:
            yield from batch.slice(k, 1).to_pylist()
        except (ValueError, OverflowError):
            yield Bad("a value that cannot be read, such as a date out of range")


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
        _check_workbook(data)
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
    tally.say(path, f"sheet 1 of {len(book.sheet_names)}", str(columns))
    places = columns.places(header)
    for number, row in rows:
        if any(map(_filled, row)):
            yield number, {field: row[place] for field, place in places.items()}


def _filled(value: Any) -> bool:
    return bool(str(value).strip())


_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]{0,200}?\br="([A-Z]{1,3})(\d{1,7})"[^>]{0,200}(?<!/)>')


def _check_workbook(data: IO[bytes]) -> None:
    """Refuse a workbook that would unpack to far more than it seems to hold (the library's failure cannot be caught).

    Raises:
        SourceError: too large when unpacked, or a sheet whose used area is too large.
        zipfile.BadZipFile: not a zip archive, or sizes that do not hold.
    """
    with zipfile.ZipFile(data) as archive:
        members = archive.infolist()
        size, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
        if size > MAX_UNPACKED or (size > RATIO_FROM and size > MAX_RATIO * packed):
            raise SourceError(f"unpacks from {packed:,} to {size:,} bytes; save it as CSV")
        for member in members:
            with archive.open(member) as part:
                rows, columns = _extent(part)
            if rows * columns > MAX_CELLS:
                raise SourceError(f"a sheet of {rows:,} rows and {columns:,} columns; save it as CSV")
    data.seek(0)


def _extent(part: IO[bytes]) -> tuple[int, int]:
    """The last row and column with content in a sheet's XML, read to its end (which checks its sizes)."""
    rows = columns = 0
    kept = b""
    while chunk := part.read(1 << 20):
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
        yield from guarded(_one_text(file))


def _one_text(file: TextFile) -> Numbered:
    try:
        text = file.whole()
    except LongLineError:
        yield 1, Bad(f"a text of more than {MAX_TEXT:,} characters")
        return
    yield 1, Bad(WRONG_BYTES) if unread(text) else {"text": text}


SOURCES: dict[str, Reader] = {
    "csv": read_delimited,
    "tsv": read_delimited,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "xlsx": read_xlsx,
    "txt": read_txt,
}
_OTHER_NAMES: Mapping[str, str] = {"ndjson": "jsonl", "tab": "tsv", "pq": "parquet"}


def format_of(path: Path) -> str:
    """The format of a file by its ending (without .gz), empty where it is none that is read."""
    suffixes = [s.lower().lstrip(".") for s in path.suffixes]
    if suffixes and suffixes[-1] == "gz":
        suffixes.pop()
    name = suffixes[-1] if suffixes else ""
    name = _OTHER_NAMES.get(name, name)
    return name if name in SOURCES else ""
