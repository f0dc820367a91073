"""What the tests of the chart review share: a small run with known texts, a server in a process, a browser."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from calcitrace import process
from calcitrace.adjudication import Store
from calcitrace.review import Desk, ReviewServer, Shelf

CASE = (
    "MRI {side} SHOULDER\n\nINDICATION: pain.\n\nFINDINGS: {size} mm calcific deposit of the supraspinatus tendon with "
    "extension into the greater tuberosity and marrow edema. No mass.\n\nIMPRESSION: Intraosseous migration of calcium."
)
MAYBE = (
    "RADIOGRAPHS {side} SHOULDER\n\nFINDINGS: {size} mm calcific deposit of the supraspinatus. Cortical erosion of the "
    "greater tuberosity cannot be excluded.\n\nIMPRESSION: Calcific tendinitis."
)
NO = "RADIOGRAPHS {side} SHOULDER\n\nFINDINGS: No calcification. No fracture. {size} mm acromial spur."
NOTHING = "CHEST\n\nThe lungs are clear. Film {size}."


def rows(count: int) -> list[dict[str, str]]:
    """So many reports, two of each patient; of eight reports two are cases, two possible, two no, two say nothing."""
    texts = (CASE, MAYBE, NO, NOTHING)
    return [
        {
            "report_id": f"R{k:03d}",
            "patient_id": f"P{k // 2:03d}",
            "study_date": f"2020-{1 + k % 2:02d}-15",
            "modality": "MR" if k // 2 % 4 == 0 else "XR",
            "text": texts[k // 2 % 4].format(side="LEFT" if k % 3 else "RIGHT", size=3 + k),
        }
        for k in range(count)
    ]


def make_run(folder: Path, reports: list[dict[str, str]]) -> Path:
    """A run folder of these reports, beside its input."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "reports.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in reports), encoding="utf-8")
    process(source, folder / "run")
    return folder / "run"


@dataclass
class Server:
    """A review server in a process of its own."""

    process: subprocess.Popen[str]
    link: str
    port: int

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def server(run: Path, store: Path, reviewer: str, *options: object) -> Iterator[Server]:
    """`calcitrace review` as a person starts it; killed at the end."""
    words = ["review", run, "--store", store, "--reviewer", reviewer, *options]
    started = subprocess.Popen(
        [sys.executable, "-m", "calcitrace", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        link = started.stdout.readline().strip()
        if not link:
            assert started.stderr is not None
            raise AssertionError(started.stderr.read())
        yield Server(started, link, int(link.split(":")[2].split("/")[0]))
    finally:
        started.kill()
        started.wait()
        for pipe in (started.stdout, started.stderr):
            if pipe:
                pipe.close()


@contextmanager
def serving(shelf: Shelf, store: Store, reviewer: str, **options: Any) -> Iterator[ReviewServer]:
    """A server in a thread of this process."""
    started = ReviewServer(Desk(shelf, store, reviewer, **options))
    thread = threading.Thread(target=started.serve_forever)
    thread.start()
    try:
        yield started
    finally:
        started.shutdown()
        thread.join()
        started.server_close()


@dataclass
class Client:
    """A client that sends exactly what it is told, and keeps a session as a browser does."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def enter(self, link: str) -> None:
        """Open the session and take the page's secret."""
        status, headers, _ = self.send("GET", link.split(str(self.port), 1)[1])
        assert status == 303, status
        self.headers["Cookie"] = headers["Set-Cookie"].split(";")[0]
        status, _, page = self.send("GET", "/")
        assert status == 200
        self.headers["X-Calcitrace"] = page.split('name="calcitrace" content="')[1].split('"')[0]

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of the answer."""
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            wire.request(method, path, body, {**self.headers, **(headers or {})})
            answer = wire.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            wire.close()

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON."""
        status, _, text = self.send("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        return status, json.loads(text)

    def post(self, path: str, said: Any, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a request from the page itself, unless `headers` say otherwise."""
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/json"}
        own |= {k.replace("_", "-"): v for k, v in headers.items()}
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        status, _, text = self.send("POST", path, body, own)
        return status, json.loads(text)


def chromium() -> str:
    """The path of a Chromium, or a skip that says loudly what was not tested."""
    path = os.environ.get("CALCITRACE_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip("NO BROWSER: the review page was NOT tested; install chromium (Debian: apt-get install chromium)")
    pytest.importorskip("playwright", reason="NO PLAYWRIGHT: the review page was NOT tested; pip install playwright")
    return path
