"""The classifier: what it sees, how it learns, what it refuses, and that its file can do no harm."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calcitrace import Annotator, Report, RunOptions, process, read_run
from calcitrace.casemodel import CaseModel, load_model, log_odds, model_bytes, starter_path
from calcitrace.classifier import FeatureTable, Labelled, _threshold, fit, make_classifier, platt
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.errors import ModelError, RunError
from calcitrace.features import Features, assessed, schema
from calcitrace.labels import Label, read_labels
from calcitrace.rerun import Rerun
from calcitrace.training import held_out_reports, labelled_reports, train

CASES = (
    "Calcific deposit of the supraspinatus with erosion of the greater tuberosity. No mass.",
    "The infraspinatus calcification has migrated into the humeral head.",
    "Deltoid calcification, 8 mm, with scalloping of the humeral cortex beneath it.",
    "Calcific tendinitis of the gluteus maximus with cortical erosion of the femur and marrow edema.",
)
OTHERS = (
    "Calcific tendinitis of the supraspinatus. The greater tuberosity is intact, no erosion.",
    "Full-thickness supraspinatus tear with subcortical cysts. No calcification.",
    "Marginal erosions of rheumatoid arthritis. No calcific deposit.",
    "No fracture. No erosion. No calcification.",
    "Osteomyelitis of the humerus with cortical destruction.",
)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """Eight cases and ten others, two reports a patient."""
    texts = [*CASES, *CASES, *OTHERS, *OTHERS]
    return [Report(f"r{k}", text + f" Image {k}.", f"p{k // 2}") for k, text in enumerate(texts)]


@pytest.fixture(scope="module")
def labelled(annotator: Annotator, reports: list[Report]) -> Labelled:
    """The features of these reports with their labels."""
    case = annotator.rules.cases[DEFAULT_CASE]
    found = [assessed(annotator.annotate(r), annotator.rules, case)[1] for r in reports]
    return Labelled(found, [k < 8 for k in range(18)], [r.patient_id for r in reports], [1.0] * 18)


@pytest.fixture(scope="module")
def names(annotator: Annotator) -> tuple[str, str, str]:
    """Case definition, schema and rules of the models made here."""
    rules = annotator.rules
    return DEFAULT_CASE, schema(rules, rules.cases[DEFAULT_CASE]), rules.hash


@pytest.fixture(scope="module")
def model(labelled: Labelled, names: tuple[str, str, str]) -> CaseModel:
    """A small model."""
    return fit(labelled, names, 0.97).model


@pytest.fixture
def run(tmp_path: Path, reports: list[Report]) -> Path:
    """A finished run over the reports."""
    source = tmp_path / "reports.jsonl"
    rows = [{"report_id": r.report_id, "text": r.text, "patient_id": r.patient_id} for r in reports]
    source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    process(source, tmp_path / "run", RunOptions(model="none"))
    return tmp_path / "run"


def labels_file(folder: Path, rows: str, header: str = "report_id,label") -> Path:
    """A CSV file of labels."""
    path = folder / "labels.csv"
    path.write_text(f"{header}\n{rows}", encoding="utf-8")
    return path


def right_labels() -> str:
    """The labels of the run's reports."""
    return "".join(f"r{k},{int(k < 8)}\n" for k in range(18))


def test_features_are_facts_with_the_mentions_behind_them(annotator: Annotator) -> None:
    """A fact names a constituent, a finding or the status, and leads back to mentions; words carry no numbers."""
    rules = annotator.rules
    annotated = annotator.annotate(Report("r", CASES[2], modality="XR"))
    found = assessed(annotated, rules, rules.cases[DEFAULT_CASE])[1]
    assert found.facts["case status: probable"] == 1.0
    assert found.facts["modality: XR"] == 1.0
    assert found.mentions["constituent: deposit"] == ("r#0",)
    assert found.mentions["mention: cortical_erosion present"] == ("r#1",)
    assert "scalloping" in found.words
    assert "number mm" in found.words or "calcification number" in found.words
    assert not any(c.isdigit() for w in found.words for c in w)


def test_a_report_without_a_mention_has_no_words(annotator: Annotator) -> None:
    """Only sentences with a finding of the case are looked at."""
    rules = annotator.rules
    annotated = annotator.annotate(Report("r", "The lungs are clear."))
    found = assessed(annotated, rules, rules.cases[DEFAULT_CASE])[1]
    assert found.words == ()
    assert found.facts["case status: no"] == 1.0


def test_the_table_keeps_what_two_reports_have(labelled: Labelled) -> None:
    """A feature of one report alone is not learned; the table has a column a feature."""
    table = FeatureTable().fit(labelled.reports)
    columns = list(table.get_feature_names_out())
    assert table.transform(labelled.reports).shape == (18, len(columns))
    assert "constituent: deposit" in columns
    once = [Features({"a": 1.0, "b": 1.0}), Features({"a": 1.0})]
    assert list(FeatureTable().fit(once).get_feature_names_out()) == ["a"]


def test_the_pipeline_is_scikit_learns(labelled: Labelled) -> None:
    """The factory gives a plain pipeline whose parameters can be set and cloned."""
    from sklearn.base import clone

    pipeline = clone(make_classifier(strength=0.3)).set_params(classify__C=2.0)
    pipeline.fit(labelled.reports, labelled.truth)
    assert (pipeline.predict(labelled.reports) == labelled.truth).mean() >= 0.9


def test_the_saved_model_scores_as_the_pipeline_does(labelled: Labelled, names: tuple[str, str, str]) -> None:
    """The weights in the file are the pipeline's, to four decimals."""
    found = fit(labelled, names, 0.97, hold_out=False)
    pipeline = make_classifier(found.strength).fit(
        labelled.reports, labelled.truth, classify__sample_weight=np.ones(len(labelled))
    )
    scores = [found.model.score(f) for f in labelled.reports]
    assert scores == pytest.approx(list(pipeline.decision_function(labelled.reports)), abs=0.02)


def test_same_labels_and_seed_give_the_same_bytes(labelled: Labelled, names: tuple[str, str, str]) -> None:
    """Training is repeatable."""
    one, two = (model_bytes(fit(labelled, names, 0.97, hold_out=False).model) for _ in range(2))
    assert one == two


def test_few_cases_give_a_prior_and_no_curve(labelled: Labelled, names: tuple[str, str, str]) -> None:
    """Eight cases are too few for a calibration curve, and the model says so; forty are not."""
    assert fit(labelled, names, 0.97, hold_out=False).calibration == "prior"
    more = labelled.take(list(range(18)) * 3)
    spread = Labelled(more.reports, more.is_case, [f"{k}" for k in range(len(more))], more.weights)
    assert fit(spread, names, 0.97, hold_out=False).calibration == "platt"


def test_a_patients_reports_are_never_on_both_sides(labelled: Labelled) -> None:
    """Folds keep units together, and weak labels are learned from but never measured on."""
    from calcitrace.classifier import _folds

    weak = Labelled(labelled.reports, labelled.is_case, labelled.units, [0.2 if k % 9 == 0 else 1.0 for k in range(18)])
    folds = list(_folds(weak, 1))
    assert folds
    for learn, test in folds:
        assert not {weak.units[i] for i in learn} & {weak.units[i] for i in test}
        assert all(weak.weights[i] == 1.0 for i in test)


def test_held_out_reports_pair_each_label_with_what_was_said_unseen(
    labelled: Labelled, names: tuple[str, str, str]
) -> None:
    """One pair a label that counts in full, in order, with its unit as the patient; a weak label has none."""
    weighed = replace(labelled, weights=[0.2, *labelled.weights[1:]])
    fitted = fit(weighed, names, 0.97)
    gold, found = held_out_reports(fitted, weighed)
    assert [(g.patient_id, g.case_status == "definite") for g in gold] == [(f"p{k // 2}", k < 8) for k in range(1, 18)]
    assert [f.case_probability for f in found] == fitted.scores.tolist()
    assert [f.likely_case for f in found] == fitted.likely.tolist()
    assert held_out_reports(fit(weighed, names, 0.97, hold_out=False), weighed) == ([], [])


def test_labelled_reports_stand_in_the_order_of_the_run(run: Path) -> None:
    """A label belongs to its report, wherever it stands in its file; the unit is the group, or else the patient."""
    found, weak = labelled_reports({"r9": Label(False), "r2": Label(True, "style")}, Rerun(run))
    assert (list(found.is_case), list(found.units), weak) == ([True, False], ["style", "patient p4"], 0)


def test_platt_finds_the_slope_and_offset_of_simulated_scores() -> None:
    """Scores whose true log odds are 2 s - 1 come out so."""
    random = np.random.default_rng(1)
    scores = random.normal(0, 2, 20_000)
    truth = (random.random(20_000) < 1 / (1 + np.exp(-(2 * scores - 1)))).astype(np.int64)
    assert platt(scores, truth) == pytest.approx((2.0, -1.0), abs=0.1)


def test_another_prevalence_moves_the_odds_and_not_the_likely_cases(model: CaseModel, labelled: Labelled) -> None:
    """Odds move by the ratio of the prevalences' odds; who is a likely case stays."""
    features = labelled.reports[0]
    here, rare = model.probability(features), model.probability(features, 0.005)
    moved = log_odds(0.005) - log_odds(model.prevalence)
    assert log_odds(rare) - log_odds(here) == pytest.approx(moved)
    assert model.probability(features, model.prevalence) == pytest.approx(here)
    assert rare < here
    assert model.is_likely(features)


def test_contributions_add_up_to_the_log_odds(model: CaseModel, labelled: Labelled) -> None:
    """All contributions, intercept and offset together are the log odds of the probability."""
    features = labelled.reports[1]
    shares = sum(c.log_odds for c in model.contributions(features, most=10_000))
    rest = model.slope * model.intercept + model.offset
    small = 0.05 * len(list(features.values(model.word_weight)))  # shares too small to show are left out
    assert shares + rest == pytest.approx(log_odds(model.probability(features)), abs=small)
    strongest = [abs(c.log_odds) for c in model.contributions(features)]
    assert strongest == sorted(strongest, reverse=True)


def test_learning_from_an_earlier_model_keeps_its_order_with_few_labels(
    annotator: Annotator, labelled: Labelled, names: tuple[str, str, str]
) -> None:
    """Four labels cannot turn the starter's ranking round."""
    starter = load_model(starter_path(DEFAULT_CASE))
    few = labelled.take([0, 2, 8, 10])
    learned = fit(few, names, 0.97, earlier=starter).model
    order = np.argsort([starter.score(f) for f in labelled.reports])
    scores = np.array([learned.score(f) for f in labelled.reports])[order]
    assert np.corrcoef(np.arange(18), np.argsort(np.argsort(scores)))[0, 1] > 0.9


def test_the_threshold_keeps_the_wanted_share_with_confidence() -> None:
    """Of 100 cases none may be missed for 0.97 (0.95 ** (1/100) is 0.9705), one for 0.95; midway to the next report."""
    logits = np.arange(200, dtype=np.float64) / 10
    truth = (np.arange(200) >= 100).astype(np.int64)

    def cut(sensitivity: float) -> float:
        return round(log_odds(_threshold(logits - 10, truth, sensitivity)), 2)

    assert cut(0.97) == -0.05
    assert cut(0.95) == 0.05


def test_with_few_cases_all_are_kept(labelled: Labelled, names: tuple[str, str, str]) -> None:
    """Too few to say anything with confidence: every labelled case is at or above the threshold."""
    found = fit(labelled, names, 0.9)
    assert found.likely is not None
    assert found.model.threshold < 0.9
    assert all(
        found.model.is_likely(f) for f, is_case in zip(labelled.reports, labelled.is_case, strict=True) if is_case
    )


class _Hostile:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a model file ran')",)


def test_a_model_file_from_a_hostile_hand_runs_nothing(tmp_path: Path) -> None:
    """A pickle, however named, is refused without being unpickled."""
    path = tmp_path / "model.json"
    path.write_bytes(pickle.dumps(_Hostile()))
    with pytest.raises(ModelError, match="no model file"):
        load_model(path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda b: b[: len(b) // 2], "cut off"),
        (lambda b: b"", "cut off"),
        (lambda b: b"[1, 2]", "no model file"),
        (lambda b: b'{"a": 1}', "no model file"),
        (lambda b: b"[" * 100_000, "cut off"),
        (lambda b: b.replace(b'"word_weight": 0.4', b'"word_weight": 0.5'), "was changed"),
        (lambda b: b.replace(b'"calcitrace_model": ', b'"calcitrace_model": 9'), "another version"),
        (lambda b: b.replace(b'"slope": ', b'"slope": NaN, "s": '), "was changed"),
    ],
)
def test_a_spoiled_model_file_is_refused_with_its_reason(tmp_path: Path, model: CaseModel, spoil, said: str) -> None:
    """Cut off, foreign, changed by hand or of another version: each is told, with the file's name."""
    path = tmp_path / "model.json"
    path.write_bytes(spoil(model_bytes(model)))
    with pytest.raises(ModelError, match=said) as error:
        load_model(path)
    assert "model.json" in str(error.value)


def test_a_signed_file_with_wrong_content_is_refused(tmp_path: Path, model: CaseModel) -> None:
    """A right checksum does not make strings into weights."""
    from calcitrace.casemodel import FORMAT, _checksum

    content = json.loads(model_bytes(model))
    del content["sha256"], content["calcitrace_model"]
    content["weights"] = {"a": "1"}
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"calcitrace_model": FORMAT, "sha256": _checksum(content), **content}))
    with pytest.raises(ModelError, match="lacks what a model has"):
        load_model(path)


def test_a_saved_model_comes_back_as_it_was(tmp_path: Path, model: CaseModel) -> None:
    """Writing and loading lose nothing."""
    path = tmp_path / "model.json"
    path.write_bytes(model_bytes(model))
    assert load_model(path) == model


def test_a_model_for_other_rules_is_refused(tmp_path: Path, model: CaseModel, annotator: Annotator) -> None:
    """Another case definition, or other names of findings and constituents, do not fit."""
    rules = annotator.rules
    strict = rules.cases["intraosseous_migration_strict"]
    with pytest.raises(ModelError, match="is for the case definition"):
        model.check_fit(rules, strict, "m.json")
    odd = CaseModel(**{f: getattr(model, f) for f in CaseModel.__dataclass_fields__} | {"schema": "0"})
    with pytest.raises(ModelError, match="findings or constituents have other names"):
        odd.check_fit(rules, rules.cases[DEFAULT_CASE], "m.json")


def test_train_writes_a_model_that_process_uses(tmp_path: Path, run: Path, command: Any) -> None:
    """From labels to a model with its card, and to a run whose manifest names it."""
    made = command(
        "train",
        labels_file(tmp_path, right_labels()),
        "--run",
        run,
        "-o",
        tmp_path / "own.json",
        "--note",
        "Two readers.",
    )
    assert made.code == 0, made.err
    assert "cases: 8" in made.out
    card = load_model(tmp_path / "own.json").card
    assert card["note"] == "Two readers."
    assert card["started from"] == "intraosseous_migration"
    assert (
        command("process", tmp_path / "reports.jsonl", "-o", tmp_path / "run2", "--model", tmp_path / "own.json").code
        == 0
    )
    assert f"{run} stays as it is. Without --model a run uses the starter model; to use this one:\n" in made.out
    manifest = json.loads((tmp_path / "run2" / "manifest.json").read_text())
    assert manifest["model"]["name"] == "own"
    reports, _ = read_run(tmp_path / "run2")
    likely = reports[reports["likely_case"]]
    assert set(likely["report_id"]) >= {f"r{k}" for k in range(8)}
    assert all(len(c) for c in likely["contributions"])
    shown = command("model", tmp_path / "own.json", "--features", "3")
    assert "intended use" in shown.out


def test_train_tells_its_threshold_and_where_it_comes_from(tmp_path: Path, run: Path, command: Any) -> None:
    """Eight cases cannot show a share of 0.97 (0.05 ** (1 / 8) is 0.69), so all are kept; few labels are told of."""
    made = command("train", labels_file(tmp_path, right_labels()), "--run", run, "-o", tmp_path / "own.json")
    threshold = load_model(tmp_path / "own.json").threshold
    said = f"threshold (probability) {threshold:.4f}, by cross-validation of the labels: of 8 cases, at least 97 % were"
    assert said in made.out
    assert "it keeps all of them, since so few cannot show that share" in made.out
    assert "warning: 8 labelled as case and 10 as none, not 10 of each" in made.err


def test_train_warns_of_a_case_that_pulls_the_threshold_down(tmp_path: Path, run: Path, command: Any) -> None:
    """One report without a finding, labelled a case: how many are marked, and which label to look at; else nothing."""
    labels = labels_file(tmp_path, right_labels().replace("r11,0", "r11,1"))
    made = command("train", labels, "--run", run, "-o", tmp_path / "own.json")
    assert made.code == 0
    (told,) = re.findall(
        r"the threshold marks (\d+) of 18 labelled reports, (\d) of them no cases: .*\((.*)\)", made.err
    )
    assert int(told[0]) == 9 + int(told[1])
    assert int(told[1]) > 4
    assert told[2] == "r11"
    assert "choose another with `calcitrace threshold`" in made.err
    right = command("train", labels_file(tmp_path, right_labels()), "--run", run, "-o", tmp_path / "right.json")
    assert "the threshold marks" not in right.err


def test_a_model_is_written_over_only_where_that_is_asked_for(tmp_path: Path, run: Path, command: Any) -> None:
    """Runs may use the earlier one; `threshold`, too."""
    out = tmp_path / "own.json"
    out.write_text("{}")
    words = ("train", labels_file(tmp_path, right_labels()), "--run", run, "-o", out)
    for refused in (command(*words), command("threshold", out, "--run", run, "--reads-per-1000", 9, "-o", out)):
        assert refused.code == 2
        assert "own.json: is there already, and runs may use it; choose another --out, or --overwrite" in refused.err
    assert out.read_text() == "{}"
    assert command(*words, "--overwrite").code == 0
    assert load_model(out).case == DEFAULT_CASE


def test_train_warns_where_nothing_could_be_held_out(tmp_path: Path, run: Path, command: Any) -> None:
    """One case: a model without figures, whose threshold is a guess."""
    made = command("train", labels_file(tmp_path, "r0,1\nr8,0\n"), "--run", run, "-o", tmp_path / "own.json")
    assert "warning: 1 labelled as case and 1 as none, too few to hold any out" in made.err
    assert "by the very labels it learned from" in made.out


def test_training_tells_how_far_it_is(tmp_path: Path, run: Path) -> None:
    """Each report that is read, then each model that is learned: one for the labels, one for each of five folds."""
    steps: list[tuple[int, int]] = []
    train(labels_file(tmp_path, right_labels()), run, tmp_path / "m.json", on_step=lambda *s: steps.append(s))
    assert steps[:18] == [(k, 18) for k in range(1, 19)]
    last = steps[-1][1]
    assert steps[18:] == [(k, last) for k in range(last + 1)]
    assert last in range(3, 7)


def test_training_twice_gives_the_same_file(tmp_path: Path, run: Path) -> None:
    """Same labels, same run, same seed, same model."""
    labels = labels_file(tmp_path, right_labels())
    for name in ("a/m.json", "b/m.json"):
        train(labels, run, tmp_path / name, start="none")
    assert (tmp_path / "a/m.json").read_bytes() == (tmp_path / "b/m.json").read_bytes()


def test_weak_labels_come_from_the_case_definition(tmp_path: Path, run: Path) -> None:
    """Unlabelled reports of the run can be mixed in; the card says how many."""
    few = labels_file(tmp_path, "r0,1\nr2,1\nr8,0\nr10,0\n")
    made = train(few, run, tmp_path / "m.json", start="none", weak=6)
    assert (made.labels, made.weak) == (4, 6)
    assert made.model.card["data"]["weak labels from the case definition"] == 6


def test_weak_labels_are_drawn_without_keeping_the_archive() -> None:
    """The draw keeps a bounded number, the same whether it is cut on the way or at the end."""
    from calcitrace.training import _drawn

    spare = [(f"{k * 7919 % 1000:03d}", Report(f"r{k}", "")) for k in range(1000)]
    kept: list[tuple[str, Report]] = []
    for entry in spare:
        kept = _drawn([*kept, entry], 10)
    assert kept == _drawn(spare, 10)
    assert [key for key, _ in kept] == [f"{k:03d}" for k in range(10)]


def test_labels_are_known_by_what_they_hold(tmp_path: Path) -> None:
    """JSON lines in a file called .csv are read; a table called .jsonl is told by the ending that it needs."""
    lines = tmp_path / "labels.csv"
    lines.write_text('{"report_id": "a", "label": 1}\n{"report_id": "b", "label": 0}\n', encoding="utf-8")
    assert {i: label.is_case for i, label in read_labels(lines)[0].items()} == {"a": True, "b": False}
    table = tmp_path / "labels.jsonl"
    table.write_text("report_id,label\na,1\nb,0\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"jsonl:1: not valid JSON; .*; a table \(CSV\) needs another ending"):
        read_labels(table)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("r0,1\nr1,1\n", "only cases"),
        ("r8,0\nr9,0\n", "no case"),
        ("", "0 usable labels"),
        ("r0,1\nr0,0\nr8,0\n", "labels.csv:3: report id 'r0' was labelled before (line 2)"),
        ("r0,1\nr8,Maybe\n", "labels.csv:3: the label 'Maybe' is not one of"),
        ("r0,1\nr8,no fracture seen\n", "labels.csv:3: the label is not one of"),
        ("r0,1\nr8,definit\n", "true, unsure, yes; did you mean 'definite'?"),
        ("r0,1\n,0\n", "labels.csv:3: no report_id"),
        ("r0,1\nelsewhere,0\n", "labels.csv: 1 usable labels, only cases"),
        ("x,1\ny,0\n", "run: 2 of 2 labelled reports are not in this run (first 'x', 'y'); name the run that read"),
    ],
)
def test_labels_that_cannot_be_learned_from_are_told(tmp_path: Path, run: Path, rows: str, said: str) -> None:
    """One class, none, repeats, unknown labels and unknown reports: each is told, and nothing is written."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelError) as error:
        train(labels_file(tmp_path, rows), run, tmp_path / "m.json")
    assert said in str(error.value)
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "labels.csv"])


def test_all_bad_labels_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """The first ten by their lines, and how many more there are."""
    rows = "".join(f"r{k},1\nr{k},perhaps\n" for k in range(12))
    with pytest.raises(ModelError) as told:
        read_labels(labels_file(tmp_path, f"{rows},0\nr99,perhaps\n"))
    *lines, more = str(told.value).split("\n")
    assert [int(line.split(":")[1]) for line in lines] == list(range(3, 23, 2))
    assert more == "and 4 more"


def test_labels_of_other_reports_are_left_out_and_told(tmp_path: Path, run: Path) -> None:
    """How many, the first of them and what a spreadsheet may have made of their ids; the card counts them, too."""
    made = train(labels_file(tmp_path, right_labels() + "x3,1\nx1,0\nx4,0\nx2,0\n"), run, tmp_path / "m.json")
    (told, *_) = made.warnings
    said = "4 of 22 labelled reports are not in this run (first 'x1', 'x2', 'x3'); they were left out"
    assert (told, made.labels) == (f"{run}: {said}", 18)
    assert load_model(tmp_path / "m.json").card["labels"]["not in the run"] == 4
    whole = train(labels_file(tmp_path, right_labels()), run, tmp_path / "n.json")
    assert "not in the run" not in whole.model.card["labels"]


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "cp1252"), ("\t", "utf-16"), (",", "utf-8-sig")])
def test_labels_are_read_as_reports_are(delimiter: str, encoding: str, tmp_path: Path) -> None:
    """Delimiter and encoding are recognised, and a column is known in any case: what Excel saves in Europe works."""
    path = tmp_path / "labels.csv"
    rows = (("Report-ID", "Label", "Pr\u00fcfer"), ("r0", "1", "\u00c4."), ("r1", "no", "B."))
    path.write_bytes("".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding))
    labels, _ = read_labels(path)
    assert {name: label.is_case for name, label in labels.items()} == {"r0": True, "r1": False}


def test_labels_without_the_columns_are_told(tmp_path: Path) -> None:
    """A file of another shape is told by its first line, with its columns and the option that names the ids."""
    needs = "labels.csv:1: needs the columns report_id and label; missing: "
    for header, told in (
        ("id;y", "label; columns are: id, y$"),
        ("ident;label", "report_id; columns are: ident, label; --id-column names the column of report ids$"),
        ("ident#label", r"report_id, label; only 1 column when split at ',' \(at '#' it would be 2\); save it with"),
        ("r0;No fracture", r"report_id, label; none of its 2 columns has a usual name"),
    ):
        with pytest.raises(ModelError, match=needs + told):
            read_labels(labels_file(tmp_path, "r0;1\n", header))
    path = tmp_path / "labels.jsonl"
    path.write_text('{"ident": "r0", "label": 1}\n')
    with pytest.raises(ModelError, match=r"needs report_id \(.*\) and label; columns are: ident, label; --id-column"):
        read_labels(path)


@pytest.mark.parametrize(("name", "asked"), [("Accession No", ""), ("MRN", "mrn"), ("ACC", "ACC")])
def test_the_ids_of_labels_have_the_names_that_those_of_reports_have(name: str, asked: str, tmp_path: Path) -> None:
    """A usual name is recognised, and any other can be named."""
    path = tmp_path / "labels.csv"
    path.write_text(f"{name};label\nr0;1\nr1;0\n")
    assert read_labels(path, asked)[0].keys() == {"r0", "r1"}
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps({asked or "report_id": f"r{n}", "label": n}) + "\n" for n in (0, 1)))
    assert read_labels(path, asked)[0].keys() == {"r0", "r1"}


def test_ids_of_labels_may_stand_where_those_of_the_run_stood(tmp_path: Path, command: Any) -> None:
    """The column that the run was told of is taken, and told, where the labels have no usual name; else none is."""
    source = tmp_path / "r.csv"
    texts = (CASES[0], OTHERS[0])
    source.write_text("Nummer,text\n" + "".join(f'r{n},"{text}"\n' for n, text in enumerate(texts)))
    process(source, tmp_path / "run", RunOptions(model="none", columns={"report_id": "Nummer"}))
    words = ("--run", tmp_path / "run", "-o", tmp_path / "m.json", "--overwrite")
    made = command("train", labels_file(tmp_path, "r0,1\nr1,0\n", "Nummer,label"), *words)
    assert "reading 2 labelled reports, ids of the labels from column Nummer as those of the run\n" in made.err
    assert made.code == 0
    made = command("train", labels_file(tmp_path, "r0,1,x\nr1,0,y\n", "report_id,label,Nummer"), *words)
    assert "reading 2 labelled reports\n" in made.err
    made = command("train", labels_file(tmp_path, "r0,1\nr1,0\n", "Akte,label"), *words)
    assert "missing: report_id; columns are: Akte, label; --id-column names the column" in made.err


def test_labels_may_be_json_lines_with_case_statuses(tmp_path: Path) -> None:
    """A gold standard file is a file of labels; possible is left out."""
    path = tmp_path / "gold.jsonl"
    rows = [
        {"report_id": "a", "case": "definite"},
        {"report_id": "b", "case": "no"},
        {"report_id": "c", "case": "possible"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    found, left_out = read_labels(path)
    assert {k: v.is_case for k, v in found.items()} == {"a": True, "b": False}
    assert left_out == 1


def test_a_run_whose_input_has_changed_is_refused(tmp_path: Path, run: Path) -> None:
    """Training reads the texts again and must read the same ones."""
    with (tmp_path / "reports.jsonl").open("a") as handle:
        handle.write('{"report_id": "new", "text": "x"}\n')
    with pytest.raises(RunError, match="has changed since the run"):
        train(labels_file(tmp_path, right_labels()), run, tmp_path / "m.json")


def test_without_a_model_the_case_definition_decides(tmp_path: Path, run: Path) -> None:
    """A run with --no-model has no probability and says so; likely cases are definite and probable ones."""
    reports, _ = read_run(run)
    assert reports["case_probability"].isna().all()
    assert list(reports["likely_case"]) == [s in ("definite", "probable") for s in reports["case_status"]]
    assert json.loads((run / "manifest.json").read_text())["model"] is None


def test_cases_that_the_model_sets_aside_are_named(
    tmp_path: Path, run: Path, model: CaseModel, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that only the definition takes for likely cases: ids by probability, at the end and on the summary page."""
    monkeypatch.setattr("calcitrace.corpus.PART_ROWS", 3)
    monkeypatch.setattr("calcitrace.cli.process.MOST_ASIDE", 7)
    strict = tmp_path / "strict.json"
    strict.write_bytes(model_bytes(replace(model, threshold=0.999999)))
    told = command("process", tmp_path / "reports.jsonl", "-o", tmp_path / "set", "--model", strict)
    reports, _ = read_run(tmp_path / "set")
    aside = reports[reports["case_status"].isin(["definite", "probable"]) & ~reports["likely_case"]]
    names = list(aside.sort_values(["case_probability", "report_id"], ascending=[False, True])["report_id"])
    assert len(names) == 8
    assert "Set aside by the model: 8 reports, definite or probable by the case definition\n" in told.out
    assert re.findall(r"^  (\S+) \(\w+, probability [\d.]+\)$", told.out, re.MULTILINE) == names[:7]
    assert "  ...; more of them are in summary.html, all are in the table reports\n" in told.out
    assert f"calcitrace show --run {tmp_path / 'set'} REPORT_ID --why\n" in told.out
    page = (tmp_path / "set" / "summary.html").read_text()
    listed = page.partition("Set aside by the model")[2].partition("</table>")[0]
    assert re.findall(r'<tr><td><a href="#a\d+">(\w+)</a></td>', listed) == names
    assert re.findall(r'<article id="(a\d+)">\n<h3>(\w+) ', page) == [(f"a{k}", n) for k, n in enumerate(names, 1)]
    assert "Texts of those set aside" in page
    assert "mark class" in page.partition('<article id="a1">')[2]


def test_an_id_that_reads_as_text_is_not_told(tmp_path: Path, model: CaseModel, command: Any) -> None:
    """Where a column of words is taken for the ids, the terminal shows none of them."""
    strict, reports = tmp_path / "strict.json", tmp_path / "r.jsonl"
    strict.write_bytes(model_bytes(replace(model, threshold=0.999999)))
    reports.write_text(
        "".join(json.dumps({"report_id": i, "text": CASES[0]}) + "\n" for i in ("Mr Zebra", "A1\x1b[2J"))
    )
    told = command("process", reports, "-o", tmp_path / "set", "--model", strict).out
    assert re.findall(r"^  (.+) \(probable, probability", told, re.MULTILINE) == [
        "A1\u241b[2J",
        "an id that reads as text",
    ]


def test_prevalence_is_recorded_and_moves_probabilities(tmp_path: Path, run: Path) -> None:
    """The manifest says at which prevalence the probabilities stand."""
    for name, share in (("at", None), ("rare", 0.005)):
        process(tmp_path / "reports.jsonl", tmp_path / name, RunOptions(prevalence=share))
    (here, _), (rare, _) = read_run(tmp_path / "at"), read_run(tmp_path / "rare")
    assert (rare["case_probability"] < here["case_probability"]).all()
    assert list(rare["likely_case"]) == list(here["likely_case"])
    notes = [json.loads((tmp_path / n / "manifest.json").read_text())["model"] for n in ("at", "rare")]
    assert notes[0]["probabilities_at_prevalence"] == notes[0]["trained_at_prevalence"]
    assert notes[1]["probabilities_at_prevalence"] == 0.005


def test_another_model_is_another_run(tmp_path: Path, run: Path) -> None:
    """A run folder is not continued with another model."""
    with pytest.raises(RunError, match="holds a run with other model"):
        process(tmp_path / "reports.jsonl", run)


def test_the_starter_model_says_what_it_is(command: Any) -> None:
    """Its card says synthetic, and names its figures, use and limits."""
    said = command("model").out
    assert "STARTER MODEL, trained on synthetic reports only" in said
    for part in ("intended use", "limits", "sensitivity", "trained with rules"):
        assert part in said


def test_show_gives_the_probability_and_its_reasons(command: Any) -> None:
    """`show` prints the probability; with --why what made it, in full with the mentions; --no-model neither."""
    plain = command("show", "--text", CASES[3])
    assert "probability 0." in plain.out
    why = command("show", "--text", CASES[3], "--why", "--full").out
    assert "what made the probability (log odds)" in why
    assert "constituent: erosion" in why
    assert "erosion (report#1)" in why
    assert "probability" not in command("show", "--text", CASES[3], "--no-model").out
    told = json.loads(command("show", "--text", CASES[3], "--json").out)
    assert told["likely_case"] is True
    assert told["contributions"][0].keys() == {"feature", "log_odds", "mentions"}


def test_model_and_no_model_together_are_refused(command: Any) -> None:
    """One says which model, the other that there is none."""
    assert command("show", "--text", "x", "--model", "m.json", "--no-model").code == 2
