"""Which report ids and texts have come before, so that versions are kept and repeats rejected, in little memory."""

from __future__ import annotations

from collections.abc import Callable

from calcitrace.model import Reject, Report
from calcitrace.sources.seen import NUMBER, Seen

VERSION_MARK = "~v"
REPEATED = "repeated: same report id and same text as an earlier row"
ALL_BITS = 2**64 - 1
LATER, COUNTER = "\0later\0", "\0number\0"  # keys that are no ids
MADE = 0  # in place of a text, of an id that a later version was given


class Versions:
    """Tells of each report whether its id has come before: a version if with another text, with the same a repeat.

    Ids and texts are known by hashes of 64 bits (Python's own, others in each process). Two ids share one by chance
    once in thousands of archives of 10^8 reports; the second would then be taken for a version of the first, and kept.

    Args:
        seen: where to remember. By id the text that came with it first, or `MADE`; of an id with later versions also
            each of their texts, and the last version's number.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def settle(self, report: Report, source: str, row: int, shown: Callable[[str], str]) -> Report | Reject:
        """The report (renamed if a later version), or the reject, which shows its id so, if id and text came before."""
        seen, text = self._seen, _digest(report.text)
        first = seen.add(_key(report.report_id), text)
        if first is None:
            return report
        if text == first or seen.add(_key(f"{LATER}{text:x} {report.report_id}"), MADE) is not None:
            return Reject(source, row, REPEATED, shown(report.report_id))
        counter = _key(f"{COUNTER}{report.report_id}")
        number = (seen.add(counter, 1) or 1) + 1
        while seen.add(_key(made := f"{report.report_id}{VERSION_MARK}{number}"), MADE) is not None:
            number += 1  # the source may use such an id itself
        seen.change(counter, number)
        return report._replace(report_id=made, version_of=report.report_id)


def _digest(text: str) -> int:
    """64 bits of a text, never `MADE`."""
    return hash(text) & ALL_BITS or 1


def _key(text: str) -> bytes:
    """The key of a text."""
    return (hash(text) & ALL_BITS).to_bytes(NUMBER)
