"""Cases, gold against predicted: detection, ranking, calibration, tiers, the main deposit and the reading workload.

Cases are definite and probable against no; possible is left out of detection, ranking and calibration
(annotation guideline, "How it is scored").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcitrace.evaluate.intervals import NAN, Figure, Interval, Numbers, Resampler, Statistic, wilson
from calcitrace.evaluate.labelled import LabelledReport
from calcitrace.evaluate.mentions import Pair

TIERS = ("no", "possible", "probable", "definite")
CASES = ("definite", "probable")
BINS = 10
SITE = ("tendon", "bone", "laterality", "size_mm")
SIZE_TOLERANCE_MM = 0.5
SHARES = (0.5, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True, slots=True)
class Curves:
    """What the plots are drawn from; empty where it does not apply.

    `calibration`: for each bin of probability low, high, n, mean probability, observed share and its Wilson interval.
    `roc` and `pr`: points (false positive rate, sensitivity) and (recall, precision). `workload`: (reads, cases
    found) at each cut of the ranking; `reads_for`: reads needed to find a share of the cases.
    """

    ranked_by: str
    confusion: dict[str, dict[str, int]]
    calibration: list[dict[str, Any]]
    roc: list[tuple[float, float]]
    pr: list[tuple[float, float]]
    workload: list[tuple[int, int]]
    reads_for: dict[str, int]


def case_figures(pairs: Sequence[Pair], resampler: Resampler, prevalence: float) -> dict[str, Figure]:
    """All figures on the level of the report; `prevalence` is that of the archive for which PPV and NPV are given."""
    found = _detection(pairs, resampler, prevalence)
    found |= _ranking(pairs, resampler)
    return found | _labels(pairs, resampler)


def _flags(pairs: Sequence[Pair], of: Callable[[LabelledReport, LabelledReport], bool]) -> Numbers:
    return np.array([float(of(g, p)) for g, p in pairs])


def _scored(pairs: Sequence[Pair], name: str) -> Numbers:
    """Which reports count: gold case known and not possible, and the system says `name`."""
    return _flags(pairs, lambda g, p: "case_status" in g.given and g.case_status != "possible" and name in p.given)


def _truth(pairs: Sequence[Pair]) -> Numbers:
    return _flags(pairs, lambda g, _: g.case_status in CASES)


def _detection(pairs: Sequence[Pair], resampler: Resampler, prevalence: float) -> dict[str, Figure]:
    counted, truth = _scored(pairs, "likely_case"), _truth(pairs)
    flagged = _flags(pairs, lambda _, p: p.likely_case)
    sensitivity = resampler.proportion(flagged, counted * truth)
    specificity = resampler.proportion(1 - flagged, counted * (1 - truth))
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": resampler.proportion(truth, counted * flagged),
        "npv": resampler.proportion(1 - truth, counted * (1 - flagged)),
        "ppv_at_prevalence": _projected(sensitivity, specificity, prevalence, ppv),
        "npv_at_prevalence": _projected(sensitivity, specificity, prevalence, npv),
    }


def ppv(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Positive predictive value by Bayes' rule; NaN where nothing is flagged."""
    true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return true / (true + false) if true + false else NAN


def npv(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Negative predictive value by Bayes' rule; NaN where everything is flagged."""
    true, false = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return true / (true + false) if true + false else NAN


def _projected(
    sensitivity: Figure, specificity: Figure, prevalence: float, value: Callable[[float, float, float], float]
) -> Figure:
    """A predictive value at another prevalence; its limits are those at the Wilson limits of both its parts.

    A bootstrap would give (1, 1) wherever no false positive was seen; the limits of both parts do not (and are
    wider than 95 %, on the safe side).
    """
    n = sensitivity.n + specificity.n
    if sensitivity.value is None or specificity.value is None:
        return Figure(None, n)
    at = value(sensitivity.value, specificity.value, prevalence)
    limits: list[Interval] = [f.wilson or (0.0, 1.0) for f in (sensitivity, specificity)]
    low, high = (value(limits[0][end], limits[1][end], prevalence) for end in (0, 1))
    return Figure(None if np.isnan(at) else at, n, wilson=(low, high))


def _ranking(pairs: Sequence[Pair], resampler: Resampler) -> dict[str, Figure]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    found: dict[str, Figure] = {}
    truth, given = _truth(pairs), _probabilities(pairs)
    for suffix, name, values in (("", "case_probability", given), ("_by_tier", "case_status", _tiers(pairs))):
        counted = _scored(pairs, name)
        for figure, metric in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
            statistic = _both_classes(metric, truth, values, counted)
            found[figure + suffix] = resampler.figure(statistic, int(counted.sum()))
    counted = _scored(pairs, "case_probability")
    n = int(counted.sum())
    found["brier"] = resampler.ratio(counted * (given - truth) ** 2, counted, n, "reports")
    found["calibration_error"] = resampler.figure(lambda w: calibration_error(truth, given, w * counted), n)
    return found


def _probabilities(pairs: Sequence[Pair]) -> Numbers:
    return np.array([p.case_probability or 0.0 for _, p in pairs])


def _tiers(pairs: Sequence[Pair]) -> Numbers:
    return np.array([float(TIERS.index(p.case_status)) for _, p in pairs])


def _both_classes(metric: Callable[..., float], truth: Numbers, values: Numbers, counted: Numbers) -> Statistic:
    """The metric over the counted reports, NaN where a draw holds only one class."""

    def statistic(weights: Numbers) -> float:
        own = weights * counted > 0
        if not 0 < truth[own].sum() < own.sum():
            return NAN
        return float(metric(truth[own], values[own], sample_weight=weights[own]))

    return statistic


def calibration_error(truth: Numbers, probability: Numbers, weights: Numbers) -> float:
    """Expected calibration error over ten bins of equal width (Naeini 2015, Guo 2017); NaN without weight."""
    total = weights.sum()
    if not total:
        return NAN
    place = _bins(probability)
    gaps = np.bincount(place, weights * (truth - probability), BINS)
    return float(np.abs(gaps).sum() / total)


def _bins(probability: Numbers) -> Any:
    return np.minimum((probability * BINS).astype(int), BINS - 1)


def _labels(pairs: Sequence[Pair], resampler: Resampler) -> dict[str, Figure]:
    """Tiers, migration type, absence of a mass, and the site and size of the main deposit."""
    tiers = _flags(pairs, lambda g, p: "case_status" in g.given & p.given)
    cases, deposits = _truth(pairs), _flags(pairs, lambda g, _: has_deposit(g))
    some = _flags(pairs, lambda g, p: bool(site_labels(g, p)))
    all_agree = _flags(pairs, lambda g, p: all(agrees(g, p, name) for name in site_labels(g, p)))
    return {
        "tier_kappa": resampler.figure(_kappa(pairs, tiers), int(tiers.sum())),
        "migration_type": _agreement(pairs, resampler, "migration_type", cases),
        "absence_of_mass": _agreement(pairs, resampler, "absence_of_mass", np.ones(len(pairs))),
        **{f"deposit_{name}": _agreement(pairs, resampler, name, deposits) for name in SITE},
        "deposit_all": resampler.proportion(all_agree, deposits * some),
    }


def _agreement(pairs: Sequence[Pair], resampler: Resampler, name: str, among: Numbers) -> Figure:
    """The share of the reports `among` (0 or 1 each) in which gold and prediction agree on the label `name`."""
    given = _flags(pairs, lambda g, p: name in g.given & p.given)
    return resampler.proportion(_flags(pairs, lambda g, p: agrees(g, p, name)), among * given)


def has_deposit(gold: LabelledReport) -> bool:
    """Whether the gold standard names a main deposit: a tendon other than none."""
    return "tendon" in gold.given and gold.tendon != "none"


def site_labels(gold: LabelledReport, predicted: LabelledReport) -> list[str]:
    """The labels of the main deposit that both give."""
    return [name for name in SITE if name in gold.given & predicted.given]


def agrees(gold: LabelledReport, predicted: LabelledReport, name: str) -> bool:
    """Whether gold and prediction agree on a label; sizes within half a millimetre, none only with none."""
    one, other = getattr(gold, name), getattr(predicted, name)
    if name == "size_mm" and one is not None and other is not None:
        return bool(abs(one - other) <= SIZE_TOLERANCE_MM)
    return bool(one == other)


def _kappa(pairs: Sequence[Pair], counted: Numbers) -> Statistic:
    """Quadratically weighted kappa over the four tiers (Cohen 1968); NaN where chance explains everything."""
    size = len(TIERS)
    gold = np.array([TIERS.index(g.case_status) for g, _ in pairs])
    cell = gold * size + _tiers(pairs).astype(int)
    cost = np.subtract.outer(np.arange(size), np.arange(size)).astype(np.float64) ** 2

    def kappa(weights: Numbers) -> float:
        table = np.bincount(cell, weights * counted, size * size).reshape(size, size)
        chance = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1.0)
        expected = float((cost * chance).sum())
        return 1 - float((cost * table).sum()) / expected if expected else NAN

    return kappa


def case_curves(pairs: Sequence[Pair]) -> Curves:
    """The confusion table, and the points of the calibration, ROC, precision-recall and workload curves."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    known = [(g, p) for g, p in pairs if "case_status" in g.given & p.given]
    confusion = {t: {u: sum((g.case_status, p.case_status) == (t, u) for g, p in known) for u in TIERS} for t in TIERS}
    by_probability = bool(known) and all("case_probability" in p.given for _, p in known)
    scored = [(g, p) for g, p in known if g.case_status != "possible"]
    truth, given = _truth(scored), _probabilities(scored)
    plots = by_probability and 0 < truth.sum() < len(truth)
    roc = roc_curve(truth, given) if plots else ((), ())
    pr = precision_recall_curve(truth, given) if plots else ((), ())
    workload = _workload(known, _probabilities(known) if by_probability else _tiers(known))
    return Curves(
        ranked_by="case_probability" if by_probability else "case_status",
        confusion=confusion,
        calibration=_calibration(truth, given) if plots else [],
        roc=[(float(x), float(y)) for x, y in zip(roc[0], roc[1], strict=True)],
        pr=[(float(x), float(y)) for y, x in zip(pr[0], pr[1], strict=True)],
        workload=workload,
        reads_for={f"{share:.0%}": _reads_for(workload, share) for share in SHARES} if workload else {},
    )


def _calibration(truth: Numbers, probability: Numbers) -> list[dict[str, Any]]:
    place = _bins(probability)
    found = []
    for k in sorted(set(place.tolist())):
        own = place == k
        n, cases = int(own.sum()), int(truth[own].sum())
        row = {"low": k / BINS, "high": (k + 1) / BINS, "n": n, "mean": float(probability[own].mean())}
        found.append({**row, "observed": cases / n, "wilson": wilson(cases, n)})
    return found


def _workload(pairs: Sequence[Pair], ranking: Numbers) -> list[tuple[int, int]]:
    """(reads, cases found) after each group of equally ranked reports, the highest first; [] without a case."""
    truth = _truth(pairs)
    if not truth.sum():
        return []
    cuts = sorted(set(ranking.tolist()), reverse=True)
    return [(int((ranking >= c).sum()), int(truth[ranking >= c].sum())) for c in cuts]


def _reads_for(workload: Sequence[tuple[int, int]], share: float) -> int:
    """The reads at the first cut that finds at least `share` of the cases."""
    total = workload[-1][1]
    return next(reads for reads, found in workload if found >= share * total - 1e-9)
