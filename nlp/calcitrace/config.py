"""What a run is asked for, from a TOML file and from flags; a flag wins over the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcitrace.corpus import RunOptions
from calcitrace.errors import RuleError, UsageError
from calcitrace.sources import CHOICES, FLAGS
from calcitrace.strictyaml import meant, read_toml
from calcitrace.workers import NO_MODEL

TEXTS = (
    *("case", "patterns", "encoding", "delimiter", "source", "model", "screen", "sql", "url", "shard", "format"),
    *("engine", "master", "spark_format", "date_order"),
)
NUMBERS = ("prevalence", "audit_fraction", "report_timeout")
WHOLE = ("workers",)
SWITCHES = ("strict", "no_model")
KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(TEXTS, (str, "text in quotes")),
    **dict.fromkeys(NUMBERS, (int | float, "a number, such as 0.005")),
    **dict.fromkeys(WHOLE, (int, "a whole number, such as 4")),
    **dict.fromkeys(SWITCHES, (bool, "true or false")),
    "spark_option": (dict, "a table, as in [spark_option]"),
}
FILES = ("patterns", "model", "sql")
COLUMN_FLAGS = {flag.removeprefix("--").replace("-", "_"): name for name, flag in FLAGS.items()}
OTHER_NAMES = {"from": "source"}
_OF_RUN = (
    *("case", "patterns", "encoding", "delimiter", "source", "model", "screen", "prevalence", "audit_fraction"),
    "date_order",
)


def settings(config: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was `given` (empty values are not), over what the file says: by the names of `KINDS`, and `columns`.

    Args:
        config: a TOML file with the keys of `KINDS`, a table `[columns]` (field = column), or flag names such as
            `text_column`. Relative files in it (`FILES`) are taken from its own folder.
        given: the same keys.

    Raises:
        UsageError: the file cannot be read, is no TOML, or has an unknown key or a value of another kind.
    """
    found = _read(config) if config else {"columns": {}}
    columns = {**found["columns"], **{k: v for k, v in given.get("columns", {}).items() if v}}
    flags = _one_model({k: given[k] for k in KINDS if _said(given.get(k))}, "give --model or")
    pairs = {**found.get("spark_option", {}), **flags.pop("spark_option", {})}
    return {**found, **flags, "columns": columns, **({"spark_option": pairs} if pairs else {})}


def run_options(asked: Mapping[str, Any]) -> RunOptions:
    """The options of a run that has these `settings`."""
    own: dict[str, Any] = {k: str(asked[k]) if k in TEXTS else float(asked[k]) for k in _OF_RUN if k in asked}
    return RunOptions(columns=asked["columns"], **own)


def _said(value: object) -> bool:
    """Whether an option was given; 0 is a value."""
    return value not in (None, "") and value is not False


def _one_model(asked: dict[str, Any], advice: str) -> dict[str, Any]:
    """`no_model` as the model that it is."""
    if asked.pop("no_model", False):
        if "model" in asked:
            raise UsageError(f"{advice} --no-model, not both")
        asked["model"] = NO_MODEL
    return asked


def _read(config: Path) -> dict[str, Any]:
    try:
        found, _ = read_toml(config)
    except RuleError as error:
        raise UsageError(str(error)) from None
    columns = found.pop("columns", {})
    if not isinstance(columns, dict):
        raise UsageError(f"{config}: 'columns' must be a table, as in [columns]")
    named = {OTHER_NAMES.get(k, k.replace("-", "_")): v for k, v in found.items()}
    columns |= {COLUMN_FLAGS[k]: named.pop(k) for k in list(named) if k in COLUMN_FLAGS}
    _check(config, columns, dict.fromkeys(CHOICES, KINDS["case"]))
    _check(config, named, KINDS)
    for key in FILES:
        if key in named and (key != "sql" or named[key].lower().endswith(".sql")) and named[key] != NO_MODEL:
            named[key] = str(config.parent / named[key])
    return {**_one_model(named, f"{config}: give a model or"), "columns": columns}


def _check(config: Path, table: Mapping[str, Any], known: Mapping[str, tuple[Any, str]]) -> None:
    for key, value in table.items():
        if key not in known:
            every = [*known, *COLUMN_FLAGS, "columns"] if known is KINDS else known
            raise UsageError(f"{config}: unknown key {key!r}{meant(key, every)} known are {', '.join(every)}")
        kind, said = known[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UsageError(f"{config}: {key!r} must be {said}")
