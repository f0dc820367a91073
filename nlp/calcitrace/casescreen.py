"""Whether a report could meet a tier of the case definition: each step sees more of it, and takes longer."""

from __future__ import annotations

from calcitrace.annotate import Annotator
from calcitrace.model import Report
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.sentences import stretches_of
from calcitrace.sieve import Screen

REMEMBERED, MOST_LETTERS = 12_000, 200  # pieces, twice: about 5 megabytes


class CaseScreen:
    """Lets through every report that could meet a tier of the case definition.

    Pieces that have a word of a decisive finding and could mention none wherever they stand are remembered: an archive
    repeats them. Those of late are kept in two sets, of which the older is forgotten when the younger is full.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition, annotator: Annotator) -> None:
        self._screen = Screen(rules, case)
        self._annotator = annotator
        self._young, self._old = set[str](), set[str]()

    def __call__(self, report: Report) -> bool:
        """Whether the report must be read in full."""
        young, old = self._young, self._old
        among = self._screen.among(report.text)
        fresh = [piece for piece in among if piece not in young and piece not in old]
        if not fresh:
            return False
        told = self._told(fresh)
        if not told:
            return False
        found = self._annotator.could_mention_in(report, told, self._screen.telling)
        if found.isdisjoint(self._screen.decisive):
            return False
        return self._screen.lets(self._annotator.could_mention(report))

    def _told(self, fresh: list[str]) -> list[str]:
        """The stretches of these pieces that could mention a decisive finding; the pieces without any are noted."""
        told: list[str] = []
        for piece in fresh:
            telling = [stretch for stretch in stretches_of(piece) if self._could_tell(stretch)]
            told += telling
            if not telling and len(piece) <= MOST_LETTERS:
                self._young.add(piece)
        if len(self._young) > REMEMBERED:
            self._old, self._young = self._young, set()
        return told

    def _could_tell(self, stretch: str) -> bool:
        """Whether a stretch could mention a decisive finding, by its words and, if that can be told, its sentences."""
        if not self._screen.telling(stretch):
            return False
        claims = self._annotator.claims_in(stretch)
        return claims is None or any(name in self._screen.decisive for name, _, _ in claims)
