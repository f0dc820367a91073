"""Queue and decisions out to other tools, and decisions in from them: CSV, Label Studio JSON, doccano JSON lines.

Also what the rest of calcitrace reads: `labels` for `train` (report_id, label, group), `gold` for `evaluate` and
`cohort` for a cohort: patient_id, report_id, decision (yes, no, unsure) and by whom, one row a report with a final
decision. Texts go out only to the tools that show them, and only from a run that is named.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from calcitrace.adjudication import Final, Store, finals
from calcitrace.decisions import DECISIONS, DETAILS, Decision, Item
from calcitrace.errors import UsageError
from calcitrace.rerun import Rerun
from calcitrace.runfolder import commit_file
from calcitrace.tables import clean, safe_cell

COHORT_COLUMNS = (
    "patient_id",
    "report_id",
    "decision",
    "migration_type",
    "tendon",
    "laterality",
    "by",
    "reviewers",
    "at",
)
ROW_COLUMNS = tuple(f.name for f in fields(Decision))
LABEL_STUDIO_CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="decision" toName="text" choice="single" required="true">
    <Choice value="yes"/><Choice value="no"/><Choice value="unsure"/>
  </Choices>
{details}  <TextArea name="comment" toName="text"/>
</View>
"""
OF_A_YES = """\
  <Choices name="{name}" toName="text" choice="single" visibleWhen="choice-selected" whenTagName="decision"
    whenChoiceValue="yes">
    {words}
  </Choices>
"""


def export_decisions(store: Store, out: str | Path, form: str, run: str | Path | None = None) -> int:
    """Write the queue or the decisions of a store to a file; how many rows.

    Args:
        store: of a review.
        out: file to write.
        form: one of `FORMS`.
        run: the run folder; needed for label-studio and doccano, which show the texts.

    Raises:
        UsageError: an unknown form, or no run where texts are needed.
        StoreError, RunError: something cannot be read or written.
    """
    if form not in FORMS:
        raise UsageError(f"{form!r} is not one of {', '.join(FORMS)}")
    if form in WITH_TEXT and run is None:
        raise UsageError(f"{form} shows the texts: name the run folder too (--run)")
    text, rows = FORMS[form](store, _texts(store, run) if form in WITH_TEXT and run is not None else {})
    commit_file(Path(out), text.encode("utf-8"))
    if form == "label-studio":
        commit_file(Path(out).with_suffix(".config.xml"), _label_studio_config(store).encode())
    return rows


def _label_studio_config(store: Store) -> str:
    """What Label Studio asks: the decision and, of a yes, each detail in the words that can be chosen."""
    told = {
        n: [f"<Choice value={quoteattr(w)}/>" for w in words if w != "none"] for n, words in store.choices().items()
    }
    details = (OF_A_YES.format(name=name, words="".join(words)) for name, words in told.items())
    return LABEL_STUDIO_CONFIG.format(details="".join(details))


def _texts(store: Store, run: str | Path) -> dict[str, str]:
    wanted = {i.report_id for i in store.items()}
    found = {clean(r.report_id): clean(r.text) for r in Rerun(Path(run)).reports() if clean(r.report_id) in wanted}
    missing = len(wanted) - len(found)
    if missing:
        raise UsageError(f"{run}: {missing} reports of the store are not in this run; name the run it was made from")
    return found


def cohort_rows(store: Store) -> list[dict[str, str]]:
    """One row a report with a final decision: `COHORT_COLUMNS`, all texts; `by` tells how it was reached."""
    return [_cohort_row(f) for f in finals(store) if f.decision in DECISIONS]


def _cohort_row(final: Final) -> dict[str, str]:
    said = final.opinion
    row = {"patient_id": final.patient_id, "report_id": final.report_id, "decision": final.decision, "by": final.by}
    details = {n: getattr(said, n) if said else "none" for n in DETAILS}
    return {**row, **details, "reviewers": "; ".join(final.reviewers), "at": said.at if said else ""}


Made = tuple[str, int]
Texts = Mapping[str, str]


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Made:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row[c] is None else safe_cell(row[c]) for c in columns])
    return held.getvalue(), len(rows)


def _out_csv(store: Store, _: Texts) -> Made:
    return _csv(ROW_COLUMNS, [{c: getattr(d, c) for c in ROW_COLUMNS} for d in store.history()])


def _out_queue(store: Store, _: Texts) -> Made:
    """Places from 1; without stratum and probability, so that the audit stays blind."""
    rows = [{"place": i.place + 1, "report_id": i.report_id, "patient_id": i.patient_id} for i in store.items()]
    return _csv(("place", "report_id", "patient_id"), rows)


def _out_cohort(store: Store, _: Texts) -> Made:
    return _csv(COHORT_COLUMNS, cohort_rows(store))


def _out_labels(store: Store, _: Texts) -> Made:
    rows = [
        {"report_id": f.report_id, "label": f.decision, "group": f.unit}
        for f in finals(store)
        if f.decision in DECISIONS
    ]
    held = io.StringIO()  # read by a program: ids stay as they are
    writer = csv.DictWriter(held, ("report_id", "label", "group"), lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return held.getvalue(), len(rows)


def _lines(rows: Sequence[Any]) -> Made:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), len(rows)


def _out_gold(store: Store, _: Texts) -> Made:
    """JSON lines for `evaluate`; unsure is left out, a yes counts as definite."""
    rows = []
    for final in finals(store):
        if final.decision in ("yes", "no"):
            row = {"report_id": final.report_id, "patient_id": final.patient_id}
            row["case_status"] = "definite" if final.decision == "yes" else "no"
            if final.opinion and final.decision == "yes":
                told = {n: getattr(final.opinion, n) for n in DETAILS}
                row |= {n: v for n, v in told.items() if v != "none"}
            rows.append(row)
    return _lines(rows)


def _by_report(store: Store) -> Iterator[tuple[Item, list[Decision]]]:
    said: dict[str, list[Decision]] = {}
    for decision in store.current():
        said.setdefault(decision.report_id, []).append(decision)
    for item in store.items():
        yield item, said.get(item.report_id, [])


def _out_label_studio(store: Store, texts: Texts) -> Made:
    """Tasks with an annotation a decision, as Label Studio imports them."""
    tasks = [
        {
            "data": {"report_id": i.report_id, "patient_id": i.patient_id, "text": texts[i.report_id]},
            "annotations": [_annotation(d) for d in said],
        }
        for i, said in _by_report(store)
    ]
    return json.dumps(tasks, ensure_ascii=False, indent=1), len(tasks)


def _annotation(decision: Decision) -> dict[str, Any]:
    told = {"decision": decision.decision} | {n: getattr(decision, n) for n in DETAILS}
    result = [
        {"from_name": n, "to_name": "text", "type": "choices", "value": {"choices": [v]}}
        for n, v in told.items()
        if v != "none"
    ]
    if decision.comment:
        result.append(
            {"from_name": "comment", "to_name": "text", "type": "textarea", "value": {"text": [decision.comment]}}
        )
    return {"completed_by": {"email": decision.reviewer}, "created_at": decision.at, "result": result}


def _out_doccano(store: Store, texts: Texts) -> Made:
    """JSON lines for a doccano text classification project; a report that several decided has a line for each."""
    rows = []
    for item, said in _by_report(store):
        for decision in said or (None,):
            row: dict[str, Any] = {"text": texts[item.report_id], "label": [], "report_id": item.report_id}
            row["patient_id"] = item.patient_id
            if decision:
                told = [f"{n}:{getattr(decision, n)}" for n in DETAILS if getattr(decision, n) != "none"]
                row |= {"label": [decision.decision, *told], "reviewer": decision.reviewer, "at": decision.at}
                row |= {"comment": decision.comment} if decision.comment else {}
            rows.append(row)
    return _lines(rows)


FORMS: dict[str, Callable[[Store, Texts], Made]] = {
    "csv": _out_csv,
    "queue": _out_queue,
    "cohort": _out_cohort,
    "labels": _out_labels,
    "gold": _out_gold,
    "label-studio": _out_label_studio,
    "doccano": _out_doccano,
}
WITH_TEXT = frozenset({"label-studio", "doccano"})
