"""A fault campaign: runs that are killed, and runs whose disk fails, must end as if nothing had happened.

    python evaluation/faults.py --kills 1000

One archive is processed without a fault. Then again and again: a process is killed (kill -9) at a random moment and the
same run goes on, until so many kills have struck; and with a fault at the first write, fsync or rename, then the
second, and so on, until a run passes without meeting one (a full disk, as the system reports it). Each time the tables
and rejects must be the same bytes, and no report be lost or doubled. Result: evaluation/results/<date>_faults_<rules>.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from archive import make_archive, write_archive  # type: ignore[attr-defined]

from calcitrace import RunOptions, corpus, load_rules
from calcitrace.errors import CalcitraceError

HERE = Path(__file__).parent
PART = 40
EXPECTED: dict[str, str] = {}


def process(archive: Path, run: Path) -> None:
    """The run that is put to the test."""
    corpus.process(archive, run, RunOptions())


def tables(run: Path) -> dict[str, str]:
    """The digest of every table and of the rejects of a run."""
    files = [*sorted(run.glob("reports/*")), *sorted(run.glob("mentions/*")), run / "rejects.jsonl"]
    return {p.relative_to(run).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def in_child(job: Callable[[], object]) -> int:
    """Run a job in a forked process, which has everything loaded; its process id."""
    child = os.fork()
    if not child:
        try:
            job()
        except BaseException:  # a forked child must not go on with its parent's work
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def killed(archive: Path, run: Path, kills: int, draw: random.Random, takes: float) -> tuple[int, int]:
    """Kill a run at random moments, again and again, starting anew where it got through; (kills, runs completed)."""
    struck = through = 0
    while struck < kills:
        child = in_child(lambda: process(archive, run))
        time.sleep(draw.uniform(0, takes))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            struck += 1
        else:
            assert os.WEXITSTATUS(status) == 0, "a run could not go on where a kill had left it"
            through += 1
            assert tables(run) == EXPECTED, "a run that was killed on its way differs"
            shutil.rmtree(run)
    process(archive, run)
    assert tables(run) == EXPECTED, "the run that went on after the kills differs"
    return struck, through


@contextlib.contextmanager
def failing(name: str, at: int) -> Iterator[list[int]]:
    """Let the `at`-th call of os.<name> fail as on a full disk; counts the calls."""
    real, calls = getattr(os, name), [0]

    def call(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **named)

    with mock.patch.object(os, name, call):
        yield calls


def disk_fails(archive: Path, folder: Path) -> dict[str, int]:
    """A fault at each fsync and each rename in turn; how many there were."""
    met = {}
    for name in ("fsync", "replace"):
        at = 0
        while True:
            at += 1
            run = folder / f"{name}{at}"
            with failing(name, at) as calls:
                try:
                    process(archive, run)
                except CalcitraceError as error:
                    if "cannot be written" not in str(error):
                        raise
            if calls[0] < at:
                break
            process(archive, run)
            assert tables(run) == EXPECTED, f"differs after a failed {name}, number {at}"
        met[name] = at - 1
    return met


def main() -> None:
    """Run the campaign, print and keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--reports", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    corpus.PART_ROWS = PART
    rules = load_rules()
    with tempfile.TemporaryDirectory() as folder:
        archive, whole = Path(folder) / "archive.parquet", Path(folder) / "whole"
        write_archive(make_archive(arguments.reports, 0.3, arguments.seed), archive)
        process(archive, whole)
        EXPECTED.update(tables(whole))
        began = time.monotonic()
        process(archive, Path(folder) / "again")
        takes = time.monotonic() - began
        draw = random.Random(arguments.seed)  # noqa: S311 - no secret
        struck, through = killed(archive, Path(folder) / "killed", arguments.kills, draw, takes)
        met = disk_fails(archive, Path(folder))
    result = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": rules.hash,
        "reports": arguments.reports,
        "parts": -(-arguments.reports // PART),
        "kills": struck,
        "runs completed between kills": through,
        "faults at each": met,
        "lost": 0,
        "doubled": 0,
        "different bytes": 0,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{result['measured'][:10]}_faults_{rules.hash[:8]}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
