"""What several test files share: the rules, one annotator, and the command line called in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from calcitrace import Annotator, Report, RuleSet, load_rules, read_reports
from calcitrace.model import Reject
from calcitrace.sources import Options, Tally


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@dataclass(frozen=True)
class Got:
    """Everything that came of some inputs."""

    reports: list[Report]
    rejects: list[Reject]
    tally: Tally

    @property
    def told(self) -> str:
        """What was chosen for each input."""
        return "; ".join(self.tally.chosen.values())

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Report id and text of each report."""
        return [(r.report_id, r.text) for r in self.reports]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        """Row and reason of each reject."""
        return [(r.row, r.reason) for r in self.rejects]

    @property
    def only(self) -> Report:
        """The one report that there is."""
        assert self.rejects == []
        (report,) = self.reports
        return report


Read = Callable[..., Got]


@pytest.fixture(scope="session")
def rules() -> RuleSet:
    """The rule set that ships."""
    return load_rules()


@pytest.fixture(scope="session")
def annotator(rules: RuleSet) -> Annotator:
    """One annotator for all tests; building it takes longer than most of them."""
    return Annotator(rules)


def read_all(inputs: Any, options: Options) -> Got:
    """Read inputs to the end; whatever comes, every row is a report or a reject."""
    tally, rejects = Tally(), list[Reject]()
    reports = list(read_reports(inputs, options, rejects.append, tally=tally))
    assert tally.rows == len(reports) + len(rejects)
    assert tally.rejects == len(rejects)
    return Got(reports, rejects, tally)


@pytest.fixture(scope="session")
def read() -> Read:
    """Read inputs to the end; whatever comes, every row is a report or a reject."""

    return lambda inputs, **options: read_all(inputs, Options(**options))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command line as the console script does: `command("show", "--text", "...")`; `stdin` are bytes."""
    from calcitrace import cli

    def call(*words: object, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "argv", ["calcitrace", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin), isatty=lambda: False))
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, *capsys.readouterr())

    return call


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
