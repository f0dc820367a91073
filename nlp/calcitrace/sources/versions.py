"""Which report ids and texts have come before, so that versions are kept and repeats rejected, in little memory."""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import replace

from calcitrace.model import Reject, Report

VERSION_MARK = "~v"
REPEATED = "repeated: same report id and same text as an earlier row"
FIRST_SIZE = 1 << 12
FULL = 0.8
GROWTH = 1.25


class Seen:
    """Digests of ids, each with one of the text that came with it first: 20 to 25 bytes an id (open addressing).

    Two ids share a digest of 64 bits by chance once in thousands of archives of 10^8 reports; the second would then be
    taken for a version of the first, and be kept.
    """

    def __init__(self) -> None:
        self._ids = array("Q", bytes(8 * FIRST_SIZE))
        self._texts = array("Q", bytes(8 * FIRST_SIZE))
        self._used = 0

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return 16 * len(self._ids)

    def text_of(self, key: int) -> int | None:
        """The text that came first with an id, or None for an id that has not come."""
        place = self._place(key)
        return self._texts[place] if self._ids[place] else None

    def add(self, key: int, text: int) -> None:
        """Note an id that has not come before."""
        if self._used >= FULL * len(self._ids):
            self._grow()
        place = self._place(key)
        self._ids[place], self._texts[place] = key, text
        self._used += 1

    def _place(self, key: int) -> int:
        """Where an id stands, or would stand."""
        ids, size = self._ids, len(self._ids)
        place = key % size
        while ids[place] and ids[place] != key:
            place = place + 1 if place + 1 < size else 0
        return place

    def _grow(self) -> None:
        old = zip(self._ids, self._texts, strict=True)
        size = int(len(self._ids) * GROWTH)
        self._ids, self._texts = array("Q", bytes(8 * size)), array("Q", bytes(8 * size))
        for key, text in old:
            if key:
                place = self._place(key)
                self._ids[place], self._texts[place] = key, text


class Versions:
    """Tells of each report whether its id has come before: a version if with another text, with the same a repeat."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._later: dict[int, tuple[int, set[int]]] = {}
        self._made: set[int] = set()  # ids that later versions were given; the source may use one itself

    def settle(self, report: Report, source: str, row: int, shown: str) -> Report | Reject:
        """The report (renamed if it is a later version), or the reject if its id and text have come before."""
        key, text = _digest(report.report_id), _digest(report.text)
        first = self._seen.text_of(key)
        if first is None:
            self._seen.add(key, text)
            return report
        number, others = self._later.get(key, (1, set()))
        if text in others or (text == first and key not in self._made):
            return Reject(source, row, REPEATED, shown)
        name = report.report_id
        while self._seen.text_of(_digest(name)) is not None:
            number += 1
            name = f"{report.report_id}{VERSION_MARK}{number}"
        self._seen.add(_digest(name), text)
        self._made.add(_digest(name))
        self._later[key] = number, others | {text}
        return replace(report, report_id=name, version_of=report.report_id)


def _digest(text: str) -> int:
    """64 bits of a text, never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
