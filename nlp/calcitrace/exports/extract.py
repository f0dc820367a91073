"""What an export writes: the patients of a cohort with their reports and mentions, under pseudonyms.

Only the variables of `variables.yml` are taken from the cohort's tables, so that a new column of theirs stays at home.
Each row also has `key`, its name inside an export (always a pseudonym, unique over all hospitals), and the `patient`
and `report` keys that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from calcitrace.exports.variables import TABLES, Row, Variable, plain, read_variables

if TYPE_CHECKING:
    from calcitrace.exports.cohortfolder import CohortFolder
    from calcitrace.pseudonyms import Pseudonyms

PARTIAL = re.compile(r"\d{4}(-\d\d)?")
LeftOut = tuple[str, str, str]  # table, id as exported, reason


@dataclass(frozen=True, slots=True)
class Choice:
    """What an export may hold: ids as given, dates as they are, report text, and which patients.

    `concepts` are the OMOP concept ids of a hospital, by what they stand for.
    """

    original_ids: bool = False
    shift_dates: bool = False
    with_text: bool = False
    all_patients: bool = False
    concepts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extract:
    """The rows of each table, by variable name, in the order of their keys, with the variables that describe them.

    `variables` are those of the tables that the export holds. `methods` is what the cohort's Methods say of what it
    holds, a paragraph each; `probabilities`, of which model they are, and where they hold. Both may be empty.
    """

    patients: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    mentions: list[dict[str, Any]]
    variables: Mapping[str, tuple[Variable, ...]]
    choice: Choice
    system: str
    made: str
    methods: str
    probabilities: str

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table."""
        return {"patients": self.patients, "reports": self.reports, "mentions": self.mentions}[table]

    def reports_of(self) -> dict[str, list[dict[str, Any]]]:
        """The reports of each patient, by the patient's key."""
        return _grouped(self.reports, "patient")

    def mentions_of(self) -> dict[str, list[dict[str, Any]]]:
        """The mentions of each report, by the report's key."""
        return _grouped(self.mentions, "report")

    def of(self, tables: Sequence[str]) -> Extract:
        """The same with the variables of these tables alone."""
        return replace(self, variables={name: self.variables[name] for name in tables})

    def without_lists(self) -> Extract:
        """The same without the variables that are lists, and without their values."""
        lists = {v.name for table in self.variables.values() for v in table if v.kind == "list"}
        kept = {name: tuple(v for v in table if v.kind != "list") for name, table in self.variables.items()}
        patients, reports, mentions = (
            [{k: v for k, v in row.items() if k not in lists} for row in self.rows(name)] for name in TABLES
        )
        return replace(self, patients=patients, reports=reports, mentions=mentions, variables=kept)


def _grouped(rows: Iterable[dict[str, Any]], key: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def extract(cohort: CohortFolder, names: Pseudonyms, choice: Choice) -> Extract:
    """The patients of a cohort with their reports and mentions, as `choice` says."""
    variables = read_variables(choice.with_text)
    maker = _Rows(names, choice, variables)
    patients = sorted(map(maker.patient, cohort.patients(choice.all_patients)), key=_key)
    known = {row["key"] for row in patients}
    given = [row for row in cohort.reports() if maker.patient_key(row) in known]
    texts = cohort.texts(given) if choice.with_text else {}
    reports = sorted((maker.report(row, texts) for row in given), key=_place)
    mentions = sorted(
        (maker.mention(row) for row in cohort.mentions(given)), key=lambda row: (row["report"], row["nth"])
    )
    seen = {"patients": patients, "reports": reports, "mentions": mentions}
    described = {name: tuple(v.seen_in(seen[name]) for v in variables[name]) for name in TABLES}
    told = (cohort.system, cohort.made, cohort.methods(), cohort.probabilities)
    return Extract(patients, reports, mentions, described, choice, *told)


def _key(row: Row) -> str:
    return str(row["key"])


def _place(row: Row) -> tuple[str, str, str]:
    """Reports of a patient together, in order of time; those without a date last."""
    return row["patient"], str(row["study_date"] or row["study_date_partial"] or "~"), row["key"]


class _Rows:
    """Turns rows of the cohort's tables into rows of an export."""

    def __init__(self, names: Pseudonyms, choice: Choice, variables: Mapping[str, tuple[Variable, ...]]) -> None:
        self.names, self.choice, self.variables = names, choice, variables

    def patient_key(self, row: Row) -> str:
        """The key of the patient of a row."""
        return self.names.patient(row.get("site") or "", row["patient_id"] or "")

    def report_key(self, row: Row, column: str = "report_id") -> str:
        """The key of the report of a row."""
        return self.names.report(row.get("site") or "", row[column] or "")

    def patient(self, row: Row) -> dict[str, Any]:
        """A row of the table `patients`."""
        made = self._plain("patients", row) | {"key": self.patient_key(row)}
        made |= {"patient_id": self._id(row, "patient_id", self.patient_key)}
        made["evidence"] = self._evidence(row)
        return self._moved(made, row, "index_date")

    def report(self, row: Row, texts: Mapping[Any, str]) -> dict[str, Any]:
        """A row of the table `reports`."""
        made = self._plain("reports", row) | {"key": self.report_key(row), "patient": self.patient_key(row)}
        made |= {"patient_id": self._id(row, "patient_id", self.patient_key)}
        made |= {"report_id": self._id(row, "report_id", self.report_key)}
        made["merged_into"] = self._id(row, "merged_into", lambda r: self.report_key(r, "merged_into"))
        made["evidence"] = self._evidence(row)
        written = str(row.get("date") or "")
        whole_or_unclear = made["study_date"] or not PARTIAL.fullmatch(written) or self.choice.shift_dates
        made["study_date_partial"] = None if whole_or_unclear else written
        if self.choice.with_text:
            made["text"] = plain(texts.get((row.get("run"), row["report_id"])), "text")
        return self._moved(made, row, "study_date")

    def mention(self, row: Row) -> dict[str, Any]:
        """A row of the table `mentions`."""
        made = self._plain("mentions", row) | {"report": self.report_key(row), "nth": _nth(row["mention_id"])[1]}
        made |= {"report_id": self._id(row, "report_id", self.report_key)}
        made["mention_id"] = self._mention_id(row, row["mention_id"])
        return made | {"key": f"{made['report']}.{made['nth']}"}

    def _plain(self, table: str, row: Row) -> dict[str, Any]:
        return {v.name: plain(row.get(v.column), v.kind) for v in self.variables[table]}

    def _id(self, row: Row, column: str, pseudonym: Callable[[Row], str]) -> str | None:
        if not row.get(column):
            return None
        return plain(row[column], "text") if self.choice.original_ids else pseudonym(row)

    def _evidence(self, row: Row) -> list[str] | None:
        said = row.get("evidence")
        return None if said is None else [self._mention_id(row, str(e)) for e in said]

    def _mention_id(self, row: Row, mention_id: str) -> str:
        """The report's part of a mention's id is replaced; an id of another form is replaced as a whole."""
        if self.choice.original_ids:
            return str(plain(mention_id, "text"))
        report, number = _nth(mention_id)
        return self.report_key({**row, "report_id": report}) + (f"#{number}" if report != mention_id else "")

    def _moved(self, made: dict[str, Any], row: Row, column: str) -> dict[str, Any]:
        if self.choice.shift_dates and made[column]:
            made[column] += timedelta(days=self.names.days(row.get("site") or "", row["patient_id"] or ""))
        return made


def _nth(mention_id: str) -> tuple[str, int]:
    """The report's part of a mention's id and its number, 0 where it has none."""
    report, _, number = mention_id.rpartition("#")
    return (report, int(number)) if number.isascii() and number.isdigit() and report else (mention_id, 0)
