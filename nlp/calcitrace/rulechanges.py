"""How rules of one's own differ from those that ship, told line by line, so that a study can print it."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from calcitrace.rules import patterns_folder

MOST_LINES = 20  # of one file; of more their number is told


def rule_changes(patterns: Path | str) -> list[str]:
    """What a folder of rules has that those that ship have not, and the other way round, each as one text.

    Comments, empty lines, and where a line stands in depth do not count.

    Args:
        patterns: the folder; empty for the rules that ship.

    Returns:
        Texts such as `findings/calcification.yml: added "- chalk spot"`; of many lines their number.
    """
    if not patterns:
        return []
    own, shipped = _files(Path(patterns)), _files(patterns_folder())
    return [
        text for name in sorted(own.keys() | shipped.keys()) for text in _told(name, shipped.get(name), own.get(name))
    ]


def _files(root: Path) -> dict[str, list[str]]:
    """The lines of each rule file by its path in the folder."""
    return {p.relative_to(root).as_posix(): _lines(p.read_text("utf-8")) for p in root.rglob("*.yml")}


def _lines(text: str) -> list[str]:
    return [line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")]


def _told(name: str, before: list[str] | None, now: list[str] | None) -> list[str]:
    if before is None or now is None:
        return [f"{name}: {'added' if before is None else 'left out'} as a whole"]
    changed = [d for d in unified_diff(before, now, n=0, lineterm="") if not d.startswith("@@")][2:]
    added = [d[1:] for d in changed if d.startswith("+")]
    removed = [d[1:] for d in changed if d.startswith("-")]
    if len(changed) > MOST_LINES:
        return [f"{name}: {len(added)} lines added, {len(removed)} taken away"]
    return [*(f'{name}: added "{line}"' for line in added), *(f'{name}: took away "{line}"' for line in removed)]
