"""The package: what the wheel holds, that it runs outside the checkout, and that the pinned versions fit together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the build backend itself."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("calcitrace-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel, and nothing else, is installed."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", target, wheel]
    subprocess.run(pip, check=True)
    return target


def run(installed: Path, elsewhere: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m calcitrace` with the installed wheel, from a folder outside the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "calcitrace", *words]
    return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, encoding="utf-8", check=False)


def in_wheel(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_rule_file(wheel: Path) -> None:
    """The rules ship with the package, all of them and as they stand in the checkout."""
    rules = {p.relative_to(ROOT).as_posix(): p.read_bytes() for p in (ROOT / "patterns").rglob("*.yml")}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {n for n in archive.namelist() if n.startswith("calcitrace/patterns/")}
        assert {n.removeprefix("calcitrace/"): archive.read(n) for n in shipped} == rules


def test_the_wheel_holds_what_the_code_needs(wheel: Path) -> None:
    """The sample corpus, the page's template, the typing marker and the licence are in the wheel."""
    names = in_wheel(wheel)
    assert "calcitrace/corpora_samples/synthetic_msk.csv" in names
    assert "calcitrace/templates/summary.html.j2" in names
    assert "calcitrace/py.typed" in names
    assert [n for n in names if n.endswith("/licenses/LICENSE")] != []


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    """Tests, gold standard and pictures stay in the checkout."""
    assert {n.split("/")[0].split("-")[0] for n in in_wheel(wheel)} == {"calcitrace"}
    assert [n for n in in_wheel(wheel) if re.search(r"gold|test_|\.png$|\.pyc$", n)] == []


def test_the_wheel_runs_in_another_folder(installed: Path, tmp_path: Path) -> None:
    """`python -m calcitrace rules list` reads the rules of the wheel, not those of the checkout."""
    done = run(installed, tmp_path, "rules", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cortical_erosion" in done.stdout
    where = "import calcitrace.rules as r; print(r.__file__); print(r.load_rules().root)"
    asked = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.startswith(str(installed)) for line in asked.stdout.splitlines()] == [True, True]


def test_the_demo_runs_in_another_folder(installed: Path, tmp_path: Path) -> None:
    """`calcitrace demo` processes the sample corpus of the wheel and writes a whole run folder."""
    done = run(installed, tmp_path, "demo")
    assert done.returncode == 0, done.stderr
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert written >= {
        "calcitrace-demo/manifest.json",
        "calcitrace-demo/summary.html",
        "calcitrace-demo/rejects.jsonl",
        "calcitrace-demo/reports/part-00000.parquet",
        "calcitrace-demo/mentions/part-00000.parquet",
    }


def test_the_engine_and_its_neighbours_import_together() -> None:
    """One interpreter holds spaCy, medSpaCy, scikit-learn, pandas and pyarrow: their binaries fit the same numpy."""
    code = "import spacy, medspacy, sklearn, pandas, pyarrow.parquet"
    code += "; print(pyarrow.array([1]).to_numpy().sum(), spacy.blank('en')('a b')[1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["1", "b"]), done.stderr


def project() -> dict[str, list[str]]:
    """The requirements of the project: those of running it and those of testing it."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"run": table["dependencies"], "test": table["optional-dependencies"]["test"]}


def constraints() -> list[str]:
    """The lines of constraints.txt that constrain something."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pinned(python: str) -> dict[str, str]:
    """Name -> version for one Python on Linux; a name that is pinned twice shows as a version "twice"."""
    environment = {**default_environment(), "python_version": python, "sys_platform": "linux"}
    wanted = [Requirement(line) for line in constraints()]
    found = [r for r in wanted if r.marker is None or r.marker.evaluate({**environment})]
    often = Counter(normal(r.name) for r in found)
    return {normal(r.name): "twice" if often[normal(r.name)] > 1 else str(r.specifier)[2:] for r in found}


def normal(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_are_names_and_versions_only() -> None:
    """A line is `name==version`, with a marker where versions differ; it says nothing of where packages come from."""
    line = re.compile(
        r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9a-z.]*(?:; (?:python_version (?:<|>=)|sys_platform ==) '[\w.]+')?"
    )
    assert [c for c in constraints() if not line.fullmatch(c)] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_once_and_fits(python: str) -> None:
    """On each Python every direct requirement is pinned to one version that pyproject.toml allows."""
    versions = pinned(python)
    environment = {**default_environment(), "python_version": python}
    wanted = map(Requirement, [*project()["run"], *project()["test"]])
    used = [r for r in wanted if r.marker is None or r.marker.evaluate({**environment})]
    assert len(used) > 15
    assert [str(r) for r in used if not r.specifier.contains(versions.get(normal(r.name), "none"))] == []
    assert [name for name, version in versions.items() if version == "twice"] == []


def test_python_311_keeps_the_older_binaries() -> None:
    """spaCy 3.7 on Python 3.11 needs numpy 1, from 3.12 on numpy 2 is used."""
    assert [pinned(p)["numpy"].split(".")[0] for p in PYTHONS] == ["1", "2", "2"]
    assert [pinned(p)["spacy"].rsplit(".", 1)[0] for p in PYTHONS] == ["3.7", "3.8", "3.8"]


def test_the_versions_of_package_and_changelog_agree() -> None:
    """The newest heading of the changelog is the version of the package."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0].strip("[]") == table["version"]
