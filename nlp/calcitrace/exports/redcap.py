"""REDCap: a data dictionary and a file for the Data Import Tool, with one record a patient and reports as instances.

The columns, names and codes follow REDCap's own rules for a data dictionary upload and an import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.exports.files import write_table
from calcitrace.exports.variables import Variable, as_text

if TYPE_CHECKING:
    from calcitrace.exports.extract import Extract, LeftOut

COLUMNS = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
RECORD_ID, PATIENT, REPORT = "record_id", "patient", "imaging_report"
REPEAT = ("redcap_repeat_instrument", "redcap_repeat_instance")
VALIDATION = {"date": "date_ymd", "integer": "integer", "number": "number"}
TYPES = {"flag": "yesno", "category": "radio"}
NOTES = (
    "Fields of reports have names that begin with report_. record_id is what REDCap asks for; patient_id is the same "
    "pseudonym, or with --original-ids the id that the archive gives. report_adjudicated is what reviewers decided; "
    "report_case_status has it, too, and elsewhere what the rules read.",
    "A second batch needs the same key, so that a patient keeps the record; the same criteria, or else its values "
    "of a patient (index date, age, outcome) are written over those of the first; and dates that are moved in "
    "both or in neither, or else the two together tell by how much. The choices of sex, kind of modality, tendon, "
    "bone and first_diagnosis are the values of one export. If data_dictionary.csv of the second batch has another "
    "one, add it in REDCap to the choices of the field (Online Designer; the code is the word) before the import, "
    "which is refused otherwise; an upload of the second dictionary would take away the choices that only the first "
    "batch has.",
    "Reports are instances 1, 2, 3 ... of a patient by date. Where a patient of the first batch has more reports in "
    "the second, the numbers move, and the import writes over other reports: export the whole cohort again then, into "
    "a new project.",
)
OF_RECORD = ("patient_id", "site")
UNSAID = "Not stated"  # as the categories of variables.yml have it
UNVERIFIED = 1  # REDCap's form status: 0 incomplete, 1 unverified, 2 complete


def write_redcap(extract: Extract, folder: Path) -> list[LeftOut]:
    """REDCap: data_dictionary.csv (18 columns) and import.csv, one record a patient, reports as a repeating instrument.

    In REDCap: upload data_dictionary.csv under Project Setup, Data Dictionary (it replaces all instruments: use a new
    project); enable "imaging_report" as a repeating instrument under Project Setup, optional modules, Repeating
    instruments; then import import.csv with the Data Import Tool, dates as Y-M-D. Choices are imported by their codes,
    and forms are marked unverified. The record id is always a pseudonym, so that patients of two hospitals with one id
    stay apart. Sex, kind of modality, tendon, bone and first diagnosis are choices of the values that there are (a
    text, where one of them is no single word), sex with the words of Table 1 as labels. Mentions, and their ids as
    evidence, are not exported.
    """
    write_table(folder / "data_dictionary.csv", COLUMNS, _dictionary(extract))
    header = [RECORD_ID, *REPEAT, *_names(extract, "patients"), f"{PATIENT}_complete"]
    header += [*_names(extract, "reports"), f"{REPORT}_complete"]
    write_table(folder / "import.csv", header, ([row.get(name) for name in header] for row in _records(extract)))
    return []


def field_name(table: str, variable: Variable) -> str:
    """The field of a variable: names are unique in a REDCap project, so those of reports begin with `report_`.

    The empty string for what a report has no field for, since its record tells the patient.
    """
    if table == "reports" and variable.name in OF_RECORD:
        return ""
    plain = table == "patients" or variable.name.startswith("report_")
    return variable.name if plain else f"report_{variable.name}"


def _variables(extract: Extract, table: str) -> Sequence[Variable]:
    """The variables that become fields; mentions have no record."""
    return [v for v in extract.variables[table] if field_name(table, v)]


def _choices(extract: Extract, table: str, variable: Variable) -> dict[str, str]:
    """The choices of a field, by code: of a category its values, of a text of few values those that there are."""
    if variable.kind == "category":
        return {str(code): label for code, label in variable.labels.items()}
    from calcitrace.tableone import sex_in_words  # here, since `--help` loads the exports and must not pay for it

    values = sorted({row[variable.name] for row in extract.rows(table) if row[variable.name]} if variable.few else ())
    words = all(re.fullmatch(r"\w+", v, re.ASCII) for v in values) and len({v.lower() for v in values}) == len(values)
    label = sex_in_words if variable.name == "sex" else lambda v: UNSAID if v == "none" else v.replace("_", " ")
    shown = ((v, label(v)) for v in values if words)
    return {v: said if said.isupper() else said.capitalize() for v, said in shown}


def _names(extract: Extract, table: str) -> list[str]:
    return [field_name(table, v) for v in _variables(extract, table)]


def _dictionary(extract: Extract) -> Iterator[list[str]]:
    yield _row(RECORD_ID, PATIENT, "text", "Record (pseudonym)", may_name=True)
    for table, form in (("patients", PATIENT), ("reports", REPORT)):
        for v in _variables(extract, table):
            choices = _choices(extract, table, v)
            kind = "notes" if v.free_text else "radio" if choices else TYPES.get(v.kind, "text")
            told = " | ".join(f"{code}, {label.replace(chr(124), chr(47))}" for code, label in choices.items())
            yield _row(field_name(table, v), form, kind, v.label, told, v)


def _row(
    name: str,
    form: str,
    kind: str,
    label: str,
    choices: str = "",
    variable: Variable | None = None,
    may_name: bool = False,
) -> list[str]:
    said = dict.fromkeys(COLUMNS, "")
    said |= {COLUMNS[0]: name, "Form Name": form, "Field Type": kind, "Field Label": label, COLUMNS[5]: choices}
    if variable:
        said["Field Note"], said[COLUMNS[7]] = variable.note, VALIDATION.get(variable.kind, "")
    said["Identifier?"] = "y" if may_name or (variable and variable.may_name) else ""
    return list(said.values())


def _records(extract: Extract) -> Iterator[dict[str, Any]]:
    """The base row of each patient, followed by an instance for each report."""
    reports = extract.reports_of()
    for patient in extract.patients:
        record = {RECORD_ID: patient["key"]}
        yield {**record, **_values(extract, "patients", patient), f"{PATIENT}_complete": UNVERIFIED}
        for instance, report in enumerate(reports.get(patient["key"], []), 1):
            repeat = dict(zip(REPEAT, (REPORT, instance), strict=True))
            yield {**record, **repeat, **_values(extract, "reports", report), f"{REPORT}_complete": UNVERIFIED}


def _values(extract: Extract, table: str, row: dict[str, Any]) -> dict[str, str]:
    coded = {field_name(table, v): v.code(row[v.name]) for v in _variables(extract, table)}
    return {name: as_text(value) for name, value in coded.items() if value is not None}
