"""Sentences that call a bone healed or normal: the words for what is no finding, and yet ends a history.

"The cortex has reconstituted" names no finding that is there or absent; it is looked for here, by the words of the
criteria, in reports of case patients only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from typing import Any

from calcitrace.link import Session
from calcitrace.model import AnnotatedReport, Report
from calcitrace.ruleset import RuleSet, Site
from calcitrace.sites import Linker, one_side
from calcitrace.words import split_words

NORMAL = "normal_bone"  # stands where a finding's name would
_NO_FAULT = re.compile(
    r"\b(?:no|without)(?: (?:any|acute|bony|focal|osseous|further|residual|significant))* abnormalit(?:y|ies)\b"
)


def normal_bones(
    annotated: AnnotatedReport, rules: RuleSet, words: Mapping[str, Collection[str]]
) -> Iterator[dict[str, Any]]:
    """A row like that of a mention for each bone or landmark that a sentence calls healed (`sure`) or normal.

    Its side is that of the sentence, else of the heading above it, else the one of the report.
    """
    linker = _linker(rules)
    report_side = Session(linker, annotated.report).side_of_report()
    if report_side == "none":
        report_side = one_side(m.laterality for m in annotated.mentions)
    for start, end in annotated.sentences:
        section = next((s for s in annotated.sections if s.start <= start < s.end), None)
        for forms in _clauses(_plainly(split_words(annotated.report.text, rules.spelling, start, end).forms)):
            sure, calm = has_word(forms, words["healed"]), has_word(forms, words["normal"])
            if not (sure or calm) or has_word(forms, words["not"]):
                continue
            own = (one_side(linker.sides_in(forms)), linker.side_of(section.heading if section else ""), report_side)
            side = next((said for said in own if said != "none"), "none")
            for site in linker.bones_in(forms):
                yield _row(site, section.name if section else "other", side, sure)


def region_of(report: Report, rules: RuleSet) -> str:
    """The region of the body that a report's body part or title names, "" where neither does."""
    return Session(_linker(rules), report).region


def _clauses(forms: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The words of a sentence between semicolons."""
    for apart, own in groupby(forms, key=lambda form: form == ";"):
        if not apart:
            yield tuple(own)


def _plainly(forms: tuple[str, ...]) -> tuple[str, ...]:
    """The words, with *normal* for *no abnormality*."""
    return tuple(_NO_FAULT.sub("normal", " ".join(forms)).split(" "))


@lru_cache(maxsize=2)
def _linker(rules: RuleSet) -> Linker:
    return Linker(rules)


def _row(site: Site, section: str, side: str, sure: bool) -> dict[str, Any]:
    row = {"finding": NORMAL, "assertion": "present", "section": section, "change": "none", "tendon": "none"}
    landmark = "none" if site.generic or not site.bone else site.name
    return {**row, "bone": site.bone or site.name, "landmark": landmark, "laterality": side, "sure": sure}


def has_word(forms: Iterable[str], words: Collection[str]) -> bool:
    """Whether one of the forms is one of the words; a word that ends in * is the beginning of one."""
    return any(f == w or (w.endswith("*") and f.startswith(w[:-1])) for f in forms for w in words)
