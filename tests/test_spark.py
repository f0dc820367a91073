"""The same rows from Spark as from a run of one's own; skipped, aloud, where there is no Spark or no Java."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from calcitrace import RunOptions, process
from calcitrace.errors import UsageError

pytest.importorskip("pyspark", reason="PySpark is not installed: pip install 'calcitrace[spark]'")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("NO JAVA HERE: the Spark engine is not tested", allow_module_level=True)

GOLD = Path(__file__).parents[1] / "evaluation" / "gold"
FIELDS = ("report_id", "patient_id", "study_date", "modality", "body_part", "text")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A small cluster of two workers in processes of their own."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
    session = builder.config("spark.executorEnv.PYTHONPATH", os.environ.get("PYTHONPATH", "")).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Reports of the gold standard, and two rows that are none."""
    lines = (GOLD / "train3.jsonl").read_text(encoding="utf-8").splitlines()[:60]
    found = [{f: json.loads(line)[f] for f in FIELDS} for line in lines]
    blank = dict.fromkeys(FIELDS, "")
    return [*found, {**blank, "report_id": "empty"}, {**blank, "text": "No erosion."}]


def test_the_rows_are_those_of_a_run(spark: Any, rows: list[dict[str, str]], tmp_path: Path) -> None:
    """Reports, mentions and rejects, field by field."""
    from calcitrace.spark import process as on_spark

    source = tmp_path / "reports.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    process(source, tmp_path / "run")
    reports = pq.read_table(tmp_path / "run" / "reports").to_pylist()
    mentions = pq.read_table(tmp_path / "run" / "mentions").to_pylist()
    found = [r.asDict(recursive=True) for r in on_spark(spark.createDataFrame(rows).repartition(3)).collect()]
    rejected = {r["report_id"]: r["reject_reason"] for r in found if r["reject_reason"]}
    assert rejected == {"empty": "empty text", "": "no report id in this row"}
    kept = {r["report_id"]: r for r in found if not r["reject_reason"]}
    assert len(kept) == len(reports) == 60
    for row in reports:
        assert {k: kept[row["report_id"]][k] for k in row} == row
    told = {m["mention_id"]: m for r in found for m in r["mentions"] or ()}
    assert told == {m["mention_id"]: m for m in mentions}


def test_what_spark_knows_itself_is_refused(spark: Any, rows: list[dict[str, str]]) -> None:
    """An encoding is nothing to tell a DataFrame."""
    from calcitrace.spark import process as on_spark

    with pytest.raises(UsageError, match="Spark's to know"):
        on_spark(spark.createDataFrame(rows), RunOptions(encoding="utf-8"))
