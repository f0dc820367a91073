"""The regular expressions of a rule set, compiled once: kept in the user's cache folder as the code that `re` made.

Compiling all of them takes seconds, reading their code a fraction of one. `re` has no public door for that, so what
Python itself does is done here step by step; a test holds the patterns equal to those of `re.compile`.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import base64
import re
import sys
from array import array
from collections.abc import Iterable, Mapping
from re import _compiler, _parser  # type: ignore[attr-defined]
from typing import Any

from calcitrace.kept import keep, recall

KEPT = "compiled"
FLAGS = re.IGNORECASE
_KNOWN: dict[str, re.Pattern[str]] = {}


def compile_all(ruleset_hash: str, regexes: Iterable[str]) -> None:
    """Get these regular expressions of a rule set ready, as an earlier run kept them if it did."""
    missing = [regex for regex in regexes if regex not in _KNOWN]
    if not missing:
        return
    before = recall(KEPT, ruleset_hash)
    before = before if isinstance(before, dict) else {}
    kept = {regex: before.get(regex) or _code_of(regex) for regex in missing}
    if not before.keys() >= kept.keys():
        keep(KEPT, ruleset_hash, kept)
    _KNOWN.update((regex, _pattern(regex, made)) for regex, made in kept.items())


def compiled(regex: str) -> re.Pattern[str]:
    """A regular expression of a rule, in any case of letters."""
    found = _KNOWN.get(regex)
    if found is None:
        found = _KNOWN[regex] = re.compile(regex, FLAGS)
    return found


def _code_of(regex: str) -> dict[str, Any]:
    """What `re` makes of a regular expression, as plain values."""
    parsed = _parser.parse(regex, FLAGS)
    code = array("I", _compiler._code(parsed, FLAGS))
    state = parsed.state
    return {
        "flags": int(FLAGS | state.flags),
        "code": base64.b64encode(_little(code).tobytes()).decode(),
        "groups": state.groups - 1,
        "names": state.groupdict,
    }


def _pattern(regex: str, made: Mapping[str, Any]) -> re.Pattern[str]:
    """The pattern of kept code, which Python checks for being well formed."""
    code, names = array("I"), made["names"]
    code.frombytes(base64.b64decode(made["code"]))
    of_group = [None] * (made["groups"] + 1)
    for name, group in names.items():
        of_group[group] = name
    found: re.Pattern[str] = _sre.compile(
        regex, made["flags"], _little(code).tolist(), made["groups"], names, tuple(of_group)
    )
    return found


def _little(code: array[int]) -> array[int]:
    """The code with the lowest byte first, or back from there."""
    if sys.byteorder == "big":
        code.byteswap()
    return code
