"""Peak memory of a run's main process and of its workers, and time a report, as the archive grows.

    python evaluation/benchmarks/memory.py --reports 10000 1000000 --screens rules case

Each size and screen is a run of its own with two workers over an archive of evaluation/archive.py, 3 % in scope. Peaks
are the kernel's own (VmHWM in /proc), so this runs on Linux only. The file of results is written after each run, so
that what was measured stays when a later one is killed. `growth` is by screen how many times the peaks of the first
size those of the largest are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))

from archive import make_archive, write_archive  # type: ignore[attr-defined]  # noqa: E402

from calcitrace import load_rules  # noqa: E402
from calcitrace.sieve import SCREENS  # noqa: E402

POLL = 0.5


def peak(pid: int) -> float:
    """The peak resident memory of a process in megabytes; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def measure(archive: Path, reports: int, screen: str, out: Path) -> dict[str, Any]:
    """One run: peaks in megabytes, and milliseconds a report of all its processes."""
    words = [sys.executable, "-m", "calcitrace", "process", archive, "--out", out, "--screen", screen]
    before = os.times()
    began = time.monotonic()
    run = subprocess.Popen([*words, "--workers", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    main, workers = 0.0, 0.0
    while run.poll() is None:
        main = max(main, peak(run.pid))
        workers = max([workers, *map(peak, children(run.pid))])
        time.sleep(POLL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "reports": reports,
        "screen": screen,
        "exit": run.returncode,
        "main_mb": round(main, 1),
        "largest_worker_mb": round(workers, 1),
        "wall_ms_per_report": round(1000 * (time.monotonic() - began) / reports, 3),
        "cpu_ms_per_report": round(1000 * cpu / reports, 3),
    }


def growth(runs: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By screen, peaks and CPU time a report of the largest whole run over those of the smallest."""
    found = {}
    for screen in sorted({r["screen"] for r in runs}):
        own = sorted((r for r in runs if r["screen"] == screen and r["exit"] == 0), key=lambda r: r["reports"])
        if len(own) > 1:
            keys = ("main_mb", "largest_worker_mb", "cpu_ms_per_report")
            found[screen] = {k: round(own[-1][k] / own[0][k], 3) for k in keys}
    return found


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--screens", nargs="+", default=["rules", "case"], choices=SCREENS)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds")}
    result |= {"ruleset_hash": load_rules().hash, "runs": [], "growth": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{result['measured'][:10]}_memory_{result['ruleset_hash'][:8]}.json"
    with tempfile.TemporaryDirectory() as folder:
        for reports in arguments.reports:
            archive = Path(folder) / f"{reports}.parquet"
            write_archive(make_archive(reports, 0.03), archive)
            for screen in arguments.screens:
                run = measure(archive, reports, screen, Path(folder) / f"{screen}{reports}")
                print(json.dumps(run), flush=True)
                result["runs"].append(run)
                result["growth"] = growth(result["runs"])
                path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["growth"], indent=1))


if __name__ == "__main__":
    main()
