"""What an input says in a way that cannot be read, or only half: how many study dates and ages, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from calcitrace.model import Report
from calcitrace.sources.columns import FLAGS
from calcitrace.sources.reading import Tally
from calcitrace.studydate import EITHER, ORDERS, UNREADABLE, age_in_years, reading_of

AGE, BIRTH = "age", "birth"


class Odd:
    """Counts what is odd in the reports of an input, and keeps the first place of each kind.

    Args:
        date_order: the order of day and month that the run was given.
    """

    def __init__(self, date_order: str = "") -> None:
        self._order = date_order
        self._counts, self._first = Counter[str](), dict[str, Sequence[object]]()

    def look(self, report: Report, where: Sequence[object], born: bool = False) -> None:
        """Look at a report at its place (input and row); `born` says whether its row has a birth date."""
        self.add_date(report.study_date, 1, where)
        self.add_age(report.age, 1, where)
        self.add_births(int(born and not report.age), where)

    def add_date(self, written: str, n: int, where: Sequence[object] = ()) -> None:
        """Count `n` reports with this study date."""
        if written:
            self._add(reading_of(written), n, where)

    def add_age(self, written: str, n: int, where: Sequence[object] = ()) -> None:
        """Count `n` reports with this age."""
        if written.strip() and age_in_years(written) is None:
            self._add(AGE, n, where)

    def add_births(self, n: int, where: Sequence[object] = ()) -> None:
        """Count `n` reports with a birth date from which no age can be worked out."""
        if n:
            self._add(BIRTH, n, where)

    def _add(self, kind: str, n: int, where: Sequence[object]) -> None:
        self._counts[kind] += n
        self._first.setdefault(kind, where)

    def tell(self, path: object, tally: Tally) -> None:
        """Note what is odd in the input."""
        if UNREADABLE in self._counts:
            tally.note(
                path,
                f"study dates that cannot be read: {self._told(UNREADABLE)}; a cohort takes them for unclear "
                f"({FLAGS['study_date']} names another column)",
            )
        self._tell_order(path, tally)
        if AGE in self._counts:
            tally.note(
                path,
                f"ages that cannot be read: {self._told(AGE)}; a cohort takes them for unknown. An age is in years at "
                f"the study (63, 063Y, 18M); {FLAGS['birth_date']} names a column of birth dates",
            )
        if BIRTH in self._counts:
            said = f"birth dates that leave the age at the study unknown: {self._told(BIRTH)}; {self._why_no_age()}"
            tally.note(path, said)

    def _why_no_age(self) -> str:
        """Why birth dates give no age, and what to do."""
        if not self._counts.keys() - {AGE, BIRTH}:
            return f"no report has a study date ({FLAGS['study_date']} names its column)"
        asked = "" if self._order else "; --date-order dmy or mdy tells day from month"
        return f"both dates must be readable{asked}"

    def _tell_order(self, path: object, tally: Tally) -> None:
        """Note dates in which day and month could be either way, or which contradict the order that was given."""
        first = {order: self._counts[order] for order in ORDERS}
        said = f"{first['dmy']:,} can only be day first and {first['mdy']:,} month first"
        if self._order:
            wrong = next(order for order in ORDERS if order != self._order)
            if first[wrong]:
                against = f"study dates that contradict --date-order {self._order}"
                tally.note(path, f"{against}: {self._told(wrong)} ({said})")
        elif EITHER in self._counts:
            tally.note(
                path,
                f"study dates in which day and month could be either way: {self._told(EITHER)}; a cohort takes them "
                f"for unclear unless --date-order, or date_order in its criteria, says dmy or mdy (of the others "
                f"{said})",
            )

    def _told(self, kind: str) -> str:
        where = ":".join(map(str, self._first[kind]))
        return f"{self._counts[kind]:,}" + (f" (the first at {where})" if where else "")
