"""CSV and TSV: records with the line they start on; a broken record costs itself and not its neighbours."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.sources.columns import ColumnError, Columns, choose_columns, columns_named, is_name, listed
from calcitrace.sources.reading import (
    MAX_TEXT,
    WRONG_BYTES,
    Bad,
    LongLineError,
    Numbered,
    Options,
    Others,
    Tally,
    TextFile,
    guarded,
    unread,
)

DELIMITERS = ",;\t|"
_MARK = re.compile(r"[^\w .-]")
_SPACE, _DIGIT = re.compile(r"\s"), re.compile(r"\d")
_SEPARATOR = re.compile(r"sep=(.)\s*")


def read_delimited(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a CSV or TSV file, numbered by the line that each starts on."""
    csv.field_size_limit(MAX_TEXT)
    with TextFile(path, options, tally) as file:
        yield from guarded(_rows(path, file, options, tally))


def _rows(path: Path, file: TextFile, options: Options, tally: Tally) -> Numbered:
    feed = Feed(file.lines())
    delimiter, header = _header(feed, path, options)
    try:
        columns = choose_columns(header, options.columns)
    except ColumnError as error:
        split = _one_column(header, delimiter)
        raise ColumnError(error.brief, f"{split}; --delimiter names another") if split else error from None
    others = tally.choose(path, columns, f"delimiter {delimiter!r}")
    yield from _Records(feed, delimiter, header, columns, others)
    if feed.breaks_off:
        tally.note(path, "its last line has no line end; was the file cut off?")


def _one_column(header: Sequence[str], delimiter: str) -> str:
    """That a delimiter leaves a header whole, and which other one would part it; empty where it has several columns."""
    if len(header) != 1:
        return ""
    parts = {mark: header[0].split(mark) for mark in sorted({*_MARK.findall(header[0])}, key=header[0].count)}
    likely = [mark for mark, names in parts.items() if all(map(is_name, names))]
    other = f" (at {likely[-1]!r} it would be {len(parts[likely[-1]])})" if likely else ""
    return f"only 1 column when split at {delimiter!r}{other}"


def _header(feed: Feed, path: Path, options: Options) -> tuple[str, list[str]]:
    """The delimiter of a table and the names of its columns."""
    delimiter = _delimiter(feed, path, options)
    try:
        return delimiter, [h.strip().lstrip("\ufeff") for h in next(csv.reader(feed, delimiter=delimiter, strict=True))]
    except csv.Error:
        raise SourceError("its row of column names cannot be read; check the quotes in it, and the delimiter") from None


def read_list(path: Path, needed: Sequence[str], more: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a user's own list (labels, decisions, codes), with the line that each starts on.

    Delimiter and encoding are found as for reports. A column of `needed`, and of `more` where there is one, is known in
    any case, and with any marks: `Report-ID` is report_id. The others keep their names.

    Raises:
        SourceError: it cannot be read, a column is missing (all are told), or a row is broken (path:line).
    """
    csv.field_size_limit(MAX_TEXT)
    try:
        with TextFile(path, Options(), Tally()) as file:
            for line, row in guarded(_of_list(path, file, needed, more)):
                if not isinstance(row, Mapping):
                    raise ListError(f"{path}:{line}: {row.reason if isinstance(row, Bad) else 'no row'}")
                yield line, dict(row)
    except ListError:
        raise
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from None


class ListError(SourceError):
    """A user's own list that cannot be used; the message says where (path:line). `missing` are columns it lacks."""

    def __init__(self, message: str, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing = tuple(missing)


def _of_list(path: Path, file: TextFile, needed: Sequence[str], more: Sequence[str]) -> Numbered:
    feed = Feed(file.lines())
    delimiter, header = _header(feed, path, Options())
    chosen, missing = columns_named(needed, header)
    if missing:
        split = _one_column(header, delimiter)
        seen = f"{split}; save it with one of , ; | or tab" if split else listed(header, needed, 2)
        what = f"needs the columns {' and '.join(needed)}; missing: {', '.join(missing)}"
        raise ListError(f"{path}:1: {what}; {seen}", missing)
    chosen = {**columns_named(more, header)[0], **chosen}
    others = {c: c for c in header if c not in chosen.values()}
    yield from _Records(feed, delimiter, header, Columns({**others, **chosen}))


class Feed:
    """Lines for `csv.reader` that can be put back: `taken` are those of the record that is being read.

    In place of a line that is too long (None) comes a LongLineError. `breaks_off` says whether the last line so far has
    no line end.
    """

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._lines, self._back = lines, deque[str]()
        self.number = 0
        self.taken: list[str] = []
        self.breaks_off = False

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        if line is None:
            raise LongLineError
        self.taken.append(line)
        self.breaks_off = line[-1] not in "\r\n"
        return line

    def put_back(self, keep: int = 0) -> None:
        """Put back all taken lines but the first `keep`."""
        self._back.extendleft(reversed(self.taken[keep:]))
        self.number -= len(self.taken) - keep
        self.taken = []


def _delimiter(feed: Feed, path: Path, options: Options) -> str:
    """The delimiter: as asked, as the file's first line `sep=;` says, or the one that its header holds most of."""
    if options.delimiter != "auto":
        return _asked(options.delimiter)
    for line in feed:
        said = _SEPARATOR.fullmatch(line)
        if said:
            return said[1]
        if line.strip():
            feed.taken = [line]
            feed.put_back()
            preferred = "\t" if ".tsv" in path.name.lower() or ".tab" in path.name.lower() else ","
            return max(DELIMITERS, key=lambda d: (line.count(d), d == preferred, -DELIMITERS.index(d)))
    raise SourceError("empty; a table needs a first row with column names")


def _asked(delimiter: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(f"delimiter {delimiter!r} is not one character (or 'tab')")
    return delimiter


class _Ids:
    """What the report ids of a file look like, so that prose after a broken record is not taken for a record."""

    def __init__(self) -> None:
        self.shortest, self.longest = MAX_TEXT, 0
        self.spaced, self.numbered = False, True

    def learn(self, value: str) -> None:
        self.shortest, self.longest = min(self.shortest, len(value)), max(self.longest, len(value))
        self.spaced = self.spaced or _spaced(value)
        self.numbered = self.numbered and _numbered(value)

    def fits(self, value: str) -> bool:
        if not value.strip() or (not self.spaced and _spaced(value)):
            return False
        if not self.longest:
            return True
        sized = self.shortest - 1 <= len(value) <= self.longest + 1
        return sized and (not self.numbered or _numbered(value))


def _spaced(value: str) -> bool:
    return _SPACE.search(value) is not None


def _numbered(value: str) -> bool:
    return _DIGIT.search(value) is not None


class _Records:
    """The records of a table after its header, as numbered rows of the chosen columns."""

    def __init__(
        self, feed: Feed, delimiter: str, header: Sequence[str], columns: Columns, others: Others | None = None
    ) -> None:
        self._feed, self._delimiter, self._size = feed, delimiter, len(header)
        self._reader = csv.reader(feed, delimiter=delimiter, strict=True)
        self._places = columns.places(header)
        self._header, self._others = header, others
        self._id = self._places.get("report_id")
        self._ids = _Ids()

    def __iter__(self) -> Numbered:
        while True:
            self._feed.taken = []
            line = self._feed.number + 1
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except LongLineError:
                yield line, Bad(f"a line of more than {MAX_TEXT:,} characters")
                continue
            except csv.Error:
                self._learn_from(self._feed.taken[0])
                self._feed.put_back(keep=1)
                self._skip_to_record()
                last = self._feed.number
                yield line, Bad("broken quotes" if last == line else f"broken quotes (lines {line} to {last})")
                continue
            if record and not (len(record) == 1 < self._size and not record[0].strip()):
                yield line, self._row(record)

    def _row(self, record: list[str]) -> dict[str, Any] | Bad:
        if not self._whole(record):
            first = record[0] if self._id == 0 and self._ids.fits(record[0]) else ""
            return Bad(f"not as many fields as the header ({len(record)}, not {self._size})", first)
        row = {field: record[place] for field, place in self._places.items()}
        if not all(map(str.isascii, row.values())) and any(map(unread, row.values())):
            return Bad(WRONG_BYTES)
        if self._id is not None and record[self._id]:
            self._ids.learn(record[self._id])
        if self._others:
            self._others.look(self._header, record)
        return row

    def _learn_from(self, line: str) -> None:
        """The id that a broken record begins with, where the id stands before the text."""
        record = next(csv.reader([line], delimiter=self._delimiter))
        if self._id is not None and len(record) > self._id + 1:
            self._ids.learn(record[self._id])

    def _whole(self, record: Sequence[str]) -> bool:
        """Whether a record has all fields; empty ones beyond the header, as spreadsheets write them, do not count."""
        return len(record) >= self._size and not any(map(str.strip, record[self._size :]))

    def _skip_to_record(self) -> None:
        """Drop lines until one starts what reads as a record with an id like those before."""
        while True:
            self._feed.taken = []
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except LongLineError:
                continue
            except csv.Error:
                self._feed.put_back(keep=1)
                continue
            if self._whole(record) and (self._id is None or self._ids.fits(record[self._id])):
                self._feed.put_back()
                return
            self._feed.put_back(keep=1)
