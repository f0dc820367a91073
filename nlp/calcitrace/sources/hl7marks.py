"""The marks of an HL7 v2 message: what separates its fields, and the escapes in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from calcitrace.sources.reading import decode

MAX_BLANK = 20
_COMMAND = r"F|S|T|R|E|H|N|X(?:[0-9A-F]{2})+|\.(?:br|ce|fi|nf|sp ?\+?\d*|sk ?\+?\d*|(?:in|ti) ?[+-]?\d*)"
_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?(?:\.\d+)?)?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class Marks:
    """What separates fields, components, repetitions and subcomponents, and the escape mark (empty = none)."""

    field: str
    component: str
    repetition: str
    escape: str
    sub: str

    @classmethod
    def of(cls, header: str) -> Marks:
        """The marks that an MSH segment names, or the usual ones."""
        field = header[3:4] or "|"
        return _marks(field, header[4:].split(field)[0])

    def value(self, fields: list[str], number: int, component: int) -> str:
        """A component (from 1) of the first repetition of a field, unescaped; the HL7 null (two quotes) is empty."""
        field = fields[number] if number < len(fields) else ""
        parts = field.split(self.repetition)[0].split(self.component)
        part = parts[component - 1] if component <= len(parts) else ""
        return "" if part == '""' else self.unescaped(part)

    def record_number(self, pid: list[str]) -> str:
        """The patient id in PID-3: the repetition of type MR, else the first that holds one."""
        found = [
            (parts[0].strip(), parts[4:5] == ["MR"])
            for repetition in (pid[3] if len(pid) > 3 else "").split(self.repetition)
            if (parts := repetition.split(self.component))[0].strip('" ')
        ]
        return self.unescaped(max(found, key=lambda f: f[1])[0]) if found else ""

    def text(self, field: str) -> str:
        """The text of a field: repetitions are lines."""
        lines = ("" if line == '""' else self.unescaped(line) for line in field.split(self.repetition))
        return "\n".join(lines)

    def unescaped(self, text: str) -> str:
        """`text` with its escapes resolved; what is no escape of the standard stays as it is."""
        if not self.escape or self.escape not in text:
            return text
        resolved = _escapes(self.escape).sub(self._resolver(), text)
        return resolved.replace("\r\n", "\n").replace("\r", "\n")

    def _resolver(self) -> Callable[[re.Match[str]], str]:
        marks = {"F": self.field, "S": self.component, "T": self.sub, "R": self.repetition, "E": self.escape}

        def resolve(found: re.Match[str]) -> str:
            command = found[1].upper()
            if command in marks:
                return marks[command]
            if command[0] == "X":
                return decode(bytes.fromhex(command[1:]))
            number = min(int("".join(filter(str.isdigit, command)) or 1), MAX_BLANK)
            return {".BR": "\n", ".CE": "\n", ".SP": "\n" * number, ".SK": " " * number}.get(command[:3], "")

        return resolve


@lru_cache(maxsize=64)
def _marks(field: str, named: str) -> Marks:
    usual = "^~\\&"
    marks = named + usual[len(named) :] if len(named) != 3 else named[:2] + "\0" + named[2:]
    return Marks(field, marks[0], marks[1], marks[2].strip("\0"), marks[3])


@lru_cache(maxsize=64)
def _escapes(mark: str) -> re.Pattern[str]:
    mark = re.escape(mark)
    return re.compile(f"{mark}({_COMMAND}){mark}", re.IGNORECASE)


def iso_time(time: str) -> str:
    """An HL7 time as ISO (2019, 2019-03-02, 2019-03-02T10:30:00+01:00; no time where it is midnight), else as given."""
    found = _TIME.fullmatch(time.strip())
    if not found:
        return time
    year, month, day, hour, minute, second, zone = found.groups()
    date = "-".join(filter(None, (year, month, day)))
    if not hour or (hour, minute, second or "00") == ("00", "00", "00"):
        return date
    return f"{date}T{hour}:{minute}:{second or '00'}" + (f"{zone[:3]}:{zone[3:]}" if zone else "")
