"""JSONL: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calcitrace.sources.columns import ColumnError, Columns, choose_columns
from calcitrace.sources.reading import (
    MAX_TEXT,
    WRONG_BYTES,
    Bad,
    Numbered,
    Options,
    Others,
    Tally,
    TextFile,
    guarded,
    unread,
)

MAX_KEY_SETS = 1000


def read_jsonl(path: Path, options: Options, tally: Tally) -> Numbered:
    """The rows of a file with one JSON object a line; numbers are kept as they are written."""
    with TextFile(path, options, tally) as file:
        yield from guarded(_json_rows(path, file, options, tally))


def _json_rows(path: Path, file: TextFile, options: Options, tally: Tally) -> Numbered:
    choice = _Choice(path, options, tally)
    for number, row in json_objects(file):
        if isinstance(row, Bad):
            yield number, row
        else:
            columns = choice(row)
            yield number, columns if isinstance(columns, Bad) else columns.row(row)


def json_objects(file: TextFile) -> Iterator[tuple[int, dict[str, Any] | Bad]]:
    """The JSON objects of a file with one a line, numbered by line; numbers in them are kept as they are written."""
    for number, line in enumerate(file.lines(), 1):
        if line is None:
            yield number, Bad(f"a line of more than {MAX_TEXT:,} characters")
        elif line.strip():
            yield number, json_object(line)


class _Choice:
    """The columns of rows that need not have the same ones; what was chosen is told once for each set of keys."""

    def __init__(self, path: Path, options: Options, tally: Tally) -> None:
        self._path, self._options, self._tally = path, options, tally
        self._known: dict[tuple[str, ...], Columns | Bad] = {}
        self._found: dict[str, str] = {}
        self._unused: set[str] = set()
        self._others = Others(str(path), tally)

    def __call__(self, row: Mapping[str, Any]) -> Columns | Bad:
        """The columns for a row, or why it has none."""
        keys = tuple(row)
        if keys not in self._known:
            if len(self._known) >= MAX_KEY_SETS:
                self._known.clear()
            self._known[keys] = self._choose(keys)
        self._others.look(keys, row.values())
        return self._known[keys]

    def _choose(self, keys: tuple[str, ...]) -> Columns | Bad:
        try:
            columns = choose_columns(keys, self._options.columns)
        except ColumnError as error:
            return Bad(error.brief)
        if str(columns) not in self._tally.chosen[str(self._path)]:
            self._tally.say(self._path, str(columns))
        self._found.update(columns.chosen)
        self._unused |= set(columns.unused)
        all_columns = Columns(self._found, sorted(self._unused), self._options.columns)
        self._others.among(all_columns, named=False)
        return columns


def json_object(text: str) -> dict[str, Any] | Bad:
    """The JSON object that a text is, or why it is none."""
    if unread(text):
        return Bad(WRONG_BYTES)
    try:
        row = json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return Bad(str(error) if isinstance(error, _TwiceError) else "not valid JSON")
    return row if isinstance(row, dict) else Bad("not a JSON object")


class _TwiceError(ValueError):
    """A key that stands twice in one JSON object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError("a key stands twice in the JSON object")
    return found
