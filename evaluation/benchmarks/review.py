"""How long a reader waits: to save a decision, and for the next report, with 20,000 candidates in the store.

    python evaluation/benchmarks/review.py

A real server on this machine and a client that asks as the page does. Times are of whole requests, in milliseconds; a
disk that is slow to synchronise shows in the time to save. Prints one line a figure and writes nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE)]

from archive import make_archive, write_archive  # type: ignore[import-not-found]  # noqa: E402

from calcitrace import RunOptions, process  # noqa: E402
from calcitrace.adjudication import Store  # noqa: E402
from calcitrace.review import Desk, QueueOptions, ReviewServer, Shelf  # noqa: E402


def ask(server: ReviewServer, wire: http.client.HTTPConnection, path: str, said: Any = None) -> tuple[Any, float]:
    """The answer and the milliseconds it took."""
    headers = {"X-Calcitrace": server.secret, "Origin": f"http://127.0.0.1:{server.port}"}
    body = None if said is None else json.dumps(said).encode()
    headers |= {} if body is None else {"Content-Type": "application/json"}
    began = time.perf_counter()
    wire.request("GET" if body is None else "POST", path, body, headers)
    answer = json.loads(wire.getresponse().read())
    return answer, 1000 * (time.perf_counter() - began)


def told(name: str, times: list[float]) -> str:
    """Median, 95th percentile and the longest."""
    times = sorted(times)
    late = times[int(0.95 * len(times))]
    return f"{name}: median {statistics.median(times):.1f} ms, 95 % {late:.1f}, most {times[-1]:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=20_000)
    parser.add_argument("--decisions", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder) / "archive.parquet", Path(folder) / "run"
        write_archive(make_archive(given.candidates, 0.3, 0), source)
        process(source, run, RunOptions())
        with Store(Path(folder) / "store.sqlite", create=True) as store:
            began = time.perf_counter()
            shelf = Shelf(run, store, QueueOptions(candidates=given.candidates, audit=0))
            server = ReviewServer(Desk(shelf, store, "A"), token=False)
            print(f"{len(shelf.items):,} candidates, ready after {time.perf_counter() - began:.1f} s")
            threading.Thread(target=server.serve_forever, daemon=True).start()
            wire = http.client.HTTPConnection("127.0.0.1", server.port)
            saved, shown = [], []
            for number in range(given.decisions):
                answer, took = ask(server, wire, "/api/next")
                shown.append(took)
                said = {"key": f"key {number:06d}", "report_id": answer["report"]["report_id"], "decision": "no"}
                saved.append(ask(server, wire, "/api/decide", {**said, "seconds": 1.0})[1])
            server.shutdown()
    print(told("save a decision", saved))
    print(told("next report", shown))


if __name__ == "__main__":
    main()
