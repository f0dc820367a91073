"""A second view of what was missed: capture and recapture between three ways of finding the confirmed cases.

The name rule (words that name the condition by themselves), the constituent rule (the parts of the case definition) and
the case model. They read the same words, so what is hard for one is hard for all: the numbers are a lower bound of what
is missed, and no more than a check on the audit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from calcitrace.adjudication import Store, finals
from calcitrace.assess import Found, constituents
from calcitrace.frames import read_run
from calcitrace.rerun import Rerun
from calcitrace.ruleset import CaseDefinition

NAME, PARTS, MODEL = "name rule", "constituent rule", "case model"
Z = 1.959964


@dataclass(frozen=True, slots=True)
class Recaptured:
    """Two finders: cases of each and of both, and the total by Chapman (1951) with its 95 % interval."""

    finders: tuple[str, str]
    first: int
    second: int
    both: int
    total: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Finders:
    """What each finder found of the confirmed cases, each two of them, and Chao's lower bound of all cases (1987)."""

    cases: int
    found: dict[str, int]
    by_none: int
    pairs: tuple[Recaptured, ...]
    chao: float | None

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)


def finders(run: str | Path, store: Store) -> Finders:
    """The three finders over the cases of a store; the texts are read again from the run's inputs.

    Raises:
        RunError: no finished run, or its inputs or rules have changed since.
    """
    cases = [f.report_id for f in finals(store) if f.decision == "yes"]
    source = Rerun(Path(run))
    lists: dict[str, set[str]] = {NAME: set(), PARTS: set()}
    for annotated in source.annotated(cases) if cases else ():
        found = constituents(annotated, source.rules, source.case)
        for name, hit in zip((NAME, PARTS), _rules(found, source.case), strict=True):
            if hit:
                lists[name].add(annotated.report.report_id)
    if source.manifest["model"]:
        reports, _ = read_run(run)
        likely = set(reports.loc[reports["likely_case"], "report_id"])
        lists[MODEL] = likely & set(cases)
    return recaptured(len(cases), lists)


def _rules(found: Found, case: CaseDefinition) -> tuple[bool, bool]:
    """Whether words that suffice by themselves are there; whether the parts of a likely tier are, without these."""
    tiers = [t for t in case.tiers if t.tier in case.likely and not any(found[b] for b in t.bars)]
    names = {t.needs[0] for t in case.tiers if t.tier in case.likely and len(t.needs) == 1}
    met = [t for t in tiers if all(found[n] for n in t.needs)]
    return any(set(t.needs) & names for t in met), any(not set(t.needs) & names for t in met)


def recaptured(cases: int, lists: Mapping[str, set[str]]) -> Finders:
    """The estimates for lists of found cases."""
    times = Counter(Counter(c for own in lists.values() for c in own).values())
    once, twice = times[1], times[2]
    seen = sum(times.values())
    chao = seen + once * (once - 1) / (2 * (twice + 1)) if seen else None
    pairs = tuple(_pair((a, b), lists[a], lists[b]) for a, b in combinations(lists, 2))
    return Finders(cases, {n: len(own) for n, own in lists.items()}, cases - seen, pairs, chao)


def _pair(names: tuple[str, str], first: set[str], second: set[str]) -> Recaptured:
    """Chapman's estimate; the interval is that of its logarithm over the cases that neither found (Chao 1989)."""
    a, b, both = len(first), len(second), len(first & second)
    total = (a + 1) * (b + 1) / (both + 1) - 1
    variance = (a + 1) * (b + 1) * (a - both) * (b - both) / ((both + 1) ** 2 * (both + 2))
    seen = len(first | second)
    beyond = max(total - seen, 0.0)
    if beyond <= 0:
        return Recaptured(names, a, b, both, total, float(seen), float(seen))
    factor = math.exp(Z * math.sqrt(math.log(1 + variance / beyond**2)))
    return Recaptured(names, a, b, both, total, seen + beyond / factor, seen + beyond * factor)


def finder_lines(found: Finders) -> Sequence[str]:
    """The second view in words."""
    lines = [
        f"capture and recapture over {found.cases:,} confirmed cases (a lower bound: the finders read the same words)"
    ]
    lines += [f"  {name}: {n:,}" for name, n in found.found.items()]
    lines.append(f"  none of these: {found.by_none:,}")
    for p in found.pairs:
        name = f"{p.finders[0]} and {p.finders[1]}"
        told = f"so {p.total:,.0f} in all ({p.low:,.0f} to {p.high:,.0f})"
        below = "which tells nothing: their estimate is below the confirmed cases"
        lines.append(f"  {name}: both {p.both:,}, {told if p.total >= found.cases else below}")
    if found.chao is not None and found.chao >= found.cases:
        lines.append(f"  all together (Chao): at least {found.chao:,.0f}")
    return lines
