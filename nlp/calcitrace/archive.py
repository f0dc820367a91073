"""The reports of one or more finished runs, patient by patient, with what a history needs of them.

Reports of case patients are read again from the runs' inputs: for what the tables do not hold (conditions such as
surgery or biopsy), and in full where the case screen had passed over them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.addenda import Addenda, told_in_parts
from calcitrace.assess import assess
from calcitrace.criteria import Criteria
from calcitrace.criteriafit import (
    check_dates,
    check_findings,
    check_one_site,
    check_run_sites,
    check_values,
    tell_missing,
    tell_versions,
    tell_zeros,
)
from calcitrace.criteriakeys import OWN
from calcitrace.decisions import SIDES
from calcitrace.errors import RunError
from calcitrace.healing import normal_bones, region_of
from calcitrace.modality import OTHER, modality_of
from calcitrace.model import Experiencer, Report
from calcitrace.phrases import many
from calcitrace.rerun import Rerun
from calcitrace.rules import load_rules
from calcitrace.runfolder import read_manifest, read_table, run_mark
from calcitrace.sources import shown_id
from calcitrace.strictyaml import Faults
from calcitrace.studydate import EITHER, age_in_years, reading_of, study_date
from calcitrace.tables import clean, mention_row
from calcitrace.timeline import Entry
from calcitrace.words import split_words

if TYPE_CHECKING:
    from calcitrace.model import AnnotatedReport, Mention
    from calcitrace.ruleset import CaseDefinition, RuleSet

SCREENED = "screened_out"
BATCH = 20_000
NEEDED = (
    *("report_id", "patient_id", "study_date", "modality", "body_part", "sex", "age", "version_of", "status"),
    *(
        "case_status",
        "likely_case",
        "case_probability",
        "migration_type",
        "tendon",
        "bone",
        "laterality",
        "size_mm",
        "evidence",
    ),
)
OPTIONAL = ("site",)
OF_MENTIONS = (
    *("report_id", "finding", "start", "text", "section", "experiencer", "assertion", "change"),
    *("tendon", "bone", "laterality", "landmark"),
)
Who = tuple[str, str]
Mentions = list[dict[str, list[dict[str, Any]]]]  # for each run, by report id


@dataclass(slots=True)
class Archive:
    """Finished runs, their manifests and rules, and what was found of them while they were gone through.

    `adjudications`: the case status that reviewers decided, by report id; `details`: the type, tendon and side;
    `reviewed_run`: the mark of the run that they are of, of whose site alone they then are ("" if that is not known).
    `notes`: what to tell of the criteria; `unknown`: modalities of case patients that the rules do not know;
    `either_order`: dates in which day and month could be either, where the criteria give no order. `faults`: those of
    the criteria that were found before, to be raised with those beside the runs.
    """

    folders: tuple[Path, ...]
    criteria: Criteria
    adjudications: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    reviewed_run: str = ""
    manifests: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    reread: int = 0
    notes: list[str] = field(default_factory=list)
    rules: list[RuleSet] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    either_order: int = 0
    faults: Faults = field(default_factory=Faults)
    _reviewed_sites: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.manifests = [_finished(folder) for folder in self.folders]
        self.rules = [load_rules(m["options"]["patterns"] or None) for m in self.manifests]
        self.criteria = _with_order(self.criteria, self.manifests)
        with self.faults.kept():
            check_findings(self.criteria, self.rules)
        with self.faults.kept():
            check_run_sites(self.criteria, len(self.folders))
        self.faults.check()
        runs = zip(self.criteria.run_sites, self.manifests, strict=True) if self.criteria.run_sites else ()
        self._reviewed_sites = {site for site, m in runs if run_mark(m) == self.reviewed_run}  # none: that is not known
        self._keep_known_details()

    def _keep_known_details(self) -> None:
        """Leave out, and note, what reviewers told in words that no rules know (of files made by hand, old stores)."""
        tendons = {s.name for rules in self.rules for s in rules.sites.values() if s.kind == "tendon"}
        known = {"migration_type": self.criteria.depths, "tendon": tendons, "laterality": SIDES}
        given, self.details = self.details, {}
        for report_id, told in given.items():
            self.details[report_id] = {n: word for n, word in told.items() if word in known[n]}
        lost = [report_id for report_id, told in given.items() if self.details[report_id] != told]
        if lost:
            self.notes.append(
                f"the migration type, tendon or side of {many(len(lost), 'decision')} is no word of the rules, and "
                f"what the rules read stands (the first: {shown_id(lost[0])!r})"
            )

    @property
    def cases(self) -> tuple[CaseDefinition, ...]:
        """The case definition of each run whose rules are as they were, each once."""
        runs = zip(self.rules, self.manifests, strict=True)
        same = ((rules.hash, rules.cases[m["case"]]) for rules, m in runs if rules.hash == m["ruleset_hash"])
        return tuple({(rules, case.name): case for rules, case in same}.values())

    def patients(self, again: bool = True) -> Iterator[tuple[Who, list[Entry]]]:
        """Every patient (site and id) with the reports, in the order of sites and ids.

        Reports without a patient id come first, each (with its versions) as a patient of its own. Of a report that
        several runs have read, all are given: the caller keeps the last.

        Args:
            again: whether the reports of case patients are read again from the inputs.

        Raises:
            CriteriaError: a modality, site or order of dates that the runs contradict (path:line).
            RunError: a run is not finished or damaged, or an input that is needed again is gone or has changed.
        """
        table = self._table()
        self._check(table)
        mentions = self._mentions()
        wanted = self._of_case_patients(table, told_in_parts(table, mentions, self.criteria) if again else set())
        of_cases = [set(ids) for ids in wanted]
        if again:
            studies = set(table["version_of"].unique().to_pylist()) - {None, ""}
            found = [self._again(run, ids, studies) for run, ids in enumerate(wanted)]
        else:
            found = [{} for _ in wanted]
            self._needs_none(table, wanted)
        rows = (row for batch in table.to_batches(BATCH) for row in batch.to_pylist())
        for who, own in groupby(rows, key=lambda r: (r["site"], r["patient_id"])):
            entries = [_entry(r, mentions[r["run"]], found[r["run"]], self.criteria, self._said(r)) for r in own]
            for entry in entries:
                self._take(entry)
                entry.kind = entry.kind or self._kind(entry.modality, entry.run)
                if entry.kind == OTHER and entry.report_id in of_cases[entry.run]:
                    self.unknown[entry.modality] += 1
            if who[1]:
                yield who, entries
            else:
                own_study = sorted(entries, key=lambda e: e.study)
                yield from ((who, list(group)) for _, group in groupby(own_study, key=lambda e: e.study))

    def _take(self, entry: Entry) -> None:
        """Put what a reviewer told in place of what the rules read, in the mentions of the same tendon or side, too.

        Where the rules read no bone, it is that of the tendon that the reviewer told.
        """
        told = self.details.get(entry.report_id, {}) if self._is_reviewed(entry.site) else {}
        rules = {name: getattr(entry, name) for name in told}
        for name, word in told.items():
            setattr(entry, name, word)
        entry.by_reviewer = tuple(told)
        same = {name: word for name, word in rules.items() if word != "none"}
        entry.mentions = [{**m, **{n: told[n] for n, word in same.items() if m.get(n) == word}} for m in entry.mentions]
        site = self.rules[entry.run].sites.get(told.get("tendon", ""))
        if site and entry.bone == "none":
            entry.bone = site.bone or "none"

    def _table(self) -> Any:
        """The reports of all runs as one Arrow table, sorted by site and patient id."""
        import pyarrow as pa

        parts = [self._of_run(run) for run in range(len(self.folders))]
        table = pa.concat_tables([p for p in parts if p is not None], promote_options="default")
        return table.sort_by(
            [("site", "ascending"), ("patient_id", "ascending"), ("run", "ascending"), ("place", "ascending")]
        )

    def _check(self, table: Any) -> None:
        """Refuse criteria that the tables contradict, and note what to tell of the dates."""
        modalities, sites = ({v or "" for v in table[c].unique().to_pylist()} for c in ("modality", "site"))
        faults, dates = Faults(), Counter[str]()
        with faults.kept():
            check_values(self.criteria, self.rules, modalities, sites)
        for counted in table["study_date"].value_counts().to_pylist():
            written = counted["values"] or ""
            dates[reading_of(written)] += counted["counts"]
        with faults.kept():
            self.notes += check_dates(self.criteria, dates)
        faults.check()
        if self.adjudications:
            pairs = zip(*(table[c].to_pylist() for c in ("report_id", "site")), strict=True)
            check_one_site((i, site) for i, site in pairs if i in self.adjudications and self._is_reviewed(site))
            versions = zip(*(table[c].to_pylist() for c in ("report_id", "version_of")), strict=True)
            self.notes += tell_versions(self.adjudications, versions)
            self.notes += tell_missing(self.adjudications, set(table["report_id"].to_pylist()))
        if any(e.people for e in self.criteria.exclude):
            self.notes += tell_zeros(self.criteria, {*table["patient_id"].unique().to_pylist()} - {None, ""})
        self.either_order = 0 if self.criteria.date_order else dates[EITHER]

    def _kind(self, said: str, run: int) -> str:
        """The kind of a modality as the archive writes it, by the rules of its run; "" where nothing is written."""
        return modality_of(Report("", "", modality=said), self.rules[run]) or (OTHER if said else "")

    def _of_run(self, run: int) -> Any:
        import pyarrow as pa

        table = read_table(self.folders[run], self.manifests[run], "reports", (*NEEDED, *OPTIONAL))
        size, given = table.num_rows, self.criteria.run_sites
        site = pa.array([given[run] if given else ""] * size, pa.string())
        if "site" in table.column_names and not given:
            site = table["site"].fill_null("")
        table = table.select([c for c in NEEDED if c in table.column_names]).append_column("site", site)
        table = table.append_column("run", pa.array([run] * size, pa.int32()))
        return table.append_column("place", pa.array(range(size), pa.int64()))

    def _mentions(self) -> Mentions:
        """For each run, the mentions of the patient that the criteria ask about, by report id."""
        import pyarrow as pa
        import pyarrow.compute as pc

        told = pa.array(sorted(self.criteria.told), pa.string())
        general = {s.name for rules in self.rules for s in rules.sites.values() if s.generic}
        runs = []
        for folder, manifest in zip(self.folders, self.manifests, strict=True):
            table = read_table(folder, manifest, "mentions", OF_MENTIONS)
            own = pc.and_(pc.is_in(table["finding"], told), pc.equal(table["experiencer"], Experiencer.PATIENT))
            runs.append(by_report := dict[str, list[dict[str, Any]]]())
            for row in (row for batch in table.filter(own).to_batches(BATCH) for row in batch.to_pylist()):
                by_report.setdefault(row["report_id"], []).append({**row, "general": row["tendon"] in general})
        return runs

    def _is_reviewed(self, site: str) -> bool:
        """Whether the decisions can be of reports of a site: of any, where their run is none of these."""
        return not self._reviewed_sites or site in self._reviewed_sites

    def _said(self, row: Mapping[str, Any]) -> str:
        """The case status that reviewers decided for a report, "" where they decided none."""
        return self.adjudications.get(row["report_id"], "") if self._is_reviewed(row["site"]) else ""

    def _of_case_patients(self, table: Any, may_be: Collection[Who]) -> list[list[str]]:
        """For each run, the ids of all reports of patients who have one of the wanted tiers, or may by its addenda."""
        tiers, cases = set(self.criteria.tiers), set(may_be)
        wanted: list[list[str]] = [[] for _ in self.folders]
        columns = ("site", "patient_id", "report_id", "version_of", "case_status", "run")
        for site, patient, report, study, status, _ in zip(*(table[c].to_pylist() for c in columns), strict=True):
            decided = self.adjudications.get(report) if self._is_reviewed(site) else None
            if (decided or status) in tiers:
                cases.add((site, patient or study or report))
        for site, patient, report, study, _, run in zip(*(table[c].to_pylist() for c in columns), strict=True):
            if (site, patient or study or report) in cases:
                wanted[run].append(report)
        return wanted

    def _needs_none(self, table: Any, wanted: Sequence[Collection[str]]) -> None:
        passed = {(run, r) for run, ids in enumerate(wanted) for r in ids}
        columns = zip(*(table[c].to_pylist() for c in ("run", "report_id", "status")), strict=True)
        screened = sum((run, report) in passed for run, report, status in columns if status == SCREENED)
        if screened:
            raise RunError(
                f"{screened} reports of case patients were passed over by the case screen and must be read again; "
                "leave out --no-reread"
            )

    def _again(self, run: int, ids: Collection[str], studies: Collection[str]) -> dict[str, dict[str, Any]]:
        """What reading the reports again has found, by report id: rows of screened reports, conditions of all."""
        if not ids:
            return {}
        source, found = Rerun(self.folders[run]), {}
        together = Addenda(source.rules, source.case, studies)
        for annotated in self._annotated(source, ids):
            report_id = clean(annotated.report.report_id)
            said = assess(annotated, source.rules, source.case)
            of_kinds = (filter(self.criteria.asks, ms) for ms in (annotated.mentions, annotated.conditions))
            own, conditions = ([_row(m, annotated, source) for m in ms] for ms in of_kinds)
            conditions += normal_bones(annotated, source.rules, self.criteria.normal_bone)
            kind = modality_of(annotated.report, source.rules)
            found[report_id] = {"assessment": said, "mentions": own, "conditions": conditions, "kind": kind}
            found[report_id]["region"] = region_of(annotated.report, source.rules)
            found[report_id]["whole"] = together(annotated)
            self.reread += 1
        return found

    def _annotated(self, source: Rerun, ids: Collection[str]) -> Iterator[AnnotatedReport]:
        try:
            yield from source.annotated(ids)
        except RunError as error:
            raise RunError(f"{error} (or --no-reread: without biopsies, conditions and screened reports)") from None


def _finished(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest.get("status") != "complete":
        raise RunError(f"{folder}: the run has not finished; give the same `calcitrace process` command again")
    return manifest


def _with_order(criteria: Criteria, manifests: Sequence[Mapping[str, Any]]) -> Criteria:
    """The criteria, with the order of dates that all runs were given where they name none."""
    orders = {m["options"].get("date_order", "") for m in manifests}
    return replace(criteria, date_order=orders.pop()) if not criteria.date_order and len(orders) == 1 else criteria


def _row(mention: Mention, annotated: AnnotatedReport, source: Rerun) -> dict[str, Any]:
    """A mention as the tables give it, with the words before and after it in its sentence."""
    (start, end), text = annotated.sentences[mention.sentence], annotated.report.text
    row = {k: v for k, v in mention_row(annotated.report.report_id, mention).items() if k in OF_MENTIONS}
    site, around = source.rules.sites.get(mention.tendon), ((start, mention.start), (mention.end, end))
    before, after = (split_words(text, source.rules.spelling, *stretch).forms for stretch in around)
    return {**row, "before": before, "after": after, "general": bool(site and site.generic)}


def _entry(
    row: Mapping[str, Any],
    mentions: Mapping[str, list[dict[str, Any]]],
    found: Mapping[str, dict[str, Any]],
    criteria: Criteria,
    adjudicated: str,
) -> Entry:
    report_id, again = row["report_id"], found.get(row["report_id"])
    entry = Entry(
        report_id=report_id,
        patient_id=row["patient_id"] or "",
        site=row["site"],
        run=row["run"],
        place=row["place"],
        study=row["version_of"] or report_id,
        written_date=row["study_date"] or "",
        date=study_date(row["study_date"] or "", criteria.date_order),
        modality=row["modality"] or "",
        body_part=row["body_part"] or "",
        region=(row["body_part"] or "").lower(),
        sex=row["sex"] or "",
        age=age_in_years(row["age"] or ""),
        status=row["case_status"],
        likely=row["likely_case"],
        probability=row["case_probability"],
        migration_type=row["migration_type"],
        tendon=row["tendon"],
        bone=row["bone"],
        laterality=row["laterality"],
        size_mm=row.get("size_mm"),
        evidence=tuple(row["evidence"] or ()),
        screened=row["status"] == SCREENED,
        mentions=list(mentions.get(report_id, ())),
    )
    if again:
        _add_what_was_read(entry, again)
    entry.unreviewed = entry.status
    if adjudicated:
        entry.adjudicated = entry.status = adjudicated
        entry.migration_type = "none" if entry.status == "no" else entry.migration_type
    if not entry.patient_id and criteria.without_patient_id == OWN:
        entry.patient_id = f"report:{report_id}"
    return entry


def _add_what_was_read(entry: Entry, again: Mapping[str, Any]) -> None:
    entry.kind, entry.whole, entry.region = again["kind"], again["whole"], again["region"] or entry.region
    entry.mentions = [*again["mentions"], *again["conditions"]]
    if entry.screened:
        said = again["assessment"]
        entry.status, entry.migration_type = str(said.case_status), said.migration_type
        entry.tendon, entry.bone, entry.laterality = said.tendon, said.bone, said.laterality
        entry.size_mm, entry.evidence = said.size_mm, said.evidence
