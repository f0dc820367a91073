"""Criteria as data: what a file can say, and that what is wrong is told with its path and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date
from pathlib import Path

import pytest
from conftest import Command

from calcitrace.criteria import Criteria, Exclusion, criteria_help, read_criteria
from calcitrace.criteriakeys import CRITERIA, Key
from calcitrace.errors import CriteriaError, RuleError

YAML = """\
title: Adults on MR
tiers: [definite]
probability: 0.5
adjudicated_only: yes
modalities: [MR]
sides: [left]
dates: {from: 2015-01-01, to: 2020-12-31}
ages: {from: 18}
washout_days: 365
date_order: dmy
exclude:
  - {name: Surgery, mention: surgery, when: before}
  - {name: Arthritis, codes: [M05*], table: codes.csv, date: day}
"""
TOML = """\
title = "Adults on MR"
tiers = ["definite"]
probability = 0.5
adjudicated_only = true
modalities = ["MR"]
sides = ["left"]
washout_days = 365
date_order = "dmy"
dates = {from = 2015-01-01, to = 2020-12-31}
ages = {from = 18}
[[exclude]]
name = "Surgery"
mention = "surgery"
when = "before"
[[exclude]]
name = "Arthritis"
codes = ["M05*"]
table = "codes.csv"
date = "day"
"""


def written(folder: Path, text: str, name: str = "criteria.yml") -> Path:
    """A criteria file beside a table of codes."""
    codes = "patient_id,code,day\nP1,M05.9,03/02/2019\nP2,M06.0,\nP3,m05,\n"
    (folder / "codes.csv").write_text(codes, encoding="utf-8")
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "name"), [(YAML, "criteria.yml"), (TOML, "criteria.toml")])
def test_a_file_is_read(text: str, name: str, tmp_path: Path) -> None:
    """YAML and TOML say the same; codes are joined from their table, by their beginning and in any case."""
    said = read_criteria(written(tmp_path, text, name))
    assert (said.tiers, said.probability, said.adjudicated_only) == (("definite",), 0.5, True)
    assert (said.modalities, said.sides, said.washout_days) == (("MR",), ("left",), 365)
    assert said.dates == (date(2015, 1, 1), date(2020, 12, 31))
    assert said.ages == (18, None)
    surgery, arthritis = said.exclude
    assert (surgery.name, surgery.mention, surgery.when) == ("Surgery", {"surgery"}, "before")
    assert arthritis.codes == {("", "P1"): ("03/02/2019",), ("", "P3"): ("",)}


def test_without_a_file_definite_and_probable_count() -> None:
    """The built-in criteria exclude nobody."""
    said = read_criteria()
    assert (said.tiers, said.exclude, said.file) == (("definite", "probable"), (), "")


def test_a_file_says_only_what_it_changes(tmp_path: Path) -> None:
    """What it does not say is as in the built-in criteria."""
    said = read_criteria(written(tmp_path, "findings:\n  cyst: [sclerosis]\n"))
    assert said.findings["cyst"] == {"sclerosis"}
    assert said.findings["bone"] == read_criteria().findings["bone"]
    assert said.tiers == ("definite", "probable")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("title: x\ntier: [definite]\n", 2, "unknown key 'tier'"),
        ("title: x\ntiers: [sure]\n", 2, "'tiers' holds 'sure'; known are definite, probable, possible"),
        ("tiers: [definit]\n", 1, "'tiers' holds 'definit'; did you mean 'definite'? known are"),
        ("probability: 2\n", 1, "'probability' must be a number from 0 to 1"),
        ("dates: {from: 03/02/2019}\n", 1, "'from' must be a day"),
        ("dates:\n  from: 2020-01-01\n  to: 2019-01-01\n", 2, "'from' lies after 'to'"),
        ("washout_days: a year\n", 1, "'washout_days' must be a whole number of days"),
        ("exclude:\n  - {name: A}\n", 2, "an exclusion needs 'mention'"),
        ("exclude:\n  - {name: A, mention: surgery}\n  - {name: A, mention: fracture}\n", 3, "two exclusions"),
        ("exclude:\n  - {name: A, codes: [M05], table: gone.csv}\n", 2, "cannot be read"),
        (
            "exclude:\n  - {name: A, codes: [M05], table: codes.csv, patient: mrn}\n",
            2,
            "missing: mrn; columns are: patient_id, code, day; name its columns with patient, code, date and site",
        ),
        (
            "exclude:\n  - {name: A, codes: [M05], table: codes.csv, patient: mrn, code: icd}\n",
            2,
            "missing: mrn, icd",
        ),
        ("exclude:\n  - {name: A, codes: [M05], table: codes.csv, when: before}\n", 2, "'when: before' needs 'date'"),
        ("biopsy: {don: [taken]}\n", 1, "unknown key 'don'"),
        ("title: x\ntitle: y\n", 2, "'title' is given twice"),
        ("date_order: ymd\n", 1, "'date_order' must be one of dmy, mdy"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, line: int, told: str, tmp_path: Path) -> None:
    """path:line and what to change."""
    path = written(tmp_path, text)
    with pytest.raises(RuleError) as error:
        read_criteria(path)
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert told in str(error.value)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """One a line: of keys, of values, of each exclusion, and none twice."""
    text = """tier: [definite]
tiers: [definit, probabel]
dates: {from: today, to: never}
washout_days: year
findings: [cyst]
biopsy: {don: [taken]}
exclude:
  - {name: A}
  - {name: B, mention: surgery, wen: before, when: befor}
  - nothing
"""
    path = written(tmp_path, text)
    with pytest.raises(CriteriaError) as error:
        read_criteria(path)
    told = str(error.value).split("\n")
    assert len({*told}) == len(told) == 12
    at = sorted(int(line.removeprefix(f"{path}:").split(":")[0]) for line in told)
    assert at == [1, 2, 2, 3, 3, 4, 5, 6, 8, 9, 9, 10]


@pytest.mark.parametrize(("delimiter", "encoding"), [(";", "cp1252"), ("\t", "utf-16"), (",", "utf-8-sig")])
def test_codes_are_read_as_reports_are(delimiter: str, encoding: str, tmp_path: Path) -> None:
    """Delimiter and encoding are recognised, and a column is known in any case: what Excel saves in Europe works."""
    path = written(tmp_path, "exclude:\n  - {name: A, codes: M05*, table: codes.csv}\n")
    rows = (("Patient-ID", "Code", "L\u00e4nge"), ("008", "m05.9", "\u00c4"), ("009", "Z00", "B"))
    (tmp_path / "codes.csv").write_bytes("".join(delimiter.join(r) + "\r\n" for r in rows).encode(encoding))
    (exclusion,) = read_criteria(path).exclude
    assert exclusion.codes == {("", "008"): ("",)}
    assert exclusion.people == {("", "008"), ("", "009")}


def test_wrong_criteria_are_wrong_use(tmp_path: Path, command: Command) -> None:
    """Exit code 2; a file that is not there is told without a line."""
    done = command("cohort", tmp_path, "--criteria", tmp_path / "gone.yml", "--out", tmp_path / "out")
    assert (done.code, done.err.partition("gone.yml: ")[2]) == (2, "cannot be read: No such file or directory\n")
    assert command("cohort", tmp_path, "--criteria", written(tmp_path, "tier: 1\n"), "--out", "out").code == 2


def paths(keys: Mapping[str, Key]) -> list[str]:
    """Every key and every key under one."""
    return [p for name, key in keys.items() for p in (name, *(f"{name}: {inner}" for inner in paths(key.keys)))]


def test_the_help_tells_every_key_that_can_be_read(command: Command) -> None:
    """Each key that a file may hold, with its meaning, values and default; and every field of `Criteria` is a key."""
    told = command("cohort", "--criteria-help").out
    lines = [line.strip() for line in told.splitlines()]
    assert len(lines) == len(paths(CRITERIA))
    assert all(": " in line and " Value: " in line for line in lines)
    assert {f.name for f in fields(Criteria)} - {"file", "sha256", "path"} == set(CRITERIA)
    own = {f.name for f in fields(Exclusion)} - {"people", "wanted"}
    assert set(CRITERIA["exclude"].keys) == own | {"patient", "code", "date", "site"}


def test_a_default_that_is_told_is_the_one_that_is_read(tmp_path: Path) -> None:
    """A file that says what the help gives as defaults means what the built-in criteria mean."""
    said = dict(re.findall(r"^- `(\w+)`.* Default: (\[.*\]|\w+)\.$", criteria_help(), re.MULTILINE))
    assert {"tiers", "adjudicated_only", "lookback_days", "washout_days", "without_patient_id", "depths"} <= set(said)
    kept = {k: v for k, v in said.items() if k != "exclude"}
    path = written(tmp_path, "".join(f"{k}: {v}\n" for k, v in kept.items()))
    unlike = {"file": "", "sha256": "", "path": ""}
    assert replace(read_criteria(path), **unlike) == replace(read_criteria(), **unlike)


def test_the_page_on_criteria_is_complete_and_its_examples_are_read(tmp_path: Path) -> None:
    """docs/criteria.md holds what the help tells, word by word; each of its YAML blocks is a file of criteria."""
    page = (Path(__file__).parents[1] / "docs" / "criteria.md").read_text(encoding="utf-8")
    assert f"\n{criteria_help()}\n" in page
    codes = re.findall(r"^```csv\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "diagnoses.csv").write_text(codes[0], encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for example in examples:
        (tmp_path / "criteria.yml").write_text(example, encoding="utf-8")
        read_criteria(tmp_path / "criteria.yml")
    assert len(codes) == 1
    assert len(examples) == 2


@pytest.mark.parametrize("name", ["gone.yml", "gone.toml"])
def test_a_file_that_cannot_be_read_has_no_line(name: str, tmp_path: Path) -> None:
    """Its name alone is told, since the fault is in no line."""
    with pytest.raises(RuleError) as error:
        read_criteria(tmp_path / name)
    assert str(error.value) == f"{tmp_path / name}: cannot be read: No such file or directory"


def test_a_fault_in_toml_is_told_with_its_line(tmp_path: Path) -> None:
    """TOML gives no lines by itself; the first line that names the key is told."""
    path = written(tmp_path, 'title = "x"\n\nprobability = 3\n', "c.toml")
    with pytest.raises(RuleError) as error:
        read_criteria(path)
    assert str(error.value).startswith(f"{path}:3: ")
