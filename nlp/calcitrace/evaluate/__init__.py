"""Gold against predicted: figures with intervals, the reading workload, and every error with its place.

The one call is `evaluate`; `score` does the same for predictions that come from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calcitrace.errors import UsageError
from calcitrace.evaluate.cases import Curves, case_curves, case_figures
from calcitrace.evaluate.discrepancies import Discrepancy, discrepancies
from calcitrace.evaluate.intervals import Figure, Resampler
from calcitrace.evaluate.labelled import LabelledMention, LabelledReport, predictions_of_run, read_gold
from calcitrace.evaluate.mentions import FindingScore, Matched, Pair, match_all, mention_figures
from calcitrace.runfolder import commit_file, read_manifest

__all__ = [
    "Curves",
    "Discrepancy",
    "Evaluation",
    "Figure",
    "FindingScore",
    "LabelledMention",
    "LabelledReport",
    "evaluate",
    "predictions_of_run",
    "read_gold",
    "score",
]
PREVALENCE = 0.005  # of the condition among shoulder MRs; the archive to be mined, not the enriched gold standard
RESAMPLES = 1000
SEED = 20240229


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `score` found: figures by name, scores by finding, curves for plots, differences, and what was scored."""

    figures: Mapping[str, Figure]
    findings: Mapping[str, FindingScore]
    curves: Curves
    discrepancies: tuple[Discrepancy, ...]
    pairs: tuple[Pair, ...]
    matched: tuple[Matched, ...]
    settings: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values; no report text."""
        by_finding = {
            name: {"gold": s.gold, "predicted": s.predicted}
            | {k: getattr(s, k).as_json() for k in ("precision", "recall", "f1", "f1_assertion")}
            for name, s in self.findings.items()
        }
        return {
            "settings": dict(self.settings),
            "figures": {name: f.as_json() for name, f in self.figures.items()},
            "findings": by_finding,
            **asdict(self.curves),
            "errors": [asdict(d) for d in self.discrepancies],
        }


def score(
    gold: Sequence[LabelledReport],
    predicted: Sequence[LabelledReport],
    prevalence: float = PREVALENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    list_errors: bool = True,
) -> Evaluation:
    """Score predictions against a gold standard, by the annotation guideline ("How it is scored").

    Args:
        gold: the gold standard; labels that it lacks are not scored.
        predicted: the predictions for the same reports in the same order.
        prevalence: share of cases in the archive for which predictive values are projected.
        resamples: draws of patients for the intervals; 0 for none.
        seed: the same seed gives the same intervals.
        list_errors: whether to list the differences one by one.

    Raises:
        UsageError: no gold report, reports that differ, or a prevalence or number of draws that makes no sense.
    """
    if not 0 < prevalence < 1:
        raise UsageError(f"prevalence {prevalence} is not between 0 and 1 (0.005 is 0.5 %)")
    if resamples < 0:
        raise UsageError(f"{resamples} resamples make no sense; give 0 for none")
    if not gold or [g.report_id for g in gold] != [p.report_id for p in predicted]:
        raise UsageError("gold and predictions must be of the same reports in the same order, at least one")
    pairs = tuple(zip(gold, predicted, strict=True))
    resampler = Resampler([g.patient_id or p.patient_id for g, p in pairs], resamples, seed)
    matched = tuple(match_all(pairs))
    figures, findings = mention_figures(pairs, matched, resampler)
    settings = {"reports": len(pairs), "patients": resampler.units, "prevalence": prevalence}
    return Evaluation(
        figures=figures | case_figures(pairs, resampler, prevalence),
        findings=findings,
        curves=case_curves(pairs),
        discrepancies=tuple(discrepancies(pairs, matched)) if list_errors else (),
        pairs=pairs,
        matched=matched,
        settings=settings | {"resamples": resamples, "seed": seed, "errors_listed": list_errors},
    )


def evaluate(
    run: str | Path,
    gold: str | Path,
    out: str | Path | None = None,
    prevalence: float = PREVALENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    list_errors: bool = True,
) -> Evaluation:
    """Score a finished run against a gold standard file and write evaluation.json and evaluation.html.

    Args:
        run: folder of a finished run of `process` that read the gold standard's reports (and maybe others).
        gold: JSONL file, see `read_gold`.
        out: folder to write to; by default `evaluation` in the run folder.
        prevalence: see `score`, as for the two that follow.
        resamples: draws of patients.
        seed: of the draws.
        list_errors: without the list of errors the page holds no text, so that a test set stays unseen.

    Raises:
        SourceError, RunError, UsageError: see `read_gold`, `predictions_of_run` and `score`.
    """
    from calcitrace.evaluate.page import write_page

    run, gold = Path(run), Path(gold)
    labelled = read_gold(gold)
    found = score(labelled, predictions_of_run(run, labelled), prevalence, resamples, seed, list_errors)
    manifest = read_manifest(run)
    settings = {
        "evaluated": datetime.now(UTC).isoformat(timespec="seconds"),
        "calcitrace": version("calcitrace"),
        "ruleset_hash": manifest["ruleset_hash"],
        "case": manifest["case"],
        "gold": gold.name,
        "gold_sha256": hashlib.sha256(gold.read_bytes()).hexdigest(),
        **found.settings,
    }
    found = Evaluation(
        found.figures, found.findings, found.curves, found.discrepancies, found.pairs, found.matched, settings
    )
    folder = Path(out) if out is not None else run / "evaluation"
    data = json.dumps(found.as_json(), indent=1, ensure_ascii=False)
    commit_file(folder / "evaluation.json", data.encode("utf-8", "replace"))
    commit_file(folder / "evaluation.html", write_page(found).encode("utf-8", "replace"))
    return found
