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
from calcitrace.screen import alternatives
from calcitrace.words import FOLD, INVISIBLE, PREFIXES

SCREENS = ("rules", "case", "none")
LEAST, LEAST_REST = 3, 4  # letters
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
        self._claims: list[Claim] = []
        ways: dict[Claim, set[int]] = {}
        for finding in (*rules.findings.values(), *rules.conditions.values()):
            for term in finding.terms:
                found = self._needs(term, rules.words["common"])
                ways.setdefault((finding.name, term.after | term.told), set()).update(found)
        self._first: dict[int, list[tuple[int, int]]] = {}
        self._always = 0
        for claim, needs in ways.items():
            self._add(claim, needs)
        spelt = [(plain(word), standard) for word, standard in rules.spelling.items()]
        written = lru_cache(maxsize=None)(lambda piece: tuple(_written(piece, spelt, rules.words["common"])))
        needles: dict[str, list[int]] = {}
        for strings, place in self._sets.items():
            for needle in (n for piece in strings for n in written(piece)):
                needles.setdefault(needle.lstrip(), [0, 0])[needle[0] == " "] |= 1 << place
        self._bits = list(needles.values())
        self._rarest = sum(1 << place for place in self._first)
        self._find = AhoCorasick(list(needles), matchkind=MatchKind.Standard).find_matches_as_indexes
        self._named = lru_cache(maxsize=50_000)(self._of_claims)
        self.lets = lru_cache(maxsize=50_000)(self._lets)

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
                first = max(b for b in range(need.bit_length()) if need >> b & 1)
                self._first.setdefault(first, []).append((need, bit))

    def possible(self, text: str) -> frozenset[str]:
        """The findings and conditions that a report with this text could mention."""
        text = plain(text)
        hit, bits = 0, self._bits
        for number, start, _ in self._find(text, overlapping=True):
            anywhere, at_start = bits[number]
            hit |= anywhere
            if at_start and not (start and text[start - 1].isalpha()):
                hit |= at_start
        claims, rare = self._always, hit & self._rarest
        while rare:
            lowest = rare & -rare
            rare ^= lowest
            for need, claim in self._first[lowest.bit_length() - 1]:
                if need & hit == need:
                    claims |= claim
        return self._named(claims)

    def _of_claims(self, bits: int) -> frozenset[str]:
        claims = [c for k, c in enumerate(self._claims) if bits >> k & 1]
        found = {name for name, asked in claims if not asked}
        while more := {name for name, asked in claims if name not in found and not found.isdisjoint(asked)}:
            found |= more
        return frozenset(found)

    def __call__(self, text: str) -> bool:
        """Whether the report must be read in full."""
        return self.lets(self.possible(text))

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
