"""Finished runs and criteria -> a cohort: tables of patients, members and their timelines, and counts that add up.

Every row read is in one box and every patient is in one box; totals are sums of boxes, so they reconcile by
construction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.archive import Archive
from calcitrace.biopsies import biopsy
from calcitrace.criteria import Criteria, read_criteria
from calcitrace.criteriafit import tell_codes, tell_modalities
from calcitrace.criteriakeys import LEAVE_OUT
from calcitrace.errors import CriteriaError, RunError, UsageError
from calcitrace.flow import Flow
from calcitrace.reviewed import Reviewed, reviewed
from calcitrace.selection import ADDED, MEMBER, NO_PATIENT, REMOVED, History, highest, history
from calcitrace.strictyaml import Faults
from calcitrace.tableone import NOT_KNOWN, sex_in_words, tell_sexes
from calcitrace.tables import schema
from calcitrace.timeline import (
    Entry,
    bone_state,
    deepest,
    deposit_state,
    first_diagnosis,
    outcome,
    sees_deposit,
    sides_of,
    usual,
    vanished_between,
    vanishes,
)

if TYPE_CHECKING:
    import pandas as pd

    from calcitrace.ruleset import CaseDefinition

PATIENT_COLUMNS: dict[str, tuple[str, str]] = {
    "patient_id": ("string", "as given; report:ID for a report without one, where the criteria keep these"),
    "is_case": ("bool", "has a report that makes a case under the criteria"),
    "case_status": ("string", "highest of the reports that count: definite, probable, possible or no"),
    "index_date": ("string", "YYYY-MM-DD of the first case report with a full date; null for no case"),
    "migration_type": ("string", "deepest of the episode: cortical_erosion, subcortical, intramedullary or none"),
    "tendon": ("string", "tendon of the episode; for no case, the tendon with a deposit named most; or none"),
    "bone": ("string", "bone of the episode; for no case, that of the deposit; or none"),
    "laterality": ("string", "side of the episode; for no case, that of the deposit: left, right, bilateral or none"),
    "outcome": ("string", "resolved, residual_cyst, persistent or unknown, by the last report after the index date"),
    "outcome_unknown": ("string", "why the outcome of a case is unknown: no_later_report or not_told; else null"),
    "vanished_deposit": ("bool", "an earlier deposit is said to have gone or shrunk; of a case, at its bone and side"),
    "first_diagnosis": ("string", "what the case was first read as (tumor, infection), or none"),
    "biopsy": ("string", "done, advised or none; null where the reports were not read again (no case)"),
    "n_reports": ("int32", "reports that count"),
    "evidence": ("list<string>", "ids of the mentions that led to the case status of the episode's reports"),
    "site": ("string", "where the patient was seen, for ids that two sites share; empty where nothing tells"),
    "box": ("string", "the one box of the flow diagram that the patient is in"),
    "index_report": ("string", "id of the index report; null for no case"),
    "index_modality": (
        "string",
        "kind of modality of the index report: XR, US, CT, MR, other, or empty where nothing tells",
    ),
    "sex": ("string", "as given, where the reports that give it agree; else empty"),
    "age": ("double", "years at the index report"),
    "first_date": ("string", "first full date of a report that counts"),
    "last_date": ("string", "last full date of a report that counts"),
    "n_episodes": ("int32", "episodes by bone and side"),
    "n_reread": ("int32", "reports that the case screen had passed over and that were read for the cohort"),
    "size_mm": (
        "double",
        "largest size of the deposit in millimetres, of each report of the episode the size now; or null",
    ),
}
TIMELINE_COLUMNS: dict[str, tuple[str, str]] = {
    "patient_id": ("string", "as given"),
    "site": ("string", "as in patients"),
    "report_id": ("string", "as in the run"),
    "run": ("int32", "number of the run, from 1, in the order given"),
    "study_date": ("string", "as given"),
    "date": ("string", "YYYY-MM-DD where it means one day (of versions the first); YYYY-MM or YYYY if partial"),
    "date_kind": ("string", "day, partial, unclear (day and month could be either, or no date at all) or missing"),
    "days_from_index": ("int32", "days from the index date; null where either has no day"),
    "modality": ("string", "as given"),
    "modality_kind": ("string", "XR, US, CT, MR, other, or empty where nothing tells"),
    "body_part": ("string", "as given"),
    "case_status": ("string", "definite, probable, possible or no; of an adjudicated report as adjudicated"),
    "migration_type": ("string", "as in the run, or a reviewer's (see by_reviewer); none of what one called no case"),
    "tendon": ("string", "as in the run, or a reviewer's (see by_reviewer)"),
    "bone": ("string", "as in the run; where it has none, that of a tendon that a reviewer told"),
    "laterality": ("string", "as in the run, or a reviewer's (see by_reviewer)"),
    "episode": ("int32", "number of the episode that the report is a case report of; 0 for none"),
    "is_index": ("bool", "the index report"),
    "deposit": ("string", "the deposit (of a case, at its place): present, possible, smaller, gone, absent or empty"),
    "bone_involvement": (
        "string",
        "what it says of the bone: involved, possible, cyst, gone, absent (not before either), normal or empty",
    ),
    "counted": ("string", "counted, merged_version, duplicate, copied_forward, superseded or no_patient_id"),
    "merged_into": ("string", "the report that it was merged into; empty for one that counts"),
    "evidence": ("list<string>", "ids of the mentions that led to case_status"),
    "box": ("string", "the box of its patient"),
    "case_probability": ("double", "as in the run"),
    "adjudicated": ("string", "what a reviewer decided; null where none did"),
    "sex": ("string", "as given"),
    "age": ("double", "years at the study"),
    "size_mm": ("double", "as in the run: the largest size of the deposit now in millimetres, or null"),
    "by_reviewer": ("list<string>", "which of migration_type, tendon and laterality a reviewer told, not the rules"),
}
ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort: pandas frames `patients`, `members` and `timeline`, the counts, the criteria and the manifests.

    `notes` tell what in the criteria may not be as it was meant: unclear dates, codes of nobody, unknown modalities.
    `cases` are the case definitions of runs whose rules are as they were, `review` what reviewers decided.
    """

    patients: pd.DataFrame
    members: pd.DataFrame
    timeline: pd.DataFrame
    flow: Flow
    criteria: Criteria
    manifests: Sequence[Mapping[str, Any]]
    folders: Sequence[Path] = ()
    notes: Sequence[str] = ()
    cases: Sequence[CaseDefinition] = ()
    review: Reviewed = field(default_factory=Reviewed)


def build_cohort(
    runs: str | Path | Sequence[str | Path],
    criteria: str | Path | Criteria | None = None,
    adjudications: str | Path | Mapping[str, str] | None = None,
    reread: bool = True,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Cohort:
    """The cohort of one or more finished runs.

    Args:
        runs: run folders; of a report that several have read, the row of the last one counts.
        criteria: a YAML or TOML file, or `Criteria`; by default every patient with a definite or probable report.
        adjudications: the store of a review, or what `decisions export` wrote of it for a cohort; or CSV or JSONL with
            columns report_id and label (a case status, or yes/no); or a mapping. They take the place of the report's
            case status; the type, tendon and side of a yes, where they are told, that of what the rules read.
        reread: read the reports of case patients again from the runs' inputs, for conditions, biopsies and what a
            case screen passed over; without it `biopsy` is null and criteria that ask for conditions are refused.
        on_progress: told the number of patients every thousand, and at the end.

    Raises:
        CriteriaError: criteria that cannot be used, or that do not fit the runs (path:line).
        RunError: a run is not finished or damaged, or an input that is needed again is gone or has changed.
        ModelError, SourceError, StoreError: adjudications that cannot be read (path:line).
        UsageError: no run, or one given twice.
    """
    folders = [Path(runs)] if isinstance(runs, str | Path) else [Path(r) for r in runs]
    if not folders or len({f.resolve() for f in folders}) < len(folders):
        raise UsageError("give one or more run folders, each once")
    faults = Faults(CriteriaError)
    said = criteria if isinstance(criteria, Criteria) else read_criteria(criteria, faults)
    with faults.first():
        review = reviewed(adjudications)
        archive = Archive(tuple(folders), said, review.statuses, review.details, review.run, faults=faults)
    if not reread:
        _check_no_conditions(archive)
    made = _Made(archive, reread, on_progress)
    patients, told = made.frames()
    members = patients[patients["box"] == MEMBER].reset_index(drop=True)
    return Cohort(
        patients,
        members,
        told,
        made.flow(),
        archive.criteria,
        archive.manifests,
        archive.folders,
        made.notes(),
        archive.cases,
        review.of_runs(archive.manifests),
    )


def _check_no_conditions(archive: Archive) -> None:
    conditions = {name for rules in archive.rules for name in rules.conditions}
    asking = [e.name for e in archive.criteria.exclude if e.mention & conditions]
    if asking:
        raise RunError(f"the exclusion {asking[0]!r} asks for a condition, which only reading again can tell")


class _Made:
    """Goes through the patients once, and keeps their rows and counts."""

    def __init__(self, archive: Archive, reread: bool, on_progress: Callable[[int], None]) -> None:
        self._archive, self._reread = archive, reread
        self._patients, self._timeline = _Rows(PATIENT_COLUMNS), _Rows(TIMELINE_COLUMNS)
        self._reports: Counter[str] = Counter()
        self._boxes: Counter[str] = Counter()
        self._in_boxes: Counter[str] = Counter()
        self._coded, self._by_review, self._sexes = Counter[str](), Counter[str](), Counter[str]()
        number = 0
        for number, (who, entries) in enumerate(archive.patients(reread), 1):
            self._add(who[1] or entries[0].patient_id, entries)
            if number % 1000 == 0:
                on_progress(number)
        on_progress(number)

    def _add(self, patient_id: str, entries: list[Entry]) -> None:
        criteria = self._archive.criteria
        if not patient_id and criteria.without_patient_id == LEAVE_OUT:
            for entry in entries:
                entry.counted = NO_PATIENT
                self._timeline.add(timeline_row(entry, None, criteria))
        else:
            found = history(entries, criteria)
            self._patients.add(patient_row(found, criteria, self._reread))
            self._coded.update(
                e.name for e in criteria.exclude if {(entries[0].site, patient_id), ("", patient_id)} & e.people
            )
            for row in timeline_rows(found, criteria):
                self._timeline.add(row)
            self._boxes[found.box] += 1
            self._sexes[next((e.sex for e in found.reports if e.sex), "")] += found.box == MEMBER
            self._by_review[found.review] += 1
            self._in_boxes[found.box] += len(found.reports)
        self._reports.update(e.counted for e in entries)

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of patients and timelines."""
        return self._patients.frame(), self._timeline.frame()

    def notes(self) -> tuple[str, ...]:
        """What may not be as the criteria meant it."""
        found = self._archive
        told = tell_codes(found.criteria, self._coded), tell_modalities(found.unknown), tell_sexes(self._sexes)
        return (*found.notes, *chain(*told))

    def flow(self) -> Flow:
        """The counts of everything that was read."""
        rejects: Counter[str] = Counter()
        for manifest in self._archive.manifests:
            rejects.update(manifest["reject_reasons"])
        read = sum(m["rows"] for m in self._archive.manifests)
        changed = {what: self._by_review[what] for what in (ADDED, REMOVED)} if self._archive.adjudications else {}
        flow = Flow(dict(rejects), dict(self._reports), dict(self._boxes), dict(self._in_boxes), by_review=changed)
        if flow.rows != read:
            raise RunError(f"the runs read {read} rows and their tables hold {flow.rows}; process the reports again")
        return flow.ordered(self._archive.criteria, self._archive.either_order)


class _Rows:
    """Rows that are packed from time to time, so that memory stays small."""

    def __init__(self, columns: Mapping[str, tuple[str, str]]) -> None:
        self._schema = schema(columns)
        self._rows: list[dict[str, Any]] = []
        self._packed: list[Any] = []

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS:
            self._pack()

    def _pack(self) -> None:
        import pyarrow as pa

        self._packed.append(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def frame(self) -> pd.DataFrame:
        """All rows as a pandas frame."""
        import pandas as pd
        import pyarrow as pa

        self._pack()
        return pd.DataFrame(pa.concat_tables(self._packed).to_pandas())


def patient_row(found: History, criteria: Criteria, reread: bool = True) -> dict[str, Any]:
    """One row of the table `patients`."""
    reports, is_case, at = found.reports, bool(found.cases), found.place if found.cases else None
    own = found.episode or [e for e in reports if sees_deposit(e, criteria)]
    days = sorted(e.date.day for e in reports if e.date.day)
    first, index = found.entries[0], found.index
    return {
        "patient_id": first.patient_id,
        "is_case": is_case,
        "case_status": highest(found.cases or reports),
        "index_date": found.index_date and found.index_date.isoformat(),
        "migration_type": deepest(found.episode, criteria),
        "tendon": usual(e.tendon for e in own),
        "bone": usual(e.bone for e in own),
        "laterality": sides_of(own),
        "outcome": (said := _outcome(found, criteria)),
        "outcome_unknown": found.why_unknown if said == "unknown" else None,
        "vanished_deposit": any(vanishes(e, criteria, at) for e in reports) or vanished_between(reports, criteria, at),
        "first_diagnosis": _first_diagnosis(found, criteria),
        "biopsy": biopsy(reports, criteria) if is_case and reread else None,
        "n_reports": len(reports),
        "evidence": list(dict.fromkeys(m for e in (found.episode or reports) for m in e.evidence)),
        "site": first.site,
        "box": found.box,
        "index_report": index and index.report_id,
        "index_modality": index and index.kind,
        "sex": _one_sex(e.sex for e in found.entries),
        "age": index.age if index else None,
        "first_date": days[0].isoformat() if days else None,
        "last_date": days[-1].isoformat() if days else None,
        "n_episodes": found.n_episodes,
        "n_reread": sum(e.screened for e in found.entries) if is_case and reread else 0,
        "size_mm": max((e.size_mm for e in own if e.size_mm), default=None),
    }


def _one_sex(values: Iterable[str]) -> str:
    """The sex, as given first; empty where none is known, or reports contradict each other (F and female do not)."""
    given: dict[str, str] = {}
    for value in values:
        if (word := sex_in_words(value)) != NOT_KNOWN:
            given.setdefault(word, value)
    return next(iter(given.values())) if len(given) == 1 else ""


def _outcome(found: History, criteria: Criteria) -> str:
    if found.index is None:
        return "unknown"
    return outcome(found.episode, found.reports, found.index.date, criteria)


def _first_diagnosis(found: History, criteria: Criteria) -> str:
    if found.index is None:
        return "none"
    before = found.reports[: found.reports.index(found.index)]
    return first_diagnosis(found.episode, before, criteria)


def timeline_rows(found: History, criteria: Criteria) -> Iterator[dict[str, Any]]:
    """The rows of a patient in order; bone involvement can only be gone where it was, or was said to be, before."""
    there = False
    for entry in sorted(found.entries, key=lambda e: (e.date.first, e.date.time, e.run, e.place)):
        row = timeline_row(entry, found, criteria)
        if there and row["bone_involvement"] == "absent":
            row["bone_involvement"] = "gone"
        there |= row["is_index"] or row["bone_involvement"] in ("involved", "possible", "cyst", "gone")
        yield row


def timeline_row(entry: Entry, found: History | None, criteria: Criteria) -> dict[str, Any]:
    """One row of the table `timeline`."""
    day, index, at = entry.date.day, found.index_date if found else None, found.place if found else None
    return {
        "patient_id": entry.patient_id,
        "site": entry.site,
        "report_id": entry.report_id,
        "run": entry.run + 1,
        "study_date": entry.written_date,
        "date": _shown(entry),
        "date_kind": entry.date.kind,
        "days_from_index": (day - index).days if day and index else None,
        "modality": entry.modality,
        "modality_kind": entry.kind,
        "body_part": entry.body_part,
        "case_status": entry.status,
        "migration_type": entry.migration_type,
        "tendon": entry.tendon,
        "bone": entry.bone,
        "laterality": entry.laterality,
        "episode": entry.episode,
        "is_index": found is not None and entry is found.index,
        "deposit": deposit_state(entry, criteria, at),
        "bone_involvement": bone_state(entry, criteria, at),
        "counted": entry.counted,
        "merged_into": entry.merged_into,
        "evidence": list(entry.evidence),
        "box": found.box if found else "",
        "case_probability": entry.probability,
        "adjudicated": entry.adjudicated or None,
        "sex": entry.sex,
        "age": entry.age,
        "size_mm": entry.size_mm,
        "by_reviewer": list(entry.by_reviewer),
    }


def _shown(entry: Entry) -> str | None:
    said = entry.date
    if said.day:
        return said.day.isoformat()
    if not said.known:
        return None
    return said.first.strftime("%Y" if said.first.month != said.last.month else "%Y-%m")
