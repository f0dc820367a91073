"""evaluation/review_simulation.py in a small form: it runs, and its figures follow from one another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calcitrace.casemodel import starter_path
from calcitrace.corpus import DEFAULT_CASE

EVALUATION = Path(__file__).parents[1] / "evaluation"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """600 reports, 5 % cases, the starter model (which has seen their origins: no figure, only a run)."""
    out = tmp_path_factory.mktemp("simulation")
    words = ["--reports", 600, "--in-scope", 0.2, "--prevalence", 0.05, "--seeds", 1, "--audits", 60, 582, "--draws", 2]
    words += ["--targets", 0.9, "--workers", 1, "--model", starter_path(DEFAULT_CASE), "--out", out]
    script = [sys.executable, EVALUATION / "review_simulation.py", *words]
    done = subprocess.run(list(map(str, script)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (path,) = out.glob("*_review_simulation_*.json")
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))


def test_reading_is_counted(made: tuple[str, dict[str, Any]]) -> None:
    """The queue holds 18 candidates and 60 of the audit; the cases in it are no more than there are."""
    (run,) = made[1]["runs"]
    assert (run["reports"], run["queue"]) == (600, 78)
    assert 18 <= run["found in queue"] <= run["cases"]


def test_an_audit_of_everything_knows_the_recall(made: tuple[str, dict[str, Any]]) -> None:
    """Where all others are read, nothing is unseen: recall is one, and a stop is right."""
    rows = [r for r in made[1]["runs"][0]["recall"] if r["audit"] == 582]
    assert [(r["truth"], r["interval"], r["stop"], r["wrong stop"]) for r in rows] == [
        (1.0, [1.0, 1.0], True, False)
    ] * 2


def test_a_small_audit_holds_the_truth(made: tuple[str, dict[str, Any]]) -> None:
    """Its interval is wide, and no stop is advised that is wrong."""
    rows = [r for r in made[1]["runs"][0]["recall"] if r["audit"] == 60]
    assert all(r["covers"] and not r["wrong stop"] and r["interval"][0] < r["truth"] for r in rows)
    assert "audit of 60, target 90%: interval holds the truth in 2/2 runs" in made[0]
