"""The notebooks of evaluation/notebooks: each runs from the first cell to the last, and shows what is stored in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from calcitrace import process
from calcitrace.samples import sample_corpus

FOLDER = Path(__file__).parents[1] / "evaluation" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 60_000  # of a picture
# times, days of runs, and hashes of rules and files
CHANGES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+|finished\s\d{4}-\d\d-\d\d|\b[0-9a-f]{8,64}\b")
WORD = re.compile(r"\d+\.\d+|[^\W\d]+|\d+|[^\w\s]")
NEAR = 0.011  # for figures with decimals, which differ in the last digit between machines


def shown(cells: list[list[dict[str, Any]]]) -> Iterator[tuple[str, Any]]:
    """The kind and content of each output: of text its words, of a picture whether it is a small PNG."""
    for output in (o for outputs in cells for o in outputs):
        for kind, content in output.get("data", {"text": output.get("text")}).items():
            if kind == "image/png":
                picture = base64.b64decode(content)
                yield kind, picture.startswith(b"\x89PNG") and len(picture) < MOST_BYTES
            else:
                yield kind, [_number(w) for w in WORD.findall(CHANGES.sub("", "".join(content)))]


def _number(word: str) -> Any:
    return pytest.approx(float(word), abs=NEAR) if "." in word[1:] else word


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_shows_what_it_stores(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without a kernel; its outputs are those of today's rules, its pictures are small.

    When they differ: `python evaluation/notebooks/execute.py`, and look at what changed.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    stored = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    fresh = list(shown(import_module("execute").outputs(notebook, path.name)))
    assert fresh == list(shown(stored)), f"python evaluation/notebooks/execute.py {path.stem}, and look at what changed"
    assert all(content for kind, content in fresh if kind == "image/png")


def test_there_are_notebooks() -> None:
    """So that an empty folder does not pass."""
    assert NOTEBOOKS


def test_a_notebook_runs_on_a_run_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One path is changed, the run folder's; nothing else of the notebook knows where its reports came from."""
    process(sample_corpus(), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    notebook = json.loads((FOLDER / "whole_study.ipynb").read_text(encoding="utf-8"))
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    source, changed = re.subn(r"(?m)^run = .*$", 'run = Path("mine")', "".join(first["source"]))
    first["source"] = [source]
    fresh = import_module("execute").outputs(notebook, "whole_study")
    assert changed == 1
    assert "".join(fresh[1][0]["text"]).startswith("72 rows = 72 reports + 0 rejects")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_says_which_path_to_change(path: Path) -> None:
    """In its first cell of code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])
    assert re.search(r"(?m)^(?:run|reports) = .*# your (?:run folder|reports): ", first)
