"""The archive screen: tells from a report's raw text, in one pass, which findings it could mention at all.

It is derived from the rules, so that a rule author need not know of it. Every rule has a set of strings of which one
must stand in what it matches (`calcitrace.screen`); here they are turned into strings of the raw text, whatever its
case, hyphens, line wraps, spelling and Unicode, and looked for all at once (Aho and Corasick 1975).
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import combinations

from calcitrace.ruleset import CaseDefinition, Constituent, Finding, RuleSet, Term
from calcitrace.screen import alternatives, prepare
from calcitrace.sentences import LISTS, pieces, pieces_at, stretches
from calcitrace.words import FOLD, INVISIBLE, PREFIXES, letters

SCREENS = ("rules", "case", "none")
STATED = frozenset({"present", "possible"})
LEAST, LEAST_REST = 3, 4  # letters
MOST_TELLING = 6  # letters; more do not make a string rarer
STRETCHES, FEWER, MOST_LETTERS = 12_000, 3_000, 200  # remembered: about 4 megabytes, or 1 beside pieces
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
    """Sets of strings, all looked for at once (Aho and Corasick 1975).

    One with a blank before it begins a word, one with a blank after it ends one.

    Args:
        sets: strings by the number of their set.
        apart: which sets are found matters; else a string that holds another is not looked for.
    """

    def __init__(self, sets: Mapping[int, Iterable[str]], apart: bool = True) -> None:
        from ahocorasick_rs import BytesAhoCorasick, Implementation

        needles: dict[str, int] = {}
        for place, strings in sets.items():
            for string in map(_needle, strings):
                needles[string] = needles.get(string, 0) | 1 << place
        if not apart:
            needles = {n: bits for n, bits in needles.items() if not any(m in n for m in needles if m != n)}
        self._everywhere = needles.pop("", 0)
        self._bits = list(needles.values())
        self._placed = not self._everywhere and needles.keys().isdisjoint(MARKS)
        encoded = [needle.encode() for needle in needles]
        self._find = BytesAhoCorasick(encoded, implementation=Implementation.DFA).find_matches_as_indexes

    def sets(self, text: str) -> int:
        """The sets of which a string stands in a text, as bits."""
        bits, hit = self._bits, self._everywhere
        spelt = text if text.isascii() else plain(text)
        marks = "".join(mark for mark in MARKS if mark in spelt)
        for number, _, _ in self._find(letters(spelt) + marks.encode(), overlapping=True):
            hit |= bits[number]
        return hit

    def places(self, text: str, said: bytes) -> list[int] | None:
        """Where in a text with these `letters` strings stand, a place in each; None where that cannot be told."""
        if not self._placed or not text.isascii() or "\0" in text:
            return None
        return [end - 2 for _, _, end in self._find(said)]


BLANK, MOST_BLANKS = "_", 4  # in a needle; where a word may be cut, more are not told apart
MARKS = "#,"  # they can be all that is left of a word
_STRETCH, _BETWEEN = re.compile("[a-z]+"), re.compile("[^ ]+")


def _with_blanks(found: re.Match[str]) -> str:
    """What was found, with the blank before it and the one after it, where there are some."""
    string, (start, end) = found.string, found.span()
    return string[start - string.startswith(" ", max(start - 1, 0), start) : end + string.startswith(" ", end)]


def _needle(string: str) -> str:
    """What must stand among the letters of a text that holds the string: its longest stretch of letters, or a mark."""
    if BLANK in string:
        return string.replace(BLANK, " ")
    blanked = letters(string)[1:-1].decode()
    stretches = [_with_blanks(found) for found in _STRETCH.finditer(blanked)]
    return max(stretches, key=len) if stretches else next((c for c in string if c in MARKS), "")


class Screen:
    """Tells whether a report must be read in full.

    Args:
        rules: the rule set.
        case: with a case definition, only reports that could meet one of its tiers pass; without, all that a rule of
            a finding or condition could fire on.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition | None = None) -> None:
        prepare(rules)
        self._case, self._common = case, rules.words["common"]
        self.decisive = decisive_findings(case) if case else frozenset()
        self._sets: dict[frozenset[str], int] = {}
        self._noted_words = cache(lambda words: self._noted(frozenset({f" {word} "}) for word in words))
        self._claims: list[Claim] = []
        ways: dict[Claim, set[int]] = {}
        wanted = _wanted(rules, case)
        self.looked_for = frozenset(finding.name for finding in wanted)
        for finding in wanted:
            for term in finding.terms:
                if not term.known:  # it counts only where another term of its finding does
                    found = self._needs(term)
                    ways.setdefault((finding.name, term.told or term.after), set()).update(found)
        self._pieces = list(self._sets)
        self._first: dict[int, list[tuple[int, int]]] = {}
        self._always = 0
        for claim, needs in sorted(ways.items(), key=lambda way: way[0][0] not in self.decisive):
            self._add(claim, needs)
        self._bearing = sum(1 << k for k, claim in enumerate(self._claims) if self._bears(claim))
        self._rarest = sum(1 << place for place in self._first)
        spelt = [(plain(word), standard) for word, standard in rules.spelling.items()]
        written = lru_cache(maxsize=None)(lambda piece: tuple(_written(piece, spelt, self._common)))
        strings = [[n for piece in pieces for n in written(piece)] for pieces in self._pieces]
        self._sets_in = _Needles(dict(enumerate(strings))).sets
        bearing = (p for p, needs in self._first.items() if self._always or any(c & self._bearing for _, c in needs))
        self._places = _Needles({place: strings[place] for place in bearing}, apart=False).places
        self._enough = sum(1 << place for place in self._telling())
        self._hit = _remembered(self._sets_in, STRETCHES)
        self._claims_in = _remembered(lambda stretch: self._open(self._sets_in(stretch)), FEWER)
        self._named = lru_cache(maxsize=2000)(self._of_claims)
        self._told = telling_findings(case) if case else frozenset()
        self._lets = lru_cache(maxsize=200)(lambda named: case is not None and could_be(case, named))

    def _needs(self, term: Term) -> Iterator[int]:
        """The sets of pieces of words of which one each must stand where the term matches, as bits, in every way."""
        if term.phrase:
            telling = frozenset(w for w in term.phrase if w not in self._common and len(w) >= LEAST)
            yield self._noted_words(telling or frozenset({max(term.phrase, key=len)}))
            return
        for sets in alternatives(term):
            yield self._noted({frozenset(_word(s, self._common) for s in strings) for strings in sets})

    def _noted(self, found: Iterable[frozenset[str]]) -> int:
        """Sets of pieces as bits, those that tell most before the others."""
        sets = [s for s in found if all(map(str.strip, s))]
        sets.sort(key=lambda pieces: (sum(p.strip() in self._common for p in pieces), len(pieces)))
        sets = [s for s in sets if all(len(p.strip()) >= LEAST for p in s)] or sets
        return sum({1 << self._sets.setdefault(pieces, len(self._sets)) for pieces in sets})

    def _add(self, claim: Claim, needs: set[int]) -> None:
        """Note in which ways a finding may be there, without those that need more than another one does."""
        self._claims.append(claim)
        bit = 1 << (len(self._claims) - 1)
        alone = sum(need for need in needs if need.bit_count() == 1)
        for need in sorted(needs, key=lambda need: (need.bit_count(), need)):
            if not need:
                self._always |= bit
            elif need.bit_count() == 1 or not need & alone:
                places = [b for b in range(need.bit_length()) if need >> b & 1]
                self._first.setdefault(max(places, key=self._worth), []).append((need, bit))

    def _worth(self, place: int) -> tuple[bool, bool, int, int, int]:
        """How much a set is worth looking for: one that is looked for anyway costs nothing, and the fewer reports hold
        a string of it the better (common words are in most; beginnings of words, longer and fewer strings are rarer).
        """
        pieces = self._pieces[place]
        words = [p.strip() for p in pieces]
        inner = sum(not p.startswith(" ") for p in pieces)
        anyway = place in self._first
        return self._common.isdisjoint(words), anyway, -inner, min(MOST_TELLING, *map(len, words)), -len(pieces)

    def _bears(self, claim: Claim) -> bool:
        """Whether a claim is of a decisive finding, and needs no other decisive one told before."""
        finding, asked = claim
        return finding in self.decisive and not (asked and asked <= self.decisive)

    def _telling(self) -> Iterator[int]:
        """The sets of which one string is enough for a finding."""
        for place, needs in self._first.items():
            if any(need.bit_count() == 1 and not self._claims[c.bit_length() - 1][1] for need, c in needs):
                yield place

    def __call__(self, text: str) -> bool:
        """Whether the report must be read in full, as far as the words of its raw text tell."""
        if self._case is None:
            return self._says_something(text)
        return any(map(self.telling, stretches(text))) and self.lets(self.named(text))

    def _says_something(self, text: str) -> bool:
        """Whether any finding could be mentioned; most reports say so in their first stretches."""
        hit = 0
        for stretch in stretches(text):
            hit |= self._hit(stretch)
            if hit & self._enough:
                return True
        return bool(self._named(self._open(hit)))

    def telling(self, stretch: str) -> bool:
        """Whether a stretch of whole sentences could mention a decisive finding; without one, no tier can be met."""
        return self._claims_in(stretch) & self._bearing != 0

    def among(self, text: str) -> list[str]:
        """The pieces of a text that could mention a decisive finding, at a first glance."""
        said = letters(text)
        places = None if self._always else self._places(text, said)
        if places is None:
            return pieces(text)
        return pieces_at(text, places, LISTS in said) if places else []

    def named(self, text: str) -> frozenset[str]:
        """The findings and conditions that the stretches of a text could mention, each by itself."""
        claims = 0
        for stretch in stretches(text):
            claims |= self._claims_in(stretch)
        return self._named(claims)

    def possible(self, text: str) -> frozenset[str]:
        """The findings and conditions that a report with this text could mention."""
        return self._named(self._open(self._sets_in(text)))

    def _open(self, hit: int) -> int:
        """What a text with strings of these sets could claim, as bits."""
        claims, rare = self._always, hit & self._rarest
        while rare:
            lowest = rare & -rare
            rare ^= lowest
            for need, claim in self._first[lowest.bit_length() - 1]:
                if need & hit == need:
                    claims |= claim
        return claims

    def _of_claims(self, bits: int) -> frozenset[str]:
        claims = [c for k, c in enumerate(self._claims) if bits >> k & 1]
        found = {name for name, asked in claims if not asked}
        while more := {name for name, asked in claims if name not in found and not found.isdisjoint(asked)}:
            found |= more
        return frozenset(found)

    def lets(self, named: frozenset[str]) -> bool:
        """Whether a report that mentions no more than these findings and conditions could meet a tier."""
        return self._lets(named & self._told)


def _remembered(read: Callable[[str], int], most: int) -> Callable[[str], int]:
    """The same function, which remembers what it read in stretches of usual length: they repeat."""
    kept = lru_cache(most)(read)
    return lambda stretch: kept(stretch) if len(stretch) <= MOST_LETTERS else read(stretch)


def _word(string: str, common: frozenset[str]) -> str:
    """The word of a necessary string to tell by, with blanks where it begins and ends: the longest not common one."""
    words = map(_with_blanks, _BETWEEN.finditer(string))
    return max(words, key=lambda word: (word.strip() not in common, len(word.strip())), default="")


def _written(piece: str, spelt: Iterable[tuple[str, str]], common: frozenset[str]) -> Iterator[str]:
    """What stands in the raw text where a standard word has this piece: itself, and its other spellings."""
    yield from _unjoined(piece, common)
    for word, standard in spelt:
        if piece in f" {standard} ":
            yield from _unjoined(f" {word} ", common)


def _unjoined(piece: str, common: frozenset[str]) -> Iterator[str]:
    """What stands for a piece whose word may be cut after a prefix ("sub-cortical", "supra spinatus").

    Its rest, if that tells enough; else the word with as many blanks in it as there may be.
    """
    word = piece.strip()
    prefix = next((p for p in PREFIXES if word.startswith(p) and len(word) > len(p)), "")
    at = piece.index(word) + len(prefix)
    before, rest = piece[:at], piece[at:]
    if not prefix:
        yield piece
    elif len(rest.strip()) >= LEAST_REST and rest.strip() not in common:
        yield rest
    else:
        yield from (f"{before}{BLANK * blanks}{rest}" for blanks in range(MOST_BLANKS))
        yield f"{before}{BLANK * MOST_BLANKS}"


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
    return frozenset(f for c in _telling(case) for f in c.findings)


def _telling(case: CaseDefinition) -> list[Constituent]:
    """The constituents on which it hangs whether a report could be a case."""
    needed = {n for t in case.tiers for n in t.needs}
    needed |= {other for n in needed for other in case.constituents[n].near}
    return [case.constituents[n] for n in needed]


def findings_denied(case: CaseDefinition) -> frozenset[str]:
    """The findings of which a tier may hang on a mention that is denied and no more."""
    own = [c for c in _telling(case) if not c.assertions <= STATED and (not c.changes or "none" in c.changes)]
    return frozenset(f for c in own for f in c.findings)


def decisive_findings(case: CaseDefinition) -> frozenset[str]:
    """The fewest findings of which every tier needs one, so that without all of them no report is a case."""
    findings = sorted(telling_findings(case))
    return next(
        frozenset(few)
        for size in range(len(findings) + 1)
        for few in combinations(findings, size)
        if not could_be(case, set(findings).difference(few))
    )
