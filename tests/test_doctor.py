"""`calcitrace doctor`: what it says of an installation that works, and of one that has drifted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Command

from calcitrace import doctor


def test_an_installation_that_works_is_told_so(command: Command) -> None:
    """Exit code 0, the rules and the known report are fine, nothing is wrong."""
    done = command("doctor")
    assert done.code == 0, done.out
    lines = {line.split()[1]: line.split()[0] for line in done.out.splitlines() if line.split()[0] == "fine"}
    names = [line[8:26].strip() for line in done.out.splitlines()[:-1]]
    assert [name for name in names if names.count(name) > 1] == []  # pandas is asked for twice, by Python's version
    assert {"Python", "calcitrace", "medspacy", "rules", "starter", "known"} <= set(lines)


def test_a_drift_is_told_loudly(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A known report that is read otherwise is wrong, by the name of the column, and the exit code says so."""
    known = doctor.KNOWN.read_text(encoding="utf-8").replace('"tendon": "supraspinatus"', '"tendon": "infraspinatus"')
    (tmp_path / "known.json").write_text(known, encoding="utf-8")
    monkeypatch.setattr(doctor, "KNOWN", tmp_path / "known.json")
    done = command("doctor")
    assert done.code == 1
    assert "differs in tendon: a rule or a package reads it otherwise; install calcitrace again" in done.out


def test_what_mends_a_fault_is_what_contributing_says() -> None:
    """Commands that the checks name stand in CONTRIBUTING.md for the same fault."""
    told = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = [c for said in (doctor.ANEW, *doctor.BINARIES.values()) for c in re.findall(r"`(.+?)`", said)]
    assert named == ["python evaluation/starter.py", "apt-get install chromium"]
    assert [c for c in named if c not in told] == []


def test_a_package_that_is_missing_or_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is needed is wrong, with what to do; one of an extra is absent, with the command that installs it."""
    needs = ["nothing-so", 'nothing-other; extra == "png"', "pandas<1", 'nothing-for-tests; extra == "test"']
    monkeypatch.setattr(doctor, "requires", lambda _: needs)
    first, second, third = doctor._packages()
    assert (first.state, first.seen) == (doctor.WRONG, "not installed, and needed; install calcitrace again")
    assert (second.state, second.seen) == (doctor.ABSENT, 'not installed; pip install "calcitrace[png]"')
    assert (third.state, third.seen.endswith("but <1 is needed; install calcitrace again")) == (doctor.WRONG, True)
