"""A finished run whose reports are read again from the inputs that its manifest names, all unchanged since."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.errors import RunError, UsageError
from calcitrace.ids import bare
from calcitrace.model import Report
from calcitrace.phrases import many
from calcitrace.rules import load_rules
from calcitrace.runfolder import COPY, file_hash, read_manifest
from calcitrace.sources import Options, Place, Query, Tally, place_of, read_rows, shown_id
from calcitrace.tables import clean
from calcitrace.workers import NO_MODEL, case_of, model_for

if TYPE_CHECKING:
    from calcitrace.casemodel import CaseModel
    from calcitrace.model import AnnotatedReport

FIRST = 10


class Rerun:
    """A finished run whose reports are read again: its rules, case definition and inputs, all unchanged since."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, read_manifest(folder)
        if self.manifest.get("status") != "complete":
            raise RunError(f"{folder}: the run has not finished; give the same `calcitrace process` command again")
        options = self.manifest["options"]
        self.rules = load_rules(options["patterns"] or None)
        if self.rules.hash != self.manifest["ruleset_hash"]:
            raise RunError(
                f"{folder}: was made with rules {self.manifest['ruleset_hash'][:8]}, these are {self.rules.hash[:8]}; "
                "process the reports again with the rules of today"
            )
        self.case = case_of(self.rules, options["case"])
        self._copies = [
            {"name": name, "path": str(folder / name), "sha256": digest}
            for part in self.manifest["parts"]
            for name, digest in part["files"].items()
            if name.startswith(f"{COPY}/")
        ]
        source = options.get("source", "auto")
        order = options.get("date_order", "")
        as_given = Options(options["columns"], options["encoding"], options["delimiter"], source, order)
        self.reading = Options() if self._copies else as_given

    def reports(self) -> Iterator[Report]:
        """The reports of the run, in its order and with its ids.

        Raises:
            RunError: as `inputs`.
        """
        for _, _, made in read_rows(self.inputs(), self.reading, Tally()):
            if isinstance(made, Report):
                yield made

    def inputs(self) -> list[tuple[Place, str]]:
        """The inputs of the run with their names, or its own copies of what it read, all as they were.

        Raises:
            RunError: an input is gone or is not the file that the run read.
        """
        files = self._copies or self.manifest["inputs"]
        paths = [(place_of(f), f["name"]) for f in files]
        for (place, _), file in zip(paths, files, strict=True):
            try:
                digest = place.described()["sha256"] if isinstance(place, Query) else file_hash(place)
            except OSError as error:
                whole = Path(file["path"]).is_absolute()
                here = "" if whole else "; run this in the folder in which the run was started"
                raise RunError(
                    f"{file['path']}: cannot be read ({error.strerror}); the run's inputs are needed again, "
                    f"where the run read them{here}"
                ) from None
            if digest != file["sha256"]:
                raise RunError(f"{file['path']}: has changed since the run; process it again")
        return paths

    def report(self, report_id: str) -> Report:
        """The report of this id.

        Raises:
            UsageError: the run has none.
            RunError: as `reports`.
        """
        near, of_patient = "", list[str]()
        for report in self.reports():
            if clean(report.report_id) == report_id:
                return report
            near = near or (report.report_id if bare(report.report_id) == bare(report_id) else "")
            of_patient += [shown_id(report.report_id)] if clean(report.patient_id) == report_id else []
        said = f"{self.folder}: holds no report {shown_id(report_id)!r}"
        if reject := self._reject(report_id):
            where = ":".join(str(part) for part in (reject["source"], reject["row"]) if part)
            raise UsageError(f"{said}: that row was rejected, {reject['reason']} ({where})")
        if of_patient:
            first = ", ".join(of_patient[:FIRST]) + (" ..." if len(of_patient) > FIRST else "")
            what = f"that is a patient with {many(len(of_patient), 'report')}"
            raise UsageError(f"{said}: {what}; give the id of one: {first}")
        meant = f"; did you mean {shown_id(near)!r}?" if near else ";"
        raise UsageError(f"{said}{meant} ids stand in the column report_id of its reports")

    def _reject(self, report_id: str) -> dict[str, Any] | None:
        """The first rejected row of this id, as rejects.jsonl has it; None where there is none."""
        if not report_id:
            return None
        with suppress(OSError, ValueError), (self.folder / "rejects.jsonl").open(encoding="utf-8") as rows:
            return next((r for r in map(json.loads, rows) if r["report_id"] == report_id), None)
        return None

    def model(self) -> tuple[CaseModel | None, float | None]:
        """The run's model, if it has one, and the prevalence at which its probabilities hold.

        Raises:
            ModelError, RunError: the model cannot be read, or has changed since the run.
        """
        note = self.manifest["model"]
        found, path = model_for(self.manifest["options"]["model"] if note else NO_MODEL, self.rules, self.case)
        if note and (not path or file_hash(Path(path)) != note["sha256"]):
            raise RunError(f"{self.folder}: its model {note['name']!r} has changed since the run; process it again")
        return found, note["probabilities_at_prevalence"] if note else None

    def annotated(self, report_ids: Collection[str]) -> Iterator[AnnotatedReport]:
        """The reports of these ids, annotated with the run's own rules, in the run's order.

        Raises:
            RunError: an input is gone or changed, or a report is not in the inputs.
        """
        from calcitrace.annotate import Annotator

        annotator, wanted = Annotator(self.rules), set(report_ids)
        for report in self.reports():
            if clean(report.report_id) in wanted:
                wanted.discard(clean(report.report_id))
                yield annotator.annotate(report)
            if not wanted:
                return
        if wanted:
            first = shown_id(min(wanted))
            raise RunError(f"{self.folder}: {len(wanted)} reports are not in the run's inputs, first {first!r}")
