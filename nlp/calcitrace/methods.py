"""The Methods, a paragraph a subject: versions, hashes and the counts that RECORD, STROBE and TRIPOD+AI ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.casewords import depths_in_words, in_words, listed, named_in, tier_in_words
from calcitrace.criteria import Criteria, Exclusion
from calcitrace.criteriafit import SAYS, tell_days
from calcitrace.decisions import DETAILS
from calcitrace.flow import Flow
from calcitrace.phrases import by, many
from calcitrace.rules import load_rules
from calcitrace.selection import ADDED, NO_PATIENT, REMOVED, SUPERSEDED, steps_to_a_case
from calcitrace.summary import threshold_of
from calcitrace.tableone import NOT_KNOWN
from calcitrace.timeline import COPIED, COUNTED, DUPLICATE, STATUSES, VERSION

if TYPE_CHECKING:
    from calcitrace.cohort import Cohort

SAID = {"yes": "yes (a definite case)", "no": "no (no case)", "unsure": "unsure (a possible case)"}
WORDS = {"laterality": "side"}
ALL_DATED = "All reports had a full date."
MOST_CHANGES = 12  # of the rules; of more their number is told
STARTER = "STARTER MODEL"  # begins the note of the model that ships
CONSTITUENTS = "# Constituents of the case definition"
READ = (
    "Each constituent is a mention of a finding, with what the report says of it. Bones and sides match unless both "
    "are told and differ. A report without a conclusion has all but its history searched in place of it. A star stands "
    "for any ending of a word."
)
VERSIONS = (
    " Versions of a report count as one, of the earliest day: the last that speaks of the bone decides, and what it "
    "leaves open stands as the others told it."
)
OUTCOME = (
    "The index date is that of the first case report with a full date. Case reports were grouped into episodes by bone "
    "and side; the migration type is the deepest of the index episode, that of the index report. The outcome is what "
    "the last report after the index date says of the bone involvement at the same bone and side (resolved, residual "
    'cyst, persistent); it is "not told" where no later report says it, and "no later report" where no report has a '
    "full date after the index date."
)
OVERRULED = (
    "Bone involvement that was read in a later report does not count where a reviewer decided that the report is no "
    "case, against the case definition."
)


def methods(cohort: Cohort, pictures: Sequence[str] = ("flow.svg",)) -> str:
    """The paragraphs and a table of where each reporting item is told, as Markdown.

    Args:
        pictures: the files of the flow diagram.
    """
    items = _items(cohort, pictures)
    told = [f"**{subject}.** {text}" for subject, text in paragraphs(cohort)]
    if defined := definitions(cohort):
        told += [CONSTITUENTS, READ, _table(("constituent", "is"), defined)]
    return "\n\n".join(["# Methods", *told, "# Reporting items", items]) + "\n"


def paragraphs(cohort: Cohort) -> list[tuple[str, str]]:
    """The paragraphs of Methods: the subject of each, and what there is to say of it."""
    flow, criteria, runs = cohort.flow, cohort.criteria, cohort.manifests
    return [
        ("Source", " ".join((_source(runs), _counted(flow), *_span(cohort)))),
        ("Extraction", _extraction(runs, criteria)),
        ("Case definition", " ".join(_case_definition(cohort))),
        ("Review", " ".join(_review(cohort))),
        ("Criteria", " ".join(_criteria(criteria, flow))),
        ("Cohort", _members(flow)),
        ("Index date and outcome", " ".join(_history(cohort))),
        ("Dates", " ".join(_dates(cohort))),
    ]


def definitions(cohort: Cohort) -> list[tuple[str, str]]:
    """Each constituent that the paragraphs name, with what it is by the file of the case definition."""
    named = ((case.constituents, named_in(case, cohort.criteria.tiers)) for case in cohort.cases)
    return list(dict.fromkeys((n.replace("_", " "), in_words(found[n])) for found, names in named for n in names))


def probabilities(runs: Sequence[Mapping[str, Any]]) -> str:
    """Of which model the probabilities of runs are, and where they hold."""
    if not any(run.get("model") for run in runs):
        return "No model was used, so that there are no probabilities."
    return (
        f"Probabilities are those of {_all(map(_model, runs))}: by {_all(map(_model_from, runs))}. They hold where so "
        f"many of the reports are cases, and are too high where fewer are.{_known_before(runs)}"
    )


def _known_before(runs: Sequence[Mapping[str, Any]]) -> str:
    """What to say where a model seems to have learned from the reports that it judges."""
    learned = {name for run in runs if run.get("model") for name in run["model"].get("learned_on", ())}
    if not (again := sorted(learned & {i["name"] for run in runs for i in run.get("inputs", ())})):
        return ""
    return (
        f" The model learned from an input of the same name ({_all(again)}): of reports that it learned from, "
        "probabilities are too near to 0 or 1."
    )


def _source(runs: Sequence[Mapping[str, Any]]) -> str:
    read = "; ".join(
        f"{many(len(m['inputs']), 'input file')}, {many(m['rows'], 'row')}, finished {m['finished'][:10]}" for m in runs
    )
    return f"The reports come from {many(len(runs), 'run')} ({read})."


def _extraction(runs: Sequence[Mapping[str, Any]], criteria: Criteria) -> str:
    hashes = _all(f"rule set SHA-256 {m['ruleset_hash'][:12]}" for m in runs)
    model = f" Likely cases and probabilities are by {_all(map(_model_from, runs))}." if criteria.asks_model else ""
    model += _known_before(runs) if model else ""
    return (
        f"Radiology reports were read with calcitrace {_all(m['calcitrace'] for m in runs)}, {hashes}; the cohort was "
        f"built with calcitrace {version('calcitrace')}. Findings and assertions were extracted by "
        f"{_all(map(_rules_from, runs))}.{model} This implies no accuracy for this archive."
    )


def _span(cohort: Cohort) -> Iterator[str]:
    """The modalities of the reports that count, the most frequent first, and their first and last day."""
    own = cohort.timeline[cohort.timeline["counted"] == COUNTED]
    days = own.loc[own["date_kind"] == "day", "date"]
    kinds = Counter(kind or NOT_KNOWN for kind in own["modality_kind"])
    if len(days):
        yield f"The study dates of the reports that count run from {days.min()} to {days.max()}."
    if len(own):
        told = sorted(kinds.items(), key=lambda k: (k[0] == NOT_KNOWN, -k[1], k[0]))
        yield f"Modalities of the reports that count: {', '.join(f'{kind} ({n:,})' for kind, n in told)}."


def _case_definition(cohort: Cohort) -> Iterator[str]:
    runs, criteria = cohort.manifests, cohort.criteria
    names = {m["case"]: m["case"] for m in runs} | {c.name: f'"{c.title}" ({c.path})' for c in cohort.cases}
    yield f"The case definition was {_all(names.values())}."
    for case in cohort.cases:
        yield from (tier_in_words(case, tier) for tier in criteria.tiers if any(t.tier == tier for t in case.tiers))
    if cohort.cases:
        yield "The first tier that fits counts. The constituents in quotation marks are defined below."
    yield from dict.fromkeys(map(depths_in_words, cohort.cases))
    yield f"A case report was one {', '.join(step.said for step in steps_to_a_case(criteria))}."
    if criteria.asks_model:
        yield f"Probabilities are those of {_all(map(_model, runs))}."


def _review(cohort: Cohort) -> Iterator[str]:
    review = cohort.review
    rows = cohort.timeline[cohort.timeline["adjudicated"].notna() & (cohort.timeline["counted"] != SUPERSEDED)]
    ids = list(rows["report_id"])
    if not ids:
        yield "No case status was decided by a reviewer."
        return
    people = len({name for report_id in ids for name in review.reviewers.get(report_id, ())})
    who = many(people, "reviewer") if people else "Reviewers"
    said = Counter(review.said[report_id] for report_id in ids)
    told = ", ".join(f"{SAID.get(word, word)} {said[word]:,}" for word in (*SAID, *STATUSES[:0:-1]) if said[word])
    yield f"{who} decided the case status of {many(len(ids), 'report')}, in place of the case definition: {told}."
    if judged := len(review.adjudicated.intersection(ids)):
        yield f"An adjudicator settled {judged:,} of them."
    alone = sum(len(review.reviewers.get(report_id, ())) == 1 for report_id in ids)
    if people > 1 and alone:
        yield f"{many(alone, 'report')} {by(alone, 'was', 'were')} decided by one reviewer alone."
    counted = cohort.timeline[cohort.timeline["counted"] == COUNTED]
    yield _details(Counter(name for names in counted["by_reviewer"] for name in names))
    if review.open:
        keep = by(review.open, "keeps", "keep")
        yield f"{many(review.open, 'report')} on which readers differ {keep} the case status of the case definition."
    yield from review.agreed or (["Agreement of the readers: add (calcitrace agreement)."] if people != 1 else [])
    if people:
        yield review.recall or "Recall of the review: add (calcitrace recall)."
    yield _changed(cohort.flow)


def _details(own: Mapping[str, int]) -> str:
    """Of how many reports type, tendon and side are those that reviewers told."""
    theirs = [f"{WORDS.get(name, name)} ({many(own[name], 'report')})" for name in DETAILS if own[name]]
    if not theirs:
        return "Migration type, tendon, bone and side are those that the rules read."
    bone = "; a bone that the rules did not read is that of the tendon" if own["tendon"] else ""
    return (
        f"What the review told of the {listed(theirs, 'and')} takes the place of what the rules read{bone}. All other "
        "details are those of the rules."
    )


def _changed(flow: Flow) -> str:
    """What the review changed in who has a case report."""
    added, removed = (flow.by_review[what] for what in (ADDED, REMOVED))
    return (
        f"Because of the review alone, {many(added, 'patient')} {by(added, 'has', 'have')} a case report, and "
        f"{many(removed, 'patient')} no longer {by(removed, 'has', 'have')} one."
    )


def _history(cohort: Cohort) -> Iterator[str]:
    yield OUTCOME + VERSIONS * (cohort.flow.reports.get(VERSION, 0) > 0)
    if "no" in cohort.review.said.values():
        yield OVERRULED
    found = (f"{name} ({listed(sorted(of), 'or')})" for name, of in cohort.criteria.first_diagnosis.items())
    yield (
        "What a case was first read as is what the reports before the index report state, or else suspect, at the same "
        f"bone and side: {listed(found, 'or')}, and none where they name neither or there are no such reports."
    )


def _members(flow: Flow) -> str:
    left = flow.cases - flow.members
    excluded = f"{many(left, 'patient')} {by(left, 'was', 'were')}" if left else "none was"
    return (
        f"{many(flow.cases, 'patient')} had a case report; {excluded} excluded; the cohort has "
        f"{many(flow.members, 'patient')} with {many(flow.reports_of_members, 'report')}."
    )


def _dates(cohort: Cohort) -> Iterator[str]:
    unclear = int((cohort.timeline["date_kind"] != "day").sum()) if len(cohort.timeline) else 0
    if order := cohort.criteria.date_order:
        yield f"Dates in which day and month could be either way were read {SAYS[order]}."
    why = " (date_order was not given)" if cohort.flow.hints else ""
    yield f"{many(unclear, 'report')} had no full date{why}; no date was guessed." if unclear else ALL_DATED


def _counted(flow: Flow) -> str:
    left_out = ", ".join(
        f"{flow.reports[box]:,} {said}"
        for box, said in (
            (SUPERSEDED, "read again by a later run"),
            (NO_PATIENT, "without a patient id"),
            (VERSION, "merged as versions of a report"),
            (DUPLICATE, "with the same text on the same day"),
            (COPIED, "with a text copied forward"),
        )
        if flow.reports.get(box)
    )
    rejected, reports = flow.rows - sum(flow.reports.values()), sum(flow.reports.values())
    told = f"{rejected:,} {by(rejected, 'was', 'were')}" if rejected else "none was"
    return (
        f"Of {many(flow.rows, 'row')} read, {told} rejected; of {many(reports, 'report')}, {flow.counted:,} "
        f"{by(flow.counted, 'counts', 'count')}{f' (left out: {left_out})' if left_out else ''}, of "
        f"{many(flow.all_patients, 'patient')}."
    )


def _criteria(criteria: Criteria, flow: Flow) -> Iterator[str]:
    source = f"the criteria file {criteria.file}" if criteria.file else "the built-in criteria"
    named = f', "{criteria.title}"' if criteria.title else ""
    yield f"Patients were selected by {source}{named} (SHA-256 {criteria.sha256[:12]})."
    why = exclusion_reasons(criteria.exclude)
    names = (*flow.no_case[1:], *flow.excluded)
    if left := [f"{n}{why.get(n, '')}: {many(flow.patients[n], 'patient')}" for n in names if flow.patients[n]]:
        yield f"Patients were left out for the first of these reasons that applied, in this order. {'. '.join(left)}."
    if nobody := [f'"{n}"{why.get(n, "")}' for n in names if not flow.patients[n]]:
        yield f"Nobody was left out for {', '.join(nobody)}."
    yield from (f"{told}." for e in criteria.exclude for told in tell_days(e, criteria.date_order))


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


def _rules_from(manifest: Mapping[str, Any]) -> str:
    """Whose rules a run used: those that ship, or those of a folder of one's own."""
    folder = manifest.get("options", {}).get("patterns", "")
    if not folder or manifest["ruleset_hash"] == load_rules().hash:
        return "the rules that ship with calcitrace, which were developed on synthetic reports"
    changed = manifest.get("rules_changed", ())
    more = (
        [f"{len(changed) - MOST_CHANGES} more, told by manifest.json of the run"] if len(changed) > MOST_CHANGES else []
    )
    told = f" ({'; '.join([*changed[:MOST_CHANGES], *more])})" if changed else ""
    return f"local rules from the folder {Path(folder).name}, not those that ship with calcitrace{told}"


def _model_from(manifest: Mapping[str, Any]) -> str:
    """Whose model a run used, and what it learned from, as far as its card tells."""
    if not (model := manifest.get("model")):
        return "no model"
    learned_from = model.get("learned_from", "")
    if learned_from.startswith(STARTER):
        return "the starter model, which was trained on synthetic reports"
    return f"a model that was trained locally ({learned_from or 'add: on which labels, and by whom'})"


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


def _items(cohort: Cohort, pictures: Sequence[str]) -> str:
    flow, model = cohort.flow, cohort.criteria.asks_model
    validation = "Review, above; add: accuracy of the rules" if flow.by_review else "add: an adjudicated sample"
    rows: Sequence[tuple[str, str, str]] = (
        ("RECORD 1.1-1.3, STROBE 1", "data source, period, place", "add: name of the archive, period, region"),
        ("RECORD 6.1, STROBE 6", "how patients were selected", "criteria file and the flow diagram"),
        ("RECORD 6.2", "validation of the selection", f"{validation} (calcitrace evaluate)"),
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
    return _table(("item", "asks for", "where"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
