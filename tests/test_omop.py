"""OMOP CDM NOTE tables: the standard's columns give the fields of a report, from CSV, TSV, Parquet or a query."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calcitrace.errors import SourceError
from calcitrace.model import Report
from calcitrace.sources import Query, read_reports

HEADER = (
    "note_id,person_id,note_date,note_datetime,note_type_concept_id,note_class_concept_id,note_title,note_text,"
    "encoding_concept_id,language_concept_id,provider_id,visit_occurrence_id,visit_detail_id,note_source_value,"
    "note_event_id,note_event_field_concept_id"
)
ROW = '1,7,2019-03-02,2019-03-02 10:30:00,32817,44814641,MR shoulder,"Deposit.\nNo mass.",32678,0,,,,ACC1,,'
NOTE = Report("1", "Deposit.\nNo mass.", "7", "2019-03-02", body_part="MR shoulder")


@pytest.mark.parametrize("end", [",", "\t"])
@pytest.mark.parametrize("upper", [False, True])
def test_a_note_table_as_text(upper: bool, end: str, read: Any, tmp_path: Path) -> None:
    """Comma or tab, names in any case: the columns are those of the standard."""
    header = HEADER.upper() if upper else HEADER
    (tmp_path / "note.csv").write_text(f"{header}\n{ROW}\n".replace(",", end))
    assert read(tmp_path / "note.csv", source="omop").only == NOTE
    assert read(tmp_path / "note.csv").only == NOTE


def test_a_note_table_as_parquet(read: Any, tmp_path: Path) -> None:
    """Integers and dates come as they are written."""
    day = datetime.date(2019, 3, 2)
    columns = {"note_id": [1], "person_id": [7], "note_date": [day], "note_title": ["MR shoulder"]}
    pq.write_table(pa.table({**columns, "note_text": ["Deposit.\nNo mass."]}), tmp_path / "note.parquet")
    assert read(tmp_path / "note.parquet", source="omop").only == NOTE


def test_a_table_that_is_no_note_table(read: Any, tmp_path: Path) -> None:
    """--from omop takes no other column in its place."""
    (tmp_path / "r.csv").write_text("note_id,text\n1,one\n")
    with pytest.raises(SourceError, match="no column 'note_text' for text"):
        read(tmp_path / "r.csv", source="omop")


def test_other_columns_can_be_asked_for(read: Any, tmp_path: Path) -> None:
    """The time, or the source's own id, instead of the standard's."""
    (tmp_path / "note.csv").write_text(f"{HEADER}\n{ROW}\n")
    columns = {"study_date": "note_datetime", "report_id": "note_source_value"}
    report = read(tmp_path / "note.csv", source="omop", columns=columns).only
    assert (report.report_id, report.study_date) == ("ACC1", "2019-03-02 10:30:00")


def test_the_query_of_the_readme(tmp_path: Path) -> None:
    """Sex stands in PERSON: the query shown joins it, over tables as the standard defines them."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (sql,) = re.findall(r"^```sql\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    with duckdb.connect(str(tmp_path / "cdm.duckdb")) as connection:
        connection.execute("create table person (person_id integer, gender_source_value varchar(50))")
        connection.execute("insert into person values (7, 'F'), (8, 'M')")
        connection.execute(
            "create table note (note_id integer, person_id integer, note_date date, note_title varchar(250),"
            " note_text text)"
        )
        connection.execute(
            "insert into note values (2, 8, '2019-03-02', 'MR shoulder left', 'x'),"
            " (3, 8, '2019-03-02', 'CT head', 'x'), (1, 7, '2019-03-02', 'MR shoulder', 'Deposit.')"
        )
    assert list(read_reports(Query(sql, f"duckdb:///{tmp_path}/cdm.duckdb"))) == [
        Report("1", "Deposit.", "7", "2019-03-02", body_part="MR shoulder", sex="F"),
        Report("2", "x", "8", "2019-03-02", body_part="MR shoulder left", sex="M"),
    ]
