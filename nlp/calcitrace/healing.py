"""Sentences that call a bone healed or normal: the words for what is no finding, and yet ends a history.

"The cortex has reconstituted" names no finding that is there or absent; it is looked for here, by the words of the
criteria, in reports of case patients only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from calcitrace.model import AnnotatedReport
from calcitrace.ruleset import RuleSet, Site
from calcitrace.words import split_words

NORMAL = "normal_bone"  # stands where a finding's name would


def normal_bones(
    annotated: AnnotatedReport, rules: RuleSet, words: Mapping[str, Collection[str]]
) -> Iterator[dict[str, Any]]:
    """A row like that of a mention for each bone or landmark that a sentence calls healed (`sure`) or normal."""
    phrases = [(t.phrase, site) for site in rules.sites.values() if site.kind == "bone" for t in site.terms if t.phrase]
    for start, end in annotated.sentences:
        forms = split_words(annotated.report.text, rules.spelling, start, end).forms
        sure, calm = has_word(forms, words["healed"]), has_word(forms, words["normal"])
        if not (sure or calm) or has_word(forms, words["not"]):
            continue
        section = next((s.name for s in annotated.sections if s.start <= start < s.end), "other")
        for site in {s.name: s for phrase, s in phrases if _holds(forms, phrase)}.values():
            yield _row(site, section, sure)


def _row(site: Site, section: str, sure: bool) -> dict[str, Any]:
    row = {"finding": NORMAL, "assertion": "present", "section": section, "change": "none", "tendon": "none"}
    landmark = "none" if site.generic or not site.bone else site.name
    return {**row, "bone": site.bone or site.name, "landmark": landmark, "laterality": "none", "sure": sure}


def _holds(forms: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    return any(forms[i : i + len(phrase)] == phrase for i in range(len(forms) - len(phrase) + 1))


def has_word(forms: Iterable[str], words: Collection[str]) -> bool:
    """Whether one of the forms is one of the words; a word that ends in * is the beginning of one."""
    return any(f == w or (w.endswith("*") and f.startswith(w[:-1])) for f in forms for w in words)
