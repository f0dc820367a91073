"""The house: which module may import which, what a module must not do, and how large things may grow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import calcitrace

PACKAGE = Path(__file__).parents[1] / "nlp" / "calcitrace"
# A module imports only what stands on a line above its own. A package (a folder) counts as one module.
ORDER = """
model errors ruleset samples kept memory lately phrases
decisions
strictyaml words dates
studydate
measures
terms casefile casewords
rules sources sentences
rulechanges
sections
circumstances compiled
screen sites
sieve
subjects places laterality
sides
link
restate
fast flags
engine
targets
asserted
annotate
modality
assess examples usage
features
casemodel
differences
lint
tables summary
runfolder
crew
casescreen
workers
classifier
corpus why
show
frames config progress shards sparkinput
spark
sparkrun
ids labels
rerun pseudonyms unseen
evaluate adjudication
training workload agreement recall
finders exchange
criteriakeys
criteria healing
criteriafit
addenda
timeline
biopsies
archive
selection
flow
flowdiagram tableone patientpicture reviewed
cohort
methods
cohortfolder exports
review doctor
cli
__main__
"""
RANK = {name: rank for rank, line in enumerate(ORDER.split("\n")) for name in line.split()}
FILES = {p.relative_to(PACKAGE).as_posix(): ast.parse(p.read_text(encoding="utf-8")) for p in PACKAGE.rglob("*.py")}
NETWORK = {"socket", "socketserver", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "httpx", "aiohttp"}
HEAVY = {"spacy", "medspacy", "sklearn", "pandas", "pyarrow", "numpy", "scipy", "jinja2", "rich", "typer", "yaml"}
TALKS = re.compile(
    r"print|input|exit|quit|SystemExit|sys\.exit|os\._exit|os\.abort|sys\.std(?:out|err)\.\w+|.*\bConsole"
)


def imports(name: str) -> Iterator[str]:
    """The dotted names of all modules that a file imports, at its top or inside a function."""
    for node in ast.walk(FILES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def importers(*packages: str) -> set[str]:
    """The files that import any of the packages."""
    return {name for name in FILES for used in imports(name) if used.split(".")[0] in packages}


def calls(name: str) -> Iterator[str]:
    """Every call of a file, as the name that is called."""
    return (ast.unparse(n.func) for n in ast.walk(FILES[name]) if isinstance(n, ast.Call))


@cache
def rule_names() -> frozenset[str]:
    """The names of findings, tendons and case definitions."""
    rules = calcitrace.load_rules()
    # "other" is the guideline's word for a ligament, bursa or capsule
    tendons = (s.name for s in rules.sites.values() if s.kind == "tendon" and s.name != "other")
    return frozenset([*rules.findings, *tendons, *rules.cases])


def module_of(name: str) -> str:
    """The module or package at the top of calcitrace that a file belongs to."""
    return name.split("/")[0].removesuffix(".py")


def test_every_module_has_its_place() -> None:
    """The import order names every module, and none that is gone."""
    assert {module_of(name) for name in FILES} == {*RANK, "__init__"}


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"__init__.py"}))
def test_modules_import_only_what_stands_before_them(name: str) -> None:
    """Imports go one way, from the command line down to the records; nothing imports the public face."""
    own = module_of(name)
    ours = {used for used in imports(name) if used.split(".")[0] in ("calcitrace", "")}
    parts = {(used.split(".") + [""])[1] for used in ours}
    assert {part for part in parts - {own} if RANK.get(part, len(ORDER)) >= RANK[own]} == set()


def test_only_one_module_imports_medspacy() -> None:
    """medspaCy is known to one module."""
    assert importers("medspacy", "spacy", "PyRuSH") == {"engine.py"}


def test_only_the_command_line_prints_or_exits() -> None:
    """A library function returns or raises; cli/ alone writes to the terminal and ends the process."""
    talkers = {name for name in FILES for call in calls(name) if TALKS.fullmatch(call)}
    assert {module_of(name) for name in talkers} == {"cli"}


def test_nothing_opens_a_network_connection() -> None:
    """Reports stay on the machine: no module imports what could send them anywhere.

    The review page's server listens on the loopback address alone (tests/test_review_attacks.py), and opens nothing.
    """
    assert importers(*NETWORK) == {"review/server.py"}
    used = set(imports("review/server.py")) & {m for m in imports("review/server.py") if m.split(".")[0] in NETWORK}
    assert used == {"socket", "http", "http.cookies", "http.server", "urllib.parse"}
    assert "socket.socket" not in set(calls("review/server.py"))


def test_nothing_is_logged() -> None:
    """No log can hold report text; loguru is touched only to silence the engine."""
    assert importers("logging", "syslog") == set()
    assert {call for name in FILES for call in calls(name) if call.startswith("logger.")} == {"logger.disable"}


def test_no_finding_tendon_or_case_is_named_in_code() -> None:
    """What is sought is data; code names only a mass, for the contract's column, and the case that is the default."""
    texts = {
        (name, node.value)
        for name, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in rule_names()
    }
    assert texts == {("assess.py", "mass"), ("corpus.py", "intraosseous_migration")}


def test_no_function_is_over_60_lines() -> None:
    """A function fits on a screen."""
    functions = [
        (name, node.name, (node.end_lineno or 0) - node.lineno + 1)
        for name, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [f for f in functions if f[2] > 60] == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_module_is_over_400_lines(name: str) -> None:
    """A module is one room."""
    assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= 400


def test_no_room_is_called_utils() -> None:
    """A module is named for what it does."""
    assert {Path(name).stem for name in FILES} & {"utils", "util", "base", "common", "helpers", "misc"} == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import calcitrace` is quick and says nothing: the engine is loaded when it is first used."""
    code = "import calcitrace, calcitrace.model, sys; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()
    assert done.stderr == ""


def test_the_public_names_are_there() -> None:
    """Every name that the package offers can be had from it, and `dir` tells them."""
    assert {name for name in calcitrace.__all__ if getattr(calcitrace, name, None) is None} == set()
    assert set(dir(calcitrace)) >= {*calcitrace.__all__, "__version__"}


def test_a_name_that_is_not_there() -> None:
    """The package answers for an unknown name as any module does."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        calcitrace.nothing  # noqa: B018
