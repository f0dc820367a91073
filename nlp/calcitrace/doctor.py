"""Whether calcitrace works on this machine: versions, rules with all their examples, a report with a known answer."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from calcitrace.casemodel import load_model, starter_path
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.examples import run_examples
from calcitrace.kept import folder as cache_folder
from calcitrace.model import Report
from calcitrace.rules import load_rules
from calcitrace.ruleset import RuleSet
from calcitrace.workers import Setup, Worker, why_no_model

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

FINE, ABSENT, WRONG = "fine", "absent", "wrong"
KNOWN = Path(__file__).with_name("canary.json")
BINARIES = {"java": "Spark needs Java 17", "chromium": "only the tests of the review page need a browser"}


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is (fine, absent: optional and not there, or wrong), and what was seen."""

    name: str
    state: str
    seen: str


def checks() -> Iterator[Check]:
    """Each check as it is done; nothing is changed but the cache of rules."""
    yield Check("Python", FINE, platform.python_version())
    yield Check("calcitrace", FINE, version("calcitrace"))
    yield from _packages()
    yield from _binaries()
    yield Check("cache folder", FINE, str(cache_folder()))
    rules = load_rules()
    faults = [f for f in run_examples(rules) if f is not None]
    told = f"{rules.hash[:12]}; {faults[0]}" if faults else f"{rules.hash[:12]}, all examples hold"
    yield Check("rules", WRONG if faults else FINE, told)
    yield model_check(rules)
    yield _canary(rules)


def _packages() -> Iterator[Check]:
    """The packages that calcitrace asks for, and those of its extras."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    asked: dict[str, tuple[SpecifierSet, str]] = {}
    for needed in map(Requirement, requires("calcitrace") or ()):
        extra = str(needed.marker or "") if "extra" in str(needed.marker) else ""
        if not extra and needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        if 'extra == "test"' in extra or 'extra == "baselines"' in extra:
            continue
        wanted, before = asked.get(needed.name, (SpecifierSet(), extra))
        asked[needed.name] = wanted & needed.specifier, before and extra
    yield from (_package(name, *wanted) for name, wanted in asked.items())


def _package(name: str, wanted: SpecifierSet, extra: str) -> Check:
    """Whether a package is there in a version that fits; one of an extra may be absent."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name, ABSENT if extra else WRONG, f"not installed ({extra or 'needed'})")
    if wanted.contains(found, prereleases=True):
        return Check(name, FINE, found)
    return Check(name, WRONG, f"{found}, but {wanted} is needed")


def _binaries() -> Iterator[Check]:
    for name, why in BINARIES.items():
        found = shutil.which(name)
        yield Check(name, FINE if found else ABSENT, "found" if found else f"not found; {why}")


def model_check(rules: RuleSet) -> Check:
    """Whether the starter model is there and fits these rules."""
    path = starter_path(DEFAULT_CASE)
    if path is None:
        return Check("starter model", WRONG, "is not there; install calcitrace again")
    case = rules.cases[DEFAULT_CASE]
    if load_model(path).fits(rules, case):
        return Check("starter model", FINE, path.name)
    return Check("starter model", WRONG, why_no_model("", case))


def _canary(rules: RuleSet) -> Check:
    """A report whose answer is known, read as a run would."""
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    worker = Worker(Setup("", rules.hash, DEFAULT_CASE, str(starter_path(DEFAULT_CASE) or "")))
    row = worker(Report("known", known["text"]))["report"]
    wrong = [name for name, value in known["answer"].items() if row[name] != value]
    return Check("known report", WRONG if wrong else FINE, f"differs in {', '.join(wrong)}" if wrong else "as known")
