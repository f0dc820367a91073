"""The fast path: judges a sentence as medspaCy's TargetMatcher and ConText do, without building a document.

It replaces how medspaCy's components are called, not what they decide: `MedspacyJudge` stays as the reference, and
a test holds the two equal on every corpus at hand. The quirks of medspaCy 1.3.1 are kept and named where they stand.
"""

from __future__ import annotations

import bisect
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from ahocorasick_rs import BytesAhoCorasick

from calcitrace.compiled import compiled
from calcitrace.ruleset import CueGroup, RuleSet, Term
from calcitrace.screen import nearby_too, necessary
from calcitrace.sites import Hit
from calcitrace.words import letters

Span = tuple[int, int]
_LETTERS = f"{string.ascii_lowercase} ".encode()
SETS, MOST_LETTERS = 4, 8  # more letters of a string do not make it much rarer
TokenMatcher = Callable[[Sequence[str], Sequence[tuple[int, Term]]], list[tuple[int, int, int]]]


class PhraseTable:
    """All phrases of a rule set as a tree of words; finds every occurrence, overlaps included."""

    def __init__(self, phrases: Iterable[tuple[tuple[str, ...], int]]) -> None:
        self._tree: dict[str, Any] = {}
        for words, number in phrases:
            node = self._tree
            for word in words:
                node = node.setdefault(word, {})
            node.setdefault("", []).append(number)

    def find(self, forms: Sequence[str]) -> list[tuple[int, int, int]]:
        """(number, i, j) of each phrase that stands in the sentence, in order of i, then j."""
        found: list[tuple[int, int, int]] = []
        size, tree = len(forms), self._tree
        for i in range(size):
            node = tree.get(forms[i])
            j = i + 1
            while node is not None:
                if "" in node:
                    found.extend((number, i, j) for number in node[""])
                if j == size:
                    break
                node = node.get(forms[j])
                j += 1
        return found


class RegexTable:
    """The regex terms, each tried only where the sentence holds a string of every necessary set (up to `SETS`).

    The strings are looked for all at once (Aho and Corasick 1975). What each of them satisfies are bits of an integer:
    as many as there are rules for the first set of each, as many for the second ...
    """

    def __init__(self, terms: Iterable[tuple[int, Term]]) -> None:
        found = [(number, term.regex or "", _telling(nearby_too(term))) for number, term in terms]
        self._rules = [(number, regex) for number, regex, _ in found]
        self._shifts = range(0, SETS * len(found), max(len(found), 1))
        self._free = 0
        needles: dict[bytes, int] = {}
        for place, (_, _, sets) in enumerate(found):
            for k, shift in enumerate(self._shifts):
                bit = 1 << (shift + place)
                if k >= len(sets):
                    self._free |= bit
                    continue
                for needle in sets[k]:
                    needles[needle] = needles.get(needle, 0) | bit
        self._all = (1 << len(found)) - 1
        self._satisfied = list(needles.values())
        self._needles_in = BytesAhoCorasick(list(needles)).find_matches_as_indexes

    def find(self, forms: Sequence[str]) -> list[tuple[int, int, int]]:
        """(number, i, j) of each match, widened to whole words as medspaCy does, in order of rules."""
        text = " ".join(forms) + " "
        wanted = self._wanted(text)
        if not wanted:
            return []
        starts = [0, *accumulate(len(f) + 1 for f in forms)][: len(forms)]
        found: list[tuple[int, int, int]] = []
        while wanted:
            lowest = wanted & -wanted
            wanted ^= lowest
            number, regex = self._rules[lowest.bit_length() - 1]
            for match in compiled(regex).finditer(text):
                i, j = _to_words(forms, starts, match.start(), match.end())
                if j > i:
                    found.append((number, i, j))
        return found

    def _wanted(self, text: str) -> int:
        """The rules that a sentence calls for, as bits."""
        satisfied, bits = self._free, self._satisfied
        for needle, _, _ in self._needles_in(letters(text) + _marks(text), overlapping=True):
            satisfied |= bits[needle]
        wanted = self._all
        for shift in self._shifts:
            wanted &= satisfied >> shift
        return wanted


def _telling(sets: Iterable[frozenset[str]]) -> list[frozenset[bytes]]:
    """What must stand for strings of sets, the best sets: none that says much the same as one before."""
    kept: list[frozenset[bytes]] = []
    for strings in sets:
        begun = set(map(_begun, strings))
        found = frozenset(b for b in begun if not any(b[:k] in begun for k in range(1, len(b))))
        if all(map(_tells, found)) and not any(_much_the_same(k, found) for k in kept):
            kept.append(found)
    return kept[:SETS]


def _tells(begun: bytes) -> bool:
    """Whether the beginning of a string is more than one letter, which any word may hold, or a mark."""
    return len(begun) > 1 or begun.strip(_LETTERS) != b""


def _begun(said: str) -> bytes:
    """How a string begins among the letters of a text, or the first of its marks if it has no letters."""
    begun = letters(said)[1:-1][:MOST_LETTERS]
    return begun if begun.strip() else _marks(said)[:1]


def _marks(text: str) -> bytes:
    """All of a text in small letters but these and blanks."""
    return text.encode("utf-8", "replace").translate(None, _LETTERS)


def _much_the_same(one: frozenset[bytes], other: frozenset[bytes]) -> bool:
    """Whether sets of strings share half of those of the smaller one, wherever in words these stand."""
    shared = set(map(bytes.strip, one)).intersection(map(bytes.strip, other))
    return 2 * len(shared) >= min(len(one), len(other))


def _to_words(forms: Sequence[str], starts: Sequence[int], start: int, end: int) -> Span:
    """The words of a character range; a range that cuts words is widened (medspaCy's RegexMatcher)."""
    i = bisect.bisect_left(starts, start)
    k = bisect.bisect_left(starts, end)
    if i < len(starts) and starts[i] == start and k and starts[k - 1] + len(forms[k - 1]) == end:
        return i, k
    if not (i < len(starts) and starts[i] == start):
        i = (i if i < len(starts) else len(starts)) - 1
        i = max(i, -1) % len(starts) if starts else 0
    return i, k if k < len(starts) else len(forms)


@dataclass(slots=True)
class Modifier:
    """A cue in a sentence with the reach it has left."""

    group: CueGroup
    term: Term
    i: int
    j: int
    low: int
    high: int


class Contexts:
    """The context rules: finds the cues of a sentence and which targets they modify."""

    def __init__(self, rules: RuleSet, match_tokens: TokenMatcher, never: Callable[[CueGroup], set[str]]) -> None:
        self._cues = [(g, t) for g in rules.cues for t in g.terms]
        numbered = list(enumerate(t for _, t in self._cues))
        self._phrases = PhraseTable((t.phrase, n) for n, t in numbered if t.phrase)
        self._regexes = RegexTable((n, t) for n, t in numbered if t.regex)
        self._tokens = TokenTable([(n, t) for n, t in numbered if t.tokens], match_tokens)
        self._ends = {g.name: {n.upper() for n in g.ends_at} | {g.name.upper()} for g in rules.cues}
        self._only = {g.name: {n.upper() for n in g.only} for g in rules.cues}
        self._never = {g.name: {n.upper() for n in never(g)} for g in rules.cues}

    def read(self, forms: Sequence[str]) -> tuple[list[Modifier], list[Modifier]]:
        """The cues of a sentence with the scope that is left to them, and those that a longer one put aside."""
        found = self._tokens.find(forms) + self._phrases.find(forms) + self._regexes.find(forms)
        kept = longest(found)
        modifiers = [self._modifier(n, i, j, len(forms)) for n, i, j in kept]
        self._limit(modifiers)
        return modifiers, [self._modifier(*m, len(forms)) for m in found if m not in kept]

    def edges(self, forms: Sequence[str], targets: Sequence[Hit]) -> list[list[Modifier]]:
        """For each target the cues that modify it."""
        modifiers, _ = self.read(forms)
        reached: list[list[int]] = [[] for _ in modifiers]
        for number, target in enumerate(targets):
            for m, modifier in enumerate(modifiers):
                if self._modifies(modifier, target):
                    reached[m].append(number)
        edges: list[list[Modifier]] = [[] for _ in targets]
        for modifier, numbers in zip(modifiers, reached, strict=True):
            for number in _nearest(modifier, numbers, targets):
                edges[number].append(modifier)
        return edges

    def _modifier(self, number: int, i: int, j: int, size: int) -> Modifier:
        group, term = self._cues[number]
        low, high = 0, size
        if group.direction == "forward":
            low = j
            if group.max_scope is not None and high - low > group.max_scope:
                high = j + group.max_scope
        elif group.direction == "backward":
            high = i
            if group.max_scope is not None and high - low > group.max_scope:
                low = i - group.max_scope
        elif group.max_scope is not None:
            low = i - group.max_scope if i - low > group.max_scope else low
            high = j + group.max_scope if high - j > group.max_scope else high
        return Modifier(group, term, i, j, low, high)

    def _limit(self, modifiers: Sequence[Modifier]) -> None:
        """Each cue ends the reach of those that its group ends, pair by pair in medspaCy's order."""
        for a in range(len(modifiers) - 1):
            for b in range(a + 1, len(modifiers)):
                self._limit_one(modifiers[a], modifiers[b])
                self._limit_one(modifiers[b], modifiers[a])

    def _limit_one(self, one: Modifier, other: Modifier) -> None:
        if not _overlaps((one.low, one.high), (other.low, other.high)):
            return
        if other.group.name.upper() not in self._ends[one.group.name]:
            return
        if one.group.name == other.group.name and (one.group is not other.group):
            return
        direction = one.group.direction
        both = direction in ("bidirectional",)
        if (direction == "forward" or both) and other.i > one.i:
            one.high = min(one.high, other.i)
        if (direction == "backward" or both) and other.j < one.j:
            one.low = max(one.low, other.j)

    def _modifies(self, modifier: Modifier, target: Hit) -> bool:
        group = modifier.group
        if group.direction == "pseudo" or _overlaps((modifier.i, modifier.j), (target.i, target.j)):
            return False
        label = target.name.upper()
        only, never = self._only[group.name], self._never[group.name]
        if (only and label not in only) or (not only and label in never):
            return False
        return _overlaps((modifier.low, modifier.high), (target.i, target.j))


class TokenTable:
    """The token patterns, given to spaCy's matcher only where one of their necessary words stands."""

    def __init__(self, terms: Sequence[tuple[int, Term]], match: TokenMatcher) -> None:
        self._match = match
        self._rules = [(n, t, needed) for n, t in terms for needed in (necessary(t),)]

    def find(self, forms: Sequence[str]) -> list[tuple[int, int, int]]:
        """(number, i, j) of each match in the matcher's own order."""
        if not self._rules:
            return []
        words = set(forms)
        wanted = [(n, t) for n, t, needed in self._rules if needed is None or needed & words]
        return self._match(forms, wanted) if wanted else []


def _overlaps(a: Span, b: Span) -> bool:
    """medspaCy's test of overlap; it misses a range `a` that lies strictly inside `b`."""
    return a[0] <= b[0] < a[1] or a[0] < b[1] <= a[1]


def _nearest(modifier: Modifier, numbers: list[int], targets: Sequence[Hit]) -> list[int]:
    most = modifier.group.max_targets
    if most is None or len(numbers) <= most:
        return numbers

    def distance(n: int) -> int:
        return min(abs(modifier.i - targets[n].j), abs(targets[n].i - modifier.j))

    return sorted(numbers, key=distance)[:most]


def longest(matches: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """medspaCy's pruning: of two neighbours that overlap the longer stays, again and again until none do."""
    while True:
        ordered = sorted(matches, key=lambda m: (m[1], m[2]))
        kept: list[tuple[int, int, int]] = []
        k = 0
        while k < len(ordered):
            here = ordered[k]
            following = ordered[k + 1] if k + 1 < len(ordered) else None
            if following is not None and _overlaps(here[1:], following[1:]):
                kept.append(here if here[2] - here[1] >= following[2] - following[1] else following)
                k += 2
            else:
                kept.append(here)
                k += 1
        if len(kept) == len(matches):
            return kept
        matches = kept
