"""How many reports ASReview's own ranking reads until it has 95 % of the cases; runs in a Python of its own.

    python3 -m venv asreview && asreview/bin/pip install asreview pyarrow
    asreview/bin/python evaluation/baselines/asreview_ranking.py --archive archive.parquet --seed 0

ASReview (3.0) with its default model ELAS u4 learns while a reader with perfect knowledge reads. It starts, as its
users do, from one case and ten reports that are none, and is asked for `--query` reports at a time, since it learns
anew each time. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time

CASES = ("definite", "probable")
NONE_AT_START = 10


class Enough:
    """Stops at so many cases, or at so many reports read."""

    def __init__(self, cases: int, most: int) -> None:
        self.cases, self.most = cases, most

    def stop(self, results, labels):
        """Whether to stop."""
        return int(results["label"].sum()) >= self.cases or len(results) >= self.most


def main() -> None:
    """Simulate and print."""
    import numpy as np
    import pandas as pd
    from asreview import ActiveLearningCycle, Simulate
    from asreview.models.models import get_ai_config

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--query", type=int, default=20)
    parser.add_argument("--most", type=float, default=0.2, help="share of the archive after which to give up")
    given = parser.parse_args()
    table = pd.read_parquet(given.archive, columns=["text", "case"])
    labels = table["case"].isin(CASES).astype(int).to_numpy()
    wanted = math.ceil(0.95 * labels.sum())
    draw = random.Random(given.seed)
    np.random.seed(given.seed)
    start = [draw.choice(list(np.flatnonzero(labels))), *draw.sample(list(np.flatnonzero(labels == 0)), NONE_AT_START)]
    cycle = ActiveLearningCycle.from_meta(get_ai_config("elas_u4")["value"])
    cycle.n_query = given.query
    texts = pd.DataFrame({"title": "", "abstract": table["text"]})
    simulation = Simulate(texts, labels, cycle, Enough(wanted, int(given.most * len(labels))), print_progress=False)
    began = time.perf_counter()
    simulation.label([int(k) for k in start])
    simulation.review()
    found = simulation._results["label"].to_numpy().cumsum()
    reads = int(np.argmax(found >= wanted)) + 1 if found[-1] >= wanted else None
    told = {"reads": reads, "read": len(found), "found": int(found[-1]), "cases": int(labels.sum())}
    print(json.dumps({**told, "seconds": round(time.perf_counter() - began)}))


if __name__ == "__main__":
    main()
