"""What labels of one's own add: figures after 0, 20, 50, 100 and 200 labels, with and without a starter model.

    python evaluation/learning_curve.py

A starter is trained on some styles of the gold standard (`STARTER`), labels are drawn from other styles (`POOL`), and
all is measured on styles that neither has seen (`HELD_OUT`): a registry that begins with the starter model and
labels its own reports. The test part is not touched. Prints a table and writes a dated JSON file and a picture to
evaluation/results/.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from calcitrace import Annotator, Report, load_rules
from calcitrace.casemodel import CaseModel
from calcitrace.classifier import Labelled, fit
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.evaluate.cases import calibration_error
from calcitrace.features import Features, assessed, schema

GOLD = Path(__file__).parent / "gold"
RESULTS = Path(__file__).parent / "results"
STARTER = ("train", "train2", "everyday")
POOL = ("train4", "train5")
HELD_OUT = ("train3",)
NUMBERS = (20, 50, 100, 200)
DRAWS = 10
SENSITIVITY = 0.97
FIGURES = ("AUROC", "AUPRC", "sensitivity", "specificity", "ECE")
Row = dict[str, float]


class Part:
    """Reports with features, labels, styles, patients and the score by the case definition; possible is left out."""

    def __init__(self, names: Sequence[str], annotator: Annotator) -> None:
        rules = annotator.rules
        case = rules.cases[DEFAULT_CASE]
        self.features: list[Features] = []
        self.labels: list[bool] = []
        self.units: list[str] = []
        self.by_rules: list[float] = []
        for name in names:
            for line in (GOLD / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
                r = json.loads(line)
                if r["case"] == "possible":
                    continue
                report = Report(r["report_id"], r["text"], modality=r["modality"], body_part=r["body_part"])
                assessment, features = assessed(annotator.annotate(report), rules, case)
                self.features.append(features)
                self.labels.append(r["case"] in ("definite", "probable"))
                style = re.split(r"[-\d]", r["report_id"])[0]
                self.units.append(r["patient_id"] if name.startswith("everyday") or name in POOL else style)
                self.by_rules.append(assessment.case_score)

    def labelled(self, places: Sequence[int]) -> Labelled:
        """Some of the reports, as labels to learn from."""
        whole = Labelled(self.features, self.labels, self.units, [1.0] * len(self.labels))
        return whole.take(places)


def measured(model: CaseModel, held_out: Part) -> Row:
    """The figures of a model on the held-out part, at that part's prevalence."""
    truth = np.array(held_out.labels, dtype=float)
    share = float(truth.mean())
    p = np.array([model.probability(f, share) for f in held_out.features])
    likely = np.array([model.is_likely(f) for f in held_out.features])
    return {
        "AUROC": float(roc_auc_score(truth, p)),
        "AUPRC": float(average_precision_score(truth, p)),
        "sensitivity": float(likely[truth == 1].mean()),
        "specificity": float((~likely[truth == 0]).mean()),
        "ECE": calibration_error(truth, p, np.ones(len(truth))),
    }


def by_rules(held_out: Part) -> Row:
    """The figures of the case definition alone."""
    truth, score = np.array(held_out.labels), np.array(held_out.by_rules)
    likely = score > 1.5  # probable and definite
    return {
        "AUROC": float(roc_auc_score(truth, score)),
        "AUPRC": float(average_precision_score(truth, score)),
        "sensitivity": float(likely[truth].mean()),
        "specificity": float((~likely[~truth]).mean()),
        "ECE": float("nan"),
    }


def draw(pool: Part, number: int, seed: int) -> list[int]:
    """Places of `number` reports drawn at random, with at least two of each class."""
    random = np.random.default_rng(seed)
    while True:
        places = random.choice(len(pool.labels), number, replace=False).tolist()
        if 2 <= sum(pool.labels[i] for i in places) <= number - 2:
            return places


def curve(draws: int) -> dict[str, dict[str, list[Row]]]:
    """For each way of learning and number of labels, the figures of every draw."""
    rules = load_rules()
    annotator = Annotator(rules)
    names = (DEFAULT_CASE, schema(rules, rules.cases[DEFAULT_CASE]), rules.hash)
    first, pool, held_out = (Part(p, annotator) for p in (STARTER, POOL, HELD_OUT))
    starter = fit(first.labelled(range(len(first.labels))), names, SENSITIVITY, hold_out=False).model
    found: dict[str, dict[str, list[Row]]] = {
        "case definition": {"0": [by_rules(held_out)]},
        "from the starter": {"0": [measured(starter, held_out)]},
        "from nothing": {},
    }
    for number in NUMBERS:
        for seed in range(draws):
            own = pool.labelled(draw(pool, number, seed))
            for way, earlier in (("from the starter", starter), ("from nothing", None)):
                model = fit(own, names, SENSITIVITY, earlier, hold_out=False).model
                found[way].setdefault(str(number), []).append(measured(model, held_out))
        print(f"{number} labels done", flush=True)
    return found


def picture(found: dict[str, dict[str, list[Row]]], path: Path) -> None:
    """AUPRC against the number of labels, a line a way of learning, with the range of the draws."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for way, rows in found.items():
        numbers = [int(n) for n in rows]
        values = [[r["AUPRC"] for r in own] for own in rows.values()]
        middle = [float(np.median(v)) for v in values]
        if len(numbers) == 1:
            axes.axhline(middle[0], linestyle=":", color="grey", label=way)
            continue
        axes.plot(numbers, middle, marker="o", label=way)
        axes.fill_between(numbers, list(map(min, values)), list(map(max, values)), alpha=0.15)
    axes.set_xlabel("labelled reports")
    axes.set_ylabel("AUPRC on styles not seen")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    found = curve(arguments.draws)
    print(f"{'':18}{'labels':>7}" + "".join(f"{f:>14}" for f in FIGURES))
    for way, rows in found.items():
        for number, own in rows.items():
            print(f"{way:18}{number:>7}" + "".join(f"{np.median([r[f] for r in own]):>14.3f}" for f in FIGURES))
    stem = f"{datetime.now(UTC):%Y-%m-%d}_learning_curve_{load_rules().hash[:8]}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {"starter": STARTER, "pool": POOL, "held_out": HELD_OUT, "draws": arguments.draws}
    made = {"settings": settings, "ruleset_hash": load_rules().hash, "figures": found}
    (arguments.out / f"{stem}.json").write_text(
        json.dumps(made, indent=1).replace("NaN", "null") + "\n", encoding="utf-8"
    )
    picture(found, arguments.out / f"{stem}.png")
    print(f"wrote {stem}.json and {stem}.png")


if __name__ == "__main__":
    main()
