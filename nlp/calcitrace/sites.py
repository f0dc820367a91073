"""Anatomy prepared for linking: what a structure, a side or a region is called, and what a hit and a link are."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from calcitrace.model import Mention
from calcitrace.ruleset import RuleSet, Site, Term
from calcitrace.words import split_words


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's term found in a sentence: what kind of rule, its name, the term, and the words `i:j`."""

    what: str
    name: str
    term: Term
    i: int
    j: int

    @property
    def size(self) -> int:
        """Number of words."""
        return self.j - self.i

    def __contains__(self, other: Hit) -> bool:
        """Whether the words of another hit are among its own."""
        return self.i <= other.i and other.j <= self.j


@dataclass(frozen=True, slots=True)
class Link:
    """Where a mention sits ("none" where unsaid) and its largest size in millimetres (None where unsaid)."""

    tendon: str = "none"
    bone: str = "none"
    landmark: str = "none"
    laterality: str = "none"
    size_mm: float | None = None
    kind: str = ""
    change: str = "none"


class Linker:
    """Prepared anatomy of one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self.sites = rules.sites
        self.spelling = rules.spelling
        self.words = rules.words
        self.joiners = rules.words["joiner"]
        self.lies = rules.words["joiner"] | rules.words["lies_in"]
        self.verbs = rules.words["shows"]
        self.breaks = rules.words["clause_break"]
        self.definite = rules.words["definite"]
        self.words = rules.words
        self.site_phrases: dict[tuple[str, ...], list[Site]] = {}
        for site in rules.sites.values():
            for term in site.terms:
                self.site_phrases.setdefault(term.phrase, []).append(site)
        self.tells_tendon = {f.name for f in rules.findings.values() if f.tells_tendon}
        self._structures = {t.phrase for s in rules.sites.values() if s.kind != "lesion" for t in s.terms if t.phrase}
        self._structures |= {t.phrase for terms in rules.sides.values() for t in terms if t.phrase}
        self._structures |= {t.phrase for f in rules.findings.values() for t in f.terms if t.phrase}
        self._longest = max((len(p) for p in self._structures), default=0)
        named = [s for s in rules.sites.values() if s.region and s.kind in ("joint", "organ", "tendon", "bone")]
        self.regions = {t.phrase: s.region for s in named for t in s.terms}
        self.elsewhere = {s.region for s in named if s.kind == "organ"}
        self.sure = {t.phrase for s in named if not s.generic for t in s.terms}
        self.side_terms = {t.phrase: name for name, terms in rules.sides.items() for t in terms}

    def names_structure(self, heading: str) -> bool:
        """Whether a heading names anatomy, a side or a finding, so that it is a subhead of the findings."""
        return any(True for _ in phrases(self._forms(heading), self._structures, self._longest))

    def region_of(self, text: str) -> tuple[str, bool] | None:
        """The body region that `text` names first, and whether that settles what the report is of."""
        named = phrases(self._forms(text), self.regions, self._longest)
        return next(((self.regions[p], p in self.sure) for p in named), None)

    def side_of(self, text: str) -> str:
        """The one side that `text` names, "bilateral" for both, or "none"."""
        sides = [self.side_terms[p] for p in phrases(self._forms(text), self.side_terms, self._longest)]
        return one_side(s for s in sides if s != "none")

    def _forms(self, text: str) -> tuple[str, ...]:
        return split_words(text, self.spelling).forms


def one_side(sides: Iterable[str]) -> str:
    """left, right, bilateral (both) or none, from all sides named."""
    named = set(sides)
    if "bilateral" in named or {"left", "right"} <= named:
        return "bilateral"
    return next(iter(named), "none")


def same_place(one: Mention, other: Mention) -> bool:
    """Same bone and same side, as far as both are said."""
    bones = {one.bone, other.bone} - {"none", "bone"}
    sides = {one.laterality, other.laterality} - {"none", "bilateral"}
    return len(bones) < 2 and len(sides) < 2


def phrases(forms: Sequence[str], known: Container[tuple[str, ...]], longest: int) -> Iterable[tuple[str, ...]]:
    """The known phrases in the words, the longest at each place."""
    for i in range(len(forms)):
        for j in range(min(len(forms), i + longest), i, -1):
            if tuple(forms[i:j]) in known:
                yield tuple(forms[i:j])
                break
