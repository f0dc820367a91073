"""What was worked out from a rule set, kept in the user's cache folder for the next run; nothing of reports is in it.

It is JSON, so reading it executes nothing; what cannot be read or written is worked out anew.
"""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

MOST_FILES = 12  # rule sets come and go


def recall(name: str, ruleset_hash: str) -> Any:
    """What was kept under this name for a rule set by this version of calcitrace; None where nothing was."""
    try:
        return json.loads(_path(name, ruleset_hash).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep(name: str, ruleset_hash: str, value: Any) -> None:
    """Keep a value for the next run, if the cache folder can be written; the oldest of its name make room."""
    path = _path(name, ruleset_hash)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(value), encoding="utf-8")
        unfinished.replace(path)
        for old in sorted(path.parent.glob(f"{name}-*.json"), key=lambda p: p.stat().st_mtime)[:-MOST_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        unfinished.unlink(missing_ok=True)


def folder() -> Path:
    """The cache folder: `calcitrace` in the user's own."""
    from platformdirs import user_cache_path

    return Path(user_cache_path("calcitrace"))


def _path(name: str, ruleset_hash: str) -> Path:
    return folder() / f"{name}-{version('calcitrace')}-{ruleset_hash[:16]}.json"
