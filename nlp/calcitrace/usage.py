"""What a corpus shows of a rule set: lines that never fire, and patterns that take long."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from calcitrace.annotate import Annotator
from calcitrace.engine import FastJudge
from calcitrace.model import Report
from calcitrace.ruleset import Fault, RuleSet, Term

SLOW_US = 100.0
AGAIN = 3  # times that a slow one is measured, since the machine may be busy
TIMED_SENTENCES = 2000
FEW_REPORTS = 1000  # so few call for few of the lines, and say nothing of the others


def usage(rules: RuleSet, reports: Iterable[Report], on_report: Callable[[], None] | None = None) -> list[Fault]:
    """Lines of findings and cues that no sentence of the reports calls for, and patterns slower than 100 us a sentence.

    A line that never fires is a note: it may be right and rare. Times are those of this machine, of each regular
    expression alone over up to 2,000 sentences.
    """
    annotator, judge = Annotator(rules), FastJudge(rules)
    fired: set[str] = set()
    sentences: list[str] = []
    for report in reports:
        for forms in annotator.sentences(report.text):
            fired.update(h.term.where for h in judge.hits(forms))
            counting, pruned = judge.modifiers(forms)
            fired.update(m.term.where for m in (*counting, *pruned))
            if len(sentences) < TIMED_SENTENCES:
                sentences.append(" ".join(forms) + " ")
        if on_report:
            on_report()
    return [*_silent(rules, fired), *_slow(rules, sentences)]


def by_file(faults: Iterable[Fault], reports: int) -> list[Fault]:
    """The faults, with one note for all the notes of a file: how many of its lines never fire; none of few reports."""
    kept = [f for f in faults if f.severity != "note"]
    if reports < FEW_REPORTS:
        return kept
    silent = Counter(f.where.rpartition(":")[0] for f in faults if f.severity == "note")
    return [*kept, *(Fault(f"{path}:1", "note", f"{n:,} of its lines never fire here") for path, n in silent.items())]


def _terms(rules: RuleSet) -> Iterator[tuple[str, Term]]:
    for finding in (*rules.findings.values(), *rules.conditions.values()):
        yield from (("term", t) for t in finding.terms)
        yield from (("confuser", t) for t in finding.nots)
    for group in rules.cues:
        yield from (("cue", t) for t in group.terms)


def _silent(rules: RuleSet, fired: set[str]) -> Iterator[Fault]:
    lines: dict[str, tuple[str, set[str]]] = {}
    for what, term in _terms(rules):
        if term.where not in fired:
            lines.setdefault(term.where, (what, set()))[1].add(term.rule_id.split(":", 1)[1])
    for where, (what, words) in lines.items():
        shown = ", ".join(sorted(words)[:3]) + (" ..." if len(words) > 3 else "")
        yield Fault(where, "note", f"{what} never fires here: {shown}")


def _slow(rules: RuleSet, sentences: Sequence[str]) -> Iterator[Fault]:
    for _, term in _terms(rules):
        if not term.regex or not sentences:
            continue
        pattern = re.compile(term.regex, re.IGNORECASE)
        mean = _microseconds(pattern, sentences)
        if mean > SLOW_US and (mean := min(_microseconds(pattern, sentences) for _ in range(AGAIN))) > SLOW_US:
            name = term.rule_id.split(":", 1)[1]
            yield Fault(term.where, "warning", f"{name} is slow: {mean:,.0f} us a sentence on average")


def _microseconds(pattern: re.Pattern[str], sentences: Sequence[str]) -> float:
    """How long a search takes, of a sentence on average."""
    began = time.process_time()
    for sentence in sentences:
        pattern.search(sentence)
    return (time.process_time() - began) / len(sentences) * 1e6
