"""Whether calcitrace works on this machine: versions, rules with all their examples, a report with a known answer."""

from __future__ import annotations

import json
import platform
import re
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
from calcitrace.rules import load_rules, patterns_folder
from calcitrace.ruleset import RuleSet
from calcitrace.workers import ANEW, Setup, Worker

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

EXTRA = re.compile(r'extra == "(\w+)"')
FINE, ABSENT, WRONG = "fine", "absent", "wrong"
KNOWN = Path(__file__).with_name("canary.json")
BINARIES = {
    "java": "only --engine spark needs Java 17 or 21",
    "chromium": "only the tests of the review page need a browser (on Debian `apt-get install chromium`)",
}
AGAIN = "install calcitrace again"


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
    told = f"{rules.hash[:12]}; {faults[0]}; `calcitrace rules check` tells all" if faults else ""
    told = told or f"{rules.hash[:12]}, all examples hold"
    yield Check("rules", WRONG if faults else FINE, told)
    yield model_check(rules)
    yield _canary(rules)


def _packages() -> Iterator[Check]:
    """The packages that calcitrace asks for, and those of its extras."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    asked: dict[str, tuple[SpecifierSet, str]] = {}
    for needed in map(Requirement, requires("calcitrace") or ()):
        extra = (EXTRA.search(str(needed.marker)) or ("", ""))[1]
        if not extra and needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        if extra in ("test", "baselines"):
            continue
        wanted, before = asked.get(needed.name, (SpecifierSet(), extra))
        asked[needed.name] = wanted & needed.specifier, before and extra
    yield from (_package(name, *wanted) for name, wanted in asked.items())


def _package(name: str, wanted: SpecifierSet, extra: str) -> Check:
    """Whether a package is there in a version that fits; one of an extra may be absent."""
    try:
        found = version(name)
    except PackageNotFoundError:
        if extra:
            return Check(name, ABSENT, f'not installed; pip install "calcitrace[{extra}]"')
        return Check(name, WRONG, f"not installed, and needed; {AGAIN}")
    if wanted.contains(found, prereleases=True):
        return Check(name, FINE, found)
    return Check(name, WRONG, f"{found}, but {wanted} is needed; {AGAIN}")


def _binaries() -> Iterator[Check]:
    for name, why in BINARIES.items():
        found = shutil.which(name)
        yield Check(name, FINE if found else ABSENT, "found" if found else f"not found; {why}")


def model_check(rules: RuleSet) -> Check:
    """Whether the starter model is there and fits these rules."""
    path = starter_path(DEFAULT_CASE)
    if path is None:
        return Check("starter model", WRONG, f"is not there; {AGAIN}")
    case = rules.cases[DEFAULT_CASE]
    if load_model(path).fits(rules, case):
        return Check("starter model", FINE, path.name)
    mended = ANEW if (patterns_folder().parent / "evaluation").is_dir() else AGAIN
    return Check("starter model", WRONG, f"does not fit the findings or constituents of these rules; {mended}")


def _canary(rules: RuleSet) -> Check:
    """A report whose answer is known, read as a run would."""
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    worker = Worker(Setup("", rules.hash, DEFAULT_CASE, str(starter_path(DEFAULT_CASE) or "")))
    row = worker(Report("known", known["text"]))["report"]
    wrong = [name for name, value in known["answer"].items() if row[name] != value]
    told = f"differs in {', '.join(wrong)}: a rule or a package reads it otherwise; {AGAIN}, or look at what changed"
    return Check("known report", WRONG if wrong else FINE, told if wrong else "as known")
