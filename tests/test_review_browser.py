"""The review page in a real browser (headless Chromium): by keyboard alone, through a kill -9, with no fault found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_run import chromium, make_run, rows, server, serving

from calcitrace.adjudication import Store, disagreements, finals
from calcitrace.review import QueueOptions, Shelf, make_queue

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
QUEUE = QueueOptions(candidates=20, audit=0, batch=4)
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 56 reports, two of each patient; one holds markup."""
    chromium()
    reports = rows(56)
    reports[0]["text"] = f"{EVIL} {reports[0]['text']}"
    return make_run(tmp_path_factory.mktemp("browser"), reports)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def loaded(run: Path) -> Shelf:
    """The reports of a queue of twenty."""
    with Store(run.parent / "first", create=True) as store:
        return Shelf(run, store, QUEUE)


@pytest.fixture
def shelf(run: Path, loaded: Shelf, tmp_path: Path) -> Iterator[tuple[Shelf, Store]]:
    """The same queue and a new store, for servers in this process."""
    with Store(tmp_path / "store", create=True) as store:
        make_queue(run, store, QUEUE)
        yield loaded, store


def wait(page: Any, title: str, gone: bool = False) -> None:
    """Wait until the page has this title, or has it no longer."""
    from playwright.sync_api import expect

    found = expect(page.locator("#title"))
    (found.not_to_have_text if gone else found.to_have_text)(title)


class Reader:
    """A person at the page who has a keyboard only; faults and requests of the page are kept."""

    def __init__(self, browser: Any, link: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda told: self.faults.append(told.text) if told.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(link)
        wait(self.page, "Loading", gone=True)

    def shown(self) -> str:
        """The id of the report on the page, or "All done"."""
        return str(self.page.text_content("#title")).removeprefix("Report ")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def decide(self, *keys: str) -> str:
        """Press keys and wait for the next report; the id of the one decided."""
        before = self.shown()
        self.press(*keys)
        wait(self.page, f"Report {before}", gone=True)
        return before


def judge(reader: Reader) -> tuple[str, str]:
    """Decide on the report on the page as its words say, by keyboard; its id and the decision."""
    text = str(reader.page.text_content("#text"))
    if "extension into" in text:
        return reader.decide("y", "2", "l", "t", "s", "Enter", "Enter"), "yes"
    if "cannot be excluded" in text:
        return reader.decide("s"), "unsure"
    return reader.decide("n"), "no"


def test_fifty_reports_by_keyboard_through_a_kill(run: Path, tmp_path: Path, browser: Any) -> None:
    """A reader decides on 50 reports; the server is killed in the middle; nothing is lost, doubled or asked again."""
    said: dict[str, str] = {}
    for count in (23, 27):
        with server(run, tmp_path / "s", "A", "--calibration", 4) as started:
            reader = Reader(browser, started.link)
            for _ in range(count):
                report, decision = judge(reader)
                assert report not in said
                said[report] = decision
            assert str(reader.page.text_content("#pace")).startswith(f"{len(said)} of 56")
            started.kill()
            left = reader.shown()
            reader.press("n")
            reader.page.wait_for_selector("#message:not([hidden])")
            assert "does not answer" in str(reader.page.text_content("#message"))
            assert reader.shown() == left
            reader.context.close()
    with Store(tmp_path / "s") as store:
        history = store.history()
    assert {d.report_id: d.decision for d in history} == said
    assert len(history) == len(said) == 50
    cases = [d for d in history if d.decision == "yes"]
    assert cases
    assert {(d.migration_type, d.laterality) for d in cases} == {("subcortical", "left")}
    assert all(d.seconds is not None and d.seconds > 0 for d in history)


def test_two_readers_and_an_adjudicator_end_with_labels(shelf: tuple[Shelf, Store], browser: Any) -> None:
    """Two read all reports blind, each in an order of their own; a third reads what they differ on and sees both."""
    reports, store = shelf
    orders: dict[str, list[str]] = {}
    for name in ("A", "B"):
        with serving(reports, store, name) as started:
            reader = Reader(browser, started.link)
            orders[name] = []
            while (shown := reader.shown()) != "All done":
                assert not reader.page.is_visible("#opinions")
                orders[name].append(shown)
                if name == "B" and "cannot be excluded" in str(reader.page.text_content("#text")):
                    reader.decide("n")
                else:
                    judge(reader)
            reader.context.close()
    assert sorted(orders["A"]) == sorted(orders["B"])
    assert orders["A"] != orders["B"]
    differ = disagreements(store)
    assert differ
    with serving(reports, store, "C", adjudicate=True) as started:
        reader = Reader(browser, started.link)
        for _ in differ:
            assert str(reader.page.text_content("#opinions")) == "Reader 1: unsureReader 2: no"
            reader.decide("n")
        assert reader.shown() == "All done"
        reader.context.close()
    found = finals(store)
    assert {f.report_id for f in found if f.by == "adjudicated"} == set(differ)
    assert {f.decision for f in found} == {"yes", "no"}
    assert len(found) == len(orders["A"])


def test_undo_comment_flag_and_reasons(shelf: tuple[Shelf, Store], browser: Any) -> None:
    """The case is named; undo brings the report back; reasons are told after the decision; a comment takes any key."""
    reports, store = shelf
    with serving(reports, store, "A") as started:
        reader = Reader(browser, started.link)
        assert "“Intraosseous migration of intratendinous calcification”" in str(reader.page.text_content("legend"))
        first = reader.decide("n")
        reader.press("u")
        wait(reader.page, f"Report {first}")
        reader.press("c")
        reader.page.keyboard.type("yes, no? unsure")
        reader.press("Escape", "f")
        assert reader.decide("s") == first
        reader.press("r")
        reader.page.wait_for_selector("dialog#why[open]")
        assert "case status" in str(reader.page.text_content("#why-body"))
        reader.press("Escape", "u")
        wait(reader.page, f"Report {first}")
        reader.decide("n")
        reader.context.close()
    rows = [(d.decision, d.comment, d.flag, d.informed) for d in store.history()]
    assert rows == [
        ("no", "", False, False),
        ("undo", "", False, False),
        ("unsure", "yes, no? unsure", True, False),
        ("undo", "", False, True),
        ("no", "", False, True),
    ]


def test_mentions_and_the_patients_other_report(shelf: tuple[Shelf, Store], browser: Any) -> None:
    """j goes to a mention and tells assertion and rule, the pointer too; the other report stands beside."""
    reports, store = shelf
    with serving(reports, store, "A") as started:
        reader = Reader(browser, started.link)
        while "cannot be excluded" not in str(reader.page.text_content("#text")):
            reader.decide("n")
        reader.press("k")
        assert "calcific tendinopathy: present" in str(reader.page.text_content("#mention"))
        reader.page.hover("#text mark:text('erosion')")
        told = str(reader.page.text_content("#mention"))
        assert told.startswith("cortical erosion: possible")
        assert 'because of "cannot be excluded" (' in told
        assert reader.page.text_content("#text .cue.active") == "cannot be excluded"
        reader.page.wait_for_selector("#other:not([hidden])")
        assert "Tendinitis" in str(reader.page.text_content("#other")).title()
        assert reader.page.locator("#timeline li").count() == 2
        reader.context.close()


def test_nothing_of_a_report_is_carried_out(shelf: tuple[Shelf, Store], browser: Any) -> None:
    """Markup in a report is shown as text; the page asks its own server only, and reports no fault."""
    reports, store = shelf
    with serving(reports, store, "A", reasons="before") as started:
        reader = Reader(browser, started.link)
        seen = ""
        while reader.shown() != "All done":
            seen += str(reader.page.text_content("#text"))
            judge(reader)
        assert EVIL in seen
        assert reader.page.title() == "calcitrace review"
        assert reader.page.locator("img, iframe, #text script").count() == 0
        assert {url.split("/")[2] for url in reader.asked} == {f"127.0.0.1:{started.port}"}
        assert reader.faults == []
        reader.context.close()


def test_two_tabs_of_one_reader(shelf: tuple[Shelf, Store], browser: Any) -> None:
    """A report that was decided in the other tab is not decided twice; the reader is told and goes on."""
    reports, store = shelf
    with serving(reports, store, "A") as started:
        reader = Reader(browser, started.link)
        other = reader.context.new_page()
        other.goto(f"http://127.0.0.1:{started.port}/")
        wait(other, "Loading", gone=True)
        reader.decide("n")
        other.keyboard.press("s")
        other.wait_for_selector("#message:not([hidden])")
        assert "Not saved" in str(other.text_content("#message"))
        assert [d.decision for d in store.history()] == ["no"]
        reader.context.close()


@pytest.mark.parametrize(("scheme", "width", "height"), [("light", 400, 800), ("dark", 1280, 720)])
def test_no_serious_fault_of_accessibility(
    shelf: tuple[Shelf, Store], browser: Any, scheme: str, width: int, height: int
) -> None:
    """axe finds none in any state of the page, and nothing is wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="NO AXE: accessibility was NOT tested")
    reports, store = shelf
    with serving(reports, store, "A") as started:
        reader = Reader(browser, started.link, color_scheme=scheme, viewport={"width": width, "height": height})
        states = [(), ("j",), ("y",), ("Escape", "n"), ("r",), ("Escape", "?")]
        for keys in states:
            reader.press(*keys)
            reader.page.wait_for_timeout(150)
            found = axe.Axe().run(reader.page).response["violations"]
            assert [(f["id"], f["nodes"][0]["html"]) for f in found if f["impact"] in SERIOUS] == []
            assert reader.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        reader.context.close()
