"""What is said of reports, by a gold standard or by a system, in one form; read from a JSONL file or from a run.

Errors name the place (path:line or a report id), never what a report says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.ids import not_there
from calcitrace.model import CaseStatus, Change
from calcitrace.ruleset import ASSERTIONS
from calcitrace.tables import clean


@dataclass(frozen=True, slots=True)
class LabelledMention:
    """A mention as somebody labelled it; `assertion` is "" where none was given."""

    finding: str
    start: int
    end: int
    assertion: str = ""
    change: str = "none"
    rule_id: str = ""


@dataclass(frozen=True, slots=True)
class LabelledReport:
    """What somebody says of one report; only the labels named in `given` were stated and are scored."""

    report_id: str
    patient_id: str = ""
    text: str | None = None
    mentions: tuple[LabelledMention, ...] = ()
    case_status: str = "no"
    likely_case: bool = False
    case_probability: float | None = None
    migration_type: str = "none"
    tendon: str = "none"
    bone: str = "none"
    laterality: str = "none"
    size_mm: float | None = None
    absence_of_mass: bool = False
    given: frozenset[str] = field(default_factory=frozenset)


STRINGS = ("patient_id", "text", "migration_type", "tendon", "bone", "laterality")
NO_TABLE = (
    'no JSON line, such as {"report_id": "A1", "case_status": "definite"}; a table (CSV) with these columns becomes a '
    "gold standard by pandas: read_csv(TABLE, dtype=str).to_json(GOLD, orient='records', lines=True). Labels of 1 and "
    "0 in a table are for `calcitrace train`"
)
_ALIASES = {"case": "case_status", "label": "finding"}


def read_gold(path: str | Path) -> list[LabelledReport]:
    """The reports of a gold standard file: JSON lines in UTF-8, one report a line.

    Fields: report_id; optional patient_id, text, mentions (start, end, label or finding, assertion, change), case or
    case_status, migration_type, tendon, bone, laterality, size_mm (null: none stated), absence_of_mass. A field that
    is missing is not scored in that report; unknown fields are ignored.

    Raises:
        SourceError: the file cannot be read, holds no report, or a line is wrong (path:line).
    """
    path = Path(path)
    found: dict[str, tuple[int, LabelledReport]] = {}
    for line, row in _rows(path):
        report = _Checked(row, f"{path}:{line}").report()
        if report.report_id in found:
            raise SourceError(
                f"{path}:{line}: report id {report.report_id!r} was given before (line {found[report.report_id][0]})"
            )
        found[report.report_id] = line, report
    if not found:
        raise SourceError(f"{path}: holds no report; a gold standard has one JSON object a line")
    numbered = list(found.values())
    _check_assertions(path, numbered)
    axes = {axis for axis in ("assertion", "change") for _, r in numbered for m in r.mentions if getattr(m, axis)}
    return [_with_axes(report, axes) for _, report in numbered]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as handle:
            for line, raw in enumerate(handle, 1):
                if raw.strip():
                    yield line, _object(raw, f"{path}:{line}")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: not UTF-8") from None


def _object(raw: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(raw)
    except (ValueError, RecursionError) as error:
        if where.endswith(":1") and raw.lstrip()[:1] not in "{[":
            raise SourceError(f"{where}: {NO_TABLE}") from None
        column = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise SourceError(f"{where}: not valid JSON{column}; each line is one JSON object") from None
    if not isinstance(row, dict):
        raise SourceError(f"{where}: not a JSON object")
    return _renamed(row)


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {_ALIASES.get(k, k): v for k, v in row.items()}


class _Checked:
    """One row of a gold file, its fields checked one by one; `where` is path:line."""

    def __init__(self, row: Mapping[str, Any], where: str) -> None:
        self._row, self._where = row, where

    def _fail(self, message: str) -> SourceError:
        return SourceError(f"{self._where}: {message}")

    def report(self) -> LabelledReport:
        values: dict[str, Any] = {"report_id": self._report_id()}
        for name in STRINGS:
            values |= self._one(name, str, "a string")
        values |= self._one("absence_of_mass", bool, "true or false")
        values |= self._one("case_status", str, "a string", tuple(CaseStatus))
        if "size_mm" in self._row:
            values["size_mm"] = self._size()
        if self._row.get("mentions") is not None:
            values["mentions"] = self._mentions(values.get("text"))
        return LabelledReport(**values, given=frozenset(values))

    def _report_id(self) -> str:
        found = self._row.get("report_id")
        if not isinstance(found, str) or not found:
            raise self._fail("report_id is missing or not a string")
        return found

    def _one(self, name: str, kind: type, said: str, allowed: Sequence[str] = ()) -> dict[str, Any]:
        value = self._row.get(name)
        if value is None:
            return {}
        if not isinstance(value, kind):
            raise self._fail(f"{name} is not {said}")
        if allowed and value not in allowed:
            raise self._fail(f"{name} is not one of {', '.join(allowed)}")
        return {name: value}

    def _size(self) -> float | None:
        value = self._row["size_mm"]
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self._fail("size_mm is not a positive number or null")
        return float(value)

    def _mentions(self, text: str | None) -> tuple[LabelledMention, ...]:
        rows = self._row["mentions"]
        if not isinstance(rows, list):
            raise self._fail("mentions is not a list")
        return tuple(self._mention(row, f"mention {number}", text) for number, row in enumerate(rows, 1))

    def _mention(self, row: Any, which: str, text: str | None) -> LabelledMention:
        if not isinstance(row, dict):
            raise self._fail(f"{which} is not a JSON object")
        row = _renamed(row)
        start, end, finding = row.get("start"), row.get("end"), row.get("finding")
        if not isinstance(finding, str) or not finding:
            raise self._fail(f"{which}: label is missing or not a string")
        if type(start) is not int or type(end) is not int or not 0 <= start < end:
            raise self._fail(f"{which}: start and end must be whole numbers with 0 <= start < end")
        if text is not None and end > len(text):
            raise self._fail(f"{which}: end {end} lies behind the text, which has {len(text)} characters")
        if text is not None and row.get("text", text[start:end]) != text[start:end]:
            raise self._fail(f"{which}: its text is not what the report has at {start}:{end}")
        for name, allowed in (("assertion", ASSERTIONS), ("change", tuple(Change))):
            if row.get(name, allowed[0]) not in allowed:
                raise self._fail(f"{which}: {name} is not one of {', '.join(allowed)}")
        return LabelledMention(finding, start, end, row.get("assertion", ""), row.get("change", ""))


def _check_assertions(path: Path, numbered: Sequence[tuple[int, LabelledReport]]) -> None:
    """An assertion is given for every mention of a file or for none: a gap would count as an error of the system."""
    if not any(m.assertion for _, r in numbered for m in r.mentions):
        return
    for line, report in numbered:
        for number, mention in enumerate(report.mentions, 1):
            if not mention.assertion:
                raise SourceError(f"{path}:{line}: mention {number} has no assertion, though others in the file have")


def _with_axes(report: LabelledReport, axes: set[str]) -> LabelledReport:
    """The report with `given` naming assertion and change too, where its file labels them."""
    if "mentions" not in report.given:
        return report
    mentions = tuple(replace(m, change=m.change or "none") for m in report.mentions)
    return replace(report, mentions=mentions, given=report.given | axes)


RUN_LABELS = frozenset(
    "mentions assertion change case_status likely_case migration_type tendon bone laterality absence_of_mass".split()
)


def predictions_of_run(run: str | Path, gold: Sequence[LabelledReport]) -> list[LabelledReport]:
    """What a finished run says of the reports of a gold standard, in the order of `gold`.

    Raises:
        RunError: no run folder, or one that has not finished.
        UsageError: a gold report is not in the run, or the run read another text under its id.
    """
    from calcitrace.frames import read_run

    reports, mentions = read_run(run)
    rows = {r["report_id"]: r for r in _rows_of(reports, gold)}
    missing = [g.report_id for g in gold if g.report_id not in rows]
    if missing:
        raise UsageError(
            f"{run}: {not_there(missing, len(gold), 'gold reports', 'this run', reports['report_id'])}; "
            "process the reports of the gold standard, and look into rejects.jsonl"
        )
    own: dict[str, list[dict[str, Any]]] = {}
    for row in _rows_of(mentions, gold):
        own.setdefault(row["report_id"], []).append(row)
    for g in gold:
        _check_same_text(g, own.get(g.report_id, []))
    return [_prediction(rows[g.report_id], own.get(g.report_id, [])) for g in gold]


def _rows_of(table: Any, gold: Sequence[LabelledReport]) -> list[dict[str, Any]]:
    """The rows of a run's table that belong to gold reports."""
    rows: list[dict[str, Any]] = table[table["report_id"].isin([g.report_id for g in gold])].to_dict("records")
    return rows


def _check_same_text(gold: LabelledReport, mentions: Sequence[Mapping[str, Any]]) -> None:
    if gold.text is None:
        return
    for m in mentions:
        if clean(gold.text[m["start"] : m["end"]]) != m["text"]:
            raise UsageError(
                f"report {gold.report_id!r}: the run read another text than the gold standard holds; "
                "process the very texts that were annotated"
            )


def _prediction(row: Mapping[str, Any], mentions: Sequence[Mapping[str, Any]]) -> LabelledReport:
    numbers = {name: None if row.get(name) is None else float(row[name]) for name in ("case_probability", "size_mm")}
    numbers = {k: None if v is None or v != v else v for k, v in numbers.items()}
    given = RUN_LABELS | {"size_mm"} & set(row) | {k for k in ("case_probability",) if numbers[k] is not None}
    return LabelledReport(
        report_id=str(row["report_id"]),
        patient_id=str(row["patient_id"]),
        mentions=tuple(
            LabelledMention(m["finding"], int(m["start"]), int(m["end"]), m["assertion"], m["change"], m["rule_id"])
            for m in mentions
        ),
        case_status=str(row["case_status"]),
        likely_case=bool(row["likely_case"]),
        case_probability=numbers["case_probability"],
        migration_type=str(row["migration_type"]),
        tendon=str(row["tendon"]),
        bone=str(row["bone"]),
        laterality=str(row["laterality"]),
        size_mm=numbers["size_mm"],
        absence_of_mass=bool(row["absence_of_mass"]),
        given=given,
    )
