"""Time a report against its length, and two workers against one.

    python evaluation/benchmarks/scaling.py

Length: reports of 1,000 to 1,000,000 characters in several make-ups, no sentence of which comes again, each read in
full as a worker of a run does; `exponents` are the slopes of the time over the length, both as logarithms, from each
length to the next (1 is linear), and `exponent` the one from 10,000 characters (or the first length) to the last.

Workers: the same archive (evaluation/archive.py, 3 % in scope) processed with one worker and with two, in turns.
Processor time is that of all processes of a run; that of a run over a few reports, which is its start, is taken off.
With other work on the machine the best wall ratio of all pairs says most; the median stands beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))

from archive import make_archive, normal, write_archive  # type: ignore[attr-defined]  # noqa: E402

from calcitrace import Report, load_rules  # noqa: E402
from calcitrace.corpus import DEFAULT_CASE  # noqa: E402
from calcitrace.workers import Setup, Worker, model_for  # noqa: E402

LENGTHS = (1_000, 3_162, 10_000, 31_623, 100_000, 316_228, 1_000_000)
FROM = 10_000  # characters; shorter reports spend much on what does not depend on their length
SHORT = 20_000  # characters; shorter reports are read so often that as many are read in all
FEW = 200  # reports of a run that is little more than its start
SICK = (
    "There is a calcification of {mm} mm in the supraspinatus tendon with erosion of the greater tuberosity.",
    "A calcific deposit measures {mm} mm and extends into the humeral head, which is new since 2014.",
    "No fracture; possible bone marrow edema over {mm} mm about the footprint of the infraspinatus.",
)
BEFORE = (
    "Previously there was a calcification of {mm} mm in the left supraspinatus tendon.",
    "The earlier examination showed an erosion of the right greater tuberosity of {mm} mm.",
)
NOW = (
    "There is a calcification of {mm} mm in the right supraspinatus tendon.",
    "No erosion of the left greater tuberosity is seen over {mm} mm.",
)
WELL = normal("knee")
_images = count(1)


def sentences(kinds: Sequence[str], size: int, between: str = " ") -> str:
    """Sentences of these kinds up to so many characters; of all that are ever made no two are the same."""
    made, length = list[str](), 0
    for n in count():
        if length >= size:
            break
        said = kinds[n % len(kinds)].format(mm=n % 60 + 2)
        made.append(f"{said.rstrip('.')} (image {next(_images)}){'.' * said.endswith('.')}")
        length += len(made[-1]) + len(between)
    return between.join(made)[:size]


def _few(size: int, between: str = " ") -> str:
    """A mention, and then normal sentences."""
    return f"MRI SHOULDER\n\n{SICK[0].format(mm=7)} {sentences(WELL, size, between)}"[:size]


def _before_and_now(size: int) -> str:
    """A comparison that the findings bear on, mention by mention."""
    return f"COMPARISON: {sentences(BEFORE, size // 2)}\n\nFINDINGS: {sentences(NOW, size)}"[:size]


def _studies(size: int) -> str:
    """A comparison of many studies in one line, none of which ends a sentence."""
    said = "COMPARISON: 1.2.840.113619.2.55.3.604688119.971.1234567890, "
    while len(said) < size:
        said += f"CT 2019 and MRI 2020 of the shoulder (image {next(_images)}), "
    return said[:size]


MAKE_UPS: dict[str, Callable[[int], str]] = {
    "many mentions": lambda size: sentences(SICK, size),
    "few mentions": _few,
    "one line without stops": lambda size: sentences([s.lower().rstrip(".") for s in (*WELL, *SICK)], size, " and "),
    "hard-wrapped": lambda size: textwrap.fill(_few(size), 72)[:size],
    "a line a sentence": lambda size: _few(size, "\n"),
    "a heading a sentence": lambda size: sentences([f"TENDONS: {SICK[0]}", f"BONES: {SICK[1]}"], size, "\n"),
    "before and now": _before_and_now,
    "studies compared": _studies,
}


def reader(screen: str = "rules") -> Worker:
    """What reads reports in a run with the model that ships."""
    rules = load_rules(None)
    _, model = model_for("", rules, rules.cases[DEFAULT_CASE])
    return Worker(Setup("", rules.hash, DEFAULT_CASE, model, screen=screen))


def of_length(worker: Worker, make_up: str, lengths: Sequence[int]) -> dict[str, Any]:
    """Milliseconds per 1,000 characters by length, and the exponents."""
    worker(Report("first", MAKE_UPS[make_up](FROM)))  # what is worked out once
    spent = [_spent(worker, make_up, n) for n in lengths]
    points = list(zip(lengths, spent, strict=True))
    first = next((p for p in points if p[0] >= FROM and p != points[-1]), points[0])
    return {
        "ms_per_1000_characters": {str(n): round(1e6 * s / n, 3) for n, s in points},
        "exponents": [round(_slope(a, b), 3) for a, b in pairwise(points)],
        "exponent": round(_slope(first, points[-1]), 3) if len(points) > 1 else None,
    }


def _spent(worker: Worker, make_up: str, length: int) -> float:
    """Seconds of processor time for a report; of short ones for the middle one of several."""
    taken = []
    for _ in range(max(1, SHORT // length)):
        report = Report(make_up, MAKE_UPS[make_up](length))
        began = time.process_time()
        made = worker(report)
        taken.append(time.process_time() - began)
        if "report" not in made:
            raise SystemExit(f"{make_up}, {length} characters: {made}")
    return statistics.median(taken)


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return math.log(b[1] / a[1]) / math.log(b[0] / a[0])


def run(archive: Path, out: Path, workers: int, screen: str) -> tuple[float, float]:
    """Seconds of processor time of all processes of a run, and of the wall."""
    words = [sys.executable, "-m", "calcitrace", "process", archive, "--out", out]
    before, began = os.times(), time.monotonic()
    subprocess.run(  # noqa: S603
        [*words, "--workers", str(workers), "--screen", screen], capture_output=True, check=True
    )
    wall, after = time.monotonic() - began, os.times()
    return sum(after[2:4]) - sum(before[2:4]), wall


def of_workers(reports: int, pairs: int, screen: str) -> dict[str, Any]:
    """Processor milliseconds a report of one worker and of two, and how many times faster two are by the wall."""
    rounds = list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as folder:
        whole, few = Path(folder) / "whole.parquet", Path(folder) / "few.parquet"
        write_archive(make_archive(reports, 0.03), whole)
        write_archive(make_archive(FEW, 0.03), few)
        starts = {k: run(few, Path(folder) / f"few{k}", k, screen)[0] for k in (1, 2)}
        for number in range(pairs):
            spent = {k: run(whole, Path(folder) / f"run{number}-{k}", k, screen) for k in (1, 2)}
            cpu = {k: 1000 * (spent[k][0] - starts[k]) / (reports - FEW) for k in spent}
            rounds.append({"cpu_ms_1": cpu[1], "cpu_ms_2": cpu[2], "wall_s_1": spent[1][1], "wall_s_2": spent[2][1]})
            print(json.dumps(rounds[-1]), flush=True)
    return {"reports": reports, "screen": screen, "start_cpu_s": starts, "rounds": rounds, **_ratios(rounds)}


def _ratios(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    cpu = [r["cpu_ms_2"] / r["cpu_ms_1"] for r in rounds]
    wall = [r["wall_s_1"] / r["wall_s_2"] for r in rounds]
    return {
        "cpu_ratio_median": round(statistics.median(cpu), 3),
        "cpu_ratio_best": round(min(cpu), 3),
        "wall_ratio_best": round(max(wall), 3),
        "wall_ratio_median": round(statistics.median(wall), 3),
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS), help="characters")
    parser.add_argument("--reports", type=int, default=8_000, help="of the archive for one and two workers")
    parser.add_argument("--pairs", type=int, default=10, help="runs with one and with two workers; 0 for none")
    parser.add_argument("--screen", default="rules")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": load_rules().hash,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "length": {},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{result['measured'][:10]}_scaling_{result['ruleset_hash'][:8]}.json"
    worker = reader()
    for make_up in MAKE_UPS:
        result["length"][make_up] = of_length(worker, make_up, arguments.lengths)
        print(make_up, json.dumps(result["length"][make_up]), flush=True)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.pairs:
        result["workers"] = of_workers(arguments.reports, arguments.pairs, arguments.screen)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
