"""The speed of `calcitrace process` beside the plain medspaCy chain, with the same rules on the same reports.

    python evaluation/benchmarks/vs_medspacy.py

The chain is medspaCy's tokenizer, PyRuSH, TargetMatcher, ConText and Sectionizer with the rules of calcitrace. Both
run in this one process on one core, in turns, over several rounds. A round measures whole jobs: building the pipeline
and reading every report; `process` also links, assesses and writes its run folder. Reading the rule files and imports
are left out on both sides. The job on one report gives the set-up, which the second ratio leaves out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import medspacy
from loguru import logger
from medspacy.context import ConTextRule
from medspacy.section_detection import SectionRule
from medspacy.target_matcher import TargetRule

from calcitrace import Report, load_rules, read_reports
from calcitrace.corpus import process
from calcitrace.rules import RuleSet, Term

HERE = Path(__file__).parents[1]
SOURCES = (
    HERE / "gold" / "train.jsonl",
    HERE / "gold" / "everyday.jsonl",
    HERE.parent / "corpora_samples" / "synthetic_msk.csv",
)
SMALL = 8
Seconds = dict[str, float]


def one_core() -> bool:
    """Keep this process on one core, where the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return True


def chain(rules: RuleSet) -> Any:
    """The plain medspaCy chain with our terms, confusers, context rules and headings (none of its own rules)."""
    nlp = medspacy.load(medspacy_enable=["medspacy_tokenizer", "medspacy_pyrush"])
    nlp.add_pipe("medspacy_target_matcher").add(target_rules(rules))
    nlp.add_pipe("medspacy_context", config={"rules": None}).add(context_rules(rules))
    headings = [SectionRule(heading, s.name) for s in rules.sections.values() for heading in s.headings]
    nlp.add_pipe("medspacy_sectionizer", config={"rules": None}).add(headings)
    return nlp


def target_rules(rules: RuleSet) -> list[TargetRule]:
    """One rule a distinct phrase: medspaCy loses matches where several rules share one."""
    named = [*rules.findings.values(), *rules.conditions.values()]
    found: dict[str, TargetRule] = {}
    for finding in named:
        for term in (*finding.terms, *finding.nots):
            found.setdefault(literal(term), TargetRule(literal(term), finding.name, pattern=pattern(term)))
    return list(found.values())


def context_rules(rules: RuleSet) -> list[ConTextRule]:
    """Our context rules, one to one."""
    return [
        ConTextRule(
            literal(term),
            group.name,
            pattern=pattern(term),
            direction=group.direction,
            allowed_types=set(group.only) or None,
            excluded_types=set(group.never) or None,
            max_scope=group.max_scope,
            max_targets=group.max_targets,
            terminated_by=set(group.ends_at),
        )
        for group in rules.cues
        for term in group.terms
    ]


def literal(term: Term) -> str:
    """The words of a phrase; the id of a pattern."""
    return " ".join(term.phrase) or term.rule_id


def pattern(term: Term) -> Any:
    """medspaCy's pattern of a term, None for a phrase."""
    return [dict(t) for t in term.tokens] if term.tokens else term.regex


def run_chain(reports: Sequence[Report], rules: RuleSet) -> int:
    """Build the chain and read the reports; the number of targets found."""
    nlp = chain(rules)
    return sum(len(doc.ents) for doc in nlp.pipe([r.text for r in reports]))


def run_process(reports: Sequence[Report]) -> int:
    """The same reports through `process`, from a file to a run folder; the number of mentions found."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "reports.jsonl"
        rows = [{"report_id": r.report_id, "text": r.text} for r in reports]
        source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        result = process(source, Path(folder) / "run")
    if result.reports != len(reports):
        raise SystemExit(f"process read {result.reports} of {len(reports)} reports; the two jobs are not the same")
    return result.mentions


def clocked(job: Callable[[], int]) -> Seconds:
    """CPU and wall seconds of a job, and what it found."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = job()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "found": found}


def measure(reports: Sequence[Report], rules: RuleSet, rounds: int) -> list[dict[str, Seconds]]:
    """For each round the seconds of both jobs, whole and on one report; who goes first alternates."""
    jobs: dict[str, Callable[[Sequence[Report]], int]] = {
        "medspacy": lambda own: run_chain(own, rules),
        "calcitrace": run_process,
    }
    for job in jobs.values():
        job(reports[:1])  # imports and caches
    found = []
    for number in range(rounds):
        order = list(jobs)[:: 1 if number % 2 == 0 else -1]
        round_: dict[str, Seconds] = {name: clocked(lambda name=name: jobs[name](reports)) for name in order}
        round_ |= {f"{name}_set_up": clocked(lambda name=name: jobs[name](reports[:1])) for name in order}
        found.append(round_)
    return found


def ratios(rounds: Sequence[dict[str, Seconds]]) -> dict[str, dict[str, float]]:
    """How many times longer the chain takes: median and range over the rounds."""
    found = {}
    for clock in ("cpu", "wall"):
        whole = [r["medspacy"][clock] / r["calcitrace"][clock] for r in rounds]
        found[f"{clock}_whole_job"] = spread(whole)
        found[f"{clock}_without_set_up"] = spread(
            [reading(r, "medspacy", clock) / reading(r, "calcitrace", clock) for r in rounds]
        )
    return found


def reading(round_: dict[str, Seconds], name: str, clock: str) -> float:
    """The seconds of a job beyond those on one report (never below a millisecond)."""
    return max(round_[name][clock] - round_[f"{name}_set_up"][clock], 1e-3)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def summary(
    reports: Sequence[Report], rules: RuleSet, rounds: Sequence[dict[str, Seconds]], pinned: bool
) -> dict[str, Any]:
    """All that was measured, as plain values."""
    packages = ("calcitrace", "medspacy", "PyRuSH", "spacy")
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": rules.hash,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "machine": platform.machine(),
        "one_core": pinned,
        "reports": len(reports),
        "characters": sum(len(r.text) for r in reports),
        "rounds": list(rounds),
        "ratio": ratios(rounds),
    }


def show(made: dict[str, Any]) -> None:
    """Print the rounds and the ratios."""
    print(
        f"{made['reports']} reports, {made['characters'] / made['reports']:.0f} characters each; seconds of CPU (wall)"
    )
    print(f"{'round':8}{'medspaCy':>18}{'calcitrace':>18}{'ratio':>8}")
    for number, r in enumerate(made["rounds"], 1):
        cells = [f"{r[name]['cpu']:.2f} ({r[name]['wall']:.2f})" for name in ("medspacy", "calcitrace")]
        print(f"{number:<8}{cells[0]:>18}{cells[1]:>18}{r['medspacy']['cpu'] / r['calcitrace']['cpu']:>8.2f}")
    for name, ratio in made["ratio"].items():
        said = f"{ratio['median']:.2f} times faster (range {ratio['low']:.2f}-{ratio['high']:.2f})"
        print(f"{name.replace('_', ' '):24}{said}")


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reports", type=Path, nargs="+", default=list(SOURCES), help="files of reports")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help=f"one round over {SMALL} reports, to see that it works")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    logger.disable("PyRuSH")  # it logs every token, report text included
    pinned, rules = one_core(), load_rules()
    reports = list(read_reports(arguments.reports))[: SMALL if arguments.small else None]
    made = summary(reports, rules, measure(reports, rules, 1 if arguments.small else arguments.rounds), pinned)
    show(made)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{made['measured'][:10]}_vs_medspacy_{rules.hash[:8]}.json"
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
