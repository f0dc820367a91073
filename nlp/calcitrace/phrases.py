"""Numbers in sentences: one report was, two reports were."""

from __future__ import annotations

from collections.abc import Sequence


def many(n: int, what: str) -> str:
    """A number of things, in the singular or the plural."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def either(names: Sequence[str]) -> str:
    """Names as they stand, of which one holds: a, b or c."""
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def by(n: int, one: str, more: str) -> str:
    """The form of a word that goes with a number."""
    return one if n == 1 else more
