"""A cohort with awkward values, its tables as they must come back, and readers of exports that are not calcitrace's.

Ids with leading zeros, accents, quotes and delimiters, one id at two sites, dates that are missing or partial, text
with every kind of line break: the rows below are written to a cohort folder by hand, over two real runs.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest
from fhir.resources.R4B import get_fhir_model_class

from calcitrace import process, read_run

MARK = "Zqxmarker"  # stands in every report text and in ids
Rows = list[dict[str, Any]]
FIRST = (
    f'{MARK} MRI RIGHT SHOULDER.\r\nFINDINGS: 8 mm "calcific deposit" in the supraspinatus tendon, extending into the '
    "greater tuberosity;\rno fracture.\n\n\tIMPRESSION: calcific tendinopathy, 37 °C, naïve – \\N \\. 骨 🦴."
)
LATER = f"{MARK} FINDINGS: The deposit in the right supraspinatus tendon has resolved. No cortical erosion."
PLAIN = f"{MARK} FINDINGS: Possible calcific deposit in the left infraspinatus tendon."
LONG_ID = f"000123{MARK}" + "4567890" * 7
QUOTED_ID = f'É"{MARK}", ;|ß'
TEXTS = ({LONG_ID: FIRST, "007": LATER, QUOTED_ID: PLAIN}, {"007": PLAIN, f"{MARK}-9": LATER})


def _report(run: int, site: str, patient: str, report: str, **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "run": run,
        "site": site,
        "patient_id": patient,
        "report_id": report,
        "study_date": None,
        "study_date_partial": None,
        "modality": "MR",
        "modality_kind": "MR",
        "body_part": None,
        "sex": "F",
        "age": 63.5,
        "case_status": "no",
        "case_probability": None,
        "migration_type": "none",
        "tendon": "none",
        "bone": "none",
        "laterality": "none",
        "counted": "counted",
        "merged_into": None,
        "episode": None,
        "bone_involvement": None,
        "adjudicated": None,
        "size_mm": None,
        "evidence": [],
    }
    return {**usual, **more, "text": TEXTS[run][report]}


REPORTS = [
    _report(
        *(0, "Klinik Süd", f"00{MARK}42", LONG_ID),
        study_date=date(2019, 3, 2),
        body_part='épaule, "droite"\nR;',
        case_status="definite",
        case_probability=0.1 + 0.2,
        migration_type="subcortical",
        tendon="supraspinatus",
        bone="humerus",
        laterality="right",
        episode=1,
        bone_involvement="involved",
        adjudicated="definite",
        size_mm=12.5,
        evidence=[f"{LONG_ID}#1", f"{LONG_ID}#2"],
    ),
    _report(
        0,
        "Klinik Süd",
        f"00{MARK}42",
        "007",
        study_date=date(2020, 2, 29),
        age=None,
        sex=None,
        modality=None,
        bone_involvement="gone",
    ),
    _report(
        *(0, "Klinik Süd", f"00{MARK}42", QUOTED_ID),
        study_date_partial="2019-03",
        counted="duplicate",
        merged_into=LONG_ID,
    ),
    _report(1, "B", f"00{MARK}42", "007", case_status="possible", laterality="left", case_probability=1e-05),
    _report(1, "B", f'{MARK}\n"x"', f"{MARK}-9", study_date=date(1999, 12, 31), case_status="probable", episode=1),
]


def _patient(site: str, patient: str, **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "patient_id": patient,
        "site": site,
        "is_case": True,
        "case_status": "probable",
        "index_date": None,
        "migration_type": "none",
        "tendon": "none",
        "bone": "none",
        "laterality": "none",
        "outcome": "unknown",
        "outcome_unknown": None,
        "index_modality": None,
        "vanished_deposit": False,
        "first_diagnosis": "none",
        "biopsy": "none",
        "n_reports": 1,
        "sex": None,
        "age": None,
        "size_mm": None,
        "evidence": [],
    }
    return {**usual, **more}


PATIENTS = [
    _patient(
        *("Klinik Süd", f"00{MARK}42"),
        case_status="definite",
        index_date=date(2019, 3, 2),
        migration_type="subcortical",
        n_reports=3,
        tendon="supraspinatus",
        bone="humerus",
        laterality="right",
        outcome="residual_cyst",
        index_modality="MR",
        vanished_deposit=True,
        first_diagnosis="tumor",
        biopsy="advised",
        sex="F",
        age=63.5,
        size_mm=12.5,
        evidence=[f"{LONG_ID}#1"],
    ),
    _patient("B", f'{MARK}\n"x"', index_date=date(1999, 12, 31), outcome_unknown="no_later_report"),
    _patient("B", f"00{MARK}42", is_case=False, case_status="possible", laterality="left"),
]


@dataclass(frozen=True)
class Cohort:
    """A cohort folder, and the mentions of its reports as the runs have them."""

    folder: Path
    mentions: Rows


def make_cohort(folder: Path) -> Cohort:
    """Process the reports as two runs and write the cohort's tables over them."""
    mentions: Rows = []
    for number, texts in enumerate(TEXTS):
        source = folder / f"in_{number}.jsonl"
        lines = [json.dumps({"report_id": i, "text": t}, ensure_ascii=False) + "\n" for i, t in texts.items()]
        source.write_text("".join(lines), encoding="utf-8", newline="")
        process(source, folder / f"run_{number}")
        found = read_run(folder / f"run_{number}")[1]
        mentions += [{**{str(k): v for k, v in row.items()}, "run": number} for row in found.to_dict("records")]
    write_cohort(folder / "cohort", PATIENTS, REPORTS, [folder / f"run_{n}" for n in (0, 1)])
    return Cohort(folder / "cohort", mentions)


def write_cohort(folder: Path, patients: Rows, reports: Rows, runs: list[Path]) -> None:
    """Write the tables of a cohort folder, dates as texts, without the reports' text, and with a column of its own."""
    folder.mkdir()
    timeline = [
        {k: v for k, v in r.items() if k not in ("text", "study_date_partial")}
        | {"study_date": MARK, "date": r["study_date"].isoformat() if r["study_date"] else r["study_date_partial"]}
        | {"run": r["run"] + 1, "comment": MARK}
        for r in reports
    ]
    shown = [p | {"index_date": p["index_date"].isoformat() if p["index_date"] else None} for p in patients]
    tables = {"patients": shown, "members": [p for p in shown if p["is_case"]], "timeline": timeline}
    for name, rows in tables.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    made = {"version": "0.3.0", "finished": "2024-05-06T07:08:09+00:00"}
    made |= {"runs": [{"folder": str(run), "ruleset_hash": "0123456789abcdef"} for run in runs]}
    (folder / "manifest.json").write_text(json.dumps(made), encoding="utf-8")


# What a reader gives back: the rows of each table by variable, every value as it was in the cohort.
Tables = dict[str, Rows]
Kinds = dict[tuple[str, str], dict[str, str]]


def kinds_of(folder: Path) -> Kinds:
    """The data dictionary, as the standard library reads it: what is said of each variable of each table."""
    with (folder / "data_dictionary.csv").open(encoding="utf-8", newline="") as handle:
        return {(row["table"], row["variable"]): row for row in csv.DictReader(handle)}


def codes(said: dict[str, str]) -> dict[int, str]:
    """The value of each code, out of lines like `3 = definite (Definite)`."""
    return {int(line.split(" = ")[0]): line.split(" = ")[1].split(" (")[0] for line in said["values"].splitlines()}


def value_of(text: Any, kind: str) -> Any:
    """A value that was written as text."""
    if text is None or text == "" or text != text:
        return None
    made: dict[str, Callable[[str], Any]] = {
        "date": date.fromisoformat,
        "integer": int,
        "number": float,
        "list": json.loads,
        "flag": lambda t: {"True": True, "False": False}[t],
    }
    return made.get(kind, str)(text)


def read_csv(folder: Path) -> Tables:
    """CSV by pandas."""
    kinds = kinds_of(folder)
    found: Tables = {}
    for table in ("patients", "reports", "mentions"):
        frame = pd.read_csv(folder / f"{table}.csv", dtype=str, keep_default_na=False)
        found[table] = [
            {str(n): value_of(v, kinds[table, str(n)]["kind"]) for n, v in row.items()}
            for row in frame.to_dict("records")
        ]
    return found


def read_parquet(folder: Path) -> Tables:
    """Parquet by DuckDB."""
    with duckdb.connect() as base:
        return {table: fetched(base, folder / f"{table}.parquet") for table in ("patients", "reports", "mentions")}


def fetched(base: duckdb.DuckDBPyConnection, path: Path) -> Rows:
    """The rows of a Parquet file."""
    found = base.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def read_statistics(folder: Path, read: Callable[[str], Any], suffix: str) -> Tables:
    """Stata or SPSS by ReadStat: values are those of their codes, which must have the labels of the dictionary."""
    kinds = kinds_of(folder)
    found: Tables = {}
    for table in ("patients", "reports", "mentions"):
        frame, meta = read(str(folder / f"{table}.{suffix}"))
        labels = {n: {int(c): t for c, t in held.items()} for n, held in meta.variable_value_labels.items()}
        found[table] = [{n: _decoded(v, kinds[table, n]) for n, v in row.items()} for row in frame.to_dict("records")]
        for name in frame.columns:
            said = kinds[table, name]
            lines = [line.partition(" = ")[2] for line in said["values"].splitlines()]
            assert [t.partition(" (")[2][:-1] for t in lines] == list(labels.get(name, {}).values())
            assert meta.column_names_to_labels[name] == said["label"]
    return found


def _decoded(value: Any, said: dict[str, str]) -> Any:
    """A number or text of a statistics program as the value that it stands for."""
    if value is None or value != value or value == "":
        return None
    if said["kind"] == "category":
        return codes(said)[int(value)]
    if said["kind"] in ("flag", "integer"):
        return bool(value) if said["kind"] == "flag" else int(value)
    if said["kind"] == "date":
        return pd.Timestamp(value).date()
    return json.loads(value) if said["kind"] == "list" else value


def read_stata(folder: Path) -> Tables:
    """Stata by ReadStat."""
    return read_statistics(folder, pyreadstat.read_dta, "dta")


def read_spss(folder: Path) -> Tables:
    """SPSS by ReadStat."""
    return read_statistics(folder, pyreadstat.read_sav, "sav")


def read_redcap(folder: Path) -> Tables:
    """REDCap's import file by pandas, with the codes of its data dictionary; mentions are no part of it."""
    fields = pd.read_csv(folder / "data_dictionary.csv", dtype=str, keep_default_na=False).set_index(REDCAP_NAME)
    frame = pd.read_csv(folder / "import.csv", dtype=str, keep_default_na=False)
    found: Tables = {"patients": [], "reports": []}
    for row in frame.to_dict("records"):
        table = "reports" if row["redcap_repeat_instrument"] else "patients"
        form = {"patients": "patient", "reports": "imaging_report"}[table]
        own = fields[(fields["Form Name"] == form) & (fields.index != "record_id")]
        made = {name: _redcap_value(row[name], said) for name, said in own.iterrows()}
        if table == "patients":
            patient = made
        else:
            made = {_unprefixed(str(n)): v for n, v in made.items()}
            made |= {"patient_id": patient["patient_id"], "site": patient["site"]}
        found[table].append({str(n): v for n, v in made.items()})
    return found


REDCAP_NAME = "Variable / Field Name"


def _unprefixed(name: str) -> str:
    return name if name == "report_id" else name.removeprefix("report_")


def _redcap_value(text: str, said: Any) -> Any:
    if said["Field Type"] == "yesno":
        return {"": None, "1": True, "0": False}[text]
    if said["Field Type"] == "radio":
        names = dict(choice.split(", ", 1) for choice in said["Choices, Calculations, OR Slider Labels"].split(" | "))
        if names.keys() - {str(n) for n in range(len(names))}:  # of a text: its choices are its values
            return text or None
        return None if text == "" else VALUES.get(names[text], names[text].lower().replace(" ", "_"))
    kind = {"date_ymd": "date", "integer": "integer", "number": "number"}.get(
        said["Text Validation Type OR Show Slider Number"]
    )
    return value_of(text, kind or "text")


# Where a label is not its value in other letters.
VALUES = {
    "No report after the index date": "no_later_report",
    "Later reports do not tell": "not_told",
    "Not stated": "none",
    "Version of another report": "merged_version",
}


def read_fhir(folder: Path) -> Tables:
    """FHIR by fhir.resources, which checks every resource against R4B."""
    held: dict[str, dict[str, Any]] = {}
    for path in folder.glob("*.ndjson"):
        model = get_fhir_model_class(path.stem)
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            resource = model.model_validate_json(line)
            held[f"{path.stem}/{resource.id}"] = resource
    found: Tables = {"patients": [], "reports": [], "mentions": []}
    for name, resource in held.items():
        if name.startswith("Patient/"):
            about = held[f"Observation/{resource.id}-assessment"]
            found["patients"].append(_components(about) | {"patient_id": resource.identifier[0].value})
        if name.startswith("DiagnosticReport/"):
            found["reports"].append(_fhir_report(resource, held))
            for result in resource.result[1:]:
                found["mentions"].append(_fhir_mention(held[result.reference], resource))
    return found


def _fhir_report(resource: Any, held: dict[str, Any]) -> dict[str, Any]:
    patient = held[resource.subject.reference]
    form = resource.presentedForm[0].data if resource.presentedForm else None
    return _components(held[resource.result[0].reference]) | {
        "report_id": resource.identifier[0].value,
        "patient_id": patient.identifier[0].value,
        "text": form.decode("utf-8") if form else None,
    }


def _fhir_mention(resource: Any, report: Any) -> dict[str, Any]:
    source = {e.url: e for e in resource.extension[0].extension}
    assert source["reference"].valueReference.reference == f"DiagnosticReport/{report.id}"
    place = (source["offset"].valueInteger, source["offset"].valueInteger + source["length"].valueInteger)
    made = _components(resource)
    assert place == (made["first_char"], made["end_char"])
    made["words"] = resource.note[0].text if resource.note else None
    return made | {"mention_id": resource.identifier[0].value, "report_id": report.identifier[0].value}


def _components(resource: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in resource.component:
        value = part.valueCodeableConcept.coding[0].code if part.valueCodeableConcept else None
        value = float(part.valueQuantity.value) if part.valueQuantity else value
        for given in (part.valueString, part.valueBoolean, part.valueInteger, part.valueDateTime):
            value = given if given is not None else value
        found[part.code.text] = json.loads(value) if part.code.text == "evidence" else value
    return found


def read_omop(folder: Path) -> Tables:
    """OMOP by DuckDB, in tables with the constraints of the CDM: what the numbers stand for, joined to NOTE."""
    with duckdb.connect() as base:
        base.execute(CDM)
        for statement in filling(folder):
            base.execute(statement)
        for table in ("note", "note_nlp"):
            base.execute(f"COPY {table} FROM '{folder / table}.csv' (HEADER, DELIMITER ',', QUOTE '\"', ESCAPE '\"')")
        return from_cdm(base.execute("SELECT * FROM note").df(), base.execute("SELECT * FROM note_nlp").df(), folder)


def from_cdm(note: pd.DataFrame, note_nlp: pd.DataFrame, folder: Path) -> Tables:
    """The tables NOTE and NOTE_NLP of a database as the rows of the cohort."""
    sources = {
        name: pd.read_csv(folder / f"source_{name}.csv", dtype=str, keep_default_na=False).to_dict("records")
        for name in ("person", "note")
    }
    text = dict(zip(map(str, note["note_id"]), note["note_text"], strict=True))
    ids = {r["note_id"]: r["report_id"] for r in sources["note"]}
    found: Tables = {"patients": [], "reports": [], "mentions": []}
    for row in sources["person"]:
        found["patients"].append({k: value_of(v, KINDS.get(k, "text")) for k, v in row.items() if k != "person_id"})
    for row in sources["note"]:
        made = {k: value_of(v, KINDS.get(k, "text")) for k, v in row.items() if k != "note_id"}
        found["reports"].append(made | ({"text": text[row["note_id"]]} if row["note_id"] in text else {}))
    for row in note_nlp[note_nlp["offset"].notna()].to_dict("records"):
        facts = dict(pair.split("=", 1) for pair in row["term_modifiers"].split(";"))
        made = {k: value_of(facts.get(k), KINDS.get(k, "text")) for k in ("finding", "size_mm")}
        made |= {k: facts.get(k, "none") for k in ("change", "tendon", "bone", "landmark", "laterality")}
        made |= {
            "first_char": int(row["offset"]),
            "words": row["lexical_variant"],
            "report_id": ids[str(row["note_id"])],
        }
        found["mentions"].append(made)
    return found


KINDS = {
    "is_case": "flag",
    "vanished_deposit": "flag",
    "index_date": "date",
    "study_date": "date",
    "evidence": "list",
    "n_reports": "integer",
    "episode": "integer",
    "age": "number",
    "case_probability": "number",
    "size_mm": "number",
}
# The tables of OMOP CDM v5.4 that NOTE and NOTE_NLP need, with their keys, in the types of the CDM.
CDM = """
CREATE TABLE concept (concept_id integer PRIMARY KEY);
CREATE TABLE person (person_id integer PRIMARY KEY, gender_concept_id integer NOT NULL REFERENCES concept,
    year_of_birth integer NOT NULL, race_concept_id integer NOT NULL REFERENCES concept,
    ethnicity_concept_id integer NOT NULL REFERENCES concept, person_source_value varchar(50));
CREATE TABLE provider (provider_id integer PRIMARY KEY);
CREATE TABLE visit_occurrence (visit_occurrence_id integer PRIMARY KEY);
CREATE TABLE visit_detail (visit_detail_id integer PRIMARY KEY);
CREATE TABLE note (note_id integer PRIMARY KEY, person_id integer NOT NULL REFERENCES person, note_date date NOT NULL,
    note_datetime timestamp, note_type_concept_id integer NOT NULL REFERENCES concept,
    note_class_concept_id integer NOT NULL REFERENCES concept, note_title varchar(250), note_text text NOT NULL,
    encoding_concept_id integer NOT NULL REFERENCES concept, language_concept_id integer NOT NULL REFERENCES concept,
    provider_id integer REFERENCES provider, visit_occurrence_id integer REFERENCES visit_occurrence,
    visit_detail_id integer REFERENCES visit_detail, note_source_value varchar(50), note_event_id integer,
    note_event_field_concept_id integer REFERENCES concept);
CREATE TABLE note_nlp (note_nlp_id integer PRIMARY KEY, note_id integer NOT NULL REFERENCES note,
    section_concept_id integer REFERENCES concept, snippet varchar(250), "offset" varchar(50),
    lexical_variant varchar(250) NOT NULL, note_nlp_concept_id integer REFERENCES concept,
    note_nlp_source_concept_id integer REFERENCES concept, nlp_system varchar(250), nlp_date date NOT NULL,
    nlp_datetime timestamp, term_exists varchar(1), term_temporal varchar(50), term_modifiers varchar(2000));
"""


def filling(folder: Path) -> Iterator[str]:
    """The statements that put into a CDM what it must hold before notes: concepts, and the persons."""
    yield "INSERT INTO concept VALUES (0), (32678)"
    with (folder / "source_person.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            yield f"INSERT INTO person VALUES ({int(row['person_id'])}, 0, 1950, 0, 0, NULL)"


READERS: dict[str, Callable[[Path], Tables]] = {
    "redcap": read_redcap,
    "omop": read_omop,
    "fhir": read_fhir,
    "csv": read_csv,
    "parquet": read_parquet,
    "stata": read_stata,
    "spss": read_spss,
}


@contextmanager
def postgres() -> Iterator[psycopg.Connection[Any]]:
    """A connection to a PostgreSQL cluster of our own, on a socket in a folder of its own, gone afterwards."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(p) for p in [shutil.which("initdb")] if p]
    if not found:
        pytest.skip("NOT TESTED AGAINST POSTGRESQL: no initdb here (Debian: apt-get install postgresql)")
    tools, home = found[-1].parent, Path(mkdtemp(prefix="pg"))
    as_user: dict[str, Any] = {"user": "postgres"} if os.getuid() == 0 else {}  # PostgreSQL does not run as root
    if as_user:
        shutil.chown(home, "postgres")
    control = [str(tools / "pg_ctl"), "-D", str(home / "data"), "-w"]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/", **as_user}
    subprocess.run([*control, "initdb", "-o", "--auth=trust --encoding=UTF8 --locale=C --no-sync -U tester"], **quiet)
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    try:
        subprocess.run([*control, "start", "-l", str(home / "log"), "-o", options], **quiet)
        with psycopg.connect(host=str(home), user="tester", dbname="postgres") as connection:
            yield connection
    finally:
        subprocess.run([*control, "stop", "-m", "immediate"], **{**quiet, "check": False})
        shutil.rmtree(home, ignore_errors=True)
