"""Learning a case model from labelled reports: a scikit-learn pipeline, its choice, calibration and threshold.

The few labels that a study has decide the design: a linear model over readable features, chosen by cross-validation
that keeps a patient's reports together, that starts from an earlier model and leaves it only for a clear gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import beta
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline

from calcitrace.casemodel import CaseModel, log_odds
from calcitrace.features import WORD, Features

Numbers = npt.NDArray[np.float64]
STRENGTHS = (0.003, 0.03, 0.3, 1.0, 3.0)  # of the labels against the prior; the inverse of the L2 penalty
WORD_WEIGHT = 0.4  # words are many and each says little: a word counts this much of a fact
MIN_REPORTS = 2  # a feature that fewer reports have is not learned
START = "earlier model"
START_SCALE = 3.0  # makes the earlier model's verdict nearly free of the penalty
FOLDS = 5
FEW = 10  # cases, and reports that are none, from which on two numbers of a calibration curve can be fitted
CONFIDENCE = 0.95  # that the threshold keeps the wanted share
SEED = 20240229


class FeatureTable(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Features of reports as a sparse table, of those features that `min_reports` of the reports have.

    An `earlier` model adds its own verdict as one more column.
    """

    def __init__(
        self, word_weight: float = WORD_WEIGHT, min_reports: int = MIN_REPORTS, earlier: CaseModel | None = None
    ) -> None:
        self.word_weight = word_weight
        self.min_reports = min_reports
        self.earlier = earlier

    def fit(self, reports: Sequence[Features], y: Any = None) -> FeatureTable:
        """Learn which features there are."""
        self.vectorizer_ = DictVectorizer()
        table = self.vectorizer_.fit_transform(map(self._row, reports))
        self.kept_ = np.asarray((table != 0).sum(axis=0)).ravel() >= min(self.min_reports, len(reports))
        return self

    def transform(self, reports: Sequence[Features]) -> Any:
        """A row a report, a column a feature."""
        return self.vectorizer_.transform(map(self._row, reports))[:, self.kept_]

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """The names of the columns."""
        return np.asarray(self.vectorizer_.get_feature_names_out(), dtype=object)[self.kept_]

    def _row(self, report: Features) -> dict[str, float]:
        row = dict(report.values(self.word_weight))
        return row if self.earlier is None else row | {START: self.earlier.score(report) * START_SCALE}


def make_classifier(
    strength: float = 1.0, word_weight: float = WORD_WEIGHT, earlier: CaseModel | None = None, seed: int = SEED
) -> Pipeline:
    """The pipeline: features to a table, and a logistic regression that weighs both classes alike.

    Args:
        strength: inverse of the L2 penalty (scikit-learn's C).
        word_weight: how much a word counts beside a fact.
        earlier: a model to start from.
        seed: of the solver.
    """
    return Pipeline(
        [
            ("table", FeatureTable(word_weight, MIN_REPORTS, earlier)),
            ("classify", LogisticRegression(C=strength, class_weight="balanced", max_iter=5000, random_state=seed)),
        ]
    )


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled reports: features, case or not, and the unit (patient) that each belongs to.

    `weights` below 1 are for labels that count less, such as those of the case definition; `ids` of the reports are for
    messages, and none need be given.
    """

    reports: Sequence[Features]
    is_case: Sequence[bool]
    units: Sequence[str]
    weights: Sequence[float]
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """1 for a case, 0 for none."""
        return np.array(self.is_case, dtype=np.int64)

    def take(self, places: Sequence[int]) -> Labelled:
        """Those at these places."""
        return Labelled(
            [self.reports[i] for i in places],
            [self.is_case[i] for i in places],
            [self.units[i] for i in places],
            [self.weights[i] for i in places],
        )

    @property
    def full(self) -> list[int]:
        """The places of the labels that count in full: only they measure."""
        return [i for i, w in enumerate(self.weights) if w == 1.0]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with what its making found out.

    Attributes:
        model: with an empty card.
        strength: the chosen one; `calibration`: "platt" or, with few cases, "prior".
        scores: for each label that counts in full, the probability by models that had not seen its unit (the choice
            of the strength, the calibration and the threshold included), or None where there are too few.
        likely: whether each of them is a likely case by the same models.
    """

    model: CaseModel
    strength: float
    calibration: str
    scores: Numbers | None
    likely: npt.NDArray[np.bool_] | None


def fit(
    labelled: Labelled,
    names: tuple[str, str, str],
    sensitivity: float,
    earlier: CaseModel | None = None,
    seed: int = SEED,
    hold_out: bool = True,
    on_step: Callable[[int, int], None] = lambda *_: None,
) -> Fitted:
    """Learn a case model; the same labels and seed give the same model.

    Args:
        labelled: at least one case and one report that is none.
        names: case definition, schema and rule-set hash, for the model.
        sensitivity: share of the cases that the threshold must keep with 95 % confidence, 0 to 1.
        earlier: a model to start from: with few labels the result is little else.
        seed: of folds and solver.
        hold_out: whether to measure by nested cross-validation too.
        on_step: told how many models of how many are learned.
    """
    folds = list(_folds(labelled, seed + 1)) if hold_out else []
    on_step(0, 1 + len(folds))
    model, strength, calibration = _fit(labelled, names, sensitivity, earlier, seed)
    if not folds:
        return Fitted(model, strength, calibration, None, None)
    full = labelled.full
    probability, likely = np.zeros(len(labelled)), np.zeros(len(labelled), dtype=bool)
    for done, (learn, test) in enumerate(folds, 1):
        on_step(done, 1 + len(folds))
        inner, _, _ = _fit(labelled.take(learn), names, sensitivity, earlier, seed)
        for i in test:
            probability[i] = inner.probability(labelled.reports[i])
            likely[i] = inner.is_likely(labelled.reports[i])
    on_step(1 + len(folds), 1 + len(folds))
    return Fitted(model, strength, calibration, probability[full], likely[full])


def _fit(
    labelled: Labelled, names: tuple[str, str, str], sensitivity: float, earlier: CaseModel | None, seed: int
) -> tuple[CaseModel, float, str]:
    strength, held_out = _choose(labelled, earlier, seed)
    pipeline = _learn(labelled, strength, earlier, seed)
    truth = labelled.truth[labelled.full]
    prevalence = float(truth.mean())
    if held_out is None or min(truth.sum(), len(truth) - truth.sum()) < FEW:
        scores = _scores(pipeline, labelled.take(labelled.full).reports) if held_out is None else held_out
        slope, offset, calibration = 1.0, log_odds(prevalence), "prior"
    else:
        scores, calibration = held_out, "platt"
        slope, offset = platt(scores, truth)
    threshold = _threshold(slope * scores + offset, truth, sensitivity)
    weights, intercept = _weights(pipeline, earlier)
    model = CaseModel(
        *names,
        weights=weights,
        intercept=intercept,
        word_weight=WORD_WEIGHT,
        slope=round(slope, 6),
        offset=round(offset, 6),
        prevalence=prevalence,
        threshold=threshold,
        held_out=[],
        card={},
    )
    return model, strength, calibration


def _learn(labelled: Labelled, strength: float, earlier: CaseModel | None, seed: int) -> Pipeline:
    pipeline = make_classifier(strength, earlier=earlier, seed=seed)
    return pipeline.fit(labelled.reports, labelled.truth, classify__sample_weight=np.array(labelled.weights))


def _scores(pipeline: Pipeline, reports: Sequence[Features]) -> Numbers:
    return np.asarray(pipeline.decision_function(reports), dtype=np.float64)


def _folds(labelled: Labelled, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Places to learn from and to test on; a unit is never on both sides, and weak labels are never tested on.

    None where a fold would leave one class alone to learn from: then nothing can be held out.
    """
    full = labelled.full
    truth = labelled.truth[full]
    units = [labelled.units[i] for i in full]
    most = min(FOLDS, *(len({u for u, t in zip(units, truth, strict=True) if t == c}) for c in (0, 1)))
    if most < 2:
        return
    weak = [i for i, w in enumerate(labelled.weights) if w < 1.0]
    found = []
    for learn, test in StratifiedGroupKFold(most, shuffle=True, random_state=seed).split(full, truth, units):
        tested = {units[i] for i in test}
        own = [full[i] for i in learn] + [i for i in weak if labelled.units[i] not in tested]
        found.append((own, [full[i] for i in test]))
    if all(len({labelled.is_case[i] for i in own}) == 2 for own, _ in found):
        yield from found


def _choose(labelled: Labelled, earlier: CaseModel | None, seed: int) -> tuple[float, Numbers | None]:
    """The strength to learn with, and the held-out scores of the labels that count in full.

    It is the one of the best log loss; with an earlier model, of all within one standard error of the best the weakest
    (Breiman 1984), so that the earlier model is left only for a clear gain.
    """
    folds = list(_folds(labelled, seed))
    if not folds:
        return (STRENGTHS[0] if earlier else 1.0), None
    full, truth = labelled.full, labelled.truth
    losses, scores = [], []
    for strength in STRENGTHS:
        held_out = np.full(len(labelled), np.nan)
        for learn, test in folds:
            held_out[test] = _scores(
                _learn(labelled.take(learn), strength, earlier, seed), [labelled.reports[i] for i in test]
            )
        scores.append(held_out[full])
        losses.append([_loss(truth[test], held_out[test]) for _, test in folds])
    mean, spread = np.mean(losses, axis=1), np.std(losses, axis=1, ddof=1) / np.sqrt(len(folds))
    best = int(np.argmin(mean))
    margin = spread[best] if earlier else 0.0
    chosen = next(k for k in range(len(STRENGTHS)) if mean[k] <= mean[best] + margin)
    return STRENGTHS[chosen], scores[chosen]


def _loss(truth: npt.NDArray[np.int64], scores: Numbers) -> float:
    """The log loss with both classes weighed alike; of one class alone its plain log loss."""
    share = truth.mean()
    weight = np.ones(len(truth)) if share in (0, 1) else np.where(truth == 1, 0.5 / share, 0.5 / (1 - share))
    return float(log_loss(truth, 1 / (1 + np.exp(-scores)), sample_weight=weight, labels=[0, 1]))


def platt(scores: Numbers, truth: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Slope and offset that turn scores into log odds, with Platt's smoothed targets (Platt 1999; Lin 2007)."""
    positive = int(truth.sum())
    high, low = (positive + 1) / (positive + 2), 1 / (len(truth) - positive + 2)
    target = np.where(truth == 1, high, low)
    doubled = np.concatenate([scores, scores]).reshape(-1, 1)
    classes = np.concatenate([np.ones(len(scores)), np.zeros(len(scores))])
    weights = np.concatenate([target, 1 - target])
    curve = LogisticRegression(C=1e6, max_iter=1000).fit(doubled, classes, sample_weight=weights)
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def _threshold(logits: Numbers, truth: npt.NDArray[np.int64], sensitivity: float) -> float:
    """The highest probability from which on the wanted share of the cases is kept, midway to the next lower report.

    So many cases may be missed that the one-sided 95 % bound of the share kept (Clopper and Pearson 1934) is not below
    the wanted one; none where there are too few to say so.
    """
    cases = np.sort(logits[truth == 1])
    missed = np.arange(len(cases))
    bound = beta.ppf(1 - CONFIDENCE, len(cases) - missed, missed + 1)
    lowest = cases[max(int((bound >= sensitivity).sum()) - 1, 0)]
    below = logits[logits < lowest]
    cut = (lowest + below.max()) / 2 if len(below) else lowest - 1.0
    return round(float(np.clip(1 / (1 + np.exp(-cut)), 1e-6, 1 - 1e-6)), 6)


def _weights(pipeline: Pipeline, earlier: CaseModel | None) -> tuple[dict[str, float], float]:
    """The weight of each feature and the intercept, an earlier model's share of them folded in."""
    names = pipeline.named_steps["table"].get_feature_names_out()
    own = dict(zip(map(str, names), map(float, pipeline.named_steps["classify"].coef_[0]), strict=True))
    intercept = float(pipeline.named_steps["classify"].intercept_[0])
    if earlier is not None:
        share = own.pop(START, 0.0) * START_SCALE
        for name, weight in earlier.weights.items():
            scale = earlier.word_weight / WORD_WEIGHT if name.startswith(WORD) else 1.0
            own[name] = own.get(name, 0.0) + share * weight * scale
        intercept += share * earlier.intercept
    return {n: round(w, 4) for n, w in sorted(own.items()) if round(w, 4)}, round(intercept, 4)
