"""The study date of a report as an archive writes it: which day, or which span of days, and how sure that is.

Rules, none of them a guess: a time of day and a time zone are read and never move the day (it stays the local day that
the archive wrote); two-digit years and numbers that could be day and month either way are `unclear` unless an order is
given; a year or a month without its day is `partial` and stands for all of its days.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from calcitrace.dates import MONTH, MONTHS

ORDERS = ("dmy", "mdy")
EITHER, UNREADABLE = "either", "unreadable"
MAX_AGE = 130
EARLIEST, LATEST = 1900, 2100  # years outside stand for "not known" in archives (0001, 1753, 9999)
_ZONE = r"(?:Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)?"
_TIME = rf"(?:[T ]\s*(?P<time>\d\d?:?\d\d(?::?\d\d)?)(?:[.,]\d+)?\s*(?P<half>[AaPp][Mm])?\s*{_ZONE})?"
_YEAR_FIRST = re.compile(rf"(?P<y>\d{{4}})(?:([-/.])(?P<m>\d\d?)(?:\2(?P<d>\d\d?){_TIME})?)?")
_USUAL = re.compile(r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])")  # most of them; each is a day
_COMPACT = re.compile(
    r"(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?:(?P<d>\d\d)[T ]?(?P<time>\d{4}(?:\d\d)?)?(?:\.\d+)?(?:Z|[+-]\d{4})?)?"
)
_NUMBERS = re.compile(rf"(?P<a>\d\d?)([-/.])(?P<b>\d\d?)\2(?P<y>\d{{4}}){_TIME}")
_MONTH_YEAR = re.compile(r"(?P<m>\d\d?)[-/.](?P<y>\d{4})")
_NAMED = re.compile(
    rf"(?:(?P<d1>\d\d?)(?:st|nd|rd|th)?[-\s.]+)?(?P<name>{MONTH})[-\s.,]*(?:(?P<d2>\d\d?)(?:st|nd|rd|th)?,?\s+)?"
    rf"(?P<y>\d{{4}}){_TIME}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class StudyDate:
    """The first and last day that a study date can mean; `kind` is day, partial, unclear or missing."""

    first: date = date.max
    last: date = date.max
    time: str = ""
    kind: str = "missing"

    @property
    def day(self) -> date | None:
        """The one day it means, None where it means no one day."""
        return self.first if self.kind == "day" else None

    @property
    def known(self) -> bool:
        """Whether it says at least which span of days."""
        return self.kind in ("day", "partial")


MISSING = StudyDate()
UNCLEAR = StudyDate(kind="unclear")


def study_date(written: str, order: str = "") -> StudyDate:
    """What a study date says.

    Args:
        written: as the archive gives it: 2019-03-02, 2019/3/2, 20190302, 2019-03-02T10:15:00+01:00, 02.03.2019,
            3/2/2019, 2 Mar 2019, March 2, 2019, or only 2019-03, 03/2019, Mar 2019, 2019.
        order: "dmy" or "mdy" for numbers that could be day and month either way; "" leaves them unclear.
    """
    said = " ".join(written.split())
    if not said:
        return MISSING
    for pattern in (_YEAR_FIRST, _COMPACT, _NUMBERS, _MONTH_YEAR, _NAMED):
        found = pattern.fullmatch(said)
        if found:
            return _of(found.groupdict(), order)
    return UNCLEAR


def is_unreadable(written: str) -> bool:
    """Whether a date is written that can be no day, month or year in any order (13.13.2021, n/a, the year 1)."""
    return bool(written.strip()) and all(study_date(written, order) == UNCLEAR for order in ORDERS)


def orders_of(written: str) -> str:
    """In which order of day and month a date can be read: dmy, mdy, either, or "" where the order tells nothing."""
    found = _NUMBERS.fullmatch(" ".join(written.split()))
    if not found or found["a"] == found["b"]:
        return ""
    able = [order for order in ORDERS if study_date(written, order).day]
    return EITHER if len(able) == len(ORDERS) else "".join(able)


def reading_of(written: str) -> str:
    """How a date can be read: `UNREADABLE`, or as `orders_of` says."""
    return "" if _USUAL.fullmatch(written) else _reading(written)


@lru_cache(maxsize=4096)
def _reading(written: str) -> str:
    return UNREADABLE if is_unreadable(written) else orders_of(written)


def _of(parts: dict[str, str | None], order: str) -> StudyDate:
    if parts.get("a"):
        month, day = _month_and_day(int(parts["a"] or 0), int(parts["b"] or 0), order)
    elif parts.get("name"):
        month, day = _named(parts["name"] or ""), int(parts["d1"] or parts["d2"] or 0)
    else:
        month, day = int(parts.get("m") or 0), int(parts.get("d") or 0)
    if month < 0:
        return UNCLEAR
    return _span(int(parts["y"] or 0), month, day, _time(parts.get("time"), parts.get("half")))


def _month_and_day(a: int, b: int, order: str) -> tuple[int, int]:
    """(month, day) of two numbers; (-1, 0) where nothing tells which is which."""
    if order == "mdy" or (not order and (b > 12 or a == b)):
        return a, b
    if order == "dmy" or a > 12:
        return b, a
    return -1, 0


def _named(name: str) -> int:
    return next(n for n, month in enumerate(MONTHS, 1) if month.startswith(name.lower()[:3]))


def _span(year: int, month: int, day: int, time: str) -> StudyDate:
    if not EARLIEST <= year <= LATEST:
        return UNCLEAR
    try:
        if day:
            return StudyDate(date(year, month, day), date(year, month, day), time, "day")
        first, last = month or 1, month or 12
        return StudyDate(date(year, first, 1), date(year, last, monthrange(year, last)[1]), "", "partial")
    except ValueError:
        return UNCLEAR


def _time(written: str | None, half: str | None) -> str:
    """HHMMSS, for the order within a day."""
    if not written:
        return ""
    digits = written.replace(":", "") if written.count(":") != 1 or len(written) > 4 else "0" + written.replace(":", "")
    digits = digits.ljust(6, "0")[:6]
    hour = int(digits[:2])
    if half:
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    return f"{hour:02}{digits[2:]}"


def age_at(birth: str, study: str, order: str = "") -> str:
    """Whole years from one written date to another; empty where they leave a doubt about it, or cannot be.

    A date that is partial, or whose day and month could be either way, counts only where no day that it can mean
    gives another age. `order` is that of `study_date`.
    """
    born, seen = _span_of(birth, order), _span_of(study, order)
    if not (born and seen):
        return ""
    least, most = _years(born[1], seen[0]), _years(born[0], seen[1])
    return str(least) if least == most and 0 <= least <= MAX_AGE else ""


def _span_of(written: str, order: str) -> tuple[date, date] | None:
    """The first and the last day that a date can mean, in any order where none is given."""
    bare = re.sub(r"(?<=\d)T.*", "", written.strip())  # the time of day does not move it
    read = [d for o in ((order,) if order else ORDERS) if (d := study_date(bare, o)).known]
    return (min(d.first for d in read), max(d.last for d in read)) if read else None


def _years(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def age_in_years(written: str) -> float | None:
    """An age as an archive writes it (63, 63.5, 063Y, 63 years, 18M for months, 30D for days), None where unclear."""
    found = re.fullmatch(
        r"0*(\d{1,3}(?:\.\d+)?)\s*(y|yr|yrs|years?|m|mo|months?|w|weeks?|d|days?)?(?:\s*old)?", written.strip().lower()
    )
    if not found:
        return None
    per_year = {"m": 12, "w": 52.18, "d": 365.25}.get((found[2] or "y")[0], 1)
    age = float(found[1]) / per_year
    return age if age <= MAX_AGE else None
