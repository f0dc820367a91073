"""What kind of image a report is about: its modality column in one of four names, or what its beginning says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from calcitrace.model import Report
from calcitrace.words import split_words

BEGINNING = 160  # characters; the title and the technique stand there
Names = Mapping[str, tuple[tuple[str, ...], ...]]


def modality_of(report: Report, names: Names, spelling: Mapping[str, str]) -> str:
    """The modality of a report by one of the names in patterns/modalities.yml, or "" where nothing tells it."""
    for said in (report.modality, report.text[:BEGINNING]):
        found = _first(split_words(said, spelling).forms, names) if said else ""
        if found:
            return found
    return ""


def _first(forms: Sequence[str], names: Names) -> str:
    """The modality whose name stands first in `forms`."""
    places = [
        (i, -len(phrase), name)
        for name, phrases in names.items()
        for phrase in phrases
        for i in range(len(forms) - len(phrase) + 1)
        if tuple(forms[i : i + len(phrase)]) == phrase
    ]
    return min(places)[2] if places else ""
