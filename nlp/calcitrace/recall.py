"""How many cases a review may have missed: from the random audit with exact intervals, and when one may stop.

The audit is a stratified random sample of all reports outside the candidates, drawn once, before anybody has read. What
it finds bounds the number of cases in each stratum, whatever was read there besides and in whatever order; so the
bound holds at every later look, and no look costs confidence. Candidates are read in full, so they need no estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from calcitrace.adjudication import Store, finals
from calcitrace.errors import UsageError

CONFIDENCE = 0.95
TARGET = 0.95
LEAST = 0.5  # an interval that reaches below this says too little to be told as a result
CANDIDATE = "candidate"
STEPS = 16  # of the grid on which the worst allocation of cases to strata is sought
MOST_OUTCOMES = 20_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """A stratum: its reports, how many of them were drawn and read, and how many of those are cases."""

    reports: int
    drawn: int
    cases: int


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
    return f"{len(left) - audit:,} candidates and {audit:,} reports of the audit have no final decision yet"


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
    sentence = _sentence(own, audited, total, missed, interval, why, blind)
    shown = None if why else interval
    return Recall(*base, missed, shown, lower, target, lower >= target, why, needed, p, sentence)


def _too_small(low: float, high: float, needed: int | None, target: float) -> str:
    more = f"; about {needed:,} audit reports without a case would show {target:.0%}" if needed else ""
    interval = f"the exact 95 % interval of the recall is {low:.1%} to {high:.1%} (2.5 % on either side)"
    return f"the audit is too small: {interval}{more}"


def _sentence(
    own: int,
    audited: Mapping[str, Sampled],
    total: int,
    missed: tuple[float, int, int],
    interval: tuple[float, float, float],
    refusal: str,
    blind: bool,
) -> str:
    """For the Methods section."""
    drawn, cases = sum(s.drawn for s in audited.values()), sum(s.cases for s in audited.values())
    rest = sum(s.reports for s in audited.values())
    begin = (
        f"Of {total:,} reports, {total - rest:,} ranked candidates were read in full ({own:,} cases). From the other "
        f"{rest:,}, {drawn:,} were drawn at random in {len(audited)} strata and read {'blind ' * blind}among "
        f"them ({cases:,} {'case' if cases == 1 else 'cases'})."
    )
    if refusal:
        return f"{begin} This sample is too small to state a recall."
    return (
        f"{begin} The estimated recall of the review is {interval[0]:.1%} (exact 95% confidence interval "
        f"{interval[1]:.1%} to {interval[2]:.1%}; {missed[1]:,} to {missed[2]:,} cases unseen)."
    )


# the number of unseen cases


def unseen(strata: Sequence[Sampled]) -> tuple[float, int, int]:
    """The estimate of cases outside the sample, with its exact 95 % interval (2.5 % on either side).

    The interval inverts the test of the stratified estimate of the total at its worst allocation of cases to strata
    (Wendell and Schmee 1996, J Am Stat Assoc 91:825); its coverage is never below 95 %.
    """
    estimate = sum(s.reports * s.cases / s.drawn for s in strata if s.drawn) - sum(s.cases for s in strata)
    half = (1 - CONFIDENCE) / 2
    return max(estimate, 0.0), least_unseen(strata, half), most_unseen(strata, half)


def most_unseen(strata: Sequence[Sampled], alpha: float) -> int:
    """The most cases outside the sample that it does not speak against, at one-sided `alpha`."""
    room = sum(s.reports - s.drawn for s in strata)
    tail = _tail(strata, upper=False)
    return _search(room, lambda extra: tail(extra) >= alpha)


def least_unseen(strata: Sequence[Sampled], alpha: float) -> int:
    """The fewest cases outside the sample that it does not speak against, at one-sided `alpha`."""
    room = sum(s.reports - s.drawn for s in strata)
    tail = _tail(strata, upper=True)
    if not any(s.cases for s in strata) or tail(0) >= alpha:
        return 0
    return min(_search(room, lambda extra: tail(extra) < alpha) + 1, room)


def _search(room: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `room` that holds, where all smaller ones do."""
    if holds(room):
        return room
    low, high = 0, room
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _tail(strata: Sequence[Sampled], upper: bool) -> Callable[[int], float]:
    """The probability of a total as extreme as the sample's, at the worst allocation of so many unseen cases."""
    drawn = sorted((s for s in strata if s.drawn), key=lambda s: s.reports - s.drawn)
    never = sum(s.reports for s in strata if not s.drawn)  # a stratum without a sample can hold any number
    told = sum(s.reports / s.drawn * s.cases for s in drawn)

    def tail(extra: int) -> float:
        if never >= extra and not upper:
            return 1.0
        left = extra if upper else extra - never
        counts = lru_cache(None)(lambda k, more: _counts(drawn[k], more, told))
        return max(
            _chance([counts(k, m) for k, m in enumerate(ways)], told, upper) for ways in _allocations(drawn, left)
        )

    return tail


def _allocations(strata: Sequence[Sampled], extra: int) -> list[tuple[int, ...]]:
    """Ways to share out unseen cases to strata: a grid that holds the corners, within the room of each."""
    rooms = [s.reports - s.drawn for s in strata]
    if extra > sum(rooms):
        return [tuple(rooms)]
    grid = [sorted({min(room, round(extra * k / STEPS)) for k in range(STEPS + 1)}) for room in rooms[:-1]]
    ways = [(*head, extra - sum(head)) for head in product(*grid)]
    fitting = [w for w in ways if 0 <= w[-1] <= rooms[-1]]
    return fitting or [_filled(rooms, extra)]


def _filled(rooms: Sequence[int], extra: int) -> tuple[int, ...]:
    taken = []
    for room in rooms:
        taken.append(min(room, extra))
        extra -= taken[-1]
    return tuple(taken)


def _counts(stratum: Sampled, more: int, told: float) -> tuple[Any, Any]:
    """The weighted counts that a sample of the stratum can give, with their chances, if it holds `more` unseen cases.

    All counts whose weight alone is past `told` are taken together.
    """
    import numpy as np
    from scipy.special import betaln

    size, drawn, cases = stratum.reports, stratum.drawn, stratum.cases + more
    weight = size / drawn
    low, high = max(0, drawn + cases - size), min(drawn, cases)
    counts = np.arange(low, max(low, min(high, math.floor(told / weight + 1e-9) + 1)) + 1)

    def ways(of: Any, chosen: Any) -> Any:
        return -np.log(of + 1) - betaln(of - chosen + 1, chosen + 1)

    chances = np.exp(ways(cases, counts) + ways(size - cases, drawn - counts) - ways(size, drawn))
    chances[-1] = max(1 - chances[:-1].sum(), 0.0)  # this count and all above, or there are no others
    keep = chances > 1e-15
    return weight * counts[keep], chances[keep]


def _chance(parts: Sequence[tuple[Any, Any]], told: float, upper: bool) -> float:
    """P(sum of the strata's weighted counts <= told), or >= told."""
    import numpy as np

    totals, chances = np.zeros(1), np.ones(1)
    for sums, own in parts:
        totals = (totals[:, None] + sums[None, :]).ravel()
        chances = (chances[:, None] * own[None, :]).ravel()
        if len(totals) > MOST_OUTCOMES:
            totals, chances = _merged(totals, chances)
    near = 1e-9 * max(told, 1.0)
    return float(chances[totals >= told - near].sum() if upper else chances[totals <= told + near].sum())


def _merged(totals: Any, chances: Any) -> tuple[Any, Any]:
    """The outcomes with equal totals (to a millionth) as one."""
    import numpy as np

    values, place = np.unique(np.round(totals, 6), return_inverse=True)
    return values, np.bincount(place, chances)


def audit_needed(found: int, others: int, target: float) -> int | None:
    """How many of the `others`, drawn at random and none of them a case, would show the target with 95 % confidence."""
    from scipy.stats import hypergeom

    bad = math.floor(found / target - found + 1e-9) + 1  # so many unseen cases, and the target is missed
    if bad > others:
        return 0
    low, high = 0, others
    while high - low > 1:
        middle = (low + high) // 2
        enough = hypergeom.pmf(0, others, bad, middle) <= 1 - CONFIDENCE
        low, high = (low, middle) if enough else (middle, high)
    return high


# the stopping rule for comparison


def stopping_p(labels: Sequence[int], total: int, target: float = TARGET) -> float | None:
    """The p value of Callaghan and Mueller-Hansen (2020, Systematic Reviews 9:273) that recall is below the target.

    Each stretch at the end of the reading is taken for a random sample of what was unread at its start ("ranked
    quasi-sampling"); the smallest p of all counts. A ranked order finds more cases than a random one, so for a ranking
    that works this errs towards reading on; it looks many times, and is given for comparison only.

    Args:
        labels: 1 for a case, 0 for none, in the order of reading.
        total: reports in all.
        target: the recall to reach.
    """
    import numpy as np
    from scipy.stats import hypergeom

    if not labels or not any(labels):
        return None
    seen = np.array(labels)
    n = np.arange(1, len(seen) + 1)
    late = np.cumsum(seen[::-1])  # cases in the last n
    unread = total - (len(seen) - n)
    wanted = np.floor(seen.sum() / target - (seen.sum() - late) + 1e-9).astype(int) + 1  # cases if the target is missed
    possible = wanted <= unread
    if not possible.any():
        return 0.0
    return float(hypergeom.cdf(late[possible], unread[possible], wanted[possible], n[possible]).min())


def recall_lines(found: Recall) -> list[str]:
    """What was found in words: counts, estimate or refusal, advice, and the sentence for the Methods section."""
    lines = [f"read {found.read:,} of {found.reports:,} reports: {found.found:,} cases"]
    for name, s in found.strata.items():
        lines.append(f"  {name.replace('_', ' ')}: {s.reports:,} reports, {s.drawn:,} in the queue, {s.cases:,} cases")
    if found.undecided:
        lines.append(f"{found.undecided:,} reports of the queue are unsure or have no final decision")
    if found.missed:
        about, least, most = found.missed
        lines.append(f"cases that nobody has read: about {about:,.0f}, exact 95 % interval {least:,} to {most:,}")
    if found.recall:
        best, low, high = found.recall
        lines.append(f"recall {best:.1%}, exact 95 % interval {low:.1%} to {high:.1%} (2.5 % on either side)")
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
    least = math.floor(1000 * found.lower + 1e-9) / 1000  # rounded, it could claim more
    bound = f"recall is at least {least:.1%} (exact 95 % bound: 5 % on this one side; the advice goes by it)"
    if found.stop:
        return f"you may stop: {bound}, and {found.target:.0%} was to be reached"
    if found.undecided and found.read >= sum(s.drawn for s in found.strata.values()):
        return f"settle the {found.undecided:,} that are unsure or have no final decision: all else is read; {bound}"
    told = f"; about {found.needed:,} audit reports without a case would show that" if found.needed else ""
    return f"read on: {found.target:.0%} is not shown{'' if found.refusal else told}; {bound}"
