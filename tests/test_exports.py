"""Exports: nothing is lost or altered on the way, and nothing leaves that was not asked for."""

from __future__ import annotations

import base64
import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest
from conftest import Command
from exported import (
    CDM,
    LONG_ID,
    MARK,
    PATIENTS,
    READERS,
    REPORTS,
    Cohort,
    Rows,
    filling,
    from_cdm,
    make_cohort,
    postgres,
    write_cohort,
)
from test_cohort import CASE, run

from calcitrace import build_cohort, cohortfolder
from calcitrace.errors import SourceError, UsageError
from calcitrace.exports import EXPORTS, RECORD, Choice, Export, Extract, LeftOut, export
from calcitrace.exports.files import write_dictionary
from calcitrace.exports.variables import read_variables
from calcitrace.methods import READ, definitions
from calcitrace.pseudonyms import Pseudonyms

AS_GIVEN = Choice(original_ids=True, with_text=True, all_patients=True)
each_export = pytest.mark.parametrize("name", EXPORTS)
each_exact_export = pytest.mark.parametrize("name", [n for n, e in EXPORTS.items() if e.exact])


def as_given(name: str) -> Choice:
    """All that an export can hold."""
    return replace(AS_GIVEN, with_text=EXPORTS[name].text)


def held(name: str, table: str, rows: Rows) -> Rows:
    """What an export must give back of these rows, by what it declares: every value, or those that are ids."""
    how = EXPORTS[name]
    if table not in how.tables:
        return []
    ids = ("site", "patient_id", "report_id", "mention_id")
    lists = {key for row in rows for key, value in row.items() if isinstance(value, list) and not how.lists}
    left = {"run", *lists, *(() if how.text else ("text", "words"))}
    return [{k: v for k, v in row.items() if k not in left and (how.exact or k in ids)} for row in rows]


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """One cohort for all tests."""
    return make_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key for pseudonyms."""
    path = tmp_path_factory.mktemp("key") / "site.key"
    path.write_text("k3y" * 12, encoding="ascii")
    return path


def in_order(rows: Rows, *names: str) -> Rows:
    """The rows by the values of these variables."""
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def only(rows: Rows, like: Rows) -> Rows:
    """The rows with the variables that the first of `like` has, and nothing else."""
    return [{name: row.get(name) for name in like[0]} for row in rows] if like else rows


def told(name: str, rows: Rows, like: Rows, *by: str) -> Rows:
    """The rows of an export in order, for comparing; where it is not exact, all white space as single blanks."""
    found = only(rows, like)
    if not EXPORTS[name].exact:
        found = [{key: " ".join(str(value).split()) for key, value in row.items()} for row in found]
    return in_order(found, *by)


@each_export
def test_nothing_is_lost_or_altered(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Every value of patients and reports that an export holds comes back as it was, read by software that is not ours.

    REDCap and NOTE need no text for what has none; a report without a day has no NOTE, and so no text in OMOP.
    """
    done = export(cohort.folder, tmp_path / "out", name, as_given(name), key)
    found = READERS[name](tmp_path / "out")
    assert found.keys() == {*EXPORTS[name].tables}
    undated = {r["text"] for r in REPORTS if not r["study_date"]} if name == "omop" else set()
    reports = [{**r, "text": None if r["text"] in undated else r["text"]} for r in REPORTS]
    for table, rows, by_id in (
        ("patients", PATIENTS, ("site", "patient_id")),
        ("reports", reports, ("site", "patient_id", "report_id")),
    ):
        wanted = held(name, table, rows)
        assert told(name, found.get(table, []), wanted, *by_id) == told(name, wanted, wanted, *by_id)
        assert getattr(done, table) == len(wanted)


MENTION = (
    "mention_id",
    "report_id",
    "finding",
    "assertion",
    "change",
    "tendon",
    "bone",
    "landmark",
    "laterality",
    "size_mm",
)


@pytest.mark.parametrize("name", [n for n, e in EXPORTS.items() if "mentions" in e.tables])
def test_every_mention_comes_back(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Mentions come back, where an export holds them, with their words, place and assertion."""
    export(cohort.folder, tmp_path / "out", name, as_given(name), key)
    found = READERS[name](tmp_path / "out")["mentions"]
    dated = {(r["run"], r["report_id"]) for r in REPORTS if r["study_date"]}
    in_note = [m for m in cohort.mentions if name != "omop" or (m["run"], m["report_id"]) in dated]
    wanted = [
        {**{n: m[n] for n in MENTION}, "first_char": m["start"], "words": m["text"]}
        | {"size_mm": None if m["size_mm"] != m["size_mm"] else m["size_mm"]}
        for m in in_note
    ]
    if name == "omop":
        wanted = [{k: v for k, v in m.items() if k not in ("mention_id", "assertion")} for m in wanted]
    wanted = held(name, "mentions", wanted)
    by_place = [n for n in ("report_id", "first_char", "words", "laterality", "change") if n in wanted[0]]
    assert told(name, found, wanted, *by_place) == told(name, wanted, wanted, *by_place)


AWKWARD = [
    *("NA", "nan", "null", "None", "True", "1", "1.0", "007", "-5", "2019-03-02", "{}", "[]", "<b>", "1, x", "a | b"),
    *('"', '""', "'", "\\", "\\N", "\\.", '\\"', 'a"b', "a,b", ";", "|", " a", "a ", "a\tb", "a\rb", "a\nb", "a\r\nb"),
    *(
        "a\u2028b",
        "a\x85b",
        "a\x0bb",
        "a\x1ab",
        "a\x1fb",
        "\x7f",
        "\ufeffx",
        "e\u0301",
        "\U0001f9b4",
        "\uffff",
        "x\xa0",
    ),
]
ALTERED = {"spss": {"a ": "a"}}  # as its manual says


@each_exact_export
def test_awkward_texts_come_back(name: str, key: Path, tmp_path: Path) -> None:
    """What looks like a null, a number, a quote, a delimiter or a line end comes back as the text that it is."""
    rows = [{**PATIENTS[1], "patient_id": str(n), "first_diagnosis": text} for n, text in enumerate(AWKWARD)]
    write_cohort(tmp_path / "cohort", rows, [], [])
    export(tmp_path / "cohort", tmp_path / "out", name, Choice(original_ids=True), key)
    found = {int(p["patient_id"]): p["first_diagnosis"] for p in READERS[name](tmp_path / "out")["patients"]}
    assert [found[n] for n in range(len(AWKWARD))] == [ALTERED.get(name, {}).get(text, text) for text in AWKWARD]


@each_export
def test_an_empty_cohort_is_a_valid_export(name: str, key: Path, tmp_path: Path) -> None:
    """A cohort without members gives files without rows, and no error."""
    write_cohort(tmp_path / "cohort", PATIENTS[2:], REPORTS[:0], [])
    done = export(tmp_path / "cohort", tmp_path / "out", name, key_file=key)
    assert (done.patients, done.reports, done.mentions, done.left_out) == (0, 0, 0, ())
    assert {len(rows) for rows in READERS[name](tmp_path / "out").values()} == {0}


# What may leave


def everything(folder: Path) -> str:
    """All that an export says, unpacked: file names, plain files, tables of every format, attachments of FHIR.

    A file that is no text is unpacked by the reader of its export.
    """
    said = [str(sorted(p.name for p in folder.iterdir()))]
    for path in folder.iterdir():
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            said.append(str(table.to_pylist()) + str(table.schema))
        elif path.suffix in (".dta", ".sav"):
            frame, meta = (pyreadstat.read_dta if path.suffix == ".dta" else pyreadstat.read_sav)(str(path))
            said.append(str(frame.to_dict("records")) + str(vars(meta)))
        else:
            try:
                said.append(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError:
                said.append(str(READERS[json.loads((folder / RECORD).read_text(encoding="utf-8"))["to"]](folder)))
    packed = re.findall(r'"data": "([^"]*)"', "".join(said))
    return "".join([*said, *(base64.b64decode(data).decode("utf-8") for data in packed)])


@each_export
def test_no_report_text_and_no_original_id_leaves_unasked(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """A marker in every text, patient id and report id is in no file of an export by default; nor are the key and the
    words of a mention, and nor where dates are shifted."""
    for number, choice in enumerate((Choice(all_patients=True), Choice(shift_dates=True, all_patients=True))):
        export(cohort.folder, tmp_path / str(number), name, choice, key)
        said = everything(tmp_path / str(number))
        assert MARK not in said
        assert "calcific deposit" not in said
        assert "k3yk3y" not in said


@each_export
def test_the_marker_would_be_found(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Asked for, ids and text are there: the test above looks where they would be. Each is asked for by itself."""
    export(cohort.folder, tmp_path / "ids", name, Choice(original_ids=True), key)
    ids = everything(tmp_path / "ids")
    assert f"00{MARK}42" in ids
    assert "SHOULDER" not in ids
    if EXPORTS[name].text:
        export(cohort.folder, tmp_path / "text", name, Choice(with_text=True), key)
        text = everything(tmp_path / "text")
        assert f"{MARK} MRI RIGHT SHOULDER" in text
        assert f"00{MARK}42" not in text


@pytest.mark.parametrize("name", [n for n, e in EXPORTS.items() if e.exact and "reports" in e.tables])
def test_shifted_dates_keep_their_intervals(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """All dates of a patient move by one number of days that is not 0; what has no day is left out."""
    export(cohort.folder, tmp_path / "out", name, Choice(shift_dates=True, original_ids=True), key)
    found = READERS[name](tmp_path / "out")
    mine = [r for r in found["reports"] if (r["site"], r["patient_id"]) == ("Klinik Süd", f"00{MARK}42")]
    moved = {r["report_id"]: r["study_date"] for r in mine if r.get("study_date")}
    index = next(p["index_date"] for p in found["patients"] if p["site"] == "Klinik Süd")
    assert (moved["007"] - moved[LONG_ID]).days == 364
    assert index == moved[LONG_ID] != date(2019, 3, 2)
    assert [r.get("study_date_partial") for r in mine] == [None, None, None]


def test_the_same_key_gives_the_same_pseudonyms(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Exports by one key can be joined; by another key, no name is the same."""
    other = tmp_path / "other.key"
    other.write_text("another key, as long as need be", encoding="ascii")
    found = []
    for number, file in enumerate((key, key, other)):
        export(cohort.folder, tmp_path / str(number), "parquet", key_file=file)
        found.append({r["patient_id"] for r in READERS["parquet"](tmp_path / str(number))["reports"]})
    assert found[0] == found[1]
    assert len(found[0]) == 2
    assert found[0] & found[2] == set()


def test_pseudonyms_tell_patients_of_two_sites_apart() -> None:
    """An id is a patient only together with its site, and no two parts of a name can be shifted into each other."""
    names = Pseudonyms(b"x" * 32)
    assert (
        len({names.patient("A", "1"), names.patient("B", "1"), names.patient("A1", ""), names.patient("", "A1")}) == 4
    )
    assert names.patient("A", "1") != names.report("A", "1")


def test_days_of_a_shift_are_never_none() -> None:
    """A patient's dates move by 1 to 365 days, either way, and patients by different numbers."""
    days = {Pseudonyms(b"x" * 32).days("", str(n)) for n in range(5000)}
    assert 0 not in days
    assert (min(days), max(days)) == (-365, 365)


def test_the_key_is_made_at_first_and_kept(cohort: Cohort, tmp_path: Path) -> None:
    """Without --key, a key is drawn beside the cohort folder, readable to its owner alone, and used from then on."""
    made = cohort.folder.with_name("cohort.key")
    export(cohort.folder, tmp_path / "1", "csv")
    drawn = made.read_text(encoding="ascii")
    export(cohort.folder, tmp_path / "2", "csv")
    assert made.read_text(encoding="ascii") == drawn
    assert re.fullmatch(r"[0-9a-f]{64}\n", drawn)
    assert made.stat().st_mode & 0o077 == 0
    made.unlink()


def test_pseudonyms_of_mentions_are_those_of_their_reports_with_their_number(
    cohort: Cohort, key: Path, tmp_path: Path
) -> None:
    """The first mention of a report (number 0) is told from the report, in `mentions` and in `evidence`."""
    export(cohort.folder, tmp_path / "out", "parquet", key_file=key)
    found = READERS["parquet"](tmp_path / "out")["mentions"]
    numbers = [m["mention_id"].removeprefix(m["report_id"]) for m in found]
    assert all(re.fullmatch(r"#\d+", number) for number in numbers)
    assert "#0" in numbers
    first = {**PATIENTS[1], "evidence": [f"{MARK}-9#0"]}
    write_cohort(tmp_path / "cohort", [first], [], [])
    export(tmp_path / "cohort", tmp_path / "csv", "csv", key_file=key)
    (told,) = READERS["csv"](tmp_path / "csv")["patients"]
    assert re.fullmatch(r"R[0-9a-f]{20}#0", told["evidence"][0])


def test_a_lost_key_is_not_replaced_unasked(cohort: Cohort, tmp_path: Path, command: Callable[..., Any]) -> None:
    """Once a cohort has pseudonyms, a key that is gone, or another in its place, is an error; --new-key goes on."""
    write_cohort(tmp_path / "cohort", PATIENTS, REPORTS[:0], [])
    made = tmp_path / "cohort.key"
    words = ("export", tmp_path / "cohort", "--to", "csv", "--out")
    assert command(*words, tmp_path / "1").code == 0
    made.rename(tmp_path / "moved.key")
    gone = command(*words, tmp_path / "2")
    assert (gone.code, "the key of this cohort's pseudonyms is not there" in gone.err) == (2, True)
    assert "--new-key" in gone.err
    assert not made.exists()
    made.write_text("another key, as long as need be", encoding="ascii")
    assert "is not the key by which" in command(*words, tmp_path / "2").err
    made.unlink()
    assert command(*words, tmp_path / "2", "--new-key").code == 0
    assert command(*words, tmp_path / "3").code == 0
    names = [{p["patient_id"] for p in rows_of(tmp_path / n / "patients.csv")} for n in "123"]
    assert names[0] & names[1] == set()
    assert names[1] == names[2]


def test_redcap_has_sex_and_age_on_the_form_of_the_patient(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Sex where the archive gives one, and the age at the index report; those of a report have names of their own."""
    export(cohort.folder, tmp_path / "out", "redcap", key_file=key)
    fields = {r["Variable / Field Name"]: r["Form Name"] for r in rows_of(tmp_path / "out" / "data_dictionary.csv")}
    forms = {name: fields[name] for name in ("sex", "age", "report_sex", "report_age")}
    assert forms == {"sex": "patient", "age": "patient", "report_sex": "imaging_report", "report_age": "imaging_report"}
    rows = [r for r in rows_of(tmp_path / "out" / "import.csv") if not r["redcap_repeat_instrument"]]
    assert sorted((r["sex"], r["age"]) for r in rows) == [("", ""), ("F", "63.5")]


def test_what_no_report_tells_is_labelled_alike() -> None:
    """In every category of which none can be the value, but for a biopsy, of which none is an answer."""
    found = {v.name: v.values["none"] for t in read_variables(False).values() for v in t if "none" in v.values}
    assert found.pop("biopsy") == "None"
    assert {*found.values()} == {"Not stated"}
    assert {"migration_type", "laterality", "change"} == {*found}


def test_redcap_gives_choices_for_texts_of_few_values(tmp_path: Path, key: Path) -> None:
    """Sex, tendon and bone are choices by the values that there are; one that is no single word makes them a text.

    The labels of sex are the words of Table 1, and what no report tells is labelled as in the categories.
    """
    few = [{**PATIENTS[0], "tendon": "gluteus_medius", "sex": "F", "age": 52.0, "bone": "a bone"}, PATIENTS[1]]
    write_cohort(tmp_path / "cohort", few, [], [])
    export(tmp_path / "cohort", tmp_path / "out", "redcap", key_file=key)
    fields = {r["Variable / Field Name"]: r for r in rows_of(tmp_path / "out" / "data_dictionary.csv")}
    choices = {n: fields[n]["Choices, Calculations, OR Slider Labels"] for n in ("tendon", "sex", "bone")}
    assert choices == {"tendon": "gluteus_medius, Gluteus medius | none, Not stated", "sex": "F, Female", "bone": ""}
    assert fields["bone"]["Field Type"] == "text"
    assert "evidence" not in fields
    (row,) = [r for r in rows_of(tmp_path / "out" / "import.csv") if r["sex"]]
    assert (row["tendon"], row["sex"], row["age"], row["size_mm"]) == ("gluteus_medius", "F", "52", "12.5")


def test_redcap_gives_a_decision_the_choices_of_a_case_status(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """What a reviewer decided is coded as what it stands beside; without a decision the cell is empty."""
    export(cohort.folder, tmp_path / "out", "redcap", key_file=key)
    fields = {r["Variable / Field Name"]: r for r in rows_of(tmp_path / "out" / "data_dictionary.csv")}
    kinds = ("Field Type", "Choices, Calculations, OR Slider Labels")
    decided, status = ([fields[f"report_{n}"][k] for k in kinds] for n in ("adjudicated", "case_status"))
    assert decided == status == ["radio", "0, No | 1, Possible | 2, Probable | 3, Definite"]
    rows = [r for r in rows_of(tmp_path / "out" / "import.csv") if r["redcap_repeat_instrument"]]
    assert sorted(r["report_adjudicated"] for r in rows) == ["", "", "", "3"]


def test_what_is_to_be_done_next_and_beware_of_is_told(
    cohort: Cohort, key: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    """The steps in REDCap, where the files are written; and dates within texts that do not move with the others."""
    words = ("export", cohort.folder, "--key", key, "--to", "redcap", "--out")
    ended = command(*words, tmp_path / "1", "--shift-dates")
    assert ended.code == 0
    assert "warning" not in ended.err
    assert "2 patients, 4 reports -> " in ended.out
    assert "enable imaging_report as a repeating instrument, then import import.csv with dates as Y-M-D; " in ended.out
    assert "those within the texts are not" in command(*words, tmp_path / "2", "--shift-dates", "--with-text").err


@each_export
def test_a_readme_tells_the_manual_and_what_may_name_somebody(
    name: str, cohort: Cohort, key: Path, tmp_path: Path
) -> None:
    """In the folder of every export, with how its ids, dates and texts stand, and what was left out."""
    done = export(cohort.folder, tmp_path / "out", name, Choice(shift_dates=True), key)
    told = " ".join((tmp_path / "out" / "README.txt").read_text(encoding="utf-8").split())
    assert " ".join((EXPORTS[name].write.__doc__ or "").split()) in told
    assert "Ids are pseudonyms, the same as long as the key is the same. Dates are moved by the same number" in told
    assert "No word of a report is in it. An ethics or data protection office may take for identifying: of " in told
    assert ("left_out.csv tells of" in told) == bool(done.left_out)
    ids = {
        "patients": "of patients patient_id, index_date, site, sex, age",
        "reports": "of reports report_id, patient_id, study_date, merged_into, site, study_date_partial, modality, "
        "body_part, sex, age",
        "mentions": "of mentions mention_id, report_id",
    }
    if name == "redcap":  # its own names, and no field of a report for what the record tells
        ids["patients"] = ids["patients"].replace("of patients ", "of patients record_id, ")
        ids["reports"] = "of reports report_id, report_study_date, report_merged_into, report_study_date_partial, "
        ids["reports"] += "report_modality, report_body_part, report_sex, report_age"
    assert f"identifying: {'; '.join(ids[table] for table in EXPORTS[name].tables)}. Ages above 89" in told


@each_export
def test_a_readme_tells_what_the_data_are(name: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """How much it holds, what a case status is, who decided it, and where the Methods are."""
    export(cohort.folder, tmp_path / "out", name, key_file=key)
    told = " ".join((tmp_path / "out" / "README.txt").read_text(encoding="utf-8").split())
    sizes = {"patients": "2 patients", "reports": "4 reports", "mentions": "8 mentions"}
    held = ", ".join(sizes[table] for table in EXPORTS[name].tables)
    assert f" It holds {held}: the members of a cohort, with what rules read in the " in told
    assert "Whoever made it has the Methods (source, rules, case definition, review, criteria): methods.md" in told
    assert (
        "Definite, Probable or Possible, the surest first, or No where it meets none. Reviewers decided it for 1 "
        in told
    )
    field = "report_adjudicated" if name == "redcap" else "adjudicated"
    assert (f"no No); {field} tells their decision" in told) == ("reports" in EXPORTS[name].tables)


def test_a_readme_tells_the_case_definition_as_methods_do(key: Path, tmp_path: Path) -> None:
    """Where methods.md is gone it is left out, and an export without decisions says that there are none."""
    write_cohort(tmp_path / "cohort", PATIENTS, [], [])
    export(tmp_path / "cohort", tmp_path / "before", "csv", key_file=key)
    said = "The case definition was ours. A definite report has a deposit."
    (tmp_path / "cohort" / "methods.md").write_text(f"# M\n\n**Case definition.** {said}\n\n**Source.** S.\n", "utf-8")
    export(tmp_path / "cohort", tmp_path / "after", "csv", key_file=key)
    before, after = ((tmp_path / n / "README.txt").read_text(encoding="utf-8") for n in ("before", "after"))
    assert "The rest is from the Methods of the cohort; counts in it are of all that was read" in after
    assert after.partition("\nThe rest is from")[0] == before
    assert after.endswith(f"\n\n{said}\n")
    assert "No reviewer decided it" in before


def test_another_key_than_that_of_the_cohort_is_told(key: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    """Its pseudonyms are not those of the cohort's page; `key_check` tells whether two exports have the same key."""
    write_cohort(tmp_path / "cohort", PATIENTS, [], [])
    words = ("export", tmp_path / "cohort", "--to", "csv", "--out")
    assert "another" not in command(*words, tmp_path / "own").err
    assert "pseudonyms here do not match those on it" in command(*words, tmp_path / "other", "--key", key).err
    assert "do not match" not in command(*words, tmp_path / "true", "--key", key, "--original-ids").err
    assert "do not match" not in command(*words, tmp_path / "again").err
    checks = [json.loads((tmp_path / n / RECORD).read_bytes())["key_check"] for n in ("own", "other", "again")]
    assert checks[0] == checks[2] != checks[1]


def test_all_patients_tell_who_is_in_the_cohort(key: Path, tmp_path: Path) -> None:
    """Where patients are exported who are not in it, the box of the flow diagram tells why each is not."""
    rows = [
        {"report_id": "a", "patient_id": "P1", "study_date": "2019-03-04", "text": CASE, "age": "50"},
        {"report_id": "b", "patient_id": "P2", "study_date": "2019-03-04", "text": CASE, "age": "12"},
    ]
    own = tmp_path / "own.yml"
    own.write_text("ages: {from: 18}\n", encoding="utf-8")
    cohortfolder.write_cohort(build_cohort(run(tmp_path, rows), own), tmp_path / "cohort", key)
    export(tmp_path / "cohort", tmp_path / "out", "csv", Choice(all_patients=True, original_ids=True), key)
    told = list(csv.DictReader((tmp_path / "out" / "patients.csv").open(encoding="utf-8")))
    assert {row["patient_id"]: (row["is_case"], row["flow_box"]) for row in told} == {
        "P1": ("True", "In the cohort"),
        "P2": ("True", "Under 18 years"),
    }


def test_a_dictionary_holds_the_tables_of_its_export_alone(
    cohort: Cohort, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export of fewer tables that is made like another one does not describe what it has not."""
    monkeypatch.setitem(EXPORTS, "few", replace(EXPORTS["csv"], write=_only_dictionary, tables=("patients", "reports")))  # type: ignore[arg-type]
    export(cohort.folder, tmp_path / "out", "few", key_file=key)
    rows = list(csv.DictReader((tmp_path / "out" / "data_dictionary.csv").open(encoding="utf-8")))
    assert {row["table"] for row in rows} == {"patients", "reports"}


def _only_dictionary(extract: Extract, folder: Path) -> list[LeftOut]:
    """A dictionary."""
    write_dictionary(extract, folder)
    return []


def test_a_readme_tells_the_criteria_the_history_and_the_model(key: Path, tmp_path: Path) -> None:
    """Of which cohort it is, what an episode is, and at which share of cases probabilities hold."""
    row = {"report_id": "a", "patient_id": "P1", "study_date": "2019-03-04", "text": CASE}
    own = tmp_path / "own.yml"
    own.write_text("title: Adults\ntiers: [definite, probable, possible]\n", encoding="utf-8")
    cohort = build_cohort(run(tmp_path, [row], prevalence=0.005), own)
    cohortfolder.write_cohort(cohort, tmp_path / "cohort", key)
    export(tmp_path / "cohort", tmp_path / "out", "redcap", key_file=key)
    told = " ".join((tmp_path / "out" / "README.txt").read_text(encoding="utf-8").split())
    assert 'Patients were selected by the criteria file own.yml, "Adults" (SHA-256 ' in told
    assert "The index date is that of the first case report with a full date. Case reports were grouped into ep" in told
    assert "at the same bone and side: tumor (mass or neoplasm) or infection (infection), and none where" in told
    assert "at a prevalence of 0.5 %: by the starter model, which was trained on synthetic reports. They hold" in told
    assert "A case report was one with case status definite, probable or possible." in told


def test_a_readme_defines_the_constituents_that_it_names(key: Path, tmp_path: Path) -> None:
    """Each by a paragraph of its own, in the words of methods.md, which the receiver of an export does not have."""
    row = {"report_id": "a", "patient_id": "P1", "study_date": "2019-03-04", "text": CASE}
    cohort = build_cohort(run(tmp_path, [row]))
    cohortfolder.write_cohort(cohort, tmp_path / "cohort", key)
    export(tmp_path / "cohort", tmp_path / "out", "csv", key_file=key)
    told = (tmp_path / "out" / "README.txt").read_text(encoding="utf-8")
    paragraphs = [" ".join(part.split()) for part in told.split("\n\n")]
    assert READ in paragraphs
    assert [p for p in paragraphs if p.startswith('"')] == [f'"{name}": {said}.' for name, said in definitions(cohort)]
    told = next(p for p in paragraphs if p.startswith("The case definition was ")).partition(" The migration type of ")
    quoted = re.findall(r'"([a-z ]+)"', told[0])
    of_depths = {name.replace("_", " ") for case in cohort.cases for depth in case.types for name in depth.of}
    assert {*quoted} | of_depths <= {name for name, _ in definitions(cohort)}


def test_the_readme_of_an_export_with_true_ids_and_texts_says_so(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """And names the words of reports among what may name somebody; that of REDCap tells of a second batch."""
    export(cohort.folder, tmp_path / "out", "redcap", Choice(original_ids=True, with_text=True), key)
    told = " ".join((tmp_path / "out" / "README.txt").read_text(encoding="utf-8").split())
    assert "Ids are as the archive gives them. Dates are the true ones (calcitrace export --shift-dates " in told
    assert "Words of reports are in it." in told
    assert "of reports report_id, report_study_date, report_merged_into, report_text, report_study_date_" in told
    assert "If data_dictionary.csv of the second batch has another one, add it in REDCap to the" in told


def test_a_short_key_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    """A key that could be guessed protects nobody."""
    (tmp_path / "key").write_text("secret", encoding="ascii")
    with pytest.raises(UsageError, match="at least 16 characters"):
        export(cohort.folder, tmp_path / "out", "csv", key_file=tmp_path / "key")


# Single formats


def test_notes_load_into_postgresql(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """NOTE and NOTE_NLP load into PostgreSQL under the constraints of the CDM and come back as they went."""
    with postgres() as base:
        export(cohort.folder, tmp_path / "out", "omop", AS_GIVEN, key)
        base.execute(CDM)
        for statement in filling(tmp_path / "out"):
            base.execute(statement)
        frames = [_copied(base, tmp_path / "out", table) for table in ("note", "note_nlp")]
    found = from_cdm(frames[0], frames[1], tmp_path / "out")
    texts = {(r["site"], r["report_id"]): r["text"] for r in REPORTS if r["study_date"]}
    assert {(r["site"], r["report_id"]): r["text"] for r in found["reports"] if "text" in r} == texts
    assert sorted(map(str, frames[0]["note_date"])) == ["1999-12-31", "2019-03-02", "2020-02-29"]
    assert found == READERS["omop"](tmp_path / "out")


def _copied(base: Any, folder: Path, table: str) -> pd.DataFrame:
    """A file loaded with COPY, as the table holds it."""
    with base.cursor() as cursor:
        with cursor.copy(f"COPY {table} FROM STDIN WITH (FORMAT csv, HEADER true)") as copy:
            copy.write((folder / f"{table}.csv").read_bytes())
        cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
        return pd.DataFrame(cursor.fetchall(), columns=[c.name for c in cursor.description])


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV by the standard library."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_note_nlp_says_what_the_report_says(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """A denied finding does not exist; the modifiers and the system are as documented; no words without --with-text."""
    export(cohort.folder, tmp_path / "out", "omop", Choice(original_ids=True), key)
    note = next(r["note_id"] for r in rows_of(tmp_path / "out" / "note.csv") if r["note_date"] == "2020-02-29")
    rows = [r for r in rows_of(tmp_path / "out" / "note_nlp.csv") if r["note_id"] == note]
    denied = next(r for r in rows if r["lexical_variant"] == "cortical_erosion")
    status = next(r for r in rows if r["lexical_variant"] == "case_status")
    assert (denied["term_exists"], denied["term_temporal"], denied["snippet"]) == ("N", "present", "")
    assert denied["term_modifiers"].startswith(
        "negation=true;subject=patient;conditional=false;uncertain=none;finding=cortical_erosion"
    )
    assert (status["term_exists"], status["term_modifiers"]) == ("N", "case_status=no")
    assert (denied["nlp_system"], denied["nlp_date"]) == ("calcitrace 0.3.0 rules:0123456789ab", "2024-05-06")


def test_concept_ids_are_those_of_the_site(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Concept ids are 0 until the site names them."""
    ids = Choice(concepts={"note_type": 32841, "finding:cortical_erosion": 7, "section:findings": 8, "case_status": 9})
    export(cohort.folder, tmp_path / "none", "omop", key_file=key)
    export(cohort.folder, tmp_path / "site", "omop", ids, key)
    columns = ("section_concept_id", "note_nlp_concept_id")
    found = [{tuple(r[c] for c in columns) for r in rows_of(tmp_path / n / "note_nlp.csv")} for n in ("none", "site")]
    assert found[0] == {("", "0"), ("0", "0")}
    assert {("", "9"), ("8", "7")} < found[1]
    assert {r["note_type_concept_id"] for r in rows_of(tmp_path / "site" / "note.csv")} == {"32841"}


def test_whole_numbers_stay_person_and_note_ids(tmp_path: Path, key: Path) -> None:
    """Ids that come from a CDM go back to it: with --original-ids, whole numbers are kept."""
    mine = [{**REPORTS[1], "patient_id": "4711", "report_id": "99", "site": None}]
    write_cohort(tmp_path / "cohort", [{**PATIENTS[0], "patient_id": "4711", "site": None}], mine, [])
    export(tmp_path / "cohort", tmp_path / "kept", "omop", Choice(original_ids=True), key)
    export(tmp_path / "cohort", tmp_path / "counted", "omop", Choice(), key)
    ids = [rows_of(tmp_path / name / "note.csv")[0] for name in ("kept", "counted")]
    assert [(r["person_id"], r["note_id"]) for r in ids] == [("4711", "99"), ("1", "1")]


def test_fhir_references_lead_somewhere(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Every reference in an export names a resource of it, and every observation and condition has a provenance."""
    export(cohort.folder, tmp_path / "out", "fhir", AS_GIVEN, key)
    said = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "out").glob("*.ndjson"))
    there = set()
    for path in (tmp_path / "out").glob("*.ndjson"):
        ids = re.findall(r'^\{"resourceType": "\w+", "id": "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
        there |= {f"{path.stem}/{name}" for name in ids}
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", name) for name in ids)
    assert set(re.findall(r'"reference": "([^"]+)"', said)) <= there
    provenance = (tmp_path / "out" / "Provenance.ndjson").read_text(encoding="utf-8")
    made = {name for name in there if name.startswith(("Observation/", "Condition/"))}
    assert set(re.findall(r'"reference": "((?:Observation|Condition)/[^"]+)"', provenance)) == made


def test_a_condition_is_provisional_until_a_reviewer_confirms(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """One condition for each case, with the reports that show it as evidence; an adjudicated one is confirmed."""
    export(cohort.folder, tmp_path / "out", "fhir", Choice(all_patients=True), key)
    model = READERS["fhir"].__globals__["get_fhir_model_class"]("Condition")
    lines = (tmp_path / "out" / "Condition.ndjson").read_text(encoding="utf-8").splitlines()
    found = [model.model_validate_json(line) for line in lines]
    said = {(c.verificationStatus.coding[0].code, str(c.recordedDate), len(c.evidence[0].detail)) for c in found}
    assert said == {("confirmed", "2019-03-02", 2), ("provisional", "1999-12-31", 2)}


def test_a_formula_is_disarmed_in_csv(tmp_path: Path, key: Path) -> None:
    """A cell that a spreadsheet would run gets a leading apostrophe."""
    write_cohort(tmp_path / "cohort", [{**PATIENTS[0], "site": "=cmd()"}], [], [])
    export(tmp_path / "cohort", tmp_path / "out", "csv", key_file=key)
    assert rows_of(tmp_path / "out" / "patients.csv")[0]["site"] == "'=cmd()"


def test_what_spss_cannot_hold_is_told(tmp_path: Path, key: Path) -> None:
    """A text longer than 32,767 bytes is not cut: it is left out, and left_out.csv says so."""
    write_cohort(tmp_path / "cohort", [{**PATIENTS[0], "site": "é" * 16_384}, PATIENTS[1]], [], [])
    done = export(tmp_path / "cohort", tmp_path / "out", "spss", key_file=key)
    sites = {p["site"] for p in READERS["spss"](tmp_path / "out")["patients"]}
    told = rows_of(tmp_path / "out" / "left_out.csv")
    assert sites == {None, "B"}
    assert [(t["table"], t["reason"]) for t in told] == [("patients", "site is longer than SPSS can hold")]
    assert len(done.left_out) == 1


def test_values_that_no_code_is_known_for_are_kept(tmp_path: Path, key: Path) -> None:
    """A case definition of a site's own may have other migration types: they get codes behind the known ones."""
    own = [{**PATIENTS[0], "migration_type": "articular"}, PATIENTS[1]]
    write_cohort(tmp_path / "cohort", own, [], [])
    for name in ("stata", "redcap"):
        export(tmp_path / "cohort", tmp_path / name, name, key_file=key)
        found = {p["migration_type"] for p in READERS[name](tmp_path / name)["patients"]}
        assert found == {"articular", "none"}
    assert "4 = articular (articular)" in (tmp_path / "stata" / "data_dictionary.csv").read_text(encoding="utf-8")


# REDCap's rules

HEADER = (
    "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Field Note,Text Validation Type OR Show Slider Number,'
    "Text Validation Min,Text Validation Max,Identifier?,Branching Logic (Show field only if...),Required Field?,"
    "Custom Alignment,Question Number (surveys only),Matrix Group Name,Matrix Ranking?,Field Annotation"
)
FIELD_TYPES = {
    "text",
    "notes",
    "calc",
    "dropdown",
    "radio",
    "checkbox",
    "yesno",
    "truefalse",
    "file",
    "slider",
    "descriptive",
    "sql",
}
VALIDATIONS = {
    "",
    "date_ymd",
    "date_mdy",
    "date_dmy",
    "datetime_ymd",
    "email",
    "integer",
    "number",
    "phone",
    "time",
    "zipcode",
}
RESERVED = {"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group"}


def redcap_faults(dictionary: list[dict[str, str]]) -> list[str]:
    """What REDCap would refuse, or warn of, in an uploaded data dictionary."""
    names = [row["Variable / Field Name"] for row in dictionary]
    forms = [row["Form Name"] for row in dictionary]
    runs = [f for f, before in zip(forms, [None, *forms], strict=False) if f != before]
    faults = [f"{n}: twice" for n in names if names.count(n) > 1] + [f"{f}: apart" for f in runs if runs.count(f) > 1]
    if dictionary[0]["Field Type"] != "text" or dictionary[0]["Choices, Calculations, OR Slider Labels"]:
        faults.append("the record id must be the first field, and text")
    for row in dictionary:
        faults += [f"{row['Variable / Field Name']}: {fault}" for fault in _field_faults(row)]
    return faults


def _field_faults(row: dict[str, str]) -> list[str]:
    name, form, kind = row["Variable / Field Name"], row["Form Name"], row["Field Type"]
    choices = [c.split(", ", 1) for c in row["Choices, Calculations, OR Slider Labels"].split(" | ") if c]
    validation = row["Text Validation Type OR Show Slider Number"]
    wrong = {
        "name": not re.fullmatch(r"[a-z](?:_?[a-z0-9])*", name) or len(name) > 26 or name in RESERVED,
        "ends as a form's status does": name == f"{form}_complete",
        "form": not re.fullmatch(r"[a-z][a-z0-9_]*", form),
        "type": kind not in FIELD_TYPES,
        "label": not row["Field Label"],
        "choices": (kind in ("radio", "dropdown", "checkbox")) != bool(choices),
        "choice": any(len(c) != 2 or not re.fullmatch(r"\w+", c[0]) for c in choices),
        "choice twice": len({c[0] for c in choices}) != len(choices),
        "validation": validation not in VALIDATIONS or (validation != "" and kind != "text"),
        "identifier": row["Identifier?"] not in ("", "y"),
        "required": row["Required Field?"] not in ("", "y"),
    }
    return [fault for fault, there in wrong.items() if there]


def test_the_data_dictionary_keeps_redcaps_rules(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """Eighteen columns by their exact names, and nothing in them that REDCap refuses; identifiers are marked."""
    export(cohort.folder, tmp_path / "out", "redcap", AS_GIVEN, key)
    path = tmp_path / "out" / "data_dictionary.csv"
    found = rows_of(path)
    assert list(found[0]) == next(csv.reader([HEADER]))
    assert redcap_faults(found) == []
    marked = {row["Variable / Field Name"] for row in found if row["Identifier?"] == "y"}
    ids = {"record_id", "patient_id", "report_id", "report_merged_into", "report_text"}
    dates = {"index_date", "report_study_date", "report_study_date_partial"}
    assert marked == ids | dates | {
        "site",
        "sex",
        "age",
        "report_sex",
        "report_age",
        "report_modality",
        "report_body_part",
    }


def test_the_checker_of_redcaps_rules_sees_faults() -> None:
    """The checker refuses what REDCap refuses."""
    good = dict.fromkeys(next(csv.reader([HEADER])), "")
    good |= {"Variable / Field Name": "record_id", "Form Name": "a", "Field Type": "text", "Field Label": "Record"}
    bad = {
        "name": {"Variable / Field Name": "Age"},
        "choices": {"Field Type": "radio", "Variable / Field Name": "b"},
        "type": {"Field Type": "date", "Variable / Field Name": "b"},
        "validation": {"Text Validation Type OR Show Slider Number": "date", "Variable / Field Name": "b"},
    }
    assert redcap_faults([good]) == []
    assert {fault: redcap_faults([good, {**good, **row}]) for fault, row in bad.items()} == {
        fault: [f"{row['Variable / Field Name']}: {fault}"] for fault, row in bad.items()
    }


def test_the_import_fits_the_data_dictionary(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """The record id comes first, every column is a field or one of REDCap's own, base rows are blank in the columns of
    repeats, instances count from 1, and every value is one that its field takes."""
    export(cohort.folder, tmp_path / "out", "redcap", AS_GIVEN, key)
    fields = {r["Variable / Field Name"]: r for r in rows_of(tmp_path / "out" / "data_dictionary.csv")}
    rows = rows_of(tmp_path / "out" / "import.csv")
    own = {"redcap_repeat_instrument", "redcap_repeat_instance", "patient_complete", "imaging_report_complete"}
    assert next(iter(rows[0])) == "record_id"
    assert set(rows[0]) == fields.keys() | own
    seen: dict[str, list[str]] = {}
    for row in rows:
        seen.setdefault(row["record_id"], []).append(row["redcap_repeat_instance"])
        assert row["redcap_repeat_instrument"] == ("imaging_report" if row["redcap_repeat_instance"] else "")
        form = row["redcap_repeat_instrument"] or "patient"
        for name, value in row.items():
            if name in fields and name != "record_id":
                assert value == "" or (fields[name]["Form Name"] == form and _taken(value, fields[name]))
    assert sorted(seen.values(), key=len) == [["", "1"], ["", "1"], ["", "1", "2", "3"]]


def _taken(value: str, field: dict[str, str]) -> bool:
    patterns = {
        "date_ymd": r"\d{4}-\d\d-\d\d",
        "integer": r"-?\d+",
        "number": r"-?\d+(\.\d+)?(e-?\d+)?",
        "": r"(?s:.*)",
    }
    choices = {c.split(", ", 1)[0] for c in field["Choices, Calculations, OR Slider Labels"].split(" | ")}
    allowed = {"yesno": {"0", "1"}, "radio": choices}.get(field["Field Type"])
    pattern = patterns[field["Text Validation Type OR Show Slider Number"]]
    return value in allowed if allowed else re.fullmatch(pattern, value) is not None


# One place, and the command


def test_every_export_has_a_reader_that_is_not_ours() -> None:
    """An export without a reader in `exported.py` is not tested: adding one means adding its reader."""
    assert READERS.keys() == EXPORTS.keys()


def test_an_export_is_added_in_one_place(
    cohort: Cohort, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is named in EXPORTS, with what it holds, is an export: nothing else must be told."""

    def write_names(extract: Any, folder: Path) -> list[tuple[str, str, str]]:
        (folder / "names.txt").write_text("\n".join(p["patient_id"] for p in extract.patients), encoding="utf-8")
        return []

    names = Export(write_names, tables=("patients",), text=False, exact=False)
    monkeypatch.setitem(EXPORTS, "names", names)  # type: ignore[arg-type]
    done = export(cohort.folder, tmp_path / "out", "names", key_file=key)
    assert (done.patients, done.reports, done.mentions) == (2, 0, 0)
    with pytest.raises(UsageError, match="names holds no report text; leave out --with-text"):
        export(cohort.folder, tmp_path / "text", "names", Choice(with_text=True), key)
    assert len((tmp_path / "out" / "names.txt").read_text(encoding="utf-8").split("\n")) == 2


def test_an_export_without_lists_gets_none(
    cohort: Cohort, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is declared with `lists=False` cannot write them: neither their variables nor their values reach it."""
    seen: list[Any] = []

    def write_nothing(extract: Any, folder: Path) -> list[tuple[str, str, str]]:
        seen.append(extract)
        return []

    for lists in (True, False):
        monkeypatch.setitem(EXPORTS, "nothing", Export(write_nothing, lists=lists))  # type: ignore[arg-type]
        export(cohort.folder, tmp_path / str(lists), "nothing", key_file=key)
    kinds = [{v.kind for table in extract.variables.values() for v in table} for extract in seen]
    held = [
        {type(v) for name in extract.variables for row in extract.rows(name) for v in row.values()} for extract in seen
    ]
    assert kinds[0] - kinds[1] == {"list"}
    assert held[0] - held[1] == {list}


def test_the_command_says_what_it_wrote(cohort: Cohort, key: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    """What was left out is said, with exit code 3; without that, the code is 0."""
    words = ("export", cohort.folder, "--key", key, "--all-patients")
    ended = command(*words, "--to", "omop", "--out", tmp_path / "omop")
    assert (ended.code, ended.out) == (
        3,
        f"3 patients, 5 reports, {len(cohort.mentions)} mentions -> {tmp_path}/omop\n"
        "4 reports count, as in Methods; of the other 1 the column counted tells why not\n",
    )
    assert ended.err.endswith(f"2 left out; {tmp_path}/omop/left_out.csv tells why\n")
    assert command(*words, "--to", "csv", "--out", tmp_path / "csv").code == 0


def test_the_help_holds_the_manual_of_every_export(command: Callable[..., Any]) -> None:
    """Each export tells in the help what it writes, and the help tells what stays at home."""
    said = " ".join(command("export", "--help").out.split())
    assert [name for name in EXPORTS if f"--to {name}." not in said] == []
    assert "term_modifiers is one text of key=value pairs" in said
    assert "no word of any report" in said


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"to": "excel"}, f"no export is called 'excel'; there are {', '.join(EXPORTS)}"),
        ({"to": "redcp"}, "no export is called 'redcp'; did you mean 'redcap'\\? there are"),
        ({"cohort": "nothing"}, "no cohort folder"),
        ({"out": "full"}, "not empty; choose another --out"),
    ],
)
def test_wrong_use_is_told(wrong: dict[str, str], said: str, cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """A user's error says what is wrong and what to do, and nothing is written."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    folder = tmp_path / wrong["cohort"] if "cohort" in wrong else cohort.folder
    with pytest.raises((UsageError, SourceError), match=said):
        export(folder, tmp_path / wrong.get("out", "out"), wrong.get("to", "csv"), key_file=key)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]


def test_a_run_is_no_cohort(cohort: Cohort, command: Command, tmp_path: Path) -> None:
    """Whoever names the run is told the command that makes a cohort of it: wrong use, and nothing is written."""
    run = json.loads((cohort.folder / "manifest.json").read_text())["runs"][0]["folder"]
    ended = command("export", run, "--to", "csv", "--out", tmp_path / "out")
    assert ended.code == 2
    assert ended.err == f"error: {run}: a run, and no cohort yet; `calcitrace cohort {run} --out COHORT` makes one\n"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_table_is_told(tmp_path: Path, key: Path) -> None:
    """A table that cannot be read is named, with what to do."""
    write_cohort(tmp_path / "cohort", PATIENTS, [], [])
    (tmp_path / "cohort" / "members.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"members\.parquet: missing or damaged .*; make the cohort again"):
        export(tmp_path / "cohort", tmp_path / "out", "csv", key_file=key)


def test_a_writer_that_fails_leaves_nothing(cohort: Cohort, key: Path, tmp_path: Path) -> None:
    """An export is there whole or not at all."""
    missing = Choice(with_text=True)
    source = cohort.folder.parent / "in_0.jsonl"
    kept = source.read_bytes()
    source.write_bytes(kept + b"\n")
    try:
        with pytest.raises(Exception, match="has changed since the run"):
            export(cohort.folder, tmp_path / "out", "csv", missing, key)
    finally:
        source.write_bytes(kept)
    assert list(tmp_path.iterdir()) == []
