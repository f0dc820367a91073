"""The site: it builds without a warning, leads nowhere in vain, asks nobody for anything, and what it shows runs."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from calcitrace import load_rules
from calcitrace.cli import main
from calcitrace.errors import ExitCode

pytest.importorskip("mkdocs", reason='the site is NOT tested: it needs MkDocs (pip install ".[test]")')

import registries
from generate import expanded

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SET_UP = re.compile(r"pip install|python3 -m venv|pytest|mkdocs")  # .ci/run does these, in an environment of its own
GOOD = {ExitCode.OK, ExitCode.REJECTS}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert (done.returncode, re.findall(r"^(?:WARNING|ERROR).*", done.stderr, re.MULTILINE)) == (0, []), done.stderr
    return folder


class Page(HTMLParser):
    """The anchors of a built page, its links, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loads = {""}, list[str](), list[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down what the tag names."""
        said = {name: value or "" for name, value in attrs}
        self.anchors |= {said[name] for name in ("id", "name") if name in said}
        self.loads += [said[name] for name in ("src", "srcset", "poster", "data") if name in said]
        if "href" in said:
            (self.links if tag == "a" else self.loads).append(said["href"])


@pytest.fixture(scope="module")
def built(site: Path) -> dict[Path, Page]:
    """Each page of the built site."""
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_page_is_built(site: Path, built: dict[Path, Page]) -> None:
    """Each page of docs/ is one of the site, and nothing of Python goes along."""
    made = {path.relative_to(site).with_suffix(".md").as_posix() for path in built}
    assert made - {"404.md"} == set(PAGES)
    assert list(site.rglob("*.py")) == []


def test_no_link_leads_nowhere(site: Path, built: dict[Path, Page]) -> None:
    """Each link within the site ends at a page, and at an anchor where it names one."""
    dead = []
    for path, page in built.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchors = built[target].anchors if target in built else {""}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                dead.append((path.relative_to(site).as_posix(), link))
    assert dead == []


def test_no_page_loads_anything_from_elsewhere(site: Path, built: dict[Path, Page]) -> None:
    """Pages and their style sheets name no other host as the home of something that they load."""
    loads = [(path.name, load) for path, page in built.items() for load in page.loads]
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        loads += [(sheet.name, u) for u in re.findall(r"(?:url\(|@import\s*)[\"']?([^\"')]+)", text)]
    assert [x for x in loads if re.match(r"(?:https?:)?//", x[1])] == []


def test_a_browser_asks_no_other_host(site: Path) -> None:
    """Opened from the folder, with its search used, the site asks for nothing but files of its own."""
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("no chromium: what the pages ask for is NOT tested")
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as play:
        page = play.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.fill(".md-search__input", "erosion")
        page.wait_for_selector(".md-search-result__item")
        page.goto((site / "reference" / "api.html").as_uri())
    assert [url for url in asked if urlsplit(url).scheme not in ("file", "blob", "data")] == []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the pages take for granted: a checkout's data, and reports.csv."""
    samples = ROOT / "corpora_samples"
    shutil.copytree(ROOT / "patterns", tmp_path / "patterns")
    shutil.copytree(samples, tmp_path / "corpora_samples")
    shutil.copy(samples / "synthetic_msk.csv", tmp_path / "reports.csv")
    (tmp_path / "evaluation" / "gold").mkdir(parents=True)
    shutil.copy(ROOT / "evaluation" / "gold" / "train.jsonl", tmp_path / "evaluation" / "gold")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    load_rules.cache_clear()
    yield tmp_path
    load_rules.cache_clear()


def write(name: str, text: str) -> str:
    """Write the file of a block with a title; of one that shows a difference, put the new lines into it."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    load_rules.cache_clear()
    return ""


def change(name: str, difference: str) -> str:
    """Put the lines marked + after the lines before them, which stand in the file once."""
    old = "".join(line[1:] for line in difference.splitlines(keepends=True) if line[0] != "+")
    new = "".join(line[1:] for line in difference.splitlines(keepends=True) if line[0] != "-")
    before = Path(name).read_text(encoding="utf-8")
    assert before.count(old) == 1, f"{name} does not hold the lines of the difference once"
    return write(name, before.replace(old, new))


def python(code: str) -> str:
    """Run Python; what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(code, "page", "exec"), {})
    return said.getvalue()


def shell(block: str) -> str:
    """Run the lines of a shell block; what they print."""
    lines = block.replace("\\\n", " ").splitlines()
    return "".join(command(line) for line in lines if line and not line.startswith("#"))


def command(line: str) -> str:
    """Run one line; what it prints. Lines of calcitrace run in this process, so that they start at once."""
    if SET_UP.match(line):
        return ""
    words = shlex.split(line, comments=True)
    if words[:2] == ["calcitrace", "review"]:
        return review(words)
    if words[0] != "calcitrace":
        return subprocess.run(line, shell=True, capture_output=True, text=True, check=True).stdout
    argv, sys.argv = sys.argv, words
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said, pytest.raises(SystemExit) as ended:
            main()
    finally:
        sys.argv = argv
    assert ended.value.code in GOOD, line
    return said.getvalue()


def review(words: list[str]) -> str:
    """Start a review, wait for its link and stop it as a reader does."""
    started = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    link = started.stdout.readline()
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=20) == 0
    return link


DOES: dict[str, Callable[[str], str]] = {"sh": shell, "python": python}


def shown(page: str) -> list[tuple[str, str, str]]:
    """The blocks of a page, whole: language, title, text."""
    return BLOCK.findall(expanded((DOCS / page).read_text(encoding="utf-8"), page))


RUN = [p for p in PAGES if not p.startswith("reference/") and {b[0] for b in shown(p)} & {"sh", "python"}]


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_shows_runs(page: str, bench: Path) -> None:
    """The blocks of a page, in their order, do what they say and print what stands below them."""
    said, did = "", False
    for language, title, text in shown(page):
        if language == "text":
            assert OutputChecker().check_output(text, said, ELLIPSIS | NORMALIZE_WHITESPACE) or not did, said
        elif title:
            (change if language == "diff" else write)(title, text)
        else:
            said = DOES[language](text) if language in DOES else ""
        did = language in DOES


def test_the_example_of_each_command_is_one_of_its_own() -> None:
    """The command lines in the help, which the reference shows, are of commands and options that there are."""
    lines = [shlex.split(line) for _, line in registries.EXAMPLE.findall(registries.commands().replace("\\", ""))]
    assert len(lines) > 15
