"""What is looked for in all inputs ahead of their rows: reports that are withdrawn later, and the patients."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from calcitrace.sources.reading import Bad, Person, Row, Withdrawn, binary, encoding_of
from calcitrace.studydate import age_at

# what a file of these formats holds if a row of it can withdraw another, or tell of a patient
AHEAD = {
    "fhir": re.compile(rb'entered-in-error|"Patient"'),
    "hl7": re.compile(rb"OBX([^\r\n])[^\r\n]*\1[DW](?:\1|[\r\n]|$)"),
}
CHUNK, OVERLAP = 1 << 22, 1 << 16
Place = tuple[int, int]


def worth_a_look(path: Path, source: str) -> bool:
    """Whether a file must be looked at ahead; also where its encoding or a fault hides what it holds."""
    try:
        with binary(path) as handle:
            kept = handle.read(CHUNK)
            if encoding_of(kept).startswith(("utf-16", "utf-32")):
                return True
            while len(kept) > 1:
                if AHEAD[source].search(kept):
                    return True
                more = handle.read(CHUNK)
                kept = kept[-OVERLAP:] + more if more else b""
            return False
    except (OSError, EOFError, zlib.error):
        return True


class Ahead:
    """What was seen ahead: memory grows by the ids of withdrawn reports and by patients that stand apart.

    Args:
        rows: all rows of the inputs that must be looked at ahead, each with its place (input, row), in order.
    """

    def __init__(self, rows: Iterable[tuple[Place, Row | Bad | Person]]) -> None:
        self._withdrawn: dict[str, Place] = {}
        self._persons: dict[str, Person] = {}
        for place, row in rows:
            if isinstance(row, Withdrawn):
                self._withdrawn[row.report_id] = place
            elif isinstance(row, Person):
                self._persons[row.patient_id] = row

    def __bool__(self) -> bool:
        """Whether anything was seen that settles a row."""
        return bool(self._withdrawn or self._persons)

    def settled(self, row: Row | Bad | Person, place: Place) -> Row | Bad | None:
        """The row with sex and age of its patient; a bad row where it is withdrawn later; None for a patient."""
        if isinstance(row, Bad | Person):
            return row if isinstance(row, Bad) else None
        report_id = row.get("report_id")
        if isinstance(report_id, str) and report_id and place < self._withdrawn.get(report_id, place):
            return Bad("withdrawn by a later row", report_id)
        person = self._persons.get(str(row.get("patient_id")))
        if not person:
            return row
        age = row.get("age") or age_at(person.birth_date, str(row.get("study_date") or ""))
        return {**row, "sex": row.get("sex") or person.sex, "age": age}
