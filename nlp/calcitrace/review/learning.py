"""Learning from the decisions while they are made: after each batch a new model ranks the rest of the queue anew.

What it learns is kept in memory only, since it follows from the run and the decisions; `calcitrace train` makes a model
to keep. The ranking changes which report comes next, never what was drawn for the audit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from calcitrace.adjudication import Store, finals
from calcitrace.features import Features
from calcitrace.review.queue import ordered

if TYPE_CHECKING:
    from calcitrace.casemodel import CaseModel
    from calcitrace.review.shelf import Shelf

SENSITIVITY = 0.97


class Learner:
    """Learns in a thread of its own, so that no reader waits for it.

    Args:
        shelf: the reports.
        store: the decisions.
        arrange: told the new order of the units.
    """

    def __init__(self, shelf: Shelf, store: Store, arrange: Callable[[Sequence[str]], None]) -> None:
        self._shelf, self._store, self._arrange = shelf, store, arrange
        self._batch: int = shelf.settings["batch"]
        self._features: dict[str, Features] = {}
        self._since = 0
        self.state = "learns after the first batch"
        self._wanted = threading.Event()
        if len(store.decided()) >= self._batch:
            self._wanted.set()
        threading.Thread(target=self._work, daemon=True).start()

    def decided(self) -> None:
        """Count a decision; at the end of a batch learn."""
        self._since += 1
        if self._since >= self._batch:
            self._since = 0
            self._wanted.set()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self.state = self._learn()
            except Exception as error:  # readers go on in the order there was; the message may hold report text
                self.state = f"could not learn ({type(error).__name__}); the order stays"

    def _learn(self) -> str:
        said = {f.report_id: f.decision == "yes" for f in finals(self._store) if f.decision in ("yes", "no")}
        if len(set(said.values())) < 2:
            return "needs a yes and a no to learn from"
        model = learned(said, {r: self._shelf.items[r].unit for r in said}, self._of, self._shelf)
        chances = {r: model.probability(self._of(r)) for r in self._shelf.items}
        self._arrange(ordered(list(self._shelf.items.values()), chances, model.threshold))
        return f"ranked anew after {len(said):,} decisions"

    def _of(self, report_id: str) -> Features:
        if report_id not in self._features:
            self._features[report_id] = self._shelf.features(report_id)
        return self._features[report_id]


def learned(
    said: Mapping[str, bool], units: Mapping[str, str], features: Callable[[str], Features], shelf: Shelf
) -> CaseModel:
    """A model from decisions (case or not) by report id, started from the run's own."""
    from calcitrace.classifier import Labelled, fit

    labelled = Labelled([features(r) for r in said], list(said.values()), [units[r] for r in said], [1.0] * len(said))
    return fit(labelled, shelf.model_names(), SENSITIVITY, shelf.model, hold_out=False).model
