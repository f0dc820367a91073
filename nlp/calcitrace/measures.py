"""Measurements in a sentence: sizes in millimetres, and what two sizes of one thing say of its change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from calcitrace.dates import MONTH, YEAR

_SIZE = re.compile(r"^\d+(?:[.,]\d+)?$")
_UNITS = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "centimeter": 10.0, "centimeters": 10.0}
_NUMBERS = {w: n for n, w in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)}
_BELOW = {"subcentimeter": 10.0, "submillimeter": 1.0}
_TELL_A_SIZE = frozenset((*_UNITS, *_BELOW))
_AXES = frozenset("ap cc tr ml si craniocaudal transverse anteroposterior sagittal coronal axial".split())
LOOK_BACK = 10
LISTS = (
    "distance",
    "extent",
    "sized_by",
    "past_size",
    "earlier_size",
    "present_size",
    "dated_size",
    "dimension",
)


@dataclass(frozen=True, slots=True)
class Measure:
    """A size that a sentence states as present: its words `i:j` and its largest dimension in millimetres."""

    i: int
    j: int
    size_mm: float


def measurements(forms: Sequence[str], words: Mapping[str, frozenset[str]], earlier: bool = False) -> Iterable[Measure]:
    """The present sizes in a sentence: "9 x 4 mm", "1.2 cm", "subcentimetre" (10 mm, its upper bound).

    Not those of before ("was 12 mm", "compared with 18 mm"; these where `earlier`), and not distances ("2 cm above
    the insertion"); the words that tell these are lists of words.yml.
    """
    if _TELL_A_SIZE.isdisjoint(forms):
        return
    numbers: list[float] = []
    first = 0
    found: list[Measure] = []
    for k, form in enumerate(forms):
        if _SIZE.match(form) or form in _NUMBERS:
            first = first if numbers else k
            numbers.append(float(form.replace(",", ".")) if form not in _NUMBERS else float(_NUMBERS[form]))
        elif form in _UNITS and numbers:
            found.append(Measure(first, k + 1, max(numbers) * _UNITS[form]))
            numbers = []
        elif form in _UNITS and k and forms[k - 1] == "sub":
            found.append(Measure(k - 1, k + 1, _UNITS[form]))
        elif form in _BELOW:
            found.append(Measure(k, k + 1, _BELOW[form]))
        elif form not in ("x", "by", "times", "-") and not _names_axis(forms, k):
            numbers = []
    exact = [m for m in found if forms[m.i] not in _BELOW]
    for measure in _joined(exact or found, forms):
        if _of_before(measure, forms, words) == earlier and not _distance(measure, forms, words):
            yield measure


def _names_axis(forms: Sequence[str], k: int) -> bool:
    """Whether a word only tells the direction of a dimension: "10 (CC) x 4 (TR) mm"."""
    return forms[k] in _AXES or (forms[k] in "()" and bool(_AXES.intersection(forms[max(0, k - 1) : k + 2])))


def _joined(found: Sequence[Measure], forms: Sequence[str]) -> Iterable[Measure]:
    """Dimensions that each have a unit are one size: "12 mm x 8 mm"."""
    last: Measure | None = None
    for measure in found:
        if last and all(w in ("x", "by") or w in _AXES for w in forms[last.j : measure.i]):
            last = Measure(last.i, measure.j, max(last.size_mm, measure.size_mm))
            continue
        if last:
            yield last
        last = measure
    if last:
        yield last


def _of_before(measure: Measure, forms: Sequence[str], words: Mapping[str, frozenset[str]]) -> bool:
    """Whether the size is of an earlier study."""
    after = measure.j + (measure.j < len(forms) and forms[measure.j] in words["dimension"])
    if _starts(forms, after, words["dated_size"]):
        return True
    said = " ".join(forms[: measure.i])
    if _DATED.match(" ".join(forms[after : after + 6])) or _DATE_BEFORE.search(said) or _TOLD_OF_THEN.search(said):
        return True
    before = [w for w in forms[max(0, measure.i - 3) : measure.i] if w not in ("about", "approximately", "some", "the")]
    if before and before[-1] in words["past_size"]:
        return True
    if before[-1:] == ["to"] and before[-2:-1] not in (["compared"], ["relative"], ["similar"]):  # "reduced to 10 mm"
        return False
    for form in reversed(forms[max(0, measure.i - LOOK_BACK) : measure.i]):
        if form in words["present_size"] or form in (".", ";", ",", ":"):
            return False
        if form in words["earlier_size"]:
            return True
    return False


def _distance(measure: Measure, forms: Sequence[str], words: Mapping[str, frozenset[str]]) -> bool:
    """Whether it tells how far something is from something else."""
    if any(w in words["sized_by"] for w in forms[max(0, measure.i - 2) : measure.i]):
        return False
    if "x" in forms[measure.i : measure.j]:
        return False
    after = measure.j + (measure.j < len(forms) and forms[measure.j] == ")")
    if any(_SIZE.match(w) for w in forms[after + 1 : after + 2]):  # "6 mm from 14"
        return False
    over = not words["extent"].isdisjoint(w for w in forms[max(0, measure.i - 2) : measure.i])
    return over or _starts(forms, after, words["distance"])


def _starts(forms: Sequence[str], at: int, phrases: frozenset[str]) -> bool:
    """Whether one of the phrases stands at a position."""
    return any(" ".join(forms[at : at + n]) in phrases for n in (1, 2, 3))


_SIZED = r"(\d+(?:\.\d+)?)(?: x \d+(?:\.\d+)?)*(?: (?:mm|cm))?"
_DATE = rf"(?:(?:\d{{1,2}} / ){{1,2}}\d{{2,4}}|(?:\d{{1,2}} )?{MONTH}(?: {YEAR})?|{YEAR})"
_IMAGE = r"(?:xr|x ray|ct|mr|mri|us|ultrasound|radiographs?|films?|scan|study|exam|examination)"
_DATED = re.compile(
    rf"(?:(?:last |(?:in|on|at|from|of) (?:(?:the|last|early|late|mid|prior|previous) )*)"
    rf"(?:{_DATE}\b|{_IMAGE} (?:of|from|in|dated) (?:the )?(?:last )?{_DATE}\b)"
    rf"|on (?:the )?{_IMAGE} \)"
    r"|on the (?:first|second|initial|earlier|older|index|baseline)\b"
    r"|(?:[a-z]+ ){0,4}at (?:that|the) time\b)"
)
_DATE_BEFORE = re.compile(rf"(?:[(,;] )(?:(?:in|on) )?(?:{_IMAGE} )?{_DATE} :(?: about)?$")
_TOLD_OF_THEN = re.compile(
    rf"(?:^|[.;,] )(?:in|on|at) (?:(?:the|last|early|late|mid|prior|previous|outside) )*"
    rf"(?:{_DATE}|{_IMAGE} (?:of|from|in|dated) {_DATE})(?: {_IMAGE})?(?: ,)?(?: (?!is\b|now\b|today\b)[a-z]+){{0,6}}? "
    r"(?:was|were|had|contained|measured|showed|held|spanned|reached)(?: (?!is\b|now\b|today\b)[a-z]+){0,5}(?: ,)?$"
)
_NOW_DATED = re.compile(
    rf"\b{_SIZED}(?: (?!mm\b|cm\b)[^ .]+){{0,12}}? {_SIZED} {_DATED.pattern}",
)
_NOW_DATE = re.compile(
    rf"\b{_SIZED}(?: (?!mm\b|cm\b)[^ .]+){{0,8}}? [(,;] (?:(?:in|on) )?(?:{_IMAGE} )?{_DATE} :(?: about)? {_SIZED}"
)
_ARROW = re.compile(rf"\b{_SIZED} (?:- >|→|->) {_SIZED}")
_NOW_THEN = re.compile(
    rf"\b{_SIZED}(?: [a-z]+){{0,8}}? ?[,;(]?(?: (?:now|today))?(?: ?[,;(])? (?:(?:it|this|which|that) )?"
    r"(?:previously|prev|prior|formerly|was|were|versus|vs|compared (?:with|to)|(?:down |up )?from|earlier|before)"
    rf"(?: (?:it|was|at|measured|about))* {_SIZED}"
)
_SAID_THEN = re.compile(
    rf"\b{_SIZED}(?: [a-z]+){{0,2}} ?[,;(]? {_SIZED} "
    r"(?:previously|before|earlier|last time|(?:in|on|at) (?:the )?(?:prior|previous|last|earlier|first) ?[a-z]*)\b"
)
_NOW_THAN_THEN = re.compile(  # "7 mm, less than the 9 mm of January"
    rf"\b{_SIZED} ?,? (?:(?:less|more|smaller|larger) than|against)(?: the)? {_SIZED} "
    rf"(?:[a-z]+ ){{1,4}}?(?:{MONTH}|{YEAR}|last|previous|prior|earlier|first)\b"
)
_NOW_THEN_IN_BRACKETS = re.compile(rf"\b{_SIZED} ?\( then {_SIZED}")
_THEN_AND_NOW = re.compile(rf"\b{_SIZED} then ?,?(?: and)? {_SIZED} (?:now|today)\b")
_THEN_NOW = re.compile(
    rf"\b(?:was|were|from|previously|formerly|measured|went from|crept from) {_SIZED}(?: (?!not\b)[^ .;]+){{0,14}}? "
    rf"(?:now|today|to|currently|is now|and is)(?: (?:it|is|at|measures|only|just|about))* {_SIZED}"
)
_PAIRS = (
    (_NOW_THEN, 1),
    (_SAID_THEN, 1),
    (_NOW_THAN_THEN, 1),
    (_NOW_THEN_IN_BRACKETS, 1),
    (_THEN_AND_NOW, 2),
    (_THEN_NOW, 2),
    (_NOW_DATED, 1),
    (_NOW_DATE, 1),
    (_ARROW, 2),
)
_PAIR = 2
_SAME = 0.05


def size_changes(forms: Sequence[str]) -> Iterable[tuple[int, str]]:
    """(position of the words, change) for each pair of an earlier and a present measurement in the sentence."""
    numbers = [form for form in forms if form[0].isdigit()]
    if len(numbers) < _PAIR or not any(form.isdigit() or "." in form for form in forms):
        return
    text = " ".join(forms)
    for pattern, now in _PAIRS:
        for found in pattern.finditer(text):
            present, earlier = float(found[now]), float(found[3 - now])
            if not earlier or present > 200 or earlier > 200:
                continue
            yield text.count(" ", 0, found.start()), size_change(present, earlier)
            return


def size_change(present: float, earlier: float) -> str:
    """What two sizes of one thing say, with 5 % taken for no change."""
    ratio = present / earlier
    return "increased" if ratio > 1 + _SAME else "decreased" if ratio < 1 - _SAME else "unchanged"


_PRONOUNS = frozenset({"it", "its", "this", "the", "measuring", "measures", "size", "which", "what", "dimensions"})
_NEAR_START = 4


def may_measure(forms: Sequence[str]) -> bool:
    """Whether a sentence may tell the size of what the one before it spoke of."""
    return forms[0] in _PRONOUNS or forms[0][0].isdigit() or "it" in forms[:_NEAR_START]
