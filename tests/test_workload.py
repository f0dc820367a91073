"""A threshold by reading time: what it marks, what it costs, and what it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calcitrace import RunOptions, load_model, process, read_run
from calcitrace.casemodel import FIGURES, model_bytes, starter_path
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.errors import ModelError
from calcitrace.workload import set_workload

CASE = "Calcific deposit of the supraspinatus with erosion of the greater tuberosity. No mass."
TEXTS = (
    CASE,
    "The infraspinatus calcification has migrated into the humeral head.",
    "Calcific tendinitis of the supraspinatus with marrow edema of the tuberosity.",
    "Calcific tendinitis of the supraspinatus. No erosion.",
    "No fracture. No calcification.",
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The starter model under another name."""
    path = tmp_path / "model.json"
    path.write_bytes(Path(str(starter_path(DEFAULT_CASE))).read_bytes())
    return path


@pytest.fixture
def run(tmp_path: Path, model: Path) -> Path:
    """A run of 40 reports, eight of each text, made with the model at a stated prevalence."""
    source = tmp_path / "reports.jsonl"
    rows = [{"report_id": f"r{k}", "text": TEXTS[k % 5]} for k in range(40)]
    source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    process(source, tmp_path / "run", RunOptions(model=str(model), prevalence=0.01))
    return tmp_path / "run"


@pytest.mark.parametrize(("reads", "marked"), [(200, 8), (399, 8), (400, 16), (1000, 40), (199, 0)])
def test_the_threshold_marks_what_can_be_read(
    tmp_path: Path, run: Path, model: Path, reads: float, marked: int
) -> None:
    """Never more than asked; equal probabilities that do not all fit stay out; the prevalence of the run is undone."""
    made = set_workload(model, run, tmp_path / "new.json", reads)
    assert (made.reports, made.marked) == (40, marked)
    process(tmp_path / "reports.jsonl", tmp_path / "again", RunOptions(model=str(tmp_path / "new.json")))
    assert read_run(tmp_path / "again")[0]["likely_case"].sum() == marked


def test_its_cost_is_told_from_cases_that_were_held_out(tmp_path: Path, run: Path, model: Path, command: Any) -> None:
    """The share of labelled cases at or above the threshold, with its exact interval."""
    held_out = tuple(load_model(model).held_out)
    assert len(held_out) > 100
    told = command("threshold", model, "--run", run, "--reads-per-1000", 200, "-o", tmp_path / "new.json")
    assert told.code == 0, told.err
    kept = sum(p >= load_model(tmp_path / "new.json").threshold for p in held_out)
    assert f"sensitivity by cross-validation: {kept}/{len(held_out)} (95 % interval 0." in told.out
    assert load_model(tmp_path / "new.json").card["threshold set for"] == "200 reads of 1,000 reports"


def test_it_is_told_on_the_scale_of_the_runs_probabilities(
    tmp_path: Path, run: Path, model: Path, command: Any
) -> None:
    """What is printed parts the reports of the run as it says; the number of the model's own scale stands beside it."""
    told = command("threshold", model, "--run", run, "--reads-per-1000", 200, "-o", tmp_path / "new.json")
    (least,) = re.findall(r"^threshold (\S+): marks 8 of 40 reports", told.out)
    assert (read_run(run)[0]["case_probability"] >= float(least)).sum() == 8
    own = load_model(tmp_path / "new.json")
    assert f"where 1 % of the reports are cases; in the model's file and card it is {own.threshold:.4g}, " in told.out


def test_figures_of_the_old_threshold_are_named_so(tmp_path: Path, run: Path, model: Path, command: Any) -> None:
    """The card tells the sensitivity at the new one, and names what holds at that of training, also a second time."""
    command("threshold", model, "--run", run, "--reads-per-1000", 200, "-o", tmp_path / "new.json")
    shown = command("model", tmp_path / "new.json").out
    old = f"{load_model(model).threshold:.4f}"
    assert re.findall(r"^  (?:sensi|speci)\w+ (.*):", shown, re.M) == [f"at the threshold of training ({old})"] * 2
    assert re.search(r"^sensitivity at the threshold set, by cross-validation: \d+/\d+ \(", shown, re.M)
    process(tmp_path / "reports.jsonl", tmp_path / "again", RunOptions(model=str(tmp_path / "new.json")))
    twice = set_workload(tmp_path / "new.json", tmp_path / "again", tmp_path / "twice.json", 400).model
    assert twice.card[FIGURES] == load_model(tmp_path / "new.json").card[FIGURES]


def test_a_model_without_held_out_cases_says_so(tmp_path: Path, model: Path, command: Any) -> None:
    """Nothing is claimed where nothing was measured."""
    model.write_bytes(model_bytes(replace(load_model(model), held_out=[])))
    source = tmp_path / "one.jsonl"
    source.write_text(json.dumps({"report_id": "a", "text": CASE}), encoding="utf-8")
    process(source, tmp_path / "run", RunOptions(model=str(model)))
    told = command("threshold", model, "--run", tmp_path / "run", "--reads-per-1000", 1000, "-o", tmp_path / "n.json")
    assert "sensitivity by cross-validation: not known" in told.out


def test_a_run_with_another_model_is_refused(tmp_path: Path, run: Path, model: Path) -> None:
    """The probabilities must be those of the model; nothing is written."""
    other = tmp_path / "other.json"
    other.write_bytes(model_bytes(replace(load_model(model), threshold=0.5)))
    with pytest.raises(ModelError, match="was not made with"):
        set_workload(other, run, tmp_path / "new.json", 5)
    assert not (tmp_path / "new.json").exists()


@pytest.mark.parametrize("reads", [0, -1, 1001])
def test_a_workload_that_makes_no_sense_is_told(
    tmp_path: Path, run: Path, model: Path, command: Any, reads: int
) -> None:
    """Exit code 2 and what was given."""
    told = command("threshold", model, "--run", run, "--reads-per-1000", reads, "-o", tmp_path / "n.json")
    assert told.code == 2
    assert "reads of 1,000 reports is not above 0" in told.err
