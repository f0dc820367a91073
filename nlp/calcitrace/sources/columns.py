"""Which column holds what: recognised names, the caller's own choice, and how a row's values become text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from calcitrace.errors import SourceError
from calcitrace.sources.names import FIELDS, PIECES, like_date, like_site, like_text, plain

CHOICES = (*FIELDS, *PIECES)
AGES = ("age", "birth_date")  # one of them is enough
_SHORT = {"report_id": "id", "patient_id": "patient", "study_date": "date"}
FLAGS = {name: f"--{_SHORT.get(name, name).replace('_', '-')}-column" for name in CHOICES}  # of the command line
NEEDED_PIECES = ("findings", "impression")
REPORTED = ("findings", "impression", "recommendation", "addendum")  # the rest tell what was asked and done
IN_PARTS = " and ".join(FLAGS[name] for name in NEEDED_PIECES)
LISTED = "columns are: "
MAX_NAME = 40
MIN_NAMES = 2  # one or two words may be a short report
_NAME = re.compile(r"[^\W\d_](?:[^\W\d]|[.-]|(?<=[^\W\d_]{3})\d\d?(?!\d))*")  # BEFUND, Body.Part, ICD10_Code
MAX_UNUSED, MAX_LISTED = 20, 50

NO_IDS = "\nids are file and row then: an addendum is a report of its own, and labels by id do not fit"


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns chosen in one table: by field, or by piece of text where no column holds it whole; and the others.

    `given` are those that the caller asked for.
    """

    chosen: Mapping[str, str]
    unused: Sequence[str] = ()
    given: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Every column that is read, each once."""
        return list(dict.fromkeys(self.chosen.values()))

    def row(self, cells: Mapping[str, Any]) -> dict[str, Any]:
        """A row by field, from its cells by column."""
        return {field: cells.get(column) for field, column in self.chosen.items()}

    def places(self, header: Sequence[str]) -> dict[str, int]:
        """Where each field stands in a row under `header`."""
        return {field: list(header).index(column) for field, column in self.chosen.items()}

    def __str__(self) -> str:
        return "columns " + ", ".join(f"{field} = {column}" for field, column in self.chosen.items())

    @property
    def beside_text(self) -> dict[str, str]:
        """The pieces that the caller asked for beside a column of the whole text, which wins."""
        return {name: self.given[name] for name in PIECES if self.given.get("text") and self.given.get(name)}

    @property
    def in_part(self) -> bool:
        """Whether another column may hold report text, too: the text was named, stands in pieces, or is a narrative."""
        text = self.chosen.get("text", "")
        return bool(not text or self.given.get("text") or plain(text) in PIECES["findings"])

    def unread(self, others: Sequence[str]) -> str:
        """That columns are not read which look like report text, and the options that read them."""
        seen = f"not read, but looks like report text: {short(others)}"
        pieces = [name for name in PIECES if name in self.chosen]
        if pieces:
            flags = self._options(others, dict.fromkeys(pieces, ""))
            return f"only {' and '.join(pieces)} of each report will be read; {seen}; {flags} reads it, too"
        text = self.chosen.get("text", "")
        whole = {piece_of(text) or "findings": text} if text else {}
        return f"{seen}; {self._options(others, whole)} join parts{self._whole()}"

    def _options(self, others: Sequence[str], read: Mapping[str, str]) -> str:
        """The options, to be copied, that read these columns beside the pieces that are `read`."""
        pieces = dict(read)
        for column in others:
            free = [name for name in (piece_of(column), *NEEDED_PIECES) if name and name not in pieces]
            pieces |= {free[0]: column} if free else {}
        told = [option(name, column) for name, column in pieces.items() if column]
        return " ".join(told) or " or ".join(FLAGS[name] for name in PIECES)

    def _whole(self) -> str:
        return f" in place of {FLAGS['text']}" if self.given.get("text") else ""

    def _beside(self) -> str:
        if not self.beside_text:
            return ""
        pieces = " and ".join(f"{name} = {column}" for name, column in self.beside_text.items())
        whole, joins = FLAGS["text"], FLAGS["findings"]
        return f"{pieces}: not read, since {whole} names the whole text; {joins} in its place joins them"

    def lacking(self, named: bool = True) -> str:
        """The fields without a column and how to name one, and pieces asked for beside a whole text, in lines.

        Empty where no column is left over that may be meant. `named`: with those left over, if they are surely names.
        """
        told = (*self._parts(), *self._sites()) if named else ()
        return "\n".join(filter(None, (self._without(named), self._beside(), *told)))

    def _without(self, named: bool) -> str:
        known = {*self.chosen, "text", *(AGES if any(name in self.chosen for name in AGES) else ())}
        fields = [name for name in FIELDS if name not in known]
        if not self.unused:
            return ""
        if not fields:
            return f"columns that are not read: {short(self.unused)}" if named else ""
        flags = ", ".join(FLAGS[name] for name in fields)
        said = f"no column known for {', '.join(fields)} (name it with {flags})"
        said = f"{said}; unused: {short(self.unused)}{self._dates(fields)}" if named else said
        return f"{said}{NO_IDS}" if "report_id" in fields else said

    def _parts(self) -> Iterator[str]:
        """That columns with the name of a part of a report are not read beside the whole of it, and how they are."""
        parts = {piece_of(column): column for column in reversed(self.unused) if piece_of(column)}
        if "text" in self.chosen and parts and not self.given.get("text"):
            options = " ".join(option(piece, column) for piece, column in parts.items())
            yield f"{short([*parts.values()])}: not read beside {self.chosen['text']!r}, unless named; {options} joins"

    def _sites(self) -> Iterator[str]:
        """That columns which may hold the hospital are not read, and what to do where there are several."""
        if found := [column for column in self.unused if like_site(column)]:
            yield (
                f"{short(found)}: where that is more than one hospital, process a file of each by itself, and name the "
                "runs by run_sites in the criteria of a cohort: else equal patient ids are one patient"
            )

    def _dates(self, lacking: Sequence[str]) -> str:
        """Which option takes a date of which the name does not say that it is the study's."""
        dates = [c for c in self.unused if like_date(c)] if "study_date" in lacking else []
        told = f" takes {'that' if len(dates) == 1 else 'the first'} date, if it is the study's"
        return f"; {option('study_date', dates[0])}{told}" if dates else ""


class ColumnError(SourceError):
    """A table without a column that is needed; `brief` names no other columns."""

    def __init__(self, brief: str, advice: str) -> None:
        super().__init__(f"{brief}; {advice}")
        self.brief = brief


def choose_columns(columns: Iterable[str], asked: Mapping[str, str]) -> Columns:
    """The columns to read: those `asked` for (by field or piece), and for the rest those with a usual name.

    Separate pieces (findings, impression ...) make the text where no column holds it whole, or where the caller
    asks for a piece and not for a text. A narrative beside an impression is a piece: such archives keep them apart.

    Raises:
        ColumnError: a column asked for does not exist, one that is read stands twice, or there is no text.
    """
    columns = list(columns)
    by_name = {plain(c): c for c in reversed(columns) if plain(c)}
    fields = {name: _column(name, FIELDS[name], asked, columns, by_name) for name in FIELDS}
    pieces = {name: _column(name, PIECES[name], asked, columns, by_name) for name in PIECES}
    apart = fields["text"] == pieces["findings"] and pieces["impression"]
    if (apart or any(asked.get(name) for name in PIECES)) and not asked.get("text"):
        whole, fields["text"] = fields["text"], ""
        pieces["findings"] = pieces["findings"] or whole  # what was named is joined to the report
    if fields["text"]:
        pieces = {}
    elif not any(asked.get(name) for name in PIECES) and not any(pieces[name] for name in NEEDED_PIECES):
        raise _no_text(columns, asked, [*fields.values()])
    found = {field: column for field, column in {**fields, **pieces}.items() if column}
    chosen = Columns(found, [c for c in columns if c and c not in found.values()], asked)
    doubled = next((c for c in chosen.names if columns.count(c) > 1), "")
    if doubled:
        raise ColumnError(f"column {doubled!r} stands twice in the header", "rename one of them")
    return chosen


def _no_text(columns: Sequence[str], asked: Mapping[str, str], known: Sequence[str]) -> ColumnError:
    """That there is no column of text, and how to name it; with one that is not `known` where its name resembles."""
    seen = listed(columns, asked.values())
    alike = [c for c in columns if seen.startswith(LISTED) and like_text(c) and c not in known]
    ways = f"{option('text', (*alike, '')[0])}, or where it stands in parts with {IN_PARTS}"
    return ColumnError("no column of report text", f"{seen}. Name it with {ways}, or in a file for --config")


def columns_named(needed: Sequence[str], columns: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The column that each needed name means, in any case and with any marks, and the names that none means.

    A field of reports, such as report_id, is known by its usual names.
    """
    by_name = {plain(c): c for c in reversed(columns)}
    usual = {n: [plain(n), *FIELDS.get(n, ())] for n in needed}
    found = {n: n if n in columns else next((by_name[a] for a in usual[n] if a in by_name), "") for n in needed}
    return {n: c for n, c in found.items() if c}, [n for n, c in found.items() if not c]


def _column(
    name: str, aliases: Sequence[str], asked: Mapping[str, str], columns: Sequence[str], by_name: Mapping[str, str]
) -> str:
    given = asked.get(name, "")
    if not given:
        return next((by_name[a] for a in aliases if a in by_name), "")
    found = given if given in columns else by_name.get(plain(given), "")
    if not found:
        near = get_close_matches(plain(given), by_name, 1)
        meant = f"did you mean {by_name[near[0]]!r}? " if near else ""
        advice = f"{meant}{listed(columns, asked.values())}. Name one with {FLAGS[name]}"
        raise ColumnError(f"no column {given!r} for {name}", advice)
    return found


def listed(columns: Sequence[str], asked: Iterable[str] = (), least: int = MIN_NAMES + 1) -> str:
    """The names of the columns, where the header is surely one: without it, its cells may hold report text.

    It is where a name is a usual one or was asked for, or where all, `least` of them or more, look like names:
    different words without numbers.
    """
    known = {*map(plain, asked)}.union(*FIELDS.values(), *PIECES.values())
    names = len(set(columns)) == len(columns) >= least and all(_NAME.fullmatch(c) for c in columns)
    if not names and not any(plain(c) in known for c in columns):
        return f"none of its {len(columns)} columns has a usual name (is its first row a header?)"
    return LISTED + short(columns, MAX_LISTED)


def option(name: str, column: str) -> str:
    """The option that takes a column for a field or piece, to be copied; without the column where it is no name."""
    shown = 0 < len(column) <= MAX_NAME and not set('"\\$`\n') & set(column)
    return f'{FLAGS[name]} "{column}"' if shown else FLAGS[name]


def piece_of(column: str) -> str:
    """The piece of the text of which a column has a usual name, or empty."""
    return next((piece for piece, names in PIECES.items() if plain(column) in names), "")


def is_piece(column: str, of: Iterable[str] = tuple(PIECES)) -> bool:
    """Whether a column has a usual name of one of these pieces of the text (findings, impression ...)."""
    return any(plain(column) in PIECES[piece] for piece in of)


def is_name(cell: str) -> bool:
    """Whether a cell of a first row could be the name of a column."""
    return len(cell) <= MAX_NAME and bool(_NAME.fullmatch("".join(cell.split())))


def short(columns: Sequence[str], most: int = MAX_UNUSED) -> str:
    """The names of columns, the first `most` of them, without those that are too long for a name."""
    more = f" and {len(columns) - most:,} more" if len(columns) > most else ""
    return ", ".join(c if 0 < len(c) <= MAX_NAME else "..." for c in columns[:most]) + more


def text_of(value: Any) -> str:
    """A cell as text, exactly as given where it is text; empty for null and NaN.

    Whole numbers have no decimals, dates are ISO (with the time where it is not midnight), truth is true or false.

    Raises:
        ValueError: the cell holds what is no single value (a list, a mapping, bytes that are not UTF-8).
    """
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, Mapping | list | tuple | set):
        raise ValueError("not a single value")
    return value.isoformat().removesuffix("T00:00:00") if hasattr(value, "isoformat") else str(value)


def joined(pieces: Iterable[tuple[str, str]]) -> str:
    """One text of the pieces (name, text) that hold any, each under its heading unless it brings its own."""
    return "\n\n".join(_headed(name.upper(), text) for name, text in pieces if text.strip())


def _headed(heading: str, text: str) -> str:
    own = text.lstrip()[: len(heading) + 1].upper()
    return text if own == f"{heading}:" else f"{heading}:\n{text}"
