"""Checks over a rule set beyond what loading it checks, each with its place and severity.

An `error` makes a rule wrong (a cue in two groups, a heading of two sections, an example that fails); a `warning` is
a rule that cannot act, acts twice, may be slow, or lacks what shows that it is right. What a corpus shows of rules is
in `usage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from calcitrace.examples import run_examples
from calcitrace.ruleset import Fault, Finding, RuleSet, Term

NEEDED = ("present", "absent", "none")
SECTIONS = ("indication", "comparison", "findings", "impression", "addendum")
SEVERITIES = ("error", "warning", "note")
_FILE_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\.yml")


def check(rules: RuleSet) -> tuple[list[Fault], int]:
    """All faults of a rule set, errors first, and the number of examples that were run."""
    faults = [
        *_doubled_cues(rules),
        *_file_names(rules),
        *_undocumented(rules),
        *_sections(rules),
        *_doubled_terms(rules),
        *_shared_terms(rules),
        *_unreachable(rules),
        *_unbounded(rules),
    ]
    ran = 0
    for fault in run_examples(rules):
        ran += 1
        if fault:
            faults.append(fault)
    return in_order(faults), ran


def in_order(faults: list[Fault]) -> list[Fault]:
    """Errors first, then by place."""
    return sorted(faults, key=lambda f: (SEVERITIES.index(f.severity), *_place(f.where)))


def _place(where: str) -> tuple[str, int]:
    path, _, line = where.rpartition(":")
    return path, int(line or 0)


def _named(rules: RuleSet) -> tuple[Finding, ...]:
    return (*rules.findings.values(), *rules.conditions.values())


def _doubled_cues(rules: RuleSet) -> Iterator[Fault]:
    """A cue of two groups: medspaCy keeps one of two equal matches, so one of them would never act."""
    seen: dict[tuple[str, ...], tuple[str, str]] = {}
    for group in rules.cues:
        for term in group.terms:
            if not term.phrase:
                continue
            first = seen.setdefault(term.phrase, (group.name, term.where))
            if first[0] != group.name:
                words = " ".join(term.phrase)
                yield Fault(term.where, "error", f"cue {words!r} stands in {first[0]} too ({first[1]})")


def _file_names(rules: RuleSet) -> Iterator[Fault]:
    """Files of another name than lower_case.yml: ids are made of names, and nothing else is read."""
    root = Path(rules.root)
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".yml", ".yaml")):
        if not _FILE_NAME.fullmatch(path.name):
            where = f"{root.name}/{path.relative_to(root).as_posix()}:1"
            yield Fault(where, "warning", "is not named like_this.yml: lower case, digits, underscores")


def _undocumented(rules: RuleSet) -> Iterator[Fault]:
    """A finding that does not tell where it comes from, or show what it is and what it is not."""
    for finding in _named(rules):
        if finding.status == "retired":
            continue
        where, kinds = f"{finding.path}:1", {e.expected for e in finding.examples}
        lacks = [k for k in NEEDED if k not in kinds and not (k == "absent" and finding.name == "absence_of_mass")]
        if lacks:
            severity = "error" if finding.status == "reviewed" else "warning"
            yield Fault(where, severity, f"a {finding.status} finding needs examples for: {', '.join(lacks)}")
        if not finding.references:
            yield Fault(where, "warning", "has no references; name where its terms come from")


def _sections(rules: RuleSet) -> Iterator[Fault]:
    """Sections that assessment and flags rely on are named; a heading opens one section only."""
    where = f"{rules.root.rsplit('/', 1)[-1]}/sections.yml:1"
    for name in SECTIONS:
        if name not in rules.sections:
            yield Fault(where, "warning", f"no section is called {name!r}, a name that assessment and flags rely on")
    seen: dict[str, str] = {}
    for section in rules.sections.values():
        for heading in section.headings:
            first = seen.setdefault(heading.lower(), section.name)
            if first != section.name:
                yield Fault(where, "error", f"heading {heading!r} opens both {first} and {section.name}")
        for axis, value in section.sets.items():
            if value not in getattr(rules.axes.get(axis), "precedence", ()):
                yield Fault(where, "error", f"section {section.name} sets {axis}: {value}, which is no axis and value")
        for name in sorted(section.never - set(rules.findings)):
            yield Fault(where, "error", f"section {section.name}: {name!r} is no finding")


def _doubled_terms(rules: RuleSet) -> Iterator[Fault]:
    """A line of a finding that adds nothing: all its words stand in other lines, under the same conditions."""
    for finding in _named(rules):
        for terms in (finding.terms, finding.nots):
            lines: dict[Any, list[str]] = {}
            for term in terms:
                lines.setdefault(_claim(term), []).append(term.where)
            gone: set[str] = set()
            for where in dict.fromkeys(t.where for t in terms):
                others = [
                    [w for w in lines[_claim(t)] if w != where and w not in gone] for t in terms if t.where == where
                ]
                if all(others):
                    gone.add(where)
                    line = others[0][0].rpartition(":")[2]
                    yield Fault(where, "warning", f"adds nothing: its words stand in line {line} too")


def _claim(term: Term) -> Any:
    conditions = (term.at, term.not_at, term.alone, term.known, term.after, term.told, term.just)
    return term.phrase or term.regex or str(term.tokens), *conditions


def _shared_terms(rules: RuleSet) -> Iterator[Fault]:
    """A line with words of another finding: both would be mentioned, unless one covers the other or has another place.

    Conditions are no mentions, and may have the words of a finding.
    """
    owners: dict[Any, list[tuple[Finding, Term]]] = {}
    for finding in rules.findings.values():
        confusers = {_claim(t)[0] for t in finding.nots}
        for term in finding.terms:
            if _claim(term)[0] not in confusers:
                owners.setdefault(_claim(term)[0], []).append((finding, term))
    told = set()
    for same in owners.values():
        for (one, first), (other, term) in combinations(same, 2):
            between = (first.where, term.where)
            if one is other or between in told or {one.name, other.name} & (one.covers | other.covers):
                continue
            if not _apart(first, term):
                told.add(between)
                message = f"{_words(term)!r} is a term of {one.name} too ({first.where}): both would be mentioned"
                yield Fault(term.where, "warning", message)


def _apart(one: Term, other: Term) -> bool:
    """Whether two terms are told apart by their places: other kinds of structure, or only one of them needs any."""
    return one.at != other.at and not (one.at & other.at)


def _unreachable(rules: RuleSet) -> Iterator[Fault]:
    """Lines that can never be mentions: confusers of their own finding, or covered by a finding with the same words."""
    for finding in _named(rules):
        nots = {t.phrase: t.where for t in finding.nots if t.phrase}
        for where in dict.fromkeys(t.where for t in finding.terms):
            phrases = [t.phrase for t in finding.terms if t.where == where and t.phrase]
            if phrases and all(p in nots for p in phrases):
                other = nots[phrases[0]].rpartition(":")[2]
                yield Fault(where, "warning", f"is unreachable: its words are confusers in line {other}")
    owners: dict[tuple[str, ...], list[tuple[Finding, Term]]] = {}
    for finding in _named(rules):
        for term in finding.terms:
            if term.phrase and not term.at:
                owners.setdefault(term.phrase, []).append((finding, term))
    for same in owners.values():
        for finding, term in same:
            above = next((f for f, t in same if finding.name in f.covers), None)
            if above:
                yield Fault(term.where, "warning", f"{_words(term)!r} is shadowed: {above.name} has it and covers it")


def _unbounded(rules: RuleSet) -> Iterator[Fault]:
    """Patterns that can run over any number of any words: slow, and their mentions too long."""
    terms = [t for f in _named(rules) for t in (*f.terms, *f.nots)] + [t for g in rules.cues for t in g.terms]
    for term in terms:
        if term.regex and _runs_on(parser.parse(term.regex, re.IGNORECASE)):
            yield Fault(term.where, "warning", f"{term.rule_id.split(':', 1)[1]}: repeats any characters without end")
        if any(set(t) == {"OP"} and t["OP"] in ("+", "*") for t in term.tokens or ()):
            yield Fault(term.where, "warning", "a token pattern repeats any word without end")


def _runs_on(items: Any) -> bool:
    """Whether a parsed regular expression repeats a wildcard, or a set that holds blanks, without end."""
    for code, argument in items:
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            _, most, inner = argument
            if most is op.MAXREPEAT and any(_takes_blanks(c, a) for c, a in inner):
                return True
            if _runs_on(inner):
                return True
        branches = argument[1] if code is op.BRANCH else [argument[-1]] if code is op.SUBPATTERN else []
        if any(_runs_on(b) for b in branches):
            return True
    return False


def _takes_blanks(code: Any, argument: Any) -> bool:
    if code is op.ANY or code is op.NOT_LITERAL:
        return True
    if code is not op.IN:
        return False
    negated = any(c is op.NEGATE for c, _ in argument)
    names = {(c, a) for c, a in argument}
    holds = (op.LITERAL, ord(" ")) in names or (op.CATEGORY, op.CATEGORY_SPACE) in names
    return holds != negated


def _words(term: Term) -> str:
    return " ".join(term.phrase) or term.rule_id.split(":", 1)[1]
