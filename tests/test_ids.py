"""Ids of a user's files beside those that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command
from test_cohort import CASE, criteria, rows_of, run

from calcitrace import build_cohort
from calcitrace.adjudication import Store
from calcitrace.decisions import Item
from calcitrace.errors import ModelError, UsageError
from calcitrace.evaluate import evaluate
from calcitrace.exchange import import_decisions
from calcitrace.frames import report_ids
from calcitrace.ids import lost_zeros, not_there
from calcitrace.training import train

ZEROS = "2 would be there with other leading zeros: keep ids as text, not as numbers"


@pytest.fixture
def zeros(tmp_path: Path) -> Path:
    """A run over reports and patients whose ids begin with zeros."""
    return run(tmp_path, rows_of(*((f"00{k}", f"0{k}", "2019-03-04", CASE) for k in (1, 2))))


@pytest.mark.parametrize(
    ("missing", "known", "n"),
    [({"1", "2"}, ["001", "02", "2"], 2), ({"0012"}, ["12"], 1), ({"12", "x"}, ["120", "0 12"], 0), (set(), ["1"], 0)],
)
def test_ids_that_lost_their_zeros_are_counted(missing: set[str], known: list[str], n: int) -> None:
    """Each missing id once, however many there are like it, and only where nothing but leading zeros differs."""
    assert lost_zeros(missing, known) == (ZEROS.replace("2", f"; {n}", 1) if n else "")


def test_the_first_ids_are_named_and_prose_is_not() -> None:
    """Three of them in order; what is no id is not repeated, since it may be the words of a report."""
    said = not_there({"d", "c", "b", "a"}, 5, "labelled reports", "this run", [])
    assert said == "4 of 5 labelled reports are not in this run (first 'a', 'b', 'c')"
    assert "erosion" not in not_there({"No erosion seen"}, 1, "labelled reports", "this run", [])


def test_the_ids_of_a_run_are_those_of_its_table(zeros: Path) -> None:
    """In order and as given."""
    assert list(report_ids(zeros)) == ["001", "002"]


def test_labels_and_gold_standards_without_zeros_are_told(zeros: Path, tmp_path: Path) -> None:
    """The error counts what would be found with them."""
    (tmp_path / "labels.csv").write_text("report_id,label\n1,1\n2,0\n")
    with pytest.raises(ModelError, match=ZEROS):
        train(tmp_path / "labels.csv", zeros, tmp_path / "model.json")
    (tmp_path / "gold.jsonl").write_text('{"report_id": "1"}\n{"report_id": "2"}\n')
    with pytest.raises(UsageError, match=ZEROS):
        evaluate(zeros, tmp_path / "gold.jsonl")


def test_adjudications_and_codes_without_zeros_are_told(zeros: Path, tmp_path: Path) -> None:
    """Neither is an error, since both may be of more than these runs; the cohort has a note of each."""
    (tmp_path / "labels.csv").write_text("report_id,label\n1,1\n2,0\n002,1\n")
    (tmp_path / "codes.csv").write_text("patient_id,code\n1,M05\n2,M05\n01,M05\n")
    file = criteria(tmp_path, "exclude: [{name: A, codes: M05, table: codes.csv}]\n")
    notes = build_cohort(zeros, file, tmp_path / "labels.csv").notes
    assert notes[:2] == (
        "adjudications: 2 of 3 adjudicated reports are not in these runs (first '1', '2'); "
        f"{ZEROS}; they count nowhere",
        f"codes.csv: of the ids that are no patients of these runs, {ZEROS}",
    )
    (tmp_path / "labels.csv").write_text("report_id,label\n001,1\n")
    assert build_cohort(zeros, None, tmp_path / "labels.csv").notes == ()


def test_decisions_without_zeros_are_told(command: Command, tmp_path: Path) -> None:
    """The rows are rejected, and a line says why that may be."""
    with Store(tmp_path / "s.sqlite", create=True) as store:
        items = [Item(i, "", i, "likely", n, 0.5) for n, i in enumerate(("001", "002"))]
        store.fill({}, {"likely": (2, 2)}, items)
        (tmp_path / "in.csv").write_text("report_id,decision,reviewer\n1,yes,A\n2,no,A\n001,yes,A\n")
        assert import_decisions(store, tmp_path / "in.csv", "csv").advice == ZEROS
    ended = command("decisions", "import", tmp_path / "in.csv", "--store", tmp_path / "s.sqlite")
    assert ended.err.splitlines()[-2] == f"of the ids that are not in the queue, {ZEROS}"
