"""The necessary words of a rule set, derived from the rules themselves.

Every rule yields a set of strings of which at least one must stand in any text that the rule can match. The fast
path skips rules by them, and the archive screen skips reports; a rule author need not know of either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from calcitrace.ruleset import Term

MOST_STRINGS = 400


def necessary(term: Term) -> frozenset[str] | None:
    """Strings of which at least one stands in every sentence (standard words, joined by spaces) the term matches.

    None where nothing can be said, so that the rule must always be tried.
    """
    if term.phrase:
        return frozenset({max(term.phrase, key=len)})
    if term.tokens is not None:
        return _of_tokens(term.tokens)
    return of_regex(term.regex or "")


def _of_tokens(tokens: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    best: frozenset[str] | None = None
    for token in tokens:
        value = token.get("LOWER")
        if token.get("OP", "1") not in ("1", "+"):
            continue
        words = {value} if isinstance(value, str) else set(value.get("IN", ())) if isinstance(value, Mapping) else set()
        if words:
            best = _better(best, frozenset(words))
    return best


def of_regex(regex: str) -> frozenset[str] | None:
    """Strings of which at least one stands in every text that the regular expression matches, or None."""
    found = _of_sequence(parser.parse(regex, re.IGNORECASE))
    return frozenset(s.lower() for s in found) if found else None


def _of_sequence(items: Any) -> frozenset[str] | None:
    """The best necessary set of the parts of a sequence; neighbouring literals make one string."""
    best: frozenset[str] | None = None
    run: list[str] = []
    for code, argument in [*items, (None, None)]:
        if code is op.LITERAL:
            run.append(chr(argument))
            continue
        if run:
            best = _better(best, frozenset({"".join(run)}))
            run = []
        best = _better(best, _of_item(code, argument))
    return best


def _of_item(code: Any, argument: Any) -> frozenset[str] | None:
    if code is op.SUBPATTERN:
        return _of_sequence(argument[-1])
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, _, inner = argument
        return _of_sequence(inner) if least else None
    if code is op.BRANCH:
        return _of_branches(argument[1])
    return None


def _of_branches(branches: Sequence[Any]) -> frozenset[str] | None:
    """All branches together, if each of them needs something."""
    together: set[str] = set()
    for branch in branches:
        needed = _of_sequence(branch)
        if not needed:
            return None
        together |= needed
    return frozenset(together) if len(together) <= MOST_STRINGS else None


def _better(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The set that lets fewer texts through: longer strings first, then fewer of them."""
    if not one or not other:
        return one or other
    return max(one, other, key=lambda s: (min(min(map(len, s)), 5), -len(s)))
