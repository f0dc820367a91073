"""Peak memory of a run's main process and of its workers, and time a report, as the archive grows.

    python evaluation/benchmarks/memory.py --reports 10000 1000000

Each size is a run of its own with two workers and --screen case over an archive of evaluation/archive.py, 3 % in scope.
Peaks are the kernel's own (VmHWM in /proc), so this runs on Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE))

from archive import make_archive, write_archive  # type: ignore[attr-defined]  # noqa: E402

from calcitrace import load_rules  # noqa: E402

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


def measure(reports: int, folder: Path) -> dict[str, Any]:
    """One run: peaks in megabytes, and CPU milliseconds a report of all processes."""
    archive = folder / f"{reports}.parquet"
    write_archive(make_archive(reports, 0.03), archive)
    words = [
        sys.executable,
        "-m",
        "calcitrace",
        "process",
        archive,
        "--out",
        folder / f"run{reports}",
        "--screen",
        "case",
    ]
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
        "exit": run.returncode,
        "main_mb": round(main, 1),
        "largest_worker_mb": round(workers, 1),
        "wall_ms_per_report": round(1000 * (time.monotonic() - began) / reports, 3),
        "main_cpu_ms_per_report": round(1000 * cpu / reports, 3),
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds")}
    result["ruleset_hash"] = load_rules().hash
    with tempfile.TemporaryDirectory() as folder:
        result["runs"] = [measure(n, Path(folder)) for n in arguments.reports]
    print(json.dumps(result, indent=1))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{result['measured'][:10]}_memory_{result['ruleset_hash'][:8]}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
