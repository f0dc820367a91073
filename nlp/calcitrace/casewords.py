"""A case definition in words: what a report of a tier has, and what each constituent is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from calcitrace.ruleset import CaseDefinition, Constituent, Depth


def listed(names: Iterable[str], last: str) -> str:
    """Names as words: a, b and c."""
    *first, end = (name.replace("_", " ") for name in names)
    return f"{', '.join(first)} {last} {end}" if first else end


def tier_in_words(case: CaseDefinition, tier: str) -> str:
    """What a report of a tier has and has not, its constituents in quotation marks."""
    own = [t for t in case.tiers if t.tier == tier]
    ways = [_quoted(t.needs, "and") + (f" without {_quoted(t.bars, 'or')}" if t.bars else "") for t in own]
    noun = "constituent" if len(own[0].needs) == 1 else "constituents"
    return f"A report is {tier} if it has the {noun} {'; or '.join(ways)}."


def _quoted(names: Iterable[str], last: str) -> str:
    return listed((f'"{name}"' for name in names), last)


def named_in(case: CaseDefinition, tiers: Sequence[str]) -> list[str]:
    """The constituents that these tiers and the migration types name, in the order of the file.

    With them are those at whose place one of them must be.
    """
    names = {name for t in case.tiers if t.tier in tiers for name in (*t.needs, *t.bars)}
    names |= {name for depth in case.types for name in depth.of}
    while more := {n for name in names for c in (case.constituents[name],) for n in (*c.near, *c.side_of)} - names:
        names |= more
    return [name for name in case.constituents if name in names]


def in_words(constituent: Constituent) -> str:
    """Which mentions fill a constituent, in a line."""
    return ", ".join(_conditions(constituent))


def _conditions(c: Constituent) -> Iterator[str]:
    yield f"a mention of {listed(sorted(c.findings), 'or')} that is read as {listed(sorted(c.assertions), 'or')}"
    if c.changes:
        yield f"with a change that is read as {listed(sorted(c.changes), 'or')}"
    if c.near:
        yield f"at the same bone and side as {_quoted(c.near, 'or')}"
    if c.side_of:
        yield f"not on the other side than {_quoted(c.side_of, 'or')}"
    if beside := list(_beside(c)):
        yield f"in a sentence that has {' as well as '.join(beside)}"
    if c.final:
        yield "in the conclusion"
    if c.not_on:
        yield f"on any modality but {listed(sorted(c.not_on), 'and')}"


def _beside(c: Constituent) -> Iterator[str]:
    """What must stand in the sentence of the mention."""
    if c.with_words:
        yield _expressions(c.with_words)
    if c.with_findings:
        yield f"a mention of {listed(sorted(c.with_findings), 'or')} that is read as present"


def _expressions(phrases: Iterable[Sequence[str]]) -> str:
    return listed((f'"{" ".join(phrase)}"' for phrase in phrases), "or")


def depths_in_words(case: CaseDefinition) -> str:
    """How the migration type of a report that meets a tier is told."""
    return f"The migration type of a case report is {'; else '.join(map(_depth, case.types))}; else none."


def _depth(depth: Depth) -> str:
    """What shows a migration type."""
    said = f" that has {_expressions(depth.words)}" if depth.words else ""
    said += f", or stands in a sentence with {_expressions(depth.with_words)}" if depth.with_words else ""
    return f"{depth.type.replace('_', ' ')} where there is a mention of {_quoted(depth.of, 'or')}{said}"
