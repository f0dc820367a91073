"""Progress on stderr: of a run, and of any long loop."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

from calcitrace.cli.app import say

if TYPE_CHECKING:
    from rich.progress import TaskID

    from calcitrace.corpus import Progress

SELDOM = 60.0  # seconds between two lines where stderr is no terminal
SLOW = 600.0  # seconds over which the pace of steps is taken, since one may last a minute


class _Live:
    """What is done, as a line that changes where stderr is a terminal; elsewhere a line of its own, once a minute."""

    def __init__(self, *shown: str, speed: float = 30.0) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = {
            "bar": BarColumn(bar_width=24),
            "percent": TextColumn("{task.percentage:>3.0f}%"),
            "elapsed": TimeElapsedColumn(),
            "left": TextColumn("left"),
            "remaining": TimeRemainingColumn(),
        }
        self._bar = Rich(
            TextColumn("{task.description}"),
            *(columns[name] for name in shown),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            speed_estimate_period=speed,
        )
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, task: TaskID, description: str, fraction: float | None = None) -> None:
        """Show how far a task has come."""
        self._bar.update(task, completed=fraction, description=description)
        if self._bar.disable and time.monotonic() - self._said >= SELDOM:
            self._said = time.monotonic()
            say(description if fraction is None else f"{description}, {fraction:.0%} of the input")


class RunBar(_Live):
    """How far a run has come, with rate and time left; tells what was chosen."""

    def __init__(self) -> None:
        super().__init__("bar", "percent", "elapsed", "left", "remaining")
        self._task = self._bar.add_task("loading the rules", total=1.0)
        self._began = 0.0
        self._told: set[str] = set()
        self._warned: set[str] = set()

    def advance(self, progress: Progress) -> None:
        """Show how far the run has come."""
        self.warn(progress.warning)
        if not self._told:
            self.tell(progress.chosen, progress.lacking)
            if progress.reports and not progress.done:
                say(f"going on with an earlier run: {progress.reports:,} reports are read already")
        if not progress.done:
            self._began = time.monotonic()
        rate = progress.done / max(time.monotonic() - self._began, 0.001)
        said = f"{progress.reports:,} reports, {rate:,.0f}/s, {progress.likely:,} likely"
        self.show(self._task, said, progress.fraction)

    def warn(self, warning: str) -> None:
        """Say a warning, once."""
        if warning and warning not in self._warned:
            self._warned.add(warning)
            say(f"warning: no probabilities: {warning}")

    def tell(self, *told: Mapping[str, str]) -> None:
        """Say what was chosen for the inputs, and what they lack, once for all those that were read alike.

        Each note is a line of its own.
        """
        from calcitrace.sources import NOTE

        alike: dict[str, list[str]] = {}
        for path, said in chain.from_iterable(t.items() for t in told):
            for line in said.replace(f", {NOTE}", f"\n{NOTE}").split("\n"):
                alike.setdefault(line, []).append(Path(path).name)
        for said, names in alike.items():
            if said and said not in self._told:
                more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
                say(f"{names[0]}{more}: {said}")
        self._told |= alike.keys()


class Stages(_Live):
    """The stages of a longer task on stderr: a line each, and where stderr is a terminal a bar with the time left."""

    def __init__(self) -> None:
        super().__init__("bar", "elapsed", "left", "remaining", speed=SLOW)
        self._task: TaskID | None = None

    def begin(self, what: str) -> None:
        """A stage begins."""
        if self._bar.disable:
            say(what)
        self._task = self._bar.add_task(what, total=None)

    def step(self, done: int, of: int) -> None:
        """So much of the stage is done."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=of)


class Counting(_Live):
    """A count of what has been done, with its rate."""

    def __init__(self, what: str, first: str = "loading the rules") -> None:
        super().__init__("elapsed")
        self.done, self._what, self._began = 0, what, time.monotonic()
        self._task = self._bar.add_task(first)

    def one(self) -> None:
        """One more is done."""
        self.reached(self.done + 1)

    def reached(self, done: int) -> None:
        """So many are done."""
        self.done = done
        rate = done / max(time.monotonic() - self._began, 0.001)
        self.show(self._task, f"{done:,} {self._what}, {rate:,.0f}/s")
