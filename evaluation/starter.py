"""Train the starter model that ships with calcitrace, from the train, hands and everyday parts of the gold standard.

Usage: python evaluation/starter.py [--out nlp/calcitrace/models/intraosseous_migration.json]

The test part and the development sets of others are not touched. Reports of one style (their ids begin alike) are
kept together in cross-validation, so that the card's figures are those for styles the model has not seen.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
from pathlib import Path

from calcitrace.corpus import RunOptions, process
from calcitrace.training import train

GOLD = Path(__file__).parent / "gold"
PARTS = (*(f"train{n}" for n in ("", *range(2, 15))), "hands", "everyday", "everyday2")
OUT = Path(__file__).parents[1] / "nlp" / "calcitrace" / "models" / "intraosseous_migration.json"
NOTE = (
    "STARTER MODEL, trained on synthetic reports only (the train, hands and everyday parts of evaluation/gold); "
    "it has seen no real report"
)
SENSITIVITY = 0.98  # of the hands part many cases are written to be missed


def write_labels(out: Path) -> None:
    """The case labels of the train parts as a file for `train`; the group is the style."""
    with out.open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["report_id", "label", "group"])
        for part in PARTS:
            for line in (GOLD / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                style = re.split(r"[-\d]", record["report_id"])[0]
                group = record["patient_id"] if part.startswith("everyday") else style
                rows.writerow([record["report_id"], record["case"], group])


def main() -> None:
    """Process the parts, train, and print the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        labels, run = Path(folder) / "starter_labels.csv", Path(folder) / "run"
        write_labels(labels)
        process([GOLD / f"{p}.jsonl" for p in PARTS], run, RunOptions(model="none"), workers=2)
        made = train(labels, run, out, SENSITIVITY, start="none", note=NOTE, on_progress=print)
    print(json.dumps(made.model.card, indent=1))


if __name__ == "__main__":
    main()
