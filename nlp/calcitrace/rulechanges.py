"""How rules of one's own differ from those that ship, told line by line, so that a study can print it."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path

from calcitrace.rules import patterns_folder

_LIST = re.compile(r"(?P<before>[^\[\]]*)\[(?P<words>[^\[\]]*)\](?P<after>[^\[\]]*)")
MOST_LINES = 20  # of one file; of more their number is told


def rule_changes(patterns: Path | str) -> list[str]:
    """What a folder of rules has that those that ship have not, and the other way round, each as one text.

    Comments, empty lines, and where a line stands in depth do not count.

    Args:
        patterns: the folder; empty for the rules that ship.

    Returns:
        Texts such as `findings/calcification.yml: added "- chalk spot"`, or `spelling.yml, calcification: added
        "gibs"`; of many lines their number.
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
    told = list[str]()
    for line in list(added):
        if other := next((o for o in removed if _frame(o) == _frame(line) is not None), None):
            added.remove(line)
            removed.remove(other)
            told += _words_told(
                f"{name}, {(_frame(line) or '').partition(':')[0].strip('- {')}", _words(other), _words(line)
            )
    told += (f'{name}: added "{line}"' for line in added)
    return [*told, *(f'{name}: took away "{line}"' for line in removed)]


def _words_told(where: str, before: list[str], now: list[str]) -> list[str]:
    """What of the words of a list in one line came and went."""
    came, gone = [w for w in now if w not in before], [w for w in before if w not in now]
    told = (("added", came), ("took away", gone))
    return [f'{where}: {what} "{", ".join(words)}"' for what, words in told if words]


def _frame(line: str) -> str | None:
    """What stands around the only list of a line, None where there is not one."""
    found = _LIST.fullmatch(line)
    return f"{found['before']}[]{found['after']}" if found else None


def _words(line: str) -> list[str]:
    found = _LIST.fullmatch(line)
    return [word.strip() for word in found["words"].split(",")] if found else []
