"""How inputs are read, for the commands beside `process` that read reports: its options, told in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.cli.process import process

if TYPE_CHECKING:
    from calcitrace.corpus import RunOptions
    from calcitrace.model import Report

SHARED = [
    p
    for p in signature(process, eval_str=True).parameters.values()
    if p.name.endswith("_column") or p.name in ("source", "encoding", "delimiter", "date_order", "config")
]


class Reading:
    """What the flags, and the file of --config where they are silent, say of how to read."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    @cached_property
    def options(self) -> RunOptions:
        """The options of a run, as `process` has them."""
        from calcitrace.config import COLUMN_FLAGS, run_options, settings

        columns = {field: self._given[flag] for flag, field in COLUMN_FLAGS.items() if flag in self._given}
        return run_options(settings(self._given["config"], {**self._given, "columns": columns}))

    def reports(self, inputs: list[Path]) -> Iterator[Report]:
        """The reports of the inputs."""
        from calcitrace.sources import Options, read_reports

        said = self.options
        how = Options(said.columns, said.encoding, said.delimiter, said.source, said.date_order)
        return read_reports(inputs, how)


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `process` that say how its inputs are read; it gets them as `reading`."""

    def called(**given: Any) -> None:
        shared = {p.name: given.pop(p.name) for p in SHARED}
        command(**given, reading=Reading(shared))

    own = signature(command, eval_str=True)
    options = [*(p for p in own.parameters.values() if p.name != "reading"), *SHARED]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {p.name: p.annotation for p in options}
    called.__signature__ = own.replace(parameters=options)  # type: ignore[attr-defined]
    return called
