"""One annotated report for a person (rich text) or a machine (plain dictionaries)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from calcitrace.assess import assess
from calcitrace.casemodel import CaseModel, Reckoning, by_kind, log_odds, probability_of
from calcitrace.casewords import listed
from calcitrace.features import assessed, kind_of
from calcitrace.model import AnnotatedReport, Assessment, Contribution, Mention
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.summary import pieces
from calcitrace.tables import mention_row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from calcitrace.why import SentenceWhy, TierWhy

STYLES = {
    "present": "bold red",
    "possible": "yellow",
    "absent": "green",
    "historical": "magenta",
    "hypothetical": "blue",
}
FATE = "rule, and what became of it"
MOST, LARGEST = 8, 5  # mentions and contributions of the short form, which fits on a screen
_CONTROLS = [c for c in (*range(32), *range(127, 160)) if c not in (9, 10)]
_SIGNS = {c: 0x2400 + c if c < 32 else 0xFFFD for c in _CONTROLS}


def reckoned(
    annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition, model: CaseModel | None, prevalence: float | None
) -> tuple[Assessment, Reckoning | None]:
    """The assessment of a report with its reasons, and how its probability came about where there is a model."""
    if model is None:
        return assess(annotated, rules, case), None
    assessment, features = assessed(annotated, rules, case)
    judged = model.judge(assessment, features, prevalence, explain=True)
    return judged, model.reckoning(features, judged.contributions, prevalence)


def as_json(annotated: AnnotatedReport, assessment: Assessment, reckoning: Reckoning | None = None) -> dict[str, Any]:
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
        "phase": assessment.phase,
        "likely_case": assessment.likely_case,
        "case_probability": assessment.case_probability,
        "contributions": [asdict(c) for c in assessment.contributions],
        "reckoning": asdict(reckoning) if reckoning else None,
        "sections": [
            {"name": s.name, "heading": s.heading, "start": s.start, "end": s.end} for s in annotated.sections
        ],
        "mentions": [mention_row(annotated.report.report_id, m) for m in annotated.mentions],
        "conditions": [mention_row(annotated.report.report_id, m) for m in annotated.conditions],
    }


def as_rich(annotated: AnnotatedReport, assessment: Assessment, reckoning: Reckoning | None = None) -> RenderableType:
    """The report with its mentions coloured, a table of them and of conditions, and the assessment."""
    from rich.console import Group

    mentions = _mentions([*annotated.mentions, *annotated.conditions])
    return Group(_coloured(annotated, assessment), "", mentions, "", _status(assessment, reckoning))


def _mentions(mentions: Sequence[Mention]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False)
    for head in ("mention", "finding", "assertion", "change", "where", "cue"):
        table.add_column(head, overflow="fold")
    for m in mentions:
        table.add_row(
            Text(_one_line(m.text), STYLES[m.assertion]),
            m.finding + " (condition)" * (not m.mention_id),
            Text(m.assertion, STYLES[m.assertion]),
            m.asserted.change if m.asserted.change != "none" else "",
            _place(m),
            Text(_cues(m)),
        )
    return table


def _place(mention: Mention) -> str:
    told = (mention.laterality, mention.tendon, mention.landmark)
    return ", ".join(x for x in told if x != "none").replace("_", " ")


def _cues(mention: Mention) -> str:
    return " … ".join(_one_line(c.text) for c in mention.asserted.cues)


def _status(assessment: Assessment, reckoning: Reckoning | None) -> Text:
    """The case status with its reasons, and the probability where there is a model."""
    from rich.text import Text

    said = f"case status: {assessment.case_status}"
    if assessment.case_status != "no":
        said += f" ({assessment.migration_type}; {'; '.join(assessment.reasons)})"
    if assessment.case_probability is not None and reckoning:
        likely = "a likely case" if assessment.likely_case else "no likely case"
        said += f"\nprobability {_number(assessment.case_probability)}: {likely} (threshold {_at(reckoning)})"
    return Text(said, "bold")


def _number(probability: float) -> str:
    """A probability with three decimals, a small one with two digits that count."""
    return f"{probability:.3f}" if probability >= 0.01 else f"{probability:.2g}"


def _at(reckoning: Reckoning) -> str:
    return f"{_number(reckoning.threshold)} where {100 * reckoning.prevalence:.3g} % of reports are cases"


def short_rich(
    annotated: AnnotatedReport,
    tiers: Sequence[TierWhy],
    case: CaseDefinition,
    assessment: Assessment,
    reckoning: Reckoning | None = None,
) -> RenderableType:
    """Why it is a case or none, on one screen: in a sentence, by tier, by the mentions that count, by probability."""
    from rich.console import Group
    from rich.text import Text

    from calcitrace.why import deciding, why_case

    near = deciding(tiers)
    parts: list[RenderableType] = [_status(assessment, reckoning), Text(f"\n{visible(why_case(tiers, case))}\n")]
    parts.append(_rows(list(_tier_names(tiers)), ("tier", "not met")))
    if near.mentions:
        parts.append(Text(f"\nthe mentions that count for {near.tier}", "bold"))
        parts.append(_rows(list(_readings(near.mentions)), ("mention", "read as")))
    if reckoning:
        parts.append(Text("\nwhat made the probability (log odds)", "bold"))
        parts.append(_rows(list(_shares(annotated, *_largest(assessment, reckoning))), ("adds", "because of")))
    parts.append(Text("\nthe whole report: without --why; each rule and cue: --why --full", "dim"))
    return Group(*parts)


def _readings(mentions: Sequence[Mention]) -> Iterator[dict[str, str]]:
    """A row for each mention with how it was read; those of the same words that were read alike are one."""
    told = ((m, filter(None, (m.finding, m.assertion, _place(m), _cues(m) and f"cue {_cues(m)!r}"))) for m in mentions)
    rows = list(dict.fromkeys((_one_line(m.text), ", ".join(said)) for m, said in told))
    yield from ({"mention": words, "read as": said} for words, said in rows[:MOST])
    if rows[MOST:]:
        yield {"mention": f"({len(rows) - MOST} more)", "read as": ""}


def _largest(assessment: Assessment, sums: Reckoning) -> tuple[Assessment, Reckoning]:
    """The same with the largest contributions alone, and the others among the rest."""
    shown, cut = assessment.contributions[:LARGEST], assessment.contributions[LARGEST:]
    rest, others = sums.rest + sum(c.log_odds for c in cut), sums.others + len(cut)
    parts = [(kind, *told) for kind, told in sums.kinds.items()] + [(kind_of(c.feature), 1, c.log_odds) for c in cut]
    sums = replace(sums, rest=rest, others=others, kinds=by_kind(parts))
    return replace(assessment, contributions=shown), sums


def _tier_names(tiers: Sequence[TierWhy]) -> Iterator[dict[str, str]]:
    """A row for each case status down to the tier that fits, with the conditions of its tiers that are not met."""
    unmet: dict[str, dict[str, None]] = {}
    for told in tiers:
        lacks, bars = (re.findall(r"^\w+", "\n".join(names), re.M) for names in (told.lacking, told.barred_by))
        if told.fits():
            unmet[told.tier] = {"(all met: this tier fits)": None}
        else:
            unmet.setdefault(told.tier, {})[listed([*lacks, *(f"no {name}" for name in bars)], "and")] = None
    yield from ({"tier": tier, "not met": "; or ".join(said)} for tier, said in unmet.items())


def why_rich(
    annotated: AnnotatedReport,
    explained: Sequence[SentenceWhy],
    tiers: Sequence[TierWhy],
    case: CaseDefinition,
    assessment: Assessment,
    reckoning: Reckoning | None = None,
) -> RenderableType:
    """Why it is a case or none, in a sentence; then the rules and cues of each sentence, the tiers, the probability.

    The sentence stands once more at the end, since all that has scrolled the first away.
    """
    from rich.console import Group
    from rich.text import Text

    from calcitrace.why import why_case

    head = f"\nwhy the case status is {assessment.case_status} (summed up here, and once more at the end)"
    parts: list[RenderableType] = [Text(head, "bold")]
    because = visible(why_case(tiers, case))
    parts.append(Text(because))
    for sentence in explained:
        shown = _one_line(annotated.report.text[sentence.start : sentence.end])
        parts.append(Text(f"\n[{sentence.section}] {shown}", "bold"))
        parts.append(_rows([_fated(r, "rule") for r in sentence.rules], ("words", FATE)))
        if sentence.cues:
            parts.append(_rows([_fated(c, "group") for c in sentence.cues], ("cue", FATE, "sets", "reaches")))
        told = [r for r in sentence.mentions if r["because"] != "default" or r["axis"] == "presence"]
        if told:
            parts.append(_rows(told, ("words", "axis", "value", "because", "precedence")))
    parts.append(Text("\nthe tiers of the case definition, in order (the first that fits counts)", "bold"))
    parts.append(_rows(list(_tier_rows(tiers)), ("tier", "", "constituents")))
    if reckoning:
        parts.append(Text("\nwhat made the probability (log odds)", "bold"))
        parts.append(_rows(list(_shares(annotated, assessment, reckoning)), ("adds", "because of", "mentions")))
    parts.append(Text(f"\n{because}", "bold"))
    return Group(*parts)


def _fated(row: Mapping[str, object], name: str) -> dict[str, object]:
    """A row with its rule, where that stands and what became of it in one cell, in which no name is broken."""
    return {**row, FATE: f"{row[name]}  {str(row['where']).removeprefix('patterns/')}\n{row['fate']}"}


def _tier_rows(tiers: Sequence[TierWhy]) -> Iterator[dict[str, str]]:
    """A row for each of what a tier found, lacks and is barred by; narrow, to be read on a small terminal."""
    for number, told in enumerate(tiers, 1):
        for what, names in (("found", told.found), ("lacking", told.lacking), ("barred by", told.barred_by)):
            if names:
                yield {"tier": f"{number} {told.tier}", "": what, "constituents": "; ".join(names)}


def _shares(annotated: AnnotatedReport, assessment: Assessment, sums: Reckoning) -> Iterator[dict[str, object]]:
    """What any report has, what this one adds to it, and what that comes to."""

    def row(adds: float, because: str, mentions: str = "") -> dict[str, object]:
        return {"adds": f"{adds:+.2f}", "because of": because, "mentions": mentions}

    yield row(sums.base, f"(every report starts here, if {100 * sums.prevalence:.3g} % are cases)")
    for c in assessment.contributions:
        yield row(c.log_odds, c.feature, ", ".join(_behind(c, annotated)))
    if sums.others:
        kinds = ", ".join(f"{n:,} by {kind} {share:+.2f}" for kind, (n, share) in sums.kinds.items())
        yield row(sums.rest, f"({sums.others:,} others, each of which adds or takes away less: {kinds})")
    yield row(sums.total, f"(sum: probability {_number(probability_of(sums.total))})")
    yield row(log_odds(sums.threshold), f"(threshold: probability {_number(sums.threshold)})")


def _behind(contribution: Contribution, annotated: AnnotatedReport) -> Iterator[str]:
    """The mentions behind a contribution; conditions, which have no ids, by their words alone."""
    words = {m.mention_id: _one_line(m.text) for m in annotated.mentions}
    yield from (f"{words.get(m, '')} ({m})" for m in contribution.mentions if m)
    if "" in contribution.mentions:
        yield from dict.fromkeys(_one_line(c.text) for c in _told(contribution.feature, annotated.conditions))


def _told(feature: str, conditions: Sequence[Mention]) -> Sequence[Mention]:
    """The conditions that a feature names; all, where it names none."""
    return [c for c in conditions if c.finding.replace("_", " ") in feature] or conditions


def _rows(rows: Sequence[Mapping[str, object]], heads: Sequence[str]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False, box=None, header_style="dim")
    for head in heads:
        table.add_column(head.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(str(row[head]))) for head in heads))
    return table


def _coloured(annotated: AnnotatedReport, assessment: Assessment) -> Text:
    """The report text, mentions coloured by assertion; evidence for the case status is underlined."""
    from rich.text import Text

    text = Text()
    mentions = [
        {"mention_id": m.mention_id, "start": m.start, "end": m.end, "assertion": m.assertion}
        for m in annotated.mentions
    ]
    for piece in pieces(annotated.report.text, mentions, assessment.evidence):
        style = STYLES[piece["mentions"][0]["assertion"]] if piece["mentions"] else ""
        text.append(visible(piece["text"]), f"{style} underline" if piece["evidence"] else style)
    return text


def visible(text: str) -> str:
    """`text` with control characters (terminal escapes among them) as visible signs; lines and tabs stay."""
    return text.replace("\r\n", "\n").translate(_SIGNS)


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))
