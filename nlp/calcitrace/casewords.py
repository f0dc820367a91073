"""A case definition in words: what a report of a tier has, and what each constituent is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calcitrace.ruleset import CaseDefinition, Constituent

SHOWN = 3  # of the words that a constituent asks for in its sentence


def listed(names: Iterable[str], last: str) -> str:
    """Names as words: a, b and c."""
    *first, end = (name.replace("_", " ") for name in names)
    return f"{', '.join(first)} {last} {end}" if first else end


def tier_in_words(case: CaseDefinition, tier: str) -> str:
    """What a report of a tier has and has not."""
    own = [t for t in case.tiers if t.tier == tier]
    ways = [listed(t.needs, "and") + (f", but no {listed(t.bars, 'or')}" if t.bars else "") for t in own]
    return f"A {tier} report has {'; or '.join(ways)}."


def named_in(case: CaseDefinition, tiers: Sequence[str]) -> list[str]:
    """The constituents that these tiers name, with those at whose place one of them must be, as the file has them."""
    names = {name for t in case.tiers if t.tier in tiers for name in (*t.needs, *t.bars)}
    while more := {near for name in names for near in case.constituents[name].near} - names:
        names |= more
    return [name for name in case.constituents if name in names]


def in_words(constituent: Constituent) -> str:
    """Which mentions fill a constituent, in a line."""
    return ", ".join(_conditions(constituent))


def _conditions(c: Constituent) -> Iterator[str]:
    yield f"a mention of {listed(sorted(c.findings), 'or')} that is {listed(sorted(c.assertions), 'or')}"
    if c.changes:
        yield f"with the change {listed(sorted(c.changes), 'or')}"
    if c.near:
        yield f"at the bone and side of {listed(c.near, 'or')}"
    if beside := list(_beside(c)):
        yield f"in a sentence with {' and with '.join(beside)}"
    if c.final:
        yield "in the conclusion"
    if c.not_on:
        yield f"not on {listed(sorted(c.not_on), 'or')}"


def _beside(c: Constituent) -> Iterator[str]:
    """What must stand in the sentence of the mention."""
    if words := [f'"{" ".join(phrase)}"' for phrase in c.with_words]:
        more = f" ... ({len(words)} in the file)" if len(words) > SHOWN else ""
        yield f"one of the words {', '.join(words[:SHOWN])}{more}"
    if c.with_findings:
        yield f"{listed(sorted(c.with_findings), 'or')} that is present"
