"""How many cases may be outside a stratified random sample: exact bounds, and a stopping rule for comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

CONFIDENCE = 0.95
TARGET = 0.95
STEPS = 16  # of the grid on which the worst allocation of cases to strata is sought
MOST_OUTCOMES = 20_000


@dataclass(frozen=True, slots=True)
class Sampled:
    """A stratum: its reports, how many of them were drawn and read, and how many of those are cases."""

    reports: int
    drawn: int
    cases: int


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
