"""What kind of image a report is about: its modality column in one of four names, or what its beginning says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

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
    pattern, modality = _names(tuple(names.items()))
    found = pattern.search(f" {' '.join(forms)} ")
    return modality[found.group()] if found else ""


@lru_cache(maxsize=4)
def _names(names: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern that finds the first name, the longest of those that begin there, and the modality of each."""
    modality = {" ".join(phrase): name for name, phrases in names for phrase in phrases}
    longest_first = sorted(modality, key=lambda said: -said.count(" "))
    return re.compile(f"(?<= )(?:{'|'.join(map(re.escape, longest_first))})(?= )"), modality
