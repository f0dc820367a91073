"""Of which mentions a predicate speaks: the subject of its clause, and what is coordinated with it.

"The edema around the deposit has cleared" speaks of the edema; "the edema and the erosion have cleared" of both;
"the erosion is deep and the edema has cleared" of the edema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from calcitrace.sites import Hit

Lists = Mapping[str, frozenset[str]]
_ALTERNATIVES = frozenset({"or", "nor", "/"})  # "erosion or edema is not seen" speaks of both
_RELATIVE = ("which", "that", "latter")


def subject(reached: Sequence[Hit], forms: Sequence[str], i: int, j: int, words: Lists) -> list[Hit]:
    """The hits, of those before the predicate `forms[i:j]`, of which it speaks (word lists of words.yml)."""
    before = [h for h in reached if h.j <= i]
    if len(before) < 2:
        return before
    heads, apart = [before[0]], True
    for hit in before[1:]:
        between = forms[min(heads[-1].j, hit.i) : hit.i]
        how = _how(between, words)
        if how == "clause":
            heads, apart = [hit], True
        elif how == "coordinated":
            heads.append(hit)
            apart = apart and _ALTERNATIVES.isdisjoint(between)
        elif how == "compound":
            heads[-1] = hit
    said = forms[i:j]
    if any(w in _RELATIVE for w in said[:3]):
        return before[-1:]
    return heads if words["plural"].intersection(said) or not apart else heads[-1:]


def _how(between: Sequence[str], words: Lists) -> str:
    """How a hit stands to the head before it: of a new clause, coordinated, described, or one noun with it."""
    if words["finite"].intersection(between):
        return "clause"
    last = next((w for w in reversed(between) if w in words["coordinates"] or w in words["relates"]), "")
    if not last:
        return "compound"
    return "coordinated" if last in words["coordinates"] else "described"
