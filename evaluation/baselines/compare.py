"""calcitrace beside plain medspaCy, negspaCy and simple case finders, on one gold standard, in one process.

    pip install ".[baselines]"
    python evaluation/baselines/compare.py evaluation/gold/train.jsonl

Prints one table, and writes it with what it was measured with to a dated page and JSON file in evaluation/results/.
Errors are never listed, so a test set that must stay unseen can be measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import case_rules
import medspacy_plain
import negspacy_plain

from calcitrace.annotate import Annotator
from calcitrace.assess import assess
from calcitrace.corpus import DEFAULT_CASE, RunOptions, process
from calcitrace.evaluate import Evaluation, LabelledMention, LabelledReport, predictions_of_run, read_gold, score
from calcitrace.model import AnnotatedReport, Mention, Report
from calcitrace.rules import load_rules
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.words import split_words
from calcitrace.workers import model_for

RESULTS = Path(__file__).parents[1] / "results"
Reports = Sequence[LabelledReport]
COLUMNS = {
    "mention F1": ("mention_f1",),
    "+assertion": ("mention_f1_assertion",),
    "change": ("change_macro_f1",),
    "no mass": ("absence_of_mass",),
    "sensitivity": ("sensitivity",),
    "specificity": ("specificity",),
    "AUROC": ("auroc", "auroc_by_tier"),
    "AUPRC": ("auprc", "auprc_by_tier"),
    "ECE": ("calibration_error",),
    "kappa": ("tier_kappa",),
}


def labelled(report_id: str, mentions: Sequence[Mention], rules: RuleSet, **labels: Any) -> LabelledReport:
    """A baseline's prediction; mentions of conditions are no findings and are left out."""
    own = tuple(
        LabelledMention(m.finding, m.start, m.end, m.assertion) for m in mentions if m.finding in rules.findings
    )
    labels = {"mentions": own, "absence_of_mass": case_rules.no_mass(mentions), **labels}
    return LabelledReport(report_id, **labels, given=frozenset({*labels, "assertion"}))


def cases_only(report_id: str, status: str) -> LabelledReport:
    """A prediction of the case status alone."""
    named = frozenset({"case_status", "likely_case"})
    return LabelledReport(report_id, case_status=status, likely_case=status in case_rules.CASES, given=named)


def ours(gold: Reports, source: Path) -> list[LabelledReport]:
    """What `calcitrace process` finds; probabilities at the prevalence of the gold standard."""
    counted = [g.case_status in case_rules.CASES for g in gold if g.case_status != "possible"]
    share = sum(counted) / len(counted) if 0 < sum(counted) < len(counted) else None
    with tempfile.TemporaryDirectory() as folder:
        process(source, Path(folder) / "run", RunOptions(prevalence=share))
        return predictions_of_run(Path(folder) / "run", gold)


def plain_medspacy(gold: Reports, rules: RuleSet, case: CaseDefinition) -> dict[str, list[LabelledReport]]:
    """Plain medspaCy with the co-occurrence rule, and its mentions under our case definition."""
    nlp = medspacy_plain.build(rules)
    found: dict[str, list[LabelledReport]] = {"medspaCy, co-occurrence": [], "medspaCy, our case definition": []}
    texts = [g.text or "" for g in gold]
    for g, (mentions, sentences) in zip(gold, medspacy_plain.mentions(nlp, texts), strict=True):
        status = case_rules.co_occurrence(mentions, negation=True)
        row = labelled(g.report_id, mentions, rules, case_status=status, likely_case=status in case_rules.CASES)
        found["medspaCy, co-occurrence"].append(row)
        findings = tuple(m for m in mentions if m.finding in rules.findings)
        conditions = tuple(m for m in mentions if m.finding in rules.conditions)
        text = g.text or ""
        forms = tuple(split_words(text, rules.spelling, start, end).forms for start, end in sentences)
        annotated = AnnotatedReport(Report(g.report_id, text), (), sentences, forms, findings, conditions)
        status = assess(annotated, rules, case).case_status
        found["medspaCy, our case definition"].append(cases_only(g.report_id, status))
    return found


def plain_negspacy(gold: Reports, rules: RuleSet) -> dict[str, list[LabelledReport]]:
    """negspaCy with the co-occurrence rule, and the same words without negation (keyword search)."""
    nlp = negspacy_plain.build(rules)
    found: dict[str, list[LabelledReport]] = {"negspaCy, co-occurrence": [], "keyword search": []}
    for g, mentions in zip(gold, negspacy_plain.mentions(nlp, [g.text or "" for g in gold]), strict=True):
        status = case_rules.co_occurrence(mentions, negation=True)
        row = labelled(g.report_id, mentions, rules, case_status=status, likely_case=status in case_rules.CASES)
        found["negspaCy, co-occurrence"].append(row)
        words = case_rules.co_occurrence(mentions, negation=False)
        found["keyword search"].append(cases_only(g.report_id, words))
    return found


def words_alone(gold: Reports, training: Reports | None) -> list[LabelledReport]:
    """TF-IDF with logistic regression; flagged from 0.5 on."""
    named = frozenset({"likely_case", "case_probability"})
    return [
        LabelledReport(g.report_id, likely_case=p >= 0.5, case_probability=p, given=named)
        for g, p in zip(gold, case_rules.word_model(gold, training), strict=True)
    ]


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a call and the seconds it took."""
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


def measure(source: Path, train: Path | None, resamples: int) -> tuple[dict[str, Evaluation], dict[str, float]]:
    """The evaluation of each system, and the seconds of each run (building included)."""
    gold, rules = read_gold(source), load_rules()
    case = rules.cases[DEFAULT_CASE]
    training = read_gold(train) if train else None
    Annotator(rules)  # imports are paid before the clock starts
    predictions: dict[str, list[LabelledReport]] = {}
    predictions["calcitrace"], seconds_ours = timed(lambda: ours(gold, source))
    predictions["calcitrace, case definition alone"] = [
        cases_only(p.report_id, p.case_status) for p in predictions["calcitrace"]
    ]
    found, seconds_medspacy = timed(lambda: plain_medspacy(gold, rules, case))
    predictions |= found
    found, seconds_negspacy = timed(lambda: plain_negspacy(gold, rules))
    predictions |= found
    predictions["TF-IDF, logistic regression"], seconds_words = timed(lambda: words_alone(gold, training))
    seconds = {
        "calcitrace": seconds_ours,
        "medspaCy": seconds_medspacy,
        "negspaCy": seconds_negspacy,
        "TF-IDF, logistic regression": seconds_words,
    }
    return {k: score(gold, p, resamples=resamples, list_errors=False) for k, p in predictions.items()}, seconds


def cells(found: Evaluation) -> list[str]:
    """The figures of one row of the table; a dash where a system does not say."""
    values = [[found.figures[n].value for n in names] for names in COLUMNS.values()]
    return [next((f"{v:.3f}" for v in options if v is not None), "-") for options in values]


def save(found: dict[str, Evaluation], seconds: dict[str, float], arguments: argparse.Namespace) -> Path:
    """Write the dated JSON file."""
    now, rules = datetime.now(UTC), load_rules()
    _, model = model_for("", rules, rules.cases[DEFAULT_CASE])
    packages = ("calcitrace", "medspacy", "negspacy", "spacy", "scikit-learn")
    made = {
        "measured": now.isoformat(timespec="seconds"),
        "command": " ".join(["python", "evaluation/baselines/compare.py", *sys.argv[1:]]),
        "ruleset_hash": rules.hash,
        "model_sha256": hashlib.sha256(Path(model).read_bytes()).hexdigest() if model else None,
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "gold": arguments.gold.name,
        "gold_sha256": hashlib.sha256(arguments.gold.read_bytes()).hexdigest(),
        "words_trained_on": arguments.train.name if arguments.train else f"{case_rules.FOLDS}-fold by patient",
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "seconds": {k: round(v, 2) for k, v in seconds.items()},
        "systems": {name: {k: v for k, v in f.as_json().items() if k != "errors"} for name, f in found.items()},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{now:%Y-%m-%d}_baselines_{arguments.gold.stem}_{rules.hash[:8]}.json"
    path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page(made, found), encoding="utf-8")
    return path


def page(made: dict[str, Any], found: dict[str, Evaluation]) -> str:
    """The table as Markdown, under what it was measured with."""
    first = next(iter(found.values()))
    facts = {
        "measured": made["measured"],
        "command": f"`{made['command']}`",
        "gold standard": f"{made['gold']}, {first.settings['reports']} synthetic reports of "
        f"{first.settings['patients']} patients, SHA-256 {made['gold_sha256'][:16]}",
        "rules": made["ruleset_hash"][:16],
        "model": (made["model_sha256"] or "none")[:16],
        "versions": ", ".join(f"{name} {number}" for name, number in made["versions"].items()),
        "machine": "{system}, {processor}, {cores} cores".format(**made["machine"]),
    }
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1), *([name, *cells(f)] for name, f in found.items())]
    lines = [f"# calcitrace and its baselines on {made['gold']}", "", *(f"- {k}: {v}" for k, v in facts.items()), ""]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("gold", type=Path, help="gold standard (JSON lines)")
    parser.add_argument("--train", type=Path, help="gold standard to train the word model on (else cross-validation)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file")
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    found, seconds = measure(arguments.gold, arguments.train, arguments.resamples)
    first = next(iter(found.values())).settings
    print(f"{arguments.gold.name}: {first['reports']} reports of {first['patients']} patients")
    print(f"{'':34}" + "".join(f"{c:>12}" for c in COLUMNS))
    for name, evaluation in found.items():
        print(f"{name:34}" + "".join(f"{c:>12}" for c in cells(evaluation)))
    print("seconds, building included: " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()))
    print(f"wrote {save(found, seconds, arguments).name}")


if __name__ == "__main__":
    main()
