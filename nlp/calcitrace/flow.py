"""The flow of rows and patients into a cohort: one box each, totals as sums of boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calcitrace.criteria import Criteria
from calcitrace.selection import (
    MEMBER,
    NO_FULL_DATE,
    NO_PATIENT,
    REMOVED,
    SUPERSEDED,
    exclusion_names,
    steps_to_a_case,
)
from calcitrace.timeline import COPIED, COUNTED, DUPLICATE, VERSION

_DETAIL = re.compile(r" \([^()]*\)$")  # what a reason tells of one row: lines, numbers of fields
REPORT_BOXES = {
    SUPERSEDED: "Read again by a later run",
    NO_PATIENT: "No patient id",
    VERSION: "Addendum or other version, merged into its report",
    DUPLICATE: "Same text on the same day",
    COPIED: "Text copied forward",
    COUNTED: "Reports that count",
}


@dataclass(frozen=True, slots=True)
class Flow:
    """Counts by box: `rejects` by reason, `reports` by how they count, `patients` by box, and the reports of these.

    `hints` are what to add to the name of a box, for whoever looks at the diagram. `by_review` counts the patients whom
    the decisions of reviewers alone made a case (ADDED), or none (REMOVED); it is empty where nobody reviewed.
    """

    rejects: Mapping[str, int] = field(default_factory=dict)
    reports: Mapping[str, int] = field(default_factory=dict)
    patients: Mapping[str, int] = field(default_factory=dict)
    reports_of: Mapping[str, int] = field(default_factory=dict)
    no_case: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    by_review: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that were read: rejects and reports."""
        return sum(self.rejects.values()) + sum(self.reports.values())

    @property
    def counted(self) -> int:
        """Reports that count, each of one patient."""
        return sum(self.reports_of.values())

    @property
    def all_patients(self) -> int:
        """Patients with a report that counts."""
        return sum(self.patients.values())

    @property
    def cases(self) -> int:
        """Patients with a report that makes a case under the criteria."""
        return sum(self.patients[name] for name in (*self.excluded, MEMBER))

    @property
    def members(self) -> int:
        """Patients in the cohort."""
        return self.patients[MEMBER]

    @property
    def reports_of_members(self) -> int:
        """Reports that count, of the patients in the cohort."""
        return self.reports_of[MEMBER]

    def ordered(self, criteria: Criteria, either_order: int = 0) -> Flow:
        """The same counts, with every box of the criteria in order, also those that hold nobody.

        Args:
            either_order: dates that are unclear for want of an order of day and month.
        """
        rejects: Counter[str] = Counter()
        for reason, n in self.rejects.items():
            rejects[_DETAIL.sub("", reason)] += n
        no_case = tuple(step.box for step in steps_to_a_case(criteria))
        excluded = tuple(exclusion_names(criteria))
        names = (*no_case, *excluded, MEMBER)
        return replace(
            self,
            rejects=dict(sorted(rejects.items(), key=lambda r: (-r[1], r[0]))),
            reports={name: self.reports.get(name, 0) for name in REPORT_BOXES},
            patients={name: self.patients.get(name, 0) for name in names},
            reports_of={name: self.reports_of.get(name, 0) for name in names},
            no_case=no_case,
            excluded=excluded,
            hints={NO_FULL_DATE: "date_order is not set"} if either_order else {},
        )

    def reviewed(self, what: str) -> list[tuple[str, int]]:
        """The line of the box of cases, or of no cases, that tells how many a review added or removed."""
        of = "of all without a case report" if what == REMOVED and len(self.no_case) > 1 else "of these"
        return [(f"{of}, {what}", self.by_review[what])] if self.by_review else []

    def shown(self, box: str) -> str:
        """The name of a box of patients, with its hint."""
        return f"{box}; {self.hints[box]}" if box in self.hints else box
