"""What kind of image a report is about: its modality column in one of four names, or what its beginning says."""

from __future__ import annotations

import re
from functools import lru_cache

from calcitrace.model import Report
from calcitrace.ruleset import RuleSet
from calcitrace.words import split_words

BEGINNING = 160  # characters; the title and the technique stand there
REMEMBERED = 1000


def modality_of(report: Report, rules: RuleSet) -> str:
    """The modality of a report by one of the names in patterns/modalities.yml, or "" where nothing tells it."""
    return next((m for said in (report.modality, report.text[:BEGINNING]) if (m := _said(said, rules))), "")


@lru_cache(REMEMBERED)
def _said(text: str, rules: RuleSet) -> str:
    """The modality whose name stands first in a text."""
    pattern, modality = _names(rules)
    found = pattern.search(f" {' '.join(split_words(text, rules.spelling).forms)} ")
    return modality[found.group()] if found else ""


@lru_cache(maxsize=4)
def _names(rules: RuleSet) -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern that finds the first name, the longest of those that begin there, and the modality of each."""
    modality = {" ".join(phrase): name for name, phrases in rules.modalities.items() for phrase in phrases}
    longest_first = sorted(modality, key=lambda said: -said.count(" "))
    return re.compile(f"(?<= )(?:{'|'.join(map(re.escape, longest_first))})(?= )"), modality
