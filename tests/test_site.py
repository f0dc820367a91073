"""The site: it builds without a warning, leads nowhere in vain, asks nobody for anything, and what it shows runs."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

import pytest
import typer
from threadpoolctl import threadpool_limits

import calcitrace
from calcitrace import load_rules, process
from calcitrace.casemodel import starter_path
from calcitrace.cli import app, main
from calcitrace.cohort import PATIENT_COLUMNS, TIMELINE_COLUMNS
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.errors import ExitCode
from calcitrace.exports import EXPORTS
from calcitrace.sources.formats import SOURCES
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS

pytest.importorskip("mkdocs", reason='the site is NOT tested: it needs MkDocs (pip install ".[test]")')

import registries
from generate import INCLUDE, expanded

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SET_UP = re.compile(r"pip install|python3 -m venv|pytest|mkdocs|mkdir \.\./study")
# .ci/run does these in an environment of its own; test_docs.py makes the folder
README = [block[2] for block in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))]
# test_docs.py runs this very line, which takes its time
LEARNS = [line for block in README for line in block.splitlines() if line.startswith("calcitrace train")]
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


def test_what_the_site_puts_into_a_page_is_a_link_in_its_file() -> None:
    """Who reads the file is led to the section that the site shows in place of the line."""
    for page in PAGES:
        for found in INCLUDE.finditer((DOCS / page).read_text(encoding="utf-8")):
            name, _, anchor = re.findall(r"\((.+)\)$", found[0])[0].partition("#")
            assert ((DOCS / page).parent / name).resolve() == ROOT / found[1], page
            assert anchor == "-".join((found[2] or "").lower().replace(",", "").split()), page


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
        for name in ("index.html", "reference/api.html"):
            page.goto((site / name).as_uri())
            page.click(".md-search__input")
            page.keyboard.type("erosion")
            page.wait_for_selector(".md-search-result__item")
    assert [url for url in asked if urlsplit(url).scheme not in ("file", "blob", "data")] == []


@pytest.fixture(scope="module")
def taken_for_granted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a page takes for granted: data of a checkout, reports.csv, a model and a run with it."""
    folder, samples = tmp_path_factory.mktemp("bench"), ROOT / "corpora_samples"
    shutil.copytree(ROOT / "patterns", folder / "patterns")
    shutil.copytree(samples, folder / "corpora_samples")
    head(samples / "synthetic_msk.csv", folder / "reports.csv", 100)
    (folder / "evaluation" / "gold").mkdir(parents=True)
    head(ROOT / "evaluation" / "gold" / "train.jsonl", folder / "evaluation" / "gold" / "train.jsonl", 10, '"no"')
    starter = starter_path(DEFAULT_CASE)
    assert starter is not None
    shutil.copy(starter, folder / "our_model.json")
    with contextlib.chdir(folder):
        for run in ("run", "run2"):
            process("reports.csv", run)
    return folder


def head(source: Path, target: Path, lines: int, holding: str = "") -> None:
    """The first lines of a file (that hold something): few reports do to see that a command line runs."""
    found = [line for line in source.read_text(encoding="utf-8").splitlines(keepends=True) if holding in line]
    target.write_text("".join(found[:lines]), encoding="utf-8")


@pytest.fixture
def bench(taken_for_granted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that folder of one's own, as the working folder; one thread, since two cores are soon shared."""
    shutil.copytree(taken_for_granted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    load_rules.cache_clear()
    with threadpool_limits(1):
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
    if SET_UP.match(line) or line in LEARNS:
        return ""
    words = shlex.split(line, comments=True)
    if words[:2] == ["calcitrace", "review"] and "--no-page" not in words:
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
    """Start a review, open its link, and end it; what it prints."""
    with subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            link = started.stdout.readline()
            with build_opener(ProxyHandler({}), HTTPCookieProcessor()).open(link.strip()) as page:
                assert page.status == 200
        finally:
            started.terminate()
    return link


DOES: dict[str, Callable[[str], str]] = {"sh": shell, "python": python}


def shown(page: str) -> list[tuple[str, str, str]]:
    """The blocks of a page, whole: language, title, text; but for those of the README that test_docs.py runs."""
    found = BLOCK.findall(expanded((DOCS / page).read_text(encoding="utf-8"), page))
    return [b for b in found if not ("calcitrace process" in b[2] and b[2] in README)]


RUN = [p for p in PAGES if not p.startswith("reference/") and {b[0] for b in shown(p)} & {"sh", "python"}]


@pytest.mark.parametrize("page", RUN)
def test_what_a_page_shows_runs(page: str, bench: Path) -> None:
    """The blocks of a page, in their order, do what they say and print what stands below them."""
    lines = [line for block in shown(page) for line in block[2].splitlines() if line not in LEARNS]
    for made in re.findall(r"--out (\S+)", "\n".join(lines)):
        shutil.rmtree(made, ignore_errors=True)
        if made.endswith(".json"):  # a model, which is not written over unasked
            Path(made).unlink(missing_ok=True)
    said, did = "", False
    for language, title, text in shown(page):
        if language == "text":
            assert not did or OutputChecker().check_output(text, said, ELLIPSIS | NORMALIZE_WHITESPACE), said
        elif title:
            (change if language == "diff" else write)(title, text)
        else:
            said = DOES[language](text) if language in DOES else ""
        did = language in DOES


def test_the_example_of_each_command_can_be_given() -> None:
    """The command lines in the help, which the reference shows, are of commands and options that there are."""
    helps = [registries.told(one) for _, one in registries.all_commands()]
    lines = [line for said in helps for _, line in registries.EXAMPLE.findall(said)]
    assert len(lines) > 15
    for line in lines:
        command, rest = typer.main.get_command(app), shlex.split(line)[1:]
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        command.make_context(line, rest)


NAMED = {
    "commands": [name for name, _ in registries.all_commands()],
    "sources": list(SOURCES),
    "exports": list(EXPORTS),
    "findings": [*load_rules().findings, *load_rules().conditions],
    "columns": [*REPORT_COLUMNS, *MENTION_COLUMNS, *PATIENT_COLUMNS, *TIMELINE_COLUMNS],
    "context": [*load_rules().axes, *(group.name for group in load_rules().cues), *load_rules().sections],
    "api": calcitrace.__all__,
}


@pytest.mark.parametrize("page", NAMED)
def test_the_reference_leaves_nothing_out(page: str, site: Path) -> None:
    """Every command, source, export, finding, column, cue group and public name stands on its page."""
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    assert [name for name in NAMED[page] if not re.search(rf">[^<]*\b{name}\b", text)] == []
