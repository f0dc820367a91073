"""Checks over a rule set beyond what loading it checks: cues in two places, findings without examples, examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calcitrace.ruleset import Example, Finding, RuleSet

if TYPE_CHECKING:
    from calcitrace.annotate import Annotator

NEEDED = ("present", "absent", "none")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a rule file; `str()` is `path:line: severity: message`."""

    where: str
    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message}"


def check(rules: RuleSet) -> tuple[list[Fault], int]:
    """All faults of a rule set, errors first, and the number of examples that were run."""
    faults = [*_doubled_cues(rules), *_missing_examples(rules)]
    ran = 0
    for fault in run_examples(rules):
        ran += 1
        if fault:
            faults.append(fault)
    return sorted(faults, key=lambda f: (f.severity != "error", f.where)), ran


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


def _missing_examples(rules: RuleSet) -> Iterator[Fault]:
    for finding in (*rules.findings.values(), *rules.conditions.values()):
        kinds = {e.expected for e in finding.examples}
        lacks = [k for k in NEEDED if k not in kinds and not (k == "absent" and finding.name == "absence_of_mass")]
        if lacks and finding.status == "reviewed":
            yield Fault(f"{finding.path}:1", "error", f"a reviewed finding needs examples for: {', '.join(lacks)}")


def run_examples(rules: RuleSet) -> Iterator[Fault | None]:
    """Run every example; None for each that holds."""
    from calcitrace.annotate import Annotator

    annotator = Annotator(rules)
    for finding in (*rules.findings.values(), *rules.conditions.values()):
        for example in finding.examples:
            yield _run_finding(annotator, finding, example)
    for example in rules.context_examples:
        yield _run_context(annotator, example)


def _run_finding(annotator: Annotator, finding: Finding, example: Example) -> Fault | None:
    from calcitrace.model import Report

    annotated = annotator.annotate(Report("example", example.text))
    own = [m for m in (*annotated.mentions, *annotated.conditions) if m.finding == finding.name]
    if example.expected == "none":
        return Fault(example.where, "error", f"expected no mention, found {own[0].rule_id}") if own else None
    hit = next((m for m in own if m.start < example.end and example.start < m.end), None)
    if hit is None:
        return Fault(example.where, "error", "expected a mention in the braces, found none")
    if (hit.start, hit.end) != (example.start, example.end):
        return Fault(example.where, "error", f"the mention is {hit.start}-{hit.end}, not {example.start}-{example.end}")
    return _compare(example, hit.assertion, hit.asserted.change)


def _run_context(annotator: Annotator, example: Example) -> Fault | None:
    (got,) = annotator.assertions(example.text, [(example.start, example.end)])
    return _compare(example, got.assertion, got.change)


def _compare(example: Example, assertion: str, change: str) -> Fault | None:
    if assertion != example.expected:
        return Fault(example.where, "error", f"expected {example.expected}, got {assertion}")
    if example.change and change != example.change:
        return Fault(example.where, "error", f"expected change {example.change}, got {change}")
    return None
