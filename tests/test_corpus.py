"""A run over an archive: the contract of the run folder, resuming, refusing, quarantine and counts that add up."""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from calcitrace import Annotator, Report, RunOptions, process, read_run
from calcitrace.corpus import Progress, RunResult
from calcitrace.errors import RunError, SourceError, StrictError, UsageError
from calcitrace.model import AnnotatedReport
from calcitrace.runfolder import read_manifest

CASE = (
    "MRI RIGHT SHOULDER\n\nFINDINGS: There is an 11 mm calcific deposit in the supraspinatus tendon with cortical "
    "erosion of the greater tuberosity; the calcification extends through the cortical defect into the greater "
    "tuberosity.\n\nIMPRESSION: Calcific tendinopathy of the supraspinatus with intraosseous migration of calcium."
)
TEXTS = {
    "007": CASE,
    "A1": "XR SHOULDER: No calcification. No fracture.",
    "A2": "CHEST: The lungs are clear.",
    "A3": "Knee MR. Large joint effusion;\r\nno fracture is seen.\u00a0Bursitis, possible.",
    "A4": "Severe pain. History of trauma.",
}
# Seven rows: five reports, a later version of one, and one of each common reject.
ROWS: list[tuple[str, str]] = [
    *TEXTS.items(),
    ("A1", "ADDENDUM: There is a tiny calcification after all."),
    ("A2", TEXTS["A2"]),
    ("A5", " \n"),
]


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A CSV of report ids and texts with some metadata."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["report_id", "patient_id", "study_date", "modality", "body_part", "sex", "age", "text"])
        writer.writerows((i, "00P", "2019-03-02", "MR", "shoulder", "F", "47", text) for i, text in rows)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows above as a file."""
    return write_rows(tmp_path_factory.mktemp("archive") / "archive.csv", ROWS)


@pytest.fixture(scope="module")
def run(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A finished run over the rows above; tests only read it."""
    return process(archive, tmp_path_factory.mktemp("runs") / "run", also_csv=True)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of three rows."""
    monkeypatch.setattr("calcitrace.corpus.PART_ROWS", 3)


def tables_of(folder: Path) -> dict[str, bytes]:
    """The bytes of every table and of the rejects."""
    paths = [*folder.glob("reports/*"), *folder.glob("mentions/*"), folder / "rejects.jsonl"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def rejects_of(folder: Path) -> list[dict[str, Any]]:
    """The rows of rejects.jsonl."""
    return [json.loads(line) for line in (folder / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]


# The contract


def test_the_columns_of_the_contract(run: RunResult) -> None:
    """Others read them: none is missing or renamed, and they come first."""
    reports, mentions = read_run(run.folder)
    assert list(reports.columns)[:16] == [
        "report_id", "patient_id", "study_date", "modality", "body_part", "case_status", "case_probability",
        "likely_case", "migration_type", "tendon", "bone", "laterality", "absence_of_mass", "n_mentions", "evidence",
        "ruleset_hash",
    ]  # fmt: skip
    assert list(mentions.columns)[:18] == [
        "report_id", "mention_id", "finding", "start", "end", "text", "section", "presence", "temporality",
        "experiencer", "assertion", "change", "tendon", "bone", "laterality", "size_mm", "rule_id", "cues",
    ]  # fmt: skip


def test_a_report_comes_whole_to_a_worker() -> None:
    """With every field that it has."""
    report = Report(*Report._fields)
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 - its own


def test_one_row_for_every_report(run: RunResult) -> None:
    """Reports without a mention count too, and metadata comes through as given."""
    reports, mentions = read_run(run.folder)
    assert list(reports["report_id"]) == ["007", "A1", "A2", "A3", "A4", "A1~v2"]
    assert list(reports["version_of"]) == ["", "", "", "", "", "A1"]
    assert reports.set_index("report_id")["n_mentions"].to_dict() == {
        i: int(n) for i, n in mentions["report_id"].value_counts().reindex(reports["report_id"], fill_value=0).items()
    }
    assert reports.loc[reports["report_id"] == "A2", "n_mentions"].item() == 0
    metadata = ["patient_id", "study_date", "modality", "body_part", "sex", "age"]
    assert set(reports[metadata].itertuples(index=False, name=None)) == {
        ("00P", "2019-03-02", "MR", "shoulder", "F", "47")
    }


def test_mentions_index_the_original_text(run: RunResult) -> None:
    """`text` is what stands between `start` and `end` in the report as it was given, CRLF and NBSP included."""
    _, mentions = read_run(run.folder)
    texts = {**TEXTS, "A1~v2": ROWS[5][1]}
    assert len(mentions) > 5
    assert [m.text for m in mentions.itertuples()] == [
        texts[m.report_id][m.start : m.end] for m in mentions.itertuples()
    ]


def test_mention_ids_are_distinct_and_evidence_names_them(run: RunResult) -> None:
    """The evidence of a report are mentions of that report."""
    reports, mentions = read_run(run.folder)
    assert mentions["mention_id"].is_unique
    owner = dict(zip(mentions["mention_id"], mentions["report_id"], strict=True))
    case = reports[reports["report_id"] == "007"].iloc[0]
    assert case["case_status"] == "definite"
    assert len(case["evidence"]) > 0
    assert {owner[e] for e in case["evidence"]} == {"007"}


def test_the_likely_case_of_the_archive(run: RunResult) -> None:
    """With the starter model each report has a probability; the one plain case is the likely case."""
    reports, _ = read_run(run.folder)
    assert list(reports["likely_case"]) == [s in ("definite", "probable") for s in reports["case_status"]]
    assert reports["case_probability"].between(0, 1).all()
    assert run.likely == reports["likely_case"].sum() == 1


def test_the_types_of_the_tables(run: RunResult) -> None:
    """Flags are bool, offsets whole numbers, sizes and probabilities doubles, evidence and cues lists."""
    reports = pq.read_schema(run.folder / "reports" / "part-00000.parquet")
    mentions = pq.read_schema(run.folder / "mentions" / "part-00000.parquet")
    assert {str(reports.field(n).type) for n in ("likely_case", "absence_of_mass")} == {"bool"}
    assert {str(mentions.field(n).type) for n in ("start", "end")} == {"int32"}
    assert str(reports.field("case_probability").type) == str(mentions.field("size_mm").type) == "double"
    assert str(reports.field("evidence").type) == "list<element: string>"
    assert str(mentions.field("cues").type).startswith("list<element: struct<text: string")


def test_the_rejects(run: RunResult) -> None:
    """Each with its file, the line that its row starts on, reason and id, and nothing else."""
    repeated = "repeated: same report id and same text as an earlier row"
    assert rejects_of(run.folder) == [
        {"source": "archive.csv", "row": 13, "reason": repeated, "report_id": "A2"},
        {"source": "archive.csv", "row": 14, "reason": "empty text", "report_id": "A5"},
    ]
    assert [(r.source, r.row) for r in run.first_rejects] == [("archive.csv", 13), ("archive.csv", 14)]


def test_the_counts_of_the_manifest_add_up(run: RunResult, archive: Path) -> None:
    """Rows are reports and rejects, in all, by input and by part; the tables hold as many as it says."""
    manifest = read_manifest(run.folder)
    reports, mentions = read_run(run.folder)
    assert (manifest["rows"], manifest["reports"], manifest["rejects"]) == (8, 6, 2)
    assert manifest["rows"] == manifest["reports"] + manifest["rejects"] == run.rows
    for group in ("inputs", "parts"):
        for key in ("reports", "rejects"):
            assert sum(entry[key] for entry in manifest[group]) == manifest[key]
    assert (len(reports), len(mentions)) == (manifest["reports"], manifest["mentions"])
    assert sum(manifest["reject_reasons"].values()) == manifest["rejects"] == len(rejects_of(run.folder))
    (source,) = manifest["inputs"]
    assert (source["name"], source["rows"], source["bytes"]) == ("archive.csv", 8, archive.stat().st_size)
    assert source["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_what_else_the_manifest_says(archive: Path, tmp_path: Path) -> None:
    """Rule-set hash, versions, command, start and end."""
    folder = process(archive, tmp_path / "run", command=["calcitrace", "process", "archive.csv"]).folder
    manifest = read_manifest(folder)
    reports, _ = read_run(folder)
    assert {manifest["ruleset_hash"]} == set(reports["ruleset_hash"])
    assert manifest["command"] == ["calcitrace", "process", "archive.csv"]
    assert manifest["status"] == "complete"
    assert manifest["started"] <= manifest["finished"]
    assert {"calcitrace", "python", "versions", "case", "options"} <= manifest.keys()


def test_finding_counts_of_the_parts(run: RunResult) -> None:
    """What the summary page plots is counted from the mentions."""
    _, mentions = read_run(run.folder)
    (part,) = read_manifest(run.folder)["parts"]
    counted = Counter(f"{m.finding}|{m.assertion}" for m in mentions.itertuples())
    plotted = {k: n for k, n in part["counts"].items() if "|" in k and not k.startswith(("case|", "status|"))}
    assert plotted == dict(counted)


# The same again


def test_the_same_input_gives_byte_identical_tables(run: RunResult, archive: Path, tmp_path: Path) -> None:
    """Nothing in a table depends on when or where it was made."""
    again = process(archive, tmp_path / "again")
    assert tables_of(again.folder) == tables_of(run.folder)


def test_two_workers_give_byte_identical_tables(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """Spawned workers build their own pipelines; order, parts and content stay the same."""
    one = process(archive, tmp_path / "one", workers=1)
    two = process(archive, tmp_path / "two", workers=2)
    assert tables_of(two.folder) == tables_of(one.folder)
    assert len(tables_of(one.folder)) == 7  # three parts of each table, and the rejects


def test_parts_have_a_fixed_composition(run: RunResult, archive: Path, tmp_path: Path, small_parts: None) -> None:
    """Every row, reject or report, is in exactly one part; joined they are what one part holds."""
    folder = process(archive, tmp_path / "run").folder
    parts = read_manifest(folder)["parts"]
    assert [(p["reports"], p["rejects"]) for p in parts] == [(3, 0), (3, 0), (0, 2)]
    assert (folder / "rejects.jsonl").read_bytes() == (run.folder / "rejects.jsonl").read_bytes()
    for table, whole in zip(read_run(folder), read_run(run.folder), strict=True):
        pd.testing.assert_frame_equal(table, whole)


def test_the_same_command_again_confirms_the_run(archive: Path, tmp_path: Path) -> None:
    """Committed parts are left alone, and the counts are the same."""
    first = process(archive, tmp_path / "run")
    before = {p: p.stat().st_mtime_ns for p in first.folder.glob("*/part-*")}
    again = process(archive, tmp_path / "run")
    assert (again.rows, again.reports, again.rejects) == (first.rows, first.reports, first.rejects)
    assert {p: p.stat().st_mtime_ns for p in first.folder.glob("*/part-*")} == before


KILLED = """
import os, signal, sys
from calcitrace import corpus

def kill_in_the_second_part(progress):
    if progress.reports > 3:
        os.kill(os.getpid(), signal.SIGKILL)

corpus.PART_ROWS, corpus.TICK = 3, 1
corpus.process(sys.argv[1], sys.argv[2], on_progress=kill_in_the_second_part)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_run_goes_on(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """Killed in its second part, a run keeps its first, and ends with the tables of a run that was left alone."""
    folder = tmp_path / "run"
    killed = subprocess.run([sys.executable, "-c", KILLED, archive, folder], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(p.name for p in folder.glob("parts/*")) == ["part-00000.json"]
    assert read_manifest(folder)["status"] == "running"
    first = folder / "reports" / "part-00000.parquet"
    before = first.stat().st_mtime_ns
    result = process(archive, folder)
    assert first.stat().st_mtime_ns == before
    assert (result.rows, result.reports, result.rejects) == (8, 6, 2)
    assert tables_of(folder) == tables_of(process(archive, tmp_path / "whole").folder)


def test_a_run_goes_on_with_the_parts_that_it_began_with(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """The size of parts is kept in the manifest, so that a later default does not shift their borders."""
    folder = process(archive, tmp_path / "run").folder
    before = tables_of(folder)
    (folder / "parts" / "part-00001.json").unlink()
    with pytest.MonkeyPatch.context() as later:
        later.setattr("calcitrace.corpus.PART_ROWS", 2000)
        process(archive, folder)
    assert tables_of(folder) == before


@pytest.mark.parametrize("damage", ["changed", "gone", "note"])
def test_a_damaged_part_is_made_anew(damage: str, archive: Path, tmp_path: Path) -> None:
    """A table that is not as it was committed, or whose note cannot be read, does not survive the next call."""
    folder = process(archive, tmp_path / "run").folder
    before = tables_of(folder)
    table = folder / "mentions" / "part-00000.parquet"
    if damage == "gone":
        table.unlink()
    else:
        (table if damage == "changed" else folder / "parts" / "part-00000.json").write_bytes(b"damaged")
    process(archive, folder)
    assert tables_of(folder) == before


def test_counts_that_do_not_add_up_are_not_passed_over(archive: Path, tmp_path: Path) -> None:
    """Whatever the cause (here a note that was changed by hand), a row too few or too many ends the run."""
    folder = process(archive, tmp_path / "run").folder
    path = folder / "parts" / "part-00000.json"
    note = json.loads(path.read_bytes())
    path.write_text(json.dumps({**note, "rejects": note["rejects"] - 1}), encoding="utf-8")
    with pytest.raises(RunError, match="8 rows were read but 7 are kept; start anew with --overwrite"):
        process(archive, folder)


# Another run in the way


def run_with(archive: Path, folder: Path, change: str) -> RunResult:
    """The call of a run, with one thing changed."""
    if change == "inputs":
        write_rows(archive, [*ROWS, ("A9", "One more.")])
    options = RunOptions(columns={"text": "text"}) if change == "options" else RunOptions()
    if change == "rules":
        options = RunOptions(patterns=str(other_rules(folder.parent / "patterns")))
    return process(archive, folder, options)


def other_rules(folder: Path) -> Path:
    """A copy of the rules that ship with one comment added."""
    from calcitrace.rules import patterns_folder

    shutil.copytree(patterns_folder(), folder)
    with (folder / "sections.yml").open("a", encoding="utf-8") as handle:
        handle.write("# of another hospital\n")
    return folder


@pytest.mark.parametrize(
    ("change", "told"), [("inputs", "inputs"), ("rules", "rules"), ("options", r"options \(columns\)")]
)
def test_a_folder_with_another_run_is_refused(change: str, told: str, tmp_path: Path) -> None:
    """What differs is named, of options which; and the folder stays as it is."""
    archive = write_rows(tmp_path / "a.csv", ROWS)
    folder = process(archive, tmp_path / "run").folder
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=f"holds a run with other {told}; choose another --out, or --overwrite to start"):
        run_with(archive, folder, change)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_overwrite_starts_anew(tmp_path: Path, small_parts: None) -> None:
    """Nothing of the earlier run is left, also where it had more parts and CSV files."""
    many, few = write_rows(tmp_path / "many.csv", ROWS), write_rows(tmp_path / "few.csv", ROWS[1:2])
    folder = process(many, tmp_path / "run", also_csv=True).folder
    result = process(few, folder, overwrite=True)
    assert result.reports == 1
    assert tables_of(folder) == tables_of(process(few, tmp_path / "alone").folder)
    assert not list(folder.glob("*.csv"))


def test_overwrite_makes_the_same_run_anew(archive: Path, tmp_path: Path) -> None:
    """Also where nothing has changed, no part of the earlier run is taken over."""
    folder = process(archive, tmp_path / "run").folder
    note = folder / "parts" / "part-00000.json"
    before = note.stat().st_ino, note.stat().st_mtime_ns
    process(archive, folder, overwrite=True)
    assert (note.stat().st_ino, note.stat().st_mtime_ns) != before


def interrupted(*_: object) -> None:
    """In place of what would have been done next."""
    raise KeyboardInterrupt


def test_a_kill_while_a_run_starts_anew_leaves_a_run_folder(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_parts: None
) -> None:
    """After the tables of before are gone and before the new manifest stands, the folder is still one to go on with."""
    process(archive, tmp_path / "run")
    whole = tables_of(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("calcitrace.runfolder.RunFolder._save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            process(archive, tmp_path / "run", overwrite=True)
    assert not list((tmp_path / "run").glob("parts/*.json"))
    process(archive, tmp_path / "run")
    assert tables_of(tmp_path / "run") == whole


def test_overwrite_mends_an_unreadable_manifest(archive: Path, tmp_path: Path) -> None:
    """Without it the folder is refused, since nobody can say what it holds."""
    folder = process(archive, tmp_path / "run").folder
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"manifest\.json: cannot be read; the run must be made anew \(--overwrite\)"):
        process(archive, folder)
    assert process(archive, folder, overwrite=True).reports == 6


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_other_things_is_never_written_to(overwrite: bool, archive: Path, tmp_path: Path) -> None:
    """A folder that is not empty and no run folder is somebody's, --overwrite or not."""
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="not empty and no run folder; choose another --out"):
        process(archive, tmp_path, overwrite=overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_folder_that_cannot_be_made(archive: Path, tmp_path: Path) -> None:
    """A file in its place is told in words."""
    (tmp_path / "run").write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match="run: cannot be made"):
        process(archive, tmp_path / "run")


def test_a_run_inside_its_own_input_folder(tmp_path: Path) -> None:
    """The tables of a run are no reports: the same command again finds the same input."""
    (tmp_path / "a.txt").write_text(TEXTS["A1"], encoding="utf-8")
    first = process(tmp_path, tmp_path / "run")
    again = process(tmp_path, tmp_path / "run")
    assert (first.rows, again.rows) == (1, 1)


# Faults


def test_strict_stops_and_the_run_can_go_on(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """The parts before the reject stay; the same run without --strict ends as if it had never stopped."""
    with pytest.raises(StrictError, match=r"archive\.csv:13: repeated"):
        process(archive, tmp_path / "run", strict=True)
    assert read_manifest(tmp_path / "run")["status"] == "running"
    assert process(archive, tmp_path / "run").reports == 6
    assert tables_of(tmp_path / "run") == tables_of(process(archive, tmp_path / "whole").folder)


@pytest.fixture
def breaking_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The annotator fails on one report, with its text in the message."""
    whole = Annotator.annotate

    def failing(self: Annotator, report: Report) -> AnnotatedReport:
        if report.report_id == "A3":
            raise ValueError(report.text)
        return whole(self, report)

    monkeypatch.setattr(Annotator, "annotate", failing)


def test_a_report_that_raises_is_quarantined(archive: Path, tmp_path: Path, breaking_report: None) -> None:
    """It is a reject with its place and the kind of the error; the others are processed and counts add up."""
    result = process(archive, tmp_path / "run")
    assert (result.rows, result.reports, result.rejects) == (8, 5, 3)
    assert rejects_of(result.folder)[-1] == {
        "source": "archive.csv",
        "row": 9,
        "reason": "quarantined: ValueError while reading the text",
        "report_id": "A3",
    }
    (source,) = read_manifest(result.folder)["inputs"]
    assert (source["rows"], source["reports"], source["rejects"]) == (8, 5, 3)


def test_strict_stops_at_a_quarantined_report(tmp_path: Path, breaking_report: None) -> None:
    """A report that cannot be processed is a reject like any other."""
    archive = write_rows(tmp_path / "a.csv", list(TEXTS.items()))
    with pytest.raises(StrictError, match=r"a\.csv:9: quarantined: ValueError while reading the text"):
        process(archive, tmp_path / "run", strict=True)


def test_a_case_definition_that_does_not_exist(archive: Path, tmp_path: Path) -> None:
    """It is told before a folder is made."""
    with pytest.raises(UsageError, match="no case definition 'nothing'; there are: intraosseous_migration"):
        process(archive, tmp_path / "run", RunOptions(case="nothing"))
    assert not (tmp_path / "run").exists()


def test_no_workers(archive: Path, tmp_path: Path) -> None:
    """At least one process must do the work."""
    with pytest.raises(UsageError, match="workers must be 1 or more"):
        process(archive, tmp_path / "run", workers=0)


def test_an_input_that_cannot_be_read_leaves_the_run_unfinished(tmp_path: Path) -> None:
    """The only input gives no row: an error, and no tables that look like a result."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"junk")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        process(path, tmp_path / "run")
    with pytest.raises(RunError, match="the run has not finished; give the same `calcitrace process` command again"):
        read_run(tmp_path / "run")


def test_a_header_without_rows_gives_empty_tables(tmp_path: Path) -> None:
    """No report is a result too: tables with all columns and no row."""
    result = process(write_rows(tmp_path / "a.csv", []), tmp_path / "run", also_csv=True)
    reports, mentions = read_run(result.folder)
    assert (result.rows, len(reports), len(mentions)) == (0, 0, 0)
    assert {"report_id", "case_status"} <= set(reports.columns)
    assert (result.folder / "reports.csv").read_text(encoding="utf-8").startswith('"report_id","patient_id"')


# The summary page of a run


def test_the_page_shows_the_likely_cases(run: RunResult) -> None:
    """Its text is there, other reports' texts are not."""
    page = (run.folder / "summary.html").read_text(encoding="utf-8")
    assert 'class="present evidence"' in page
    assert "MRI RIGHT SHOULDER" in page
    assert "The lungs are clear" not in page


def test_the_page_shows_the_first_likely_cases(
    tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit over all parts keeps the page small; all likely cases are counted."""
    monkeypatch.setattr("calcitrace.corpus.MAX_CARDS", 4)
    rows = [(f"R{n}", f"{CASE} Number {n}.") for n in range(7)]
    result = process(write_rows(tmp_path / "a.csv", rows), tmp_path / "run")
    page = (result.folder / "summary.html").read_text(encoding="utf-8")
    assert result.likely == 7
    assert [f"Number {n}." in page for n in range(7)] == [True] * 4 + [False] * 3
    assert "the first 4 of 7" in page


def test_the_page_cuts_a_text_without_end(tmp_path: Path) -> None:
    """Of a text of a megabyte the page shows the beginning, and says so."""
    text = f"{CASE} " + "Unremarkable. " * 2_000 + "The end."
    folder = process(write_rows(tmp_path / "a.csv", [("R1", text)]), tmp_path / "run").folder
    page = (folder / "summary.html").read_text(encoding="utf-8")
    assert "only its beginning is shown" in page
    assert "The end." not in page


# Reading a run


def test_frames_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    """It is told by name."""
    with pytest.raises(RunError, match=r"no run folder \(it has no manifest\.json\)"):
        read_run(tmp_path)


def test_frames_of_a_damaged_run(archive: Path, tmp_path: Path) -> None:
    """A table that is gone or unreadable is told with what to do."""
    folder = process(archive, tmp_path / "run").folder
    (folder / "reports" / "part-00000.parquet").write_bytes(b"damaged")
    with pytest.raises(RunError, match="a table is missing or damaged"):
        read_run(folder)


# Progress


def test_progress_is_told_during_a_part(tmp_path: Path) -> None:
    """Every few reports, with counts and a fraction that only grows and ends at 1."""
    told: list[Progress] = []
    rows = [(f"R{n}", f"No fracture number {n}.") for n in range(60)]
    process(write_rows(tmp_path / "a.csv", rows), tmp_path / "run", on_progress=told.append)
    counts = [p.reports for p in told]
    assert counts[:3] == [0, 10, 20]
    assert counts[-1] == told[-1].done == 60
    fractions = [p.fraction for p in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert 0.4 < fractions[3] < 0.6
    assert all("encoding utf-8" in " ".join(p.chosen.values()) for p in told)


def test_progress_of_a_run_that_goes_on(archive: Path, tmp_path: Path, small_parts: None) -> None:
    """What an earlier call has done is counted as reports, not as done by this one."""
    folder = process(archive, tmp_path / "run").folder
    (folder / "parts" / "part-00001.json").unlink()
    told: list[Progress] = []
    process(archive, folder, on_progress=told.append)
    assert (told[-1].reports, told[-1].done, told[-1].rejects) == (6, 3, 2)
