"""Cases without our engine: co-occurrence of findings in a report, and TF-IDF with logistic regression."""

from __future__ import annotations

from collections.abc import Sequence

from calcitrace.evaluate import LabelledReport
from calcitrace.model import Mention

CASES = ("definite", "probable")
DEPOSIT = {"calcification", "calcific_tendinopathy"}
IN_BONE = {"intraosseous_calcium"}
EROSION = {"cortical_erosion", "osteolysis"}
BONE_CHANGE = {"bone_marrow_edema", "subcortical_cyst", "sclerosis"}
FOLDS, SEED = 5, 20240229


def co_occurrence(mentions: Sequence[Mention], negation: bool) -> str:
    """The tier by the findings that occur in the report, wherever they stand.

    Calcium in bone with a deposit is definite; calcium in bone alone, or erosion with a deposit, probable; another
    change of bone with a deposit possible. With `negation` only mentions that are asserted present count, without it
    every word does.
    """
    found = {m.finding for m in mentions if not negation or m.assertion == "present"}
    if found & IN_BONE:
        return "definite" if found & DEPOSIT else "probable"
    if found & DEPOSIT and found & EROSION:
        return "probable"
    return "possible" if found & DEPOSIT and found & BONE_CHANGE else "no"


def no_mass(mentions: Sequence[Mention]) -> bool:
    """Whether a mass is denied and none is present or possible."""
    said = {m.assertion for m in mentions if m.finding == "mass"}
    return "absent" in said and not said & {"present", "possible"}


def word_model(gold: Sequence[LabelledReport], training: Sequence[LabelledReport] | None) -> list[float]:
    """Probability of a case for each gold report, from TF-IDF (words and pairs) and logistic regression alone.

    Trained on `training`, or without it cross-validated over `gold` with patients kept together; possible reports
    are not trained on.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline

    def fit_predict(train: Sequence[LabelledReport], test: Sequence[LabelledReport]) -> list[float]:
        known = [r for r in train if r.case_status != "possible"]
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=10, class_weight="balanced", max_iter=1000, random_state=SEED),
        )
        model.fit([r.text or "" for r in known], [r.case_status in CASES for r in known])
        return [float(p) for p in model.predict_proba([r.text or "" for r in test])[:, 1]]

    if training is not None:
        return fit_predict(training, gold)
    found = [0.0] * len(gold)
    groups = [r.patient_id or r.report_id for r in gold]
    for train, test in GroupKFold(FOLDS).split(gold, groups=groups):
        for k, probability in zip(test, fit_predict([gold[i] for i in train], [gold[i] for i in test]), strict=True):
            found[k] = probability
    return found
