"""From a file of labels and a run to a model file: labels checked, texts read again from the run's inputs, a card.

Errors name the place (path:line or a report id), never what a report says; nothing is written until all has worked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from calcitrace.casemodel import FIGURES, CaseModel, keeps_all, model_bytes
from calcitrace.errors import ModelError, UsageError
from calcitrace.features import assessed, schema
from calcitrace.frames import report_ids
from calcitrace.ids import not_there
from calcitrace.labels import Label, check_both_kinds, labels_of_run
from calcitrace.model import Report
from calcitrace.rerun import Rerun
from calcitrace.runfolder import commit_file, file_hash
from calcitrace.sources import shown_id
from calcitrace.workers import model_for

if TYPE_CHECKING:
    from calcitrace.classifier import Fitted, Labelled
    from calcitrace.evaluate.labelled import LabelledReport

SENSITIVITY = 0.97
WEAK_WEIGHT = 0.2
MOST_NAMED = 3
SPARE = 3  # reports kept for each weak label that is wanted, since some are possible and left out
INTENDED_USE = "to order reports for reading and to find likely cases for review by a radiologist; research only"
LIMITS = "a probability holds for reports like those it learned from; measure it on your own before you rely on it"


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained and written, and how many labels it learned from.

    `threshold` tells where the model's threshold comes from, `warnings` what it lacks before it can be relied on.
    """

    model: CaseModel
    path: Path
    labels: int
    cases: int
    left_out: int
    weak: int
    threshold: str
    warnings: tuple[str, ...]


def train(
    labels: str | Path,
    run: str | Path,
    out: str | Path,
    sensitivity: float = SENSITIVITY,
    start: str = "",
    weak: int = 0,
    note: str = "",
    seed: int | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
    on_step: Callable[[int, int], None] = lambda *_: None,
    id_column: str = "",
) -> Trained:
    """Learn a case model from labelled reports of a run and write it to `out`; labels of others give a warning.

    Args:
        labels: CSV or JSONL with columns report_id and label (1/0, yes/no, case/no, or a case status; possible is left
            out), and optionally group: what is kept together in cross-validation, by default the patient.
        run: folder of a finished run that read these reports; its inputs are read again for the texts.
        out: the model file to write.
        sensitivity: share of the cases that the threshold must keep with 95 % confidence, above 0 to 1.
        start: a model file to start from, "none" for none; by default the starter model, where it fits.
        weak: how many reports without a label are added with what the case definition says of them, at little weight.
        note: a sentence for the card, such as who adjudicated.
        seed: of folds and solver; the same seed gives the same file.
        on_progress: told what is being done.
        on_step: told how much of it is done, of how much.
        id_column: the column of report ids, where it has no usual name; by default the one of the run's own, too.

    Raises:
        ModelError: labels or a starting model that cannot be used, or no labelled report in the run.
        RunError: no finished run, or its inputs or rules have changed since.
    """
    from calcitrace.classifier import SEED, fit

    _check(sensitivity, weak)
    seed = SEED if seed is None else seed
    source = Rerun(Path(run))
    given, left_out, by = _given(Path(labels), id_column, source)
    read, absent = _of_run(given, source.folder, Path(labels))
    earlier, _ = model_for(start, source.rules, source.case)
    on_progress(f"reading {len(read):,} labelled reports{by}")
    labelled, weak_used = labelled_reports(read, source, weak, on_step)
    on_progress(f"learning from {len(labelled):,} reports")
    names = (source.case.name, schema(source.rules, source.case), source.rules.hash)
    fitted = fit(labelled, names, sensitivity, earlier, seed, on_step=on_step)
    card = {
        "name": Path(out).stem,
        "note": note,
        "labels": _file_of(Path(labels), left_out, len(given) - len(read)),
        "seed": seed,
        "started from": "nothing" if earlier is None else earlier.card.get("name", f"rules {earlier.ruleset_hash[:8]}"),
        **_card(fitted, labelled, weak_used, sensitivity, source),
    }
    model = replace(fitted.model, held_out=_held_out(fitted, labelled), card=card)
    commit_file(Path(out), model_bytes(model))
    counts = _counts(labelled)
    warnings = (*absent, *_warnings(fitted, counts, not start and earlier is None), *_marks_much(fitted, labelled))
    threshold = _threshold_from(fitted, counts[0], sensitivity)
    return Trained(model, Path(out), sum(counts), counts[0], left_out, weak_used, threshold, warnings)


def _given(path: Path, id_column: str, source: Rerun) -> tuple[dict[str, Label], int, str]:
    """The labels, how many are left out as possible, and which column of the run their ids came from, in words."""
    of_run = source.manifest["options"]["columns"].get("report_id", "")
    given, left_out, taken = labels_of_run(path, id_column, of_run)
    return given, left_out, f", ids of the labels from column {taken} as those of the run" if taken else ""


def _file_of(labels: Path, possible: int, absent: int) -> dict[str, Any]:
    """What the card says of the file of labels, and of those that were left out."""
    told = {"file": labels.name, "sha256": file_hash(labels), "left out as possible": possible}
    return {**told, "not in the run": absent} if absent else told


def _of_run(labels: Mapping[str, Label], run: Path, path: Path) -> tuple[dict[str, Label], tuple[str, ...]]:
    """The labels whose reports a run holds, and a warning of the others, where there are any.

    Raises:
        ModelError: it holds none of them, or all that it holds are the same.
    """
    there = {i for i in report_ids(run) if i in labels}
    missing = labels.keys() - there
    if not missing:
        return dict(labels), ()
    said = f"{run}: {not_there(missing, len(labels), 'labelled reports', 'this run', report_ids(run))}"
    if not there:
        raise ModelError(f"{said}; name the run that read these reports with --run")
    read = {i: label for i, label in labels.items() if i in there}
    check_both_kinds(read, path)
    return read, (f"{said}; they were left out",)


def _check(sensitivity: float, weak: int) -> None:
    if not 0 < sensitivity <= 1:
        raise UsageError(f"sensitivity {sensitivity} is not above 0 and at most 1 (0.97 keeps 97 % of the cases)")
    if weak < 0:
        raise UsageError(f"{weak} weak labels make no sense; give 0 for none")


def _counts(labelled: Labelled) -> tuple[int, int]:
    """The labels that count in full: cases, and reports that are none."""
    full = labelled.full
    cases = int(labelled.truth[full].sum())
    return cases, len(full) - cases


def _threshold_from(fitted: Fitted, cases: int, sensitivity: float) -> str:
    """Where the threshold comes from."""
    by = "the very labels it learned from" if fitted.scores is None else "cross-validation of the labels"
    few = keeps_all(cases, sensitivity)
    kept = "all of them, since so few cannot show that share" if few else "that share"
    asked = f"at least {100 * sensitivity:.3g} % were to be kept with 95 % confidence"
    return f"by {by}: of {cases:,} cases, {asked}; it keeps {kept}"


def _warnings(fitted: Fitted, counts: tuple[int, int], no_start: bool) -> tuple[str, ...]:
    """What the model lacks because labels are few, or because there was none to start from."""
    from calcitrace.classifier import FEW

    found, labelled = [], "{:,} labelled as case and {:,} as none".format(*counts)
    if no_start:
        found.append("the starter model does not fit these rules, so it was learned from the labels alone")
    if fitted.scores is None:
        few = "too few to hold any out. Nothing is known of how good the model is, and its threshold is a guess"
        found.append(f"{labelled}, {few}: label more before you use it")
    elif min(counts) < FEW:
        few = f"not {FEW} of each. The model's probabilities are rough and its threshold is unsure"
        found.append(f"{labelled}, {few}: label more")
    return tuple(found)


def _marks_much(fitted: Fitted, labelled: Labelled) -> tuple[str, ...]:
    """A warning where the threshold marks more than half of those that are no cases, with the cases that are as low.

    It is asked of the model itself, and of models that had not seen the reports. A case that is labelled so by mistake
    pulls a threshold down that has to keep it.
    """
    full = labelled.full
    seen = [fitted.model.is_likely(labelled.reports[i]) for i in full]
    unseen = [] if fitted.likely is None else [fitted.likely.tolist()]
    for likely in (seen, *unseen):
        marked = [labelled.is_case[i] for i, yes in zip(full, likely, strict=True) if yes]
        wrong = len(marked) - sum(marked)
        if 2 * wrong > _counts(labelled)[1]:
            by = "" if likely is seen else " by cross-validation"
            return (
                f"the threshold marks {len(marked):,} of {len(full):,} labelled reports{by}, {wrong:,} of them no "
                f"cases: the cases with the lowest probabilities pull it down{_lowest_cases(fitted, labelled)}. Look "
                "at their labels, or choose another with `calcitrace threshold`",
            )
    return ()


def _lowest_cases(fitted: Fitted, labelled: Labelled) -> str:
    """The labelled cases whose probability is no higher than that of half of those that are none, the lowest first."""
    seen = [fitted.model.probability(labelled.reports[i]) for i in labelled.full]
    scores = seen if fitted.scores is None else fitted.scores.tolist()
    known = sorted(zip(scores, labelled.full, strict=True))
    middle = median(p for p, i in known if not labelled.is_case[i])
    cases = [(p, shown_id(labelled.ids[i])) for p, i in known if labelled.is_case[i]]
    low = [name for p, name in cases if p <= middle] or [cases[0][1]]
    named = ", ".join(filter(None, low[:MOST_NAMED]))
    return f" ({named})" if named else ""


def _held_out(fitted: Fitted, labelled: Labelled) -> list[float]:
    """The probabilities of the labelled cases by models that had not seen them, in ascending order."""
    if fitted.scores is None:
        return []
    truth = labelled.truth[labelled.full]
    return sorted(round(float(p), 6) for p, case in zip(fitted.scores, truth, strict=True) if case)


def labelled_reports(
    labels: Mapping[str, Label], source: Rerun, weak: int = 0, on_step: Callable[[int, int], None] = lambda *_: None
) -> tuple[Labelled, int]:
    """The labelled reports with their features, in the run's order; then `weak` more with weak labels, by a fixed draw.

    The second value is how many weak labels were used.

    Raises:
        ModelError: a labelled report is not in the run.
        RunError: an input of the run is gone or has changed.
    """
    from calcitrace.annotate import Annotator
    from calcitrace.classifier import Labelled

    annotator, rows = Annotator(source.rules), []
    spare: list[tuple[str, Report]] = []
    for report in source.reports():
        label = labels.get(report.report_id)
        if label:
            features = assessed(annotator.annotate(report), source.rules, source.case)[1]
            rows.append((report.report_id, features, label.is_case, label.group or _unit(report), 1.0))
            on_step(len(rows), len(labels))
        elif weak:
            spare.append((hashlib.sha256(report.report_id.encode("utf-8", "replace")).hexdigest(), report))
            if len(spare) > 2 * SPARE * weak:
                spare = _drawn(spare, SPARE * weak)
        if len(rows) == len(labels) and not weak:
            break
    _all_found(labels, [r[0] for r in rows], source.folder)
    for _, report in _drawn(spare, SPARE * weak):
        assessment, features = assessed(annotator.annotate(report), source.rules, source.case)
        if assessment.case_status != "possible" and len(rows) < len(labels) + weak:
            rows.append((report.report_id, features, assessment.likely_case, _unit(report), WEAK_WEIGHT))
    ids, features_of, is_case, units, weights = zip(*rows, strict=True)
    return Labelled(features_of, is_case, units, weights, ids), len(rows) - len(labels)


def _drawn(spare: list[tuple[str, Report]], most: int) -> list[tuple[str, Report]]:
    """The first of a fixed random order, so that memory does not grow with the archive."""
    return sorted(spare, key=lambda s: s[0])[:most]


def _unit(report: Report) -> str:
    return f"patient {report.patient_id}" if report.patient_id else f"report {report.report_id}"


def _all_found(labels: Mapping[str, Label], found: Sequence[str], folder: Path) -> None:
    missing = labels.keys() - {*found}
    if missing:
        said = not_there(missing, len(labels), "labelled reports", "this run", report_ids(folder))
        raise ModelError(f"{folder}: {said}")


def _card(fitted: Fitted, labelled: Labelled, weak: int, sensitivity: float, source: Rerun) -> dict[str, Any]:
    cases, others = _counts(labelled)
    return {
        "data": {
            "reports": cases + others,
            "cases": cases,
            "no cases": others,
            "units (patients or groups)": len({labelled.units[i] for i in labelled.full}),
            "weak labels from the case definition": weak,
            "inputs": [f["name"] for f in source.manifest["inputs"]],
        },
        "method": {
            "learner": "logistic regression over facts of mentions and assessment, and words around them",
            "strength (C), by grouped cross-validation": fitted.strength,
            "calibration": fitted.calibration
            if fitted.calibration == "platt"
            else "prior only: too few cases for a calibration curve",
            "wanted sensitivity": sensitivity,
        },
        FIGURES: _figures(fitted, labelled),
        "calcitrace": version("calcitrace"),
        "intended use": INTENDED_USE,
        "limits": LIMITS,
    }


def held_out_reports(fitted: Fitted, labelled: Labelled) -> tuple[list[LabelledReport], list[LabelledReport]]:
    """What the labels and the models that had not seen them say of each report, for `calcitrace.evaluate.score`.

    Only labels that count in full are given, with the unit as the patient; none where nothing could be held out.
    """
    from calcitrace.evaluate.labelled import LabelledReport

    gold: list[LabelledReport] = []
    found: list[LabelledReport] = []
    if fitted.scores is None or fitted.likely is None:
        return gold, found
    for i, probability, likely in zip(labelled.full, fitted.scores, fitted.likely, strict=True):
        status = "definite" if labelled.is_case[i] else "no"
        report = LabelledReport(str(i), labelled.units[i], case_status=status, given=frozenset({"case_status"}))
        given = frozenset({"likely_case", "case_probability"})
        gold.append(report)
        found.append(replace(report, likely_case=bool(likely), case_probability=float(probability), given=given))
    return gold, found


def _figures(fitted: Fitted, labelled: Labelled) -> Mapping[str, str] | str:
    """Figures with intervals that take the unit as the unit, from models that had not seen it."""
    from calcitrace.evaluate import score
    from calcitrace.evaluate.intervals import in_words

    gold, found = held_out_reports(fitted, labelled)
    if not gold:
        return "none: too few units to hold any out"
    figures = score(gold, found, resamples=500, list_errors=False).figures
    names = ("sensitivity", "specificity", "auroc", "auprc", "brier", "calibration_error")
    return {name: in_words(figures[name], *_counts(labelled)) for name in names}
