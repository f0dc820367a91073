"""The same rows from Spark as from a run of one's own; what needs Spark is skipped, aloud, where it or Java is not."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from calcitrace import RunOptions, process, read_run
from calcitrace.errors import SourceError, StrictError, UsageError
from calcitrace.rerun import Rerun
from calcitrace.runfolder import read_manifest
from calcitrace.sparkinput import Reader, check_java, session, settings_of, without_secrets

EVALUATION = Path(__file__).parents[1] / "evaluation"
FIELDS = ("report_id", "patient_id", "study_date", "modality", "body_part", "text")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A small cluster of two executors in processes of their own."""
    if not importlib.util.find_spec("pyspark"):
        pytest.skip('NO PYSPARK HERE: THE SPARK ENGINE IS NOT TESTED; pip install "calcitrace[spark]"')
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("NO JAVA HERE: THE SPARK ENGINE IS NOT TESTED")
    settings = {"spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""), "spark.sql.shuffle.partitions": "4"}
    with session("local-cluster[2,1,1024]", settings) as found:
        yield found


@pytest.fixture(scope="module")
def campaign() -> Iterator[Any]:
    """The module evaluation/spark_campaign.py."""
    sys.path.insert(0, str(EVALUATION))
    try:
        yield importlib.import_module("spark_campaign")
    finally:
        sys.path.remove(str(EVALUATION))


@pytest.fixture(scope="module")
def rows(campaign: Any) -> list[dict[str, str]]:
    """Reports of the gold standard; a repeat, later versions, an id like that of one; and two rows that are none."""
    lines = (EVALUATION / "gold" / "train3.jsonl").read_text(encoding="utf-8").splitlines()[:40]
    found = [{f: json.loads(line)[f] for f in FIELDS} for line in lines]
    first, blank = found[0], dict.fromkeys(FIELDS, "")
    own = {**first, "report_id": f"{first['report_id']}~v2", "text": "Pain."}
    later = [first, {**first, "text": "No erosion."}, own, {**first, "text": "Pain."}]
    return [*found, *later, {**blank, "report_id": "empty"}, {**blank, "text": "No erosion."}]


@pytest.fixture(scope="module")
def archive(rows: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two Parquet files."""
    folder = tmp_path_factory.mktemp("spark") / "my archive"
    folder.mkdir()
    for name, part in (("one", rows[:30]), ("two", rows[30:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def local(archive: Path) -> Path:
    """The run of one's own over it."""
    return process(archive, archive.parent / "local").folder


@pytest.fixture(scope="module")
def run(spark: Any, archive: Path, campaign: Any) -> tuple[Path, dict[str, int]]:
    """The run on Spark over it, in parts of some 4 rows, with a Python worker killed in mid-partition."""
    from calcitrace import sparkrun

    folder = archive.parent / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparkrun, "PART_ROWS", 1)
        patch.setattr(sparkrun, "WAVE", 1)
        killer = campaign.Killer(folder, 1, (0.1, 0.2))
        struck = campaign.disturbed(lambda: sparkrun.run([str(archive)], folder), killer)
    return folder, struck


def test_a_dataframe_has_the_rows_of_a_run(spark: Any, rows: list[dict[str, str]], local: Path) -> None:
    """Reports, mentions and rejects, field by field, versions and repeats as well."""
    from calcitrace.spark import process as on_spark

    found = [r.asDict(recursive=True) for r in on_spark(spark.createDataFrame(rows).coalesce(1)).collect()]
    rejected = sorted((r["report_id"], r["reject_reason"]) for r in found if r["reject_reason"])
    assert rejected == [
        ("", "no report id in this row"),
        (rows[0]["report_id"], "repeated: same report id and same text as an earlier row"),
        ("empty", "empty text"),
    ]
    kept = {r["report_id"]: r for r in found if not r["reject_reason"]}
    reports = pq.read_table(local / "reports").to_pylist()
    assert len(kept) == len(reports) == 43
    for row in reports:
        assert {k: kept[row["report_id"]][k] for k in row} == row
    told = {m["mention_id"]: m for r in found for m in r["mentions"] or ()}
    assert told == {m["mention_id"]: m for m in pq.read_table(local / "mentions").to_pylist()}


def test_a_run_has_the_rows_of_a_local_one_though_a_worker_was_killed(
    run: tuple[Path, dict[str, int]], local: Path, campaign: Any
) -> None:
    """As sets: reports, mentions, and rejects with their file."""
    folder, struck = run
    assert struck == {"worker at work": 1}
    assert campaign.found_in(folder) == campaign.found_in(local)
    assert len(list(folder.glob("parts/*.json"))) == 46


def test_the_manifest_counts_by_file(run: tuple[Path, dict[str, int]]) -> None:
    """Rows are reports and rejects of each file, and what was chosen is told."""
    manifest = read_manifest(run[0])
    counts = [(f["name"], f["rows"], f["reports"], f["rejects"]) for f in manifest["inputs"]]
    assert counts == [("one.parquet", 30, 30, 0), ("two.parquet", 16, 13, 3)]
    assert manifest["inputs"][0]["path"].endswith("/my archive/one.parquet")
    assert manifest["inputs"][0]["chosen"].startswith("read by Spark as parquet, columns report_id = report_id, ")


def test_other_commands_read_the_reports_again(
    run: tuple[Path, dict[str, int]], local: Path, command: Any, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    """From the folder's own copy, under the same ids; a cohort of it has the members of a cohort of the local run."""
    folder = run[0]
    again = {(r.report_id, r.text, r.version_of) for r in Rerun(folder).reports()}
    assert again == {(r.report_id, r.text, r.version_of) for r in Rerun(local).reports()}
    assert command("show", "--run", folder, f"{rows[0]['report_id']}~v3").out.startswith("Pain.\n")
    assert "complete" in command("status", folder).out
    for name, source in (("one", local), ("two", folder)):
        assert command("cohort", source, "--out", tmp_path / name).code == 0
    one, two = (pd.read_parquet(tmp_path / name / "members.parquet") for name in ("one", "two"))
    assert len(one) > 1
    assert one.equals(two)


def test_a_run_goes_on_where_it_stopped(
    run: tuple[Path, dict[str, int]], archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts that are there stay; those that are not come out the same."""
    from calcitrace import sparkrun

    folder = run[0]
    before = {p: p.read_bytes() for t in ("reports", "mentions", "input") for p in (folder / t).iterdir()}
    kept = (folder / "parts/part-00001.json").stat().st_mtime_ns
    (folder / "parts/part-00000.json").unlink()
    monkeypatch.setattr(sparkrun, "PART_ROWS", 1)
    sparkrun.run([str(archive)], folder)
    assert {p: p.read_bytes() for t in ("reports", "mentions", "input") for p in (folder / t).iterdir()} == before
    assert (folder / "parts/part-00001.json").stat().st_mtime_ns == kept


def test_the_command_reads_csv_with_a_header_in_each_file(spark: Any, command: Any, tmp_path: Path) -> None:
    """Columns are chosen for each file; quotes and line breaks in a text are as everywhere; a reject ends with 3."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text('report_id,text\n1,"No ""erosion"".\nPain."\n', encoding="utf-8")
    (tmp_path / "in/b.csv").write_text("KOMMENTAR,note,accession\nPain.,x,2\n", encoding="utf-8")
    words = ["process", "--engine", "spark", tmp_path / "in", "--out", tmp_path / "run"]
    ended = command(*words)
    assert ended.code == 4
    said = "in/b.csv: no column of report text; columns are: KOMMENTAR, note, accession. Name it with --text-column"
    assert said in ended.err
    (tmp_path / "in/b.csv").write_text("BEFUND;accession\nPain.;2\n", encoding="utf-8")
    assert "it has only 1 column: --spark-option sep=DELIMITER splits it" in command(*words).err
    (tmp_path / "in/b.csv").write_text("text,note,accession\nPain.,x,2\n,y,3\n", encoding="utf-8")
    (tmp_path / "in/a.csv").write_text(
        'report_id,text,dob,date\n1,"No ""erosion"".\nPain.",13.05.1960,12.05.2021\n', encoding="utf-8"
    )
    ended = command(*words, "--date-order", "dmy")
    assert (ended.code, "rejected b.csv: empty text" in ended.err) == (3, True)
    assert read_run(tmp_path / "run")[0].set_index("report_id")["age"].to_dict() == {"1": "60", "2": ""}
    assert {r.report_id: r.text for r in Rerun(tmp_path / "run").reports()} == {
        "1": 'No "erosion".\nPain.',
        "2": "Pain.",
    }


def test_dates_and_ages_that_cannot_be_read_are_told(spark: Any, command: Any, tmp_path: Path) -> None:
    """As of a local run, but of all files together and without a place."""
    (tmp_path / "r.csv").write_text(
        "report_id,text,date,age,dob\n1,Pain.,n/a,63,\n2,Pain.,03.04.2021,old,\n3,Pain.,,,1960-01-01\n"
        "4,Pain.,2020-01-01,,1960-01-01\n",
        encoding="utf-8",
    )
    said = command("process", "--engine", "spark", tmp_path / "r.csv", "--out", tmp_path / "run").err
    assert "r.csv: note: study dates that cannot be read: 1; a cohort" in said
    assert "r.csv: note: study dates in which day and month could be either way: 1; a cohort" in said
    assert "r.csv: note: ages that cannot be read: 1; a cohort" in said
    assert "r.csv: note: birth dates that leave the age at the study unknown: 1; both dates must be readable; " in said


def test_report_text_that_is_not_read_is_told(spark: Any, command: Any, tmp_path: Path) -> None:
    """As of a local run: whoever names one column of text may not know that the impression stands in another."""
    long = "No fracture of the hip and no effusion. " * 4
    rows = [
        {"id": "1", "BERICHT": "Pain.", "IMPR.TXT": long, "n": 1},
        {"id": "2", "BERICHT": "Pain.", "IMPR.TXT": long},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    words = ("process", "--engine", "spark", tmp_path / "r.parquet", "--text-column", "BERICHT", "--out")
    said = command(*words, tmp_path / "run").err
    options = '--findings-column "BERICHT" --impression-column "IMPR.TXT"'
    assert f"r.parquet: note: not read, but looks like report text: IMPR.TXT; {options}" in said
    assert "birth dates" not in said


def test_a_view_of_the_catalog_by_its_name(spark: Any, command: Any, tmp_path: Path) -> None:
    """Dates and numbers become text as everywhere."""
    frame = spark.createDataFrame([(7, "Pain.", date(2020, 1, 2))], "note_id int, note_text string, note_date date")
    frame.createOrReplaceTempView("my_notes")
    assert command("process", "--engine", "spark", "my_notes", "--out", tmp_path / "run").code == 0
    assert read_run(tmp_path / "run")[0][["report_id", "study_date"]].values.tolist() == [["7", "2020-01-02"]]


DATABASE = """
import sys
from calcitrace.cli import main
from calcitrace.sparkinput import session

with session("local[1]", {"spark.sql.shuffle.partitions": "1"}) as spark:
    notes = spark.createDataFrame([("7", "Mrs Miller has pain.")], "note_id string, note_text string")
    notes.write.jdbc(sys.argv[4], "notes")
    main()
"""


def test_a_table_of_a_database(spark: Any, tmp_path: Path) -> None:
    """JDBC (Derby, which Spark brings and one process can open); no password is kept, and no text is told."""
    words = ["process", "--engine", "spark", f"jdbc:derby:{tmp_path / 'db'};create=true;password=geheim"]
    words += ["--spark-option", "dbtable=notes", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", DATABASE, *words], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[:3]) == (0, ["rows", "read", "1"])
    assert read_run(tmp_path / "run")[0]["report_id"].tolist() == ["7"]
    assert "geheim" not in (tmp_path / "run/manifest.json").read_text(encoding="utf-8")
    assert "Miller" not in done.stdout + done.stderr


def test_values_become_the_text_that_a_local_run_reads(spark: Any, tmp_path: Path, campaign: Any) -> None:
    """Whole numbers without decimals, ISO dates, nothing for null and NaN; ids of an unknown column are empty."""
    table = pa.table(
        {
            "report_id": pa.array([12345678901.0, 2.5, float("nan"), None]),
            "text": ["Pain.", "Pain.", "Pain.", "Pain."],
            "study_date": pa.array(
                [datetime(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5), None, None], pa.timestamp("us")
            ),
            "age": pa.array([45, 46, None, None]),
            "sex": [True, False, None, None],
        }
    )
    pq.write_table(table, tmp_path / "r.parquet")
    process(tmp_path / "r.parquet", tmp_path / "local")
    from calcitrace import sparkrun

    sparkrun.run([str(tmp_path / "r.parquet")], tmp_path / "run")
    assert campaign.found_in(tmp_path / "run") == campaign.found_in(tmp_path / "local")


def test_a_table_without_rows_is_an_empty_run(spark: Any, tmp_path: Path) -> None:
    """As a local run of it is."""
    from calcitrace import sparkrun

    (tmp_path / "r.csv").write_text("report_id,text\n", encoding="utf-8")
    assert sparkrun.run([str(tmp_path / "r.csv")], tmp_path / "run").rows == 0
    assert [len(f) for f in read_run(tmp_path / "run")] == [0, 0]


def test_errors_name_the_input(spark: Any, archive: Path, tmp_path: Path) -> None:
    """What Spark cannot read, lacks, or should not do; and a strict run stops."""
    from calcitrace import sparkrun

    out = tmp_path / "run"
    pc.write_csv(pa.table({"text": ["Pain."]}), tmp_path / "no_id.csv")
    with pytest.raises(SourceError, match=r"no_id.csv: no column of report ids.* --id-column"):
        sparkrun.run([str(tmp_path / "no_id.csv")], out)
    with pytest.raises(SourceError, match=r"gone.parquet: Spark cannot read it \(PATH_NOT_FOUND\)"):
        sparkrun.run([str(tmp_path / "gone.parquet")], out)
    with pytest.raises(SourceError, match="gone: no known ending, and no table of Spark's catalog"):
        sparkrun.run(["gone"], out)
    with pytest.raises(UsageError, match="mode=FAILFAST"):
        sparkrun.run([str(archive)], out, reader=Reader("", {"mode": "failfast"}))
    with pytest.raises(UsageError, match="dbtable"):
        sparkrun.run(["jdbc:derby:x"], out)
    nested = spark.createDataFrame([("1", ["a"])], "report_id string, text array<string>")
    nested.createOrReplaceTempView("nested")
    with pytest.raises(SourceError, match=r"holds no single values \(array\)"):
        sparkrun.run(["nested"], out)
    with pytest.raises(StrictError, match=r"two.parquet: .*; stopped because of --strict"):
        sparkrun.run([str(archive)], out, strict=True)


def test_what_spark_knows_itself_is_refused(spark: Any, rows: list[dict[str, str]]) -> None:
    """An encoding is nothing to tell a DataFrame, and its rows have no number to make an id of."""
    from calcitrace.spark import process as on_spark

    frame = spark.createDataFrame(rows)
    with pytest.raises(UsageError, match="Spark's to know"):
        on_spark(frame, options=RunOptions(encoding="utf-8"))
    with pytest.raises(SourceError, match="no column of report ids"):
        on_spark(frame.drop("report_id"))


# Without Spark


def test_a_fault_in_a_worker_tells_nothing_of_its_rows() -> None:
    """Spark logs what a worker raises: kind and place, and no text."""
    from calcitrace.sparkrun import _maker

    def no_pack() -> Any:
        raise ValueError("Calcification of Mrs Miller")

    with pytest.raises(RuntimeError, match=r"^calcitrace fault: ValueError at test_spark.py:\d+$") as caught:
        list(_maker(no_pack, {})(iter([])))
    assert caught.value.__suppress_context__


def test_without_java_the_error_says_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None, or one that is too old."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match=r"needs Java 17 or 21; JAVA_HOME \(.*\) holds none"):
        check_java()
    java = tmp_path / "bin/java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    with pytest.raises(UsageError, match="needs Java 17 or 21; here is Java 8"):
        check_java()


def test_without_pyspark_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, command: Any, tmp_path: Path
) -> None:
    """One line, exit code 2, and no folder."""
    monkeypatch.setitem(sys.modules, "pyspark", None)
    ended = command("process", "--engine", "spark", "r.csv", "--out", tmp_path / "run")
    assert (ended.code, 'pip install "calcitrace[spark]"' in ended.err) == (2, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "spark", "--workers", 2, "--from", "hl7"], "--from, --workers: not with --engine spark"),
        (["--master", "yarn"], "--master: not with --engine local"),
        (["--engine", "flink"], "--engine 'flink' is not one of local, spark"),
        (["--engine", "spark", "--spark-option", "sep"], "--spark-option 'sep' is not of the form KEY=VALUE"),
    ],
)
def test_options_of_the_other_engine_are_refused(command: Any, tmp_path: Path, words: list[Any], said: str) -> None:
    """Rather than passed over."""
    ended = command("process", "r.csv", "--out", tmp_path / "run", *words)
    assert (ended.code, said in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("word", "kept"),
    [
        ("password=geheim", "password=***"),
        ("spark.hadoop.fs.s3a.secret.key=geheim", "spark.hadoop.fs.s3a.secret.key=***"),
        (
            "jdbc:postgresql://host/ris?user=me&password=ge+heim&ssl=1",
            "jdbc:postgresql://host/ris?user=me&password=***&ssl=1",
        ),
        ("jdbc:oracle:thin:me/geheim@//host:1521/ris", "jdbc:oracle:***@//host:1521/ris"),
        ("dbtable=notes", "dbtable=notes"),
    ],
)
def test_passwords_are_not_kept(word: str, kept: str) -> None:
    """Neither in options nor in URLs."""
    assert without_secrets(word) == kept


def test_options_are_pairs() -> None:
    """All after the first = is the value."""
    assert settings_of(["query=select 1 where a = 2", "sep="]) == {"query": "select 1 where a = 2", "sep": ""}
