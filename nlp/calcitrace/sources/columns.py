"""Which column holds what: recognised names, the caller's own choice, and how a row's values become text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from calcitrace.errors import SourceError

_ALIASES = {
    "report_id": "report_id accession_number accession accession_no note_id report_number exam_id study_id id"
    " accession_num report_no exam_number study_number order_number order_num order_id order_proc_id"
    " untersuchungsnummer befundnummer auftragsnummer",
    "text": "text report report_text note_text radiology_report radiology_report_text full_text result_text report_body"
    " body",
    "patient_id": "patient_id mrn person_id subject_id patient pat_id patient_mrn pat_mrn pat_mrn_id"
    " medical_record_number"
    " patienten_id patientennummer patienten_nr pat_nr",
    "study_date": "study_date exam_date note_date report_date date study_datetime exam_datetime exam_completed_date"
    " exam_started_date exam_start_date exam_end_date exam_dttm procedure_date procedure_datetime service_date"
    " result_date result_datetime result_time result_dttm untersuchungsdatum befunddatum datum",
    "modality": "modality exam_modality study_modality modalität modalitaet",
    "body_part": "body_part body_part_examined procedure procedure_name exam exam_description study_description"
    " exam_name exam_desc study_desc procedure_description proc_description order_description order_name proc_name"
    " note_title körperregion koerperregion untersuchungsart untersuchung",
    "sex": "sex gender patient_sex pat_sex patient_gender pat_gender legal_sex birth_sex geschlecht",
    "age": "age patient_age pat_age age_years age_at_exam age_at_study alter patientenalter",
    "birth_date": "birth_date date_of_birth dob patient_birth_date pat_birth_date patient_dob pat_dob birth_datetime"
    " geburtsdatum gebdatum",
}
_PIECES = {
    "indication": "indication clinical_history history clinical_information reason_for_exam klinische_angaben"
    " fragestellung indikation anamnese",
    "technique": "technique technik untersuchungstechnik",
    "comparison": "comparison voruntersuchung voruntersuchungen",
    "findings": "findings finding befund befunde befundtext narrative",
    "impression": "impression conclusion beurteilung",
    "recommendation": "recommendation empfehlung",
    "addendum": "addendum nachtrag",
}
_OF_WHAT, _AS_WHAT = ("", "report_", "result_", "exam_", "radiology_", "rad_"), ("", "_text", "_txt")


def _variants(names: str) -> tuple[str, ...]:
    """Names of pieces as archives adorn them: `narrative_text`, `report_impression`; those without more come first."""
    return tuple(of + name + text for of in _OF_WHAT for text in _AS_WHAT for name in names.split())


FIELDS: dict[str, tuple[str, ...]] = {name: tuple(aliases.split()) for name, aliases in _ALIASES.items()}
FIELDS["text"] += _variants("narrative")
PIECES: dict[str, tuple[str, ...]] = {name: _variants(aliases) for name, aliases in _PIECES.items()}
CHOICES = (*FIELDS, *PIECES)
AGES = ("age", "birth_date")  # one of them is enough
_SHORT = {"report_id": "id", "patient_id": "patient", "study_date": "date"}
FLAGS = {name: f"--{_SHORT.get(name, name).replace('_', '-')}-column" for name in CHOICES}  # of the command line
NEEDED_PIECES = ("findings", "impression")
REPORTED = ("findings", "impression", "recommendation", "addendum")  # the rest tell what was asked and done
IN_PARTS = " and ".join(FLAGS[name] for name in NEEDED_PIECES)
MAX_NAME = 40
MIN_NAMES = 2  # one or two words may be a short report
_NAME = re.compile(r"[^\W\d_](?:[^\W\d]|[.-]|(?<=[^\W\d_]{3})\d\d?(?!\d))*")  # BEFUND, Body.Part, ICD10_Code
MAX_UNUSED, MAX_LISTED = 20, 50


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
        return bool(not text or self.given.get("text") or _plain(text) in map(_plain, PIECES["findings"]))

    def unread(self, others: Sequence[str]) -> str:
        """That columns are not read which look like report text, and the options that read them."""
        pieces = [name for name in PIECES if name in self.chosen]
        if not pieces:
            return f"not read, but looks like report text: {short(others)}; {IN_PARTS} join parts{self._whole()}"
        flags = [FLAGS[name] for name in NEEDED_PIECES if name not in pieces] or [FLAGS[n] for n in PIECES]
        only = f"only {' and '.join(pieces)} of each report will be read"
        return f"{only}; not read, but looks like report text: {short(others)}; {' or '.join(flags)} reads it, too"

    def _whole(self) -> str:
        return f" in place of {FLAGS['text']}" if self.given.get("text") else ""

    def _beside(self) -> str:
        if not self.beside_text:
            return ""
        pieces = " and ".join(f"{name} = {column}" for name, column in self.beside_text.items())
        return f"{pieces}: not read, since {FLAGS['text']} names the whole text; they are joined where it is left out"

    def lacking(self, named: bool = True) -> str:
        """The fields without a column and how to name one, and pieces asked for beside a whole text, in lines.

        Empty where no column is left over that may be meant. `named`: with those left over, if they are surely names.
        """
        return "\n".join(filter(None, (self._without(named), self._beside())))

    def _without(self, named: bool) -> str:
        known = {*self.chosen, "text", *(AGES if any(name in self.chosen for name in AGES) else ())}
        fields = [name for name in FIELDS if name not in known]
        if not fields or not self.unused:
            return ""
        flags = ", ".join(FLAGS[name] for name in fields)
        said = f"no column known for {', '.join(fields)} (name it with {flags})"
        return f"{said}; unused: {short(self.unused)}" if named else said


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
    by_name = {_plain(c): c for c in reversed(columns) if _plain(c)}
    fields = {name: _column(name, FIELDS[name], asked, columns, by_name) for name in FIELDS}
    pieces = {name: _column(name, PIECES[name], asked, columns, by_name) for name in PIECES}
    apart = fields["text"] == pieces["findings"] and pieces["impression"]
    if (apart or any(asked.get(name) for name in PIECES)) and not asked.get("text"):
        fields["text"] = ""
    if fields["text"]:
        pieces = {}
    elif not any(asked.get(name) for name in PIECES) and not any(pieces[name] for name in NEEDED_PIECES):
        advice = f"Name it with {FLAGS['text']}, or where it stands in parts with {IN_PARTS}, or in a file for --config"
        raise ColumnError("no column of report text", f"{listed(columns, asked.values())}. {advice}")
    found = {field: column for field, column in {**fields, **pieces}.items() if column}
    chosen = Columns(found, [c for c in columns if c and c not in found.values()], asked)
    doubled = next((c for c in chosen.names if columns.count(c) > 1), "")
    if doubled:
        raise ColumnError(f"column {doubled!r} stands twice in the header", "rename one of them")
    return chosen


def columns_named(needed: Sequence[str], columns: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The column that each needed name means, in any case and with any marks, and the names that none means.

    A field of reports, such as report_id, is known by its usual names.
    """
    by_name = {_plain(c): c for c in reversed(columns)}
    usual = {n: [_plain(a) for a in (n, *FIELDS.get(n, ()))] for n in needed}
    found = {n: n if n in columns else next((by_name[a] for a in usual[n] if a in by_name), "") for n in needed}
    return {n: c for n, c in found.items() if c}, [n for n, c in found.items() if not c]


def _plain(column: str) -> str:
    """A column name without case, spaces and marks: `Report-ID`, `report.id` and `ReportID` are one."""
    return "".join(c for c in column.lower() if c.isalnum())


def _column(
    name: str, aliases: Sequence[str], asked: Mapping[str, str], columns: Sequence[str], by_name: Mapping[str, str]
) -> str:
    given = asked.get(name, "")
    if not given:
        return next((by_name[_plain(a)] for a in aliases if _plain(a) in by_name), "")
    found = given if given in columns else by_name.get(_plain(given), "")
    if not found:
        near = get_close_matches(_plain(given), by_name, 1)
        meant = f"did you mean {by_name[near[0]]!r}? " if near else ""
        advice = f"{meant}{listed(columns, asked.values())}. Name one with {FLAGS[name]}"
        raise ColumnError(f"no column {given!r} for {name}", advice)
    return found


def listed(columns: Sequence[str], asked: Iterable[str] = (), least: int = MIN_NAMES + 1) -> str:
    """The names of the columns, where the header is surely one: without it, its cells may hold report text.

    It is where a name is a usual one or was asked for, or where all, `least` of them or more, look like names:
    different words without numbers.
    """
    known = {_plain(alias) for aliases in (*FIELDS.values(), *PIECES.values(), asked) for alias in aliases}
    names = len(set(columns)) == len(columns) >= least and all(_NAME.fullmatch(c) for c in columns)
    if not names and not any(_plain(c) in known for c in columns):
        return f"none of its {len(columns)} columns has a usual name (is its first row a header?)"
    return "columns are: " + short(columns, MAX_LISTED)


def is_piece(column: str, of: Iterable[str] = tuple(PIECES)) -> bool:
    """Whether a column has a usual name of one of these pieces of the text (findings, impression ...)."""
    return any(_plain(column) == _plain(alias) for piece in of for alias in PIECES[piece])


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
