"""How inputs are read, for the commands beside `process` that read reports: its options, told in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from calcitrace.cli.process import process, tell_rejects
from calcitrace.errors import ExitCode

if TYPE_CHECKING:
    from calcitrace.corpus import RunOptions
    from calcitrace.model import Reject, Report

MAX_SHOWN = 10  # rows that are no reports
SHARED = [
    p
    for p in signature(process, eval_str=True).parameters.values()
    if p.name.endswith("_column") or p.name in ("source", "encoding", "delimiter", "date_order", "config")
]


class Reading:
    """What the flags, and the file of --config where they are silent, say of how to read."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._first_rejects: list[Reject] = []
        self._rejects = 0

    @cached_property
    def options(self) -> RunOptions:
        """The options of a run, as `process` has them."""
        from calcitrace.config import COLUMN_FLAGS, run_options, settings

        columns = {field: self._given[flag] for flag, field in COLUMN_FLAGS.items() if flag in self._given}
        return run_options(settings(self._given["config"], {**self._given, "columns": columns}))

    def reports(self, inputs: list[Path]) -> Iterator[Report]:
        """The reports of the inputs; the rows that are none are counted, and `tell` names them."""
        from calcitrace.sources import Options, read_reports

        said = self.options
        how = Options(said.columns, said.encoding, said.delimiter, said.source, said.date_order)
        return read_reports(inputs, how, self._reject)

    def _reject(self, reject: Reject) -> None:
        self._rejects += 1
        if len(self._first_rejects) < MAX_SHOWN:
            self._first_rejects.append(reject)

    def tell(self) -> bool:
        """Name the rows that were no reports, as `process` does; whether there are any."""
        if self._rejects:
            tell_rejects(self._first_rejects, self._rejects, ", and not looked at")
        return bool(self._rejects)


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `process` that say how its inputs are read; it gets them as `reading`.

    Rows that are no reports are named in the end, with the exit code of `process` where the command has no other.
    """

    def called(**given: Any) -> None:
        shared = {p.name: given.pop(p.name) for p in SHARED}
        reading = Reading(shared)
        try:
            command(**given, reading=reading)
        finally:
            rejected = reading.tell()
        if rejected:
            raise typer.Exit(ExitCode.REJECTS)

    own = signature(command, eval_str=True)
    options = [*(p for p in own.parameters.values() if p.name != "reading"), *SHARED]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {p.name: p.annotation for p in options}
    called.__signature__ = own.replace(parameters=options)  # type: ignore[attr-defined]
    return called
