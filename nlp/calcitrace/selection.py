"""One patient's history under the criteria: case or not, index date, and the one box of the flow that it falls into."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import NamedTuple

from calcitrace.criteria import Criteria, Exclusion
from calcitrace.phrases import either, many
from calcitrace.studydate import study_date
from calcitrace.timeline import STATUSES, Entry, Place, count_once, episodes, place_of

MEMBER = "In the cohort"
NO_FULL_DATE = "No full date of a case report"
SUPERSEDED, NO_PATIENT = "superseded", "no_patient_id"
NO_LATER, NOT_TOLD = "no_later_report", "not_told"  # how an unknown outcome is shown
ADDED, REMOVED = "added by review", "removed by review"


@dataclass(slots=True)
class History:
    """A patient's reports (`entries`, all; `reports`, those that count, in order) and what they come to.

    `review` is ADDED or REMOVED where the decisions of reviewers alone made the patient a case, or none.
    """

    entries: list[Entry]
    reports: list[Entry] = field(default_factory=list)
    cases: list[Entry] = field(default_factory=list)
    episode: list[Entry] = field(default_factory=list)
    index: Entry | None = None
    place: Place | None = None
    n_episodes: int = 0
    box: str = ""
    review: str = ""

    @property
    def index_date(self) -> date | None:
        """The day of the index report, None for no case and where no case report has a full date."""
        return self.index.date.day if self.index else None

    @property
    def why_unknown(self) -> str | None:
        """Why an unknown outcome is so: no later report with a full date, or none that tells; None for no case."""
        if self.index_date is None:
            return None
        return NOT_TOLD if any(e.date.day and e.date.day > self.index_date for e in self.reports) else NO_LATER


def history(entries: Sequence[Entry], criteria: Criteria) -> History:
    """The history of one patient; every entry is marked with how it counts."""
    found = History(list(entries))
    found.reports = count_once(_last_run(entries), criteria)
    found.cases, found.box = _case_reports(found.reports, criteria)
    found.review = _by_review(found.reports, criteria)
    if not found.cases:
        return found
    groups = episodes(found.cases)
    found.n_episodes = len(groups)
    found.index = next((e for e in found.cases if e.date.day), None)
    found.episode = next((g for g in groups if found.index in g), groups[0])
    found.place = place_of(found.episode, criteria)
    found.box = next((name for name, leaves in _exclusions(criteria) if leaves(found)), MEMBER)
    return found


def _last_run(entries: Sequence[Entry]) -> list[Entry]:
    """Of a report that several runs have read, the row of the last run."""
    last = {e.report_id: e for e in sorted(entries, key=lambda e: (e.run, e.place))}
    for entry in entries:
        if last[entry.report_id] is not entry:
            entry.counted, entry.merged_into = SUPERSEDED, entry.report_id
    return [e for e in last.values() if e.counted != SUPERSEDED]


class Step(NamedTuple):
    """What a report must be to make a case.

    Attributes:
        box: of the patients who have no such report.
        said: the condition as Methods tell it, after "A case report was one".
        apart: what an earlier report may be all the same that counts for `washout_days`; empty where it may not.
        passes: whether a report is so.
    """

    box: str
    said: str
    apart: str
    passes: Callable[[Entry], bool]


def steps_to_a_case(criteria: Criteria) -> list[Step]:
    """What a report must be to make a case, in order: selection, flow diagram and Methods go by it."""
    return list(_steps(criteria))


def _steps(c: Criteria) -> Iterator[Step]:
    tiers, kinds, sites, sides = (either(names) for names in (c.tiers, c.modalities, c.sites, c.sides))
    yield Step(f"No {tiers} report", f"with case status {tiers}", "", lambda e: e.status in c.tiers)
    if c.likely_case:
        said = "that is a likely case by the model"
        yield Step("No likely case by the model", said, "likely or not", lambda e: e.likely or bool(e.adjudicated))
    if c.adjudicated_only:
        said = "on which a reviewer decided"
        yield Step("No adjudicated case report", said, "reviewed or not", lambda e: bool(e.adjudicated))
    if (least := c.probability) is not None:
        box, said = f"Probability below {least:g}", f"with a probability of at least {least:g}"
        yield Step(box, said, "of any probability", lambda e: e.probability is not None and e.probability >= least)
    if wanted := {m.casefold() for m in c.modalities}:
        yield Step(
            f"Modality not {kinds}",
            f"whose modality is {kinds}",
            "of any modality",
            lambda e: bool({e.modality.casefold(), e.kind.casefold()} & wanted),
        )
    if c.sites:
        yield Step(f"Site not {sites}", f"from the site {sites}", "from any site", lambda e: e.site in c.sites)
    if c.sides:
        told = sides.replace("none", "not stated")
        yield Step(f"Side not {sides}", f"whose side is {told}", "of any side", lambda e: e.laterality in c.sides)


def _case_reports(reports: Sequence[Entry], criteria: Criteria) -> tuple[list[Entry], str]:
    """The reports that pass every step, or none and the box of the step at which none was left."""
    left = list(reports)
    for step in steps_to_a_case(criteria):
        left = [e for e in left if step.passes(e)]
        if not left:
            return [], step.box
    return left, MEMBER


def _by_review(reports: Sequence[Entry], criteria: Criteria) -> str:
    """Whether the decisions made the patient a case, or none; not that `adjudicated_only` leaves out the others."""
    if not any(e.adjudicated for e in reports):
        return ""
    whole = replace(criteria, adjudicated_only=False)
    before = [replace(e, status=e.unreviewed, adjudicated="") for e in reports]
    was, now = (bool(_case_reports(entries, whole)[0]) for entries in (before, reports))
    return "" if was == now else ADDED if now else REMOVED


def _exclusions(criteria: Criteria) -> Iterator[tuple[str, Callable[[History], bool]]]:
    """The reasons to leave out a patient who is a case, in order."""
    c = criteria
    yield NO_FULL_DATE, lambda h: h.index is None
    if any(c.dates):
        yield f"Index date {_outside(*c.dates, 'before', 'after')}", lambda h: not _within(h.index_date, *c.dates)
    if any(a is not None for a in c.ages):
        years = _outside(*c.ages, "under", "over")
        yield "Age not known", lambda h: _age(h) is None
        yield f"{years[0].upper()}{years[1:]} years", lambda h: not _within(_age(h), *c.ages)
    if c.lookback_days:
        yield (
            f"First report less than {many(c.lookback_days, 'day')} before the index date",
            lambda h: not _looks_back(h, c),
        )
    if c.washout_days:
        yield _washout(c), lambda h: _washed(h, c)
    for exclusion in c.exclude:
        yield exclusion.name, lambda h, e=exclusion: _applies(h, e, c.date_order)  # type: ignore[misc]


def _washout(criteria: Criteria) -> str:
    """The box of `washout_days`: an earlier report needs the tiers alone, whatever else makes a case report."""
    apart = ", ".join(step.apart for step in _steps(criteria) if step.apart)
    report = f"An earlier {either(criteria.tiers)} report within {many(criteria.washout_days, 'day')}"
    return f"{report} ({apart})" if apart else report


def exclusion_names(criteria: Criteria) -> list[str]:
    """The boxes of patients who are a case and are left out, in order."""
    return [name for name, _ in _exclusions(criteria)]


def _outside(low: date | float | None, high: date | float | None, under: str, over: str) -> str:
    """What lies outside of a span, in words."""
    ends = [(word, end) for word, end in ((under, low), (over, high)) if end is not None]
    return " or ".join(f"{word} {f'{end:g}' if isinstance(end, float) else end}" for word, end in ends)


def _within(value: object, low: object, high: object) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]


def _age(found: History) -> float | None:
    return found.index.age if found.index else None


def _looks_back(found: History, criteria: Criteria) -> bool:
    """Whether the patient's record reaches far enough back for an earlier episode to be seen."""
    day = found.index_date
    first = min((e.date.last for e in found.reports if e.date.known), default=date.max)
    return day is not None and first <= day - timedelta(days=criteria.lookback_days)


def _washed(found: History, criteria: Criteria) -> bool:
    """Whether a report of the wanted tiers came in the days before the index date."""
    day = found.index_date
    assert day is not None
    earlier = [e for e in found.reports if e.status in criteria.tiers and e.date.known and e.date.first < day]
    return any(e.date.last >= day - timedelta(days=criteria.washout_days) for e in earlier)


def _applies(found: History, exclusion: Exclusion, order: str) -> bool:
    day = found.index_date
    assert day is not None
    if exclusion.codes is not None:
        who = found.entries[0]
        days = [d for site in {who.site, ""} for d in exclusion.codes.get((site, who.patient_id), ())]
        dates = [study_date(written, order).day for written in days]
        return any(exclusion.when == "ever" or (d is not None and d <= day) for d in dates)
    told = [e for e in found.reports if exclusion.when == "ever" or (e.date.known and e.date.first <= day)]
    return any(
        m["finding"] in exclusion.mention and m["assertion"] in exclusion.assertions for e in told for m in e.mentions
    )


def highest(reports: Sequence[Entry]) -> str:
    """The highest case status of the reports."""
    return max((e.status for e in reports), key=STATUSES.index, default="no")
