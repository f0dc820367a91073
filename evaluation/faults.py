"""A fault campaign: runs that are killed, and runs whose disk fails, must end as if nothing had happened.

    python evaluation/faults.py

One archive is processed without a fault. Then the same again and again, with a fault on the way, until the run is
complete; each time the tables and rejects must be the same bytes, and no report be lost or doubled:

- the process is killed (kill -9) at a random moment, and of runs with two workers either it or one of these;
- the first write, fsync or rename fails, then the second, and so on, until a run passes without meeting the fault;
- the disk is full: a small tmpfs, larger each time by a few pages (where this user may mount one);
- two processes begin on one run folder at once;
- the clock goes back by an hour whenever it is looked at.

At last three harmful reports are put into the archive, of which one takes all memory of its worker, one kills it and
one hangs: they alone must be rejected. Result: evaluation/results/<date>_faults_<rules>.json
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
from archive import Made, make_archive, write_archive  # type: ignore[attr-defined]

from calcitrace import Report, RunOptions, corpus, load_rules, runfolder, workers
from calcitrace.errors import CalcitraceError
from calcitrace.workers import Setup, _start

HERE = Path(__file__).parent
PART = 40
PAGE = 4096  # bytes by which a tmpfs grows
ROOM = 400_000_000  # bytes that a worker may take beyond what it has when it starts
EXPECTED: dict[str, str] = {}
REFUSED, FAULTY = 3, 1  # exit codes of a child
HARM = ("takes all memory", "kills its worker", "hangs")
TIMEOUT = 5.0  # seconds for a report
Job = Callable[[], object]


def process(archive: Path, run: Path, crew: int = 1) -> None:
    """The run that is put to the test."""
    corpus.process(archive, run, RunOptions(), workers=crew)


def tables(run: Path) -> dict[str, str]:
    """The digest of every table and of the rejects of a run."""
    files = [*sorted(run.glob("reports/*")), *sorted(run.glob("mentions/*")), run / "rejects.jsonl"]
    return {p.relative_to(run).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows(run: Path, table: str) -> list[dict[str, Any]]:
    """The rows of a table of a run, in order."""
    return [row for part in sorted(run.glob(f"{table}/*.parquet")) for row in pq.read_table(part).to_pylist()]


def same(run: Path, after: str) -> None:
    """Fail unless a run has the tables of an undisturbed one."""
    if tables(run) != EXPECTED:
        raise AssertionError(f"the run differs after {after}")


def in_child(job: Job) -> int:
    """Run a job in a forked process, which has everything loaded; its process id."""
    child = os.fork()
    if not child:
        try:
            job()
        except CalcitraceError:
            os._exit(REFUSED)
        except BaseException:  # a forked child must not go on with its parent's work
            traceback.print_exc()
            os._exit(FAULTY)
        os._exit(0)
    return child


def workers_of(process_id: int) -> list[int]:
    """The workers that a process has now."""
    with contextlib.suppress(FileNotFoundError):
        children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text(encoding="ascii").split()
        return [int(c) for c in children if b"spawn_main" in _command(c)]
    return []


def _command(process_id: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    return b""


def killed(archive: Path, run: Path, kills: int, draw: random.Random, takes: float, crew: int = 1) -> Counter[str]:
    """Kill a run or, with several workers, one of these at random moments, starting anew where it got through."""
    met = Counter[str]()
    while met["main"] + met["worker"] < kills:
        child = in_child(lambda: process(archive, run, crew))
        time.sleep(draw.uniform(0, takes))
        there = workers_of(child)
        victim = draw.choice([child, *there])
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            met["main"] += 1
            _until_ended(there)
            continue
        met["worker"] += victim != child
        at_start = victim != child and os.WEXITSTATUS(status) == REFUSED  # of a worker; the run is told to go on
        met["workers killed at their start"] += at_start
        if not at_start and os.WEXITSTATUS(status):
            told = "a worker was killed" if victim != child else "it had ended by itself"
            raise AssertionError(f"a run could not go on: exit {os.WEXITSTATUS(status)}, {told}, after {dict(met)}")
        if not os.WEXITSTATUS(status):
            met["completed between kills"] += 1
            same(run, "kills on its way")
            shutil.rmtree(run)
    process(archive, run, crew)
    same(run, "kills")
    return met


def _until_ended(processes: Sequence[int], most: float = 30.0) -> None:
    """Wait until the workers of a killed run have ended; they must do so by themselves."""
    deadline = time.monotonic() + most
    while any(b"spawn_main" in _command(str(p)) for p in processes):
        assert time.monotonic() < deadline, "the workers of a killed run live on"
        time.sleep(0.02)


class _Torn:
    """A file whose `at`-th write, counted over all such files, writes half of its bytes and then meets a full disk."""

    def __init__(self, handle: Any, calls: list[int], at: int) -> None:
        self._handle, self._calls, self._at = handle, calls, at

    def write(self, data: bytes) -> int:
        self._calls[0] += 1
        if self._calls[0] == self._at:
            self._handle.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._handle.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()


@contextlib.contextmanager
def failing(name: str, at: int) -> Iterator[list[int]]:
    """Let the `at`-th fsync, rename or write of a run fail as on a full disk; counts the calls."""
    calls = [0]
    real: Any = Path.open if name == "write" else getattr(os, name)

    def call(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*args, **named)

    def opened(path: Path, mode: str = "r", *args: Any, **named: Any) -> Any:
        handle = real(path, mode, *args, **named)
        return _Torn(handle, calls, at) if mode == "wb" else handle

    with mock.patch.object(Path, "open", opened) if name == "write" else mock.patch.object(os, name, call):
        yield calls


def disk_fails(archive: Path, folder: Path) -> dict[str, int]:
    """A fault at each write, fsync and rename in turn; how many there were."""
    met = {}
    for name in ("write", "fsync", "replace"):
        at = 0
        while True:
            at += 1
            run = folder / f"{name}{at}"
            with failing(name, at) as calls:
                ended = _cannot_be_written(lambda run=run: process(archive, run))
            if calls[0] < at:
                break
            assert ended, f"a run passed over a failed {name}, number {at}"
            process(archive, run)
            same(run, f"a failed {name}, number {at}")
            shutil.rmtree(run)
        met[name] = at - 1
    return met


def _cannot_be_written(job: Job) -> bool:
    """Whether a job ends with the error that tells of a disk."""
    try:
        job()
    except CalcitraceError as error:
        if "cannot be written" not in str(error) and "cannot be made" not in str(error):
            raise
        return True
    return False


def disk_is_full(archive: Path, folder: Path, step: int) -> int | str:
    """A full tmpfs, larger by `step` pages each time, then with room enough; how many were too small."""
    place, size, full = folder / "tmpfs", step, 0
    place.mkdir()
    while True:
        mounted = _mount("-t", "tmpfs", "-o", f"size={size * PAGE}", "tmpfs", place)
        if not mounted:
            return "not tried: this user may not mount a tmpfs"
        try:
            ended = _cannot_be_written(lambda: process(archive, place / "run"))
            full += ended
            _mount("-o", "remount,size=1g", place)
            process(archive, place / "run")
            same(place / "run", f"a disk of {size} pages")
        finally:
            subprocess.run(["umount", place], check=True)  # noqa: S603, S607
        if not ended:
            return full
        size += step


def _mount(*words: str | Path) -> bool:
    try:
        return not subprocess.run(["mount", *words], capture_output=True, check=False).returncode  # noqa: S603, S607
    except OSError:
        return False


def two_at_once(archive: Path, folder: Path, rounds: int, draw: random.Random) -> int:
    """Two processes on one run folder, the second a little later; how often the second was refused."""
    refused = 0
    for number in range(rounds):
        run = folder / f"both{number}"
        first = in_child(lambda run=run: process(archive, run))
        time.sleep(draw.choice((0.0, draw.uniform(0, 0.5))))
        second = in_child(lambda run=run: process(archive, run))
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in (first, second)]
        assert set(codes) <= {0, REFUSED}, f"exit codes {codes}"
        assert 0 in codes, "neither of two processes has made the run"
        refused += REFUSED in codes
        same(run, "two processes on one folder")
        shutil.rmtree(run)
    return refused


def clock_goes_back(archive: Path, run: Path, draw: random.Random, takes: float) -> int:
    """A run under a clock that goes back, killed once; how often it was looked at after that."""
    looked = [0]

    def now() -> str:
        looked[0] += 1
        return (datetime.now(UTC) - timedelta(hours=looked[0])).isoformat(timespec="seconds")

    def back() -> float:
        looked[0] += 1
        return -3600.0 * looked[0]

    with (
        mock.patch.object(runfolder, "now", now),
        mock.patch.object(corpus, "now", now),
        mock.patch.object(time, "time", back),
    ):
        child = in_child(lambda: process(archive, run))
        time.sleep(draw.uniform(0, takes))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        process(archive, run)
    same(run, "a clock that was set back")
    return looked[0]


def harmful(setup: Setup) -> Callable[[Report], dict[str, Any]]:
    """What a worker does in the trial of harmful reports: these harm it, and it may take no more than `ROOM`."""
    task = _start(setup)
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))

    def harmed(report: Report) -> dict[str, Any]:
        if report.text == HARM[0]:
            len(report.text * ROOM)
        if report.text == HARM[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        if report.text == HARM[2]:
            time.sleep(100 * TIMEOUT)
        return task(report)

    return harmed


def harmed(made: Sequence[Made], folder: Path, draw: random.Random) -> dict[str, str]:
    """Reports that harm their worker are rejected, and all others are as they were; the reason by harm."""
    given = list(made)
    for harm in HARM:
        given.insert(draw.randrange(len(given)), replace(made[0], report_id=harm.replace(" ", "-"), text=harm))
    write_archive(iter(given), folder / "harmful.parquet")
    with mock.patch.object(workers, "_start", harmful):
        corpus.process(folder / "harmful.parquet", folder / "harmed", workers=2, report_timeout=TIMEOUT)
    rejects = [json.loads(line) for line in (folder / "harmed" / "rejects.jsonl").open(encoding="utf-8")]
    assert sorted(r["report_id"] for r in rejects) == sorted(h.replace(" ", "-") for h in HARM)
    for table in ("reports", "mentions"):
        assert rows(folder / "harmed", table) == rows(folder / "whole", table), "a harmful report has changed others"
    return {r["report_id"]: r["reason"] for r in rejects}


def seconds(job: Job) -> float:
    """How long a job takes."""
    began = time.monotonic()
    job()
    return time.monotonic() - began


def campaign(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All trials; what each met."""
    archive, draw = folder / "archive.parquet", random.Random(arguments.seed)  # noqa: S311 - no secret
    made = list(make_archive(arguments.reports, 0.3, arguments.seed))
    write_archive(iter(made), archive)
    process(archive, folder / "whole")
    EXPECTED.update(tables(folder / "whole"))
    takes = seconds(lambda: process(archive, folder / "again"))
    with_two = seconds(lambda: process(archive, folder / "two", 2))
    same(folder / "two", "two workers")
    both = {"kills": arguments.kills - arguments.of_two, "kills with two workers": arguments.of_two}
    found: dict[str, Any] = {}
    for (name, kills), (crew, long) in zip(both.items(), ((1, takes), (2, with_two)), strict=True):
        found[name] = dict(killed(archive, folder / "killed", kills, draw, long, crew))
        shutil.rmtree(folder / "killed")
    found["faults at each"] = disk_fails(archive, folder)
    found["disks that were full"] = disk_is_full(archive, folder, arguments.step)
    found["two processes, one refused"] = two_at_once(archive, folder, arguments.pairs, draw)
    found["looks at a clock that goes back"] = clock_goes_back(archive, folder / "clock", draw, takes)
    found["harmful reports"] = harmed(made, folder, draw)
    return found


def main() -> None:
    """Run the campaign, print and keep what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--of-two", type=int, default=100, help="kills of runs with two workers, among all kills")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of processes on one folder")
    parser.add_argument("--step", type=int, default=8, help="pages by which the small disk grows")
    parser.add_argument("--reports", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    corpus.PART_ROWS = PART
    rules = load_rules()
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(arguments, Path(folder))
    result = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": rules.hash,
        "reports": arguments.reports,
        "parts": -(-arguments.reports // PART),
        **found,
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
