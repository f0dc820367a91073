"""The tables of a run: their columns, what UTF-8 and CSV can hold, and bytes that depend on the rows alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcitrace import Annotator, Report, RuleSet
from calcitrace.assess import assess
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.tables import (
    MENTION_COLUMNS,
    REPORT_COLUMNS,
    clean,
    mention_row,
    parquet_bytes,
    report_row,
    safe_cell,
    schema,
    six_digits,
    write_csv,
)

TEXT = "No fracture. 8 mm calcific deposit in the right supraspinatus tendon."


@pytest.fixture(scope="module")
def rows(annotator: Annotator, rules: RuleSet) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The table rows of one report whose metadata hold what tables find hard."""
    report = Report("R\ud800", TEXT, patient_id="=1+1", study_date="\udfff", modality="MR", body_part="a\nb")
    annotated = annotator.annotate(report)
    mentions = [mention_row(report.report_id, m) for m in annotated.mentions]
    assessment = assess(annotated, rules, rules.cases[DEFAULT_CASE])
    return report_row(report, assessment, len(mentions), rules.hash), mentions


def test_rows_hold_the_columns_and_nothing_else(rows: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """A value without a column would be lost in silence; a column without a value would be null."""
    report, mentions = rows
    assert list(report) == list(REPORT_COLUMNS)
    assert [list(m) for m in mentions] == [list(MENTION_COLUMNS)] * len(mentions)


def test_every_column_is_explained() -> None:
    """Type and meaning of each stand beside its name."""
    columns = {**REPORT_COLUMNS, **MENTION_COLUMNS}
    assert [name for name, (kind, meaning) in columns.items() if not kind or len(meaning) < 4] == []


def test_a_mention_row(rows: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """All that was read of a mention, in plain values, with the words that decided its assertion."""
    fracture = next(m for m in rows[1] if m["finding"] == "fracture")
    assert (fracture["start"], fracture["end"], fracture["text"]) == (3, 11, "fracture")
    assert [fracture[k] for k in ("presence", "temporality", "experiencer", "assertion", "change")] == [
        "absent", "current", "patient", "absent", "none",
    ]  # fmt: skip
    assert [(c["text"], c["start"], c["end"]) for c in fracture["cues"]] == [("No", 0, 2)]
    assert all(isinstance(value, str | int | list | None) for value in fracture.values())


def test_rows_can_be_written(rows: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """Lone surrogates in ids and metadata do not keep a row from its table."""
    table = pd.read_parquet(io.BytesIO(parquet_bytes([rows[0]], REPORT_COLUMNS)))
    assert table.loc[0, ["report_id", "patient_id", "study_date", "body_part"]].tolist() == ["R?", "=1+1", "?", "a\nb"]
    assert len(pd.read_parquet(io.BytesIO(parquet_bytes(rows[1], MENTION_COLUMNS)))) == len(rows[1])


def test_the_same_rows_give_the_same_bytes(rows: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """Nothing but the rows goes into a table file."""
    assert parquet_bytes(rows[1], MENTION_COLUMNS) == parquet_bytes(list(rows[1]), MENTION_COLUMNS)


def test_an_empty_table_has_its_columns() -> None:
    """No mention at all is a table too, with types."""
    table = pd.read_parquet(io.BytesIO(parquet_bytes([], MENTION_COLUMNS)))
    assert list(table.columns) == list(MENTION_COLUMNS) == schema(MENTION_COLUMNS).names
    assert len(table) == 0


@given(st.text(st.characters(exclude_categories=())))
def test_clean_keeps_every_character_in_its_place(text: str) -> None:
    """Only lone surrogates change, one for one, so that offsets stay true; the result is valid UTF-8."""
    made = clean(text)
    assert made.encode("utf-8").decode("utf-8") == made
    assert [a for a, b in zip(text, made, strict=True) if a != b and not "\ud800" <= a <= "\udfff"] == []


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u00a0=1",
        "\0=1",
        "\uff1d1",
        "\uff20x",
        "- no",
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_safe(text: str) -> None:
    """A leading apostrophe makes it text; this holds behind blanks and for full-width signs."""
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", "Pain", "'tis", "-5", "+12.5", "-0.1", "2019-03-02", "a=b", None, -5, 0.5, True])
def test_what_no_spreadsheet_would_run_is_left_alone(value: Any) -> None:
    """Words, numbers, dates and empty cells are written as they are."""
    assert safe_cell(value) == value


def test_lists_become_json() -> None:
    """Cues and evidence can be read again from CSV."""
    cues = [{"text": "=no", "start": 0, "end": 3, "rule_id": "c"}]
    assert json.loads(safe_cell(cues)) == cues


def test_csv_holds_the_table(rows: tuple[dict[str, Any], list[dict[str, Any]]], tmp_path: Path) -> None:
    """Joined parts, one header, nulls empty, and text that comes back as it was but for the apostrophe."""
    part = tmp_path / "part.parquet"
    part.write_bytes(parquet_bytes([rows[0]], REPORT_COLUMNS))
    out = io.StringIO(newline="")
    write_csv([part, part], out)
    first, second = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    assert first == second
    assert list(first) == list(REPORT_COLUMNS)
    assert (first["report_id"], first["patient_id"], first["body_part"]) == ("R?", "'=1+1", "a\nb")
    assert (first["case_probability"], first["likely_case"], first["evidence"]) == ("", "False", "[]")


def test_a_probability_has_six_digits() -> None:
    """Significant ones: small probabilities keep their order, which decimals would level; none stays none."""
    told = [six_digits(p) for p in (0.12345678, 0.000123456789, 1.5e-12, 0.5, None)]
    assert told == [0.123457, 0.000123457, 1.5e-12, 0.5, None]


def test_no_other_delimiter_can_split_a_cell() -> None:
    """Where a spreadsheet splits at semicolons or tabs, a formula after one would run; quotes keep cells whole."""
    out = io.StringIO()
    part = io.BytesIO(parquet_bytes([{"report_id": "a;=1+1", "text": "b\t=2"}], MENTION_COLUMNS))
    write_csv([part], out)  # type: ignore[list-item]
    row = out.getvalue().splitlines()[1]
    assert row.startswith('"a;=1+1",')
    assert '"b\t=2"' in row
