"""Sources: every format, encoding and oddity gives its reports, and what is no report is a reject with its place."""

from __future__ import annotations

import contextlib
import csv
import datetime
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from conftest import Got, read_all
from hypothesis import given, settings
from hypothesis import strategies as st

from calcitrace.annotate import Annotator
from calcitrace.errors import CalcitraceError, SourceError, StrictError, UsageError
from calcitrace.model import Reject, Report
from calcitrace.rules import load_rules
from calcitrace.sources import SOURCES, Options, Tally, choose_columns, expand, read_reports

TEXT = 'Calcific deposit, 8 mm.\nHe said "sore"; no erosion.\n\nIMPRESSION: tendinopathy\u00a0\u2013 caf\u00e9.'
ROWS = [("007", TEXT), ("A-1", "No fracture."), ("0001234567890123456789", "Second line\nunder it.")]


def read(inputs: Any, columns: dict[str, str] | None = None, encoding: str = "auto", delimiter: str = "auto") -> Got:
    """Read inputs to the end; whatever comes, every row is a report or a reject."""
    return read_all(inputs, Options(columns or {}, encoding, delimiter))


def csv_bytes(rows: Sequence[Sequence[str]], delimiter: str = ",", encoding: str = "utf-8", end: str = "\n") -> bytes:
    """A CSV file, every cell in quotes."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue().encode(encoding)


def parquet_bytes(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet file of these columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, **options)
    return bytes(sink.getvalue().to_pybytes())


def xlsx_bytes(cells: dict[tuple[int, int], Any]) -> bytes:
    """A workbook with these cells (row, column from 0) in its first sheet; texts are written as texts."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet, dates = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
    for (row, column), value in cells.items():
        if isinstance(value, datetime.date):
            sheet.write_datetime(row, column, value, dates)
        elif isinstance(value, str):
            sheet.write_string(row, column, value)
        else:
            sheet.write(row, column, value)
    book.close()
    return out.getvalue()


def grid(rows: Sequence[Sequence[Any]]) -> dict[tuple[int, int], Any]:
    """Rows as cells by place."""
    return {(r, c): value for r, row in enumerate(rows) for c, value in enumerate(row)}


def as_format(name: str, rows: Sequence[tuple[str, str]]) -> bytes:
    """Rows of report id and text as a file of one format."""
    table = [("report_id", "text"), *rows]
    if name == "parquet":
        ids, texts = zip(*rows, strict=True)
        return parquet_bytes({"report_id": ids, "text": texts})
    if name == "jsonl":
        return "".join(json.dumps({"report_id": i, "text": t}) + "\n" for i, t in rows).encode()
    if name == "xlsx":
        return xlsx_bytes(grid(table))
    return csv_bytes(table, "\t" if name == "tsv" else ",")


def put(folder: Path, name: str, data: bytes | str) -> Path:
    """Write a file, text as UTF-8 with its line ends as they are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return path


TABLES = ["csv", "tsv", "jsonl", "parquet", "xlsx"]


# Formats

BROKEN_OFF = gzip.compress(b"id,text\n1,a\n", mtime=0)[:12]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_format_gives_ids_and_texts_as_they_are(name: str, packed: bool, tmp_path: Path) -> None:
    """Leading zeros, quotes, delimiters, newlines, NBSP and accents come through in each format, plain or gzip."""
    data = as_format(name, ROWS)
    path = put(tmp_path, f"r.{name}{'.gz' if packed else ''}", gzip.compress(data) if packed else data)
    assert read(path).texts == ROWS


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_folder_of_texts_gives_one_report_a_file(packed: bool, tmp_path: Path) -> None:
    """The report id is the file's path in the folder without its ending; files come in sorted order."""
    for name, text in (("b", "Two."), ("a", TEXT), ("2019/007", "Three.")):
        data = text.encode()
        put(tmp_path, f"{name}.txt{'.gz' if packed else ''}", gzip.compress(data) if packed else data)
    assert read(tmp_path).texts == [("2019/007", "Three."), ("a", TEXT), ("b", "Two.")]


def test_one_text_file_is_one_report(tmp_path: Path) -> None:
    """A single .txt is read as it is, ending in upper case too."""
    assert read(put(tmp_path, "case 12.TXT", "No fracture.")).texts == [("case 12", "No fracture.")]


def test_several_inputs_come_in_the_order_given(tmp_path: Path) -> None:
    """Files of different formats make one stream."""
    one, two = put(tmp_path, "z.csv", "id,text\n1,a\n"), put(tmp_path, "a.jsonl", '{"id": "2", "text": "b"}')
    assert read([one, two]).texts == [("1", "a"), ("2", "b")]


@pytest.mark.parametrize(
    ("ending", "text"), [("ndjson", '{"id":"1","text":"a"}'), ("tab", "id\ttext\n1\ta"), ("pq", "")]
)
def test_other_endings_of_the_same_formats(ending: str, text: str, tmp_path: Path) -> None:
    """.ndjson is JSONL, .tab is TSV, .pq is Parquet."""
    data = text or parquet_bytes({"id": ["1"], "text": ["a"]})
    assert read(put(tmp_path, f"r.{ending}", data)).texts == [("1", "a")]


def test_formats_that_are_read() -> None:
    """The formats of the contract are all there; others may be added."""
    assert set(SOURCES) >= {*TABLES, "txt", "hl7", "fhir", "omop"}


# Encodings


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark", "utf-16-le", "utf-16-be", "utf-32", "windows-1252"]


def encoded(text: str, encoding: str) -> bytes:
    """Text in an encoding; `-mark` puts the byte order mark before it."""
    return f"\ufeff{text}".encode(encoding.removesuffix("-mark")) if "-mark" in encoding else text.encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["csv", "jsonl", "txt"])
def test_the_encoding_is_told_by_the_bytes(name: str, encoding: str, tmp_path: Path) -> None:
    """UTF-8 with and without a mark, UTF-16 and UTF-32, and Windows-1252 are read without being asked for."""
    text = (
        "Sizes 3\u20134 mm, \u201ccomet\u201d tail at 45\u00b0, na\u00efve caf\u00e9. No erosion of the humeral head."
    )
    rows = {"csv": f'report_id,text\nr,"{text}"\n', "jsonl": f'{{"report_id": "r", "text": "{text}"}}\n', "txt": text}
    assert read(put(tmp_path, f"r.{name}", encoded(rows[name], encoding))).texts == [("r", text)]


def test_one_file_may_mix_utf8_and_windows_1252(tmp_path: Path) -> None:
    """Archives are put together from several systems: each line is read in its own encoding, and it is told."""
    path = put(tmp_path, "r.csv", "id,text\n1,caf\u00e9\n".encode() + "2,caf\u00e9 \u2013\n".encode("windows-1252"))
    got = read(path)
    assert got.texts == [("1", "caf\u00e9"), ("2", "caf\u00e9 \u2013")]
    assert got.tally.chosen[str(path)].endswith("1 line not UTF-8, read as windows-1252")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["caf\u00e9", "plain", "na\u00efve"], ""),
        (["caf\u00e9", "plain"] * 9_000, ""),  # more than is looked at to tell it
        (["caf\u00e9", "utf-8 \u00e9", "utf-8 \u00e9"], ", 1 line not UTF-8, read as windows-1252"),
        (["caf\u00e9"] * 9_000 + ["utf-8 \u00e9"], ", 1 line read as UTF-8"),
        (["plain"] * 9_000 + ["caf\u00e9"], ", 1 line not UTF-8, read as windows-1252"),
    ],
)
def test_a_file_of_windows_1252_throughout_is_told_as_one(rows: list[str], told: str, tmp_path: Path) -> None:
    """By its first lines, before it is read; lines of the other encoding are told at the end."""
    lines = [f"{n},{row}\n".encode("utf-8" if "utf-8" in row else "windows-1252") for n, row in enumerate(rows)]
    path = put(tmp_path, "r.csv", b"id,text\n" + b"".join(lines))
    got = read(path)
    assert [text for _, text in got.texts] == rows
    first = rows[0] == "plain" or rows[1].startswith("utf-8")
    said = f"encoding {'utf-8' if first else 'windows-1252'}, delimiter ',', columns report_id = id, text = text{told}"
    assert got.tally.chosen[str(path)] == said


def test_an_encoding_that_is_asked_for_is_kept_to(tmp_path: Path) -> None:
    """With --encoding utf-8 a row with other bytes is a reject; the rows around it are read."""
    data = "id,text\n1,caf\u00e9\n".encode() + "2,caf\u00e9\n".encode("windows-1252") + b"3,plain\n"
    got = read(put(tmp_path, "r.csv", data), encoding="utf-8")
    assert got.texts == [("1", "caf\u00e9"), ("3", "plain")]
    assert got.reasons == [(3, "bytes that are not valid in this encoding")]


def test_bytes_that_windows_1252_does_not_know(tmp_path: Path) -> None:
    """The five undefined bytes become the replacement character, one for one."""
    got = read(put(tmp_path, "r.csv", b"id,text\n1,a\x81b\xe9\n"), encoding="windows-1252")
    assert got.texts == [("1", "a\ufffdb\u00e9")]


def test_a_few_zero_bytes_do_not_make_utf16(tmp_path: Path) -> None:
    """A short UTF-8 text with NULs stays UTF-8."""
    assert read(put(tmp_path, "r.txt", "a\0\0bc\0de")).texts == [("r", "a\0\0bc\0de")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lone_surrogates_in_bytes_are_kept_in_the_text(encoding: str, tmp_path: Path) -> None:
    """A half of a surrogate pair, as careless exports write it, is one character; offsets do not move."""
    data = "id,text\n1,a\ud83d b\n".encode(encoding, "surrogatepass")
    assert read(put(tmp_path, "r.csv", data)).texts == [("1", "a\ud83d b")]


def test_lone_surrogates_in_json_escapes(tmp_path: Path) -> None:
    """In the text they are kept; in an id, which tables must hold, they become question marks."""
    path = put(tmp_path, "r.jsonl", '{"id": "x\\udc9d", "text": "a\\ud800b"}\n{"id": "x\\ud801", "text": "c"}\n')
    got = read(path)
    assert got.texts == [("x?", "a\ud800b"), ("x?~v2", "c")]


def test_utf16_cut_in_the_middle_of_a_character(tmp_path: Path) -> None:
    """What was whole is read; the break is one reject that says so."""
    got = read(put(tmp_path, "r.csv", "id,text\n1,a\n2,b\n".encode("utf-16") + b"x"))
    assert got.texts == [("1", "a"), ("2", "b")]
    assert got.reasons == [(4, "the file is broken after row 3 (not valid utf-16-le); the rest was not read")]


@pytest.mark.parametrize("name", ["klingon", "rot13", "a\0b"])
def test_an_encoding_that_does_not_exist(name: str, tmp_path: Path) -> None:
    """It is a wrong use, told before anything is read."""
    with pytest.raises(UsageError, match="is no known text encoding; try utf-8, utf-16 or windows-1252"):
        read(put(tmp_path, "r.csv", "id,text\n1,a\n"), encoding=name)


# Texts


@pytest.mark.parametrize(
    "text",
    ["a\r\nb", "a\rb", "a\n\n\nb", "a\tb", "a\0b", "\u00a0a\u00a0", "  a  ", "a\x0bb\x0cc\x85d\u2028e", "a\ufeffb"],
    ids=["CRLF", "CR", "blank lines", "tab", "NUL", "NBSP", "blanks", "other line ends", "zero-width"],
)
@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "txt"])
def test_the_text_is_never_changed(name: str, text: str, tmp_path: Path) -> None:
    """Offsets index the original text, so white space and odd characters stay exactly as they are."""
    data = text.encode() if name == "txt" else as_format(name, [("r", text)])
    assert read(put(tmp_path, f"r.{name}", data)).texts == [("r", text)]


@pytest.mark.parametrize("text", ["", " ", "\n\t\r\n", "\u00a0", "\0\0", "\u2003\u2009"])
@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet", "txt"])
def test_a_text_without_words_is_a_reject(name: str, text: str, tmp_path: Path) -> None:
    """Nothing but white space and NULs is an empty text, told with the report id."""
    data = text.encode() if name == "txt" else as_format(name, [("r", text)])
    got = read(put(tmp_path, f"r.{name}", data))
    assert [(r.source, r.reason, r.report_id) for r in got.rejects] == [(f"r.{name}", "empty text", "r")]


@pytest.mark.parametrize("name", ["csv", "jsonl", "txt"])
def test_one_megabyte_on_one_line(name: str, tmp_path: Path) -> None:
    """A report may be one line of a million characters."""
    text = "unremarkable " * 80_000
    data = text.encode() if name == "txt" else as_format(name, [("r", text)])
    assert read(put(tmp_path, f"r.{name}", data)).texts == [("r", text)]


@pytest.mark.parametrize("name", ["csv", "jsonl", "txt"])
def test_a_text_beyond_all_measure_is_a_reject(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit (20 million characters) keeps a wrong file from filling the memory; the rows around it are read."""
    for module in ("reading", "delimited", "formats", "jsonlines"):
        monkeypatch.setattr(f"calcitrace.sources.{module}.MAX_TEXT", 1000)
    rows = [("1", "before"), ("2", "x" * 3500), ("3", "after")]
    data = b"x" * 3500 if name == "txt" else as_format(name, rows)
    got = read(put(tmp_path, f"r.{name}", data))
    assert [r.reason.rpartition(" of ")[2] for r in got.rejects] == ["more than 1,000 characters"]
    assert got.texts == ([] if name == "txt" else [rows[0], rows[2]])


@given(
    st.lists(st.tuples(st.integers(0, 99).map(str), st.text(st.characters(codec="utf-8"), min_size=1)), max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(deadline=None, max_examples=150)
def test_whatever_csv_can_hold_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str, encoding: str, end: str
) -> None:
    """Any texts, written as CSV in any usual way, are read as they were, each row as a report or a reject."""
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    path.write_bytes(csv_bytes([("report_id", "text"), *rows], delimiter, encoding, end))
    got = read(path)
    assert got.tally.rows == len(rows)
    assert {(r.version_of or r.report_id, r.text) for r in got.reports} == {
        (i, t) for i, t in rows if not t.isspace() and t.strip("\0 \t\r\n\v\f\xa0\ufeff")
    }


@given(
    st.binary(max_size=200), st.sampled_from(["csv", "tsv", "jsonl", "txt", "xlsx", "parquet", "csv.gz", "jsonl.gz"])
)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str) -> None:
    """No content makes a reader fail in any way but ours, and every row is counted (checked in `read`)."""
    path = tmp_path_factory.mktemp("bytes") / f"r.{ending}"
    path.write_bytes(b"report_id,text\n" * (ending == "csv") + data)
    with contextlib.suppress(CalcitraceError):
        read(path)


# Ids, versions and repeats


def test_json_numbers_are_kept_as_they_are_written(tmp_path: Path) -> None:
    """A number as id loses no digit and gains none."""
    ids = ["7.10", "12345678901234567890123", "1e5", "-0"]
    path = put(tmp_path, "r.jsonl", "".join(f'{{"report_id": {i}, "text": "a"}}\n' for i in ids))
    assert [r.report_id for r in read(path).reports] == ids


def test_cells_with_an_excel_error_are_told(tmp_path: Path) -> None:
    """A row whose id, patient or text is an error is rejected, not lost; elsewhere an error is an empty cell."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet("Reports")
    sheet.write_row(0, 0, ["report_id", "patient_id", "study_date", "text"])
    for row in range(1, 5):
        sheet.write_row(row, 0, [f"r{row}", "P1", "2020-01-01", "No fracture."])
    for row, columns in ((1, (0, 1, 2, 3)), (2, (3,)), (3, (2,))):
        for column in columns:
            sheet.write_formula(row, column, "=NA()", None, "#N/A")
    book.add_worksheet("Other").write_formula(4, 0, "=NA()", None, "#N/A")
    book.close()
    rejects: list[Reject] = []
    found = list(read_reports(put(tmp_path, "a.xlsx", out.getvalue()), on_reject=rejects.append))
    assert [(r.report_id, r.study_date) for r in found] == [("r3", ""), ("r4", "2020-01-01")]
    assert [(r.row, "Excel error" in r.reason) for r in rejects] == [(2, True), (3, True)]


def test_numbers_as_ids_in_parquet_and_xlsx(tmp_path: Path) -> None:
    """Whole numbers have no decimals, also where the column is of floats."""
    table = put(tmp_path, "a.parquet", parquet_bytes({"report_id": [1.0, 2.0, None], "text": ["a", "b", "c"]}))
    sheet = put(tmp_path, "b.xlsx", xlsx_bytes(grid([("report_id", "text"), (3, "c"), (10**15, "d")])))
    assert read([table, sheet]).texts == [("1", "a"), ("2", "b"), ("3", "c"), ("1000000000000000", "d")]


def test_ids_with_blanks_and_marks_are_kept(tmp_path: Path) -> None:
    """An id is a string exactly as given."""
    rows = [(" 12 ", "a"), ("AB/12-3", "b"), ("\u00dc1", "c"), ("=1+1", "d")]
    assert read(put(tmp_path, "r.csv", csv_bytes([("id", "text"), *rows]))).texts == rows


def test_a_source_without_ids_gets_them_from_file_and_row(tmp_path: Path) -> None:
    """The id made is file name and row, the same on every run."""
    assert read(put(tmp_path, "r.csv", "text\nfoo\nbar\n")).texts == [("r.csv:2", "foo"), ("r.csv:3", "bar")]


def test_a_row_without_id_is_a_reject_where_the_table_has_ids(tmp_path: Path) -> None:
    """A missing id is told with its row."""
    assert read(put(tmp_path, "r.csv", "id,text\n1,a\n,b\n  ,c\n")).reasons == [
        (3, "no report id in this row"),
        (4, "no report id in this row"),
    ]


def test_a_second_text_under_one_id_is_a_version(tmp_path: Path) -> None:
    """It gets ~v2, the next ~v3, and `version_of` keeps the id as given; the first has none."""
    got = read(put(tmp_path, "r.csv", "id,text\nA,one\nB,x\nA,two\nA,three\n"))
    assert [(r.report_id, r.version_of, r.text) for r in got.reports] == [
        ("A", "", "one"),
        ("B", "", "x"),
        ("A~v2", "A", "two"),
        ("A~v3", "A", "three"),
    ]


def test_a_version_takes_no_id_that_another_report_has(tmp_path: Path) -> None:
    """Ids that already look like versions stay distinct, whichever comes first."""
    got = read(put(tmp_path, "r.csv", "id,text\nA,one\nA~v2,given\nA,two\nB,one\nB,two\nB~v2,given\n"))
    ids = [r.report_id for r in got.reports]
    assert ids == ["A", "A~v2", "A~v3", "B", "B~v2", "B~v2~v2"]


def test_an_identical_repeat_is_a_reject(tmp_path: Path) -> None:
    """Same id and same text: counted once, wherever in the inputs it comes again."""
    one, two = put(tmp_path, "a.csv", "id,text\nA,one\nA,two\nA,one\n"), put(tmp_path, "b.csv", "id,text\nA,two\n")
    got = read([one, two])
    assert [r.report_id for r in got.reports] == ["A", "A~v2"]
    reason = "repeated: same report id and same text as an earlier row"
    assert got.rejects == [Reject("a.csv", 4, reason, "A"), Reject("b.csv", 2, reason, "A")]


# Columns


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("accession_number", "report_id"),
        ("note_id", "report_id"),
        ("AccessionNumber", "report_id"),
        ("Report ID", "report_id"),
        ("mrn", "patient_id"),
        ("person_id", "patient_id"),
        ("exam_date", "study_date"),
        ("note_date", "study_date"),
        ("Study-Date", "study_date"),
        ("procedure", "body_part"),
        ("MODALITY", "modality"),
        ("gender", "sex"),
        ("PatientAge", "age"),
    ],
)
def test_usual_names_are_recognised(header: str, field: str, tmp_path: Path) -> None:
    """Whatever the case, the blanks and the marks."""
    (report,) = read(put(tmp_path, "r.csv", f"{header},text\nvalue,a\n")).reports
    assert getattr(report, field) == "value"


@pytest.mark.parametrize("header", ["text", "report", "report_text", "note_text", "Report Text", "REPORT"])
def test_usual_names_of_the_text(header: str, tmp_path: Path) -> None:
    """The text may be called by any of them."""
    assert read(put(tmp_path, "r.csv", f"id,{header}\n1,a\n")).texts == [("1", "a")]


@pytest.mark.parametrize(
    ("field", "headers"),
    [
        ("text", "Content Text|Report Body|RPT_TXT|Rad Report Text|Full Report|Note Content|BODY_TEXT"),
        ("report_id", "Accession #|ACCESSION NBR|Acc Num|Radiology Accession Number|Rpt No|Exam No"),
        ("patient_id", "PT_ID|Patient Number|PAT_NUM|Med Record Number|Patient Medical Record No|PERSON_ID"),
        (
            "study_date",
            "Exam Begin Dttm|BEGIN_EXAM_DTTM|EXAM_START_DT|Study Completed Date/Time|Date of Exam|Imaging Date|EXAM_DT"
            "|Procedure Start Date|PERFORMED_DTTM|Date Performed|Radiology Study Date|EndExamDttm|Date of Service"
            "|Exam Verified Date|Report Finalized Date|FINAL_DTTM|StudyTimestamp",
        ),
        ("body_part", "Order Procedure|PROC_DESC|Examination Description|Exam Title|Body Region"),
        ("sex", "PT_SEX|Legal Sex|Person Gender"),
        ("age", "Age at Exam|PT_AGE|Patient Age Years"),
        ("birth_date", "PAT_DOB|Patient Date of Birth|BIRTH_DT"),
        (
            "indication",
            "Reason for Study|REASON_FOR_PROCEDURE|Clinical Indication|Clinical Info|Clinical Hx|EXAM_REASON"
            "|Order Indication|Clinical History Text",
        ),
        ("findings", "Report Findings|FINDINGS_TXT"),
        ("impression", "Rad Impression|Conclusion Text"),
    ],
)
def test_names_are_known_by_their_words(field: str, headers: str) -> None:
    """Words that stand for one another (Dttm and Date, Begin and Start, Rpt and Report) are taken in any such name."""
    for header in headers.split("|"):
        beside = [] if field in ("text", "findings", "impression") else ["Findings"]
        assert choose_columns([header, *beside], {}).chosen[field] == header


@pytest.mark.parametrize(
    "other",
    "Order Date|ORDER_DTTM|Ordered Date|Exam Ordered Date|Scheduled Exam Date|Requested Date|Birth Date|DOB"
    "|Dictated Date|Transcribed Dttm|Admission Date|Discharge Date|Prior Exam Date|Date of Death|Update Date"
    "|Exam Begin Tm|Approved Date|Start Date|Collection Date|Exam Scheduled Dttm".split("|"),
)
def test_other_dates_are_not_that_of_the_study(other: str) -> None:
    """Neither alone nor before the exam's own: a date by another name is left to the caller."""
    assert "study_date" not in choose_columns(["text", other], {}).chosen
    assert choose_columns(["text", other, "Exam End Dttm"], {}).chosen["study_date"] == "Exam End Dttm"


def test_a_row_without_its_id_is_no_report_whatever_the_files_name_is(tmp_path: Path) -> None:
    """A table that is called .txt is no text with the file's name for its id."""
    table = "id,text\n,No fracture.\nA1,Pain.\n"
    for name in ("r.txt", "r.dat"):
        (tmp_path / name).write_text(table, encoding="utf-8")
        rejects: list[Reject] = []
        read = list(read_reports(tmp_path / name, Options(source="csv"), rejects.append))
        assert [r.report_id for r in read] == ["A1"]
        assert [r.reason for r in rejects] == ["no report id in this row"]
    (tmp_path / "one.txt").write_text("No fracture.", encoding="utf-8")
    assert [r.report_id for r in read_reports(tmp_path / "one.txt")] == ["one"]


def test_a_request_that_is_named_is_joined_to_the_report() -> None:
    """Where the report stands in one column that is known by its name: that becomes the findings."""
    chosen = choose_columns(["id", "Report Body", "Clinical Details"], {"indication": "Clinical Details"}).chosen
    assert {k: chosen[k] for k in chosen if k != "report_id"} == {
        "findings": "Report Body",
        "indication": "Clinical Details",
    }


def test_an_impression_that_is_named_is_joined_to_the_report() -> None:
    """As its own hint says; a column of findings that is known goes before the whole text."""
    asked = {"impression": "Conclusie"}
    assert choose_columns(["id", "report_text", "Conclusie"], asked).chosen == {
        "report_id": "id",
        "findings": "report_text",
        "impression": "Conclusie",
    }
    assert choose_columns(["id", "text", "findings", "Conclusie"], asked).chosen["findings"] == "findings"


@pytest.mark.parametrize(
    ("field", "others"),
    [
        ("report_id", "Procedure Code|Order Procedure ID|Report Status|Procedure No|Study Name|Protocol Number"),
        ("patient_id", "Patient Name|Patient Class|Account Number|Subject|Provider ID|Physician Number"),
        ("body_part", "Procedure Code|Study Title|Study Name|Order Status|Ordering Provider|Department"),
        ("sex", "Physician Gender|Gender Identity"),
        ("age", "Age at Diagnosis|Age Group|Age at Death|Page"),
        ("indication", "Reason for Cancellation|Order Reason Code|Clinical Trial|Medical History Date|Reason"),
    ],
)
def test_names_that_only_resemble_are_not_taken(field: str, others: str) -> None:
    """A word more makes another thing of a name."""
    assert [o for o in others.split("|") if field in choose_columns(["Findings", o], {}).chosen] == []


@pytest.mark.parametrize(
    "header",
    [
        "Report Status",
        "Report Date",
        "Report ID",
        "Content Type",
        "Result",
        "Note Type",
        "Report Text Length",
        "Subject",
    ],
)
def test_what_is_no_text_is_not_taken_for_it(header: str) -> None:
    """Beside a text of its own name nothing else is; without one the table is refused."""
    with pytest.raises(SourceError, match="no column of report text"):
        choose_columns(["id", header], {})


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("Report Date", "Exam Begin Dttm"),
        ("Final Dttm", "Study Completed Dt"),
        ("Result Date", "Date Performed"),
        ("Procedure Date", "Exam Start Date"),
        ("Exam End Dttm", "Exam Begin Dttm"),
        ("Exam Begin Dttm", "Exam Date"),
        ("Date", "Study Datetime"),
    ],
)
def test_the_date_that_says_most_of_the_study_is_taken(worse: str, better: str) -> None:
    """The exam's own date before its begin, that before its end, and all before dates of the report."""
    assert choose_columns(["text", worse, better], {}).chosen["study_date"] == better


def test_a_date_that_is_not_by_its_name_the_study_s_is_told_with_its_option(tmp_path: Path) -> None:
    """The date of an order is not taken; the option that takes it can be copied."""
    path = put(tmp_path, "r.csv", "id,text,mrn,modality,exam,sex,age,DOB,Order Date\n1,a,P,MR,x,f,5,,x\n")
    assert list(read(path).tally.lacking.values()) == [
        "no column known for study_date (name it with --date-column); unused: Order Date; "
        '--date-column "Order Date" takes that date, if it is the study\'s'
    ]


def test_a_column_that_may_be_the_text_is_told_with_its_option() -> None:
    """The one that resembles comes with the option to copy; not of a first row that may be a report."""
    with pytest.raises(SourceError, match='Name it with --text-column "Reading Comment", or where it stands in parts'):
        choose_columns(["Report ID", "Report Date", "Body Part", "Content Type", "Reading Comment"], {})
    with pytest.raises(SourceError, match="Name it with --text-column, or"):
        choose_columns(["17", "As in the last report, calm."], {})


def test_a_request_beside_findings_is_the_indication(tmp_path: Path) -> None:
    """Known by its name, it stands in the section of that name: what was asked for was not seen."""
    path = put(tmp_path, "r.csv", "id,Findings,Reason for Study\n1,Normal tendon.,Rule out calcific deposit.\n")
    (report,) = read(path).reports
    assert report.text == "INDICATION:\nRule out calcific deposit.\n\nFINDINGS:\nNormal tendon."
    (mention,) = Annotator(load_rules()).annotate(report).mentions
    assert (mention.section, mention.assertion) == ("indication", "hypothetical")


def test_columns_not_asked_for_are_ignored(tmp_path: Path) -> None:
    """A label beside the text never reaches a report."""
    (report,) = read(put(tmp_path, "r.csv", "id,text,is_case,label\n1,a,SECRET,SECRET\n")).reports
    assert report == Report("1", "a")


def test_what_was_chosen_is_told(tmp_path: Path) -> None:
    """For each input: its encoding, delimiter and the column of each field."""
    path = put(tmp_path, "r.csv", "MRN;note_text;accession\nP;a;1\n")
    assert read(path).tally.chosen == {
        str(path): "encoding utf-8, delimiter ';', columns report_id = accession, text = note_text, patient_id = MRN"
    }


def test_fields_without_a_column_are_told_with_the_columns_that_may_be_meant(tmp_path: Path) -> None:
    """Only where a column is left over: the fields, the options that name them, and the columns that are not read."""
    names = "report_id,text,patient_id,study_date,modality,body_part,sex"

    def lacking(header: str) -> list[str]:
        cells = ",".join("a" for _ in header.split(","))
        return list(read(put(tmp_path, "r.csv", f"{header}\n{cells}\n")).tally.lacking.values())

    assert lacking(f"{names},JAHRE,X") == [
        "no column known for age, birth_date (name it with --age-column, --birth-date-column); unused: JAHRE, X"
    ]
    assert lacking(names.removeprefix("report_id,") + ",X")[0].split("\n")[1].startswith("ids are file and row then")
    assert lacking(names) == [""]
    assert lacking(f"{names},age,X") == ["columns that are not read: X"]
    unread, hospital = lacking(f"{names},age,Performing Site")[0].split("\n")
    assert unread == "columns that are not read: Performing Site"
    assert hospital.startswith("Performing Site: where that is more than one hospital, process a file of each by it")


def test_fields_that_no_row_of_json_has_are_told(tmp_path: Path) -> None:
    """Rows need not have the same keys; keys are not named, since they may be anything."""
    rows = [{"id": "1", "text": "a", "mrn": "P", "date": "x", "X": "y"}, {"id": "2", "text": "b", "sex": "f"}]
    path = put(tmp_path, "r.jsonl", "".join(json.dumps(r) + "\n" for r in rows))
    (said,) = read(path).tally.lacking.values()
    assert said.startswith("no column known for modality, body_part, age, birth_date (name it with --modality-column")
    assert said.endswith("--age-column, --birth-date-column)")


def test_a_mistyped_column_is_guessed(tmp_path: Path) -> None:
    """The near match is named, and the columns are, once one of them was asked for by name; then what names one."""
    path, all_named = put(tmp_path, "r.csv", "ACC;BEFUND\n1;a\n"), "columns are: ACC, BEFUND. Name one with --id-column"
    with pytest.raises(SourceError, match=rf"no column 'ACCC' for report_id; did you mean 'ACC'\? {all_named}$"):
        read(path, {"text": "BEFUND", "report_id": "ACCC"})
    with pytest.raises(SourceError, match=f"no column 'KEY' for report_id; {all_named}$"):
        read(path, {"text": "BEFUND", "report_id": "KEY"})


def test_no_more_columns_are_named_than_a_screen_holds(tmp_path: Path) -> None:
    """Of a wide table the first fifty, and how many more there are."""
    header = ",".join(["report_id", *(f"C{n}" for n in range(59))])
    with pytest.raises(SourceError, match=r"columns are: report_id, C0, .*, C48 and 10 more. Name it with --text-col"):
        read(put(tmp_path, "r.csv", f"{header}\n"))


@pytest.mark.parametrize(
    ("header", "asked", "told"),
    [
        ("ACC#BEFUND_TEXT", {}, r"',' \(at '#' it would be 2\)"),
        ("id,text,mrn", {"delimiter": ";"}, r"';' \(at ',' it would be 3\)"),
        ("id;text", {"delimiter": "tab"}, r"'\\t' \(at ';' it would be 2\)"),
        ("No fracture; the tuberosity is intact, as it was in the study before this one", {"delimiter": "|"}, r"'\|'"),
    ],
)
def test_a_table_that_is_one_column_by_its_delimiter_says_so(
    header: str, asked: dict[str, str], told: str, tmp_path: Path
) -> None:
    """The error names the delimiter that was used, and the one that makes several names of the header."""
    with pytest.raises(SourceError, match=f"only 1 column when split at {told}; --delimiter names another$"):
        read_all(put(tmp_path, "r.csv", f"{header}\n"), Options(**asked))


def test_columns_of_a_header_without_usual_names_are_told(tmp_path: Path) -> None:
    """Different words without digits are names; a first row that may be a report is not repeated."""
    path = put(tmp_path, "r.csv", "ACC;PAT;KOMMENTAR\n1;P;a\n")
    with pytest.raises(SourceError, match="no column of report text; columns are: ACC, PAT, KOMMENTAR. Name it"):
        read(path)
    for row in ("K1;Meier;Normal", "Meier;MR;No fracture", "Meier;Normal", "P;P;Normal"):
        with pytest.raises(SourceError, match=r"none of its \d columns has a usual name"):
            read(put(tmp_path, "r.csv", f"{row}\n{row}\n"))


def test_a_last_line_without_an_end_is_told(tmp_path: Path) -> None:
    """The row is a report, for many programs write tables so; but a table that was cut off looks the same."""
    for ending, told in (("\n", False), ("\r", False), ("", True)):
        got = read(put(tmp_path, "r.csv", f"id,text\n1,a\n2,with cortical def{ending}"))
        assert got.texts == [("1", "a"), ("2", "with cortical def")]
        assert ("note: its last line has no line end; was the file cut off?" in got.told) is told


def test_dates_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    """How many, where the first stands and what to do; those that the order of day and month makes clear, apart."""
    dates = ("2021-03-02", "03.04.2021", "13.13.2021", "", "n/a", "2021", "04/05/2021", "31/12/2021")
    rows = "".join(f"{n},a{n},{written}\n" for n, written in enumerate(dates))
    got = read(put(tmp_path, "r.csv", f"id,text,date\n{rows}"))
    assert [note.split("; ")[0] for note in got.told.split(", note: ")[1:]] == [
        "study dates that cannot be read: 2 (the first at r.csv:4)",
        "study dates in which day and month could be either way: 2 (the first at r.csv:3)",
    ]
    assert "--date-column names another column" in got.told
    assert got.told.endswith("says dmy or mdy (of the others 1 can only be day first and 0 month first)")
    assert "note" not in read(put(tmp_path, "r.csv", "id,text,date\n1,a,2021-03-02\n2,a,13.03.2021\n3,a,\n")).told


def test_ages_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    """A birth date in the column of ages is told, for a cohort would take all ages for unknown."""
    ages = ("63", "063Y", "14.05.1968", "", "18M", "1970-01-01")
    rows = "".join(f"{n},a{n},{written}\n" for n, written in enumerate(ages))
    got = read(put(tmp_path, "r.csv", f"id,text,age\n{rows}"))
    assert "ages that cannot be read: 2 (the first at r.csv:4)" in got.told
    assert "ages" not in read(put(tmp_path, "r.csv", "id,text,age\n1,a,63\n2,a,\n")).told.split("note")[-1]


def test_a_birth_date_becomes_the_age_at_the_study_and_is_not_kept(tmp_path: Path) -> None:
    """Of day and month that could be either way only the order tells; an age that is given stands."""
    rows = ["14.05.1968,13.05.2021,", "14.05.1968,14.05.2021,", "03.04.1960,05.06.2021,", "03.04.1960,05.03.2021,"]
    rows += ["1960-03-04,2021,", "n/a,2021-01-01,", ",2021-01-01,", "2022-01-01,2021-01-01,", "1960-03-04,2021-03-04,7"]
    table = put(tmp_path, "r.csv", "id,text,DOB,date,age\n" + "".join(f"{n},a{n},{r}\n" for n, r in enumerate(rows)))
    got = read(table)
    assert [r.age for r in got.reports] == ["52", "53", "61", "", "", "", "", "", "7"]
    assert "birth_date = DOB" in got.told
    assert "birth dates that leave the age at the study unknown: 4 (the first at r.csv:5); both" in got.told
    assert "--date-order dmy or mdy tells day from month" in got.told
    assert not any("1968" in value for value in got.reports[0]._asdict().values())
    ordered = read_all(table, Options(date_order="dmy"))
    assert [r.age for r in ordered.reports][2:4] == ["61", "60"]
    assert (
        "study dates that contradict --date-order mdy: 2 (the first at r.csv:2)"
        in read_all(table, Options(date_order="mdy")).told
    )


def test_birth_dates_without_a_study_date_are_told_so(tmp_path: Path) -> None:
    """The order of day and month would not help."""
    got = read(put(tmp_path, "r.csv", "id,text,DOB,WANN\n1,a,14.05.1968,13.05.2021\n"))
    assert "study unknown: 1 (the first at r.csv:2); no report has a study date (--date-column names its" in got.told
    assert "--date-order" not in got.told


def test_any_column_can_be_asked_for(tmp_path: Path) -> None:
    """What is asked for wins over a usual name, in its own spelling or a like one."""
    path = put(tmp_path, "r.csv", "id,text,KEY,Body Text\n1,a,k,b\n")
    assert read(path, {"text": "body_text", "report_id": "KEY"}).texts == [("k", "b")]


def test_findings_and_impression_are_joined_under_their_headings(tmp_path: Path) -> None:
    """Pieces stand in a report's own order; an empty piece has no heading, one with its own heading no second."""
    path = put(tmp_path, "r.csv", "id,impression,findings\n1,i1,f1\n2,i2,\n3,,f3\n4,Impression: own,f4\n5, ,\n")
    got = read(path)
    assert got.texts == [
        ("1", "FINDINGS:\nf1\n\nIMPRESSION:\ni1"),
        ("2", "IMPRESSION:\ni2"),
        ("3", "FINDINGS:\nf3"),
        ("4", "FINDINGS:\nf4\n\nImpression: own"),
    ]
    assert got.reasons == [(6, "empty text")]


def test_pieces_that_are_asked_for_win_over_a_text_column(tmp_path: Path) -> None:
    """Asking for findings and impression means them, not a text column beside them."""
    path = put(tmp_path, "r.csv", "id,text,F,I\n1,whole,f,i\n")
    assert read(path, {"findings": "F", "impression": "I"}).texts == [("1", "FINDINGS:\nf\n\nIMPRESSION:\ni")]


def test_a_whole_text_wins_over_pieces(tmp_path: Path) -> None:
    """Where a column holds the whole text, pieces beside it are not added again."""
    assert read(put(tmp_path, "r.csv", "id,text,findings\n1,whole,f\n")).texts == [("1", "whole")]


def test_a_narrative_is_the_whole_text_or_stands_beside_its_impression(tmp_path: Path) -> None:
    """Some archives keep the two apart: then both are read, unless the caller says that the narrative is the text."""
    path = put(tmp_path, "r.csv", "id,narrative,impression\n1,Pain.,Calm.\n")
    assert read(path).texts == [("1", "FINDINGS:\nPain.\n\nIMPRESSION:\nCalm.")]
    assert read(path, {"text": "narrative"}).texts == [("1", "Pain.")]
    assert read(put(tmp_path, "s.csv", "id,narrative\n1,Pain.\n")).texts == [("1", "Pain.")]


def test_names_of_pieces_may_be_adorned(tmp_path: Path) -> None:
    """As exports have them: NARRATIVE_TEXT, RESULT_IMPRESSION; both are read, and a narrative alone is the text."""
    for narrative, impression in (("NARRATIVE_TEXT", "IMPRESSION_TEXT"), ("Report Narrative", "RESULT_IMPRESSION")):
        path = put(tmp_path, "r.csv", f"id,{narrative},{impression}\n1,Pain.,Calm.\n2,More.,\n")
        assert read(path).texts == [("1", "FINDINGS:\nPain.\n\nIMPRESSION:\nCalm."), ("2", "FINDINGS:\nMore.")]
    assert read(put(tmp_path, "s.csv", "id,RESULT_NARRATIVE\n1,Pain.\n")).texts == [("1", "Pain.")]


def test_pieces_read_without_a_column_that_looks_like_text_are_told(tmp_path: Path) -> None:
    """An impression read alone loses the findings: the options that read the other column are named."""
    path = put(tmp_path, "r.csv", f"id,IMPRESSION,FREITEXT\n1,Calm.,{'No fracture of the hip. ' * 9}\n")
    (said,) = read(path).tally.lacking.values()
    assert said.splitlines()[-1] == (
        "note: only impression of each report will be read; not read, but looks like report text: FREITEXT; "
        '--findings-column "FREITEXT" reads it, too'
    )


def test_a_request_alone_is_no_report(tmp_path: Path) -> None:
    """What was asked and done says nothing of what was seen; an impression, or an addendum alone, does."""
    rows = "1,Calcium?,,,\n2,Calcium?,Seen.,,\n3,,,Calcium.,\n4,,,,Addendum.\n"
    found = read(put(tmp_path, "r.csv", f"id,indication,findings,impression,addendum\n{rows}"))
    assert [r.report_id for r in found.reports] == ["2", "3", "4"]
    assert [r.reason for r in found.rejects] == ["no findings and no impression, only what was asked or done"]


@pytest.mark.parametrize(
    ("text", "told"), [("No mass. IMPRESSION: Old  calcium.", False), ("No mass.", True), ("Old. Calcium.", True)]
)
def test_an_impression_that_the_text_does_not_hold_is_told(tmp_path: Path, text: str, told: bool) -> None:
    """A column with the usual name of the whole text may hold the narrative alone; what was asked is not missed."""
    path = put(tmp_path, "r.csv", f"id,result_text,impression,history\n1,{text},Old calcium.,Pain\n")
    (said,) = read(path).tally.lacking.values()
    note = "note: not read, but looks like report text: impression; "
    options = '--findings-column "result_text" --impression-column "impression" join parts'
    assert (note + options in said) is told


def test_an_impression_beside_a_named_text_is_told(tmp_path: Path) -> None:
    """A column with the usual name of a piece may hold a short text."""
    path = put(tmp_path, "r.csv", "id,NARRATIVE_TEXT,IMPRESSION_TEXT\n1,Pain.,Calm.\n")
    (said,) = read(path, {"text": "NARRATIVE_TEXT"}).tally.lacking.values()
    assert said.splitlines()[-1] == (
        "note: not read, but looks like report text: IMPRESSION_TEXT; "
        '--findings-column "NARRATIVE_TEXT" --impression-column "IMPRESSION_TEXT" join parts in place of --text-column'
    )


def test_a_text_file_needs_no_columns(tmp_path: Path) -> None:
    """Column choices are for tables; a text file beside them is read all the same."""
    put(tmp_path, "a.txt", "plain"), put(tmp_path, "b.csv", "id,BODY\n1,x\n")
    assert read(tmp_path, {"text": "BODY"}).texts == [("a", "plain"), ("1", "x")]


def test_a_number_that_is_none_is_empty(tmp_path: Path) -> None:
    """NaN, as data frames write a missing value, is no value; other numbers keep their decimals."""
    columns = {"report_id": ["1", "2"], "text": ["a", "b"], "age": [float("nan"), 2.5], "mrn": [None, 7]}
    got = read(put(tmp_path, "r.parquet", parquet_bytes(columns)))
    assert [(r.age, r.patient_id) for r in got.reports] == [("", ""), ("2.5", "7")]


def test_dates_numbers_and_truth_in_typed_columns(tmp_path: Path) -> None:
    """Dates are ISO, with a time only where there is one; whole numbers have no decimals; null is empty."""
    moment = datetime.datetime(2019, 3, 2, 13, 5)
    columns = {
        "report_id": ["1", "2"],
        "text": ["a", "b"],
        "study_date": [datetime.datetime(2019, 3, 2), moment],
        "age": [47.0, None],
        "sex": [True, None],
    }
    rows = [
        ("report_id", "text", "study_date", "age", "sex"),
        ("1", "a", datetime.date(2019, 3, 2), 47, True),
        ("2", "b", moment),
    ]
    for path in (put(tmp_path, "r.parquet", parquet_bytes(columns)), put(tmp_path, "r.xlsx", xlsx_bytes(grid(rows)))):
        got = [(r.study_date, r.age, r.sex) for r in read(path).reports]
        assert got == [("2019-03-02", "47", "true"), ("2019-03-02T13:05:00", "", "")]


# Tables that are not quite right


def test_ragged_rows_are_rejects(tmp_path: Path) -> None:
    """Too many or too few fields: the row is a reject with its line, the others are read."""
    got = read(put(tmp_path, "r.csv", 'id,text,age\n1,a,1\n2,b,c,d\n3,e\n4,"f\ng",5\n5,h,6\n'))
    assert got.texts == [("1", "a"), ("4", "f\ng"), ("5", "h")]
    assert got.reasons == [
        (3, "not as many fields as the header (4, not 3)"),
        (4, "not as many fields as the header (2, not 3)"),
    ]


def test_empty_fields_beyond_the_header_do_not_count(tmp_path: Path) -> None:
    """Spreadsheets end rows with delimiters; nothing is lost by reading them."""
    assert read(put(tmp_path, "r.csv", "id,text\n1,a,,\n2,b, \n")).texts == [("1", "a"), ("2", "b")]


def test_an_unclosed_quote_costs_one_row(tmp_path: Path) -> None:
    """The rows after it are read, though the quote would swallow them."""
    got = read(put(tmp_path, "r.csv", 'id,text\n1,"a"\n2,"open\n3,c\n4,"d d"\n5,e\n'))
    assert got.texts == [("1", "a"), ("3", "c"), ("4", "d d"), ("5", "e")]
    assert got.reasons == [(3, "broken quotes")]


def test_an_unclosed_quote_in_the_last_row(tmp_path: Path) -> None:
    """A file that ends inside a quote loses that row only."""
    got = read(put(tmp_path, "r.csv", 'id,text\n1,"a"\n2,"open to the end'))
    assert (got.texts, got.reasons) == ([("1", "a")], [(3, "broken quotes")])


def test_quotes_inside_a_quoted_text_of_several_lines(tmp_path: Path) -> None:
    """All lines of the broken row are one reject: none of its prose is taken for a row, commas or not."""
    lines = ["id,text", "A1,fine", 'A2,"A "double line" sign', "no tear, no erosion", 'IMPRESSION: normal"', "A3,fine"]
    got = read(put(tmp_path, "r.csv", "\n".join([*lines, 'A4,"fine"'])))
    assert got.texts == [("A1", "fine"), ("A3", "fine"), ("A4", "fine")]
    assert got.reasons == [(3, "broken quotes (lines 3 to 5)")]


def test_the_first_row_of_all_is_broken(tmp_path: Path) -> None:
    """Its own id, before the broken text, tells what the next row begins with."""
    got = read(put(tmp_path, "r.csv", 'id,text\nA1,"a "b" c\nd, e\nf"\nA2,fine\n'))
    assert (got.texts, got.reasons) == ([("A2", "fine")], [(2, "broken quotes (lines 2 to 4)")])


def test_a_column_that_stands_twice_is_refused_only_if_it_is_read(tmp_path: Path) -> None:
    """Two columns of text leave no choice; two that nobody asks for do no harm."""
    with pytest.raises(SourceError, match="column 'text' stands twice in the header"):
        read(put(tmp_path, "r.csv", "id,text,text\n1,a,b\n"))
    assert read(put(tmp_path, "s.csv", "id,text,x,x\n1,a,b,c\n")).texts == [("1", "a")]


@pytest.mark.parametrize("start", ["\n\n", "  \n", "\ufeff", "sep=,\n"], ids=["blank", "blanks", "mark", "sep"])
def test_what_may_stand_before_the_header(start: str, tmp_path: Path) -> None:
    """Blank lines, a byte order mark and a spreadsheet's first line do not hide the header."""
    assert read(put(tmp_path, "r.csv", f"{start}id,text\n1,a\n")).texts == [("1", "a")]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header(mark: str, tmp_path: Path) -> None:
    """The one that the header holds most of; commas inside a text do not matter."""
    assert read(put(tmp_path, "r.csv", f"id{mark}text\n1{mark}a, b, c\n")).texts == [("1", "a, b, c")]


def test_a_delimiter_can_be_asked_for(tmp_path: Path) -> None:
    """Any one character, or tab by name."""
    assert read(put(tmp_path, "r.csv", "id^text\n1^a\n"), delimiter="^").texts == [("1", "a")]
    assert read(put(tmp_path, "s.csv", "id\ttext\n1\ta\n"), delimiter="tab").texts == [("1", "a")]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    """In CSV, JSONL and sheets alike."""
    sheet = xlsx_bytes({(2, 1): "id", (2, 2): "text", (3, 1): "1", (3, 2): "a", (6, 1): "2", (6, 2): "b"})
    for name, data in (
        ("r.csv", b"id,text\n\n1,a\n   \n2,b\n\n"),
        ("r.jsonl", b'\n{"id": "1", "text": "a"}\n \n{"id": "2", "text": "b"}'),
        ("r.xlsx", sheet),
    ):
        assert read(put(tmp_path, name, data)).texts == [("1", "a"), ("2", "b")]


def test_rejects_of_a_sheet_carry_the_row_that_excel_shows(tmp_path: Path) -> None:
    """Rows above the header count, as they do on the screen."""
    sheet = xlsx_bytes({(2, 1): "id", (2, 2): "text", (3, 1): "1", (3, 2): "a", (6, 1): "2"})
    assert read(put(tmp_path, "r.xlsx", sheet)).reasons == [(7, "empty text")]


def test_json_rows_that_are_none(tmp_path: Path) -> None:
    """Each bad line is a reject with its reason; the good ones among them are read."""
    lines = [
        '{"id": "1", "text": "a"}',
        "not json",
        "[1, 2]",
        '{"id": "3"}',
        '{"id": "4", "text": ["a"]}',
        '{"id": "5", "id": "6", "text": "a"}',
        "[" * 100_000,
        '{"id": "7", "text": "b", "age": NaN}',
    ]
    got = read(put(tmp_path, "r.jsonl", "\n".join(lines)))
    assert got.texts == [("1", "a"), ("7", "b")]
    assert got.reasons == [
        (2, "not valid JSON"),
        (3, "not a JSON object"),
        (4, "no column of report text"),
        (5, "the text is no single value"),
        (6, "a key stands twice in the JSON object"),
        (7, "not valid JSON"),
    ]


def test_parquet_values_that_cannot_be_read(tmp_path: Path) -> None:
    """A list or bytes as text, and a date that no calendar has, cost their rows."""
    dates = pa.array([0, 10**18, 0, 0], pa.timestamp("us"))
    texts = [b"a", b"b", b"\xff", b"d"]
    path = put(tmp_path, "r.parquet", parquet_bytes({"id": list("1234"), "text": texts, "date": dates}))
    got = read(path)
    assert got.texts == [("1", "a"), ("4", "d")]
    assert [row for row, _ in got.reasons] == [2, 3]


def test_a_parquet_text_that_is_no_utf_8_costs_its_row(tmp_path: Path) -> None:
    """The others of its batch are read."""
    letters = pa.array([b"a", b"\xff\xfe", b"", None, b"e"], pa.binary())
    texts = pa.Array.from_buffers(pa.string(), len(letters), letters.buffers())
    got = read(put(tmp_path, "r.parquet", parquet_bytes({"id": list("12345"), "text": texts})))
    assert got.texts == [("1", "a"), ("5", "e")]
    assert got.reasons == [
        (2, "a value that cannot be read, such as a date out of range"),
        (3, "empty text"),
        (4, "empty text"),
    ]


# Files that are broken


def test_a_truncated_gzip_gives_what_it_holds(tmp_path: Path) -> None:
    """Whole rows are read, a row that is cut is not; the break is one reject."""
    rows = [(str(n), f"text number {n * 7919}") for n in range(3000)]
    data = gzip.compress(csv_bytes([("id", "text"), *rows]))
    got = read(put(tmp_path, "r.csv.gz", data[: len(data) // 2]))
    assert 0 < len(got.texts) < 3000
    assert got.texts == rows[: len(got.texts)]
    assert [reason.partition(" (")[2] for _, reason in got.reasons] == [
        "it ends too early; is it complete); the rest was not read"
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("r.csv.gz", b"id,text\n1,a\n", "cannot be read (it is no gzip file, or a damaged one)"),
        ("r.csv.gz", BROKEN_OFF, "cannot be read (it ends too early; is it complete)"),
        ("r.csv", b"", "empty; a table needs a first row with column names"),
        ("r.tsv", b" \n\n", "empty; a table needs a first row with column names"),
        ("r.csv", b'id,"text\n1,a\n', "its row of column names cannot be read; check the quotes in it"),
        ("r.parquet", b"PAR1 and nothing PAR1", "not a readable Parquet file (ArrowInvalid)"),
        ("r.parquet", b"", "not a readable Parquet file (ArrowInvalid)"),
        ("r.xlsx", b"no workbook", "not a readable .xlsx workbook (BadZipFile)"),
        ("r.xlsx", xlsx_bytes({(0, 0): "id"})[:900], "not a readable .xlsx workbook (BadZipFile)"),
        ("r.xlsx", xlsx_bytes({}), "its first sheet is empty; a table needs a first row with column names"),
    ],
)
def test_a_file_that_gives_no_row(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    """The only input cannot be read: the error says what is wrong with which file."""
    path = put(tmp_path, name, data)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_sheet_with_a_cell_far_away_is_refused(tmp_path: Path) -> None:
    """A tiny workbook can ask for 17 billion cells; reading it would end the process."""
    path = put(tmp_path, "r.xlsx", xlsx_bytes({(0, 0): "id", (0, 1): "text", (1_048_575, 16_383): "x"}))
    with pytest.raises(SourceError, match="a sheet of 1,048,576 rows and 16,384 columns; save it as CSV"):
        read(path)


def test_a_workbook_that_unpacks_beyond_measure_is_refused(tmp_path: Path) -> None:
    """A bomb: 60 MB of zeros packed in 60 kB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    with pytest.raises(SourceError, match="to 60,000,000 bytes; save it as CSV"):
        read(put(tmp_path, "r.xlsx", out.getvalue()))


def test_a_parquet_file_damaged_in_the_middle(tmp_path: Path) -> None:
    """Rows before the damage are read; the reject says how many were not."""
    count = 3000
    columns = {"id": list(map(str, range(count))), "text": [f"text {n * 7919}" for n in range(count)]}
    data = bytearray(parquet_bytes(columns, row_group_size=1000, compression="zstd", use_dictionary=False))
    third = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(2).column(1).data_page_offset
    data[third : third + 60] = b"\x55" * 60
    got = read(put(tmp_path, "r.parquet", bytes(data)))
    ((row, reason),) = got.reasons
    assert len(got.reports) == row - 1 == 2000 // 512 * 512
    assert reason == f"the file is broken after row {row - 1}; {count - row + 1:,} rows were not read"


def test_one_broken_file_among_others_is_one_reject(tmp_path: Path) -> None:
    """The rest is processed; the broken file stands in the rejects with row 0."""
    put(tmp_path, "a.csv", "id,text\n1,a\n"), put(tmp_path, "b.parquet", b"junk"), put(tmp_path, "c.csv", "id,x\n1,a\n")
    got = read(tmp_path)
    assert got.texts == [("1", "a")]
    assert [(r.source, r.row, r.reason.split(";")[0]) for r in got.rejects] == [
        ("b.parquet", 0, "not a readable Parquet file (ArrowInvalid)"),
        ("c.csv", 0, "no column of report text"),
    ]


def test_nothing_readable_at_all_is_an_error(tmp_path: Path) -> None:
    """Where no input gives a row, there is no run."""
    put(tmp_path, "a.parquet", b"junk"), put(tmp_path, "b.parquet", b"junk")
    with pytest.raises(SourceError, match="not a readable Parquet file"):
        read(tmp_path)


def test_strict_stops_at_the_first_reject(tmp_path: Path) -> None:
    """The error names file, row and reason."""
    path = put(tmp_path, "r.csv", "id,text\n1,a\n2,\n3,c\n")
    with pytest.raises(StrictError, match=r"^r\.csv:3: empty text; stopped because of --strict$"):
        list(read_reports(path, strict=True))


# Inputs


def test_an_input_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(SourceError, match="gone.csv: no such file or folder"):
        read(tmp_path / "gone.csv")


def test_an_input_of_no_known_format(tmp_path: Path) -> None:
    """The formats that are read are named."""
    with pytest.raises(SourceError, match=r"r\.docx: not a known format; known are \.csv, \.tsv, \.jsonl"):
        read(put(tmp_path, "r.docx", "x"))


def test_a_folder_without_reports(tmp_path: Path) -> None:
    """A folder with nothing to read is an error, not an empty run."""
    put(tmp_path, "x.docx", "x")
    with pytest.raises(SourceError, match="the folder holds no file of a known format"):
        read(tmp_path)


def test_no_input_at_all() -> None:
    """An empty list is an error."""
    with pytest.raises(SourceError, match="no input was given"):
        read([])


def test_what_a_folder_leaves_out(tmp_path: Path) -> None:
    """Hidden files, runs, cohorts and virtual environments are no reports; other formats are counted by ending."""
    put(tmp_path, "a.txt", "a"), put(tmp_path, ".b.txt", "b"), put(tmp_path, ".git/c.txt", "c")
    put(tmp_path, "scan.pdf", "x"), put(tmp_path, "deep/scan.pdf", "x"), put(tmp_path, "README", "x")
    put(tmp_path, "run/manifest.json", "{}"), put(tmp_path, "run/parts/part-00000.json", "{}")
    put(tmp_path, "run/mentions/part-00000.parquet", "x")
    put(tmp_path, "cohort/manifest.json", "{}"), put(tmp_path, "cohort/members.parquet", "x")
    put(tmp_path, "cohort/patients.csv", "x"), put(tmp_path, "venv/pyvenv.cfg", "x"), put(tmp_path, "venv/l/d.txt", "d")
    got = read(tmp_path)
    assert got.texts == [("a", "a")]
    assert got.tally.left_out == {".pdf": 2, "README": 1}


def test_inputs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Messages and made ids name the folder where two inputs share a name."""
    one, two = put(tmp_path, "x/r.csv", "text\na\n"), put(tmp_path, "y/r.csv", "text\nb\n")
    assert [name for _, name in expand([one, two])] == ["x/r.csv", "y/r.csv"]
    assert read([one, two]).texts == [("x/r.csv:2", "a"), ("y/r.csv:2", "b")]
    put(tmp_path, "p/1.txt", "c"), put(tmp_path, "q/1.txt", "d")
    assert read([tmp_path / "p", tmp_path / "q"]).texts == [("p/1", "c"), ("q/1", "d")]


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    """A folder and a file in it overlap; its reports are no repeats."""
    path = put(tmp_path, "r.csv", "id,text\n1,a\n")
    assert read([tmp_path, path]).texts == [("1", "a")]


def test_reading_is_lazy(tmp_path: Path) -> None:
    """Reports are streamed: the first comes before the file is read to its end."""
    path = put(tmp_path, "r.csv", "id,text\n" + "".join(f"{n},{'word ' * 20}\n" for n in range(5000)))
    tally = Tally()
    next(read_reports(path, tally=tally))
    assert tally.rows == 1
    assert tally.fraction < 0.5
