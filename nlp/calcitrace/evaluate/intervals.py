"""Figures with their 95 % intervals: Wilson and exact over reports, and a bootstrap that resamples patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Statistic = Callable[[Numbers], float]
Interval = tuple[float, float]
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its value (None where it cannot be computed) over `n` things of kind `unit`, with intervals.

    `right` of `n` are right where the figure is a plain proportion of reports; then `wilson` and `exact`
    (Clopper-Pearson) hold too. `patients` resamples patients, so reports of one patient do not count as independent.
    """

    value: float | None
    n: int
    unit: str = "reports"
    right: int | None = None
    wilson: Interval | None = None
    exact: Interval | None = None
    patients: Interval | None = None

    def as_json(self) -> dict[str, Any]:
        """The figure as plain values; what does not apply is left out."""
        fields = ("value", "n", "unit", "right", "wilson", "exact", "patients")
        return {k: getattr(self, k) for k in fields if k in ("value", "n") or getattr(self, k) is not None}


def in_words(figure: Figure, cases: int, others: int) -> str:
    """A figure over so many cases and others with its interval; where all was right, with what that can show.

    n right of n speak for a share of 0.05 ** (1 / n) or more (exact, one-sided, 95 %).
    """
    if figure.value is None:
        return "not defined"
    if figure.right is not None and figure.right == figure.n:
        least = 0.05 ** (1 / figure.n)
        return f"{figure.value:.3f} (all of {figure.n:,}; {least:.3f} or more with 95 % confidence)"
    limits = figure.exact or figure.patients
    if limits and limits[0] == limits[1]:
        told = f"no error seen in {cases:,} cases and {others:,} others"
        return f"{figure.value:.3f} ({told}; an interval cannot be told from this)"
    return f"{figure.value:.3f}{between(limits)}"


def between(limits: Interval | None) -> str:
    """An interval in brackets for behind a figure; where it has no width to three digits, that it tells nothing."""
    if not limits:
        return ""
    low, high = (f"{limit:.3f}" for limit in limits)
    return f" ({low} to {high})" if low != high else " (too few that differ for an interval)"


def wilson(right: int, n: int) -> Interval:
    """Wilson's score interval (95 %) of a proportion (Wilson 1927); (0, 1) where n is 0."""
    return _proportion(right, n, "wilson")


def exact(right: int, n: int) -> Interval:
    """The exact interval (95 %) of a proportion (Clopper and Pearson 1934); (0, 1) where n is 0."""
    return _proportion(right, n, "exact")


def _proportion(right: int, n: int, method: str) -> Interval:
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    found = binomtest(right, n).proportion_ci(0.95, method=method)
    return float(found.low), float(found.high)


class Resampler:
    """Draws patients with replacement; a report weighs as often as its patient was drawn.

    Args:
        patients: the patient of each report; reports without one ("") are each their own unit.
        resamples: number of draws; 0 gives no intervals.
        seed: the same seed gives the same draws.
    """

    def __init__(self, patients: Sequence[str], resamples: int, seed: int) -> None:
        units = [f"patient {p}" if p else f"report {k}" for k, p in enumerate(patients)]
        names, place = np.unique(np.array(units), return_inverse=True)
        self.units = len(names)
        draws = np.random.default_rng(seed).multinomial(self.units, np.full(self.units, 1 / self.units), resamples)
        self._weights: Numbers = draws[:, place].astype(np.float64)
        self.whole: Numbers = np.ones(len(units))

    def figure(self, statistic: Statistic, n: int, unit: str = "reports") -> Figure:
        """The statistic of the whole with its patient interval; None where it is undefined."""
        value = statistic(self.whole)
        if n == 0 or np.isnan(value):
            return Figure(None, n, unit)
        return Figure(float(value), n, unit, patients=self._interval(statistic))

    def ratio(self, above: Numbers, below: Numbers, n: int, unit: str = "mentions") -> Figure:
        """The figure sum(above) / sum(below), both given for each report."""
        return self.figure(lambda w: _divide(float(w @ above), float(w @ below)), n, unit)

    def proportion(self, right: Numbers, counted: Numbers) -> Figure:
        """The share of the counted reports (0 or 1 each) that are right, with Wilson's and the exact interval."""
        n, k = int(counted.sum()), int((right * counted).sum())
        figure = self.ratio(right * counted, counted, n, "reports")
        if n == 0:
            return figure
        return Figure(figure.value, n, "reports", k, wilson(k, n), exact(k, n), figure.patients)

    def _interval(self, statistic: Statistic) -> Interval | None:
        """The 2.5th and 97.5th percentile over the draws in which the statistic is defined (at least half)."""
        values = np.array([statistic(w) for w in self._weights])
        values = values[~np.isnan(values)]
        if not len(values) or 2 * len(values) < len(self._weights):
            return None
        low, high = np.percentile(values, [2.5, 97.5])
        return float(low), float(high)


def _divide(above: float, below: float) -> float:
    return above / below if below else NAN
