"""Measurements in a sentence: sizes in millimetres, and what two sizes of one thing say of its change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SIZE = re.compile(r"^\d+(?:[.,]\d+)?$")
_EARLIER = frozenset({"was", "were", "previously", "prev", "formerly", "from", "versus", "vs", "against", "had"})
_UNITS = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0}


def measurements(forms: Sequence[str]) -> Iterable[tuple[int, float]]:
    """(position, largest dimension in mm) of each present measurement: "9 x 4 mm", "1.2 cm"; not "was 12 mm"."""
    numbers: list[float] = []
    first = 0
    for k, form in enumerate(forms):
        if _SIZE.match(form):
            first = first if numbers else k
            numbers.append(float(form.replace(",", ".")))
        elif form in _UNITS and numbers:
            if not _EARLIER & set(forms[max(0, first - 2) : first]):
                yield k, max(numbers) * _UNITS[form]
            numbers = []
        elif form not in ("x", "by", "times", "-", "mm", "cm"):
            numbers = []


_SIZED = r"(\d+(?:\.\d+)?)(?: x \d+(?:\.\d+)?)*(?: (?:mm|cm))?"
_NOW_THEN = re.compile(
    rf"\b{_SIZED} ?[,;(]?(?: (?:now|today))?(?: ?[,;(])? "
    r"(?:previously|prev|formerly|was|were|versus|vs|compared (?:with|to)|(?:down |up )?from|earlier|before)"
    rf"(?: (?:it|was|at|measured|about))* {_SIZED}"
)
_THEN_NOW = re.compile(
    rf"\b(?:was|were|from|previously|formerly|measured|went from|crept from) {_SIZED}(?: (?!not\b)[^ .;]+){{0,6}}? "
    rf"(?:now|today|to|currently|is now|and is)(?: (?:it|is|at|measures))* {_SIZED}"
)
_SAME = 0.05


def size_changes(forms: Sequence[str]) -> Iterable[tuple[int, str]]:
    """(position of the words, change) for each pair of an earlier and a present measurement in the sentence."""
    text = " ".join(forms)
    if not any(form.isdigit() or "." in form for form in forms):
        return
    for pattern, now in ((_NOW_THEN, 1), (_THEN_NOW, 2)):
        for found in pattern.finditer(text):
            present, earlier = float(found[now]), float(found[3 - now])
            if not earlier or present > 200 or earlier > 200:
                continue
            ratio = present / earlier
            change = "increased" if ratio > 1 + _SAME else "decreased" if ratio < 1 - _SAME else "unchanged"
            yield text.count(" ", 0, found.start()), change
            return
