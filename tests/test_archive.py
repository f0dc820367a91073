"""Runs over archives: the screen, shards, workers that hang or die, locks and progress."""

from __future__ import annotations

import importlib
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calcitrace import Annotator, Report, RuleSet, RunOptions, load_rules, process, read_run
from calcitrace.assess import assess
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.crew import Crew
from calcitrace.errors import RunError
from calcitrace.rules import patterns_folder
from calcitrace.ruleset import Term
from calcitrace.screen import nearby_too, of_regex
from calcitrace.shards import merge
from calcitrace.sieve import Screen, plain, telling_findings
from calcitrace.sources.seen import Seen
from calcitrace.sources.versions import Versions
from calcitrace.words import PREFIXES
from calcitrace.workers import Setup, Worker, audited

GOLD = Path(__file__).parents[1] / "evaluation" / "gold"
TEXTS = (
    "Calcific deposit of the supraspinatus with erosion of the greater tuberosity. No mass.",
    "The lungs are clear. Heart size is normal.",
    "Calcified granuloma of the lung. No rib fracture.",
    "The infraspinatus calcification has migrated into the humeral head.",
)


def gold(*parts: str) -> list[Report]:
    """The reports of parts of the gold standard."""
    rows = [json.loads(line) for p in parts for line in (GOLD / f"{p}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [Report(r["report_id"], r["text"], modality=r["modality"], body_part=r["body_part"]) for r in rows]


@pytest.fixture(scope="module")
def workers(rules: RuleSet) -> dict[str, Worker]:
    """A worker with each screen."""
    return {s: Worker(Setup("", rules.hash, DEFAULT_CASE, screen=s)) for s in ("none", "rules", "case")}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Forty reports of four texts."""
    path = tmp_path / "reports.jsonl"
    rows = [{"report_id": f"r{k}", "text": TEXTS[k % 4]} for k in range(40)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of seven rows."""
    monkeypatch.setattr("calcitrace.corpus.PART_ROWS", 7)


# ---------------------------------------------------------------- the screen


def test_the_rules_screen_changes_nothing_but_the_status(workers: dict[str, Worker]) -> None:
    """Report by report the same rows as without a screen; what no rule can fire on says so."""
    reports = [*gold("everyday", "train2"), Report("a", "Nil."), Report("b", "The heart is normal.")]
    for report in reports:
        plain_row, screened = workers["none"](report), workers["rules"](report)
        status = screened["report"].pop("status")
        assert plain_row["report"].pop("status") == "read"
        assert plain_row == screened
        assert status == "read" or not plain_row["mentions"]
    assert workers["rules"](Report("a", "Nil."))["report"]["status"] == "no_term"


def test_the_case_screen_keeps_every_tier(workers: dict[str, Worker]) -> None:
    """No report with a tier above no is passed over; those passed over have a row that says so."""
    passed_over = 0
    for report in gold("everyday", "train", "train3"):
        row = workers["case"](report)["report"]
        assert row["case_status"] == workers["none"](report)["report"]["case_status"]
        if row["status"] == "screened_out":
            passed_over += 1
            assert (row["n_mentions"], row["likely_case"], row["case_probability"]) == (0, False, None)
    assert passed_over > 50


def test_the_case_screen_lets_through_what_is_only_told_of_a_deposit(tmp_path: Path) -> None:
    """A term that counts once a finding was told may stand in a sentence that no other rule knows a word of."""
    patterns = tmp_path / "patterns"
    shutil.copytree(patterns_folder(), patterns)
    file = patterns / "findings" / "intraosseous_calcium.yml"
    term = "terms:\n  - {id: told_alone, regex: '\\bzorbs quuxwards\\b', told: [calcification]}\n"
    file.write_text(file.read_text(encoding="utf-8").replace("terms:\n", term, 1), encoding="utf-8")
    rules = load_rules(str(patterns))
    whole, screened = (
        Worker(Setup(str(patterns), rules.hash, DEFAULT_CASE, screen=screen)) for screen in ("none", "case")
    )
    report = Report("a", "There is calcification of the right supraspinatus tendon. It zorbs quuxwards.")
    assert whole(report)["report"]["case_status"] != "no"
    assert screened(report)["report"]["case_status"] == whole(report)["report"]["case_status"]


PREFIXED = re.compile(rf"(?i)\b({'|'.join(PREFIXES)})-?(?=[a-z]{{4}})")
MUTATIONS = (
    str.upper,
    lambda t: PREFIXED.sub(r"\1 ", t),
    lambda t: PREFIXED.sub(r"\1- \n", t),
    lambda t: PREFIXED.sub(r"\1-\n        ", t),
    lambda t: t.replace("subcortical", "sub-cortical").replace("intra", "intra-"),
    lambda t: t.replace(" ", "\n", t.count(" ") // 2),
    lambda t: t.replace("i", "i\u200b"),
    lambda t: t.replace("e", "e\u00ad"),
    lambda t: t.replace("fi", "\ufb01").replace("ae", "\u00e6"),
    lambda t: t.replace("calcification", "calcificaton").replace("edema", "oedema"),
    lambda t: t.replace(" ", "\u00a0"),
    lambda t: t.replace(". ", ".\r\n\r\n"),
    lambda t: t.replace("c", "\uff43"),
)


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_the_screen_sees_through_what_reading_sees_through(annotator: Annotator, rules: RuleSet, number: int) -> None:
    """Whatever case, hyphens, wraps, spelling and Unicode: what reading finds, the screen lets through."""
    case, draw = rules.cases[DEFAULT_CASE], random.Random(number)  # noqa: S311 - no secret
    screen, everything = Screen(rules, case), Screen(rules)
    for report in draw.sample(gold("train4"), 60):
        text = MUTATIONS[number](report.text)
        named = {m.finding for m in annotator.annotate(Report("x", text)).mentions}
        assert named & telling_findings(case) <= screen.possible(text)
        assert named <= everything.possible(text)
        if assess(annotator.annotate(Report("x", text)), rules, case).case_status != "no":
            assert screen(text)


def test_reading_no_further_than_is_enough_decides_the_same(workers: dict[str, Worker]) -> None:
    """A report in which enough is found before its end, and one in which that never is, pass the screen or not."""
    screen, annotator = workers["case"]._could_be_case, workers["case"]._annotator
    assert screen
    lets, sooner = screen._screen.lets, 0
    for report in gold("train4", "everyday"):
        whole = annotator.could_mention(report)
        found = annotator.could_mention(report, enough=lets)
        assert found <= whole
        assert lets(found) == lets(whole)
        sooner += found < whole
    assert sooner > 10


PIECES = st.sampled_from(
    [
        "FINDINGS: ", "Findings ", "IMPRESSION:\n", "IMPRESSION ", "Rotator cuff: ", "Lungs: ", "CT CHEST\n", "1. ",
        "CALCIFICATION OF THE TENDON. ", "Calcified granuloma of the lung. ", "There is calcification", "- ", "DENSE ",
        " of the tendon. ", "It erodes the bone. ", "it lies in the humeral head.", "Negative for the following.\n",
        "Calcium has entered the tuberosity, ", "Heart is normal. ", "approx. ", "\n", "\n\n", " ", "No. 2 ", "\u00e4",
        "No ", "no calcification", "without calcific deposits ", "No residual calcification. ", "but ",
        " has resolved. ", " is not seen", "which was calcium. ", "Calcification: none. ", "HISTORY: ", "previously ",
        "or ", ", ",
    ]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(PIECES, max_size=14).map("".join), body_part=st.sampled_from(["", "shoulder", "chest"]))
def test_pieces_tell_what_the_whole_report_mentions(workers: dict[str, Worker], texts: str, body_part: str) -> None:
    """Whatever the layout: a report with a decisive mention, not plainly denied, has a piece that tells of one."""
    assert _missed(workers["case"], Report("x", texts, body_part=body_part)) == set()


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_pieces_tell_the_same_of_altered_reports(workers: dict[str, Worker], number: int) -> None:
    """The same of reports of the gold standard in other case, wraps, spelling and Unicode."""
    for given_ in random.Random(number).sample(gold("train2", "train5", "everyday2"), 60):  # noqa: S311 - no secret
        report = Report("x", MUTATIONS[number](given_.text), body_part=given_.body_part)
        assert _missed(workers["case"], report) == set()


TOLD = st.sampled_from(
    [
        "Calcification of the supraspinatus", "Calcific deposit ", "erosion of the greater tuberosity", "No ", "no ",
        ". ", ".\n", ", ", " and ", " but ", " has resolved. ", " is not seen. ", "It extends into the humeral head. ",
        "The notch is 4 mm. ", "The focus is 8 mm. ", "Part of it lies in the bone. ", "Marrow edema", "a cyst",
        "Lucency in the humeral head. ", "without ", "IMPRESSION: ", "HISTORY: ", "?", "was ", " of the tendon",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(TOLD, max_size=12).map("".join))
def test_whatever_is_denied_the_screen_keeps_the_tier(workers: dict[str, Worker], texts: str) -> None:
    """Claims and denials of all that a tier needs, in any order: the same case status with the screen as without."""
    _check_tier(workers, texts)


@pytest.mark.parametrize(
    ("text", "is_case"),
    [
        ("Calcification of the supraspinatusa cyst", False),
        ("A focus descends from the tendon into the bone.", False),
        ("A lump that has left the tendon for the bone.", False),
        ("A focus, part of it lies in the bone.", False),
        ("No calcification. A focus descends from the tendon into the bone.", False),
        ("A focus descends from the tendon into the bone. There is calcification of the tendon.", True),
        ("Calcification of the supraspinatus. A focus, part of it lies in the bone.", True),
    ],
)
def test_what_enters_a_bone_must_be_named(workers: dict[str, Worker], text: str, is_case: bool) -> None:
    """A focus may be anything where the report names no calcium, read with a screen or without."""
    assert (_check_tier(workers, text) != "no") == is_case


def _check_tier(workers: dict[str, Worker], texts: str) -> str:
    """The case status of a text, which is the same with the screen as without."""
    report = Report("x", f"MRI RIGHT SHOULDER\n\n{texts}")
    none, rules, case = (workers[s](report)["report"]["case_status"] for s in ("none", "rules", "case"))
    assert none == rules == case
    return str(none)


def _missed(worker: Worker, report: Report) -> set[str]:
    """The decisive findings that a report mentions, but as plainly denied, where its pieces tell of none."""
    screen = worker._could_be_case
    assert screen
    if screen._decides(report):
        return set()
    own = (m for m in worker._annotator.annotate(report).mentions if m.finding in screen._screen.decisive)
    return {m.finding for m in own if m.assertion in ("present", "possible") or m.asserted.change != "none"}


@pytest.mark.parametrize(
    ("text", "tier", "status"),
    [
        ("No calcification of the supraspinatus. Erosion of the greater tuberosity.", "no", "screened_out"),
        ("Calcification of the supraspinatus. Erosion of the greater tuberosity.", "probable", "read"),
        ("The supraspinatus calcification has resolved. Erosion of the greater tuberosity.", "probable", "read"),
        ("No calcification of the subscapularis but calcification of the supraspinatus. Erosion of the greater "
         "tuberosity.", "probable", "read"),
        ("Calcification of the supraspinatus. No erosion of the greater tuberosity.", "no", "screened_out"),
        ("No calcification of the supraspinatus. It extends into the humeral head.", "no", "screened_out"),
        ("No calcification. The focus is 8 mm. Erosion of the greater tuberosity.", "no", "screened_out"),
        ("Calcification of the supraspinatus. No erosion. The notch is 4 mm.", "no", "screened_out"),
        ("Calcification of the supraspinatus. It extends into the humeral head.", "definite", "read"),
    ],
)  # fmt: skip
def test_what_is_denied_and_no_more_makes_no_report_worth_reading(
    workers: dict[str, Worker], text: str, tier: str, status: str
) -> None:
    """The case screen passes over a report that denies what a tier needs, but not one where that has gone.

    What was only denied is nothing that *it* or *the notch* could be.
    """
    report = Report("x", text, body_part="shoulder")
    assert workers["none"](report)["report"]["case_status"] == tier
    screened = workers["case"](report)["report"]
    assert (screened["case_status"], screened["status"]) == (tier, status)


def test_a_denial_that_fills_a_constituent_is_read(tmp_path: Path) -> None:
    """A case definition that asks for denied calcium gets every report that denies it."""
    patterns = tmp_path / "patterns"
    shutil.copytree(patterns_folder(), patterns)
    file = patterns / "cases" / "intraosseous_migration.yml"
    old = "  deposit:\n    findings: [calcification, calcific_tendinopathy]\n    assertions: [present]\n"
    assert old in (text := file.read_text(encoding="utf-8"))
    file.write_text(text.replace(old, old.replace("[present]", "[present, absent]")), encoding="utf-8")
    rules = load_rules(str(patterns))
    report = Report("x", "No calcification of the supraspinatus. Erosion of the greater tuberosity.")
    for screen in ("none", "case"):
        row = Worker(Setup(str(patterns), rules.hash, DEFAULT_CASE, screen=screen))(report)["report"]
        assert (row["case_status"], row["status"]) == ("probable", "read")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["bone", "calc", "ero", "s?", "(?:ion|ive)", "[a-z]+", " ", "(?:in|of) ", "(?<=of )", "(?= (?:of|in))"]
            + ["(?! bone)", "[ce]", "[^c]", "(?:(?<=in )|(?<=s ))", r"\b", "(?<![a-z0-9])", "(?<!bone )", "(?<![^a-z])"]
        ),
        min_size=1,
    )
)
def test_what_a_regex_needs_stands_in_all_it_matches(parts: list[str]) -> None:
    """Invented rules: a text that matches holds a string of every necessary set, of what stands nearby too."""
    import re

    regex = "".join(parts)
    pattern = re.compile(regex, re.IGNORECASE)
    for text in ("bone calc erosion of bone", "bonecalceroive", "calcs in bone ero", "eros of bones calc"):
        found = pattern.search(text)
        if found:
            needed = of_regex(regex) + nearby_too(Term("invented", regex=regex))
            assert all(any(s in f" {text}" for s in strings) for strings in needed)


def test_accents_ligatures_and_invisible_characters_are_seen_through() -> None:
    """The text as its words are compared."""
    assert plain("O\u0308dema \ufb01ssure cal\u00adcium C\u200bYST") == "odema fissure calcium cyst"


def test_an_audited_share_is_read_in_full(rules: RuleSet) -> None:
    """A random share that does not depend on anything but the id; about as many as asked for."""
    chosen = [k for k in range(4000) if audited(f"r{k}", 0.1)]
    assert 320 <= len(chosen) <= 480
    worker = Worker(Setup("", rules.hash, DEFAULT_CASE, screen="case", audit=0.1))
    for k in (chosen[0], next(k for k in range(4000) if k not in chosen)):
        status = worker(Report(f"r{k}", "The heart is normal."))["report"]["status"]
        assert (status == "read") == (k in chosen)


# ---------------------------------------------------------------- shards


def test_shards_join_to_the_run_that_one_process_makes(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """Same tables, byte for byte, and counts that add up."""
    process(archive, tmp_path / "whole")
    for k in (1, 2, 3):
        process(archive, tmp_path / f"s{k}", shard=(k, 3))
    merge([tmp_path / f"s{k}" for k in (3, 1, 2)], tmp_path / "joined")
    for path in sorted((tmp_path / "whole").rglob("*.parquet")):
        assert path.read_bytes() == (tmp_path / "joined" / path.relative_to(tmp_path / "whole")).read_bytes()
    assert len(read_run(tmp_path / "joined")[0]) == 40


@pytest.mark.parametrize(
    ("given_", "said"),
    [((1,), "shard 2/2 is missing"), ((1, 1), "shard 2/2 is missing"), ((0,), "is no shard")],
)
def test_shards_that_do_not_make_a_whole_are_refused(
    archive: Path, tmp_path: Path, small_parts: None, given_: tuple[int, ...], said: str
) -> None:
    """A missing or repeated shard, or a folder that is none."""
    process(archive, tmp_path / "s0")
    process(archive, tmp_path / "s1", shard=(1, 2))
    with pytest.raises(RunError, match=said):
        merge([tmp_path / f"s{k}" for k in given_], tmp_path / "joined")


# ---------------------------------------------------------------- workers that hang or die


TASK = """
import os, time

def start(what):
    def task(item):
        if item == 13 and what == "hang":
            time.sleep(60)
        if item == 13 and what == "die":
            os._exit(1)
        if item == 13 and what == "raise":
            raise ValueError("SECRET")
        return 2 * item
    return task
"""


@pytest.mark.parametrize(
    ("what", "said"), [("hang", "took longer than 0.2 s"), ("die", "process ended"), ("raise", "process ended")]
)
def test_the_item_that_hangs_or_kills_its_worker_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], what: str, said: str
) -> None:
    """All others are done, in order; the culprit comes back with the reason, as soon as its own time is over."""
    began = time.monotonic()
    (tmp_path / "crew_task.py").write_text(TASK)
    monkeypatch.syspath_prepend(tmp_path)
    start = importlib.import_module("crew_task").start
    with Crew[int, Any](2, partial(start, what), lambda k, why: (k, why), 0.2 if what == "hang" else None) as crew:
        made = list(crew.work(range(60)))
        again = list(crew.work(range(20, 30)))
    assert [m for m in made if not isinstance(m, tuple)] == [2 * k for k in range(60) if k != 13]
    assert made[13][0] == 13
    assert said in made[13][1]
    assert again == [2 * k for k in range(20, 30)]
    assert time.monotonic() - began < 60
    assert "SECRET" not in capfd.readouterr().err


# ---------------------------------------------------------------- two processes, kill, progress

WRITE = (
    "import sys, calcitrace.corpus as c; c.PART_ROWS = 3; c.process(sys.argv[1], sys.argv[2], "
    "c.RunOptions(model='none'), on_progress=lambda p: __import__('time').sleep(0.05))"
)


def _at_work(archive: Path, run: Path) -> subprocess.Popen[bytes]:
    """A process that writes a run slowly, once it has committed a part."""
    slow = subprocess.Popen([sys.executable, "-c", WRITE, archive, run])  # noqa: S603
    deadline = time.monotonic() + 60
    while not list(run.glob("parts/part-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return slow


def test_a_second_process_on_one_folder_is_refused(archive: Path, tmp_path: Path, command: Any) -> None:
    """The first goes on; the second is told; `status` tells how far it is; after a kill the run is completed."""
    slow = _at_work(archive, tmp_path / "run")
    try:
        with pytest.raises(RunError, match="another process is writing this run"):
            process(archive, tmp_path / "run", RunOptions(model="none"))
        told = command("status", tmp_path / "run").out
        assert "running" in told
        assert "time left" in told
    finally:
        slow.kill()
        slow.wait()
    assert "stopped; give the same `calcitrace process` command again" in command("status", tmp_path / "run").out
    assert process(archive, tmp_path / "run", RunOptions(model="none")).reports == 40
    assert "complete" in command("status", tmp_path / "run").out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--screen", "x"], "screen 'x' is not one of"),
        (["--audit-fraction", "2"], "audit fraction 2.0 is not between"),
        (["--shard", "3/2"], "shard 3/2 makes no sense"),
        (["--shard", "a"], "is not of the form 2/8"),
        (["--report-timeout", "0"], "is not above 0 seconds"),
    ],
)
def test_options_that_make_no_sense_are_told(
    archive: Path, tmp_path: Path, command: Any, options: list[str], said: str
) -> None:
    """Exit code 2, and nothing is written."""
    told = command("process", archive, "-o", tmp_path / "run", *options)
    assert told.code == 2
    assert said in told.err
    assert not (tmp_path / "run").exists()


def test_the_fault_campaign_in_its_small_form(tmp_path: Path) -> None:
    """Kills, a fault at each write, fsync and rename, a full disk, two at once, harmful reports: no row differs."""
    script = GOLD.parent / "faults.py"
    few = ["--kills", "4", "--of-two", "1", "--pairs", "1", "--step", "16", "--reports", "80"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, script, *few, "--out", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (result,) = tmp_path.glob("*_faults_*.json")
    told = json.loads(result.read_text(encoding="utf-8"))
    assert told["kills"]["main"] == 3
    assert sum(told["kills with two workers"].get(victim, 0) for victim in ("main", "worker")) == 1
    assert min(told["faults at each"].values()) >= 10
    full = told["disks that were full"]
    assert full == "not tried: this user may not mount a tmpfs" or full >= 1
    assert len(told["harmful reports"]) == 3
    assert done.stderr == ""


@settings(max_examples=50, deadline=None)
@example([("a", "x"), ("a", "y"), ("a~v2", "y")])
@given(st.lists(st.tuples(st.sampled_from(["a", "a~v2", "b", "b~v3", "c"]), st.sampled_from("xyz")), max_size=40))
def test_versions_and_repeats_are_told_apart(rows: list[tuple[str, str]]) -> None:
    """Each id and text is kept once, under an id of its own that leads back to the one given."""
    versions, kept, given_ = Versions(Seen()), {}, set()
    for number, (report_id, text) in enumerate(rows):
        made = versions.settle(Report(report_id, text), "s", number, str)
        assert isinstance(made, Report) == ((report_id, text) not in given_)
        given_.add((report_id, text))
        if isinstance(made, Report):
            assert made.report_id not in kept
            kept[made.report_id] = made
            assert (made.version_of or made.report_id) == report_id


def key_of(number: int) -> bytes:
    """A key of 8 bytes that look random."""
    return (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8)


def test_many_ids_are_kept_apart_in_little_memory(tmp_path: Path) -> None:
    """Growing loses none of them, most are in a file without a name, and memory holds under half a byte an id."""
    with Seen(tmp_path) as seen:
        assert [seen.add(key_of(k), k) for k in range(100_000)] == [None] * 100_000
        assert [seen.get(key_of(k)) for k in range(100_000)] == list(range(100_000))
        assert seen.get(key_of(100_000)) is None
        assert seen.size < 50_000
    assert list(tmp_path.iterdir()) == []


def test_a_number_stays_until_it_is_changed(tmp_path: Path) -> None:
    """Adding tells what is there already; also keys whose bytes stand across two entries are no other's."""
    with Seen(tmp_path) as seen:
        assert seen.add(b"12345678", 0x6162636465666768) is None
        assert seen.add(b"12345678", 5) == 0x6162636465666768
        assert seen.get(b"5678abcd") is seen.get(b"abcdefgh") is None
        seen.change(b"12345678", 5)
        assert seen.get(b"12345678") == 5


def test_a_disk_that_cannot_be_written_ends_the_reading(tmp_path: Path) -> None:
    """What must be remembered and cannot be is told by the folder, as for any other file of a run."""
    with Seen(tmp_path / "none") as seen, pytest.raises(RunError, match=r"none: no file can be written there"):
        deque((seen.add(key_of(k), k) for k in range(100_000)), 0)


class Counting(Seen):
    """Counts how often it is asked."""

    asked = 0

    def add(self, key: bytes, number: int) -> int | None:
        """As ever."""
        self.asked += 1
        return super().add(key, number)


def test_the_thousandth_version_costs_what_the_first_does() -> None:
    """An id of very many texts (a wrong column, say) is no trap: no more than four looks a report."""
    versions = Versions(seen := Counting())
    made = [versions.settle(Report("same", str(k)), "s", k, str) for k in range(2_000)]
    assert isinstance(made[-1], Report)
    assert made[-1].report_id == "same~v2000"
    assert seen.asked <= 4 * 2_000
