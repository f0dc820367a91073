"""Whether a report could meet a tier of the case definition: each step sees more of it, and takes longer."""

from __future__ import annotations

from collections.abc import Sequence

from calcitrace.annotate import Annotator
from calcitrace.model import Report
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.sentences import stretches_of
from calcitrace.sieve import Screen

REMEMBERED, MOST_LETTERS = 12_000, 400  # pieces, twice: about 5 megabytes


class CaseScreen:
    """Lets through every report that could meet a tier of the case definition.

    Of pieces that have a word of a decisive finding, the stretches that could mention one wherever they stand are
    remembered (of most there are none): an archive repeats them. Pieces of late are kept in two tables, of which the
    older is forgotten when the younger is full.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition, annotator: Annotator) -> None:
        self._screen = Screen(rules, case)
        self._annotator = annotator
        self._young, self._old = dict[str, Sequence[str]](), dict[str, Sequence[str]]()

    def __call__(self, report: Report) -> bool:
        """Whether the report must be read in full."""
        young, told = self._young, list[str]()
        for piece in self._screen.among(report.text):
            found = young.get(piece)
            told += self._told(piece) if found is None else found
        if not told:
            return False
        could = self._annotator.could_mention_in(report, told, self._screen.telling)
        if could.isdisjoint(self._screen.decisive):
            return False
        return self._screen.lets(self._annotator.could_mention(report))

    def _told(self, piece: str) -> Sequence[str]:
        """The stretches of a piece that could mention a decisive finding."""
        found = self._old.get(piece)
        if found is None:
            found = tuple(stretch for stretch in stretches_of(piece) if self._could_tell(stretch))
        if len(piece) <= MOST_LETTERS:
            self._young[piece] = found
            if len(self._young) > REMEMBERED:
                self._old, self._young = self._young, {}
        return found

    def _could_tell(self, stretch: str) -> bool:
        """Whether a stretch could mention a decisive finding, by its words and, if that can be told, its sentences."""
        if not self._screen.telling(stretch):
            return False
        claims = self._annotator.claims_in(stretch)
        return claims is None or any(name in self._screen.decisive for name, _, _ in claims)
