"""HL7 v2 result messages (ORU^R01): a row is what one message says under one accession number.

Rows are numbered by the line on which their first OBR stands. Own reader: the libraries of the field lose segments that
end in LF, or refuse byte order marks, framing and batches.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from calcitrace.errors import SourceError
from calcitrace.phrases import by, many
from calcitrace.sources.hl7marks import Marks, iso_time
from calcitrace.sources.reading import (
    MAX_TEXT,
    WINDOWS,
    WRONG_BYTES,
    Bad,
    Numbered,
    Options,
    Row,
    Tally,
    TextFile,
    Withdrawn,
    guarded,
    unread,
)
from calcitrace.sources.standards import AttachmentError, attachment_text, in_pieces, modality_in, piece_of
from calcitrace.studydate import age_at

# where each field stands, in order of preference; OBR-3 is the filler's number, which most sites make the accession
ADDRESSES: dict[str, tuple[str, ...]] = {
    "report_id": ("OBR-3", "OBR-2", "MSH-10"),
    "patient_id": ("PID-3", "PID-2"),
    "study_date": ("OBR-7", "OBR-22"),
    "modality": ("OBR-24",),
    "body_part": ("OBR-4.2", "OBR-4.5", "OBR-4.1"),
    "sex": ("PID-8",),
    "birth_date": ("PID-7",),
}
_RECORD_NUMBER = ("PID", 3, 0)
_ADDRESS = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9]\d?)(?:\.([1-9]\d?))?")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_FRAMES = re.compile("[\x0b\x1c]")
_ENVELOPE = ("MSH", "FHS", "BHS", "BTS", "FTS")
TEXT_FIELD = 5  # of OBX
_TEXTS = ("TX", "FT", "ST", "")
_CODED = ("CE", "CWE", "CNE")
_GONE = {"D": "deleted", "W": "sent for the wrong patient"}  # HL7 table 0085
_CHARSETS = {"GB 18030-2000": "gb18030", "BIG-5": "big5", "KS X 1001": "euc_kr", "8859/1": WINDOWS}
Segment = tuple[int, str]
Place = tuple[str, int, int]  # segment, field, component (0 = the first)
Places = Mapping[str, tuple[Place, ...]]


def read_hl7(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a file of HL7 v2 messages, whatever its line ends, with or without MLLP or batch framing."""
    places = _places(options.columns)
    with TextFile(path, options, tally) as file:
        guess, file.guess = file.guess, False
        statuses, charsets, messages = Counter[str](), Counter[str](), _Messages()
        yield from guarded(_rows(file, messages, places, guess, statuses, charsets))
        if messages.passed_over:
            tally.note(
                path,
                f"{many(messages.passed_over, 'line')} behind the text of a result (OBX-5) "
                f"{by(messages.passed_over, 'is no segment and', 'are no segments and')} in no report",
            )
        for what, found in (("result status", statuses), ("messages read as", charsets)):
            if found:
                tally.say(path, f"{what} " + ", ".join(f"{name} {n}" for name, n in sorted(found.items())))


def _places(asked: Mapping[str, str]) -> Places:
    """Where each field stands, with those that the caller names."""
    for name, address in asked.items():
        if address and (name not in ADDRESSES or not _ADDRESS.fullmatch(address)):
            raise SourceError(
                f"in HL7 messages {name} cannot be {address!r}; a field is named as in OBR-18 or OBR-18.1"
            )
    named = ADDRESSES | {name: (address,) for name, address in asked.items() if address}
    return {name: tuple(map(_place, addresses)) for name, addresses in named.items()}


def _place(address: str) -> Place:
    segment, _, place = address.partition("-")
    number, _, component = place.partition(".")
    return segment, int(number), int(component or 0)


def _rows(
    file: TextFile,
    messages: _Messages,
    places: Places,
    guess: bool,
    statuses: Counter[str],
    charsets: Counter[str],
) -> Numbered:
    for number, message in messages.of(_lines(file)):
        if isinstance(message, Bad):
            yield number, message
            continue
        if any(unread(segment) for _, segment in message):
            if not guess:
                yield number, Bad(WRONG_BYTES)
                continue
            charset = _charset(message[0][1])
            message = [(n, s.encode("utf-8", "surrogateescape").decode(charset, "replace")) for n, s in message]
            charsets[charset] += 1
        yield from _Message(message, places).rows(statuses)


def _lines(file: TextFile) -> Iterator[tuple[int, str | None]]:
    """The lines without their ends and frames; None for one that is too long."""
    for number, line in enumerate(file.lines(), 1):
        if line is None:
            yield number, None
            continue
        for piece in _FRAMES.split(line.rstrip("\r\n")):
            yield number, piece.lstrip("\ufeff").replace("\0", "")


class _Messages:
    """Puts lines together to messages; what stands outside of messages is a bad row.

    `passed_over` counts lines that are no segment and follow one whose text has ended.
    """

    def __init__(self) -> None:
        self.passed_over = 0
        self._message: list[Segment] = []
        self._size = self._blank = self._count = 0
        self._stray = False

    def of(self, lines: Iterator[tuple[int, str | None]]) -> Iterator[tuple[int, list[Segment] | Bad]]:
        """Each message as its segments, with the line that it starts on."""
        for number, line in lines:
            yield from self._take(number, line)
        yield from self._ended()

    def _take(self, number: int, line: str | None) -> Iterator[tuple[int, list[Segment] | Bad]]:
        self._size += len(line or "")
        if line is None or self._size > MAX_TEXT:
            yield (
                (self._message[0][0] if self._message else number),
                Bad(f"a message of more than {MAX_TEXT:,} characters"),
            )
            self._message, self._size, self._stray = [], 0, True
        elif line[:3] in _ENVELOPE and not line[3:4].isalnum():
            yield from self._ended()
            yield from self._begin(number, line)
        elif not line.strip():
            self._blank += 1
        elif self._message:
            self.passed_over += _add(self._message, number, line, self._blank)
            self._blank = 0
        elif not self._stray:
            yield number, Bad("text outside of any message (a message starts with MSH)")
            self._stray = True

    def _ended(self) -> Iterator[tuple[int, list[Segment]]]:
        if self._message:
            yield self._message[0][0], self._message
        self._message, self._size, self._blank, self._stray = [], 0, 0, False

    def _begin(self, number: int, line: str) -> Iterator[tuple[int, Bad]]:
        """Begin a message or a batch, or end one; a batch that lacks messages is a bad row."""
        if line.startswith("MSH"):
            self._message, self._count = [(number, line)], self._count + 1
            return
        told = line[4:].split(line[3:4] or "|")[0]
        if line.startswith("BTS") and told.isdecimal() and int(told) != self._count:
            yield number, Bad(f"the batch tells {int(told)} messages, {self._count} were read")
        self._count = 0


def _add(message: list[Segment], number: int, line: str, blank: int) -> bool:
    """Add a line to a message: a segment, the continuation of one (ADD), or text that was wrapped.

    Whether it is none of these: what comes behind the text of a result, and no segment.
    """
    mark = message[0][1][3:4]
    if line.startswith(f"ADD{mark}"):
        message[-1] = (message[-1][0], message[-1][1] + line[4:])
    elif _SEGMENT.match(line) and line[3:4] in (mark, ""):
        message.append((number, line))
    else:
        lost = message[-1][1].startswith(f"OBX{mark}") and message[-1][1].count(mark) > TEXT_FIELD
        message[-1] = (message[-1][0], message[-1][1] + "\n" * (blank + 1) + line)
        return lost
    return False


def _charset(header: str) -> str:
    """The character set that a message which is not in the encoding of its file names, else Windows-1252."""
    fields = header.split(header[3:4])
    named = fields[17].split("~")[0].strip().upper() if len(fields) > 17 else ""
    charset = _CHARSETS.get(named) or (
        f"iso-{named.replace('/', '-')}" if re.fullmatch(r"8859/\d+", named) else WINDOWS
    )
    try:
        return codecs.lookup(charset).name
    except LookupError:
        return WINDOWS


@dataclass(slots=True)
class _Group:
    """What a message says under one accession number: segments by name, and the parts of the text."""

    number: int
    segments: dict[str, list[str]]
    parts: list[tuple[str, str]] = field(default_factory=list)
    gone: str = ""
    problem: str = ""


class _Message:
    """One message, read into rows."""

    def __init__(self, segments: list[Segment], places: Places) -> None:
        self._segments, self._places = segments, places
        self._marks = Marks.of(segments[0][1])

    def rows(self, statuses: Counter[str]) -> Numbered:
        """A row for each accession number, in order."""
        number, header = self._segments[0]
        kind = self._marks.value(["MSH", *header.split(self._marks.field)], 9, 1)
        if kind not in ("ORU", ""):
            shown = f" but {kind}" if re.fullmatch(r"[A-Z0-9]{3}", kind) else ""
            yield number, Bad(f"not a result message (ORU){shown}")
            return
        groups = self._groups()
        if not groups:
            yield number, Bad("a result message without OBR and OBX segments")
        for report_id, group in groups.items():
            statuses[self._status(group)] += 1
            yield group.number, self._row(report_id, group)

    def _groups(self) -> dict[str, _Group]:
        """The groups of the message by report id; those that share one are one."""
        groups: dict[str, _Group] = {}
        group: _Group | None = None
        around: dict[str, list[str]] = {}
        for number, segment in self._segments:
            fields = segment.split(self._marks.field)
            name = fields[0].strip()
            if name == "MSH":
                around[name] = ["MSH", *fields]
            elif name == "OBR" or (name == "OBX" and group is None):
                found = _Group(number, {**around, name: fields})
                group = groups.setdefault(self._field(found, "report_id"), found)
            elif name == "PID":
                around, group = {**around, name: fields}, None
            elif name not in ("OBX", "NTE"):
                (group.segments if group else around).setdefault(name, fields)
            if group and name in ("OBX", "NTE"):
                self._take(group, fields)
        return groups

    def _take(self, group: _Group, fields: list[str]) -> None:
        """Take in the text of an OBX or NTE segment."""
        if fields[0] == "NTE":
            group.parts.append(("", self._marks.text(fields[3] if len(fields) > 3 else "")))
            return
        if len(fields) < 12:
            fields = [*fields, *[""] * 12]
        if fields[11] in _GONE:
            group.gone = fields[11]
            return
        piece = _piece(fields[3], self._marks)
        if fields[2] in _TEXTS:
            group.parts.append((piece, self._marks.text(fields[5])))
        elif fields[2] in _CODED and piece:
            group.parts.append((piece, self._marks.value(fields, 5, 2) or self._marks.value(fields, 5, 1)))
        elif fields[2] == "ED":
            self._take_attachment(group, piece, fields)

    def _take_attachment(self, group: _Group, piece: str, fields: list[str]) -> None:
        kind, subkind, coding, data = (self._marks.value(fields, 5, k) for k in (2, 3, 4, 5))
        try:
            plain = coding.upper() == "A"
            text = data if plain else attachment_text(data, subkind if subkind else kind if "/" in kind else "")
            group.parts.append((piece, text))
        except AttachmentError as error:
            group.problem = str(error)

    def _row(self, report_id: str, group: _Group) -> Row | Bad:
        text = in_pieces(group.parts).strip("\n")
        if self._status(group) == "X":
            return Bad("cancelled (result status X)", report_id)
        if not text.strip():
            if group.gone:
                return Withdrawn(f"withdrawn: {_GONE[group.gone]} (result status {group.gone})", report_id)
            return Bad(group.problem or "no text in its OBX segments", report_id)
        values = {name: self._field(group, name) for name in self._places}
        procedure = values["body_part"]
        values["modality"] = modality_in([values["modality"]] if values["modality"] else [], procedure)
        values["study_date"], birth = iso_time(values["study_date"]), iso_time(values.pop("birth_date"))
        return {**values, "age": age_at(birth, values["study_date"]), "report_id": report_id, "text": text}

    def _field(self, group: _Group, name: str) -> str:
        """A field of a report from the first of its addresses that holds any."""
        return next(filter(None, (self._at(group, place) for place in self._places[name])), "")

    def _at(self, group: _Group, place: Place) -> str:
        segment, number, component = place
        fields = group.segments.get(segment)
        if not fields:
            return ""
        if place == _RECORD_NUMBER:
            return self._marks.record_number(fields)
        return self._marks.value(fields, number, component or 1).strip()

    def _status(self, group: _Group) -> str:
        """The status that OBR-25 tells, where it is one."""
        status = self._at(group, ("OBR", 25, 1))
        return status if re.fullmatch("[A-Z]", status) else "not told"


@lru_cache(maxsize=4096)
def _piece(observation: str, marks: Marks) -> str:
    """The piece that an observation id stands for: by its suffix, its code or its name."""
    words = [word for part in observation.split(marks.component) for word in part.split(marks.sub)]
    return piece_of(*words[1:2], *words)
