"""The variables of the exports: names, labels, kinds and codes, from `variables.yml`, and the data dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.tables import clean

if TYPE_CHECKING:
    from calcitrace.strictyaml import Table

TABLES = ("patients", "reports", "mentions")
INDIRECT = ("site", "body_part", "modality", "sex", "age", "study_date_partial")  # as the archive gives them
Row = Mapping[str, Any]
DICTIONARY = ("table", "variable", "label", "kind", "values", "identifier", "note")


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of a table of an export.

    Args:
        kind: text, list (of texts), date, integer, number, flag (yes or no) or category.
        values: of a category, each value with its label; the code of a value is its place, from 0.
        identifier: whether it can name a patient.
        free_text: whether it holds words of a report.
        column: its name in the cohort's tables.
        few: of a text, whether it has few values, each a word.
        note: what a reader of the label may ask.
    """

    name: str
    label: str
    kind: str
    values: Mapping[str, str]
    identifier: bool
    free_text: bool
    column: str
    few: bool = False
    note: str = ""

    @property
    def may_name(self) -> bool:
        """Whether it can name a patient, by itself or with others: ids, words of reports, dates and `INDIRECT`."""
        return self.identifier or self.free_text or self.kind == "date" or self.name in INDIRECT

    @property
    def codes(self) -> dict[str, int]:
        """The code of each value."""
        return {value: code for code, value in enumerate(self.values)}

    @property
    def labels(self) -> dict[int, str]:
        """The label of each code; a flag has the codes 0 and 1."""
        if self.kind == "flag":
            return {0: "No", 1: "Yes"}
        return dict(enumerate(self.values.values()))

    def seen_in(self, rows: Iterable[Row]) -> Variable:
        """This variable, with values that it does not know but the rows have put behind its own, so that none is lost.

        A case definition of a hospital's own can have such values.
        """
        found = (
            {str(row[self.name]) for row in rows if row[self.name] is not None} if self.kind == "category" else set()
        )
        return replace(self, values={**self.values, **{v: v for v in sorted(found - self.values.keys())}})

    def code(self, value: Any) -> Any:
        """A value as numbers and texts alone: codes for categories and flags, JSON for lists; None stays None."""
        if value is None:
            return None
        if self.kind == "category":
            return self.codes[value]
        return int(value) if self.kind == "flag" else as_text(value) if self.kind == "list" else value

    def spelled(self, value: Any) -> Any:
        """A value as words: JSON for lists, else as it is."""
        return as_text(value) if self.kind == "list" and value is not None else value


def read_variables(free_text: bool) -> dict[str, tuple[Variable, ...]]:
    """The variables of each table, with those that hold words of a report only where they are asked for."""
    from calcitrace.strictyaml import read_yaml

    path = Path(__file__).with_name("variables.yml")
    found = read_yaml(path, path.name)
    tables = {name: [_variable(key, said) for key, said in found.tables(name)] for name in TABLES}
    return {name: tuple(v for v in all_ if free_text or not v.free_text) for name, all_ in tables.items()}


def _variable(name: str, said: Table) -> Variable:
    said.only("label", "kind", "values", "identifier", "free_text", "column", "few", "note")
    values = {str(k): str(v) for k, v in said.table("values").items()}
    identifier, free_text, few = (said.text(key, "no") == "yes" for key in ("identifier", "free_text", "few"))
    column = str(said.text("column", name))
    told = str(name), str(said.text("label")), str(said.text("kind"))
    return Variable(*told, values, identifier, free_text, column, few, str(said.text("note", "")))


def plain(value: Any, kind: str) -> Any:
    """A value of the cohort's tables as a value of this kind; what is blank, or does not fit, becomes None.

    Text keeps every character but those that databases and statistics programs refuse: NUL, and what is no UTF-8.
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    if kind == "list":
        return [_text(item) for item in value]
    if kind == "date":
        return whole_date(value)
    if kind in ("integer", "number"):
        return _number(value, whole=kind == "integer")
    return bool(value) if kind == "flag" else _text(value)


def _text(value: Any) -> str:
    return clean(str(value)).replace("\0", "\ufffd")


def _number(value: Any, whole: bool) -> int | float | None:
    try:
        return int(value) if whole else float(value)
    except (TypeError, ValueError):
        return None


def whole_date(value: Any) -> date | None:
    """The day of an ISO date, None where it is none."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def as_text(value: Any) -> str:
    """A value as one text: ISO dates, JSON lists, whole numbers without decimals."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)


def dictionary(variables: Mapping[str, Iterable[Variable]]) -> list[dict[str, str]]:
    """The data dictionary, one row a variable; values as `code = value (label)`, one a line."""
    told = (
        (table, v.name, v.label, v.kind, _values(v), "yes" if v.identifier else "no", v.note)
        for table, found in variables.items()
        for v in found
    )
    return [dict(zip(DICTIONARY, row, strict=True)) for row in told]


def _values(variable: Variable) -> str:
    if variable.kind == "flag":
        return "0 = False (No)\n1 = True (Yes)"
    return "\n".join(f"{variable.codes[value]} = {value} ({label})" for value, label in variable.values.items())
