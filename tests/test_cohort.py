"""From finished runs to a cohort: patients over time, counts that add up, and pages without text and ids."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from calcitrace import RunOptions, build_cohort, process
from calcitrace.adjudication import Store
from calcitrace.cohortfolder import write_cohort
from calcitrace.criteria import Exclusion, read_criteria
from calcitrace.decisions import Opinion
from calcitrace.errors import CriteriaError, RunError, SourceError, UsageError
from calcitrace.exchange import export_decisions
from calcitrace.exports import EXPORTS, export
from calcitrace.flowdiagram import LINE, PADDING, SCALE, flow_png, layout
from calcitrace.methods import exclusion_reasons, methods, paragraphs
from calcitrace.review.queue import QueueOptions, make_queue
from calcitrace.rules import load_rules, patterns_folder
from calcitrace.selection import exclusion_names, steps_to_a_case
from calcitrace.tableone import SHOWN, sex_in_words, table_one

MARK = "Zqxmarker"
DEPOSIT = "FINDINGS: 9 mm calcific deposit in the right supraspinatus tendon. The cortex is intact."
CASE = (
    "FINDINGS: Calcific deposit in the right supraspinatus tendon, with migration of calcium into the greater "
    "tuberosity. No mass."
)
HEALED = (
    "FINDINGS: The calcification of the right supraspinatus tendon is no longer seen. The erosion of the greater "
    "tuberosity has resolved."
)
CYST = "FINDINGS: No calcification of the right supraspinatus. A small cyst remains in the greater tuberosity."
STILL = "FINDINGS: Unchanged intraosseous calcification of the right greater tuberosity."
PLAIN = "FINDINGS: The heart is normal in size."
SURGERY = "FINDINGS: Status post rotator cuff repair on the right. The heart is normal in size."
Rows = list[dict[str, str]]


def rows_of(*told: tuple[str, str, str, str]) -> Rows:
    """Rows of (report, patient, date, text)."""
    return [dict(zip(("report_id", "patient_id", "study_date", "text"), row, strict=True)) for row in told]


def run(folder: Path, rows: Rows, name: str = "run", **options: Any) -> Path:
    """A finished run over these rows."""
    source = folder / f"{name}.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    process(source, folder / name, RunOptions(**options))
    return folder / name


def criteria(folder: Path, text: str) -> Path:
    """A file of criteria."""
    path = folder / "criteria.yml"
    path.write_text(text, encoding="utf-8")
    return path


def patient(cohort: Any, patient_id: str = "P1") -> dict[str, Any]:
    """The one row of a patient."""
    (row,) = cohort.patients[cohort.patients["patient_id"] == patient_id].to_dict("records")
    return {str(k): v for k, v in row.items()}


# ------------------------------------------------------------- one patient


@pytest.mark.parametrize(
    ("later", "outcome", "vanished"),
    [(HEALED, "resolved", True), (CYST, "residual_cyst", True), (STILL, "persistent", False), ("", "unknown", False)],
)
def test_the_last_report_tells_the_outcome(tmp_path: Path, later: str, outcome: str, vanished: bool) -> None:
    """Index date and type are those of the first case report; what came of the bone is said by a later one."""
    rows = rows_of(("a", "P1", "2019-01-05", DEPOSIT), ("b", "P1", "2019-03-04", CASE))
    rows += rows_of(("c", "P1", "2020-06-15", later)) if later else []
    found = patient(build_cohort(run(tmp_path, rows)))
    assert (found["is_case"], found["case_status"], found["index_date"]) == (True, "definite", "2019-03-04")
    assert (found["tendon"], found["bone"], found["laterality"]) == ("supraspinatus", "humerus", "right")
    assert (found["outcome"], found["vanished_deposit"], found["n_reports"]) == (outcome, vanished, len(rows))


@pytest.mark.parametrize(
    ("later", "vanished", "deposit"),
    [
        ("The previously seen left gluteus medius calcification has resolved.", False, ""),
        ("The previously seen calcification of the left supraspinatus has resolved.", False, ""),
        ("The previously seen calcification of the right supraspinatus has resolved.", True, "gone"),
        ("The previously seen calcification has resolved.", True, "gone"),
    ],
)
def test_a_deposit_that_vanishes_is_that_of_the_case(tmp_path: Path, later: str, vanished: bool, deposit: str) -> None:
    """One at another bone or on the other side is not; one whose place nobody tells may be."""
    made = build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2020-06-15", later))))
    assert patient(made)["vanished_deposit"] == vanished
    assert list(made.timeline["deposit"])[1] == deposit


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ("The erosion of the greater tuberosity has healed without a trace.", "resolved"),
        ("The crater of the greater tuberosity has been filled by solid bone.", "resolved"),
        (
            "Hx: calcific tendinitis into bone.\nThe old pit of the greater tuberosity has closed, with normal cortex.",
            "resolved",
        ),
        ("The lucency in the greater tuberosity is gone.", "resolved"),
        ("The defect of the greater tuberosity has become a 3 mm cyst.", "residual_cyst"),
        (
            'Previous report 3 May 2019: "Calcium in the humeral head."\nCurrent: The greater tuberosity is normal.',
            "resolved",
        ),
        ("The erosion of the greater tuberosity is filling in.", "persistent"),
        ("Erosion healed.", "resolved"),
        ("The cortex of the greater tuberosity has reformed.", "resolved"),
        ("Post-erosive cyst of the greater tuberosity, otherwise healed.", "residual_cyst"),
        ("No erosion of the greater tuberosity.", "resolved"),
        ("No abnormality of the greater tuberosity.", "resolved"),
        ("The erosion has been replaced by a small cyst.", "residual_cyst"),
        ("A subcortical cyst has taken the place of the erosion.", "residual_cyst"),
        ("Cyst at the site of the previous erosion.", "residual_cyst"),
        ("Small cyst in the greater tuberosity where the calcium previously lay.", "residual_cyst"),
        ("Calcium in the tuberosity has been resorbed completely. Small deposit in the tendon remains.", "resolved"),
        ("No new erosion.", "unknown"),
        ("No other erosions of the greater tuberosity.", "unknown"),
        ("No erosion elsewhere.", "unknown"),
        ("No erosion of the lesser tuberosity.", "unknown"),
        ("The erosion was not assessed.", "unknown"),
        ("Prior CT impression, copied: calcium extending into the tuberosity.\n"
         "FINDINGS: The greater tuberosity has healed.", "resolved"),
    ],
)  # fmt: skip
def test_healing_is_told_in_many_ways(tmp_path: Path, later: str, outcome: str) -> None:
    """What was there before is not still there, and what denies others says nothing of it."""
    later = f"XR SHOULDER RIGHT\n{later}"
    made = build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2020-06-15", later))))
    assert patient(made)["outcome"] == outcome


@pytest.mark.parametrize(
    ("said", "biopsy"),
    [
        ("Biopsy was performed elsewhere and showed calcium.", "done"),
        ("Biopsy was recommended.", "advised"),
        ("Recommend biopsy if not settling.", "advised"),
        ("Biopsy if symptoms do not resolve.", "advised"),
        ("CT was asked for prior to biopsy.", "advised"),
        ("CT before biopsy.", "advised"),
        ("Biopsy should not be performed.", "none"),
        ("Biopsy should definitely be avoided.", "none"),
        ("Biopsy should be performed.", "advised"),
        ("We recommend that biopsy be performed.", "advised"),
        ("Biopsy should symptoms not resolve.", "advised"),
        ("Biopsy has been performed.", "done"),
        ("Biopsy was performed to exclude a tumor.", "done"),
        ("Biopsy proved to be of calcium.", "done"),
        ("Prior biopsy showed calcium.", "done"),
        ("A biopsy is scheduled.", "advised"),
        ("The patient declined biopsy.", "none"),
        ("Biopsy was deferred.", "none"),
        ("Biopsy is no longer advised.", "none"),
        ("This does not need to be biopsied.", "none"),
        ("Biopsy of the prostate was performed in 2015.", "none"),
    ],
)
def test_a_biopsy_was_done_only_where_it_took_place(tmp_path: Path, said: str, biopsy: str) -> None:
    """One that was advised, put off or refused was not, and one of another organ tells nothing."""
    made = build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", f"{CASE} {said}"))))
    assert patient(made)["biopsy"] == biopsy


def test_a_deposit_that_has_moved_in_one_sentence_is_one_that_can_vanish(tmp_path: Path) -> None:
    """Deposit and migration in one mention: the report tells of a deposit all the same."""
    first = (
        "FINDINGS: 14 mm calcific deposit in the right supraspinatus, which has migrated into the greater tuberosity."
    )
    later = "FINDINGS: No calcification in the right supraspinatus tendon or greater tuberosity."
    made = build_cohort(run(tmp_path, rows_of(("a", "P1", "2020-01-03", first), ("b", "P1", "2021-01-08", later))))
    assert list(made.timeline["deposit"]) == ["present", "absent"]
    assert (patient(made)["vanished_deposit"], patient(made)["outcome"]) == (True, "resolved")


def test_a_deposit_that_is_no_longer_told_without_its_tendon_has_vanished(tmp_path: Path) -> None:
    """In a later report of the same side and part of the body."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2020-06-15", "XR SHOULDER RIGHT\nNo calcification."))
    made = build_cohort(run(tmp_path, [{**row, "body_part": "shoulder"} for row in rows]))
    assert patient(made)["vanished_deposit"]
    rows[1] |= {"text": "XR SHOULDER RIGHT\nNo calcification in the cuff.", "body_part": "shoulder"}
    made = build_cohort(run(tmp_path, [{**row, "body_part": "shoulder"} for row in rows], "cuff"))
    assert patient(made)["vanished_deposit"]
    rows[1] |= {"text": "XR RIGHT\nNo calcification.", "body_part": "XR Shoulder Rt"}
    made = build_cohort(run(tmp_path, [{**rows[0], "body_part": "CT Shoulder Rt"}, rows[1]], "procedure"))
    assert patient(made)["vanished_deposit"]
    rows[1] |= {"text": "XR RIGHT\nNo calcification.", "body_part": "knee"}
    assert not patient(build_cohort(run(tmp_path, [{**rows[0], "body_part": "shoulder"}, rows[1]], "other")))[
        "vanished_deposit"
    ]


@pytest.mark.parametrize(
    ("later", "outcome"),
    [
        ("XR SHOULDER LEFT\nThe greater tuberosity is normal with smooth cortex.", "unknown"),
        ("XR SHOULDERS\nThe left greater tuberosity is normal with smooth cortex. Right: not imaged.", "unknown"),
        ("XR SHOULDER RIGHT\nThe left greater tuberosity is normal for comparison.", "unknown"),
        ("XR SHOULDERS\nLEFT: The greater tuberosity is normal.", "unknown"),
        ("XR SHOULDER\nLeft supraspinatus calcification of 5 mm. The greater tuberosity is normal.", "unknown"),
        ("XR SHOULDER RIGHT\nThe lesser tuberosity is normal.", "unknown"),
        ("XR SHOULDER RIGHT\nThe greater tuberosity is normal with smooth cortex.", "resolved"),
        ("XR SHOULDER RIGHT\nNo residual calcification; the greater tuberosity is healed.", "resolved"),
        ("XR SHOULDER\nThe greater tuberosity is normal with smooth cortex.", "resolved"),
        ("XR SHOULDERS\nRIGHT: The greater tuberosity has remodelled.", "resolved"),
    ],
)
def test_a_normal_bone_is_of_its_side(tmp_path: Path, later: str, outcome: str) -> None:
    """One on the other side, or beside the place of the case, does not tell what became of it."""
    made = build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2020-06-15", later))))
    assert patient(made)["outcome"] == outcome


@pytest.mark.parametrize("told", ["Her mother had a hip replacement.", "Previous subacromial decompression."])
def test_only_the_patients_own_mentions_count(tmp_path: Path, told: str) -> None:
    """An operation on a relative leaves nobody out."""
    rows = rows_of(("a", "P1", "2019-03-04", f"HISTORY: {told}\n{CASE}"))
    own = criteria(tmp_path, "exclude:\n  - {name: Operated, mention: surgery, when: before}\n")
    assert build_cohort(run(tmp_path, rows), own).flow.members == ("mother" in told)


@pytest.mark.parametrize(
    ("middle", "decided", "outcome"),
    [
        ("", "no", "unknown"),
        (CYST, "no", "residual_cyst"),
        (CYST, "definite", "persistent"),
    ],
)
def test_a_later_case_that_a_reviewer_calls_none_is_not_persistent(
    tmp_path: Path, middle: str, decided: str, outcome: str
) -> None:
    """What the other later reports say holds; a no does not tell that the bone has healed."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("c", "P1", "2020-06-15", STILL))
    rows += rows_of(("b", "P1", "2019-09-04", middle)) if middle else []
    made = build_cohort(run(tmp_path, rows), adjudications={"c": decided})
    assert patient(made)["outcome"] == outcome
    assert ("against the case definition" in methods(made)) == (decided == "no")


def test_a_no_that_the_rules_agree_with_leaves_the_outcome(tmp_path: Path) -> None:
    """A report can be no case, read alone, and tell of bone that is not healed."""
    rows = rows_of(
        ("a", "P1", "2019-03-04", CASE), ("c", "P1", "2020-06-15", "FINDINGS: Erosion of the right greater tuberosity.")
    )
    assert patient(build_cohort(run(tmp_path, rows), adjudications={"c": "no"}))["outcome"] == "persistent"


def test_addenda_repeats_and_copies_count_once(tmp_path: Path) -> None:
    """A later version makes one report with the first; the same text on a later day tells nothing new."""
    rows = rows_of(
        ("a", "P1", "2019-03-04", CASE),
        ("a", "P1", "2019-03-04", f"{CASE}\nADDENDUM: Compared with the radiograph of January."),
        ("b", "P1", "2019-03-04", CASE),
        ("c", "P1", "2019-09-04", CASE),
        ("d", "P1", "2020-01-01", PLAIN),
    )
    made = build_cohort(run(tmp_path, rows))
    counted = Counter(made.timeline["counted"])
    assert counted["counted"] == patient(made)["n_reports"] == 2
    assert sum(counted.values()) == made.flow.rows == 5


def test_what_an_addendum_leaves_open_stands_as_the_report_told_it(tmp_path: Path) -> None:
    """It decides the case; tendon, bone, side, size and day are those of the report to which it belongs."""
    first = "MRI right shoulder. 6 mm calcific deposit of the supraspinatus with migration into the greater tuberosity."
    addendum = "ADDENDUM: Findings confirmed: intraosseous migration of calcific tendinitis."
    rows = rows_of(("a", "P1", "2020-01-03", first), ("a", "P1", "2020-01-08", addendum))
    made = build_cohort(run(tmp_path, rows))
    (row,) = made.members.to_dict("records")
    assert (row["index_report"], row["index_date"], row["size_mm"]) == ("a~v2", "2020-01-03", 6.0)
    assert (row["tendon"], row["bone"], row["laterality"]) == ("supraspinatus", "humerus", "right")
    assert list(made.timeline["counted"]) == ["merged_version", "counted"]
    told = dict(paragraphs(made))["Index date and outcome"]
    assert "Versions of a report count as one, of the earliest day: the last that speaks of the bone decides," in told


DEPOSIT = "MRI right shoulder. Supraspinatus calcification, 9 mm"
ERODED = f"{DEPOSIT}, with cortical erosion of the greater tuberosity."
EDEMA = f"{DEPOSIT}. Marrow edema in the greater tuberosity."


@pytest.mark.parametrize(
    ("first", "addendum", "status"),
    [
        (ERODED, "Addendum: Discussed. The erosion of the greater tuberosity was confirmed on CT.", "probable"),
        (EDEMA, "Addendum: CT confirms calcification within the greater tuberosity.", "probable"),
        (EDEMA, "MRI right shoulder\nADDENDUM: CT shows cortical erosion of the greater tuberosity.", "probable"),
        (EDEMA, "CT shows cortical erosion of the greater tuberosity.", ""),
        (ERODED, "Addendum: On review there is no cortical erosion.", ""),
        (ERODED, "Addendum: Biopsy shows metastasis. The erosion of the greater tuberosity is metastatic.", ""),
    ],
)
def test_an_addendum_is_read_together_with_the_text_before_it(
    tmp_path: Path, first: str, addendum: str, status: str
) -> None:
    """It confirms a case, or makes one, as in one text; it takes one back by a denial or another diagnosis."""
    rows = rows_of(("a", "P1", "2020-01-03", first), ("a", "P1", "2020-01-08", addendum))
    made = build_cohort(run(tmp_path, rows))
    assert list(made.members["case_status"] if status else []) == ([status] if status else [])
    assert made.flow.members == int(bool(status))
    if status:
        (row,) = made.members.to_dict("records")
        assert (row["tendon"], row["laterality"], row["size_mm"]) == ("supraspinatus", "right", 9.0)


def test_an_addendum_that_takes_a_case_back_or_puts_it_elsewhere_holds(tmp_path: Path) -> None:
    """What it does say is not filled from the first text: no case, and another side without the size of the first."""
    first = "MRI right shoulder. 6 mm calcific deposit of the supraspinatus with migration into the greater tuberosity."
    back = "ADDENDUM: On review there is no intraosseous migration and no erosion. The deposit lies in the tendon."
    left = "ADDENDUM: Calcific deposit of the left supraspinatus with migration into the greater tuberosity."
    rows = rows_of(("a", "P1", "2020-01-03", first), ("a", "P1", "2020-01-03", back))
    assert not patient(build_cohort(run(tmp_path, rows)))["is_case"]
    rows = rows_of(("b", "P2", "2020-01-03", first), ("b", "P2", "2020-01-03", left))
    row = patient(build_cohort(run(tmp_path, rows, "other")), "P2")
    assert (row["laterality"], row["tendon"]) == ("left", "supraspinatus")
    assert row["size_mm"] != row["size_mm"]


def test_details_that_a_reviewer_told_of_an_earlier_version_hold(tmp_path: Path) -> None:
    """Where the version that decides was decided without them; there they go before what the rules read."""
    addendum = "ADDENDUM: Findings confirmed: intraosseous migration of calcific tendinitis of the infraspinatus."
    rows = rows_of(("a", "P1", "2020-01-03", CASE), ("a", "P1", "2020-01-08", addendum))
    told = {"migration_type": "intramedullary", "tendon": "subscapularis", "laterality": "left"}
    none = dict.fromkeys(told, "none")
    given = tmp_path / "decided.csv"
    lines = ["patient_id,report_id,decision,migration_type,tendon,laterality,by,reviewers,at"]
    for report_id, details in (("a", told), ("a~v2", none)):
        lines.append(f"P1,{report_id},yes,{','.join(details.values())},all readers,A,2026-01-01")
    given.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = build_cohort(run(tmp_path, rows), adjudications=given)
    row = patient(made)
    assert {name: row[name] for name in told} == told
    assert [list(names) for names in made.timeline["by_reviewer"]][1] == list(told)
    assert "the migration type (1 report), tendon (1 report) and side (1 report) takes the place" in methods(made)
    assert not any("on which the decisions differ" in note for note in made.notes)
    differing = build_cohort(tmp_path / "run", adjudications={"a": "definite", "a~v2": "no"}).notes
    assert any(n.startswith("1 report has versions on which the decisions differ (the first: 'a')") for n in differing)
    half = build_cohort(tmp_path / "run", adjudications={"a": "definite"}).notes
    assert any("last version of 1 report of which another version was decided (the first: 'a~v2')" in n for n in half)


def test_dates_that_mean_no_day_are_not_guessed(tmp_path: Path) -> None:
    """03/04 is March or April unless the criteria say which; a patient with no full date is left out by name."""
    folder = run(tmp_path, rows_of(("a", "P1", "03/04/2019", CASE), ("b", "P2", "2019-05", CASE)))
    made = build_cohort(folder)
    assert set(made.patients["box"]) == {"No full date of a case report"}
    assert made.patients["index_date"].isna().all()
    assert patient(build_cohort(folder, criteria(tmp_path, "date_order: dmy\n")))["index_date"] == "2019-04-03"


def test_a_time_zone_moves_no_day(tmp_path: Path) -> None:
    """The day is the one that the archive wrote."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04T23:30:00-08:00", CASE)))
    assert patient(build_cohort(folder))["index_date"] == "2019-03-04"


def test_one_id_at_two_sites_is_two_patients(tmp_path: Path) -> None:
    """Where each run is of a site, equal ids stay apart."""
    runs = [run(tmp_path, rows_of((f"r{k}", "P1", "2019-03-04", t)), f"run{k}") for k, t in enumerate((CASE, PLAIN))]
    together = build_cohort(runs)
    apart = build_cohort(runs, criteria(tmp_path, "run_sites: [north, south]\n"))
    assert len(together.patients) == 1
    assert dict(zip(apart.patients["site"], apart.patients["is_case"], strict=True)) == {"north": True, "south": False}


def test_decisions_on_the_reports_of_one_site_are_not_those_of_another(tmp_path: Path) -> None:
    """Where ids are the same: a store tells its run, and so its site; a file that tells none is refused."""
    days = {"a": "2019-03-04", "b": "2020-01-02"}
    runs = [run(tmp_path, rows_of(("1", "10", day, CASE)), name) for name, day in days.items()]
    own = criteria(tmp_path, "run_sites: [St Anna, Northfield]\n")
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(runs[0], store)
        store.decide(Opinion("1", "no"), "A", "k")
    made = build_cohort(runs, own, tmp_path / "review.sqlite")
    said = {row["site"]: (row["case_status"], row["adjudicated"] == "no") for row in made.timeline.to_dict("records")}
    assert said == {"St Anna": ("no", True), "Northfield": ("definite", False)}
    with pytest.raises(RunError, match="report id '1' is of Northfield and of St Anna, and the decisions do not say"):
        build_cohort(runs, own, {"1": "no"})
    with pytest.raises(CriteriaError, match=r"site of these runs; known are Northfield, St Anna$"):
        build_cohort(runs, criteria(tmp_path, "run_sites: [St Anna, Northfield]\nsites: [Elsewhere]\n"))


def test_a_table_that_is_given_for_a_run_is_told(tmp_path: Path, command: Command) -> None:
    """It is no damaged run: it must be processed first."""
    (tmp_path / "reports.csv").write_text("id,text\n", encoding="utf-8")
    ended = command("cohort", tmp_path / "reports.csv", "--out", tmp_path / "cohort")
    assert ended.code == 6
    assert "reports.csv: a file, and no run; `calcitrace process " in ended.err


def test_readers_of_different_reports_have_no_agreement_to_tell(tmp_path: Path) -> None:
    """Methods say so, and do not ask to add it."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P2", "2019-03-04", CASE)))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store)
        store.decide(Opinion("a", "yes"), "A", "k1")
        store.decide(Opinion("b", "yes"), "B", "k2")
    told = methods(build_cohort(folder, adjudications=tmp_path / "review.sqlite"))
    assert "No report was decided by two readers, so that agreement cannot be told." in told
    assert "calcitrace agreement" not in told


def test_reports_without_a_patient_are_left_out_or_stand_alone(tmp_path: Path) -> None:
    """As the criteria say; they are never put together."""
    folder = run(tmp_path, rows_of(("a", "", "2019-03-04", CASE), ("b", "", "2019-03-05", CASE)))
    assert build_cohort(folder).flow.reports["no_patient_id"] == 2
    assert list(build_cohort(folder, criteria(tmp_path, "without_patient_id: own\n")).members["patient_id"]) == [
        "report:a",
        "report:b",
    ]


def test_a_follow_up_in_the_same_words_with_another_size_is_no_copy(tmp_path: Path) -> None:
    """Templates repeat their words, and the size tells that the deposit was measured anew."""
    text = (
        "MRI SHOULDER RIGHT\nSupraspinatus calcific deposit of {} mm with erosion of the greater tuberosity. "
        "IMPRESSION: Calcific tendinitis with erosion."
    )
    days = ("2020-02-01", "2020-08-01", "2021-02-03")
    rows = rows_of(
        *((f"r{k}", "P1", day, text.format(mm)) for k, (day, mm) in enumerate(zip(days, (9, 9, 8), strict=True)))
    )
    made = build_cohort(run(tmp_path, [{**row, "modality": "MR"} for row in rows]))
    assert list(made.timeline["counted"]) == ["counted", "copied_forward", "counted"]


def test_reports_without_a_patient_are_told_of(tmp_path: Path, command: Command) -> None:
    """How many they are, and what can be done: name the column, or let each stand alone."""
    folder = run(tmp_path, rows_of(("a", "", "2019-03-04", CASE), ("b", "P1", "2019-03-05", CASE)))
    told = command("cohort", folder, "--out", tmp_path / "cohort").err
    assert "1 report of 2 has no patient id and belongs to no patient" in told
    assert "--patient-column" not in told
    nobody = run(tmp_path, rows_of(("a", "", "2019-03-04", CASE), ("b", "", "2019-03-05", CASE)), "nobody")
    told = command("cohort", nobody, "--out", tmp_path / "nobody_in").err
    assert "2 reports of 2 have no patient id" in told
    assert "--patient-column" in told
    own = criteria(tmp_path, "without_patient_id: own\n")
    assert "no patient id" not in command("cohort", folder, "--criteria", own, "--out", tmp_path / "own").err


def test_what_the_screen_passed_over_is_read_for_case_patients(tmp_path: Path) -> None:
    """With and without the case screen the same cohort; other patients' reports are not read again."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2020-03-04", HEALED), ("c", "P2", "2019-03-04", PLAIN))
    rows += rows_of(("d", "P1", "2018-01-01", SURGERY))
    whole, screened = (run(tmp_path, rows, screen, screen=screen) for screen in ("none", "case"))
    one, other = build_cohort(whole), build_cohort(screened)
    same = [c for c in one.patients.columns if c not in ("n_reread",)]
    pd.testing.assert_frame_equal(one.patients[same], other.patients[same])
    assert patient(other)["n_reread"] >= 1
    (tmp_path / "case.jsonl").unlink()
    with pytest.raises(RunError, match="cannot be read"):
        build_cohort(screened)


def test_adjudications_take_the_place_of_the_case_status(tmp_path: Path) -> None:
    """A reviewer's no makes no case, and a reviewer's yes makes one."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P2", "2019-03-04", PLAIN)))
    decided = tmp_path / "decided.csv"
    for text in (
        "report_id,label\na,no\nb,yes\n",
        "report_id;label\na;no\nb;yes\n",
        "patient_id,report_id,decision\nP1,a,no\nP2,b,yes\n",
        "patient_id;report_id;decision\nP1;a;no\nP2;b;yes\n",
    ):
        decided.write_text(text, encoding="utf-8")
        assert list(build_cohort(folder, adjudications=decided).members["patient_id"]) == ["P2"]


def test_a_report_that_a_reviewer_called_no_case_has_no_migration_type(tmp_path: Path) -> None:
    """As one that the rules read as no case; of a yes or unsure the rules' own stays."""
    folder = run(tmp_path, rows_of(*((name, f"P{name}", "2019-03-04", CASE) for name in "abc")))
    told = build_cohort(folder, adjudications={"a": "no", "b": "possible"}).timeline.set_index("report_id")
    types = dict(told["migration_type"])
    assert (types["a"], types["b"]) == ("none", types["c"])
    assert types["c"] != "none"


def test_a_review_decides_who_is_in(tmp_path: Path) -> None:
    """The store of a review is read as it is: unsure makes no case under the built-in criteria."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE) for k in range(3))))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=0, double=0.0, calibration=0))
        for k, said in enumerate(("yes", "no", "unsure")):
            store.decide(Opinion(f"r{k}", said), "A", f"key-{k:08d}")
    made = build_cohort(folder, adjudications=tmp_path / "review.sqlite")
    assert list(made.members["patient_id"]) == ["P0"]


def test_a_file_of_decisions_of_ones_own_is_told_its_way(tmp_path: Path) -> None:
    """What is filled in by hand is no export: the error says what is taken, and which command takes the file."""
    path = tmp_path / "d.csv"
    path.write_text("report_id,decision,reviewer\na,yes,AB\n", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE))), adjudications=path)
    assert str(caught.value) == (
        f"{path}:1: needs the columns patient_id and report_id and decision; missing: patient_id; columns are: "
        "report_id, decision, reviewer. A cohort takes a review store, what `calcitrace decisions export STORE --to "
        "cohort` wrote of one, or a table with the columns report_id and label (yes, no, unsure or a case status). A "
        "file of decisions goes into the store of its review first, and that is then given: calcitrace decisions "
        "import d.csv --store STORE"
    )


def test_what_a_review_changed_is_told(tmp_path: Path, command: Command) -> None:
    """In flow diagram, Methods and on the terminal: who is a case by review alone, and who is none for it."""
    days = [(f"r{k}", f"P{k}", "2019-03-04", text) for k, text in enumerate((CASE, CASE, PLAIN, PLAIN, CASE))]
    folder = run(tmp_path, rows_of(*days))
    (tmp_path / "d.csv").write_text("report_id,label\nr0,no\nr1,yes\nr2,yes\nr3,yes\n", encoding="utf-8")
    out, own = tmp_path / "cohort", criteria(tmp_path, "adjudicated_only: yes\n")
    told = command("cohort", folder, "--adjudications", tmp_path / "d.csv", "--out", out).out.splitlines()
    boxes = [tuple(re.split(r" {2,}(?=\d)", line)) for line in told]
    assert boxes[3:7] == [
        ("  No definite or probable report", "1"),
        ("  of these, removed by review", "1"),
        ("with a case report", "4"),
        ("  of these, added by review", "2"),
    ]
    drawn, said = ((out / name).read_text(encoding="utf-8") for name in ("flow.svg", "methods.md"))
    drawn = drawn.replace("\N{NO-BREAK SPACE}", " ")
    assert "of these, added by review (n = 2)" in drawn
    assert re.search(r"of these, removed by review(</text>.*\n.*>)? +\(n = 1\)", drawn)
    assert "Because of the review alone, 2 patients have a case report, and 1 patient no longer has one." in said
    assert "| Review, above; add: accuracy of the rules (calcitrace evaluate) |" in said
    reviewed_alone = build_cohort(folder, own, tmp_path / "d.csv").flow
    assert dict(reviewed_alone.by_review) == {"added by review": 2, "removed by review": 1}
    assert "review alone" not in methods(build_cohort(folder))


def test_methods_have_the_recall_of_a_review_that_is_finished(tmp_path: Path) -> None:
    """Where the store of the review tells it; else why it does not yet."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE if k < 2 else PLAIN) for k in range(4))))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=2, double=0.0, calibration=0))
        last, *first = (item.report_id for item in store.items())
        for report_id in first:
            store.decide(Opinion(report_id, "yes"), "A", f"key {report_id}")
        before = methods(build_cohort(folder, adjudications=store.path))
        store.decide(Opinion(last, "yes"), "A", f"key {last}")
    assert "No recall of the review can be claimed yet: 1 candidate has no final decision yet." in before
    assert (
        "Of 4 reports, 2 ranked candidates were read in full (2 cases). The other 2 were all read blind (2 cases). No "
        "report was left unread." in methods(build_cohort(folder, adjudications=tmp_path / "review.sqlite"))
    )


def test_what_an_adjudicator_did_not_tell_is_that_of_the_readers(tmp_path: Path) -> None:
    """Of those with the adjudicator's decision, where they say the same; only then that of the rules."""
    folder = run(tmp_path, rows_of(("r0", "P0", "2019-03-04", CASE)))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=0, double=1.0, calibration=0))
        store.decide(Opinion("r0", "yes", "intramedullary", "teres_minor", "left"), "A", "first key")
        store.decide(Opinion("r0", "no"), "B", "second key")
        store.decide(Opinion("r0", "yes", tendon="subscapularis"), "C", "third key", "adjudicator")
    (member,) = build_cohort(folder, adjudications=tmp_path / "review.sqlite").members.to_dict("records")
    assert (member["migration_type"], member["tendon"], member["laterality"]) == (
        *("intramedullary", "subscapularis", "left"),
    )


def test_the_bone_of_a_case_that_the_rules_missed_is_that_of_the_tendon(tmp_path: Path) -> None:
    """As the anatomy has it; without a tendon it is not told, in Table 1, too."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", PLAIN) for k in range(2))))
    rows = "P0,r0,yes,pectoralis_major\nP1,r1,yes,none\n"
    (tmp_path / "d.csv").write_text(f"patient_id,report_id,decision,tendon\n{rows}", encoding="utf-8")
    made = build_cohort(folder, adjudications=tmp_path / "d.csv")
    assert list(made.members["bone"]) == ["humerus", "none"]
    table = table_one(made.members)[1]
    assert [row[:3] for row in table if row[0] == "Bone"] == [
        ("Bone", "humerus", "1 (50 %)"),
        ("Bone", "not told", "1 (50 %)"),
    ]
    assert ("First read as", "none", "2 (100 %)") in [row[:3] for row in table]


def test_a_cohort_takes_the_type_tendon_and_side_that_reviewers_told(tmp_path: Path) -> None:
    """In place of the rules': the adjudicator's, else that of readers who agree; else that of the rules stands."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE) for k in range(4))))
    told = {
        ("A", "r0"): Opinion("r0", "yes", "intramedullary", "teres_minor", "left"),
        ("A", "r1"): Opinion("r1", "yes", "cortical_erosion", laterality="left"),
        ("B", "r1"): Opinion("r1", "yes", "intramedullary"),
        ("A", "r2"): Opinion("r2", "yes", "intramedullary", laterality="left"),
        ("B", "r2"): Opinion("r2", "no"),
        ("C", "r2"): Opinion("r2", "yes", "cortical_erosion"),
    }
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=0, double=1.0, calibration=0))
        for (who, report), said in told.items():
            store.decide(said, who, f"key {who} {report}", "adjudicator" if who == "C" else "reader")
        export_decisions(store, tmp_path / "decided.csv", "cohort")
    for name in ("review.sqlite", "decided.csv"):
        made = build_cohort(folder, adjudications=tmp_path / name)
        names = ["migration_type", "tendon", "laterality"]
        assert made.members[names].to_numpy().tolist() == [
            ["intramedullary", "teres_minor", "left"],
            ["subcortical", "supraspinatus", "left"],
            ["cortical_erosion", "supraspinatus", "left"],
            ["subcortical", "supraspinatus", "right"],
        ]
        assert [list(n) for n in made.timeline["by_reviewer"]] == [names, names[2:], names[::2], []]
        assert (
            "An adjudicator settled 1 of them. 1 report was decided by one reviewer alone. What the review told of the "
            "migration type (2 reports), tendon (1 report) and side (3 reports) takes the place of what the "
            "rules read; a bone that the rules did not read is that of the tendon. All other details" in methods(made)
        )
        assert list(made.timeline["bone_involvement"]) == ["involved"] * 4


def test_words_that_no_rules_know_do_not_enter_a_cohort(tmp_path: Path) -> None:
    """As a file made by hand may hold them: what the rules read stands, and that is told."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))
    (tmp_path / "d.csv").write_text("patient_id,report_id,decision,migration_type\nP1,a,yes,deep\n", encoding="utf-8")
    made = build_cohort(folder, adjudications=tmp_path / "d.csv")
    assert list(made.members["migration_type"]) == ["subcortical"]
    assert any(note.startswith("the migration type, tendon or side of 1 decision is no word") for note in made.notes)


def test_bone_involvement_is_gone_only_after_it_was_there(tmp_path: Path) -> None:
    """No erosion before the index report is absent; after it, what was there is gone; resolved is always gone."""
    rows = rows_of(
        ("a", "P1", "2018-12-01", f"{DEPOSIT} No cortical erosion of the humerus."),
        ("b", "P1", "2019-03-04", CASE),
        ("c", "P1", "2020-06-15", "FINDINGS: No cortical erosion of the right greater tuberosity."),
        ("d", "P2", "2020-06-15", HEALED),
    )
    told = build_cohort(run(tmp_path, rows)).timeline
    said = dict(zip(told["report_id"], told["bone_involvement"], strict=True))
    assert said == {"a": "absent", "b": "involved", "c": "gone", "d": "gone"}


def test_the_sex_of_a_patient_is_the_one_that_reports_agree_on(tmp_path: Path) -> None:
    """F and female are one; reports that contradict each other leave it unknown."""
    rows = rows_of(*((f"r{k}", p, f"2019-03-0{k + 1}", CASE) for k, p in enumerate(("P1", "P1", "P1", "P2", "P2"))))
    given_ = [{**row, "sex": sex} for row, sex in zip(rows, ("U", "F", "female", "F", "M"), strict=True)]
    made = build_cohort(run(tmp_path, given_))
    assert (patient(made)["sex"], patient(made, "P2")["sex"]) == ("F", "")


def test_words_of_sex_of_other_languages_are_known_and_strange_ones_told(tmp_path: Path) -> None:
    """A word that is not known would make a patient *other* in Table 1, and nobody would know."""
    rows = rows_of(*((f"r{k}", f"P{k}", "2019-03-01", CASE) for k in range(3)))
    made = build_cohort(
        run(tmp_path, [{**row, "sex": s} for row, s in zip(rows, ("V", "weiblich", "hembra"), strict=True)])
    )
    assert [sex_in_words(s) for s in ("V", "weiblich", "Homme", "2", "X")] == [
        "female",
        "female",
        "male",
        "female",
        "other",
    ]
    assert [n for n in made.notes if "sex" in n] == [
        "the sex of 1 patient of the cohort is told by words that are not known ('hembra'): it is *other* in Table 1 "
        "and in exports; write F, M or U in the source"
    ]


def test_counts_are_told_in_good_english(tmp_path: Path) -> None:
    """One of a thing is told in the singular, ages without decimals, and no count is broken over two lines."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P2", "2019-03-04", CASE), ("c", "P2", "2019-03-04", " "))
    rows = [{**row, "age": age} for row, age in zip(rows, ("63", "12", "12"), strict=True)]
    long = "Rheumatoid arthritis or a code of it in the tables"
    said = f"ages: {{from: 18.0}}\nwashout_days: 1\nexclude:\n  - {{name: {long}, mention: fracture}}\n"
    out = tmp_path / "cohort"
    write_cohort(build_cohort(run(tmp_path, rows), criteria(tmp_path, said)), out)
    told, drawn = ((out / name).read_text(encoding="utf-8") for name in ("methods.md", "flow.svg"))
    assert "Of 3 rows read, 1 was rejected; of 2 reports, 2 count, of 2 patients." in told
    assert "; 1 patient was excluded; the cohort has 1 patient with 1 report." in told
    assert "Under 18 years: 1 patient." in told
    assert 'Nobody was left out for "No full date of a case report", "Age not known", "An earlier definite' in told
    assert "; 1 member |" in told
    assert ">1 patient in the cohort<" in drawn
    assert drawn.count("(n = ") == drawn.count("(n")


@pytest.mark.parametrize(
    ("said", "box"),
    [
        ("ages: {from: 18}", "Under 18 years"),
        ("ages: {to: 65.5}", "Over 65.5 years"),
        ("ages: {from: 18, to: 65}", "Under 18 or over 65 years"),
        ("dates: {from: 2019-01-31}", "Index date before 2019-01-31"),
        ("dates: {from: 2019-01-31, to: 2020-01-31}", "Index date before 2019-01-31 or after 2020-01-31"),
    ],
)
def test_a_span_is_told_by_what_lies_outside_of_it(said: str, box: str, tmp_path: Path) -> None:
    """A box of the flow names those who are in it."""
    first, *unknown, told = exclusion_names(read_criteria(criteria(tmp_path, said)))
    assert (first, told) == ("No full date of a case report", box)
    assert unknown == (["Age not known"] if "ages" in said else [])


def test_table_one_tells_numbers_and_blanks_in_words() -> None:
    """Of how many a number is known stands beside it, a single one without quartiles; what is blank is not known."""
    members = pd.DataFrame([dict.fromkeys([c for _, c in SHOWN], "x")] * 3)
    members = members.assign(
        case_status="definite", age=[50.0, 60.0, None], n_reports=[3, 2, 1], biopsy=["done", " ", ""]
    )
    members = members.assign(index_date="2020-01-01", last_date=["2020-01-11", "2020-01-01", ""])
    members = members.assign(size_mm=[12.5, 8.0, 10.0])
    heads, rows = table_one(members)
    told = {row[:2]: row[2] for row in rows}
    assert heads == ("Characteristic", "Value", "Definite (n = 3)")
    assert told["Age, years", "median (quartiles), n known"] == "55 (52.5 to 57.5), n = 2"
    follow_up = "Follow-up, days (a report after the index date)"
    assert told[follow_up, "median (quartiles), n known"] == "10, n = 1"
    assert told["Size of the deposit, mm", "median (quartiles), n known"] == "10 (9 to 11.25), n = 3"
    assert told["Biopsy", "not known"] == "2 (67 %)"
    assert all(value.strip() for _, value in told)
    assert table_one(members.assign(age=None))[1][0][2] == "not known"


def test_table_one_has_a_column_of_all_only_beside_several() -> None:
    """Where all members have one case status, that of all would repeat it."""
    members = pd.DataFrame([dict.fromkeys([c for _, c in SHOWN], "x")] * 3)
    members = members.assign(age=50.0, n_reports=1, index_date="", last_date="", size_mm=None)
    heads = {
        said: table_one(members.assign(case_status=said.split()))[0][2:]
        for said in ("definite definite definite", "definite definite possible")
    }
    assert list(heads.values()) == [("Definite (n = 3)",), ("All (n = 3)", "Definite (n = 2)", "Possible (n = 1)")]


def test_an_unknown_outcome_is_shown_by_its_reason(tmp_path: Path) -> None:
    """Without a report after the index date there is no later report, else it is not told; an earlier one is no
    follow-up. The tables keep the outcome unknown."""
    rows = rows_of(("a", "P1", "2019-01-05", DEPOSIT), ("b", "P1", "2019-03-04", CASE), ("c", "P2", "2019-03-04", CASE))
    rows += rows_of(
        ("d", "P2", "2019-03-14", PLAIN), ("e", "P3", "2019-03-04", CASE), ("f", "P3", "2019-04-03", HEALED)
    )
    made, out = build_cohort(run(tmp_path, rows)), tmp_path / "cohort"
    write_cohort(made, out)
    _, table = table_one(made.members)
    assert list(made.members["outcome"]) == ["unknown", "unknown", "resolved"]
    assert [row[2] for row in table if row[0].startswith("Follow-up, days")] == ["20 (15 to 25), n = 2"]
    assert [row[1:3] for row in table if row[0] == "Outcome"] == [
        ("resolved", "1 (33 %)"),
        ("not told", "1 (33 %)"),
        ("no later report", "1 (33 %)"),
    ]
    drawn, page = ((out / name).read_text(encoding="utf-8") for name in ("flow.svg", "cohort.html"))
    boxes = [
        re.search(r">(resolved|residual cyst|persistent|not told|no later report) \(n = (\d)\)<", line)
        for line in drawn.split("\n")
    ]
    assert [found.groups() for found in boxes if found] == [
        ("resolved", "1"),
        ("residual cyst", "0"),
        ("persistent", "0"),
        ("not told", "1"),
        ("no later report", "1"),
    ]
    assert re.findall(r"&middot; outcome ([\w ]+\w)", page) == ["no later report", "not told", "resolved"]


@pytest.mark.parametrize(("n", "of", "said"), [(5, 8, "63"), (1, 8, "13"), (1, 200, "1"), (1, 3, "33"), (8, 8, "100")])
def test_percentages_are_rounded_half_up(n: int, of: int, said: str) -> None:
    """As readers of Table 1 reckon, not to the even number."""
    members = pd.DataFrame([dict.fromkeys([c for _, c in SHOWN], "x")] * of)
    members = members.assign(case_status="no", age=50.0, n_reports=1, index_date="", last_date="", size_mm=None)
    members["outcome"] = ["resolved"] * n + ["x"] * (of - n)
    _, rows = table_one(members)
    assert {r[1]: r[2] for r in rows if r[0] == "Outcome"}["resolved"] == f"{n} ({said} %)"


def test_the_boxes_of_the_diagram_are_told_on_the_terminal(tmp_path: Path, command: Command) -> None:
    """With their numbers, under the count that they lessen, and named as there; those of patients also where empty."""
    days = {"CASE": "2019-03-04", "CT": "2019-03-05", "PLAIN": "2019-03-06", "YOUNG": "2019-03-07"}
    rows = [
        {"report_id": p, "patient_id": p, "study_date": day, "modality": "MR", "age": "50", "text": CASE}
        for p, day in days.items()
    ]
    rows[1]["modality"], rows[2]["text"], rows[3]["age"] = "CT", PLAIN, "12"
    folder = run(tmp_path, [*rows, {**rows[0], "report_id": "again"}, {**rows[0], "report_id": "e", "text": " "}])
    own = criteria(tmp_path, "modalities: [MR]\nages: {from: 18}\nwashout_days: 10\n")
    told = command("cohort", folder, "--criteria", own, "--out", tmp_path / "cohort").out.splitlines()[:-4]
    boxes = [tuple(re.split(r" {2,}(?=\d)", line)) for line in told]
    assert boxes == [
        ("rows read", "6"),
        ("  Rejected", "1"),
        ("  Same text on the same day", "1"),
        ("reports that count", "4"),
        ("patients", "4"),
        ("  No definite or probable report", "1"),
        ("  Modality not MR", "1"),
        ("with a case report", "2"),
        ("  No full date of a case report", "0"),
        ("  Age not known", "0"),
        ("  Under 18 years", "1"),
        ("  An earlier definite or probable report within 10 days (of any",),
        ("    modality)", "0"),
        ("in the cohort", "1"),
    ]
    assert max(map(len, told)) <= 80
    drawn = (tmp_path / "cohort" / "flow.svg").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert all(f"{name.strip()} (n = {n})" in drawn for name, n in boxes[5:7] + boxes[8:-3])
    assert "An earlier definite or probable report within 10" in drawn


def test_nobody_in_the_cohort_is_told(tmp_path: Path, command: Command) -> None:
    """By the cohort, and by the export of it; of ages that are unknown in a box of their own."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))
    done = command("cohort", folder, "--criteria", criteria(tmp_path, "ages: {from: 18}\n"), "--out", tmp_path / "c")
    assert "nobody is in the cohort" in done.err
    assert re.search(r"^  Age not known +1$", done.out, re.M)
    assert (
        "the cohort has no patient" in command("export", tmp_path / "c", "--to", "redcap", "--out", tmp_path / "e").err
    )


def test_a_model_takes_part_only_where_the_criteria_ask_for_it(tmp_path: Path) -> None:
    """A likely case, by the model of the run, can be asked for; a model that decides nothing is not in Methods."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P2", "2019-03-04", CASE)), prevalence=0.005)
    (low,) = (tmp_path / "run" / "reports").glob("*.parquet")
    frame = pd.read_parquet(low)
    pq.write_table(pa.Table.from_pandas(frame.assign(likely_case=[True, False]), pq.read_schema(low)), low)
    plain, likely = (build_cohort(folder, said) for said in (None, criteria(tmp_path, "likely_case: yes\n")))
    assert (len(plain.members), list(likely.members["patient_id"])) == (2, ["P1"])
    assert patient(likely, "P2")["box"] == "No likely case by the model"
    decided = build_cohort(folder, criteria(tmp_path, "likely_case: yes\n"), {"b": "definite"})
    assert patient(decided, "P2")["box"] == "In the cohort"
    assert "model" not in methods(plain)
    assert "that is a likely case by the model." in methods(likely)
    assert re.search(r"model [\w ]+, SHA-256 \w{12}, threshold 0\.0\d+ at a prevalence of 0\.5 %", methods(likely))


def test_methods_tell_whose_the_rules_and_the_model_are(tmp_path: Path) -> None:
    """What ships was developed on synthetic reports; of local rules and of a model of one's own that is not said."""
    shutil.copytree(patterns_folder(), tmp_path / "ours")
    with (tmp_path / "ours" / "spelling.yml").open("a", encoding="utf-8") as file:
        file.write("# a change\nkalkspot: [kalk-spot]\n")
    rows, likely = rows_of(("a", "P1", "2019-03-04", CASE)), criteria(tmp_path, "likely_case: yes\n")
    own, shipped = run(tmp_path, rows, patterns=str(tmp_path / "ours")), run(tmp_path, rows, "shipped")
    manifest = json.loads((own / "manifest.json").read_text(encoding="utf-8"))
    manifest["model"]["learned_from"] = "Two readers, consensus"
    (own / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    ours, theirs = (methods(build_cohort(folder, likely)) for folder in (own, shipped))
    assert (
        "extracted by local rules from the folder ours, not those that ship with calcitrace (spelling.yml: added "
        '"kalkspot: [kalk-spot]"). Likely cases and '
        "probabilities are by a model that was trained locally (Two readers, consensus). This implies no accuracy"
        in ours
    )
    assert "synthetic" not in ours
    assert (
        "by the rules that ship with calcitrace, which were developed on synthetic reports. Likely cases and "
        "probabilities are by the starter model, which was trained on synthetic reports. This implies" in theirs
    )


@pytest.mark.parametrize(("pillow", "files"), [(True, "flow.svg, flow.png"), (False, "flow.svg")])
def test_methods_name_the_pictures_that_were_made(
    pillow: bool, files: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Pillow (the extra `png`) there is no flow.png, and nothing says that there is."""
    if not pillow:
        monkeypatch.setitem(sys.modules, "PIL", None)
    write_cohort(build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))), tmp_path / "cohort")
    assert f"| {files}; 1 member |" in (tmp_path / "cohort" / "methods.md").read_text(encoding="utf-8")
    assert sorted(p.name for p in (tmp_path / "cohort").glob("flow.*")) == sorted(files.split(", "))


def test_the_first_line_of_a_box_is_bold_in_the_png(tmp_path: Path) -> None:
    """As in the SVG: its strokes are wider than those of the next line, and each letter still stands by itself."""
    flow = build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))).flow
    picture = Image.open(io.BytesIO(flow_png(flow, {}))).convert("L")
    (box,) = (b for b in layout(flow, {})[0] if b.lines[0].startswith("Reports that count"))

    def ink(line: int) -> tuple[float, int]:
        """The mean width of strokes, and the number of stretches with ink from left to right."""
        left, top = SCALE * (box.x + PADDING), SCALE * (box.y + PADDING + LINE * line)
        cut = picture.crop((left, top, SCALE * (box.x + box.width - PADDING), top + SCALE * LINE))
        rows = np.asarray(cut) < 128
        edges = np.diff(rows.astype(int), axis=1, prepend=0) == 1
        return float(rows.sum() / edges.sum()), int((np.diff(rows.any(axis=0).astype(int), prepend=0) == 1).sum())

    (bold, letters), (plain, _) = ink(0), ink(1)
    assert bold > 1.4 * plain
    assert letters == len(box.lines[0].replace(" ", ""))


def test_a_cohort_is_not_written_over_with_another_key_unasked(tmp_path: Path, command: Command) -> None:
    """Where the key of its pseudonyms is gone, --overwrite is refused and the cohort stays whole; --new-key goes on."""
    folder, out = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE))), tmp_path / "cohort"
    assert command("cohort", folder, "--out", out).code == 0
    (tmp_path / "cohort.key").unlink()
    again = command("cohort", folder, "--out", out, "--overwrite")
    assert (again.code, "is not there" in again.err, (out / "manifest.json").exists()) == (2, True, True)
    assert command("cohort", folder, "--out", out, "--overwrite", "--new-key").code == 0
    assert command("export", out, "--to", "csv", "--out", tmp_path / "csv").code == 0


def test_a_key_that_the_cohort_was_given_is_not_left_out_unseen(tmp_path: Path, command: Command) -> None:
    """After `cohort --key`, an export without it does not draw other pseudonyms: it names the option."""
    folder, key = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE))), tmp_path / "site.key"
    key.write_text("k3y" * 12, encoding="ascii")
    assert command("cohort", folder, "--out", tmp_path / "cohort", "--key", key).code == 0
    words = ("export", tmp_path / "cohort", "--to", "csv", "--out", tmp_path / "export")
    left_out = command(*words)
    assert (left_out.code, "name it with --key" in left_out.err) == (2, True)
    assert not (tmp_path / "cohort.key").exists()
    assert command(*words, "--key", key).code == 0


def test_another_cohort_with_the_key_of_the_first_has_its_pseudonyms(tmp_path: Path, command: Command) -> None:
    """A cohort in another folder draws another key, unless --key names that of the first, as the first says."""
    folder, out = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE))), tmp_path / "cohort"
    assert "another key, unless --key names this one" in command("cohort", folder, "--out", out).out
    command("cohort", folder, "--out", tmp_path / "other")
    command("cohort", folder, "--out", tmp_path / "same", "--key", tmp_path / "cohort.key")
    first, other, same = (
        set(re.findall(r"\bP[0-9a-f]{20}\b", (tmp_path / name / "cohort.html").read_text(encoding="utf-8")))
        for name in ("cohort", "other", "same")
    )
    assert first == same != other


def test_cohort_tells_what_became_of_the_key(tmp_path: Path, command: Command) -> None:
    """Whether it is new, that of before or another, and what there is to do; of one by --key that export needs it."""
    folder, key = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE))), (tmp_path / "cohort.key").resolve()
    words = ("cohort", folder, "--out", tmp_path / "cohort")
    made = command(*words).out
    refused = command(*words)
    again = command(*words, "--overwrite").out
    key.unlink()
    other = command(*words, "--overwrite", "--new-key").out
    named = command(*words, "--overwrite", "--key", key).out
    said = f"the key of the pseudonyms is {{}}: {key}\n  {{}}\nwrote "
    kept = (
        "keep it, apart from the cohort: exports of the cohort need it\n"
        "  another --out draws another key, unless --key names this one: then pseudonyms match"
    )
    assert said.format("new", kept) in made
    assert refused.err.endswith(
        "holds a cohort; choose another --out, or --overwrite (patients keep their pseudonyms)\n"
    )
    assert said.format("that of before", "the same patient has the same pseudonym; there is nothing to do") in again
    told = "pseudonyms match no earlier page or export; keep the key, apart from the cohort"
    assert said.format("another than before", told) in other
    assert f"\npseudonyms are by {key}; give the same --key to calcitrace export, for the same pseudonyms\n" in named


# -------------------------------------------------------------- exclusions


def test_each_exclusion_counts_a_patient_once_and_in_order(tmp_path: Path) -> None:
    """A patient whom two exclusions would leave out is in the box of the first."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P1", "2018-03-04", SURGERY), ("c", "P2", "2019-03-04", CASE))
    (tmp_path / "codes.csv").write_text("patient_id,code\nP1,M05.9\n", encoding="utf-8")
    said = (
        "exclude:\n  - {name: Surgery, mention: surgery, when: before}\n"
        "  - {name: Arthritis, codes: [M05*], table: codes.csv}\n"
    )
    flow = build_cohort(run(tmp_path, rows), criteria(tmp_path, said)).flow
    assert (flow.patients["Surgery"], flow.patients["Arthritis"], flow.members) == (1, 0, 1)


@pytest.mark.parametrize(
    ("order", "said", "day", "left_out"),
    [
        ("", "", "01.12.2020", 0),
        ("dmy", "", "01.12.2020", 1),
        ("dmy", "", "08.01.2021", 1),
        ("mdy", "", "08.01.2021", 0),
        ("", "date_order: dmy\n", "08.01.2021", 1),
        ("mdy", "date_order: dmy\n", "08.01.2021", 1),
    ],
)
def test_days_of_codes_are_read_in_the_order_of_the_criteria_or_of_the_run(
    order: str, said: str, day: str, left_out: int, tmp_path: Path
) -> None:
    """08.01.2021 is the index date if the day comes first, else in August; without an order, no day, which is told."""
    folder = run(tmp_path, rows_of(("a", "P1", "2021-01-08", CASE)), date_order=order)
    (tmp_path / "codes.csv").write_text(f"patient_id,code,day\nP1,M05.9,{day}\nP1,M05.8,\n", encoding="utf-8")
    asked = "exclude:\n  - {name: Arthritis, codes: [M05*], table: codes.csv, date: day, when: before}\n"
    made = build_cohort(folder, criteria(tmp_path, said + asked))
    assert made.flow.patients["Arthritis"] == left_out
    told = next(note for note in made.notes if "no day that can be read" in note)
    lost = "1 of 2 codes of 'Arthritis' has" if order or said else "2 of 2 codes of 'Arthritis' have"
    assert told.startswith(f"codes.csv: {lost} no day that can be read")
    assert ("day and month could be either way" in told) == (not order and not said)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, command: Command) -> None:
    """The folder of --out is looked at first: a run that is not there is not even missed."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for out, said in (("full", "not empty and no cohort"), ("full/file", "is a file")):
        done = command("cohort", tmp_path / "gone", "--out", tmp_path / out)
        assert (done.code, done.err) == (6, f"error: {tmp_path / out}: {said}; choose another --out\n")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("at", ["_parquet", "_csv", "_page", "_manifest"])
def test_a_cohort_whose_writing_was_killed_is_written_by_the_same_command(
    at: str, overwrite: bool, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it was killed, in a new folder or over an earlier cohort; nothing of the attempt is left over."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))
    words = ["cohort", folder, "--out", tmp_path / "cohort", *["--overwrite"] * overwrite]
    if overwrite:
        assert command(*words).code == 0

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"calcitrace.cohortfolder.{at}", killed)
        assert command(*words).err == "interrupted; give the same command again to go on\n"
    assert not (tmp_path / "cohort" / "manifest.json").exists()
    assert command(*words).code == 0
    assert command("cohort", folder, "--out", tmp_path / "whole").code == 0
    made, whole = ({p.name for p in (tmp_path / name).iterdir()} for name in ("cohort", "whole"))
    assert made == whole


def test_an_empty_cohort_is_a_result(tmp_path: Path, command: Command) -> None:
    """No case: exit code 0, empty tables with their columns, a flow diagram that says so; exports of it are empty."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", PLAIN)))
    done = command("cohort", folder, "--out", tmp_path / "cohort")
    assert done.code == 0, done.err
    assert len(pd.read_parquet(tmp_path / "cohort" / "members.parquet")) == 0
    assert len(pd.read_csv(tmp_path / "cohort" / "members.csv")) == 0
    assert "0 patients in the cohort" in (tmp_path / "cohort" / "flow.svg").read_text(encoding="utf-8")
    assert command("export", tmp_path / "cohort", "--to", "csv", "--out", tmp_path / "csv").code == 0


def test_a_run_that_is_unfinished_or_given_twice_is_refused(tmp_path: Path) -> None:
    """Nothing is counted twice or in part."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))
    with pytest.raises(UsageError, match="each once"):
        build_cohort([folder, folder])
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}), encoding="utf-8")
    with pytest.raises(RunError, match="has not finished"):
        build_cohort(folder)


# ------------------------------------------------------------------- flow

KINDS = {"case": CASE, "deposit": DEPOSIT, "plain": PLAIN, "healed": HEALED, "empty": " "}
ARCHIVE = st.lists(
    st.tuples(
        st.sampled_from("abcdefg"),
        st.sampled_from(["P1", "P2", "P3", ""]),
        st.sampled_from(["2018-01-01", "2019-03-04", "2020-03", "03/04/2019", ""]),
        st.sampled_from(sorted(KINDS)),
    ),
    max_size=8,
)
SAID = st.tuples(
    st.sampled_from(["", "tiers: [definite]\n", "tiers: [definite, probable, possible]\n"]),
    st.sampled_from(["", "dates: {from: 2019-01-01}\n", "lookback_days: 30\n", "washout_days: 400\n"]),
    st.sampled_from(["", "without_patient_id: own\n", "modalities: [MR]\n", "sides: [left]\n", "probability: 0.5\n"]),
    st.sampled_from(["", "exclude:\n  - {name: Gone, mention: calcification, assertions: [absent]}\n"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ARCHIVE, min_size=1, max_size=2), SAID)
def test_every_row_and_patient_is_in_one_box(archives: list[list[Any]], said: tuple[str, ...]) -> None:
    """Whatever archives, runs and criteria: rows read are rejects and reports, each report is in the timeline once, and
    each patient in one box."""
    folder = Path(mkdtemp())
    try:
        runs = [
            run(folder, rows_of(*((i, p, d, KINDS[k]) for i, p, d, k in rows)), f"run{n}")
            for n, rows in enumerate(archives)
        ]
        made = build_cohort(runs, criteria(folder, "title: any\n" + "".join(said)))
    finally:
        shutil.rmtree(folder)
    flow, timeline, patients = made.flow, made.timeline, made.patients
    assert flow.rows == sum(map(len, archives)) == sum(flow.rejects.values()) + len(timeline)
    assert Counter(timeline["counted"]) == Counter({k: n for k, n in flow.reports.items() if n})
    assert not timeline.duplicated(["run", "report_id"]).any()
    assert not patients.duplicated(["site", "patient_id"]).any()
    assert Counter(patients["box"]) == Counter({k: n for k, n in flow.patients.items() if n})
    assert patients["n_reports"].sum() == flow.counted == flow.reports["counted"]
    assert len(made.members) == flow.members == flow.cases - sum(flow.patients[b] for b in flow.excluded)
    assert bool(made.members["is_case"].all())


# ------------------------------------------------------------------ privacy


def test_pages_and_pictures_hold_no_text_and_no_id(tmp_path: Path, command: Command) -> None:
    """A marker in texts and ids is in the tables that keep ids as given, and nowhere else, unless it is asked for."""
    rows = rows_of(
        (f"{MARK}-r1", f"{MARK}-p1", "2019-03-04", f"{CASE} {MARK}"),
        (f"{MARK}-r2", f"{MARK}-p1", "2020-03-04", f"{HEALED} {MARK}"),
    )
    folder, out = run(tmp_path, rows), tmp_path / "cohort"
    done = command("cohort", folder, "--out", out)
    assert done.code == 0, done.err
    assert MARK not in done.out + done.err
    tables = {f"{t}.{kind}" for t in ("patients", "members", "timeline") for kind in ("parquet", "csv")}
    others = {p.name: p.read_bytes() for p in out.iterdir() if p.name not in tables}
    assert {
        "flow.svg",
        "flow.png",
        "table1.csv",
        "methods.md",
        "cohort.html",
        "manifest.json",
        "pseudonyms.json",
    } == set(others)
    assert not [name for name, held in others.items() if MARK.encode() in held]
    for name in EXPORTS:
        export(out, tmp_path / name, name)
        assert not [p for p in (tmp_path / name).rglob("*") if p.is_file() and MARK.encode() in p.read_bytes()]
    made = build_cohort(folder)
    write_cohort(made, tmp_path / "open", show_ids=True)
    assert f"{MARK}-p1" in (tmp_path / "open" / "cohort.html").read_text(encoding="utf-8")


def test_pseudonyms_of_page_and_export_are_the_same(tmp_path: Path) -> None:
    """One key beside the folder, so that a picture can be found for a row of an export."""
    out = tmp_path / "cohort"
    write_cohort(build_cohort(run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))), out)
    export(out, tmp_path / "csv", "csv")
    (name,) = pd.read_csv(tmp_path / "csv" / "patients.csv")["patient_id"]
    assert name in (out / "cohort.html").read_text(encoding="utf-8")
    assert (tmp_path / "cohort.key").stat().st_mode & 0o077 == 0


def test_methods_cite_the_title_and_hash_of_criteria(tmp_path: Path) -> None:
    """A title only where the file gives one: that of other criteria would be wrong."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)))
    named, other = criteria(tmp_path, "title: Right shoulders\n"), tmp_path / "other.yml"
    other.write_text("sides: [right]\n", encoding="utf-8")
    digest = f"(SHA-256 {read_criteria(named).sha256[:12]})."
    assert f'file {named.name}, "Right shoulders" {digest}' in methods(build_cohort(folder, named))
    assert "file other.yml (SHA-256 " in methods(build_cohort(folder, other))
    assert "by the built-in criteria (SHA-256 " in methods(build_cohort(folder))


@pytest.mark.parametrize(
    ("said", "apart"),
    [
        ("", ""),
        ("sides: [right]\n", " (of any side)"),
        ("modalities: [MR]\nsites: [a]\n", " (of any modality, from any site)"),
    ],
)
def test_the_box_of_an_earlier_report_names_what_it_is(said: str, apart: str, tmp_path: Path) -> None:
    """A report of the tiers, whatever the criteria ask of a case report besides."""
    file = criteria(tmp_path, f"tiers: [definite]\nwashout_days: 365\n{said}")
    assert exclusion_names(read_criteria(file))[-1] == f"An earlier definite report within 365 days{apart}"


RULES_READ = "Migration type, tendon, bone and side are those that the rules read. "


def test_methods_have_a_paragraph_a_subject(tmp_path: Path) -> None:
    """In the file and on the page, each with its subject first; reports that people decided are counted."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE), ("b", "P2", "2019-03-04", CASE)))
    made = build_cohort(folder, adjudications={"b": "no"})
    write_cohort(made, tmp_path / "cohort")
    told, page = ((tmp_path / "cohort" / name).read_text(encoding="utf-8") for name in ("methods.md", "cohort.html"))
    names = re.findall(r"^\*\*(.+)\.\*\* \S.+\.$", told, re.M)
    assert names == [
        "Source",
        "Extraction",
        "Case definition",
        "Review",
        "Criteria",
        "Cohort",
        "Index date and outcome",
        "Dates",
    ]
    assert re.findall(r"^<p><b>(.+)\.</b> \S.+\.</p>$", page, re.M) == names
    assert (
        "<tr><th>tumor</th><td>a mention of mass or neoplasm that is read as present, in the conclusion</td></tr>"
        in page
    )
    assert (
        "**Review.** Reviewers decided the case status of 1 report, in place of the case definition: no (no case) 1. "
        f"{RULES_READ}Agreement of the readers: add (calcitrace agreement). Because of the review alone, 0 patients "
        "have a case report, and 1 patient no longer has one.\n" in told
    )
    assert "**Review.** No case status was decided by a reviewer.\n" in methods(build_cohort(folder))


def test_methods_tell_how_reviewers_decided(tmp_path: Path) -> None:
    """How many they were, what yes, no and unsure became, which reports stayed open, and how far two agree."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE) for k in range(5))))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=0, double=1.0, calibration=0))
        for who, decided in (("A", ("yes", "no", "unsure", "yes")), ("B", ("yes", "no", "unsure", "no"))):
            for k, said in enumerate(decided):
                store.decide(Opinion(f"r{k}", said), who, f"key {who} {k}")
        export_decisions(store, tmp_path / "decided.csv", "cohort")
    whole, of_file = (
        methods(build_cohort(folder, adjudications=tmp_path / n)) for n in ("review.sqlite", "decided.csv")
    )
    told = (
        "**Review.** 2 reviewers decided the case status of 3 reports, in place of the case definition: "
        "yes (a definite case) 1, no (no case) 1, unsure (a possible case) 1. "
    )
    assert (
        f"{told}{RULES_READ}1 report on which readers differ keeps the case status of the case definition. Two "
        "readers, who had not seen the reasons, agreed on 3 of 4 reports: 0.750 (0.194 to 0.994), kappa 0.636 ("
        in whole
    )
    assert (
        f"{told}{RULES_READ}Agreement of the readers: add (calcitrace agreement). Recall of the review: add " in of_file
    )


def test_the_counts_of_methods_add_up(tmp_path: Path) -> None:
    """Reports without a patient id are told among those that do not count."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE), ("a", "P1", "2019-03-04", PLAIN), ("b", "", "2019-03-04", PLAIN))
    told = methods(build_cohort(run(tmp_path, rows)))
    assert "of 3 reports, 1 counts (left out: 1 without a patient id, 1 merged as versions of a report)" in told


def test_methods_name_the_readers_where_there_are_more_than_two(tmp_path: Path) -> None:
    """Each two of them have a sentence of their own."""
    folder = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE) for k in range(3))))
    with Store(tmp_path / "review.sqlite", create=True) as store:
        make_queue(folder, store, QueueOptions(audit=0, double=1.0, calibration=0))
        for who in ("AB", "CD", "EF"):
            for k in range(3):
                store.decide(Opinion(f"r{k}", "yes" if k or who != "EF" else "no"), who, f"key {who} {k}")
    told = methods(build_cohort(folder, adjudications=tmp_path / "review.sqlite"))
    unseen = "who had not seen the reasons, agreed on"
    assert f"Readers AB and CD, {unseen} 3 of 3 reports" in told
    assert f"Readers AB and EF, {unseen} 2 of 3 reports" in told
    assert f"Readers CD and EF, {unseen} 2 of 3 reports" in told


def test_methods_claim_no_blinding_of_decisions_from_a_file(tmp_path: Path, command: Command) -> None:
    """Whether those who decided elsewhere had seen the reasons is not known; how many read alone is told."""
    folder, store = run(tmp_path, rows_of(*((f"r{k}", f"P{k}", "2019-03-04", CASE) for k in range(3)))), tmp_path / "s"
    with Store(store, create=True) as queue:
        make_queue(folder, queue, QueueOptions(audit=0, double=1.0, calibration=0))
    rows = "r0,yes,A\nr0,yes,B\nr1,yes,A\nr1,yes,B\nr2,no,A\n"
    (tmp_path / "d.csv").write_text(f"report_id,decision,reviewer\n{rows}", encoding="utf-8")
    assert command("decisions", "import", tmp_path / "d.csv", "--store", store).code == 0
    told = methods(build_cohort(folder, adjudications=store))
    assert "1 report was decided by one reviewer alone. " in told
    assert "Two readers agreed on 2 of 2 reports" in told
    assert "who had not seen the reasons" not in told


def test_methods_tell_the_case_definition_in_its_own_words(tmp_path: Path) -> None:
    """Its title, file and what the tiers that make a case need; where the rules are others by now, its name alone."""
    rows = rows_of(("a", "P1", "2019-03-04", CASE))
    shutil.copytree(patterns_folder(), tmp_path / "ours")
    (tmp_path / "ours" / "cases" / "own.yml").write_text(
        "extends: intraosseous_migration\ntitle: Calcium in bone\ntiers:\n"
        "  - {tier: definite, all: [stated_migration, deposit], none: [tumor, infection, fracture]}\n"
        "  - {tier: definite, all: [stated_migration]}\n  - {tier: possible, all: [intraosseous]}\n",
        encoding="utf-8",
    )
    folder = run(tmp_path, rows, patterns=str(tmp_path / "ours"), case="own", model="none")
    told = methods(build_cohort(folder))
    assert (
        '**Case definition.** The case definition was "Calcium in bone" (ours/cases/own.yml). A report is definite if '
        'it has the constituents "stated migration" and "deposit" without "tumor", "infection" or "fracture"; or '
        '"stated migration". The first tier ' in told
    )
    defined = told.partition("# Constituents of the case definition\n")[2].partition("\n# ")[0]
    assert re.findall(r"^\| (.+?) \| a mention of ", defined, re.M) == [
        *("deposit", "past deposit", "intraosseous", "hedged intraosseous"),
        *("erosion", "erosion of old", "hedged erosion", "stated migration", "attributed erosion"),
        *("tumor", "infection", "fracture"),
    ]
    assert "| tumor | a mention of mass or neoplasm that is read as present, in the conclusion |" in defined
    with (tmp_path / "ours" / "spelling.yml").open("a", encoding="utf-8") as file:
        file.write("# a change\n")
    load_rules.cache_clear()  # as in a new process
    later = methods(build_cohort(folder, reread=False))
    assert "The case definition was own. A case report was one with case status" in later
    assert "# Constituents" not in later


CONDITIONS = {
    "likely_case: yes": "that is a likely case by the model",
    "adjudicated_only: yes": "on which a reviewer decided",
    "probability: 0.5": "with a probability of at least 0.5",
    "modalities: [MR, CT]": "whose modality is MR or CT",
    "sites: [a]\nrun_sites: [a]": "from the site a",
    "sides: [left, none]": "whose side is left or not stated",
}


def test_methods_tell_every_condition_of_a_case_report(tmp_path: Path) -> None:
    """Each that is set, as the steps of the selection have it, and none that is not."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", CASE)), prevalence=0.005)
    first = "A case report was one with case status definite or probable"
    assert f"{first}." in methods(build_cohort(folder))
    for said, told in CONDITIONS.items():
        assert f"{first}, {told}." in methods(build_cohort(folder, criteria(tmp_path, f"{said}\n"))), said
    every = methods(build_cohort(folder, criteria(tmp_path, "\n".join(CONDITIONS))))
    assert f"{first}, {', '.join(CONDITIONS.values())}." in every
    assert len(steps_to_a_case(read_criteria(criteria(tmp_path, "\n".join(CONDITIONS))))) == 1 + len(CONDITIONS)


def test_methods_tell_days_and_modalities_of_the_reports_that_count(tmp_path: Path) -> None:
    """Of repeats nothing; the most frequent modality first, what is not known last; the day of the run, no time."""
    told = [("US", "2019-03-02"), ("MR", "2019-03-03"), ("MR", "2019-03-04"), ("", "2019-03-05"), ("XR", "2022-01")]
    rows = rows_of(*((f"r{k}", "P1", day, f"{'Right shoulder. ' * k}{CASE}") for k, (_, day) in enumerate(told)))
    rows = [{**row, "modality": kind} for row, (kind, _) in zip(rows, told, strict=True)]
    rows.append({**rows[0], "report_id": "repeat", "study_date": "2021-01-01"})
    source = methods(build_cohort(run(tmp_path, rows))).split("\n")[2]
    assert re.search(r"\(1 input file, 6 rows, finished \d{4}-\d\d-\d\d\)\.", source)
    assert source.endswith(
        "The study dates of the reports that count run from 2019-03-02 to 2019-03-05. "
        "Modalities of the reports that count: MR (2), US (1), XR (1), not known (1)."
    )


def test_methods_tell_what_an_exclusion_looks_for() -> None:
    """By mentions or by codes, and when, so that the Methods stand without the criteria file."""
    by_mention = Exclusion("Surgery", frozenset({"surgery"}), frozenset({"historical"}), "before")
    by_code = Exclusion("Arthritis", wanted=("M05*", "M06*"), codes={}, table="codes.csv")
    told = " ".join(exclusion_reasons((by_mention, by_code)).values())
    assert "a mention of surgery that is historical, on or before the index date" in told
    assert "a code M05*, M06* in codes.csv, at any time" in told
