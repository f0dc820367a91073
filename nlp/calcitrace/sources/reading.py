"""What every reader of a format shares: options, the tally, unreadable rows, and text of any usual encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.phrases import many
from calcitrace.sources.columns import REPORTED, Columns, is_name, is_piece

MAX_TEXT = 20_000_000
WINDOWS = "windows-1252"
WRONG_BYTES = "bytes that are not valid in this encoding"
HEAD = 65_536  # bytes at which an encoding is told
SAMPLE, LONG = 20, 100  # rows in which columns are looked at, and mean characters of a cell that is report text
NOTE = "note: "  # begins what is told of an input in a line of its own
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """A row that could not be read, and why; with its report id where it has one."""

    reason: str
    report_id: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawn(Bad):
    """A row that takes back what was sent under its report id before."""


@dataclass(frozen=True, slots=True)
class Person:
    """What a source says of a patient apart from the reports; it is no row."""

    patient_id: str
    sex: str
    birth_date: str


@dataclass(frozen=True, slots=True)
class Options:
    """How to read: the column of each field or piece (none = recognise), the text encoding and the delimiter.

    `source` is the format of all inputs where their names do not tell it; `date_order` ("dmy" or "mdy") is how dates
    are read in which day and month could be either way.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "auto"
    delimiter: str = "auto"
    source: str = "auto"
    date_order: str = ""


@dataclass(slots=True)
class Tally:
    """What was read so far: rows, rejects, what was chosen for each input, and files that were left out by ending.

    `lacking` tells for each input which fields have no column; it names columns, and is for the terminal alone.
    """

    rows: int = 0
    rejects: int = 0
    chosen: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    done_bytes: int = 0
    total_bytes: int = 0
    position: Callable[[], int] = lambda: 0

    @property
    def fraction(self) -> float:
        """How much of the input's bytes is read, 0 to 1."""
        return min((self.done_bytes + self.position()) / self.total_bytes, 1.0) if self.total_bytes else 1.0

    def say(self, path: object, *words: str) -> None:
        """Note what was chosen for an input."""
        self.chosen[str(path)] = ", ".join(filter(None, (self.chosen.get(str(path), ""), *words)))

    def note(self, path: object, words: str) -> None:
        """Note what may be wrong with an input."""
        self.say(path, f"{NOTE}{words}")

    def choose(self, path: object, columns: Columns, *words: str) -> Others:
        """Note the columns that were chosen for an input, and what they lack; the result looks at the others."""
        self.say(path, *words, str(columns))
        others = Others(str(path), self)
        others.among(columns)
        return others


class Others:
    """Looks in the first rows of an input for report text in columns that are not read.

    That is where the caller has named the column of the whole text and may not know of another, or where only pieces
    of the text have a known name. A column with the usual name of a piece need not hold a long text; beside a column
    with the usual name of the whole text it is told where that does not hold its words.
    """

    def __init__(self, path: str, tally: Tally) -> None:
        self._path, self._tally, self._lacking = path, tally, ""
        self._columns = Columns({})
        self._lengths: dict[str, int] = {}
        self._apart: dict[str, int] = {}  # pieces beside a whole text: in how many rows it does not hold their words
        self._seen = 0

    def among(self, columns: Columns, named: bool = True) -> None:
        """Look at the columns that are not read of these, which may be more than before, and note what they lack.

        `named`: those left over are surely names; else only those that look like one are told.
        """
        told = columns.beside_text.values()
        left = columns.unused if columns.in_part else ()
        own = [c for c in left if c not in told and (named or (is_name(c) and c.split() == [c]))]
        self._lengths = {c: self._lengths.get(c, 0) for c in own}
        pieces = () if columns.in_part else columns.unused
        self._apart = {c: self._apart.get(c, 0) for c in pieces if is_piece(c, REPORTED)}
        self._columns, self._lacking = columns, columns.lacking(named)
        self._tell()

    @property
    def names(self) -> list[str]:
        """The columns that it looks at."""
        return [*self._lengths, *self._apart, *([self._columns.chosen["text"]] if self._apart else ())]

    def look(self, columns: Iterable[str], cells: Iterable[Any]) -> None:
        """Look at a row; of the first ones, what they hold is noted."""
        if self._seen == SAMPLE or not (self._lengths or self._apart):
            return
        self._seen += 1
        texts = {column: cell for column, cell in zip(columns, cells, strict=False) if isinstance(cell, str)}
        for column in self._lengths:
            self._lengths[column] += len(texts.get(column, ""))
        whole = " ".join(texts.get(self._columns.chosen.get("text", ""), "").split())
        for column in self._apart:
            self._apart[column] += " ".join(texts.get(column, "").split()) not in whole
        self._tell()

    def _tell(self) -> None:
        least = LONG * self._seen
        long = [column for column, length in self._lengths.items() if length > (0 if is_piece(column) else least)]
        long += [column for column, rows in self._apart.items() if 2 * rows > self._seen]
        said = NOTE + self._columns.unread(long) if long else ""
        self._tally.lacking[self._path] = "\n".join(filter(None, (self._lacking, said)))


Numbered = Iterator[tuple[int, "Row | Bad | Person"]]
Reader = Callable[[Path, Options, Tally], Numbered]


def binary(path: Path) -> Any:
    """The bytes of a file, unpacked where its name ends in .gz."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _all_windows(head: bytes) -> bool:
    """Whether, of the first lines, those with more than ASCII are all no UTF-8."""
    *lines, last = head.splitlines(keepends=True) or [b""]
    lines += [last] if not lines or last.endswith(b"\n") else []  # it may be cut
    wide = [line for line in lines if not line.isascii()]
    return bool(wide) and all(unread(line.decode("utf-8", "surrogateescape")) for line in wide)


def encoding_of(head: bytes) -> str:
    """The encoding by the first bytes: a byte order mark, UTF-16 by its zero bytes, else UTF-8."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    head = head[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) >= 4 and max(even, odd) > len(head) // 5 and min(even, odd) <= len(head) // 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"


_UNREAD = re.compile("[\udc80-\udcff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def unread(text: str) -> bool:
    """Whether `text` holds bytes that its encoding could not read (kept by `surrogateescape`)."""
    return not text.isascii() and bool(_UNREAD.search(text))


def mended(text: str, encoding: str, guess: bool) -> str:
    """`text` with its unread bytes read after all: lone surrogates as such, others as Windows-1252 where we guess.

    Archives mix encodings row by row, so this is done for each line, not for the whole file.
    """
    if not unread(text):
        return text
    if encoding == WINDOWS:
        return _UNREAD.sub("\ufffd", text)
    if not encoding.startswith("utf-8"):
        return text
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode(WINDOWS, "replace") if guess else text


def decode(data: bytes) -> str:
    """The text of some bytes, in whatever usual encoding they are."""
    encoding = encoding_of(data)
    return mended(data.decode(encoding, _errors(encoding)), encoding, True)


def _errors(encoding: str) -> str:
    """How a decoder treats what it does not know: kept, so that one bad byte costs one row and not the file."""
    return "surrogatepass" if re.match(r"utf[-_]?(16|32)", encoding, re.IGNORECASE) else "surrogateescape"


class LongLineError(Exception):
    """A line of more than MAX_TEXT characters; it was skipped."""


class TextFile:
    """A text file open for reading: whole, or line by line with line ends kept."""

    def __init__(self, path: Path, options: Options, tally: Tally) -> None:
        self.guess = options.encoding == "auto"
        self._windows_lines = self._utf8_lines = 0
        self._path, self._tally = path, tally
        try:
            head = self._head() if self.guess else b""
            self.encoding = encoding_of(head) if self.guess else options.encoding.lower().replace("_", "-")
            self._all_windows = self.guess and self.encoding == "utf-8" and _all_windows(head)
            self._handle = self._open()
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"cannot be read ({why(error)})") from None

    def _head(self) -> bytes:
        with binary(self._path) as handle:
            return bytes(handle.read1(HEAD))

    def _open(self) -> IO[str]:
        if self.encoding in ("utf-8", "utf8"):
            self.encoding = "utf-8-sig"
        raw = binary(self._path)
        under: Any = raw.fileobj if isinstance(raw, gzip.GzipFile) else raw
        self._tally.position = lambda: under.tell() if under and not under.closed else 0
        self._tally.say(self._path, f"encoding {WINDOWS if self._all_windows else self.encoding.removesuffix('-sig')}")
        try:
            return io.TextIOWrapper(raw, encoding=self.encoding, errors=_errors(self.encoding), newline="")
        except (LookupError, ValueError):
            raw.close()
            raise UsageError(
                f"{self.encoding!r} is no known text encoding; try utf-8, utf-16 or windows-1252"
            ) from None

    def __enter__(self) -> TextFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.close()
        if self._all_windows and self._utf8_lines:
            self._tally.say(self._path, f"{many(self._utf8_lines, 'line')} read as UTF-8")
        elif self._windows_lines and not self._all_windows:
            self._tally.say(self._path, f"{many(self._windows_lines, 'line')} not UTF-8, read as {WINDOWS}")

    def lines(self) -> Iterator[str | None]:
        """The lines; None for one that is too long."""
        read = self._handle.readline
        while line := read(MAX_TEXT):
            if len(line) >= MAX_TEXT and line[-1] not in "\r\n":
                self._skip_line()
                yield None
            else:
                yield line if line.isascii() else self._mend(line)

    def _skip_line(self) -> None:
        while (rest := self._handle.readline(MAX_TEXT)) and rest[-1] not in "\r\n":
            pass

    def _mend(self, text: str) -> str:
        whole = mended(text, self.encoding, self.guess)
        windows = self.guess and unread(text) and not _SURROGATE.search(whole)
        self._windows_lines += windows
        self._utf8_lines += not windows
        return whole

    def whole(self) -> str:
        """The whole text.

        Raises:
            LongLineError: it has more than MAX_TEXT characters.
        """
        text = self._handle.read(MAX_TEXT + 1)
        if len(text) > MAX_TEXT:
            raise LongLineError
        return self._mend(text)


def guarded(rows: Numbered) -> Numbered:
    """The rows; a file that breaks off gives one last bad row, or SourceError if it gave none before.

    Raises:
        SourceError: the file broke before its first row.
    """
    number = 0
    try:
        for number, row in rows:
            yield number, row
    except (UnicodeError, OSError, EOFError, zlib.error) as error:
        if not number:
            raise SourceError(f"cannot be read ({why(error)})") from None
        yield number + 1, Bad(f"the file is broken after row {number} ({why(error)}); the rest was not read")


def why(error: BaseException) -> str:
    """What a low-level error says of a file, without anything of its content."""
    if isinstance(error, EOFError):
        return "it ends too early; is it complete"
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return "it is no gzip file, or a damaged one"
    if isinstance(error, UnicodeDecodeError):
        return f"not valid {error.encoding}"
    return str(getattr(error, "strerror", None) or type(error).__name__)
