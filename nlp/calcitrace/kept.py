"""What was worked out from a rule set, kept in the user's cache folder for the next run; nothing of reports is in it.

It is JSON, so reading it executes nothing; what cannot be read or written is worked out anew, as is everything by
another Python or another version of this package.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

MOST_FILES = 12  # rule sets come and go


def recall(name: str, ruleset_hash: str) -> Any:
    """What was kept under this name for a rule set; None where nothing was."""
    try:
        return json.loads(_path(name, ruleset_hash).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep(name: str, ruleset_hash: str, value: Any) -> None:
    """Keep a value for the next run, if the cache folder can be written; the oldest of its name make room."""
    path = _path(name, ruleset_hash)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(value), encoding="utf-8")
        unfinished.replace(path)
        for old in sorted(path.parent.glob(f"{name}-*.json"), key=lambda p: p.stat().st_mtime)[:-MOST_FILES]:
            old.unlink(missing_ok=True)


def folder() -> Path:
    """The cache folder: `calcitrace` in the user's own."""
    from platformdirs import user_cache_path

    return Path(user_cache_path("calcitrace"))


def _path(name: str, ruleset_hash: str) -> Path:
    return folder() / f"{name}-{_made_by()}-{ruleset_hash[:16]}.json"


@lru_cache(maxsize=1)
def _made_by() -> str:
    """What tells whether a value was worked out as it would be now: Python, and the code of this package."""
    digest = hashlib.sha256(platform.python_version().encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()[:16]
