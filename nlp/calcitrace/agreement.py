"""How far two readers agree: percent, Cohen's kappa and Gwet's AC1 with intervals, by item and over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from calcitrace.adjudication import Store
from calcitrace.decisions import DECISIONS, READER, Decision
from calcitrace.errors import UsageError
from calcitrace.evaluate.intervals import Figure, Numbers, Resampler, between
from calcitrace.phrases import many

BLOCK = 50
RESAMPLES = 1000
SEED = 20240229
ITEMS: dict[str, Callable[[Decision], str]] = {
    "decision": lambda d: d.decision,
    "migration type": lambda d: d.migration_type,
    "side": lambda d: d.laterality,
    "tendon": lambda d: d.tendon,
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two readers agree on one item over the reports that both decided.

    Attributes:
        readers: the two, by name.
        item: decision, or (where both said yes) migration type, side or tendon.
        n, of: of how many reports both told it, and of how many they could; of the decision the same.
        block: "all", or the stretch of reports in the order in which the second of the two decided.
        table: how often the first reader's value met the second's.
        percent, kappa, ac1: figures with intervals; None where they are not defined.
    """

    readers: tuple[str, str]
    item: str
    block: str
    n: int
    table: dict[tuple[str, str], int]
    percent: Figure
    kappa: Figure
    ac1: Figure
    of: int

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        table = [{"first": a, "second": b, "n": n} for (a, b), n in sorted(self.table.items())]
        figures = {k: getattr(self, k).as_json() for k in ("percent", "kappa", "ac1")}
        named = {"readers": list(self.readers), "item": self.item, "block": self.block}
        return {**named, "n": self.n, "of": self.of, "table": table, **figures}


def agreement(store: Store, block: int = BLOCK, resamples: int = RESAMPLES) -> list[Agreement]:
    """The agreement of each two readers: by item over all reports, then the decision in blocks over time.

    What a reader said after having seen the reasons (a decision undone and given anew) does not count; the opinion
    before does. Of type, side and tendon count reports of which both told them: what is not told is no answer.

    Args:
        store: with reports that two readers decided on.
        block: how many reports a block over time has.
        resamples: draws of patients for the intervals.

    Raises:
        UsageError: no report was decided by two readers.
    """
    found: list[Agreement] = []
    said = _blind(store)
    units = {i.report_id: i.unit for i in store.items()}
    for a, b in combinations(sorted(said), 2):
        shared = [(said[a][r], said[b][r]) for r in said[a].keys() & said[b].keys()]
        shared.sort(key=lambda p: max(p[0].id, p[1].id))
        both_yes = [p for p in shared if p[0].decision == p[1].decision == "yes"]
        for item in ITEMS:
            pairs = shared if item == "decision" else both_yes
            if pairs:
                found.append(_agreement((a, b), item, "all", pairs, units, resamples))
        if len(shared) > block:
            for start in range(0, len(shared), block):
                part = shared[start : start + block]
                name = f"{start + 1}-{start + len(part)}"
                found.append(_agreement((a, b), "decision", name, part, units, resamples))
    if not found:
        raise UsageError(f"{store.path}: no report was decided by two readers, so there is no agreement to measure")
    return found


def _blind(store: Store) -> dict[str, dict[str, Decision]]:
    """The decisions of each reader by report, as they were before the reasons were seen."""
    rows = [d for d in store.history() if d.role == READER and not d.informed]
    undone = {d.undoes for d in rows}
    said: dict[str, dict[str, Decision]] = {}
    for d in rows:
        if d.id not in undone and d.undoes is None:
            said.setdefault(d.reviewer, {})[d.report_id] = d
    return said


def _agreement(
    readers: tuple[str, str],
    item: str,
    block: str,
    pairs: Sequence[tuple[Decision, Decision]],
    units: dict[str, str],
    resamples: int,
) -> Agreement:
    import numpy as np

    value, of = ITEMS[item], len(pairs)
    pairs = [(a, b) for a, b in pairs if "none" not in (value(a), value(b))]
    if not pairs:
        unknown = Figure(None, 0)
        return Agreement(readers, item, block, 0, {}, unknown, unknown, unknown, of)
    told = [(value(a), value(b)) for a, b in pairs]
    names = list(DECISIONS) if item == "decision" else sorted({v for pair in told for v in pair})
    place = {name: k for k, name in enumerate(names)}
    first, second = (np.array([place[p[k]] for p in told]) for k in (0, 1))
    draws = Resampler([units.get(a.report_id, a.report_id) for a, _ in pairs], resamples, SEED)
    cell = first * len(names) + second

    def table(weights: Numbers) -> Numbers:
        return np.bincount(cell, weights, len(names) ** 2).astype(np.float64).reshape(len(names), -1)

    return Agreement(
        readers,
        item,
        block,
        len(pairs),
        {pair: told.count(pair) for pair in dict.fromkeys(told)},
        draws.proportion((first == second).astype(float), np.ones(len(pairs))),
        draws.figure(lambda w: kappa(table(w)), len(pairs)),
        draws.figure(lambda w: ac1(table(w)), len(pairs)),
        of,
    )


def kappa(table: Numbers) -> float:
    """Cohen's kappa (1960) of a square table of counts; NaN where chance alone would agree always."""
    share = table / table.sum()
    agreed, chance = share.trace(), float(share.sum(0) @ share.sum(1))
    return (agreed - chance) / (1 - chance) if chance < 1 - 1e-12 else float("nan")


def ac1(table: Numbers) -> float:
    """Gwet's AC1 (2008) of a square table of counts: steady where one answer is rare, as here; NaN for one answer."""
    share = table / table.sum()
    if len(share) < 2:
        return float("nan")
    mean = (share.sum(0) + share.sum(1)) / 2
    chance = float((mean * (1 - mean)).sum()) / (len(share) - 1)
    return float((share.trace() - chance) / (1 - chance))


def changed_after_reasons(store: Store) -> int:
    """How many decisions were given after their reviewer had seen the reasons."""
    return sum(d.informed and d.undoes is None for d in store.history())


def agreement_lines(found: Sequence[Agreement]) -> list[str]:
    """The agreement in words, one line an item or block."""
    lines = []
    for pair in dict.fromkeys(a.readers for a in found):
        lines.append(f"{pair[0]} and {pair[1]}")
        for a in (a for a in found if a.readers == pair):
            name = a.item if a.block == "all" else f"{a.item}, reports {a.block}"
            told = "" if a.item == "decision" else f"told by both in {a.n or 'none'} of {a.of}"
            lines.append(f"  {name}: {'; '.join(filter(None, (told, _figures(a))))}")
    return lines


def _figures(a: Agreement) -> str:
    if not a.n:
        return ""
    agreed = f"agree on {a.percent.right}/{a.n}, {_shown(a.percent, a.percent.exact)}"
    return f"{agreed}; kappa {_shown(a.kappa)}, AC1 {_shown(a.ac1)}"


def decision_sentences(found: Sequence[Agreement], blind: bool) -> list[str]:
    """How far each two readers agree on the decision, in a sentence; with their names where there are more than two.

    `blind`: whether it is known that they had not seen the reasons (of decisions from a file it is not).
    """
    whole = [a for a in found if (a.item, a.block) == ("decision", "all")]
    unseen = ", who had not seen the reasons," if blind else ""
    return [
        f"{'Two readers' if len(whole) == 1 else f'Readers {a.readers[0]} and {a.readers[1]}'}{unseen} agreed on "
        f"{a.percent.right:,} of {many(a.n, 'report')}: {_shown(a.percent, a.percent.exact)}, kappa {_shown(a.kappa)}, "
        f"AC1 {_shown(a.ac1)}; intervals are of 95 %."
        for a in whole
    ]


def _shown(figure: Figure, interval: tuple[float, float] | None = None) -> str:
    if figure.value is None:
        return "not defined"
    low_high = interval or figure.patients
    return f"{figure.value:.3f}{between(low_high)}"
