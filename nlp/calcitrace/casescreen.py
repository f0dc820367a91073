"""Whether a report could meet a tier of the case definition: each step sees more of it, and takes longer."""

from __future__ import annotations

from enum import IntEnum

from calcitrace.annotate import Annotator
from calcitrace.model import Report
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.sentences import stretches_of
from calcitrace.sieve import Screen, findings_denied

REMEMBERED, MOST_LETTERS = 6_000, 400  # pieces, twice: about 3 megabytes


class Tells(IntEnum):
    """Whether a piece of text could mention a decisive finding: in no report, in one of the region, or in any.

    What it surely denies counts where a denial could fill a constituent.

    `OPEN`: the words of the piece alone do not tell how it is cut into sentences, so that the report is laid out.
    """

    NOTHING = 0
    IN_REGION = 1
    OPEN = 2
    ANYWHERE = 3


class CaseScreen:
    """Lets through every report that could meet a tier of the case definition.

    What pieces with a word of a decisive finding tell is remembered (of most nothing): an archive repeats them. Pieces
    of late are kept in two tables, of which the older is forgotten when the younger is full.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition, annotator: Annotator) -> None:
        self._screen = Screen(rules, case)
        self._annotator = annotator
        denials = findings_denied(case)
        self._hits = annotator.stated_hits(self._screen.looked_for, denials)
        self._decisive_hits = annotator.stated_hits(self._screen.decisive, denials)
        self._young, self._old = dict[str, Tells](), dict[str, Tells]()

    def __call__(self, report: Report) -> bool:
        """Whether the report must be read in full."""
        lets = self._screen.lets
        return self._decides(report) and lets(self._annotator.could_mention(report, self._hits, lets))

    def _decides(self, report: Report) -> bool:
        """Whether a decisive finding could be mentioned."""
        young, left_open, in_region = self._young, False, None
        for piece in self._screen.among(report.text):
            tells = young.get(piece)
            if tells is None:
                tells = self._remembered(piece)
            if tells is Tells.NOTHING:
                continue
            if tells is Tells.ANYWHERE:
                return True
            if in_region is None:
                in_region = not self._annotator.surely_elsewhere(report)
            if tells is Tells.IN_REGION and in_region:
                return True
            left_open = left_open or tells is Tells.OPEN
        if not left_open:
            return False
        claims = self._annotator.claims_laid_out(report, self._screen.telling, self._decisive_hits)
        return any(c[0] in self._screen.decisive and (in_region or self._annotator.counts_elsewhere(c)) for c in claims)

    def _remembered(self, piece: str) -> Tells:
        """What a piece tells, remembered."""
        tells = self._old.get(piece)
        if tells is None:
            tells = max(map(self._tells, stretches_of(piece)), default=Tells.NOTHING)
        if len(piece) <= MOST_LETTERS:
            self._young[piece] = tells
            if len(self._young) > REMEMBERED:
                self._old, self._young = self._young, {}
        return tells

    def _tells(self, stretch: str) -> Tells:
        """What a stretch tells, by its words and, if that can be told, its sentences."""
        if not self._screen.telling(stretch):
            return Tells.NOTHING
        claims = self._annotator.claims_in(stretch, self._screen.telling, self._decisive_hits)
        if claims is None:
            return Tells.OPEN
        decisive = [claim for claim in claims if claim[0] in self._screen.decisive]
        if any(map(self._annotator.counts_elsewhere, decisive)):
            return Tells.ANYWHERE
        return Tells.IN_REGION if decisive else Tells.NOTHING
