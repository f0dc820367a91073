"""The archive screen: tells from a report's raw text, in one pass, which findings it could mention at all.

It is derived from the rules, so that a rule author need not know of it. Every rule has a set of strings of which one
must stand in what it matches (`calcitrace.screen`); here they are turned into strings of the raw text, whatever its
case, hyphens, line wraps, spelling and Unicode, and looked for all at once (Aho and Corasick 1975).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from calcitrace.ruleset import CaseDefinition, Finding, RuleSet, Term
from calcitrace.screen import alternatives, prepare
from calcitrace.words import FOLD, INVISIBLE, PREFIXES

SCREENS = ("rules", "case", "none")
LEAST, LEAST_REST = 3, 4  # letters
MOST_TELLING = 6  # letters; more do not make a string rarer
MOST_USUAL = 16
Claim = tuple[str, frozenset[str]]  # a finding that could be mentioned, and the findings of which one must be too


def plain(text: str) -> str:
    """The text as its words are compared: small letters, without accents, ligatures and invisible characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode("utf-8"))
        text = _unseen().sub("", unicodedata.normalize("NFKD", text.lower().translate(FOLD)))
    return text.lower().replace("\0", "")


@lru_cache(maxsize=1)
def _unseen() -> re.Pattern[str]:
    """Combining and invisible characters, to be dropped."""
    combining = (chr(c) for c in range(sys.maxunicode + 1) if unicodedata.combining(chr(c)))
    return re.compile(f"[{re.escape(''.join(combining) + INVISIBLE)}]+")


class _Needles:
    """Sets of strings, all looked for at once (Aho and Corasick 1975); one with a blank before it begins a word."""

    def __init__(self, sets: Mapping[int, Iterable[str]]) -> None:
        from ahocorasick_rs import AhoCorasick, MatchKind

        needles: dict[str, int] = {}
        for place, strings in sets.items():
            for string in map(_needle, strings):
                needles[string] = needles.get(string, 0) | 1 << place
        self._everywhere = needles.pop("", 0)
        self._bits = list(needles.values())
        self._find = AhoCorasick(list(needles), matchkind=MatchKind.Standard).find_matches_as_indexes

    def matches(self, letters: str) -> list[tuple[int, int, int]]:
        """(number of the string, start, end) of all that stand there."""
        found: list[tuple[int, int, int]] = self._find(letters, overlapping=True)
        return found

    def sets(self, matches: Iterable[tuple[int, int, int]]) -> int:
        """The sets of which a string stands there, as bits."""
        bits, hit = self._bits, self._everywhere
        for number, _, _ in matches:
            hit |= bits[number]
        return hit

    def starts(self, matches: Iterable[tuple[int, int, int]], sets: int, letters: str) -> list[int] | None:
        """Where in the text strings of these sets stand, in order; None if one of them is a mark."""
        bits = self._bits
        found = sorted({start - (letters[start] != " ") for number, start, _ in matches if bits[number] & sets})
        return None if found and found[-1] >= letters.rindex("\n") else found

    def first(self, letters: str) -> str:
        """A string of any set that stands there, "" where none does."""
        return next((letters[start:end] for _, start, end in self.matches(letters)), "")


def _letters(plain_text: str) -> str:
    """The small letters of a plain text, a blank for anything else and before the first; then the marks it holds."""
    letters = plain_text.encode("ascii", "replace").translate(_BLANKED).decode("ascii")
    return f" {letters}\n{''.join(mark for mark in MARKS if mark in plain_text)}"


MARKS = "#,"  # they can be all that is left of a word
_BLANKED = bytes(c if chr(c).islower() else ord(" ") for c in range(256))


def _needle(string: str) -> str:
    """What must stand among the letters of a text that holds the string: its longest stretch of letters, or a mark."""
    blanked = _letters(string).split("\n")[0][1:]
    stretches = [f" {w}" if f" {w}" in blanked else w for w in blanked.split()]
    return max(stretches, key=len) if stretches else next((c for c in string if c in MARKS), "")


class Look(NamedTuple):
    """What a screen sees of a report: the findings that it could mention, and where in the text decisive ones could be.

    Without places (None) they could be anywhere.
    """

    named: frozenset[str]
    spots: Sequence[int] | None


class Screen:
    """Tells whether a report must be read in full.

    Args:
        rules: the rule set.
        case: with a case definition, only reports that could meet one of its tiers pass; without, all that a rule of
            a finding or condition could fire on.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition | None = None) -> None:
        prepare(rules)
        self._case = case
        self.decisive = decisive_findings(case) if case else frozenset()
        self._sets: dict[frozenset[str], int] = {}
        self._claims: list[Claim] = []
        ways: dict[Claim, set[int]] = {}
        for finding in _wanted(rules, case):
            for term in finding.terms:
                if not term.known:  # it counts only where another term of its finding does
                    found = self._needs(term, rules.words["common"])
                    ways.setdefault((finding.name, term.after | term.told), set()).update(found)
        self._pieces = list(self._sets)
        self._first: dict[int, list[tuple[int, int]]] = {}
        self._always = 0
        for claim, needs in ways.items():
            self._add(claim, needs)
        self._bearing = sum(1 << k for k, claim in enumerate(self._claims) if self._bears(claim))
        self._rarest = sum(1 << place for place in self._first)
        spelt = [(plain(word), standard) for word, standard in rules.spelling.items()]
        written = lru_cache(maxsize=None)(lambda piece: tuple(_written(piece, spelt, rules.words["common"])))
        strings = [[n for piece in pieces for n in written(piece)] for pieces in self._pieces]
        self._needles = _Needles(dict(enumerate(strings)))
        self._glance = _Needles({place: strings[place] for place in self._telling()})
        self._usual: list[str] = []
        self._named = lru_cache(maxsize=2000)(self._of_claims)
        self.lets = lru_cache(maxsize=2000)(self._lets)

    def _needs(self, term: Term, common: frozenset[str]) -> Iterator[int]:
        """The sets of pieces of words of which one each must stand where the term matches, as bits, in every way."""
        if term.phrase:
            telling = {w for w in term.phrase if w not in common and len(w) >= LEAST} or {max(term.phrase, key=len)}
            yield self._noted({frozenset({f" {word}"}) for word in telling}, common)
            return
        for sets in alternatives(term):
            yield self._noted({frozenset(_word(s, common) for s in strings) for strings in sets}, common)

    def _noted(self, found: Iterable[frozenset[str]], common: frozenset[str]) -> int:
        """Sets of pieces as bits, those that tell most before the others."""
        sets = [s for s in found if all(map(str.strip, s))]
        sets.sort(key=lambda pieces: (sum(p.strip() in common for p in pieces), len(pieces)))
        sets = [s for s in sets if all(len(p.strip()) >= LEAST for p in s)] or sets
        return sum({1 << self._sets.setdefault(pieces, len(self._sets)) for pieces in sets})

    def _add(self, claim: Claim, needs: set[int]) -> None:
        """Note in which ways a finding may be there, without those that need more than another one does."""
        self._claims.append(claim)
        bit = 1 << (len(self._claims) - 1)
        alone = sum(need for need in needs if need.bit_count() == 1)
        for need in needs:
            if not need:
                self._always |= bit
            elif need.bit_count() == 1 or not need & alone:
                places = (b for b in range(need.bit_length()) if need >> b & 1)
                self._first.setdefault(max(places, key=self._worth), []).append((need, bit))

    def _worth(self, place: int) -> tuple[int, int]:
        """How few reports hold a string of a set: longer ones are rarer, then fewer of them."""
        pieces = self._pieces[place]
        return min(MOST_TELLING, *(len(p.strip()) for p in pieces)), -len(pieces)

    def _bears(self, claim: Claim) -> bool:
        """Whether a claim is of a decisive finding, and needs no other decisive one told before."""
        finding, asked = claim
        return finding in self.decisive and not (asked and asked <= self.decisive)

    def _telling(self) -> Iterator[int]:
        """Sets to look for before all others.

        Without a case, those that are enough for a finding; with one, those of which every case needs one.
        """
        for place, needs in self._first.items():
            for need, claim in needs:
                asked = self._claims[claim.bit_length() - 1][1]
                if claim & self._bearing if self._case else (not asked and need.bit_count() == 1):
                    yield place

    def __call__(self, text: str) -> bool:
        """Whether the report must be read in full."""
        if self._case is None and self._says_something(_letters(plain(text))):
            return True
        return self.look(text) is not None

    def look(self, text: str) -> Look | None:
        """What is seen of a report that must be read in full; None for another."""
        letters = _letters(plain(text))
        if self._case is not None and not (self._always or self._glance.first(letters)):
            return None
        matches = self._needles.matches(letters)
        claims, places = self._open(self._needles.sets(matches))
        named = self._named(claims)
        if not self.lets(named):
            return None
        placed = not self._always and text.isascii() and "\0" not in text
        return Look(named, self._needles.starts(matches, places, letters) if placed else None)

    def beside(self, look: Look, found: frozenset[str]) -> bool:
        """Whether a report must be read in full whose spots hold these findings.

        Where no decisive one is found, there is none; where one is, others could be told of it anywhere.
        """
        return self.lets(look.named if found & self.decisive else look.named - self.decisive)

    def possible(self, text: str) -> frozenset[str]:
        """The findings and conditions that a report with this text could mention."""
        return self._named(self._open(self._needles.sets(self._needles.matches(_letters(plain(text)))))[0])

    def _open(self, hit: int) -> tuple[int, int]:
        """What a text with strings of these sets could claim, and the sets by which decisive claims are, as bits."""
        claims, places, rare = self._always, 0, hit & self._rarest
        while rare:
            lowest = rare & -rare
            rare ^= lowest
            for need, claim in self._first[lowest.bit_length() - 1]:
                if need & hit == need:
                    claims |= claim
                    if claim & self._bearing:
                        places |= lowest
        return claims, places

    def _of_claims(self, bits: int) -> frozenset[str]:
        claims = [c for k, c in enumerate(self._claims) if bits >> k & 1]
        found = {name for name, asked in claims if not asked}
        while more := {name for name, asked in claims if name not in found and not found.isdisjoint(asked)}:
            found |= more
        return frozenset(found)

    def _says_something(self, letters: str) -> bool:
        """Whether a string stands there that is enough for a finding; what was seen before is looked for first."""
        if any(string in letters for string in self._usual):
            return True
        seen = self._glance.first(letters)
        if seen:
            self._usual = [seen, *self._usual[: MOST_USUAL - 1]]
        return bool(seen)

    def _lets(self, named: frozenset[str]) -> bool:
        """Whether a report that mentions no more than these findings and conditions must be read in full."""
        return bool(named) if self._case is None else could_be(self._case, named)


def _word(string: str, common: frozenset[str]) -> str:
    """The word of a necessary string to tell by: the longest that is not common; with a blank if it begins there."""
    word = max(string.split(" "), key=lambda word: (word not in common, len(word)))
    return f" {word}" if f" {word}" in string else word


def _written(piece: str, spelt: Iterable[tuple[str, str]], common: frozenset[str]) -> Iterator[str]:
    """What stands in the raw text where a standard word has this piece: itself, and its other spellings."""
    yield _unjoined(piece, common)
    for word, standard in spelt:
        if piece in f" {standard}":
            yield _unjoined(f" {word}", common)


def _unjoined(piece: str, common: frozenset[str]) -> str:
    """What is left of a piece if its word may be cut after a prefix ("sub-cortical", "supra spinatus")."""
    word = piece.lstrip()
    for prefix in PREFIXES:
        if word.startswith(prefix) and len(word) > len(prefix):
            rest = word[len(prefix) :]
            return rest if len(rest) >= LEAST_REST and rest not in common else prefix
    return piece


def could_be(case: CaseDefinition, named: Iterable[str]) -> bool:
    """Whether mentions of these findings could fill all constituents of a tier."""
    named = set(named)
    there = {n for n, c in case.constituents.items() if not named.isdisjoint(c.findings)}
    near = {n for n in there if not case.constituents[n].near or not there.isdisjoint(case.constituents[n].near)}
    return any(near.issuperset(t.needs) for t in case.tiers)


def _wanted(rules: RuleSet, case: CaseDefinition | None) -> list[Finding]:
    """The findings and conditions to look for: all, or those of the case, and those that must be told before them."""
    everything = {**rules.findings, **rules.conditions}
    wanted = set(telling_findings(case) if case else everything)
    while more := {n for f in wanted for t in everything[f].terms for n in t.after | t.told} - wanted:
        wanted |= more
    return [f for name, f in everything.items() if name in wanted]


def telling_findings(case: CaseDefinition) -> frozenset[str]:
    """The findings on which it hangs whether a report could be a case."""
    needed = {n for t in case.tiers for n in t.needs}
    needed |= {other for n in needed for other in case.constituents[n].near}
    return frozenset(f for n in needed for f in case.constituents[n].findings)


def decisive_findings(case: CaseDefinition) -> frozenset[str]:
    """The fewest findings of which every tier needs one, so that without all of them no report is a case."""
    findings = sorted(telling_findings(case))
    return next(
        frozenset(few)
        for size in range(len(findings) + 1)
        for few in combinations(findings, size)
        if not could_be(case, set(findings).difference(few))
    )
