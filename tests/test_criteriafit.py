"""Criteria beside the runs that they are for: unknown names are refused, and what may not be meant is told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Command
from test_cohort import CASE, PLAIN, SURGERY, Rows, criteria, patient, rows_of, run

from calcitrace import build_cohort
from calcitrace.errors import CriteriaError
from calcitrace.methods import methods
from calcitrace.rules import patterns_folder
from calcitrace.studydate import orders_of

TITLED = f"MRI RIGHT SHOULDER.\n{CASE}"


def with_modality(rows: Rows, *modalities: str) -> Rows:
    """The rows, each with what the archive writes as its modality."""
    return [{**row, "modality": m} for row, m in zip(rows, modalities, strict=True)]


def cases(n: int, *dates: str) -> Rows:
    """So many case reports, each of a patient."""
    return rows_of(*((f"r{k}", f"P{k}", (dates * n)[k] if dates else "2019-03-04", CASE) for k in range(n)))


# -------------------------------------------------------------- modality


def test_the_title_tells_the_modality_where_no_column_does(tmp_path: Path) -> None:
    """As when reports are processed; where neither tells it, it is not known, which is not the same as other."""
    folder = run(tmp_path, rows_of(("a", "P1", "2019-03-04", TITLED), ("b", "P2", "2019-03-04", CASE)))
    made = build_cohort(folder, criteria(tmp_path, "modalities: [MR]\n"))
    assert list(made.members["patient_id"]) == ["P1"]
    assert patient(made)["index_modality"] == "MR"
    assert patient(build_cohort(folder), "P2")["index_modality"] == ""


def own_rules(folder: Path) -> Path:
    """Rules in which MRT is a name of MR."""
    patterns = folder / "patterns"
    shutil.copytree(patterns_folder(), patterns)
    file = patterns / "modalities.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("MR: [mr,", "MR: [mr, mrt,"), encoding="utf-8")
    return patterns


def test_a_modality_is_read_by_the_rules_of_the_run(tmp_path: Path) -> None:
    """A name that a hospital adds to its own modalities.yml counts in its cohorts, for every report."""
    rows = with_modality([*cases(1), *rows_of(("x", "P9", "2019-03-04", PLAIN))], "MRT", "MRT")
    made = build_cohort(run(tmp_path, rows, patterns=str(own_rules(tmp_path))))
    assert list(made.timeline["modality_kind"]) == ["MR", "MR"]


def test_a_modality_that_no_rule_knows_is_told(tmp_path: Path, command: Command) -> None:
    """It counts as other, and the terminal says how many reports of case patients have it, and what to do."""
    folder = run(tmp_path, with_modality(cases(2), "MRT", "MR"))
    done = command(
        "cohort", folder, "--out", tmp_path / "cohort", "--criteria", criteria(tmp_path, "modalities: [MR]\n")
    )
    assert "note: modality: 1 report of case patients counts as 'other'" in done.err
    assert "MRT (1); name it in modalities.yml of a copy of the rules" in done.err


# ------------------------------------------------------- unknown names


def test_all_names_that_the_runs_do_not_know_are_told_at_once(tmp_path: Path) -> None:
    """What is wrong in the file, every finding and the number of sites; then modalities, sites and order of dates."""
    folder = run(tmp_path, with_modality(cases(1), "MRT"))
    both = "exclude: [{name: A, mention: surgry}, {name: B, mention: fractur}]\nrun_sites: [a, b]\n"
    with pytest.raises(CriteriaError, match=r"'surgry'.*\n.*'fractur'.*\n.*:2: run_sites names 2 sites"):
        build_cohort(folder, criteria(tmp_path, both))
    with pytest.raises(CriteriaError, match=r":1: 'sides' holds 'L'.*\n.*:2: the exclusion 'A' names 'rheumatoid'"):
        build_cohort(folder, criteria(tmp_path, "sides: [L]\nexclude: [{name: A, mention: rheumatoid}]\n"))
    with pytest.raises(CriteriaError, match=r":1: 'sides' holds 'L'"):
        build_cohort(tmp_path / "none", criteria(tmp_path, "sides: [L]\n"))
    with pytest.raises(CriteriaError, match=r":1: modalities names 'MRX'.*\n.*:2: 'sites' is given"):
        build_cohort(folder, criteria(tmp_path, "modalities: [MRX]\nsites: [a]\n"))


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("title: x\nmodalities: [MRX, CT]\n", 2, "modalities names 'MRX', which is no modality of these runs; did you"),
        ("modalities: [MRX]\n", 1, "did you mean 'MR'? known are CT, MR, MRT, US, XR, other"),
        ("run_sites: [north]\nsites: [nord]\n", 2, "'nord', which is no site of these runs; did you mean 'north'?"),
        ("sites: [nowhere]\n", 1, "the runs have none; give each site its own run, and name them with run_sites"),
        ("run_sites: [a, b]\n", 1, "run_sites names 2 sites for 1 run"),
        (
            "exclude:\n  - {name: Old, mention: surgrey}\n",
            2,
            "the exclusion 'Old' names 'surgrey', which is no finding or condition; did you mean 'surgery'?",
        ),
        ("findings:\n  bone: [cortical_erosion, erosoin]\n", 2, "findings: bone names 'erosoin'"),
        ("first_diagnosis: {cyst: [cist]}\n", 1, "first_diagnosis: cyst names 'cist'"),
    ],
)
def test_an_unknown_name_is_an_error_with_its_place(text: str, line: int, told: str, tmp_path: Path) -> None:
    """A modality, site, mention or finding that the runs cannot have: path:line, the nearest and the known names."""
    folder, path = run(tmp_path, with_modality(cases(1), "MRT")), criteria(tmp_path, text)
    with pytest.raises(CriteriaError) as error:
        build_cohort(folder, path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert told in str(error.value)


@pytest.mark.parametrize("said", ["[mrt]", "[MR, MRT]", "[us]", "[other]"])
def test_names_that_are_known_pass(said: str, tmp_path: Path) -> None:
    """Kinds of the rules and the archive's own names, in any case, whether or not a report has them."""
    folder = run(tmp_path, with_modality(cases(1), "MRT"))
    made = build_cohort(folder, criteria(tmp_path, f"modalities: {said}\n"))
    assert len(made.members) == (said != "[us]")


def test_a_finding_of_the_run_s_own_rules_can_be_asked_for(tmp_path: Path) -> None:
    """The names that are known are those of the rules with which the reports were read."""
    patterns = own_rules(tmp_path)
    shutil.copy(patterns / "conditions" / "surgery.yml", patterns / "conditions" / "operation.yml")
    folder = run(
        tmp_path, [*cases(1), *rows_of(("s", "P0", "2018-01-01", SURGERY))], patterns=str(patterns), model="none"
    )
    flow = build_cohort(folder, criteria(tmp_path, "exclude:\n  - {name: Op, mention: operation}\n")).flow
    assert flow.patients["Op"] == 1


# ------------------------------------------------------------------ codes


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (("8", "9"), "codes.csv: 0 of 2 ids are patients of these runs; nobody is left out by 'Arthritis'"),
        (("P0", "9"), "codes.csv: 1 of 2 ids is a patient of these runs"),
    ],
)
def test_how_many_ids_of_a_table_are_patients_is_told(ids: Any, told: str, tmp_path: Path, command: Command) -> None:
    """Ids that match no patient leave out nobody, which must not go unseen."""
    (tmp_path / "codes.csv").write_text("patient_id,code\n" + "".join(f"{i},M05\n" for i in ids), encoding="utf-8")
    said = criteria(tmp_path, "exclude:\n  - {name: Arthritis, codes: [M05], table: codes.csv}\n")
    done = command("cohort", run(tmp_path, cases(2)), "--criteria", said, "--out", tmp_path / "out")
    assert told in done.err


def test_codes_that_no_row_has_are_told(tmp_path: Path) -> None:
    """A slip in a code leaves out nobody."""
    (tmp_path / "codes.csv").write_text("patient_id,code\nP0,M05\n", encoding="utf-8")
    said = criteria(tmp_path, "exclude:\n  - {name: Arthritis, codes: [N05*], table: codes.csv}\n")
    assert "codes.csv: no row has a code of 'Arthritis'" in build_cohort(run(tmp_path, cases(1)), said).notes


# ------------------------------------------------------------------ dates


@pytest.mark.parametrize(
    ("written", "order"),
    [
        ("03.04.2019", "either"),
        ("14.03.2018", "dmy"),
        ("3/14/2018 10:15", "mdy"),
        ("04/04/2019", ""),
        ("31.31.2019", ""),
        ("2019-03-04", ""),
        ("", ""),
    ],
)
def test_what_a_date_tells_of_the_order(written: str, order: str) -> None:
    """A number above 12 is the day; two equal numbers tell nothing."""
    assert orders_of(written) == order


def test_without_an_order_unclear_dates_point_to_it(tmp_path: Path, command: Command) -> None:
    """On the terminal, in the box of the flow diagram and in Methods, with how many dates tell the order."""
    folder, out = run(tmp_path, cases(3, "03.04.2019", "14.03.2018", "05.06.2019")), tmp_path / "cohort"
    done = command("cohort", folder, "--out", out)
    assert "note: dates: 2 in which day and month could be either way" in done.err
    evidence = "(1 can only be day first, 0 can only be month first)"
    assert f"set date_order in the criteria, or --date-order of process {evidence}" in done.err
    assert "No full date of a case report; date_order is not" in (out / "flow.svg").read_text(encoding="utf-8")
    assert "2 reports had no full date (date_order was not given)" in (out / "methods.md").read_text(encoding="utf-8")
    done = command("cohort", folder, "--out", tmp_path / "dmy", "--criteria", criteria(tmp_path, "date_order: dmy\n"))
    assert "note" not in done.err
    assert "date_order" not in (tmp_path / "dmy" / "flow.svg").read_text(encoding="utf-8")


def test_the_order_of_the_runs_holds_where_the_criteria_name_none(tmp_path: Path, command: Command) -> None:
    """As `process --date-order` was given; the criteria win over it."""
    folder = run(tmp_path, cases(2, "03.04.2019", "14.03.2018"), date_order="dmy")
    made = build_cohort(folder)
    assert made.members["index_date"].tolist() == ["2019-04-03", "2018-03-14"]
    assert "Dates in which day and month could be either way were read day first." in methods(made)
    with pytest.raises(CriteriaError, match="date_order is mdy, which the dates contradict"):
        build_cohort(folder, criteria(tmp_path, "date_order: mdy\n"))


def test_methods_tell_rules_of_ones_own(tmp_path: Path) -> None:
    """By the name of their folder; a copy of the rules that ship is none."""
    for name, line in (("copied", ""), ("ours", "# a change\n")):
        shutil.copytree(patterns_folder(), tmp_path / name)
        with (tmp_path / name / "spelling.yml").open("a", encoding="utf-8") as file:
            file.write(line)
        told = methods(build_cohort(run(tmp_path, cases(1), f"run_{name}", patterns=str(tmp_path / name))))
        assert ("by local rules from the folder ours, not those that ship" in told) is (name == "ours")
        assert "local rules from the folder copied" not in told


def test_dates_that_no_order_can_read_are_told(tmp_path: Path, command: Command) -> None:
    """A thirteenth month is no day in any order; the count is told where the cohort is made."""
    folder = run(tmp_path, cases(2, "13.13.2021", "2021-04-05"))
    done = command("cohort", folder, "--out", tmp_path / "cohort")
    assert "note: dates: 1 cannot be read as a day, month or year and counts as unclear\n" in done.err


def test_an_order_that_the_archive_contradicts_is_refused(tmp_path: Path) -> None:
    """With the counts that speak against it."""
    folder, path = (
        run(tmp_path, cases(3, "03.04.2019", "14.03.2018")),
        criteria(tmp_path, "title: x\ndate_order: mdy\n"),
    )
    with pytest.raises(CriteriaError) as error:
        build_cohort(folder, path)
    assert str(error.value) == (
        f"{path}:2: date_order is mdy, which the dates contradict: 1 can only be day first, 0 can only be month first; "
        "set date_order: dmy"
    )


def test_a_few_dates_against_the_order_are_told(tmp_path: Path) -> None:
    """Where most dates bear the order out, the others count as unclear, and how many is said."""
    folder = run(tmp_path, cases(4, "13.04.2019", "14.03.2018", "15.06.2019", "03.25.2019"))
    made = build_cohort(folder, criteria(tmp_path, "date_order: dmy\n"))
    (note,) = made.notes
    assert note.startswith("dates: 1 contradicts date_order: dmy and counts as unclear (3 can only be day first, 1 can")
    assert len(made.members) == 3
