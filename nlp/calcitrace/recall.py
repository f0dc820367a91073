"""How many cases a review may have missed: from the random audit with exact intervals, and when one may stop.

The audit is a stratified random sample of all reports outside the candidates, drawn once, before anybody has read. What
it finds bounds the number of cases in each stratum, whatever was read there besides and in whatever order; so the
bound holds at every later look, and no look costs confidence. Candidates are read in full, so they need no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from calcitrace.adjudication import Store, finals
from calcitrace.errors import UsageError
from calcitrace.phrases import by, many
from calcitrace.unseen import CONFIDENCE, TARGET, Sampled, audit_needed, most_unseen, stopping_p, unseen

LEAST = 0.5  # an interval that reaches below this says too little to be told as a result
CANDIDATE = "candidate"
SHOWN = {
    CANDIDATE: "candidates",
    "near_miss": "audit: near misses (the next in rank)",
    "read": "audit: others with a term of the rules",
    "unread": "audit: others that no rule could fire on, or that the screen passed over",
}


@dataclass(frozen=True, slots=True)
class Recall:
    """What can be said of the recall of a review.

    Attributes:
        found: cases among everything that was read, of `reports` in the run.
        read: reports with a final decision; `undecided`: reports of the queue without one (disagreement or unsure too).
        strata: by name; what the audit drew and found.
        missed: the estimate of cases that nobody has read, with its exact 95 % interval.
        recall: the estimate with its exact 95 % interval; None where nothing can be claimed.
        lower: the recall that is reached with 95 % confidence, one-sided: what the advice to stop goes by.
        stop: whether `lower` reaches `target`.
        refusal: why nothing is claimed, "" where something is.
        needed: audit reports without any case that it would take to claim `target`; None without a case found.
        stopping_p: the p value of Callaghan and Mueller-Hansen (2020) that recall is below `target`.
        sentence: for the Methods section.
    """

    reports: int
    read: int
    undecided: int
    found: int
    strata: dict[str, Sampled]
    missed: tuple[float, int, int] | None
    recall: tuple[float, float, float] | None
    lower: float | None
    target: float
    stop: bool
    refusal: str
    needed: int | None
    stopping_p: float | None
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)


def recall(store: Store, target: float = TARGET) -> Recall:
    """What the decisions of a store say of the recall of the review.

    Unsure and open decisions count as cases that were missed where they would lower the recall.

    Args:
        store: whose queue was drawn by `calcitrace review`.
        target: the recall to reach, above 0 and below 1.
    """
    if not 0 < target < 1:
        raise UsageError(f"a recall of {target} to reach is not between 0 and 1")
    said = {f.report_id: f.decision for f in finals(store)}
    items = store.items()
    strata = {name: _sampled(name, sizes, items, said) for name, sizes in store.strata().items()}
    undecided = sum(said.get(i.report_id) not in ("yes", "no") for i in items)
    own = sum(said.get(i.report_id) == "yes" for i in items if i.stratum == CANDIDATE)
    order = [d.report_id for d in store.current()]
    labels = [int(said[r] == "yes") for r in dict.fromkeys(order)]
    total = sum(s.reports for s in strata.values())
    waiting = _waiting(items, said)
    p = stopping_p(labels, total, target)
    return of_counts(own, strata, total, len(said), undecided, waiting, target, p, _blind(store, items))


def _blind(store: Store, items: Sequence[Any]) -> bool:
    """Whether the whole audit was decided on the review page, before any reason or probability was seen."""
    audit = {i.report_id for i in items if i.stratum != CANDIDATE}
    seen = {d.report_id for d in store.current() if d.informed} | store.from_files()
    return not audit & seen


def _sampled(name: str, sizes: tuple[int, int], items: Sequence[Any], said: Mapping[str, str]) -> Sampled:
    decided = [said.get(i.report_id) for i in items if i.stratum == name]
    return Sampled(sizes[0], sizes[1], sum(d == "yes" for d in decided))


def _waiting(items: Sequence[Any], said: Mapping[str, str]) -> str:
    """What of the queue must be decided before anything can be said."""
    left = [i for i in items if said.get(i.report_id) not in ("yes", "no", "unsure")]
    if not left:
        return ""
    audit = sum(i.stratum != CANDIDATE for i in left)
    counts = ((len(left) - audit, "candidate", ""), (audit, "report", " of the audit"))
    told = " and ".join(f"{many(n, thing)}{of}" for n, thing, of in counts if n)
    return f"{told} {by(len(left), 'has', 'have')} no final decision yet"


def of_counts(
    own: int,
    strata: Mapping[str, Sampled],
    total: int,
    read: int,
    undecided: int = 0,
    waiting: str = "",
    target: float = TARGET,
    p: float | None = None,
    blind: bool = False,
) -> Recall:
    """What follows from counts.

    Args:
        own: cases among the candidates.
        strata: by name, `candidate` among them.
        total, read: reports of the run, and with a final decision.
        undecided: reports of the queue that may be cases for all that is known.
        waiting: why the review is not finished, "" where it is.
        target: the recall to reach.
        p: of the stopping rule.
        blind: whether the audit is known to have been read without a sign of what it is.
    """
    audited = {n: s for n, s in strata.items() if n != CANDIDATE}
    found = own + sum(s.cases for s in audited.values())
    needed = audit_needed(found, sum(s.reports for s in audited.values()), target) if found else None
    base = (total, read, undecided, found, dict(strata))
    if waiting or not found or not audited:
        why = waiting or ("no case was found" if not found else "no audit was drawn")
        return Recall(*base, None, None, None, target, False, why, needed, p, "")
    drawn = [s for s in audited.values() if s.reports]
    missed = unseen(drawn)
    unclear = undecided  # unsure: it may be a case that nobody has told
    low, high = (found / (found + m + (unclear if k else 0)) for k, m in ((1, missed[2]), (0, missed[1])))
    best = found / (found + missed[0])
    lower = found / (found + most_unseen(drawn, 1 - CONFIDENCE) + unclear)
    why = "" if low >= LEAST else _too_small(low, high, needed, target)
    interval = (best, low, high)
    sentence = _sentence(own, audited, total, missed, interval, why, blind, undecided)
    shown = None if why else interval
    return Recall(*base, missed, shown, lower, target, lower >= target, why, needed, p, sentence)


def _too_small(low: float, high: float, needed: int | None, target: float) -> str:
    more = f"; about {needed:,} audit reports without a case would have shown {target:.0%}" if needed else ""
    interval = f"the exact 95 % interval of the recall is {_outward(low, high)} (2.5 % on either side)"
    return f"the audit is too small: {interval}{more}"


def _outward(low: float, high: float) -> str:
    """An interval of shares in tenths of a percent, which holds that of all digits."""
    return f"{_tenths(low)} to {1 - math.floor(1000 * (1 - high) + 1e-9) / 1000:.1%}"


def _tenths(least: float) -> str:
    """A lower bound in tenths of a percent: rounded, it could claim more."""
    return f"{math.floor(1000 * least + 1e-9) / 1000:.1%}"


def _sentence(
    own: int,
    audited: Mapping[str, Sampled],
    total: int,
    missed: tuple[float, int, int],
    interval: tuple[float, float, float],
    refusal: str,
    blind: bool,
    unsure: int,
) -> str:
    """For the Methods section."""
    rest, cases = (sum(getattr(s, n) for s in audited.values()) for n in ("reports", "cases"))
    if not rest:
        return f"All {total:,} reports were candidates and read in full ({many(own, 'case')})."
    begin = (
        f"Of {total:,} reports, {total - rest:,} ranked candidates were read in full ({many(own, 'case')}). "
        f"{_audit_told(audited)}{' blind' * blind} ({many(cases, 'case')})."
    )
    if unsure:
        as_missed = by(unsure, "it as a case", "them as cases")
        begin += f" {many(unsure, 'report')} stayed unsure; the lower confidence limit counts {as_missed} missed."
    if missed[2] == 0 and not unsure:
        return f"{begin} No report was left unread."
    if refusal:
        return f"{begin} This sample is too small to state a recall."
    left = f"{missed[1]:,} to {missed[2]:,} cases unseen" if missed[2] else "no report was left unread"
    return (
        f"{begin} The estimated recall of the review is {interval[0]:.1%} (exact 95% confidence interval "
        f"{_outward(*interval[1:])}; {left})."
    )


def _audit_told(audited: Mapping[str, Sampled]) -> str:
    """What was read of the reports that are no candidates: all of them, or what was drawn of how many strata."""
    held = [s for s in audited.values() if s.reports]
    rest, drawn = (sum(getattr(s, n) for s in held) for n in ("reports", "drawn"))
    whole = sum(s.drawn == s.reports for s in held)
    if drawn == rest:
        return f"The other {rest:,} were all read"
    taken = f" ({whole:,} of them whole)" if whole else ""
    strata = f" in {len(held)} strata{taken}" if len(held) > 1 else ""
    return f"From the other {rest:,}, {drawn:,} were drawn at random{strata} and read"


def recall_lines(found: Recall) -> list[str]:
    """What was found in words: counts, estimate or refusal, advice, and the sentence for the Methods section."""
    lines = [f"read {found.read:,} of {many(found.reports, 'report')}: {many(found.found, 'case')}"]
    for name, s in found.strata.items():
        if s.reports:
            drawn = "all" if s.drawn == s.reports else f"{s.drawn:,}"
            lines.append(
                f"  {SHOWN.get(name, name)}: {many(s.reports, 'report')}, {drawn} in the queue, {many(s.cases, 'case')}"
            )
    if found.undecided:
        are, have = by(found.undecided, "is", "are"), by(found.undecided, "has", "have")
        lines.append(f"{many(found.undecided, 'report')} of the queue {are} unsure or {have} no final decision")
    if found.missed:
        about, least, most = found.missed
        lines.append(f"cases that nobody has read: about {about:,.0f}, exact 95 % interval {least:,} to {most:,}")
    if found.recall:
        best, low, high = found.recall
        unsure = "; its lower end counts what is unsure as missed" if found.undecided else ""
        lines.append(f"recall {best:.1%}, exact 95 % interval {_outward(low, high)} (2.5 % on either side{unsure})")
    if found.refusal:
        lines.append(f"no recall can be claimed: {found.refusal}")
    lines.append(_advice(found))
    if found.stopping_p is not None:
        lines.append(
            f"for comparison, Callaghan and Mueller-Hansen 2020: p = {found.stopping_p:.3f} that recall is below "
            f"{found.target:.0%}" + (" (their rule would stop)" if found.stopping_p < 1 - CONFIDENCE else "")
        )
    return lines + ([f"for the Methods section: {found.sentence}"] if found.sentence else [])


def _advice(found: Recall) -> str:
    if found.lower is None:
        return "read on: nothing can be said yet"
    bound = f"recall is at least {_tenths(found.lower)} (exact 95 % bound: 5 % on this one side; the advice goes by it)"
    if found.stop:
        return f"you may stop: {bound}, and {found.target:.0%} was to be reached"
    if found.undecided:
        return f"settle the {found.undecided:,} that are unsure: all else is read; {bound}"
    told = f" (about {found.needed:,} audit reports without a case would have)" if found.needed else ""
    return (
        f"all is read, and the audit does not show {found.target:.0%}{'' if found.refusal else told}; {bound}. It "
        "cannot be enlarged, now that its cases are known: report this bound, and give a later review a larger --audit"
    )
