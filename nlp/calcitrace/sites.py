"""Anatomy prepared for linking: what a structure, a side or a region is called, and what a hit and a link are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from calcitrace.circumstances import Outcomes
from calcitrace.model import Mention
from calcitrace.ruleset import CueGroup, RuleSet, Site, Term
from calcitrace.words import Words, split_words

REMEMBERED = 2000  # headings and titles repeat
OTHER_SIDE = "other"  # of terms like "the contralateral side"
LETTERS = {"l": "left", "r": "right"}
READ_TWICE = 8  # lines that are asked for their region and for their side


class Hit(NamedTuple):
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

    def holds(self, other: Hit) -> bool:
        """Whether the words of another hit are among its own."""
        return self.i <= other.i and other.j <= self.j


class CueHit(NamedTuple):
    """A context rule that reaches a target: its group, its term and its words `i:j` of the sentence."""

    group: CueGroup
    term: Term
    i: int
    j: int


class Judged:
    """All that the rules say of one sentence, in word positions: the hits of targets and of anatomy.

    The cues of the targets are looked for when they are first asked for: a screen needs none.
    """

    __slots__ = ("_cues", "_look", "hits", "sides", "sites")

    def __init__(self, hits: tuple[Hit, ...], sites: tuple[Hit, ...], sides: tuple[Hit, ...], look: Looking) -> None:
        self.hits, self.sites, self.sides = hits, sites, sides
        self._look: Looking | None = look
        self._cues: Sequence[tuple[CueHit, ...]] = ()

    @property
    def targets(self) -> list[tuple[Hit, tuple[CueHit, ...]]]:
        """The hits, each with its cues."""
        if self._look is not None:
            self._cues, self._look = tuple(self._look(self.hits)), None
        return list(zip(self.hits, self._cues, strict=True))


Looking = Callable[[Sequence[Hit]], Sequence[tuple[CueHit, ...]]]  # for each of these hits its cues
Claim = tuple[str, frozenset[str], bool]  # a finding, those of which one must be told, whether it is sited


def no_cues(_: Sequence[Hit]) -> Sequence[tuple[CueHit, ...]]:
    """Those of a sentence without targets."""
    return ()


NOTHING_JUDGED = Judged((), (), (), no_cues)  # one for all sentences of which it is true


class Named(NamedTuple):
    """The structures that a sentence names, the kinds of those that tell of what it speaks, and the last site."""

    sites: Sequence[tuple[Hit, Site]]
    kinds: Sequence[str]
    last: Site | None


NOTHING_NAMED = Named((), (), None)


@dataclass(slots=True)
class Sentence:
    """What a sentence's text says by itself, whatever report it stands in; equal sentences share one.

    `words` are counted from the sentence's beginning, and have no places where there are no hits (most sentences of an
    archive are remembered, and most have none); `sides` are the sides it names, `slips` those of dictation once they
    were asked for; `asks` are the findings of which it matters whether the report has named them; `measures` says that
    it may tell the size of what was spoken of before.
    """

    text: str
    words: Words
    judged: Judged
    hits: Sequence[Hit]
    sides: Sequence[str]
    asks: frozenset[str]
    measures: bool = False
    slips: frozenset[str] | None = None
    sites_in: tuple[tuple[str, Named], ...] = ()  # by region
    claims_in: Outcomes[frozenset[Claim]] = field(default_factory=Outcomes)
    read_in: Outcomes[Any] = field(default_factory=Outcomes)


HitsOf = Callable[[Sentence], Sequence[Hit]]  # what picks hits of a sentence


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
        named = [(t.phrase, s) for s in rules.sites.values() for t in s.terms if t.phrase]
        self.site_phrases: dict[tuple[str, ...], list[Site]] = {}
        for phrase, site in named:
            self.site_phrases.setdefault(phrase, []).append(site)
        self._sites = Phrases(self.site_phrases)
        self.tells_tendon = {f.name for f in rules.findings.values() if f.tells_tendon}
        self.describes = {f.name for f in rules.findings.values() if f.describes}
        sides = {t.phrase: name for name, terms in rules.sides.items() for t in terms if t.phrase}
        findings = [t.phrase for f in rules.findings.values() for t in f.terms if t.phrase]
        self._structures = Phrases([*(p for p, s in named if s.kind != "lesion"), *sides, *findings])
        settling = [(p, s) for p, s in named if s.region and s.kind in ("joint", "organ", "tendon", "bone")]
        regions = dict[tuple[str, ...], set[str]]()
        for phrase, site in settling:
            regions.setdefault(phrase, set()).add(site.region)
        self._regions = {p: one.pop() for p, one in regions.items() if len(one) == 1}  # "biceps" may be of two
        self._region_names = Phrases(self._regions)
        self.elsewhere = {s.region for _, s in settling if s.kind == "organ"}
        self._sure = {p for p, s in settling if not s.generic}
        self._side_terms, self._side_names = sides, Phrases(sides)
        self._forms = lru_cache(READ_TWICE)(self._read)
        self.names_structure = lru_cache(REMEMBERED)(self._names_structure)
        self.region_of = lru_cache(REMEMBERED)(self._region_of)
        self.side_of = lru_cache(REMEMBERED)(self._side_of)
        self.sites_of = lru_cache(REMEMBERED)(self._sites_of)

    def _names_structure(self, heading: str) -> bool:
        """Whether a heading names anatomy, a side or a finding, so that it is a subhead of the findings."""
        return any(True for _ in self._structures.find(self._forms(heading)))

    def _region_of(self, text: str) -> tuple[str, bool] | None:
        """The body region that `text` names first, and whether that settles what the report is of."""
        named = self._region_names.find(self._forms(text))
        return next(((self._regions[p], p in self._sure) for p in named), None)

    def _side_of(self, text: str) -> str:
        """The one side that `text` names, "bilateral" for both, or "none"."""
        forms = self._forms(text)
        if len(forms) == 1 and forms[0] in LETTERS:
            return LETTERS[forms[0]]
        return one_side(self.sides_in(forms))

    def _sites_of(self, text: str) -> tuple[Site, ...]:
        """The structures that `text` names, in order."""
        return tuple(s for p in self._sites.find(self._forms(text)) for s in self.site_phrases[p])

    def bones_in(self, forms: tuple[str, ...]) -> list[Site]:
        """The bones and landmarks that these words name; words within longer ones (tuberosity) name nothing more."""
        named, end = dict[str, Site](), 0
        for i, phrase in self._sites.places(forms):
            if i + len(phrase) > end:
                end = i + len(phrase)
                named |= {site.name: site for site in self.site_phrases[phrase] if site.kind == "bone"}
        return list(named.values())

    def sides_in(self, forms: tuple[str, ...]) -> list[str]:
        """The sides that these words name; which one another side is, words alone do not tell."""
        named, end = list[str](), 0
        for i, phrase in self._side_names.places(forms):
            if i >= end:  # words within longer ones (what *is left*) name nothing more
                end = i + len(phrase)
                named.append(self._side_terms[phrase])
        return [side for side in named if side != OTHER_SIDE]

    def _read(self, text: str) -> tuple[str, ...]:
        return split_words(text, self.spelling).forms


def one_side(sides: Iterable[str]) -> str:
    """left, right, bilateral (both) or none, from all sides named."""
    named = set(sides) - {"none"}
    if "bilateral" in named or {"left", "right"} <= named:
        return "bilateral"
    return next(iter(named), "none")


def same_place(one: Mention, other: Mention) -> bool:
    """Same bone and same side, as far as both are said."""
    bones = {one.bone, other.bone} - {"none", "bone"}
    sides = {one.laterality, other.laterality} - {"none", "bilateral"}
    return len(bones) < 2 and len(sides) < 2


class Phrases:
    """Known phrases, found by their first word."""

    def __init__(self, known: Iterable[tuple[str, ...]]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in sorted(set(known), key=lambda p: -len(p)):
            self._by_first.setdefault(phrase[0], []).append(phrase)

    def find(self, forms: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """The phrases in the words, the longest at each place."""
        return (phrase for _, phrase in self.places(forms))

    def places(self, forms: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The same, each with its place."""
        for i, word in enumerate(forms):
            for phrase in self._by_first.get(word, ()):
                if forms[i : i + len(phrase)] == phrase:
                    yield i, phrase
                    break
