"""A fault campaign on Spark: the same rows as the local engine, also where workers are killed in mid-partition.

    python evaluation/spark_campaign.py --reports 100000 --kills 20

An archive with repeats, later versions and empty texts is processed by the local engine, then on a small cluster of
executors in processes of their own (`local-cluster`), then again there while Python workers at work, and now and then a
whole executor, are killed (kill -9) at random moments. Reports, mentions and rejects must be the same each time, none
lost or doubled; as sets, since Spark's rows come in another order. What struck is told by Spark's own event log.
Result: evaluation/results/<date>_spark_<rules>. Needs the extra `spark`, Java, and Linux (/proc).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archive import Made, make_archive  # type: ignore[attr-defined]

from calcitrace import RunOptions, load_rules, process
from calcitrace.errors import BrokenOffError
from calcitrace.sparkinput import Reader
from calcitrace.sparkrun import run as on_spark

HERE = Path(__file__).parent
COLUMNS = ("report_id", "patient_id", "study_date", "modality", "body_part", "text")
FILES = 8
BUSY = 0.2  # seconds in which a worker at work uses processor time
EXECUTOR_EVERY = 5  # of so many kills one is of an executor with its workers


def rows_of(archive: Iterator[Made]) -> Iterator[dict[str, str]]:
    """The rows of an archive; some are given again, have a later version or an id like that of one, or no text."""
    for number, made in enumerate(archive):
        row = {name: getattr(made, name) for name in COLUMNS}
        yield row
        if number % 200 == 50:
            yield row
        if number % 250 == 60:
            yield {**row, "text": f"{row['text']}\nADDENDUM: No cortical erosion."}
        if number % 500 == 70:
            yield {**row, "report_id": f"{row['report_id']}~v2", "text": "No calcification."}
            yield {**row, "text": f"{row['text']}\nADDENDUM: Calcification is seen."}
        if number % 1000 == 80:
            yield {**row, "report_id": f"{row['report_id']}-blank", "text": " "}


def write(rows: list[dict[str, str]], folder: Path) -> None:
    """Write rows as a folder of Parquet files, in order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    size = -(-len(rows) // FILES)
    for number in range(FILES):
        part = rows[number * size : (number + 1) * size]
        pq.write_table(pa.Table.from_pylist(part), folder / f"archive-{number}.parquet", compression="zstd")


def found_in(run: Path) -> dict[str, list[str]]:
    """Every row of a run as text, sorted: reports, mentions, and the rejects without their row."""
    import pyarrow.parquet as pq

    found = {
        table: [json.dumps(r) for p in sorted((run / table).iterdir()) for r in pq.read_table(p).to_pylist()]
        for table in ("reports", "mentions")
    }
    lines = (run / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    found["rejects"] = [json.dumps(json.loads(line) | {"row": 0}) for line in lines]
    return {table: sorted(rows) for table, rows in found.items()}


def digest(found: dict[str, list[str]]) -> dict[str, str]:
    """A digest of each table."""
    return {table: hashlib.sha256("\n".join(rows).encode()).hexdigest() for table, rows in found.items()}


def settings(log: Path) -> dict[str, str]:
    """What the cluster is told: the package of this checkout, to log its events, and not to give up soon."""
    log.mkdir(exist_ok=True)
    return {
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.dir": log.resolve().as_uri(),
        "spark.task.maxFailures": "12",
        "spark.stage.maxConsecutiveAttempts": "20",
    }


def struck(log: Path) -> dict[str, int]:
    """Tasks that ended otherwise than well, by Spark's own word, and executors that were lost."""
    found: Counter[str] = Counter()
    for path in log.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["Event"] == "SparkListenerTaskEnd":
                reason = event["Task End Reason"]
                kind = reason["Reason"]
                crashed = "Python worker exited unexpectedly" in json.dumps(reason)
                found["tasks whose Python worker died" if crashed else f"tasks: {kind}"] += kind != "Success"
            found["executors lost"] += event["Event"] == "SparkListenerExecutorRemoved"
    return {name: number for name, number in sorted(found.items()) if number}


class Process:
    """A process below this one, as /proc tells of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        self.parent, self.ticks = int(fields[1]), int(fields[11]) + int(fields[12])


def below_this() -> list[Process]:
    """The processes that descend from this one."""
    every = {}
    for path in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):  # it may end while it is looked at
            every[int(path.name)] = Process(int(path.name))
    known, ours = {os.getpid()}, list[Process]()
    while more := [p for p in every.values() if p.parent in known and p.pid not in known]:
        known |= {p.pid for p in more}
        ours += more
    return ours


def workers_at_work() -> list[int]:
    """The Python workers of our executors that use processor time now, in the middle of a partition."""
    before = {p.pid: p.ticks for p in below_this() if "pyspark.daemon" in p.command or "pyspark/daemon" in p.command}
    time.sleep(BUSY)
    return [p.pid for p in below_this() if p.pid in before and p.ticks > before[p.pid]]


def executors() -> list[int]:
    """The executors of our cluster."""
    return [p.pid for p in below_this() if "CoarseGrainedExecutorBackend" in p.command]


class Killer(threading.Thread):
    """Kills workers at random moments once parts are there, until `kills` have struck or it is told to end.

    Between kills of workers is a pause of so many seconds; after that of an executor, whose share of the sorted rows is
    lost as well, it lets at least one more part be done.
    """

    def __init__(self, run: Path, kills: int, pause: tuple[float, float], seed: int = 0) -> None:
        super().__init__(daemon=True)
        self._run, self._kills, self._pause = run, kills, pause
        self._draw = random.Random(seed)  # noqa: S311 - no secret
        self.struck: Counter[str] = Counter()
        self.over = threading.Event()

    def run(self) -> None:
        """Wait for the first part, then strike again and again."""
        while not (self._parts() or self.over.is_set()):
            time.sleep(0.1)
        while not self.over.is_set() and self.struck.total() < self._kills:
            of_executor = self.struck.total() % EXECUTOR_EVERY == EXECUTOR_EVERY - 1
            done = self._parts()
            self._strike("executor", executors) if of_executor else self._strike("worker at work", workers_at_work)
            self.over.wait(self._draw.uniform(*self._pause))
            while of_executor and self._parts() == done and not self.over.is_set():
                self.over.wait(1)

    def _parts(self) -> int:
        return len(list((self._run / "parts").glob("*.json")))

    def _strike(self, kind: str, these: Callable[[], list[int]]) -> None:
        found = these()
        if found and not self.over.is_set():
            with suppress(ProcessLookupError):
                os.kill(self._draw.choice(found), signal.SIGKILL)
                self.struck[kind] += 1


def going_on(job: Callable[[], Any], gave_up: list[int]) -> Callable[[], None]:
    """The job, given again where Spark gives up, as one is told to; counts how often."""

    def on_and_on() -> None:
        while True:
            try:
                job()
                return
            except BrokenOffError as error:
                print(error, flush=True)
                gave_up[0] += 1

    return on_and_on


def disturbed(job: Callable[[], Any], killer: Killer) -> dict[str, int]:
    """Do a job while workers are killed; how many kills struck, by kind."""
    killer.start()
    try:
        job()
    finally:
        killer.over.set()
        killer.join()
    return dict(killer.struck)


def main() -> None:
    """Run the campaign, print and keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pause", type=float, nargs=2, help="seconds between kills; by default so that all strike")
    parser.add_argument("--screen", default="rules")
    parser.add_argument("--master", default="local-cluster[2,1,1024]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = campaign(arguments, Path(folder))
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{result['measured'][:10]}_spark_{result['ruleset_hash'][:8]}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def campaign(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The three runs and what came of them."""
    import pyspark

    options, took = RunOptions(screen=arguments.screen), dict[str, float]()
    archive = folder / "archive"
    rows = list(rows_of(make_archive(arguments.reports, 0.03, arguments.seed)))
    write(rows, archive)

    def timed(name: str, job: Callable[[], Any]) -> dict[str, list[str]]:
        began = time.monotonic()
        job()
        took[name] = round(time.monotonic() - began)
        print(name, took[name], "s", flush=True)
        return found_in(folder / name)

    def cluster(name: str) -> Callable[[], Any]:
        reader = Reader("", settings(folder / f"log {name}"))
        return lambda: on_spark([str(archive)], folder / name, options, reader, arguments.master)

    expected = timed("local", lambda: process(archive, folder / "local", options, workers=2))
    assert timed("spark", cluster("spark")) == expected, "the run on Spark differs from the local one"
    by_pace = (0.3 * took["spark"] / arguments.kills, took["spark"] / arguments.kills)
    pause = tuple(arguments.pause or by_pace)
    killer = Killer(folder / "spark killed", arguments.kills, pause, arguments.seed)
    kills: dict[str, int] = {}
    gave_up = [0]
    job = going_on(cluster("spark killed"), gave_up)
    killed = timed("spark killed", lambda: kills.update(disturbed(job, killer)))
    struck_in = {name: struck(folder / f"log {name}") for name in ("spark", "spark killed")}
    assert killed == expected, "the run on Spark whose workers were killed differs from the local one"
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": load_rules().hash,
        "pyspark": pyspark.__version__,
        "master": arguments.master,
        "screen": arguments.screen,
        "rows": len(rows),
        **{table: len(found) for table, found in expected.items()},
        "later versions": sum(bool(json.loads(r)["version_of"]) for r in expected["reports"]),
        "parts": len(list((folder / "spark killed" / "parts").iterdir())),
        "kills": kills,
        "times Spark gave up and the same command went on": gave_up[0],
        "told by Spark": struck_in,
        "seconds": took,
        "lost": 0,
        "doubled": 0,
        "different": 0,
        "sha256 of sorted rows": digest(expected),
    }


if __name__ == "__main__":
    main()
