"""The review server against who should not reach it, and against what reports and requests can hold."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path

import pytest
from review_run import Client, Server, make_run, rows, server, serving

from calcitrace.adjudication import Store
from calcitrace.review import QueueOptions, Shelf, make_queue

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
PROGRESS = "0 of 16 reports decided; stop with Ctrl-C, go on with the same command"
ODD_IDS = ["a/b/../../etc", "quote'\"<b>", "q?x=1&y=2#z", "back\\slash %2e%2e", "semi; DROP TABLE decision"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with ids and texts that mean harm."""
    reports = rows(16)
    for report, odd in zip(reports, ODD_IDS, strict=False):
        report["report_id"] = odd
    reports[0]["text"] = f"{EVIL} {reports[0]['text']} {EVIL}"
    return make_run(tmp_path_factory.mktemp("attacks"), reports)


@pytest.fixture(scope="module")
def started(run: Path) -> Iterator[Server]:
    """One server for all that does not save."""
    with server(run, run.parent / "attacks.sqlite", "A") as found:
        yield found


@pytest.fixture(scope="module")
def session(started: Server) -> Client:
    """Its one session."""
    client = Client(started.port)
    client.enter(started.link)
    return client


def decision(client: Client, **more: object) -> dict[str, object]:
    """What the page would send for the next report."""
    report = client.get("/api/next")[1]["report"]["report_id"]
    return {"key": f"key of {report}", "report_id": report, "decision": "no", **more}


def test_it_listens_on_the_loopback_address_alone(started: Server) -> None:
    """No other address of this machine answers on the port."""
    held = Path("/proc/net/tcp")
    if not held.exists():
        pytest.skip("no /proc/net/tcp here: which addresses are listened on was NOT tested")
    lines = [line.split() for line in held.read_text().splitlines()[1:]]
    assert {a[1].split(":")[0] for a in lines if int(a[1].split(":")[1], 16) == started.port and a[3] == "0A"} == {
        "0100007F"
    }


@pytest.mark.parametrize("path", ["/", "/review.js", "/api/next", "/api/start", "/api/report?id=R010", "/nothing"])
def test_without_a_session_nothing_is_told(started: Server, session: Client, path: str) -> None:
    """Neither with no cookie nor with a wrong one; the answer holds no report."""
    for cookie in ("", f"calcitrace_{started.port}=wrong", f"calcitrace_{started.port}=", "\u00e9=\u00e9;;;"):
        secret = {"X-Calcitrace": session.headers["X-Calcitrace"]}
        client = Client(started.port, secret | ({"Cookie": cookie} if cookie else {}))
        status, _, text = client.send("GET", path)
        assert status == 403
        assert set(json.loads(text)) == {"error"}


def test_the_link_works_once(started: Server, session: Client) -> None:
    """A second use without the cookie is refused, as is a wrong token; with the cookie it leads to the page."""
    path = started.link.split(str(started.port))[1]
    assert Client(started.port).send("GET", path)[0] == 403
    assert Client(started.port).send("GET", "/?token=wrong")[0] == 403
    assert session.send("GET", path)[0] == 303


def test_the_cookie_is_for_no_script_and_no_other_site(started: Server, session: Client) -> None:
    """HttpOnly and SameSite=Strict; the token leaves the address at once."""
    _, headers, _ = session.send("GET", started.link.split(str(started.port))[1])
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(headers["Set-Cookie"].split("; "))
    assert headers["Location"] == "/"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""])
def test_a_foreign_host_is_refused(session: Client, host: str) -> None:
    """DNS that leads a stranger's name here does not help him."""
    for path in ("/", "/api/next"):
        status, _, text = session.send("GET", path, headers={"Host": host.format(port=session.port)})
        assert (status, set(json.loads(text))) == (421, {"error"})


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}", ""]
)
def test_a_foreign_origin_saves_nothing(session: Client, started: Server, origin: str) -> None:
    """Another page can send neither a decision nor read a report, even with cookie and secret."""
    said = decision(session)
    assert session.post("/api/decide", said, Origin=origin.format(port=session.port))[0] == 403
    if origin:
        assert session.get("/api/next", Origin=origin.format(port=session.port))[0] == 403
    assert session.get("/api/next", Sec_Fetch_Site="cross-site")[0] == 403
    assert session.get("/api/next")[1]["progress"]["done"] == 0


def test_without_the_pages_secret_nothing_is_told_or_saved(session: Client) -> None:
    """The cookie alone, which a browser sends by itself, is not enough."""
    said = decision(session)
    for secret in ("", "wrong", "\u00e9"):
        assert session.get("/api/next", X_Calcitrace=secret)[0] == 403
        assert session.post("/api/decide", said, X_Calcitrace=secret)[0] == 403


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'"x"', {}, 400),
        (b"[" * 60_000, {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"{}", {}, 400),
        (b"{}", {"Content_Type": "text/plain"}, 415),
        (b"{}", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (b" " * 65_537, {}, 413),
        (b"{}", {"Content_Length": "99999999999999999999"}, 413),
        (b"{}", {"Content_Length": "-1"}, 411),
        (b"{}", {"Content_Length": "2x"}, 411),
        (b"{}", {"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_malformed_and_oversized_bodies(session: Client, body: bytes, more: dict[str, str], status: int) -> None:
    """Each is refused in one sentence, and the server goes on."""
    got, said = session.post("/api/decide", body, **more)
    assert (got, set(said)) == (status, {"error"})
    assert session.get("/api/next")[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "undo"},
        {"decision": None},
        {"decision": ["no"]},
        {"decision": "yes", "tendon": "no such tendon"},
        {"decision": "yes", "migration_type": "deep"},
        {"decision": "yes", "laterality": "up"},
        {"report_id": "R999"},
        {"report_id": "../../etc/passwd"},
        {"report_id": 7},
        {"key": ""},
        {"key": "x" * 101},
        {"key": None},
        {"flag": "yes"},
        {"comment": "x" * 4001},
    ],
)
def test_a_decision_that_makes_no_sense(session: Client, change: dict[str, object]) -> None:
    """It is refused without repeating what was sent, and nothing is saved."""
    status, said = session.post("/api/decide", {**decision(session), **change})
    assert (status, set(said)) == (400, {"error"})
    assert "etc/passwd" not in said["error"]
    assert session.get("/api/next")[1]["progress"]["done"] == 0


@pytest.mark.parametrize("path", ["/../desk.py", "/%2e%2e/desk.py", "//etc/passwd", "/static/page.html", "/api/x"])
def test_no_other_file_is_served(session: Client, path: str) -> None:
    """What is served is a list."""
    assert session.send("GET", path)[0] == 404


@pytest.mark.parametrize("report_id", ["", "no such", "../x", "'; DROP TABLE decision; --"])
def test_a_report_that_is_not_of_the_queue(session: Client, report_id: str) -> None:
    """It is refused."""
    from urllib.parse import quote

    assert session.get(f"/api/report?id={quote(report_id)}")[0] == 400


@pytest.mark.parametrize("number", [None, "1", 0, -1, 2**70, 1.5, True, 99])
def test_an_undo_that_makes_no_sense(session: Client, number: object) -> None:
    """It is refused."""
    assert session.post("/api/undo", {"key": "a key of its own", "id": number})[0] in (400, 409)


def test_reasons_stay_hidden_before_the_decision(session: Client) -> None:
    """Neither the page's data nor a request of one's own tells them; the probability and the stratum are in neither."""
    report = session.get("/api/next")[1]["report"]
    assert not {"reasons", "probability", "stratum", "case_status", "contributions"} & set(report)
    from urllib.parse import quote

    assert session.get(f"/api/reasons?id={quote(report['report_id'])}")[0] == 400


def test_every_answer_forbids_what_is_not_its_own(session: Client) -> None:
    """A strict policy, no cache, no frame, no guessing of types; refusals too."""
    for path in ("/", "/review.js", "/api/next", "/nothing"):
        _, headers, _ = session.send("GET", path)
        policy = dict(p.strip().split(" ", 1) for p in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[k] for k in ("script-src", "style-src", "connect-src", "img-src")} == {"'self'"}
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert not [name for name in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"PUT /api/decide HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_proper_request(session: Client, raw: bytes) -> None:
    """It gets an error at most, without an echo, and the server goes on."""
    with socket.create_connection(("127.0.0.1", session.port), timeout=5) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := wire.recv(65_536):
            answer += piece
    assert not answer.startswith(b"HTTP/1.1 2")
    assert b"aaaa" not in answer
    assert session.get("/api/next")[0] == 200


def test_a_client_that_sends_nothing_blocks_nobody(session: Client) -> None:
    """Others are answered while a connection stays open."""
    with socket.create_connection(("127.0.0.1", session.port)):
        begun = time.monotonic()
        assert session.get("/api/next")[0] == 200
        assert time.monotonic() - begun < 5


@pytest.fixture(scope="module")
def loaded(run: Path) -> Shelf:
    """The reports of the queue, for servers in this process."""
    with Store(run.parent / "loaded", create=True) as store:
        return Shelf(run, store)


def test_odd_ids_and_texts_go_through_unchanged(run: Path, loaded: Shelf, tmp_path: Path) -> None:
    """Ids with quotes and separators are saved as they are, and name no file; markup arrives as text."""
    with Store(tmp_path / "s.sqlite", create=True) as store:
        make_queue(run, store)
        with serving(loaded, store, "A") as own:
            client = Client(own.port)
            client.enter(own.link)
            texts = {}
            while report := client.get("/api/next")[1]["report"]:
                texts[report["report_id"]] = "".join(p["t"] for p in report["pieces"])
                assert client.post("/api/decide", decision(client))[0] == 200
        assert sorted(d.report_id for d in store.current()) == sorted(texts)
    assert set(ODD_IDS) <= set(texts)
    assert texts[ODD_IDS[0]].startswith(EVIL)
    assert {p.name for p in tmp_path.iterdir()} == {"s.sqlite"}


def _told(own: Server) -> list[str]:
    """What the program has printed beside the link, once it was killed."""
    own.kill()
    assert own.process.stdout is not None
    assert own.process.stderr is not None
    assert own.process.stdout.read() == ""
    return own.process.stderr.read().splitlines()


def test_two_tabs_save_a_report_once(run: Path, tmp_path: Path) -> None:
    """The second is told that it was decided; a request that is sent again is no second decision.

    And nothing of all this is told on the terminal: no request, id or text.
    """
    with server(run, tmp_path / "s", "A") as own:
        client = Client(own.port)
        client.enter(own.link)
        said = decision(client)
        first = client.post("/api/decide", said)
        assert client.post("/api/decide", said) == first
        assert client.post("/api/decide", {**said, "key": "another key", "decision": "yes"})[0] == 409
        with ThreadPoolExecutor(8) as pool:
            other = decision(client)
            answers = list(
                pool.map(lambda k: client.post("/api/decide", {**other, "key": f"key {k:05d}"})[0], range(8))
            )
        assert sorted(answers) == [200] + [409] * 7
        client.get("/api/report?id=nothing")
        assert _told(own) == ["reading the reports of the queue", PROGRESS]
    with Store(tmp_path / "s") as store:
        assert [d.decision for d in store.history()] == ["no", "no"]


def test_two_servers_share_a_store(run: Path, loaded: Shelf, tmp_path: Path) -> None:
    """With a share of 0 to read twice no report is given to two readers at the same time, and all are read."""
    options = QueueOptions(double=0.0, calibration=0)
    with Store(tmp_path / "s", create=True) as one, Store(tmp_path / "s") as two:
        make_queue(run, one, options)
        own = copy(loaded)
        own.items = {i.report_id: i for i in one.items()}
        with serving(own, one, "A") as first, serving(own, two, "B") as second:
            clients = [Client(first.port), Client(second.port)]
            for client, link in zip(clients, (first.link, second.link), strict=True):
                client.enter(link)
            while any(shown := [c.get("/api/next")[1]["report"] for c in clients]):
                ids = [report["report_id"] for report in shown if report]
                assert len(set(ids)) == len(ids)
                for client, report in zip(clients, shown, strict=True):
                    if report:
                        said = {"key": f"key {report['report_id']}", "report_id": report["report_id"], "decision": "no"}
                        assert client.post("/api/decide", said)[0] == 200
        read = [d.report_id for d in one.current()]
        assert sorted(read) == sorted(i.report_id for i in one.items())
        assert {d.reviewer for d in one.current()} == {"A", "B"}
