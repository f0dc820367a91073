"""What reviewers decided, as a cohort takes it: a case status by report, by whom, and how far two readers agreed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calcitrace.decisions import DETAILS
from calcitrace.errors import UsageError
from calcitrace.runfolder import run_mark
from calcitrace.timeline import STATUSES

OF_ANOTHER_RUN = "The review was drawn from another run, so that its audit tells nothing of the recall of this cohort."
NONE_TWICE = "No report was decided by two readers, so that agreement cannot be told."
DECIDED = {"yes": "definite", "no": "no", "unsure": "possible"}


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Decisions by report id: what was `said` (yes, no, unsure, or a case status), and the `reviewers`, if known.

    `adjudicated` are the ids of those that an adjudicator settled.

    `open` counts reports on which readers disagree and nobody has adjudicated; these keep the status of the case
    definition. `agreed` tells in a sentence each how far two readers of a store agree, `recall` what its audit says of
    cases that were missed, or why it says nothing yet ("" where there is no store). `details` are the migration type,
    tendon and side of a yes, as far as they were told and readers do not differ. `run` is the mark of a store's run.
    """

    said: Mapping[str, str] = field(default_factory=dict)
    reviewers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    open: int = 0
    agreed: tuple[str, ...] = ()
    recall: str = ""
    details: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    adjudicated: frozenset[str] = frozenset()
    run: str = ""

    @property
    def statuses(self) -> dict[str, str]:
        """The case status of each report that was decided: yes is definite, no is no, unsure is possible."""
        return {report_id: DECIDED.get(said, said) for report_id, said in self.said.items()}

    def of_runs(self, manifests: Iterable[Mapping[str, Any]]) -> Reviewed:
        """The same for a cohort of these runs: what a store's audit tells of another run's recall is left out."""
        known = not self.run or self.run in map(run_mark, manifests)
        return self if known else replace(self, recall=OF_ANOTHER_RUN)


def reviewed(given: str | Path | Mapping[str, str] | None) -> Reviewed:
    """What was decided, by a store of decisions, an export of one for a cohort, a file of labels or a mapping.

    Raises:
        ModelError, SourceError, StoreError, UsageError: it cannot be read (path:line).
    """
    from calcitrace.exchange import holds_decisions, is_store, read_adjudications

    if given is None or isinstance(given, Mapping):
        return Reviewed(given or {})
    path = Path(given)
    if not holds_decisions(path):
        return Reviewed(_labels(path))
    found = read_adjudications(path)
    said = {report_id: row["decision"] for report_id, row in found.items()}
    who = {report_id: tuple(filter(None, row["reviewers"].split("; "))) for report_id, row in found.items()}
    told = {i: {n: r[n] for n in DETAILS if r[n] not in ("", "none")} for i, r in found.items() if said[i] == "yes"}
    judged = frozenset(report_id for report_id, row in found.items() if row["by"] == "adjudicated")
    still_open, agreed, recall, run = _of_store(path) if is_store(path) else (0, (), "", "")
    return Reviewed(said, who, still_open, agreed, recall, told, judged, run)


def _of_store(path: Path) -> tuple[int, tuple[str, ...], str, str]:
    """Reports of a store that are open, how far two readers agree, if two read the same, its recall, and its run."""
    from calcitrace.adjudication import Store, disagreements
    from calcitrace.agreement import agreement, decision_sentences
    from calcitrace.recall import recall

    agreed: tuple[str, ...] = ()
    with Store(path) as store:
        if len({decision.reviewer for decision in store.current()}) > 1:
            agreed = (NONE_TWICE,)
        with suppress(UsageError):
            agreed = tuple(decision_sentences(agreement(store), blind=not store.from_files()))
        found = recall(store)
        told = found.sentence or f"No recall of the review can be claimed yet: {found.refusal}."
        return len(disagreements(store)), agreed, told, store.about()["run"]


def _labels(path: Path) -> dict[str, str]:
    """What a file of labels says of each report: a case status as it is, else yes, no or unsure."""
    from calcitrace.labels import CASE, LEFT_OUT, NO_CASE, label_rows, quoted

    words = dict.fromkeys(CASE, "yes") | dict.fromkeys(NO_CASE, "no") | dict.fromkeys(LEFT_OUT, "unsure")
    words |= {status: status for status in STATUSES}
    found: dict[str, str] = {}
    for line, row in label_rows(path):
        said = row["label"].strip().lower()
        if said not in words:
            raise UsageError(f"{path}:{line}: the label{quoted(row['label'])} is no case status and not yes or no")
        found[row["report_id"]] = words[said]
    return found
