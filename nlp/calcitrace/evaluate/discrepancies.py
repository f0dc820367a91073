"""Where gold and prediction differ: one record a difference, with the place in the text and never the text itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calcitrace.evaluate.cases import CASES, SITE, agrees, has_deposit
from calcitrace.evaluate.labelled import LabelledMention, LabelledReport
from calcitrace.evaluate.mentions import Matched, Pair


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One difference; `start:end` is the place in the report, (-1, -1) for a label of the whole report."""

    report_id: str
    kind: str
    gold: str
    predicted: str
    finding: str = ""
    start: int = -1
    end: int = -1
    rule_id: str = ""


def discrepancies(pairs: Sequence[Pair], matched: Sequence[Matched]) -> list[Discrepancy]:
    """All differences, report by report: labels of the report first, then mentions in the order of the text."""
    found: list[Discrepancy] = []
    for (gold, predicted), own in zip(pairs, matched, strict=True):
        found += _of_report(gold, predicted)
        found += sorted(_of_mentions(gold, own), key=lambda d: (d.start, d.end, d.finding, d.kind))
    return found


def _of_report(gold: LabelledReport, predicted: LabelledReport) -> Iterator[Discrepancy]:
    names = ["case_status", "absence_of_mass"]
    names += ["migration_type"] if gold.case_status in CASES else []
    names += SITE if has_deposit(gold) else []
    for name in names:
        if name in gold.given & predicted.given and not agrees(gold, predicted, name):
            said, found = str(getattr(gold, name)), str(getattr(predicted, name))
            yield Discrepancy(gold.report_id, name, said, found)


def _of_mentions(gold: LabelledReport, matched: Matched) -> Iterator[Discrepancy]:
    for g in matched.missed:
        yield _at(gold, "missed", g, g.assertion or "there", "")
    for p in matched.spurious:
        yield _at(gold, "spurious", p, "", p.assertion, p.rule_id)
    for g, p in matched.pairs:
        for name in ("assertion", "change"):
            if name in gold.given and getattr(g, name) != getattr(p, name):
                yield _at(gold, name, p, getattr(g, name), getattr(p, name), p.rule_id)


def _at(
    report: LabelledReport, kind: str, m: LabelledMention, gold: str, predicted: str, rule_id: str = ""
) -> Discrepancy:
    return Discrepancy(report.report_id, kind, gold, predicted, m.finding, m.start, m.end, rule_id)
