"""A threshold for what a site can read: so many of 1,000 reports of a run, and what that costs in sensitivity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calcitrace.casemodel import FIGURES, CaseModel, load_model, log_odds, model_bytes, probability_of, shift
from calcitrace.errors import ModelError, RunError, UsageError
from calcitrace.evaluate.intervals import Interval, exact
from calcitrace.runfolder import commit_file, file_hash, read_manifest


@dataclass(frozen=True, slots=True)
class Workload:
    """A model with a new threshold: how many of the run's reports it marks, and how many of the cases it learned from.

    The model's threshold stands at the share of cases that it learned at; `threshold` is the same one on the scale of
    the run's probabilities, which hold at `prevalence`. `kept` of `cases` are those at or above the threshold by models
    that had not seen them (cross-validation); `interval` is the exact 95 % interval (Clopper-Pearson) of that share, or
    None where no case could be held out.
    """

    model: CaseModel
    reports: int
    marked: int
    kept: int
    cases: int
    interval: Interval | None
    threshold: float
    prevalence: float


def set_workload(model: str | Path, run: str | Path, out: str | Path, reads_per_1000: float) -> Workload:
    """Write `model` to `out` with the threshold that marks so many of 1,000 reports of a run made with it.

    Args:
        model: a model file.
        run: folder of a finished run that used this very file, over reports as they come (not enriched).
        out: the model file to write.
        reads_per_1000: how many of 1,000 reports can be read, above 0 to 1,000. Equal probabilities that do not all
            fit are left out, so that the workload is not exceeded.

    Raises:
        ModelError: the model file cannot be used, or the run used another.
        RunError: no finished run, or its tables cannot be read.
    """
    if not 0 < reads_per_1000 <= 1000:
        raise UsageError(f"{reads_per_1000} reads of 1,000 reports is not above 0 and at most 1,000")
    found = load_model(model)
    manifest = _run_of(Path(run), Path(model))
    logits = sorted(map(log_odds, _probabilities(Path(run), manifest)), reverse=True)
    if not logits:
        raise RunError(f"{run}: holds no report to set a threshold by")
    cut, marked = _cut(logits, int(len(logits) * reads_per_1000 / 1000))
    prevalence = manifest["model"]["probabilities_at_prevalence"]
    threshold = probability_of(cut - shift(found.prevalence, prevalence))
    kept = sum(p >= threshold for p in found.held_out)
    interval = exact(kept, len(found.held_out)) if found.held_out else None
    card = {
        **_with_old_figures(found),
        "name": Path(out).stem,
        "threshold set for": f"{reads_per_1000:g} reads of 1,000 reports",
        "sensitivity at the threshold set, by cross-validation": kept_in_words(kept, len(found.held_out), interval),
    }
    changed = replace(found, threshold=threshold, card=card)
    commit_file(Path(out), model_bytes(changed))
    cases = len(found.held_out)
    return Workload(changed, len(logits), marked, kept, cases, interval, probability_of(cut), prevalence)


def kept_in_words(kept: int, cases: int, interval: Interval | None) -> str:
    """How many of the cases lie at or above a threshold, with the interval of that share."""
    if interval is None:
        return "not known; the model had too few labels to hold any out"
    return f"{kept}/{cases} (95 % interval {interval[0]:.3f} to {interval[1]:.3f})"


def _with_old_figures(model: CaseModel) -> dict[str, Any]:
    """The card of a model, its figures of the threshold named as of that of training; a second time nothing changes."""
    figures = model.card.get(FIGURES)
    if not isinstance(figures, Mapping):
        return dict(model.card)
    at = f"at the threshold of training ({model.threshold:.4f})"
    named = {f"{name} {at}" if name in ("sensitivity", "specificity") else name: said for name, said in figures.items()}
    return {**model.card, FIGURES: named}


def _run_of(run: Path, model: Path) -> dict[str, Any]:
    """The manifest of a finished run that used the model."""
    manifest = read_manifest(run)
    if manifest.get("status") != "complete":
        raise RunError(f"{run}: the run has not finished; give the same `calcitrace process` command again")
    if (manifest["model"] or {}).get("sha256") != file_hash(model):
        raise ModelError(f"{run}: was not made with {model}; process the reports with --model {model} first")
    return manifest


def _probabilities(run: Path, manifest: dict[str, Any]) -> Iterator[float]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for part in manifest["parts"]:
            table = pq.read_table(run / f"reports/part-{part['number']:05d}.parquet", columns=["case_probability"])
            yield from (min(max(p, 1e-12), 1 - 1e-12) for p in table["case_probability"].to_pylist() if p is not None)
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{run}: a table is missing or damaged ({type(error).__name__}); give the same command again"
        ) from None


def _cut(logits: list[float], most: int) -> tuple[float, int]:
    """Where to cut so that at most `most` lie at or above, and how many do."""
    if most >= len(logits):
        return logits[-1] - 1.0, len(logits)
    below = logits[most]
    marked = sum(x > below for x in logits[:most])
    return (below + 0.5 if not marked else (logits[marked - 1] + below) / 2), marked
