"""What the classifier sees of a report: facts of its assessment and mentions, and words of the sentences they stand in.

Every feature has a name that can be read aloud and the ids of the mentions behind it, so that a probability can be
explained by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, pairwise, repeat

from calcitrace.assess import CONCLUSIONS, Found, constituents, of_constituents
from calcitrace.modality import modality_of
from calcitrace.model import AnnotatedReport, Assessment, Mention
from calcitrace.ruleset import CaseDefinition, RuleSet

VERSION = 1
MOST_COUNTED = 3  # a finding that is named more often says no more
WORD = "word: "
IN_WORDS = "the words "  # begins the name of one for a reader


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one report.

    Attributes:
        facts: value of each fact, 0 to 1; one that is 0 is left out.
        words: words, and pairs of neighbouring words, of the sentences with a finding that the case is made of.
        mentions: the ids of the mentions behind a fact.
    """

    facts: Mapping[str, float]
    words: tuple[str, ...] = ()
    mentions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def values(self, word_weight: float) -> Iterator[tuple[str, float]]:
        """All features with their values; a word that is there counts `word_weight`."""
        words = map(WORD.__add__, self.words)
        return chain(self.facts.items(), zip(words, repeat(word_weight), strict=False))


def schema(rules: RuleSet, case: CaseDefinition) -> str:
    """A hash of the names that the facts are made of; a model fits rules with the same."""
    names = [VERSION, case.name, sorted(rules.findings), sorted(rules.conditions), sorted(case.constituents)]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def assessed(annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> tuple[Assessment, Features]:
    """The assessment of a report and its features."""
    found = constituents(annotated, rules, case)
    assessment = of_constituents(found, annotated, rules, case)
    return assessment, features(annotated, assessment, found, rules, case)


def features(
    annotated: AnnotatedReport, assessment: Assessment, found: Found, rules: RuleSet, case: CaseDefinition
) -> Features:
    """The features of a report; `found` are the mentions that fill the constituents of the case."""
    facts: dict[str, float] = {f"case status: {assessment.case_status}": 1.0}
    mentions: dict[str, tuple[str, ...]] = {f"case status: {assessment.case_status}": assessment.evidence}
    for name, own in _facts(annotated, found).items():
        facts[name] = min(len(own), MOST_COUNTED) / MOST_COUNTED if name.startswith("mention") else 1.0
        mentions[name] = tuple(dict.fromkeys(m.mention_id for m in own))
    for name, said in (("migration type", assessment.migration_type), ("phase", assessment.phase)):
        facts[f"{name}: {said}"] = 1.0
    if assessment.absence_of_mass:
        facts["absence of a mass"] = 1.0
    facts[f"modality: {modality_of(annotated.report, rules) or 'unknown'}"] = 1.0
    return Features(facts, tuple(sorted(_words(annotated, rules, case))), mentions)


def _facts(annotated: AnnotatedReport, found: Found) -> dict[str, list[Mention]]:
    """Each fact that mentions make, with them."""
    facts: dict[str, list[Mention]] = {}
    for name, own in found.items():
        for m in own:
            facts.setdefault(f"constituent: {name}", []).append(m)
            if m.section in CONCLUSIONS:
                facts.setdefault(f"constituent in conclusion: {name}", []).append(m)
    for m in (*annotated.mentions, *annotated.conditions):
        facts.setdefault(f"mention: {m.finding} {m.assertion}", []).append(m)
        if m.section in CONCLUSIONS:
            facts.setdefault(f"in conclusion: {m.finding} {m.assertion}", []).append(m)
        if m.asserted.change != "none":
            facts.setdefault(f"change: {m.finding} {m.asserted.change}", []).append(m)
    return facts


def _words(annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> set[str]:
    """Words and pairs of words in the sentences that mention a finding of a migration type or of the deposit."""
    telling = telling_findings(case)
    told: set[str] = set()
    for number in {m.sentence for m in annotated.mentions if m.finding in telling}:
        told |= _singles_and_pairs(annotated.forms[number], rules.words["stop"])
    return told


def telling_findings(case: CaseDefinition) -> frozenset[str]:
    """The findings of the constituents that make a migration type or name the site."""
    names = {n for depth in case.types for n in depth.of} | set(case.site)
    return frozenset(f for n in names for f in case.constituents[n].findings)


@lru_cache(100)
def _singles_and_pairs(forms: tuple[str, ...], stop: frozenset[str]) -> frozenset[str]:
    """The words that say something, and neighbours of which one does; numbers are all one word."""
    kept = ["number" if w[0].isdigit() else w for w in forms if any(c.isalnum() for c in w)]
    pairs = (f"{a} {b}" for a, b in pairwise(kept) if a not in stop or b not in stop)
    return frozenset([*(w for w in kept if w not in stop), *pairs])


def kind_of(name: str) -> str:
    """What a feature is of, by its name or that for a reader: the case definition, mentions, words or the report."""
    kind = name.partition(":")[0]
    if name.startswith((WORD, IN_WORDS)):
        return "words"
    if kind.startswith(("constituent", "case status", "migration type")):
        return "the case definition"
    return "mentions" if kind in ("mention", "in conclusion", "change") else "the whole report"


def in_words(name: str) -> str:
    """A feature's name for a reader."""
    return f"{IN_WORDS}{name.removeprefix(WORD)!r}" if name.startswith(WORD) else name.replace("_", " ")
