"""Addenda that came as texts of their own: what they say together with the texts to which they are added."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calcitrace.assess import ADDENDUM, assess
from calcitrace.criteria import Criteria
from calcitrace.model import AnnotatedReport, Assessment
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.tables import clean

if TYPE_CHECKING:
    from calcitrace.annotate import Annotator

TITLE = "title"
AFFIRMED = frozenset({"present", "possible"})


class Addenda:
    """Judges an addendum and the texts before it as one report.

    Args:
        rules: those of the run.
        case: its case definition.
        studies: the ids under which several texts came; no others are kept.
    """

    def __init__(self, rules: RuleSet, case: CaseDefinition, studies: Collection[str]) -> None:
        self._rules, self._case, self._studies = rules, case, studies
        self._texts: dict[str, str] = {}

    def __call__(self, annotated: AnnotatedReport) -> Assessment | None:
        """The assessment of all texts of a report up to this addendum; None of what is none, or comes first."""
        report = annotated.report
        study = clean(report.version_of or report.report_id)
        if study not in self._studies:
            return None
        before = self._texts.get(study)
        if before is None or not _is_addendum(annotated):
            self._texts[study] = report.text
            return None
        whole = self._texts[study] = f"{before}\n\n{report.text}"
        return assess(self._annotator.annotate(report._replace(text=whole)), self._rules, self._case)

    @cached_property
    def _annotator(self) -> Annotator:
        from calcitrace.annotate import Annotator

        return Annotator(self._rules)


def _is_addendum(annotated: AnnotatedReport) -> bool:
    """Whether a text begins as an addendum, its title aside."""
    text = annotated.report.text
    said = (s.name for s in annotated.sections if s.name != TITLE and text[s.body : s.end].strip())
    return next(said, "") == ADDENDUM


def told_in_parts(
    table: Any, mentions: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]], criteria: Criteria
) -> set[tuple[str, str]]:
    """The patients (site, and id or that of the report) of whom several texts of one report tell of deposit and bone.

    Args:
        table: the reports of all runs, an Arrow table.
        mentions: for each run, those of findings that the criteria ask about, by report id.
        criteria: say which findings are of the deposit, and of the bone.
    """
    import pyarrow.compute as pc

    studies = pc.drop_null(table["version_of"].unique())
    studies = studies.filter(pc.not_equal(studies, ""))
    several = table.filter(pc.or_(pc.is_in(table["version_of"], studies), pc.is_in(table["report_id"], studies)))
    columns = ("site", "patient_id", "report_id", "version_of", "run")
    rows = list(zip(*(several[c].to_pylist() for c in columns), strict=True))
    told: dict[tuple[int, str], set[str]] = {(run, study): set() for _, _, _, study, run in rows if study}
    for _, _, report, study, run in rows:
        if (run, study or report) in told:
            own = mentions[run].get(report, ())
            told[run, study or report] |= {m["finding"] for m in own if m["assertion"] in AFFIRMED}
    whole = {
        key
        for key, findings in told.items()
        if findings & criteria.findings["deposit"] and findings & criteria.findings["bone"]
    }
    return {(site, who or study or report) for site, who, report, study, run in rows if (run, study or report) in whole}
