"""A case model: weights that turn a report's features into a calibrated probability with its reasons, and their file.

The file is JSON and holds names and numbers only: loading it executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calcitrace.errors import ModelError
from calcitrace.features import Features, in_words, kind_of, schema
from calcitrace.model import Assessment, Contribution
from calcitrace.ruleset import CaseDefinition, RuleSet

FORMAT = 2
MAX_BYTES = 50_000_000
MOST_SHOWN = 8
LEAST_SHOWN = 0.05
UNSURE = 0.05  # one less the confidence with which a threshold keeps the wanted share of the cases
FIGURES = "figures by nested cross-validation"
_MARK = "calcitrace_model"


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How a probability came about, in log odds: `base` + the contributions that are shown + `rest` = `total`.

    Attributes:
        base: of any report, before anything is seen of it, at `prevalence`.
        rest: what the `others`, the contributions that are not shown, add together.
        kinds: of what the others are (see `kind_of`) -> how many, and what they add together; the most first.
        threshold: the probability from which on a report is a likely case, at `prevalence`.
        prevalence: share of cases at which all this holds.
    """

    base: float
    rest: float
    others: int
    total: float
    threshold: float
    prevalence: float
    kinds: Mapping[str, tuple[int, float]]


def by_kind(shares: Iterable[tuple[str, int, float]]) -> dict[str, tuple[int, float]]:
    """Kinds of features -> how many, and what they add together, that which adds or takes away the most first."""
    found: dict[str, tuple[int, float]] = {}
    for kind, number, share in shares:
        before = found.get(kind, (0, 0.0))
        found[kind] = (before[0] + number, before[1] + share)
    return dict(sorted(found.items(), key=lambda k: (-abs(k[1][1]), k[0])))


@dataclass(frozen=True, slots=True)
class CaseModel:
    """A linear model of the log odds of a case, at the prevalence of the reports that it learned from.

    Attributes:
        case: name of the case definition that the features are made with.
        schema: see `calcitrace.features.schema`; rules with another do not fit.
        ruleset_hash: the rules of the run that it learned from.
        weights: feature -> weight; a feature that is not here weighs nothing.
        slope, offset: log odds = slope * (intercept + sum of weights) + offset (calibration).
        prevalence: share of cases among the reports it learned from.
        threshold: probability, at that prevalence, from which on a report is a likely case.
        held_out: probabilities, at that prevalence, of the labelled cases by models that had not seen them.
        card: what it learned from, its figures, intended use and limits.
    """

    case: str
    schema: str
    ruleset_hash: str
    weights: Mapping[str, float]
    intercept: float
    word_weight: float
    slope: float
    offset: float
    prevalence: float
    threshold: float
    held_out: Sequence[float]
    card: Mapping[str, Any]

    def score(self, features: Features) -> float:
        """The uncalibrated log odds."""
        return self.intercept + sum(share for share, _ in self._shares(features))

    def _shares(self, features: Features) -> list[tuple[float, str]]:
        """What each known feature adds to the score."""
        known = self.weights
        return [(known[f] * v, f) for f, v in features.values(self.word_weight) if f in known]

    def probability(self, features: Features, prevalence: float | None = None) -> float:
        """The probability of a case, 0 to 1, at the prevalence it learned at or at another one."""
        return probability_of(self._log_odds(features) + shift(self.prevalence, prevalence))

    def is_likely(self, features: Features) -> bool:
        """Whether the report is a likely case; this does not depend on the prevalence."""
        return self._log_odds(features) >= log_odds(self.threshold)

    def _log_odds(self, features: Features) -> float:
        return self.slope * self.score(features) + self.offset

    def threshold_at(self, prevalence: float | None) -> float:
        """The threshold on the scale of the probabilities at a prevalence."""
        return moved(self.threshold, self.prevalence, prevalence)

    def reckoning(
        self, features: Features, shown: Sequence[Contribution], prevalence: float | None = None
    ) -> Reckoning:
        """How the probability came about, for a reader who sees these contributions."""
        base = self.slope * self.intercept + self.offset + shift(self.prevalence, prevalence)
        shares = [(in_words(name), self.slope * share) for share, name in self._shares(features) if share]
        told = {c.feature for c in shown}
        total = sum(share for _, share in shares)
        return Reckoning(
            base=base,
            rest=total - sum(c.log_odds for c in shown),
            others=len(shares) - len(shown),
            total=base + total,
            threshold=self.threshold_at(prevalence),
            prevalence=self.prevalence if prevalence is None else prevalence,
            kinds=by_kind((kind_of(name), 1, share) for name, share in shares if name not in told),
        )

    def contributions(self, features: Features, most: int = MOST_SHOWN) -> tuple[Contribution, ...]:
        """What made the probability, the strongest first: each feature's share of the log odds."""
        return self._strongest(self._shares(features), features, most)

    def _strongest(
        self, added: Sequence[tuple[float, str]], features: Features, most: int = MOST_SHOWN
    ) -> tuple[Contribution, ...]:
        shares = [(self.slope * share, f) for share, f in added]
        shares.sort(key=lambda s: (-abs(s[0]), s[1]))
        return tuple(
            Contribution(in_words(f), round(share, 3), features.mentions.get(f, ()))
            for share, f in shares[:most]
            if abs(share) >= LEAST_SHOWN
        )

    def judge(
        self, assessment: Assessment, features: Features, prevalence: float | None = None, explain: bool = False
    ) -> Assessment:
        """The assessment with its probability and whether it is a likely case; with reasons if so, or to `explain`."""
        shares = self._shares(features)
        logit = self.slope * (self.intercept + sum(share for share, _ in shares)) + self.offset
        likely = logit >= log_odds(self.threshold)
        return replace(
            assessment,
            case_probability=probability_of(logit + shift(self.prevalence, prevalence)),
            likely_case=likely,
            contributions=self._strongest(shares, features) if likely or explain else (),
        )

    def check_fit(self, rules: RuleSet, case: CaseDefinition, name: str) -> None:
        """Check that the features of these rules are those that the model knows.

        Raises:
            ModelError: the case definition is another, or findings or constituents have other names.
        """
        if self.fits(rules, case):
            return
        if self.case != case.name:
            raise ModelError(
                f"{name}: is for the case definition {self.case!r}, not {case.name!r}; "
                "train one for it, or use --no-model"
            )
        raise ModelError(
            f"{name}: was trained with rules whose findings or constituents have other names "
            f"({self.ruleset_hash[:8]}, these are {rules.hash[:8]}); train anew with these rules, or use --no-model"
        )

    def fits(self, rules: RuleSet, case: CaseDefinition) -> bool:
        """Whether the features of these rules are those that the model knows."""
        return self.case == case.name and self.schema == schema(rules, case)


def probability_of(logit: float) -> float:
    """The probability, 0 to 1, of log odds."""
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def log_odds(probability: float) -> float:
    """The log odds of a probability between 0 and 1."""
    return math.log(probability / (1 - probability))


def shift(trained: float, wanted: float | None) -> float:
    """What another prevalence adds to the log odds (Saerens 2002: same findings in cases, another share of cases)."""
    return 0.0 if wanted is None else log_odds(wanted) - log_odds(trained)


def moved(probability: float, trained: float, wanted: float | None) -> float:
    """A probability, or a threshold, that holds at one prevalence as it is at another."""
    return probability_of(log_odds(probability) + shift(trained, wanted))


def model_bytes(model: CaseModel) -> bytes:
    """The model file: JSON with a checksum of its content; the same model gives the same bytes."""
    content = asdict(model)
    return (_json({_MARK: FORMAT, "sha256": _checksum(content), **content}, indent=1) + "\n").encode()


def _json(value: Mapping[str, Any], indent: int | None = None) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_json(content).encode()).hexdigest()


def load_model(path: str | Path) -> CaseModel:
    """Read a model file; nothing in it is executed.

    Raises:
        ModelError: it cannot be read, is no model file, of another format, cut off, or changed since it was written.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: too large for a model file")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror}); give a file that `calcitrace train` wrote"
        ) from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: no model file, or cut off; `calcitrace train` writes one") from None
    if not isinstance(found, dict) or _MARK not in found:
        raise ModelError(f"{path}: no model file; `calcitrace train` writes one")
    if found.pop(_MARK) != FORMAT:
        raise ModelError(f"{path}: a model file of another version of calcitrace; train it anew")
    if found.pop("sha256", None) != _sum_of(found):
        raise ModelError(f"{path}: was changed after it was written; train it anew, or fetch it again")
    return _checked(found, path)


def _sum_of(content: Mapping[str, Any]) -> str:
    try:
        return _checksum(content)
    except ValueError:  # a number that is none
        return ""


_TEXTS = ("case", "schema", "ruleset_hash")
_NUMBERS = ("intercept", "word_weight", "slope", "offset", "prevalence", "threshold")


def _checked(found: Mapping[str, Any], path: Path) -> CaseModel:
    weights = found.get("weights")
    good = (
        set(found) == {*_TEXTS, *_NUMBERS, "weights", "held_out", "card"}
        and all(isinstance(found[k], str) for k in _TEXTS)
        and all(_is_number(found[k]) for k in _NUMBERS)
        and all(0 < found[k] < 1 for k in ("prevalence", "threshold"))
        and isinstance(found["card"], dict)
        and isinstance(found["held_out"], list)
        and all(_is_number(p) and 0 <= p <= 1 for p in found["held_out"])
        and isinstance(weights, dict)
        and all(_is_number(w) for w in weights.values())
    )
    if not good:
        raise ModelError(f"{path}: lacks what a model has, or holds something else; train it anew")
    return CaseModel(**found)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def starter_path(case: str) -> Path | None:
    """The starter model that ships for a case definition, or None."""
    path = Path(__file__).parent / "models" / f"{case}.json"
    return path if path.is_file() else None


def chosen_for(card: Mapping[str, Any]) -> str:
    """What a model's threshold was chosen for, by its card; empty where the card does not say."""
    if reads := card.get("threshold set for"):
        return f"for {reads}"
    method = card.get("method")
    share = method.get("wanted sensitivity") if isinstance(method, Mapping) else None
    if not isinstance(share, int | float):
        return ""
    data = card.get("data")
    cases = data.get("cases") if isinstance(data, Mapping) else None
    few = isinstance(cases, int) and keeps_all(cases, share)
    return f"to keep at least {100 * share:.3g} % of the cases that it learned from{'; it keeps all' if few else ''}"


def keeps_all(cases: int, sensitivity: float) -> bool:
    """Whether a threshold keeps all of so many cases, since they are too few to show that it keeps the wanted share.

    n cases all kept show a share of 0.05 ** (1 / n), with confidence.
    """
    return cases > 0 and UNSURE ** (1 / cases) < sensitivity


def card_lines(card: Mapping[str, Any], indent: int = 0) -> Sequence[str]:
    """A model card as lines of text."""
    lines: list[str] = []
    for key, value in card.items():
        name = " " * indent + key.replace("_", " ")
        if isinstance(value, Mapping):
            lines += [f"{name}:", *card_lines(value, indent + 2)]
        else:
            lines.append(f"{name}: {value}")
    return lines
