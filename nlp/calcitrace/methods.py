"""The Methods paragraph: versions, hashes and the counts that RECORD, STROBE and TRIPOD+AI ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.criteria import Criteria, Exclusion
from calcitrace.criteriafit import SAYS
from calcitrace.flow import Flow
from calcitrace.phrases import by, many
from calcitrace.rules import load_rules
from calcitrace.summary import threshold_of
from calcitrace.timeline import COPIED, DUPLICATE, VERSION

if TYPE_CHECKING:
    from calcitrace.cohort import Cohort


def methods(cohort: Cohort, pictures: Sequence[str] = ("flow.svg",)) -> str:
    """The paragraph and a table of where each reporting item is told, as Markdown.

    Args:
        pictures: the files of the flow diagram.
    """
    items = _items(cohort.flow, pictures, cohort.criteria.asks_model)
    return "\n\n".join(["# Methods", " ".join(_sentences(cohort)), "# Reporting items", items]) + "\n"


def _sentences(cohort: Cohort) -> Iterator[str]:
    flow, criteria = cohort.flow, cohort.criteria
    yield (
        f"Radiology reports were read with calcitrace {_all(m['calcitrace'] for m in cohort.manifests)} and the cohort "
        f"was built with calcitrace {version('calcitrace')} from {many(len(cohort.manifests), 'run')} "
        f"({'; '.join(_run(m, criteria) for m in cohort.manifests)})."
    )
    yield from _counted(flow)
    yield from _criteria(criteria, flow)
    left = flow.cases - flow.members
    yield (
        f"The index date is that of the first case report with a full date. {many(flow.cases, 'patient')} had a case "
        f"report; {many(left, 'patient')} {by(left, 'was', 'were')} excluded, each counted once, in the order of the "
        f"criteria; the cohort has {many(flow.members, 'patient')} with {many(flow.reports_of_members, 'report')}."
    )
    yield (
        "Case reports were grouped into episodes by bone and side; the migration type is the deepest of the index "
        "episode. The outcome is what the last report after the index date says of the bone involvement at the same "
        "bone and side (resolved, residual cyst, persistent; unknown where none does)."
    )
    unclear = int((cohort.timeline["date_kind"] != "day").sum()) if len(cohort.timeline) else 0
    if order := criteria.date_order:
        yield f"Dates in which day and month could be either way were read {SAYS[order]}."
    why = " (date_order was not given)" if flow.hints else ""
    yield f"{many(unclear, 'report')} had no full date{why}; none was guessed."
    yield (
        f"All assertions were made by rules{' and a model' if criteria.asks_model else ''} that were developed on "
        "synthetic reports; no accuracy is implied for this archive."
    )


def _counted(flow: Flow) -> Iterator[str]:
    merged = ", ".join(
        f"{flow.reports.get(box, 0):,} {said}"
        for box, said in (
            (VERSION, "merged as versions of a report"),
            (DUPLICATE, "with the same text on the same day"),
            (COPIED, "with a text copied forward"),
        )
    )
    rejected, reports = flow.rows - sum(flow.reports.values()), sum(flow.reports.values())
    yield (
        f"Of {many(flow.rows, 'row')} read, {rejected:,} {by(rejected, 'was', 'were')} rejected; of "
        f"{many(reports, 'report')}, {flow.counted:,} {by(flow.counted, 'counts', 'count')} ({merged}), of "
        f"{many(flow.all_patients, 'patient')}."
    )


def _criteria(criteria: Criteria, flow: Flow) -> Iterator[str]:
    source = f"the criteria file {criteria.file}" if criteria.file else "the built-in criteria"
    yield f"Criteria were those of {source} (SHA-256 {criteria.sha256[:12]}): {criteria.title or 'without a title'}."
    and_likely = " that is a likely case by the model" if criteria.likely_case else ""
    least = f" and a probability of at least {criteria.probability:g}" if criteria.probability is not None else ""
    yield f"A case report was one with case status {' or '.join(criteria.tiers)}{least}{and_likely}."
    why = exclusion_reasons(criteria.exclude)
    for name in (*flow.no_case[1:], *flow.excluded):
        yield f"{name}{why.get(name, '')}: {many(flow.patients[name], 'patient')}."


def exclusion_reasons(exclusions: Sequence[Exclusion]) -> dict[str, str]:
    """What each exclusion looks for, by its name, in brackets."""
    return {e.name: f" ({_reason(e)})" for e in exclusions}


def _reason(exclusion: Exclusion) -> str:
    """What an exclusion looks for, and when."""
    when = ", on or before the index date" if exclusion.when == "before" else ", at any time"
    if exclusion.wanted:
        return f"a code {', '.join(exclusion.wanted)} in {exclusion.table}{when}"
    names = " or ".join(n.replace("_", " ") for n in sorted(exclusion.mention))
    return f"a mention of {names} that is {' or '.join(sorted(exclusion.assertions))}{when}"


def _run(manifest: Mapping[str, Any], criteria: Criteria) -> str:
    said = f"{_model(manifest)}, " if criteria.asks_model else ""
    inputs = many(len(manifest["inputs"]), "input file")
    return (
        f"case definition {manifest['case']}, rule set SHA-256 {manifest['ruleset_hash'][:12]}{_own(manifest)}, "
        f"{said}{inputs}, "
        f"{manifest['rows']:,} rows, finished {manifest['finished']}"
    )


def _own(manifest: Mapping[str, Any]) -> str:
    """That a run used rules of one's own, with the name of their folder; empty where it used those that ship."""
    folder = manifest.get("options", {}).get("patterns", "")
    if not folder or manifest["ruleset_hash"] == load_rules().hash:
        return ""
    return f" (local rules from the folder {Path(folder).name}, not those that ship with calcitrace)"


def _model(manifest: Mapping[str, Any]) -> str:
    """The model of a run, with its threshold on the scale of the run's probabilities."""
    model, threshold = manifest.get("model"), threshold_of(manifest)
    if not model or threshold is None:
        return "no model"
    share = 100 * model["probabilities_at_prevalence"]
    at = f"threshold {threshold:.4g} at a prevalence of {share:.3g} %"
    return f"model {model['name']}, SHA-256 {model['sha256'][:12]}, {at}"


def _all(values: Any) -> str:
    return " and ".join(dict.fromkeys(map(str, values)))


def _items(flow: Flow, pictures: Sequence[str], model: bool) -> str:
    rows: Sequence[tuple[str, str, str]] = (
        ("RECORD 1.1-1.3, STROBE 1", "data source, period, place", "add: name of the archive, period, region"),
        ("RECORD 6.1, STROBE 6", "how patients were selected", "criteria file and the flow diagram"),
        ("RECORD 6.2", "validation of the selection", "add: an adjudicated sample (calcitrace evaluate)"),
        (
            "RECORD 7.1, STROBE 7",
            "codes and algorithms",
            f"{'rule set, case definition and model' if model else 'rule set and case definition'} by their hashes",
        ),
        ("RECORD 12.1-12.3", "access, cleaning, linkage", "manifest of each run: inputs, rejects with reasons"),
        ("RECORD 13.1, STROBE 13", "flow of participants", f"{', '.join(pictures)}; {many(flow.members, 'member')}"),
        ("STROBE 12c, 14b", "missing data", "Table 1, rows 'not known'; dates that are unclear or missing"),
        ("STROBE 14a", "characteristics", "Table 1"),
        *(
            (
                ("TRIPOD+AI 5-9", "data, participants, outcome, predictors", "card of the model (calcitrace model)"),
                ("TRIPOD+AI 12, 23", "model specification, performance", "model file by its hash; calcitrace evaluate"),
            )
            if model
            else ()
        ),
        ("RECORD 22.1, TRIPOD+AI 18", "availability of code and protocol", "versions above; criteria file"),
    )
    lines = ["| item | asks for | where |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    return "\n".join(lines)
