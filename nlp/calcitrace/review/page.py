"""What the page shows of a report, as plain values: its text in pieces, its mentions, its reasons."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from calcitrace.model import AnnotatedReport, Assessment, Mention, Report
from calcitrace.show import visible
from calcitrace.tables import clean

MAX_TEXT = 200_000


def head(report: Report) -> dict[str, Any]:
    """What identifies a report."""
    names = ("patient_id", "study_date", "modality", "body_part", "sex", "age")
    return {"report_id": clean(report.report_id), **{n: _line(getattr(report, n)) for n in names}}


def body(annotated: AnnotatedReport) -> dict[str, Any]:
    """The text in pieces with what covers each, and the mentions; a text of extreme length is cut, and says so.

    A piece has `t` (its text) and, where they apply, `h` (a heading), `m` (the places of the mentions that cover it,
    the longest first) and `c` (the places of the mentions of which it is a cue).
    """
    text = annotated.report.text
    mentions = [m for m in (*annotated.mentions, *annotated.conditions) if m.end <= MAX_TEXT]
    mentions.sort(key=lambda m: (m.start, -m.end))
    return {
        "pieces": _pieces(text[:MAX_TEXT], annotated, mentions),
        "mentions": list(map(_mention, mentions)),
        "cut": len(text) > MAX_TEXT,
    }


def _pieces(text: str, annotated: AnnotatedReport, mentions: Sequence[Mention]) -> list[dict[str, Any]]:
    spans: list[tuple[int, int, str, int]] = [(m.start, m.end, "m", k) for k, m in enumerate(mentions)]
    spans += [(c.start, c.end, "c", k) for k, m in enumerate(mentions) for c in m.asserted.cues]
    spans += [(s.start, s.start + len(s.heading), "h", 0) for s in annotated.sections if s.heading]
    spans = [s for s in spans if s[0] < s[1] <= len(text)]
    spans.sort(key=lambda s: s[0] - s[1])
    cuts = sorted({0, len(text), *(edge for s in spans for edge in s[:2])})
    covering: dict[int, dict[str, list[int]]] = {}
    for start, end, kind, place in spans:
        for cut in cuts[bisect_left(cuts, start) : bisect_left(cuts, end)]:
            covering.setdefault(cut, {}).setdefault(kind, []).append(place)
    return [{"t": visible(clean(text[a:b])), **covering.get(a, {})} for a, b in pairwise(cuts)]


def _mention(mention: Mention) -> dict[str, Any]:
    said = mention.asserted
    where = [x for x in (mention.laterality, mention.tendon, mention.bone, mention.landmark) if x != "none"]
    return {
        "finding": _words(mention.finding),
        "assertion": mention.assertion,
        "change": said.change if said.change != "none" else "",
        "where": ", ".join(map(_words, where)),
        "size": "" if mention.size_mm is None else f"{mention.size_mm:g} mm",
        "section": _words(mention.section),
        "rule": mention.rule_id,
        "cues": [{"text": _line(c.text), "rule": c.rule_id} for c in said.cues],
    }


def reasons(annotated: AnnotatedReport, assessment: Assessment) -> dict[str, Any]:
    """Why the report is where it is: case status, reasons of the case definition, the model's contributions."""
    words = {m.mention_id: _line(m.text) for m in (*annotated.mentions, *annotated.conditions)}
    site = [x for x in (assessment.laterality, assessment.tendon, assessment.bone) if x != "none"]
    return {
        "case_status": str(assessment.case_status),
        "probability": assessment.case_probability,
        "migration_type": _words(assessment.migration_type) if assessment.migration_type != "none" else "",
        "site": ", ".join(map(_words, site)),
        "reasons": list(map(_words, assessment.reasons)),
        "contributions": [
            {
                "adds": f"{c.log_odds:+.2f}",
                "because": c.feature,
                "mentions": ", ".join(dict.fromkeys(words[m] for m in c.mentions if m in words)),
            }
            for c in assessment.contributions
        ],
    }


def _words(name: str) -> str:
    return name.replace("_", " ")


def _line(text: str) -> str:
    return visible(clean(" ".join(text.split())))
