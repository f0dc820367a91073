"""The examples of a rule set, run as the tests that they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from calcitrace.model import Report
from calcitrace.ruleset import Example, Fault, Finding, RuleSet

if TYPE_CHECKING:
    from calcitrace.annotate import Annotator


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
    annotated = annotator.annotate(Report("example", example.text))
    own = [m for m in (*annotated.mentions, *annotated.conditions) if m.finding == finding.name]
    if example.expected == "none":
        return _fault(example, f"expected no mention, found {own[0].rule_id}") if own else None
    hit = next((m for m in own if m.start < example.end and example.start < m.end), None)
    if hit is None:
        return _fault(example, "expected a mention in the braces, found none")
    if (hit.start, hit.end) != (example.start, example.end):
        return _fault(example, f"the mention is {example.text[hit.start : hit.end]!r}")
    return _compare(example, hit.assertion, hit.asserted.change)


def _run_context(annotator: Annotator, example: Example) -> Fault | None:
    (got,) = annotator.assertions(example.text, [(example.start, example.end)])
    return _compare(example, got.assertion, got.change)


def _compare(example: Example, assertion: str, change: str) -> Fault | None:
    if assertion != example.expected:
        return _fault(example, f"expected {example.expected}, got {assertion}")
    if example.change and change != example.change:
        return _fault(example, f"expected change {example.change}, got {change}")
    return None


def _fault(example: Example, said: str) -> Fault:
    """What is wrong, with the example as its file writes it."""
    text, (start, end) = example.text, (example.start, example.end)
    marked = text if example.expected == "none" else f"{text[:start]}{{{text[start:end]}}}{text[end:]}"
    return Fault(example.where, "error", f"{said}: {marked}")
