"""Mentions, gold against predicted: one-to-one matching, F1 with and without assertion, change, by finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calcitrace.evaluate.intervals import NAN, Figure, Numbers, Resampler
from calcitrace.evaluate.labelled import LabelledMention, LabelledReport

Pair = tuple[LabelledReport, LabelledReport]


@dataclass(frozen=True, slots=True)
class Matched:
    """The mentions of one report: those matched (gold, predicted), those missed and those that are spurious."""

    pairs: tuple[tuple[LabelledMention, LabelledMention], ...]
    missed: tuple[LabelledMention, ...]
    spurious: tuple[LabelledMention, ...]


@dataclass(frozen=True, slots=True)
class FindingScore:
    """The scores of one finding over all reports."""

    gold: int
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure
    f1_assertion: Figure


def match(gold: Sequence[LabelledMention], predicted: Sequence[LabelledMention]) -> Matched:
    """Match mentions of one report: same finding, at least one shared character, one to one, best overlap first.

    Equal overlaps are settled by the order in the text (annotation guideline, "How it is scored").
    """
    candidates = sorted(
        (-shared, g.start, p.start, i, j)
        for i, g in enumerate(gold)
        for j, p in enumerate(predicted)
        if g.finding == p.finding and (shared := min(g.end, p.end) - max(g.start, p.start)) > 0
    )
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for *_, i, j in candidates:
        if i not in partner and j not in taken:
            partner[i] = j
            taken.add(j)
    return Matched(
        tuple((g, predicted[partner[i]]) for i, g in enumerate(gold) if i in partner),
        tuple(g for i, g in enumerate(gold) if i not in partner),
        tuple(p for j, p in enumerate(predicted) if j not in taken),
    )


def match_all(pairs: Sequence[Pair]) -> list[Matched]:
    """The matches of each report; reports whose mentions are not labelled have none."""
    return [match(g.mentions, p.mentions) if "mentions" in g.given & p.given else Matched((), (), ()) for g, p in pairs]


class _Counts:
    """For each report the number of gold, predicted, matched and agreeing mentions, of one finding or of all."""

    def __init__(self, matched: Sequence[Matched], finding: str | None = None) -> None:
        def count(mentions: Iterator[LabelledMention]) -> int:
            return sum(finding is None or m.finding == finding for m in mentions)

        self.matched: Numbers = np.array([float(count(g for g, _ in m.pairs)) for m in matched])
        self.agreeing: Numbers = np.array(
            [float(count(g for g, p in m.pairs if g.assertion == p.assertion)) for m in matched]
        )
        self.gold: Numbers = self.matched + np.array([float(count(iter(m.missed))) for m in matched])
        self.predicted: Numbers = self.matched + np.array([float(count(iter(m.spurious))) for m in matched])

    def score(self, resampler: Resampler, asserted: bool) -> FindingScore:
        n = int(self.gold.sum())
        both, unit = self.gold + self.predicted, "mentions"
        return FindingScore(
            n,
            int(self.predicted.sum()),
            resampler.ratio(self.matched, self.predicted, int(self.predicted.sum()), unit),
            resampler.ratio(self.matched, self.gold, n, unit),
            resampler.ratio(2 * self.matched, both, n, unit),
            resampler.ratio(2 * self.agreeing, both, n, unit) if asserted else Figure(None, 0, unit),
        )


def mention_figures(
    pairs: Sequence[Pair], matched: Sequence[Matched], resampler: Resampler
) -> tuple[dict[str, Figure], dict[str, FindingScore]]:
    """The figures over all findings (micro-averaged) and the scores by finding."""
    given = frozenset().union(*(g.given & p.given for g, p in pairs))
    asserted = "assertion" in given
    total = _Counts(matched).score(resampler, asserted)
    figures = {
        "mention_precision": total.precision,
        "mention_recall": total.recall,
        "mention_f1": total.f1,
        "mention_f1_assertion": total.f1_assertion,
        "change_macro_f1": _change(matched, resampler) if "change" in given else Figure(None, 0, "mentions"),
    }
    names = sorted({m.finding for p in pairs for r in p for m in r.mentions} if "mentions" in given else ())
    return figures, {name: _Counts(matched, name).score(resampler, asserted) for name in names}


def _change(matched: Sequence[Matched], resampler: Resampler) -> Figure:
    """Macro-F1 of change over matched mentions of which gold or prediction states one.

    The mean is over the values that occur; "none" is no value of its own, it shows as a miss or a false alarm.
    """
    changes = [[(g.change, p.change) for g, p in m.pairs if (g.change, p.change) != ("none", "none")] for m in matched]
    values = sorted({value for row in changes for pair in row for value in pair} - {"none"})
    agreeing = np.array([[sum(g == p == v for g, p in row) for v in values] for row in changes], dtype=np.float64)
    stated = np.array([[sum((g == v) + (p == v) for g, p in row) for v in values] for row in changes], dtype=np.float64)

    def macro_f1(weights: Numbers) -> float:
        right, both = 2 * (weights @ agreeing), weights @ stated
        there = both > 0
        return float((right[there] / both[there]).mean()) if there.any() else NAN

    return resampler.figure(macro_f1, sum(map(len, changes)), "mentions") if values else Figure(None, 0, "mentions")
