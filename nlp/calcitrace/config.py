"""The options of a run from a TOML file and from flags; a flag wins over the file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcitrace.corpus import RunOptions
from calcitrace.errors import UsageError
from calcitrace.sources import CHOICES, FLAGS
from calcitrace.workers import NO_MODEL

SETTINGS = ("case", "patterns", "encoding", "delimiter", "source", "model", "screen")
NUMBERS = ("prevalence", "audit_fraction")
COLUMN_FLAGS = {flag.removeprefix("--").replace("-", "_"): name for name, flag in FLAGS.items()}


def run_options(config: Path | None, given: Mapping[str, Any]) -> RunOptions:
    """The options of a run: what was `given` (empty values are not), over what the file says, over the defaults.

    Args:
        config: a TOML file with the keys of `SETTINGS`, a table `[columns]` (field = column), or flag names such as
            `text_column`. A relative `patterns` or `model` is taken from the file's folder; `NUMBERS` are numbers.
        given: the same keys, and `columns`.

    Raises:
        UsageError: the file cannot be read, is no TOML, or has an unknown key or a value that is no text.
    """
    found = _read(config) if config else {}
    columns = {**found.pop("columns", {}), **{k: v for k, v in given.get("columns", {}).items() if v}}
    settings = {**found, **{k: str(given[k]) for k in SETTINGS if given.get(k)}}
    settings |= {k: float(given[k]) for k in NUMBERS if given.get(k) is not None}
    return RunOptions(columns=columns, **settings)


def _read(config: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{config}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{config}: not valid TOML ({type(error).__name__})") from None
    columns = found.pop("columns", {})
    if not isinstance(columns, dict):
        raise UsageError(f"{config}: 'columns' must be a table, as in [columns]")
    flags = {k: found.pop(k) for k in list(found) if k.replace("-", "_") in COLUMN_FLAGS}
    columns |= {COLUMN_FLAGS[k.replace("-", "_")]: v for k, v in flags.items()}
    found |= {"source": found.pop("from")} if "from" in found else {}
    numbers = {k: found.pop(k) for k in NUMBERS if k in found}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{config}: {key!r} must be a number, such as 0.005")
    _check(config, found, SETTINGS)
    _check(config, columns, CHOICES)
    for key in ("patterns", "model"):
        if key in found and found[key] != NO_MODEL:
            found[key] = str(config.parent / found[key])
    return {**found, **numbers, "columns": columns}


def _check(config: Path, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{config}: unknown key {key!r}; known are {', '.join(known)}")
        if not isinstance(value, str):
            raise UsageError(f"{config}: {key!r} must be text in quotes")
