"""From a file of labels and a run to a model file: labels checked, texts read again from the run's inputs, a card.

Errors name the place (path:line or a report id), never what a report says; nothing is written until all has worked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.casemodel import CaseModel, model_bytes
from calcitrace.errors import ModelError, SourceError, UsageError
from calcitrace.features import assessed, schema
from calcitrace.frames import report_ids
from calcitrace.ids import not_there
from calcitrace.model import Report
from calcitrace.rerun import Rerun
from calcitrace.runfolder import commit_file, file_hash
from calcitrace.sources import ListError, listed, read_list, shown_id
from calcitrace.strictyaml import meant
from calcitrace.workers import model_for

if TYPE_CHECKING:
    from calcitrace.classifier import Fitted, Labelled
    from calcitrace.evaluate.labelled import LabelledReport

CASE = frozenset({"1", "yes", "true", "case", "definite", "probable"})
NO_CASE = frozenset({"0", "no", "false", "none"})
LEFT_OUT = frozenset({"possible", "unsure", ""})
SENSITIVITY = 0.97
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
NAME_IDS = "; --id-column names the column of report ids"
UNSURE = 0.05  # one less the confidence of the threshold
WEAK_WEIGHT = 0.2
SPARE = 3  # reports kept for each weak label that is wanted, since some are possible and left out
INTENDED_USE = "to order reports for reading and to find likely cases for review by a radiologist; research only"
LIMITS = "a probability holds for reports like those it learned from; measure it on your own before you rely on it"


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody decided of a report; `group` (by default the patient) is kept together in cross-validation."""

    is_case: bool
    group: str = ""


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
        id_column: the column of report ids, where it has no usual name.

    Raises:
        ModelError: labels or a starting model that cannot be used, or no labelled report in the run.
        RunError: no finished run, or its inputs or rules have changed since.
    """
    from calcitrace.classifier import SEED, fit

    _check(sensitivity, weak)
    seed = SEED if seed is None else seed
    given, left_out = read_labels(Path(labels), id_column)
    source = Rerun(Path(run))
    read, absent = _of_run(given, source.folder, Path(labels))
    earlier, _ = model_for(start, source.rules, source.case)
    on_progress(f"reading {len(read):,} labelled reports")
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
    warnings = (*absent, *_warnings(fitted, counts, not start and earlier is None))
    threshold = _threshold_from(fitted, counts[0], sensitivity)
    return Trained(model, Path(out), sum(counts), counts[0], left_out, weak_used, threshold, warnings)


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
    _check_both_kinds(read, path)
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
    """Where the threshold comes from; n cases all kept show a share of 0.05 ** (1 / n), with confidence."""
    by = "the very labels it learned from" if fitted.scores is None else "cross-validation of the labels"
    kept = "all of them, since so few cannot show that share" if UNSURE ** (1 / cases) < sensitivity else "that share"
    return f"by {by}: of {cases:,} cases, {sensitivity:g} were to be kept with 95 % confidence; it keeps {kept}"


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


def _held_out(fitted: Fitted, labelled: Labelled) -> list[float]:
    """The probabilities of the labelled cases by models that had not seen them, in ascending order."""
    if fitted.scores is None:
        return []
    truth = labelled.truth[labelled.full]
    return sorted(round(float(p), 6) for p, case in zip(fitted.scores, truth, strict=True) if case)


def read_labels(path: Path, id_column: str = "") -> tuple[dict[str, Label], int]:
    """The labels of a file by report id, and how many rows say neither yes nor no (possible).

    Raises:
        ModelError: the file cannot be read, lacks a column, a label is unknown or an id is given twice (path:line), or
            all labels are the same.
    """
    found: dict[str, Label] = {}
    lines: dict[str, int] = {}
    left_out = 0
    for line, row in label_rows(path, id_column, NAME_IDS):
        report_id, said = row.get("report_id", ""), row.get("label", "").strip().lower()
        if not report_id:
            raise ModelError(f"{path}:{line}: no report_id; give the columns report_id and label")
        if report_id in lines:
            raise ModelError(
                f"{path}:{line}: report id {shown_id(report_id)!r} was labelled before (line {lines[report_id]})"
            )
        lines[report_id] = line
        if said in LEFT_OUT:
            left_out += 1
        elif said in CASE | NO_CASE:
            found[report_id] = Label(said in CASE, row.get("group", ""))
        else:
            known = sorted(CASE | NO_CASE | LEFT_OUT - {""})
            raise ModelError(f"{path}:{line}: the label is not one of {', '.join(known)}{meant(said, known, '')}")
    _check_both_kinds(found, path)
    return found, left_out


def _check_both_kinds(labels: Mapping[str, Label], path: Path) -> None:
    cases = sum(label.is_case for label in labels.values())
    if not cases or cases == len(labels):
        kind = "no case" if not cases else "only cases"
        raise ModelError(
            f"{path}: {len(labels)} usable labels, {kind}; a model needs both cases and reports that are none"
        )


def label_rows(path: Path, id_column: str = "", advice: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file of labels (CSV, or JSONL by its ending or first brace) with their lines: id, label, group.

    `id_column` is the column of report ids, where it has no usual name; `advice` ends the error where it is missing.

    Raises:
        ModelError: the file cannot be read, or a line is no label (path:line).
    """
    if path.suffix.lower() in JSON_ENDINGS or _begins_with_brace(path):
        yield from _json_labels(path, id_column or "report_id", advice)
        return
    ids = id_column or "report_id"
    try:
        for line, row in read_list(path, (ids, "label")):
            yield line, {"report_id": row[ids], "label": row["label"], "group": row.get("group", "")}
    except SourceError as error:
        lacks_ids = isinstance(error, ListError) and ids in error.missing
        raise ModelError(f"{error}{advice if lacks_ids else ''}") from None


def _begins_with_brace(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as handle:  # a fault is told where the file is read
        return handle.read(100).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    return False


def _json_labels(path: Path, ids: str, advice: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path}: not UTF-8; save the labels as UTF-8") from None
    for line, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError):
            table = "; a table (CSV) needs another ending, such as .csv" if raw.lstrip()[0] not in "{[" else ""
            raise ModelError(f"{path}:{line}: not valid JSON; each line is one JSON object{table}") from None
        if not isinstance(row, dict) or not isinstance(row.get(ids), str):
            seen = f"; {listed(list(row), (ids, 'label'))}{advice}" if isinstance(row, dict) and ids not in row else ""
            raise ModelError(f"{path}:{line}: needs {ids} (a text in quotes) and label{seen}")
        label = row.get("label", row.get("case", row.get("case_status", "")))
        said = str(int(label)) if isinstance(label, bool) else str(label)
        yield line, {"report_id": row[ids], "label": said, "group": str(row.get("group", ""))}


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
    columns = list(zip(*(r[1:] for r in rows), strict=True))
    return Labelled(*columns), len(rows) - len(labels)


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
        "figures by nested cross-validation": _figures(fitted, labelled),
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
