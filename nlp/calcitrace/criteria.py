"""Who belongs in a cohort, as data: a YAML or TOML file read into `Criteria`, every error with its path:line.

What a file may say stands in `criteriakeys.py`; all keys are optional.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from calcitrace.criteriakeys import ASSERTIONS, CRITERIA, KNOWN, LEAVE_OUT, OWN, SIDES, TIERS, WHEN, YES_NO, told
from calcitrace.errors import CriteriaError, RuleError, SourceError
from calcitrace.model import Experiencer, Mention
from calcitrace.sources import ListError, read_list
from calcitrace.strictyaml import Faults, Row, Table, Text, meant, read_toml, read_yaml
from calcitrace.studydate import ORDERS, study_date

BUILT_IN = Path(__file__).with_name("criteria.yml")
MAPPINGS = ("findings", "first_diagnosis", "biopsy", "normal_bone")
ROLES = tuple(CRITERIA["findings"].keys)
Person = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason to leave a patient out: a finding or condition that is mentioned, or a code in a table.

    `when` is "ever", or "before": on or before the index date. `wanted` are the codes as given, and `codes` are
    (site, patient) -> the days of those that were found, as written ("" where the table has none); an empty site stands
    for every site. `people` are all (site, patient) of the `table`, whatever their codes.
    """

    name: str
    mention: frozenset[str] = frozenset()
    assertions: frozenset[str] = frozenset(KNOWN)
    when: str = WHEN[0]
    wanted: tuple[str, ...] = ()
    codes: Mapping[Person, tuple[str, ...]] | None = None
    people: frozenset[Person] = frozenset()
    table: str = ""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Who belongs in a cohort; without a file, every patient with a definite or probable report.

    Names that come from a file know their line (`Text`), so that an error can tell it.
    """

    title: str = ""
    tiers: tuple[str, ...] = ("definite", "probable")
    likely_case: bool = False
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
    path: str = ""

    @property
    def asks_model(self) -> bool:
        """Whether what a model says decides who is in."""
        return self.likely_case or self.probability is not None

    @property
    def told(self) -> frozenset[str]:
        """Every finding or condition that the criteria ask about."""
        groups = (*self.findings.values(), *self.first_diagnosis.values(), *(e.mention for e in self.exclude))
        return frozenset().union(*groups)

    def asks(self, mention: Mention) -> bool:
        """Whether they ask about a mention: of such a finding, and of the patient, not of a relative."""
        return mention.finding in self.told and mention.asserted.experiencer == Experiencer.PATIENT

    def fail(self, message: str, at: object = None) -> CriteriaError:
        """The error to raise about the criteria, or about the name `at` in them."""
        return CriteriaError(self.path or "criteria", getattr(at, "line", 0), message)


def read_criteria(path: str | Path | None = None, faults: Faults | None = None) -> Criteria:
    """The criteria of a file, or the built-in ones; what a file does not say is as in the built-in ones.

    Args:
        path: the file.
        faults: where what is wrong in a file that can be read is kept, to be raised with what else is found; the
            criteria then have the default in its place.

    Raises:
        CriteriaError: the file cannot be read, is no YAML or TOML, or says something unknown or impossible (path:line).
    """
    kept = faults or Faults(CriteriaError)
    try:
        found = _read(Path(path) if path else BUILT_IN, kept)
    except RuleError as error:
        raise CriteriaError(error.path, error.line, error.message) from None
    if faults is None:
        kept.check()
    return found


def criteria_help() -> str:
    """What a criteria file may say: every key with its meaning, values and default, as Markdown."""
    return "\n".join(told(CRITERIA, read_yaml(BUILT_IN, BUILT_IN.name)))


def _read(source: Path, faults: Faults) -> Criteria:
    standard = read_yaml(BUILT_IN, BUILT_IN.name)
    given = standard if source == BUILT_IN else _table(source)
    with faults.kept():
        given.only(*CRITERIA)
    merged = Table({**standard, **given})
    merged.path, merged.line = given.path, 1
    for key in (k for k in CRITERIA if CRITERIA[k].keys and k != "exclude"):
        with faults.kept():
            own = given.table(key)
            if key in MAPPINGS:
                merged[Text(key)] = whole = Table({**standard.table(key), **own})
                whole.path, whole.line = merged.path, 1
            own.only(*CRITERIA[key].keys)
    return _criteria(merged, source, faults)


def _criteria(table: Table, source: Path, faults: Faults) -> Criteria:
    """The criteria that a table says; every key is looked at, and those with faults have their default."""
    readers: dict[str, Callable[[], Any]] = {
        "title": lambda: table.text("title", ""),
        "tiers": lambda: _some_of(table, "tiers", TIERS),
        "likely_case": lambda: _yes(table, "likely_case"),
        "probability": lambda: _number(table, "probability", 0, 1),
        "adjudicated_only": lambda: _yes(table, "adjudicated_only"),
        "modalities": lambda: tuple(table.texts("modalities")),
        "sites": lambda: tuple(table.texts("sites")),
        "sides": lambda: _some_of(table, "sides", SIDES),
        "dates": lambda: _dates(table.table("dates")),
        "ages": lambda: _ages(table.table("ages")),
        "lookback_days": lambda: _days(table, "lookback_days"),
        "washout_days": lambda: _days(table, "washout_days"),
        "date_order": lambda: _one_of(table, "date_order", ("", *ORDERS)),
        "without_patient_id": lambda: _one_of(table, "without_patient_id", (LEAVE_OUT, OWN)),
        "run_sites": lambda: tuple(table.texts("run_sites")),
        "findings": lambda: {role: frozenset(table.table("findings").texts(role)) for role in ROLES},
        "depths": lambda: tuple(table.texts("depths")),
        "first_diagnosis": lambda: _lists(table.table("first_diagnosis"), frozenset),
        "biopsy": lambda: _lists(table.table("biopsy"), tuple),
        "normal_bone": lambda: _lists(table.table("normal_bone"), tuple),
    }
    said: dict[str, Any] = {}
    for name, read in readers.items():
        with faults.kept():
            said[name] = read()
    with faults.kept():
        said["exclude"] = tuple(_exclusions(table, source.parent, faults))
    file, digest = "" if source == BUILT_IN else source.name, sha256(source.read_bytes()).hexdigest()
    return Criteria(**said, file=file, sha256=digest, path=table.path)


def _lists(table: Table, kind: Any) -> dict[str, Any]:
    return {str(name): kind(table.texts(name)) for name in table}


def _table(path: Path) -> Table:
    if path.suffix.lower() != ".toml":
        return read_yaml(path, str(path))
    found, lines = read_toml(path)
    table = _strict(found, str(path), lines, 1)
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
        known = [a for a in allowed if a]
        raise table.fail(f"{key!r} must be one of {', '.join(known)}{meant(value, known, '')}", value)
    return value


def _yes(table: Table, key: str) -> bool:
    return _one_of(table, key, YES_NO) in ("yes", "true")


def _some_of(table: Table, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    faults, known = Faults(), ", ".join(allowed)
    for value in (v for v in table.texts(key) if v not in allowed):
        with faults.kept():
            raise table.fail(f"{key!r} holds {str(value)!r}{meant(value, allowed)} known are {known}", value)
    faults.check()
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
    found, faults = list[date | None](), Faults()
    for key in ("from", "to"):
        with faults.kept():
            said = study_date(table.text(key, ""))
            if Text(key) in table and said.day is None:
                raise table.fail(f"{key!r} must be a day such as 2015-01-31", table.text(key))
            found.append(said.day)
    faults.check()
    _rising(table, *found)
    return found[0], found[1]


def _ages(table: Table) -> tuple[float | None, float | None]:
    low, high = _number(table, "from", 0, 130), _number(table, "to", 0, 130)
    _rising(table, low, high)
    return low, high


def _rising(table: Table, low: Any, high: Any) -> None:
    if low is not None and high is not None and low > high:
        raise table.fail("'from' lies after 'to'")


def _exclusions(table: Table, folder: Path, faults: Faults) -> Iterator[Exclusion]:
    names: set[str] = set()
    for item in table.items_of("exclude"):
        with faults.kept():
            if not isinstance(item, Table):
                raise table.fail("'exclude' must be a list of mappings, each with a name", item)
            with faults.kept():
                item.only(*CRITERIA["exclude"].keys)
            name = item.text("name")
            if name in names:
                raise item.fail(f"two exclusions are called {str(name)!r}", name)
            names.add(name)
            if (Text("mention") in item) == (Text("codes") in item):
                raise item.fail(
                    "an exclusion needs 'mention' (findings or conditions) or 'codes' and 'table', and not both"
                )
            yield _exclusion(item, folder)


def _exclusion(item: Table, folder: Path) -> Exclusion:
    name, when = str(item.text("name")), str(_one_of(item, "when", WHEN))
    if Text("codes") in item:
        if when != WHEN[0] and Text("date") not in item:
            raise item.fail(f"'when: {when}' needs 'date', the column of {item.text('table')} with the day of the code")
        return Exclusion(name, when=when, **_codes(item, folder))
    wanted = frozenset(_some_of(item, "assertions", ASSERTIONS)) or frozenset(KNOWN)
    return Exclusion(name, frozenset(_listed(item, "mention")), wanted, when)


def _listed(table: Table, key: str) -> list[Text]:
    """A list, or a single value as a list of one."""
    value = table[Text(key)]
    return [value] if isinstance(value, Text) else table.texts(key)


def _codes(item: Table, folder: Path) -> dict[str, Any]:
    """Who has one of the codes, from a table beside the criteria; a code that ends in * is the beginning of one."""
    path, codes = folder / item.text("table"), [c.upper() for c in _listed(item, "codes")]
    patient, code = str(item.text("patient", "patient_id")), str(item.text("code", "code"))
    day, site = str(item.text("date", "")), str(item.text("site", ""))
    found: dict[Person, list[str]] = {}
    people: set[Person] = set()
    try:
        for _, row in read_list(path, [c for c in (patient, code, day, site) if c]):
            who = (row.get(site, ""), row[patient])
            people.add(who)
            if _has_code(row[code].strip().upper(), codes):
                found.setdefault(who, []).append(row[day] if day else "")
    except SourceError as error:
        lacks = isinstance(error, ListError) and error.missing
        advice = "; name its columns with patient, code, date and site" if lacks else ""
        raise item.fail(f"{error}{advice}", item.text("table")) from None
    return {
        "wanted": tuple(codes),
        "codes": {who: tuple(days) for who, days in found.items()},
        "people": frozenset(people),
        "table": path.name,
    }


def _has_code(code: str, wanted: list[str]) -> bool:
    return any(code.startswith(w[:-1]) if w.endswith("*") else code == w for w in wanted)
