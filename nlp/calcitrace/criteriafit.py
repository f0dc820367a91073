"""Whether criteria fit the runs that they are for: names that are known there, and an order of dates that can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from calcitrace.criteria import Criteria, Exclusion, read_criteria
from calcitrace.criteriakeys import WHEN
from calcitrace.errors import RunError
from calcitrace.ids import lost_zeros, not_there
from calcitrace.modality import OTHER, unknown_said
from calcitrace.phrases import by, many
from calcitrace.ruleset import RuleSet
from calcitrace.sources import shown_id
from calcitrace.strictyaml import Faults, meant
from calcitrace.studydate import EITHER, ORDERS, UNREADABLE, reading_of, study_date

MOST_SHOWN = 60
SAYS = {"dmy": "day first", "mdy": "month first"}


def check_findings(criteria: Criteria, rules: Sequence[RuleSet]) -> None:
    """Refuse criteria that ask for a finding or condition which no run has.

    Names of the built-in criteria pass, since rules of a hospital's own may lack them.

    Raises:
        CriteriaError: an unknown name (path:line), with the known names and the nearest.
    """
    known = {name for r in rules for name in (*r.findings, *r.conditions)}
    known |= read_criteria().told
    faults = Faults()
    for key, names in _asked(criteria):
        _check(criteria, key, names, known, "finding or condition", faults)
    faults.check()


def _asked(criteria: Criteria) -> Iterator[tuple[str, Iterable[str]]]:
    yield from ((f"findings: {role}", names) for role, names in criteria.findings.items())
    yield from ((f"first_diagnosis: {name}", names) for name, names in criteria.first_diagnosis.items())
    yield from ((f"the exclusion {e.name!r}", e.mention) for e in criteria.exclude)


def check_run_sites(criteria: Criteria, runs: int) -> None:
    """Refuse names of sites that are not one for each of so many runs.

    Raises:
        CriteriaError: there are more or fewer (path:line).
    """
    sites = criteria.run_sites
    if sites and len(sites) != runs:
        said = f"run_sites names {many(len(sites), 'site')} for {many(runs, 'run')}; name one for each"
        raise criteria.fail(said, sites[0])


def check_values(
    criteria: Criteria, rules: Sequence[RuleSet], modalities: Collection[str], sites: Collection[str]
) -> None:
    """Refuse modalities and sites that no report of the runs can have.

    Args:
        modalities: as the archive writes them; what rules call a kind of modality is known besides.
        sites: of the reports.

    Raises:
        CriteriaError: an unknown name (path:line), with the known names and the nearest.
    """
    kinds = [*dict.fromkeys(kind for r in rules for kind in r.modalities), OTHER]
    given = {m.casefold(): m for m in [*modalities, *kinds]}
    asked = {m.casefold(): m for m in criteria.modalities}
    unknown = [asked[m] for m in asked if m not in given]
    own, faults = sorted({*modalities} - {*kinds, ""}), Faults()
    _check(criteria, "modalities", unknown, [*kinds, *own], "modality of these runs", faults)
    named = sorted(filter(None, sites))
    if criteria.sites and not named:
        with faults.kept():
            what = "'sites' is given, but the runs have none; give each site its own run, and name them with run_sites"
            raise criteria.fail(what, criteria.sites[0])
    else:
        _check(criteria, "sites", criteria.sites, named, "site of these runs", faults)
    faults.check()


def _check(
    criteria: Criteria, key: str, names: Iterable[str], known: Collection[str], what: str, faults: Faults
) -> None:
    for name in sorted(n for n in names if n not in known):
        with faults.kept():
            fit = [n for n in known if shown_id(n) or n in criteria.run_sites]
            told = f"{meant(name, fit)} known are {shown(sorted(fit), criteria.run_sites)}"
            raise criteria.fail(f"{key} names {str(name)!r}, which is no {what}{told}", name)


def shown(names: Iterable[str], own: Collection[str] = ()) -> str:
    """Names for a message: those that are no prose or the user's `own`, and no more than a screen holds."""
    fit = [n for n in names if shown_id(n) or n in own]
    return ", ".join(fit[:MOST_SHOWN]) + (f" and {len(fit) - MOST_SHOWN} more" if len(fit) > MOST_SHOWN else "")


def check_dates(criteria: Criteria, dates: Mapping[str, int]) -> Iterator[str]:
    """What to tell of the order of day and month.

    Args:
        dates: how many dates of the runs can only be read day first (dmy) or month first (mdy), or either way, or
            not at all (unreadable).

    Raises:
        CriteriaError: more dates contradict `date_order` than can be read by it alone.
    """
    if n := dates.get(UNREADABLE, 0):
        yield f"dates: {n:,} cannot be read as a day, month or year and {by(n, 'counts', 'count')} as unclear"
    first, either = {order: dates.get(order, 0) for order in ORDERS}, dates.get(EITHER, 0)
    if not criteria.date_order:
        if either:
            yield (
                f"dates: {either:,} in which day and month could be either way (such as 03.04.2019) "
                f"{by(either, 'counts', 'count')} as unclear; "
                f"set date_order in the criteria, or --date-order of process ({_evidence(first)})"
            )
        return
    other = next(o for o in ORDERS if o != criteria.date_order)
    if first[other] > first[str(criteria.date_order)]:
        raise criteria.fail(
            f"date_order is {criteria.date_order}, which the dates contradict: {_evidence(first)}; "
            f"set date_order: {other}",
            criteria.date_order,
        )
    if n := first[other]:
        yield (
            f"dates: {n:,} {by(n, 'contradicts', 'contradict')} date_order: {criteria.date_order} "
            f"and {by(n, 'counts', 'count')} as unclear "
            f"({_evidence(first)}); are there two ways of writing dates in the archive?"
        )


def _evidence(first: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} can only be {SAYS[order]}" for order, n in first.items())


def tell_codes(criteria: Criteria, found: Mapping[str, int]) -> Iterator[str]:
    """What to tell of the tables of codes: how many of their ids are patients of the runs.

    Args:
        found: of each exclusion by name, how many patients of the runs its table holds.
    """
    for exclusion in criteria.exclude:
        if exclusion.codes is not None:
            n, size = found.get(exclusion.name, 0), len(exclusion.people)
            said = (
                f"{exclusion.table}: {n:,} of {many(size, 'id')} {by(n, 'is a patient', 'are patients')} of these runs"
            )
            yield said if n else f"{said}; nobody is left out by {exclusion.name!r} (ids must be written as there)"
            if not exclusion.codes:
                yield f"{exclusion.table}: no row has a code of {exclusion.name!r}"
            yield from tell_days(exclusion, criteria.date_order)


def tell_days(exclusion: Exclusion, order: str) -> Iterator[str]:
    """What to tell of codes that count by their day and have none that can be read."""
    days = [day for found in (exclusion.codes or {}).values() for day in found]
    lost = [day for day in days if study_date(day, order).day is None]
    if lost and exclusion.when != WHEN[0]:
        either = sum(reading_of(day) == EITHER for day in lost)
        advice = f" (of {either:,} day and month could be either way: say date_order)" if either else ""
        yield (
            f"{exclusion.table}: {len(lost):,} of {many(len(days), 'code')} of {exclusion.name!r} "
            f"{by(len(lost), 'has', 'have')} no day that can be read{advice}; "
            f"{by(len(lost), 'it leaves', 'they leave')} nobody out"
        )


def tell_zeros(criteria: Criteria, patients: Collection[str]) -> Iterator[str]:
    """What to tell of ids in tables of codes that differ from those of patients of the runs by leading zeros alone."""
    for exclusion in criteria.exclude:
        asked = {patient for _, patient in exclusion.people}
        if said := lost_zeros(asked.difference(patients), patients):
            yield f"{exclusion.table}: of the ids that are no patients of these runs, {said.removeprefix('; ')}"


def check_one_site(decided: Iterable[tuple[str, str]]) -> None:
    """Refuse decisions that do not tell their site, by the id and the site of each report that has the id of one.

    Raises:
        RunError: two sites have a report of one id.
    """
    sites: dict[str, str] = {}
    for report_id, site in decided:
        if (first := sites.setdefault(report_id, site)) != site:
            raise RunError(
                f"report id {shown_id(report_id)!r} is of {first} and of {site}, and the decisions do not say of "
                "which; give the store of the review of one of these runs"
            )


def tell_versions(decided: Mapping[str, str], versions: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What to tell of reports whose versions were decided differently, or not all; each id with what it is of."""
    said: dict[str, set[str]] = {}
    last: dict[str, str] = {}
    for report_id, study in versions:
        if report_id in decided:
            said.setdefault(study or report_id, set()).add(decided[report_id])
        if study:
            last[study] = report_id
    if differ := [study for study, words in said.items() if len(words) > 1]:
        n = len(differ)
        yield (
            f"{many(n, 'report')} {by(n, 'has', 'have')} versions on which the decisions differ (the first: "
            f"{shown_id(differ[0])!r}); that on the version that decides counts, which merged_into of timeline names"
        )
    if left := [version for study, version in last.items() if study in said and version not in decided]:
        n = len(left)
        yield (
            f"nobody has decided on the last version of {many(n, 'report')} of which another version was decided (the "
            f"first: {shown_id(left[0])!r}); where it is the one that decides (merged_into of timeline), the decision "
            "does not count: decide on it, too"
        )


def tell_missing(adjudicated: Collection[str], reports: Collection[str]) -> Iterator[str]:
    """What to tell of adjudications of reports that are not in the runs."""
    missing = {*adjudicated}.difference(reports)
    if missing:
        said = not_there(missing, len(adjudicated), "adjudicated reports", "these runs", reports)
        yield f"adjudications: {said}; they count nowhere"


def tell_modalities(unknown: Counter[str]) -> Iterator[str]:
    """What to tell of modalities that the rules do not know, by how many reports of case patients have them."""
    if said := unknown_said(unknown, " of case patients"):
        yield said
