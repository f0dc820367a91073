"""The reports of a queue, read again from the run's inputs and kept in memory, annotated when they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from calcitrace.adjudication import Store
from calcitrace.annotate import Annotator
from calcitrace.decisions import Item
from calcitrace.errors import StoreError, UsageError
from calcitrace.features import Features, assessed, schema
from calcitrace.model import AnnotatedReport, Report
from calcitrace.rerun import Rerun
from calcitrace.review.page import body, head, reasons
from calcitrace.review.queue import QueueOptions, make_queue, threshold_of, unit_of
from calcitrace.studydate import StudyDate, study_date
from calcitrace.tables import clean
from calcitrace.workers import judged

KEPT = 64


class Shelf:
    """The queue of a run with its texts; threads may share it.

    Args:
        run: folder of the finished run.
        store: made from this run, or new.
        options: of the queue, for a new store.

    Raises:
        StoreError: the store is of another run.
        RunError: no finished run, or its inputs or rules have changed since.
    """

    def __init__(self, run: str | Path, store: Store, options: QueueOptions | None = None) -> None:
        self._source = Rerun(Path(run))
        self.settings = make_queue(run, store, options)
        self.items = {i.report_id: i for i in store.items()}
        self.title = self._source.case.title
        self._date_order = self._source.manifest["options"].get("date_order", "")
        self.threshold = threshold_of(self._source.manifest)
        self.model, self._prevalence = self._source.model()
        self._reports, self._of_unit = _texts(self._source, self.items)
        self._annotator = Annotator(self._source.rules)
        self._busy = threading.Lock()
        self._annotated = lru_cache(KEPT)(self._annotate)

    def _annotate(self, report_id: str) -> AnnotatedReport:
        with self._busy:
            return self._annotator.annotate(self._reports[report_id])

    def report(self, report_id: str) -> Report:
        """A report of the queue, or another of one of its patients.

        Raises:
            UsageError: there is none of that id.
        """
        if report_id not in self._reports:
            raise UsageError("no such report in this queue")
        return self._reports[report_id]

    def shown(self, report_id: str) -> dict[str, Any]:
        """What the page shows of a report: its head, text in pieces and mentions."""
        return {**head(self.report(report_id)), **body(self._annotated(report_id))}

    def timeline(self, unit: str) -> list[dict[str, Any]]:
        """The heads of a unit's reports in order of date, with the first and last day that each date can mean."""
        own = [self._reports[r] for r in self._of_unit[unit]]
        dated = sorted((study_date(r.study_date, self._date_order), r.report_id, r) for r in own)
        return [{**head(report), "days": _days(date)} for date, _, report in dated]

    def reasons(self, report_id: str) -> dict[str, Any]:
        """Why a report of the queue is where it is, by the case definition and the run's model."""
        self.report(report_id)
        annotated = self._annotated(report_id)
        found = judged(annotated, self._source.rules, self._source.case, self.model, self._prevalence, explain=True)
        return {"report_id": report_id, **reasons(annotated, found)}

    def features(self, report_id: str) -> Features:
        """The features of a report for a model to learn from."""
        annotated = self._annotate(report_id)
        return assessed(annotated, self._source.rules, self._source.case)[1]

    def model_names(self) -> tuple[str, str, str]:
        """Case definition, schema and rule-set hash, for a model learned here."""
        rules, case = self._source.rules, self._source.case
        return case.name, schema(rules, case), rules.hash


def _days(date: StudyDate) -> list[str]:
    """The first and last day of a date, none where it is not known."""
    return [date.first.isoformat(), date.last.isoformat()] if date.known else []


def _texts(source: Rerun, items: Mapping[str, Item]) -> tuple[dict[str, Report], dict[str, list[str]]]:
    """The reports of the queue and all others of its patients; and the ids of each unit's."""
    units = {i.unit for i in items.values()}
    reports: dict[str, Report] = {}
    of_unit: dict[str, list[str]] = {u: [] for u in units}
    for read in source.reports():
        report_id = clean(read.report_id)
        unit = unit_of(report_id, clean(read.patient_id), clean(read.version_of))
        if unit in units:
            reports[report_id] = read._replace(report_id=report_id)
            of_unit[unit].append(report_id)
    missing = len(items.keys() - reports.keys())
    if missing:
        raise StoreError(f"{source.folder}: {missing} reports of the queue are not in the run's inputs any more")
    return reports, of_unit
