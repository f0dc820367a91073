"""Who belongs in a cohort, as data: a YAML or TOML file read into `Criteria`, every error with its path:line.

Keys of a file (all optional): title; tiers; probability; adjudicated_only; modalities; sites; sides (these five say
which report makes a case); dates {from, to} and ages {from, to} of the index report; lookback_days; washout_days;
exclude (a list, counted in its order); date_order (dmy or mdy); without_patient_id (leave_out or own); run_sites (a
site for each run, where the tables name none); findings, depths, first_diagnosis, biopsy, normal_bone (what
tells the history, see criteria.yml).
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from calcitrace.errors import RuleError
from calcitrace.strictyaml import Row, Table, Text, read_yaml
from calcitrace.studydate import ORDERS, study_date

TIERS = ("definite", "probable", "possible")
SIDES = ("left", "right", "bilateral", "none")
WHEN = ("ever", "before")
ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
KNOWN = frozenset({"present", "historical"})
OWN, LEAVE_OUT = "own", "leave_out"
BUILT_IN = Path(__file__).with_name("criteria.yml")
KEYS = (
    *("title", "tiers", "probability", "adjudicated_only", "modalities", "sites", "sides", "dates", "ages"),
    *("lookback_days", "washout_days", "exclude", "date_order", "without_patient_id", "run_sites"),
    *("findings", "depths", "first_diagnosis", "biopsy", "normal_bone"),
)
ROLES = ("deposit", "vanishing", "bone", "cyst", "biopsy")


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason to leave a patient out: a finding or condition that is mentioned, or a code in a table.

    `when` is "ever", or "before": on or before the index date. `codes` are (site, patient) -> dates of the codes that
    were looked for (None where the table has no date); an empty site stands for every site.
    """

    name: str
    mention: frozenset[str] = frozenset()
    assertions: frozenset[str] = KNOWN
    when: str = "ever"
    codes: Mapping[tuple[str, str], tuple[date | None, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Criteria:
    """Who belongs in a cohort; without a file, every patient with a definite or probable report."""

    title: str = ""
    tiers: tuple[str, ...] = ("definite", "probable")
    probability: float | None = None
    adjudicated_only: bool = False
    modalities: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    dates: tuple[date | None, date | None] = (None, None)
    ages: tuple[float | None, float | None] = (None, None)
    lookback_days: int = 0
    washout_days: int = 0
    exclude: tuple[Exclusion, ...] = ()
    date_order: str = ""
    without_patient_id: str = LEAVE_OUT
    run_sites: tuple[str, ...] = ()
    findings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    depths: tuple[str, ...] = ()
    first_diagnosis: Mapping[str, frozenset[str]] = field(default_factory=dict)
    biopsy: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    normal_bone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    file: str = ""
    sha256: str = ""

    @property
    def told(self) -> frozenset[str]:
        """Every finding or condition that the criteria ask about."""
        groups = (*self.findings.values(), *self.first_diagnosis.values(), *(e.mention for e in self.exclude))
        return frozenset().union(*groups)


def read_criteria(path: str | Path | None = None) -> Criteria:
    """The criteria of a file, or the built-in ones; what a file does not say is as in the built-in ones.

    Raises:
        RuleError: the file cannot be read, is no YAML or TOML, or says something unknown or impossible (path:line).
    """
    given = _table(Path(path)) if path else Table()
    standard = read_yaml(BUILT_IN, BUILT_IN.name)
    given.only(*KEYS)
    merged = Table({**standard, **given})
    merged.path, merged.line = given.path or standard.path, 1
    for key in ("findings", "first_diagnosis", "biopsy", "normal_bone"):
        whole = Table({**standard.table(key), **given.table(key)})
        whole.path, whole.line = merged.path, 1
        merged[Text(key)] = whole
    source = Path(path) if path else BUILT_IN
    return _criteria(merged, source)


def _criteria(table: Table, source: Path) -> Criteria:
    order, lone = _one_of(table, "date_order", ("", *ORDERS)), _one_of(table, "without_patient_id", (LEAVE_OUT, OWN))
    table.table("findings").only(*ROLES)
    return Criteria(
        title=table.text("title", ""),
        tiers=_some_of(table, "tiers", TIERS),
        probability=_number(table, "probability", 0, 1),
        adjudicated_only=_one_of(table, "adjudicated_only", ("no", "yes", "false", "true")) in ("yes", "true"),
        modalities=tuple(map(str, table.texts("modalities"))),
        sites=tuple(map(str, table.texts("sites"))),
        sides=_some_of(table, "sides", SIDES),
        dates=_dates(table.table("dates").only("from", "to")),
        ages=_ages(table.table("ages").only("from", "to")),
        lookback_days=_days(table, "lookback_days"),
        washout_days=_days(table, "washout_days"),
        exclude=tuple(_exclusions(table, source.parent, order)),
        date_order=order,
        without_patient_id=lone,
        run_sites=tuple(map(str, table.texts("run_sites"))),
        findings={role: frozenset(map(str, table.table("findings").texts(role))) for role in ROLES},
        depths=tuple(map(str, table.texts("depths"))),
        first_diagnosis=_lists(table.table("first_diagnosis"), frozenset),
        biopsy=_lists(table.table("biopsy"), tuple),
        normal_bone=_lists(table.table("normal_bone"), tuple),
        file="" if source == BUILT_IN else source.name,
        sha256=sha256(source.read_bytes()).hexdigest(),
    )


def _lists(table: Table, kind: Any) -> dict[str, Any]:
    return {str(name): kind(map(str, table.texts(name))) for name in table}


def _table(path: Path) -> Table:
    if path.suffix.lower() != ".toml":
        return read_yaml(path, str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = tomllib.loads(text)
    except OSError as error:
        raise RuleError(str(path), 0, f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError(str(path), 1, f"not valid TOML ({type(error).__name__})") from None
    table = _strict(found, str(path), text.splitlines(), 1)
    assert isinstance(table, Table)
    return table


def _strict(value: Any, path: str, lines: list[str], line: int) -> Any:
    """TOML values as those of a rule file: strings only; the line of a key is the first that names it."""
    if isinstance(value, dict):
        table = Table()
        table.path, table.line = path, line
        for name, held in value.items():
            at = next((n for n, text in enumerate(lines, 1) if n >= line and name in text), line)
            table[_text(name, at)] = _strict(held, path, lines, at)
        return table
    if isinstance(value, list):
        row = Row(_strict(item, path, lines, line) for item in value)
        row.line = line
        return row
    return _text(str(value).lower() if isinstance(value, bool) else str(value), line)


def _text(value: str, line: int) -> Text:
    text = Text(value)
    text.line = line
    return text


def _one_of(table: Table, key: str, allowed: tuple[str, ...]) -> str:
    value = table.text(key, allowed[0])
    if value not in allowed:
        raise table.fail(f"{key!r} must be one of {', '.join(a for a in allowed if a)}", value)
    return str(value)


def _some_of(table: Table, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    for value in table.texts(key):
        if value not in allowed:
            raise table.fail(f"{key!r} holds {str(value)!r}; known are {', '.join(allowed)}", value)
    return tuple(map(str, table.texts(key)))


def _number(table: Table, key: str, low: float, high: float) -> float | None:
    if Text(key) not in table:
        return None
    value = table.text(key)
    try:
        number = float(value)
    except ValueError:
        number = high + 1
    if not low <= number <= high:
        raise table.fail(f"{key!r} must be a number from {low:g} to {high:g}", value)
    return number


def _days(table: Table, key: str) -> int:
    value = table.text(key, "0")
    if not value.isdigit():
        raise table.fail(f"{key!r} must be a whole number of days", value)
    return int(value)


def _dates(table: Table) -> tuple[date | None, date | None]:
    found: list[date | None] = []
    for key in ("from", "to"):
        said = study_date(table.text(key, ""))
        if Text(key) in table and said.day is None:
            raise table.fail(f"{key!r} must be a day such as 2015-01-31", table.text(key))
        found.append(said.day)
    _rising(table, *found)
    return found[0], found[1]


def _ages(table: Table) -> tuple[float | None, float | None]:
    low, high = _number(table, "from", 0, 130), _number(table, "to", 0, 130)
    _rising(table, low, high)
    return low, high


def _rising(table: Table, low: Any, high: Any) -> None:
    if low is not None and high is not None and low > high:
        raise table.fail("'from' lies after 'to'")


def _exclusions(table: Table, folder: Path, order: str) -> Iterator[Exclusion]:
    names: set[str] = set()
    for item in table.items_of("exclude"):
        if not isinstance(item, Table):
            raise table.fail("'exclude' must be a list of mappings, each with a name", item)
        item.only("name", "mention", "assertions", "when", "codes", "table", "patient", "code", "date", "site")
        name = item.text("name")
        if name in names:
            raise item.fail(f"two exclusions are called {str(name)!r}", name)
        names.add(name)
        if (Text("mention") in item) == (Text("codes") in item):
            raise item.fail(
                "an exclusion needs 'mention' (findings or conditions) or 'codes' and 'table', and not both"
            )
        yield _exclusion(item, folder, order)


def _exclusion(item: Table, folder: Path, order: str) -> Exclusion:
    name, when = str(item.text("name")), _one_of(item, "when", WHEN)
    if Text("codes") in item:
        return Exclusion(name, when=when, codes=_codes(item, folder, order))
    wanted = frozenset(_some_of(item, "assertions", ASSERTIONS)) or KNOWN
    return Exclusion(name, frozenset(map(str, _listed(item, "mention"))), wanted, when)


def _listed(table: Table, key: str) -> list[Text]:
    """A list, or a single value as a list of one."""
    value = table[Text(key)]
    return [value] if isinstance(value, Text) else table.texts(key)


def _codes(item: Table, folder: Path, order: str) -> Mapping[tuple[str, str], tuple[date | None, ...]]:
    """Who has one of the codes, from a CSV table beside the criteria; a code that ends in * is the beginning of one."""
    path, codes = folder / item.text("table"), [c.upper() for c in _listed(item, "codes")]
    columns = {
        k: str(item.text(k, d)) for k, d in (("patient", "patient_id"), ("code", "code"), ("date", ""), ("site", ""))
    }
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        missing = [c for c in columns.values() if c and c not in (rows.fieldnames or ())]
        if missing:
            raise item.fail(f"{path}: has no column {missing[0]!r}", item.text("table"))
        found: dict[tuple[str, str], list[date | None]] = {}
        for row in rows:
            if _has_code((row[columns["code"]] or "").strip().upper(), codes):
                who = ((row.get(columns["site"]) or "") if columns["site"] else "", row[columns["patient"]] or "")
                said = study_date((row[columns["date"]] or ""), order).day if columns["date"] else None
                found.setdefault(who, []).append(said)
    except OSError as error:
        raise item.fail(f"{path}: cannot be read ({error.strerror})", item.text("table")) from None
    except (UnicodeDecodeError, csv.Error):
        raise item.fail(f"{path}: not a CSV file in UTF-8", item.text("table")) from None
    return {who: tuple(dates) for who, dates in found.items()}


def _has_code(code: str, wanted: list[str]) -> bool:
    return any(code.startswith(w[:-1]) if w.endswith("*") else code == w for w in wanted)
