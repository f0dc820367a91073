"""The notebooks of evaluation/notebooks: each runs from the first cell to the last, and prints what is stored in it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "evaluation" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_and_prints_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without a kernel; its outputs are those of today's rules."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(compile("".join(cell["source"]), path.name, "exec"), names)
            stored = "".join(line for output in cell["outputs"] for line in output["text"])
            assert [line.split() for line in said.getvalue().splitlines()] == [
                line.split() for line in stored.splitlines()
            ]


def test_there_are_notebooks() -> None:
    """So that an empty folder does not pass."""
    assert NOTEBOOKS
