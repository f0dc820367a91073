"""`calcitrace doctor`: what it says of an installation that works, and of one that has drifted."""

from __future__ import annotations

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
    assert "differs in tendon" in done.out
