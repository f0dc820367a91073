"""What a review of a large archive would find, how much is read for it, and how far `recall` can be trusted.

    python evaluation/review_simulation.py --reports 100000 --prevalence 0.005 0.001 --seeds 5

Archives are made by archive.py out of parts of the gold standard (`--archive-parts`) that the model has not learned
from (it is trained here on `--model-parts`, from nothing). A reader with perfect knowledge works through the queue.

1. Reading: the share of all reports that is read, audit included, until 95 % of the cases are found.
2. Recall: for each size of the audit many samples are drawn; how often the exact 95 % interval holds the true recall,
   how often a stop is advised, and how often it is advised although the true recall is below the one to reach.
3. Beside it, with `--asreview PYTHON`, the reads of ASReview's own ranking (baselines/asreview_ranking.py) on the same
   texts.

Writes a dated JSON file with the hash of the rules to `--out`, and prints a summary.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

import archive  # type: ignore[import-not-found]  # noqa: E402

from calcitrace import RunOptions, load_rules, process, read_run  # noqa: E402
from calcitrace.recall import Recall, of_counts  # noqa: E402
from calcitrace.review.queue import CANDIDATE, QueueOptions, drawn  # noqa: E402
from calcitrace.training import train  # noqa: E402
from calcitrace.unseen import Sampled  # noqa: E402

CASES = ("definite", "probable")
MODEL_PARTS = ("train", "train2", "train3", "train4", "train5", "everyday")
ARCHIVE_PARTS = ("train6", "train7")
ARCHIVE_OTHERS = ("everyday2",)
CANDIDATES = 0.03  # of the archive
FOUND = 0.95


def train_model(parts: Sequence[str], folder: Path) -> Path:
    """A model from these parts of the gold standard alone."""
    labels, run, out = folder / "labels.csv", folder / "model_run", folder / "model.json"
    with labels.open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["report_id", "label", "group"])
        for part in parts:
            for line in (archive.GOLD / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                rows.writerow([record["report_id"], record["case"], record["patient_id"]])
    process([archive.GOLD / f"{p}.jsonl" for p in parts], run, RunOptions(model="none"))
    train(labels, run, out, start="none", note="for review_simulation.py", on_progress=lambda _: None)
    return out


def simulate(given: argparse.Namespace, prevalence: float, seed: int, model: Path, folder: Path) -> dict[str, Any]:
    """One archive: what is read, and what `recall` says for each size of the audit."""
    source, run = folder / f"{prevalence}_{seed}.parquet", folder / f"run_{prevalence}_{seed}"
    archive.write_archive(archive.make_archive(given.reports, given.in_scope, seed, prevalence), source)
    process(source, run, RunOptions(model=str(model), prevalence=prevalence), workers=given.workers)
    reports, _ = read_run(run)
    cases = _cases(source)
    found: dict[str, Any] = {"prevalence": prevalence, "seed": seed, "reports": len(reports), "cases": len(cases)}
    found |= reading(reports, cases, QueueOptions(round(CANDIDATES * len(reports)), given.audits[0], seed=seed))
    found["recall"] = [r for audit in given.audits for r in claims(reports, cases, audit, given, seed)]
    if given.asreview:
        python = Path(given.asreview).absolute()
        words = [python, HERE / "baselines" / "asreview_ranking.py", "--archive", source, "--seed", seed]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=True, cwd=folder)
        found["asreview"] = json.loads(done.stdout.splitlines()[-1])
    return found


def _cases(source: Path) -> set[str]:
    import pyarrow.parquet as pq

    table = pq.read_table(source, columns=["report_id", "case"]).to_pydict()
    return {r for r, case in zip(table["report_id"], table["case"], strict=True) if case in CASES}


def reading(reports: Any, cases: set[str], options: QueueOptions) -> dict[str, Any]:
    """How many are read until 95 % of the cases are found, and how many cases the whole queue holds."""
    _, items = drawn(reports, options)
    wanted, got, reads = math.ceil(FOUND * len(cases)), 0, None
    for number, item in enumerate(items, 1):
        got += item.report_id in cases
        if got >= wanted and reads is None:
            reads = number
    share = None if reads is None else reads / len(reports)
    return {"queue": len(items), "found in queue": got, "reads to 95 %": reads, "share read": share}


def claims(reports: Any, cases: set[str], audit: int, given: argparse.Namespace, seed: int) -> Iterator[dict[str, Any]]:
    """What `recall` says after the whole queue was read, for audits of one size drawn with several seeds."""
    for number in range(given.draws):
        options = QueueOptions(round(CANDIDATES * len(reports)), audit, seed=1000 * seed + number)
        strata, items = drawn(reports, options)
        hits = {n: sum(i.stratum == n and i.report_id in cases for i in items) for n in strata}
        sampled = {n: Sampled(size, count, hits[n]) for n, (size, count) in strata.items()}
        truth = sum(hits.values()) / len(cases)
        for target in given.targets:
            said = of_counts(hits[CANDIDATE], sampled, len(reports), len(items), target=target)
            yield {"audit": audit, "target": target, "truth": truth, **_told(said, truth)}


def _told(said: Recall, truth: float) -> dict[str, Any]:
    """Whether the interval holds the truth (whether or not it is narrow enough to be told), and the advice."""
    if said.missed is None:
        return {"covers": None, "told": False, "stop": said.stop, "wrong stop": said.stop and truth < said.target}
    low, high = (said.found / (said.found + m) for m in (said.missed[2], said.missed[1]))
    return {
        "interval": [low, high],
        "covers": low - 1e-9 <= truth <= high + 1e-9,
        "told": said.recall is not None,
        "stop": said.stop,
        "wrong stop": said.stop and truth < said.target,
    }


def summary(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What was found, in lines."""
    for run in runs:
        share = (
            "95 % not reached" if run["share read"] is None else f"95 % after {run['share read']:.2%} of all reports"
        )
        beside = ""
        if "asreview" in run:
            reads = run["asreview"]["reads"]
            ratio = reads and run["reads to 95 %"] and reads / run["reads to 95 %"]
            beside = f"; ASReview {reads or 'not within its limit'}" + (f", {ratio:.1f} times as many" if ratio else "")
        yield (
            f"prevalence {run['prevalence']:.2%}, seed {run['seed']}: {run['cases']} cases, "
            f"{run['found in queue']} in the queue; {share} ({run['reads to 95 %']} reads){beside}"
        )
    for key in dict.fromkeys((r["audit"], r["target"]) for run in runs for r in run["recall"]):
        own = [r for run in runs for r in run["recall"] if (r["audit"], r["target"]) == key]
        held = [r["covers"] for r in own if r["covers"] is not None]
        yield (
            f"audit of {key[0]:,}, target {key[1]:.0%}: interval holds the truth in {sum(held)}/{len(held)} runs, is "
            f"told in {sum(r['told'] for r in own)}, stop advised in {sum(r['stop'] for r in own)}, wrongly in "
            f"{sum(r['wrong stop'] for r in own)}"
        )


def main() -> None:
    """Simulate, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--in-scope", type=float, default=0.03, help="share of reports about a calcification")
    parser.add_argument("--prevalence", type=float, nargs="+", default=[0.005, 0.001])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--audits", type=int, nargs="+", default=[300, 3000, 20_000])
    parser.add_argument("--targets", type=float, nargs="+", default=[0.8, 0.95])
    parser.add_argument("--draws", type=int, default=10, help="audits of each size for each archive")
    parser.add_argument("--model", help="a model file instead; it must not have learned from the archive's parts")
    parser.add_argument("--model-parts", nargs="+", default=MODEL_PARTS)
    parser.add_argument("--archive-parts", nargs="+", default=ARCHIVE_PARTS, help="of the reports in scope")
    parser.add_argument("--archive-others", nargs="+", default=ARCHIVE_OTHERS, help="of all other reports")
    parser.add_argument("--asreview", default="", help="a Python with asreview and pyarrow installed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    archive.TRAIN, archive.EVERYDAY = tuple(given.archive_parts), tuple(given.archive_others)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(given.model) if given.model else train_model(given.model_parts, Path(folder))
        runs = [simulate(given, p, seed, model, Path(folder)) for p in given.prevalence for seed in range(given.seeds)]
    rules = load_rules().hash
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(given).items() if k not in ("asreview", "out")}
    made = {"settings": settings, "ruleset_hash": rules, "calcitrace": version("calcitrace"), "runs": runs}
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{datetime.now(UTC).date()}_review_simulation_{rules[:8]}.json"
    path.write_text(json.dumps(made, indent=1), encoding="utf-8")
    print("\n".join(summary(runs)))
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
