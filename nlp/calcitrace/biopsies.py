"""Whether a biopsy was done, by the words around its mentions and the words of the criteria."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from calcitrace.criteria import Criteria
from calcitrace.healing import has_word
from calcitrace.timeline import Entry

_IF = frozenset({"if", "unless", "should", "when"})
_OF_MODAL = frozenset(
    {"not", "be", "never", "only", "now", "still", "definitely", "probably", "ideally", "also", "therefore"}
)
_IS = frozenset({"is", "was", "are", "were", "has", "had"})


def biopsy(entries: Iterable[Entry], criteria: Criteria) -> str:
    """Whether a biopsy was done, or only advised, by any report; none where neither is said."""
    said = {
        _biopsy_of(m, criteria.biopsy)
        for e in entries
        for m in e.mentions
        if m["finding"] in criteria.findings["biopsy"]
    }
    return next((s for s in ("done", "advised") if s in said), "none")


def _biopsy_of(mention: Mapping[str, Any], words: Mapping[str, Collection[str]]) -> str:
    """What the words around the mention of a biopsy say of it: not wanted, still to come, done, advised; else done."""
    before, after = mention.get("before", ()), mention.get("after", ())
    said = _until_condition(after)  # "if it does not settle" denies no biopsy
    near, around = before[-3:], (*before, *after)
    if (
        mention["assertion"] == "absent"
        or has_word(near, words["not_before"])
        or has_word(said[:4], words["not_after"])
        or ("need" in before and has_word(before, ("no", "not")))  # "does not need to be biopsied"
    ):
        return "none"
    if after and after[0] in _IS and has_word(after[1:2], words["advised"]):  # "was recommended"
        return "advised"
    if "before" in near or "prior to" in " ".join(near) or has_word(said[:2], words["to_come"]):
        return "advised"
    if mention["assertion"] == "historical" or has_word(near, words["done_before"]):
        return "done"
    if has_word((*around, *str(mention["text"]).lower().split()), words["done"]):
        return "done"
    hedged = mention["assertion"] in ("possible", "hypothetical") or mention.get("section") == "recommendation"
    return "advised" if hedged or has_word(around, words["advised"]) else "done"


def _until_condition(words: Sequence[str]) -> tuple[str, ...]:
    """The words up to a condition; *should* begins one, but not in "should be" or "should not"."""
    pairs = zip(words, (*words[1:], ""), strict=True)
    return tuple(
        word for word, _ in takewhile(lambda p: p[0] not in _IF or (p[0] == "should" and p[1] in _OF_MODAL), pairs)
    )
