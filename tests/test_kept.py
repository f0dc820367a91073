"""What is worked out from the rules and kept for the next run: it helps, and never decides."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calcitrace import kept

ASK = (
    "from calcitrace import Annotator, Report; "
    "report = Report('a', 'Calcific deposit in the supraspinatus tendon.'); "
    "print([m.finding for m in Annotator().annotate(report).mentions])"
)
TOLD = "['calcification']"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setattr(kept, "folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_what_is_kept_is_recalled_for_its_rules_alone(cache: Path) -> None:
    """By name and rule set; another rule set, and another name, have nothing."""
    kept.keep("sets", "a" * 64, {"x": [1]})
    assert kept.recall("sets", "a" * 64) == {"x": [1]}
    assert kept.recall("sets", "b" * 64) is None
    assert kept.recall("others", "a" * 64) is None
    assert [p.suffix for p in cache.iterdir()] == [".json"]


def test_another_version_of_the_code_recalls_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What older code worked out may be wrong now."""
    kept.keep("sets", "a" * 64, 1)
    monkeypatch.setattr(kept, "_made_by", lambda: "0123456789abcdef")
    assert kept.recall("sets", "a" * 64) is None


def test_the_oldest_make_room(cache: Path) -> None:
    """No more files of a name than rule sets are in use."""
    for number in range(kept.MOST_FILES + 5):
        kept.keep("sets", f"{number:02d}" * 32, number)
    assert len(list(cache.iterdir())) == kept.MOST_FILES


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose cache is filled, by a process that found none."""
    home = tmp_path_factory.mktemp("home")
    assert _ask(home) == TOLD
    assert list((home / "calcitrace").glob("*.json"))
    return home


@pytest.mark.parametrize("content", [None, "", "[]", "{", '"text"'])
def test_a_cache_that_is_damaged_or_cannot_be_written_changes_nothing(
    tmp_path: Path, filled: Path, content: str | None
) -> None:
    """A file where the folder should be, or files with anything in them: the same answer, and no complaint."""
    cache = tmp_path / "calcitrace"
    if content is None:
        cache.write_text("in the way", encoding="utf-8")
    else:
        shutil.copytree(filled / "calcitrace", cache)
        for file in cache.glob("*.json"):
            file.write_text(content, encoding="utf-8")
    assert _ask(tmp_path) == TOLD


def _ask(home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK], env={"XDG_CACHE_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.strip()
