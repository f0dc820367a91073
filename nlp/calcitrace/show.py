"""One annotated report for a person (rich text) or a machine (plain dictionaries)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calcitrace.model import AnnotatedReport, Assessment
from calcitrace.tables import mention_row

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES = {
    "present": "bold red",
    "possible": "yellow",
    "absent": "green",
    "historical": "magenta",
    "hypothetical": "blue",
}


def as_json(annotated: AnnotatedReport, assessment: Assessment) -> dict[str, Any]:
    """Everything that was read from one report, as plain values."""
    return {
        "report_id": annotated.report.report_id,
        "case_status": str(assessment.case_status),
        "migration_type": assessment.migration_type,
        "tendon": assessment.tendon,
        "bone": assessment.bone,
        "laterality": assessment.laterality,
        "absence_of_mass": assessment.absence_of_mass,
        "evidence": list(assessment.evidence),
        "reasons": list(assessment.reasons),
        "sections": [
            {"name": s.name, "heading": s.heading, "start": s.start, "end": s.end} for s in annotated.sections
        ],
        "mentions": [mention_row(annotated.report.report_id, m) for m in annotated.mentions],
    }


def as_rich(annotated: AnnotatedReport, assessment: Assessment) -> RenderableType:
    """The report with its mentions coloured, a table of them, and the assessment."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    text = Text(annotated.report.text)
    for m in annotated.mentions:
        text.stylize(STYLES[m.assertion], m.start, m.end)
    table = Table(show_edge=False, pad_edge=False)
    for head in ("mention", "finding", "assertion", "change", "where", "cue"):
        table.add_column(head)
    for m in annotated.mentions:
        where = ", ".join(x for x in (m.laterality, m.tendon, m.landmark) if x != "none")
        table.add_row(
            Text(" ".join(m.text.split()), STYLES[m.assertion]),
            m.finding,
            Text(m.assertion, STYLES[m.assertion]),
            m.asserted.change if m.asserted.change != "none" else "",
            where.replace("_", " "),
            Text(" … ".join(" ".join(c.text.split()) for c in m.asserted.cues)),
        )
    said = f"case status: {assessment.case_status}"
    if assessment.case_status != "no":
        said += f" ({assessment.migration_type}; {'; '.join(assessment.reasons)})"
    return Group(text, "", table, "", Text(said, "bold"))
