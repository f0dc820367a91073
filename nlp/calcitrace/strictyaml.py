"""YAML read as strings only, with the line of every value, so that an error can say `path:line`; and TOML.

Plain YAML turns `no` into False and silently keeps the last of two equal keys; a rule file may do neither.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from calcitrace.errors import CalcitraceError, RuleError

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class Faults:
    """Faults of what a user wrote, each kept where it is met, so that one does not hide another; raised as one.

    Args:
        kind: the error to raise; by default that of the first fault.
    """

    def __init__(self, kind: type[RuleError] | None = None) -> None:
        self._kind = kind
        self._found: list[RuleError] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A context that a fault ends and does not leave."""
        try:
            yield
        except RuleError as error:
            self._found.append(error)

    @contextmanager
    def first(self) -> Iterator[None]:
        """A context in whose place of an error of another kind the faults that were kept are raised."""
        try:
            yield
        except CalcitraceError:
            self.check()
            raise

    def check(self) -> None:
        """Raise the faults that were kept: the first, with the others below it, each once."""
        if self._found:
            first = self._found[0]
            others = dict.fromkeys(map(str, self._found[1:]))
            others.pop(str(first), None)
            raise (self._kind or type(first))(first.path, first.line, "\n".join([first.message, *others]))


class Text(str):
    """A string of a rule file that knows its line (counted from 1)."""

    line: int = 0


class Table(dict[Text, Any]):
    """A mapping of a rule file that knows its file and line."""

    path: str = ""
    line: int = 0

    def fail(self, message: str, at: Any = None) -> RuleError:
        """The error to raise about this mapping, or about the value `at` in it."""
        return RuleError(self.path, getattr(at, "line", self.line), message)

    def only(self, *allowed: str) -> Table:
        """This table, after checking that it has no other keys than `allowed`."""
        faults = Faults()
        for key in (k for k in self if k not in allowed):
            with faults.kept():
                raise self.fail(f"unknown key {str(key)!r}{meant(key, allowed)} known here: {', '.join(allowed)}", key)
        faults.check()
        return self

    def text(self, key: str, default: str | None = None) -> Text:
        """The string under `key`; an error where it is missing (without default) or not a string."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.fail(f"{key!r} must be a single value", value)
        return value if isinstance(value, Text) else _text(value, self.line)

    def items_of(self, key: str) -> list[Any]:
        """The list under `key`, empty where the key is missing."""
        value = self.get(Text(key), [])
        if not isinstance(value, list):
            raise self.fail(f"{key!r} must be a list", value)
        return value

    def texts(self, key: str) -> list[Text]:
        """The list of strings under `key`, empty where the key is missing."""
        values = self.items_of(key)
        for value in values:
            if not isinstance(value, Text):
                raise self.fail(f"{key!r} must be a list of single values", value)
        return values

    def table(self, key: str) -> Table:
        """The mapping under `key`, empty where the key is missing."""
        value = self.get(Text(key))
        if value is None:
            return _empty(self)
        if not isinstance(value, Table):
            raise self.fail(f"{key!r} must be a mapping", value)
        return value

    def tables(self, key: str) -> Iterator[tuple[Text, Table]]:
        """The named mappings under `key`, in order."""
        for name, value in self.table(key).items():
            if not isinstance(value, Table):
                raise self.fail(f"{str(name)!r} must be a mapping", name)
            yield name, value

    def whole(self, key: str) -> int | None:
        """The whole number under `key`, or None."""
        if Text(key) not in self:
            return None
        value = self.text(key)
        if not value.isdigit() or int(value) == 0:
            raise self.fail(f"{key!r} must be a whole number above 0", value)
        return int(value)

    def _get(self, key: str, default: str | None) -> Any:
        value = self.get(Text(key), default)
        if value is None:
            raise self.fail(f"{key!r} is missing")
        return value


class Row(list[Any]):
    """A list of a rule file that knows its line."""

    line: int = 0


def _text(value: str, line: int) -> Text:
    text = Text(value)
    text.line = line
    return text


def _empty(parent: Table) -> Table:
    table = Table()
    table.path, table.line = parent.path, parent.line
    return table


def meant(name: str, known: Iterable[str], otherwise: str = ";") -> str:
    """The known name that an unknown one may have been meant for, where one is near: how a message goes on."""
    near = get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else otherwise


_LINE = re.compile(r"(?P<what>.*?) \(at line (?P<line>\d+), .*\)", re.DOTALL)


def read_toml(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The content of a TOML file, and its lines.

    Raises:
        RuleError: unreadable, not UTF-8, or not TOML, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text), text.splitlines()
    except OSError as error:
        raise RuleError(str(path), 0, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RuleError(str(path), 1, f"not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        found = _LINE.fullmatch(str(error))
        line = int(found["line"]) if found else max(len(text.splitlines()), 1)
        what = (found["what"] if found else str(error)).removesuffix(" (at end of document)").lower()
        advice = "; a text stands in quotes" if what == "invalid value" else ""
        raise RuleError(str(path), line, f"not valid TOML ({what}){advice}") from None


def read_yaml(path: Path, shown: str) -> Table:
    """The mapping in the YAML file `path`; errors call it `shown`.

    Raises:
        RuleError: unreadable, not UTF-8, not YAML, a repeated key, a dash of a list that is indented more than the one
            above (YAML would make one value of both), or not a mapping at top level.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RuleError(shown, line, f"not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise RuleError(shown, 1, "not valid YAML: an unreadable character") from None
    except UnicodeDecodeError as error:
        raise RuleError(shown, 1, f"not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except OSError as error:
        raise RuleError(shown, 0, f"cannot be read: {error.strerror}") from None
    if not isinstance(node, yaml.MappingNode):
        raise RuleError(shown, 1, "must be a mapping (key: value) at top level")
    table = _plain(node, shown)
    assert isinstance(table, Table)
    return table


def _plain(node: yaml.Node, shown: str) -> Any:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        if not node.style and node.end_mark.line >= line and " - " in node.value:
            raise RuleError(shown, line + 1, f"reads as part of line {line}; indent the dashes of a list alike")
        return _text(node.value, line)
    if isinstance(node, yaml.SequenceNode):
        row = Row(_plain(item, shown) for item in node.value)
        row.line = line
        return row
    table = Table()
    table.path, table.line = shown, line
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise RuleError(shown, line, "a key must be a single value")
        name = _text(key.value, key.start_mark.line + 1)
        if name in table:
            raise RuleError(shown, name.line, f"{key.value!r} is given twice")
        table[name] = _plain(value, shown)
    return table
