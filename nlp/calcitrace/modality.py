"""What kind of image a report is about: its modality column in one of four names, or what its beginning says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from calcitrace.model import Report
from calcitrace.phrases import by, many
from calcitrace.ruleset import RuleSet
from calcitrace.sources import shown_id
from calcitrace.words import split_words

BEGINNING = 160  # characters; the title and the technique stand there
REMEMBERED = 300
OTHER = "other"  # what a modality that the rules do not know counts as
MOST_NAMED = 8


def modality_of(report: Report, rules: RuleSet) -> str:
    """The modality of a report by one of the names in patterns/modalities.yml, or "" where nothing tells it."""
    return next((m for said in (report.modality, report.text[:BEGINNING]) if (m := _said(said, rules))), "")


def unknown_modality(report: Report, rules: RuleSet) -> str:
    """What the modality column holds, where neither it nor the beginning of the report is known to the rules."""
    said = report.modality
    return "" if not said or _said(said, rules) or modality_of(report, rules) else said.strip()


def known_modality(rules: RuleSet) -> Callable[[str], bool]:
    """A quick test of what a modality column holds: whether the rules know it (or it is empty)."""
    return lru_cache(REMEMBERED)(lambda said: not said or bool(_said(said, rules)))


def unknown_said(unknown: Counter[str], whose: str = "") -> str:
    """What to tell of modalities that the rules do not know, by how many reports have them; "" where there are none.

    Only short words are named; `whose` says which reports were looked at.
    """
    if not (n := unknown.total()):
        return ""
    names = ", ".join(f"{name} ({k:,})" for name, k in unknown.most_common(MOST_NAMED) if shown_id(name))
    return (
        f"modality: {many(n, 'report')}{whose} {by(n, 'counts', 'count')} as {OTHER!r}, since the rules do not know "
        f"{names or 'what their column says'}; name it in modalities.yml of a copy of the rules and process again "
        "with --patterns"
    )


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
