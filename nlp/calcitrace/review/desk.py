"""What one reviewer works at: the next report, decisions and undo, progress, reasons. The page asks for all of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from calcitrace.adjudication import Store, disagreements
from calcitrace.decisions import ADJUDICATOR, DETAILS, READER, Decision, Item, Opinion, check_reviewer
from calcitrace.errors import ConflictError, StoreError, UsageError
from calcitrace.review.learning import Learner
from calcitrace.review.queue import shuffled
from calcitrace.review.shelf import Shelf
from calcitrace.tables import clean

LEASE = timedelta(minutes=20)  # for which a report that one reader has open is not given to another
PACE_OF = 50  # the decisions whose median time is the pace
LONGEST = 3600.0
REASONS = ("before", "after", "never")


def check_reader(reviewer: str, reasons: str) -> None:
    """Check who is to read, and when reasons are to be shown.

    Raises:
        UsageError: either cannot be.
    """
    check_reviewer(reviewer)
    if reasons not in REASONS:
        raise UsageError(f"reasons are shown {', '.join(REASONS)} the decision; {reasons!r} is none of these")


class Desk:
    """The desk of one reviewer at one store; threads may share it.

    Args:
        shelf: the reports.
        store: where decisions go.
        reviewer: name or initials.
        adjudicate: read what readers disagree on, as a third.
        reasons: whether the tool's reasons can be seen "before" the decision, "after" it or "never".
        learn: after each batch of decisions learn from all of them and rank the rest anew.

    Raises:
        UsageError: no name, or an unknown word.
    """

    def __init__(
        self,
        shelf: Shelf,
        store: Store,
        reviewer: str,
        adjudicate: bool = False,
        reasons: str = "after",
        learn: bool = False,
    ) -> None:
        check_reader(reviewer, reasons)
        self.shelf, self.store, self.reviewer, self.reasons = shelf, store, reviewer, reasons
        self.role = ADJUDICATOR if adjudicate else READER
        self.arrange(list(dict.fromkeys(i.unit for i in shelf.items.values())))
        self._learner = Learner(shelf, store, self.arrange) if learn else None

    def arrange(self, units: Sequence[str]) -> None:
        """Take over an order of the units; within a batch it becomes one of the reviewer's own."""
        settings = self.shelf.settings
        within: dict[str, list[Item]] = {}
        for item in self.shelf.items.values():
            within.setdefault(item.unit, []).append(item)
        mixed = shuffled(units, settings["batch"], settings["seed"], self.reviewer)
        self._order = [item for unit in mixed for item in within[unit]]

    # the next report

    def next(self) -> Item | None:
        """The first report of the queue that this reviewer has to decide; None when all is done."""
        found = next(iter(self._to_do()), None)
        if found:
            self.store.note(found.report_id, self.reviewer, "opened")
        return found

    def _to_do(self) -> list[Item]:
        """The reports that this reviewer has still to decide, in order."""
        rows = self.store.decided()
        own = {r for r, who, _, _ in rows if who == self.reviewer}
        if self.role == ADJUDICATOR:
            return [self.shelf.items[r] for r in disagreements(self.store) if r not in own]
        others = {r for r, who, role, _ in rows if who != self.reviewer and role == READER}
        since = (datetime.now(UTC) - LEASE).isoformat(timespec="seconds")
        others |= {r for r, who in self.store.opened_since(since) if who != self.reviewer}
        return [i for i in self._order if i.report_id not in own and (i.double or i.report_id not in others)]

    def view(self, item: Item) -> dict[str, Any]:
        """Everything that the page shows of a report to decide."""
        shown = {**self.shelf.shown(item.report_id), "timeline": self.shelf.timeline(item.unit)}
        if self.reasons == "before":
            shown["reasons"] = self.shelf.reasons(item.report_id)
        if self.role == ADJUDICATOR:
            shown["opinions"] = self._opinions(item.report_id)
        return shown

    def _opinions(self, report_id: str) -> list[dict[str, Any]]:
        """What the readers said, without their names."""
        said = [d for d in self.store.current(role=READER) if d.report_id == report_id]
        fields = ("decision", *DETAILS, "comment", "flag")
        return [{f: getattr(d, f) for f in fields} for d in sorted(said, key=lambda d: d.reviewer)]

    # decisions

    def decide(self, said: Mapping[str, Any]) -> Decision:
        """Save what the page sends: key, report_id, decision and the rest of an opinion.

        Raises:
            UsageError: something in it makes no sense.
            ConflictError: the report has been decided in the meantime.
        """
        opinion = self._opinion(said)
        informed = self.reasons == "before" or self.store.has_seen(opinion.report_id, self.reviewer, "reasons")
        if self.role == ADJUDICATOR and opinion.report_id not in self._adjudicable():
            raise ConflictError("the readers do not disagree on this report, or it was adjudicated")
        saved = self.store.decide(opinion, self.reviewer, _key(said), self.role, _seconds(said), informed)
        if self._learner:
            self._learner.decided()
        return saved

    def _adjudicable(self) -> set[str]:
        """What is open, and what this adjudicator has decided (the store tells that it is decided)."""
        return {d.report_id for d in self.store.current(self.reviewer, ADJUDICATOR)} | set(disagreements(self.store))

    def _opinion(self, said: Mapping[str, Any]) -> Opinion:
        names = ("report_id", "decision", *DETAILS, "comment")
        texts = {n: said.get(n, "") for n in names}
        flag = said.get("flag", False)
        if not all(isinstance(v, str) for v in texts.values()) or not isinstance(flag, bool):
            raise UsageError("a decision has texts, and a flag that is true or false")
        texts |= {n: (texts[n] or "none") if texts["decision"] == "yes" else "none" for n in DETAILS}
        return Opinion(**{**texts, "comment": clean(texts["comment"])}, flag=flag)

    def undo(self, said: Mapping[str, Any]) -> Item:
        """Take back the decision `id`; the report that it was on.

        Raises:
            ConflictError: it is not this reviewer's, or was taken back.
        """
        number = said.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**63:
            raise UsageError("undo needs the number of a decision")
        own = next((d.report_id for d in self.store.current(self.reviewer) if d.id == number), "")
        informed = self.store.has_seen(own, self.reviewer, "reasons")
        return self.shelf.items[self.store.undo(number, self.reviewer, _key(said), informed).report_id]

    def last(self) -> dict[str, Any] | None:
        """This reviewer's latest decision that holds."""
        own = self.store.current(self.reviewer, self.role)
        return {k: v for k, v in asdict(own[-1]).items() if k in ("id", "report_id", "decision")} if own else None

    def progress(self) -> dict[str, Any]:
        """How many are done and left, how many today (UTC), the pace (median seconds) and the time left (seconds)."""
        own = self.store.current(self.reviewer, self.role)
        left = len(self._to_do())
        times = [d.seconds for d in own if d.seconds is not None][-PACE_OF:]
        pace = statistics.median(times) if times else None
        today = datetime.now(UTC).date().isoformat()
        return {
            "done": len(own),
            "total": len(own) + left,
            "today": sum(d.at.startswith(today) for d in own),
            "pace": pace,
            "left_seconds": None if pace is None else pace * left,
            "learned": self._learner.state if self._learner else "",
        }

    def explain(self, report_id: str) -> dict[str, Any]:
        """The tool's reasons for a report, where this reviewer may see them now; that they were seen is kept.

        Raises:
            StoreError: not in this study, or not before the decision.
        """
        if self.reasons == "never":
            raise StoreError("in this study the tool's reasons are not shown")
        own = {r for r, who, _, _ in self.store.decided() if who == self.reviewer}
        if self.reasons == "after" and report_id not in own:
            raise StoreError("the tool's reasons can be seen after the decision")
        found = self.shelf.reasons(report_id)
        if not self.store.has_seen(report_id, self.reviewer, "reasons"):
            self.store.note(report_id, self.reviewer, "reasons")
        return found


def _key(said: Mapping[str, Any]) -> str:
    key = said.get("key")
    if not isinstance(key, str) or not 8 <= len(key) <= 100 or not key.isascii():
        raise UsageError("a decision needs a key of its own")
    return key


def _seconds(said: Mapping[str, Any]) -> float | None:
    seconds = said.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        return None
    return min(float(seconds), LONGEST)
