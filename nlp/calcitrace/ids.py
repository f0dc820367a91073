"""Ids that a user's file names, held against those that there are: which are missing, and what may have become of them.

Ids are compared as they stand. A spreadsheet makes 123 of 000123, so near misses of that kind are told everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from calcitrace.sources import shown_id

FIRST = 3


def bare(some_id: str) -> str:
    """An id as a spreadsheet leaves it, without leading zeros."""
    return some_id.lstrip("0")


def not_there(missing: Collection[str], of: int, what: str, where: str, known: Iterable[str]) -> str:
    """A message: how many ids are not there, the first of them, and how many would be with other leading zeros.

    Args:
        missing: the ids that are not there; at least one.
        of: of how many.
        what: what they are ids of, in the plural.
        where: where they are not.
        known: the ids that are there.
    """
    first = ", ".join(repr(shown_id(i)) for i in sorted(missing)[:FIRST])
    said = f"{len(missing):,} of {of:,} {what} are not in {where} (first {first})"
    return f"{said}{lost_zeros(missing, known)}"


def lost_zeros(missing: Iterable[str], known: Iterable[str]) -> str:
    """How a message goes on where ids are missing only for their leading zeros; empty where none is."""
    asked = Counter(map(bare, missing))
    n = sum(asked[b] for b in {b for b in map(bare, known) if b in asked})
    return f"; {n:,} would be there with other leading zeros: keep ids as text, not as numbers" if n else ""
