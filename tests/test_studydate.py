"""Study dates: every format that archives write, and no guess where one could be two days."""

from __future__ import annotations

from datetime import date

import pytest

from calcitrace.studydate import age_in_years, study_date


@pytest.mark.parametrize(
    "written",
    [
        *("2019-03-02", "2019/3/2", "20190302", "20190302101500", "2019-03-02T10:15:00+01:00", "2019-03-02 23:30:00Z"),
        *("2 Mar 2019", "02-MAR-2019", "March 2, 2019", "Mar 2nd, 2019", "2019-03-02 10:15:00.123", "20190302T101500"),
    ],
)
def test_a_full_date_is_one_day(written: str) -> None:
    """However it is written; a time or a time zone never moves the day."""
    assert study_date(written).day == date(2019, 3, 2)


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("2019", (2019, 1, 1), (2019, 12, 31)),
        ("2020-02", (2020, 2, 1), (2020, 2, 29)),
        ("03/2019", (2019, 3, 1), (2019, 3, 31)),
        ("Mar 2019", (2019, 3, 1), (2019, 3, 31)),
    ],
)
def test_a_partial_date_stands_for_all_its_days(written: str, first: tuple[int, ...], last: tuple[int, ...]) -> None:
    """A year or a month is a span and no one day."""
    said = study_date(written)
    assert (said.kind, said.day) == ("partial", None)
    assert (said.first, said.last) == (date(*first), date(*last))


def test_day_and_month_that_could_be_either_are_unclear() -> None:
    """Unless an order is given, or one of them is above 12, or both are equal."""
    assert study_date("03/02/2019").kind == "unclear"
    assert study_date("03/02/2019", "dmy").day == date(2019, 2, 3)
    assert study_date("03/02/2019", "mdy").day == date(2019, 3, 2)
    assert study_date("13/02/2019").day == study_date("02/13/2019").day == date(2019, 2, 13)
    assert study_date("05.05.2019").day == date(2019, 5, 5)


@pytest.mark.parametrize(
    "written", ["yesterday", "2019-02-30", "2019-13-01", "1/2/19", "0001-01-01", "9999-12-31", "19"]
)
def test_what_is_no_date_is_unclear(written: str) -> None:
    """Nothing is guessed: two-digit years, days that do not exist, and stand-ins for an unknown date."""
    assert study_date(written).kind == "unclear"


def test_an_empty_date_is_missing() -> None:
    """Missing is told apart from unclear."""
    assert study_date("  ").kind == "missing"


def test_the_time_orders_reports_of_a_day() -> None:
    """Morning comes before afternoon, whichever way the time is written."""
    assert study_date("3/25/2019 9:05 AM").time == "090500"
    assert study_date("3/25/2019 9:05 PM").time == "210500"
    assert study_date("2019-03-25T10:15").time == "101500"


def test_ages_as_archives_write_them() -> None:
    """Years by default; DICOM's units; nothing else."""
    assert [age_in_years(a) for a in ("63", "063Y", "63 years", "18M", "old", "999")] == [63, 63, 63, 1.5, None, None]
