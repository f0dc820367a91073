"""The sides that a sentence names, and of which of its mentions each is said."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from calcitrace.measures import Measure
from calcitrace.ruleset import Site
from calcitrace.screen import may_match
from calcitrace.sites import LETTERS, Hit, Linker

OPPOSITE = {"left": "right", "right": "left"}
_BREAK = 10.0
_SIZE_OF_SIDE = 2  # words between a side and its own size: "8 mm on the right"
_STATE = 3  # words between a side and how it is: "the right shoulder appears normal"
_REFERENCE = 7  # words between "larger than" and "on the right"
_THERE = frozenset({"there", "was", "were", "seen", "noted", "on", "previously"})
_CORRECTS = re.compile(
    r"(?:\b(?:examined|correct|imaged|studied) side (?:is|was)(?: in fact)?"
    r"|\bside (?:examined|imaged|studied) (?:is|was)(?: in fact)?"
    r"|\bshould (?:read|say|state|have read|have said)(?: as)?"
    r"|\b(?:relates?|refers?|pertains?|applies) to(?=[^.\n]{1,40}?\bnot (?:of |to )?(?:the )?(?:left|right)\b)"
    r"|\bwrong side\b[^.\n]{0,60}? (?:is|was|be)"
    r"|\b(?:correction|corrected|erratum|amendment)\b[^.\n]{0,60}? (?:is|was) of"
    r"|\b(?:correction|erratum|amendment): (?:this|the study|the examination) (?:is|was))"
    r" (?:the |an? )?[\"']?(?P<side>left|right)\b(?! (?:alone|as|in|to|out|behind)\b)",
    re.IGNORECASE | re.ASCII,
)
_MAY_CORRECT = may_match(_CORRECTS.pattern)
_COLONS = (":", "-", "=")
_GOES_ON = frozenset({",", ";", "with", "but", "and"})


class NamedSides:
    """The sides that a sentence names, those told in one breath as both."""

    def __init__(
        self,
        linker: Linker,
        forms: Sequence[str],
        sides: Sequence[Hit],
        sites: Sequence[tuple[Hit, Site]],
        targets: Sequence[Hit],
        measures: Sequence[Measure],
    ) -> None:
        self._words, self._forms, self._targets, self._measures = linker.words, forms, targets, measures
        self._sides = self._joined(_named(sides, forms, sites))

    def of(self, hit: Hit) -> str:
        """The side that is said of a mention: left, right, bilateral, `OTHER_SIDE`, or "" where none is."""
        own = [s for s in self._sides if not self._of_another(s, hit)] if self._targets else self._sides
        return min(own, key=lambda s: self._cost(hit, s)).name if own else ""

    def healthy(self) -> str:
        """The one side that is called healthy, or ""."""
        found = {s.name for s in self._sides if self._is_healthy(s)}
        return found.pop() if len(found) == 1 else ""

    def _joined(self, sides: Sequence[Hit]) -> list[Hit]:
        """Left and right as both where they are told in one breath.

        "On the right and the left", "larger on the right than the left", "right 8 mm, left 3 mm".
        """
        joined: list[Hit] = []
        for side in sorted(sides, key=lambda s: s.i):
            before = joined[-1] if joined else side
            if {before.name, side.name} == OPPOSITE.keys() and self._in_one_breath(before, side):
                joined[-1] = before._replace(name="bilateral", j=side.j)
            else:
                joined.append(side)
        return joined

    def _in_one_breath(self, one: Hit, other: Hit) -> bool:
        """Whether nothing stands between two sides but words that join them, or each has a size of its own."""
        between = self._forms[one.j : other.i]
        joins, fills = self._words["joins_sides"], self._words["between_sides"]
        if not joins.isdisjoint(between) and all(w in joins or w in fills for w in between):
            return True
        if any(one.j <= t.i < other.i for t in self._targets):
            return False
        sized = [{k for k, m in enumerate(self._measures) if self._stands_by(m, s)} for s in (one, other)]
        return any(a != b for a in sized[0] for b in sized[1])

    def _stands_by(self, measure: Measure, side: Hit) -> bool:
        between = self._forms[measure.j : side.i] if measure.j <= side.i else self._forms[side.j : measure.i]
        apart = max(side.i - measure.j, measure.i - side.j)
        return apart <= _SIZE_OF_SIDE and "," not in between

    def _of_another(self, side: Hit, hit: Hit) -> bool:
        """Whether a side behind a mention is that of something else: a healthy one, or one to compare with."""
        if side.i < hit.j:
            return False
        return self._is_healthy(side) or self._is_reference(side, hit) or self._has_none(side, hit)

    def _is_healthy(self, side: Hit) -> bool:
        return _before_a_stop(self._forms[side.j : side.j + _STATE + 1], self._words["healthy"])

    def _is_reference(self, side: Hit, hit: Hit) -> bool:
        before = self._forms[max(hit.j, side.i - _REFERENCE) : side.i]
        return _before_a_stop(before[::-1], self._words["compares"]) or _likens(before)

    def _has_none(self, side: Hit, hit: Hit) -> bool:
        """Whether it is said that there is none on a side: ", none on the left" beside a mention; "left: none"."""
        behind = self._forms[side.j : side.j + 2]
        if next((w for w in behind if w not in _COLONS), "") in self._words["none_there"]:
            return True
        between = self._forms[hit.j : side.i]
        at = next((k for k, word in enumerate(between) if word in self._words["none_there"]), 0)
        return bool(at) and between[at - 1] in _GOES_ON and len(between) - at <= _REFERENCE

    def _cost(self, hit: Hit, side: Hit) -> float:
        """How far a side is from a mention, in words; what stands beyond the end of a clause is far."""
        between = self._forms[hit.j : side.i] if side.i >= hit.j else self._forms[side.j : hit.i]
        return len(between) + _BREAK * sum(w == ";" for w in between)


def corrected_side(text: str) -> str:
    """The side to which a text corrects that of the whole report ("should read LEFT, not right"), else ""."""
    found = [match["side"].lower() for match in _CORRECTS.finditer(text)] if _MAY_CORRECT(text.lower()) else []
    return found[-1] if len(set(found)) == 1 else ""


def _likens(words: Sequence[str]) -> bool:
    """Whether these words before a side liken to it: "much as there was on the right", but not "as well as on"."""
    return any(a != "well" and b == "as" and c in _THERE for a, b, c in zip(words, words[1:], words[2:], strict=False))


def _before_a_stop(words: Sequence[str], wanted: Container[str]) -> bool:
    """Whether a wanted word stands among these before a clause ends."""
    for word in words:
        if word in wanted:
            return True
        if word in (",", ";", "and", "but"):
            return False
    return False


def _named(sides: Sequence[Hit], forms: Sequence[str], sites: Sequence[tuple[Hit, Site]]) -> list[Hit]:
    """The side words of a sentence: the longest, without those that name none ("right under"), and "L ilium"."""
    kept: list[Hit] = []
    for hit in sorted(sides, key=lambda h: (-h.size, h.i)):
        if not any(k.i < hit.j and hit.i < k.j for k in kept):
            kept.append(hit)
    letters = [
        Hit("side", LETTERS[forms[h.i - 1]], h.term, h.i - 1, h.i)
        for h, _ in sites
        if h.i and forms[h.i - 1] in LETTERS
    ]
    return [h for h in kept if h.name != "none"] + letters
