"""The archive screen: tells from a report's raw text, in one pass, which findings it could mention at all.

It is derived from the rules, so that a rule author need not know of it. Every rule has a set of strings of which one
must stand in what it matches (`calcitrace.screen`); here they are turned into strings of the raw text, whatever its
case, hyphens, line wraps, spelling and Unicode, and looked for all at once (Aho and Corasick 1975).
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from calcitrace.ruleset import CaseDefinition, RuleSet, Term
from calcitrace.screen import all_necessary
from calcitrace.words import FOLD, INVISIBLE, PREFIXES

SCREENS = ("rules", "case", "none")
LEAST_REST = 4
Claim = tuple[str, frozenset[str]]  # a finding that could be mentioned, and the findings of which one must be too


def plain(text: str) -> str:
    """The text as its words are compared: small letters, without accents, ligatures and invisible characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode("utf-8"))
        text = unicodedata.normalize("NFKD", text.lower().translate(FOLD)).translate(_unseen())
    return text.lower().replace("\0", "")


@lru_cache(maxsize=1)
def _unseen() -> dict[int, None]:
    """Combining and invisible characters, to be dropped."""
    combining = (c for c in range(sys.maxunicode + 1) if unicodedata.combining(chr(c)))
    return dict.fromkeys([*combining, *map(ord, INVISIBLE)])


class Screen:
    """Tells whether a report must be read in full.

    Args:
        rules: the rule set.
        case: with a case definition, only reports that could meet one of its tiers pass; without, all that a rule of
            a finding or condition could fire on.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition | None = None) -> None:
        from ahocorasick_rs import AhoCorasick, MatchKind

        self._case = case
        self._sets: dict[frozenset[str], int] = {}
        self._first: dict[int, set[tuple[int, Claim]]] = {}
        self._always: set[Claim] = set()
        for finding in (*rules.findings.values(), *rules.conditions.values()):
            for term in finding.terms:
                self._learn(term, (finding.name, term.after | term.told), rules.words["common"])
        spelt = [(plain(word), standard) for word, standard in rules.spelling.items()]
        written = lru_cache(maxsize=None)(lambda piece: tuple(_written(piece, spelt, rules.words["common"])))
        needles: dict[str, int] = {}
        for strings, place in self._sets.items():
            for needle in (n for piece in strings for n in written(piece)):
                needles[needle] = needles.get(needle, 0) | 1 << place
        self._bits = list(needles.values())
        self._rarest = sum(1 << place for place in self._first)
        self._find = AhoCorasick(list(needles), matchkind=MatchKind.Standard).find_matches_as_indexes

    def _learn(self, term: Term, claim: Claim, common: frozenset[str]) -> None:
        """Note the sets of pieces of words of which one each must stand where the term matches, the best to tell by."""
        strings = [frozenset({" ".join(term.phrase)})] if term.phrase else all_necessary(term)
        found = {frozenset(_word(s, common) for s in own) for own in strings}
        sets = sorted((s for s in found if "" not in s), key=lambda pieces: (len(pieces & common), len(pieces)))
        if not sets:
            self._always.add(claim)
            return
        places = [self._sets.setdefault(pieces, len(self._sets)) for pieces in sets]
        self._first.setdefault(places[0], set()).add((sum({1 << p for p in places}), claim))

    def possible(self, text: str) -> set[str]:
        """The findings and conditions that a report with this text could mention."""
        hit = 0
        for number in {m[0] for m in self._find(plain(text), overlapping=True)}:
            hit |= self._bits[number]
        claims, rare = set(self._always), hit & self._rarest
        while rare:
            lowest = rare & -rare
            rare ^= lowest
            claims.update(c for need, c in self._first[lowest.bit_length() - 1] if need & hit == need)
        found = {name for name, asked in claims if not asked}
        while more := {name for name, asked in claims if name not in found and not found.isdisjoint(asked)}:
            found |= more
        return found

    def __call__(self, text: str) -> bool:
        """Whether the report must be read in full."""
        return self.lets(self.possible(text))

    def lets(self, named: Iterable[str]) -> bool:
        """Whether a report that mentions no more than these findings and conditions must be read in full."""
        return bool(set(named)) if self._case is None else could_be(self._case, named)


def _word(string: str, common: frozenset[str]) -> str:
    """The word of a necessary string to tell by: the longest that does not stand in most reports."""
    return max(string.split(" "), key=lambda word: (word not in common, len(word)))


def _written(piece: str, spelt: Iterable[tuple[str, str]], common: frozenset[str]) -> Iterator[str]:
    """What stands in the raw text where a standard word has this piece: itself, and its other spellings."""
    yield _unjoined(piece, common)
    for word, standard in spelt:
        if piece in standard:
            yield _unjoined(word, common)


def _unjoined(piece: str, common: frozenset[str]) -> str:
    """What is left of a piece if its word may be cut after a prefix ("sub-cortical", "supra spinatus")."""
    for prefix in PREFIXES:
        if piece.startswith(prefix) and len(piece) > len(prefix):
            rest = piece[len(prefix) :]
            return rest if len(rest) >= LEAST_REST and rest not in common else prefix
    return piece


def could_be(case: CaseDefinition, named: Iterable[str]) -> bool:
    """Whether mentions of these findings could fill all constituents of a tier."""
    named = set(named)
    there = {n for n, c in case.constituents.items() if not named.isdisjoint(c.findings)}
    near = {n for n in there if not case.constituents[n].near or not there.isdisjoint(case.constituents[n].near)}
    return any(near.issuperset(t.needs) for t in case.tiers)
