"""Dates as reports state them, and the earlier study that a change is told against."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from calcitrace.model import Mention, Section

MONTHS = "january february march april may june july august september october november december".split()
MONTH = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
MONTH += r"|nov(?:ember)?|dec(?:ember)?)"
YEAR = r"(?:19|20)\d\d"
_DAY = r"\d\d?(?:st|nd|rd|th)?"
_DATE = re.compile(
    rf"""
    (?P<iso>\b{YEAR}-\d\d?-\d\d?\b)
  | (?P<numbers>\b\d\d?[/.]\d\d?[/.](?:\d{{4}}|\d\d)\b)
  | (?P<month_year>\b\d\d?/{YEAR}\b)
  | (?P<named>\b(?:{_DAY}[ ](?:of[ ])?)?{MONTH}\b\.?(?:[ ]{_DAY}(?!\d),?)?(?:,?[ ]{YEAR}\b)?)
  | (?P<year>\b{YEAR}\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BEFORE_MONTH = re.compile(
    r"\b(?:since|in|of|from|on|to|until|with|than|after|dated|last|early|late|mid|versus|vs)\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d\d?")


def stated_dates(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
    """(place, date) of each date in `text[start:end]`: ISO (2019-03-02, 2019-03, 2019) where the words leave no doubt.

    What could be day and month either way ("06/10/2024") and a month without its year stay as written. A month alone
    counts only after a word that makes it a date, since "may" and "march" are other words too.
    """
    for found in _DATE.finditer(text, start, len(text) if end is None else end):
        written = found.group()
        if found.lastgroup == "named" and written.isalpha() and not _BEFORE_MONTH.search(text, start, found.start()):
            continue
        yield found.start(), _iso(found)


def _iso(found: re.Match[str]) -> str:
    written = found.group().strip(" ,.")
    if found.lastgroup == "iso":
        year, month, day = written.split("-")
        return f"{year}-{int(month):02}-{int(day):02}"
    if found.lastgroup == "month_year":
        month, year = written.split("/")
        return f"{year}-{int(month):02}" if 1 <= int(month) <= 12 else written
    if found.lastgroup == "numbers":
        return _of_numbers(written)
    return _of_names(written) if found.lastgroup == "named" else written


def _of_numbers(written: str) -> str:
    """Day and month in either order, told apart only where one of them is above 12."""
    first, second, year = (int(n) for n in re.split(r"[/.]", written))
    if year < 100 or (max(first, second) <= 12 and first != second):
        return written
    month, day = (first, second) if second > 12 or first == second else (second, first)
    return f"{year}-{month:02}-{day:02}" if month <= 12 and day <= 31 else written


def _of_names(written: str) -> str:
    year = re.search(rf"\b{YEAR}\b", written)
    if not year:
        return " ".join(written.split())
    rest = written.replace(year.group(), "")
    name = re.search(r"[a-z]+", re.sub(rf"{_DAY}|\bof\b", " ", rest.lower()))
    month = next(n for n, m in enumerate(MONTHS, 1) if name and m.startswith(name.group()[:3]))
    day = _NUMBER.search(rest)
    return f"{year.group()}-{month:02}" + (f"-{int(day.group()):02}" if day else "")


def change_since(text: str, mention: Mention, sentence: tuple[int, int], compared: str) -> str:
    """The date of the earlier study that a mention's change is told against, "" where the report states none.

    The first date after the words that tell the change, else the nearest in the sentence, else the only one that
    the comparison gives (`compared`).
    """
    said = [c for c in mention.asserted.cues if c.rule_id.startswith("context ")]
    at = max((c.end for c in said), default=mention.end)
    dates = list(stated_dates(text, *sentence))
    after = [d for p, d in dates if p >= min(at, mention.end)]
    if after:
        return after[0]
    return dates[-1][1] if dates else compared


def only_date(text: str, sections: Sequence[Section], names: frozenset[str]) -> str:
    """The one date that the sections of these names state, "" where there is none or more than one."""
    found = {d for s in sections if s.name in names for _, d in stated_dates(text, s.body, s.end)}
    return found.pop() if len(found) == 1 else ""
