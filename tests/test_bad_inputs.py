"""Bad inputs: what each says, the exit code it ends with, and that no row is ever lost.

A case gives files, the words after `calcitrace process`, and what must come of it. Where a run results, the rows that
were read are the rows of the table `reports` and the lines of rejects.jsonl, to the last one.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from calcitrace import read_run
from calcitrace.rules import patterns_folder
from calcitrace.runfolder import read_manifest

GOOD = "report_id,text\n1,No fracture.\n2,Pain.\n"
OK, FAILED, USAGE, REJECTS, UNREADABLE, INTEGRITY = 0, 1, 2, 3, 4, 6


@dataclass(frozen=True)
class Bad:
    """A bad input: files to write, words of the command (IN is their folder), and what must come of it."""

    name: str
    files: dict[str, str | bytes]
    code: int
    says: str
    counts: tuple[int, int] | None = None
    words: list[str] = field(default_factory=lambda: ["IN"])


def parquet(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def xlsx(*cells: tuple[int, int, str]) -> bytes:
    """A workbook with these cells (row, column, text)."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet = book.add_worksheet()
    for cell in cells:
        sheet.write_string(*cell)
    book.close()
    return out.getvalue()


def bomb() -> bytes:
    """A zip archive of 60 kB that unpacks to 60 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 60_000_000)
    return out.getvalue()


def jsonl(*rows: object) -> str:
    """One JSON value a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


HEAD = xlsx((0, 0, "id"), (0, 1, "text"), (1, 0, "1"), (1, 1, "Pain."))
PACKED = gzip.compress(("id,text\n" + "".join(f"{n},word {n * 7919}\n" for n in range(3000))).encode())

FILES = [
    Bad("no such file", {}, UNREADABLE, "gone.csv: no such file or folder", words=["IN/gone.csv"]),
    Bad("unknown format", {"r.docx": "x"}, UNREADABLE, "r.docx: not a known format; known are", words=["IN/r.docx"]),
    Bad("no ending", {"reports": GOOD}, UNREADABLE, "reports: not a known format", words=["IN/reports"]),
    Bad("folder without reports", {"r.docx": "x"}, UNREADABLE, "the folder holds no file of a known format"),
    Bad("only hidden files", {".r.csv": GOOD}, UNREADABLE, "the folder holds no file of a known format"),
    Bad("empty CSV", {"r.csv": ""}, UNREADABLE, "r.csv: empty; a table needs a first row with column names"),
    Bad("blank CSV", {"r.csv": "\n \n"}, UNREADABLE, "r.csv: empty; a table needs a first row"),
    Bad("header alone", {"r.csv": "report_id,text\n"}, OK, "rows read              0", (0, 0)),
    Bad("empty JSONL", {"r.jsonl": ""}, OK, "rows read              0", (0, 0)),
    Bad("empty text file", {"r.txt": ""}, REJECTS, "rejected r.txt:1: empty text", (0, 1)),
    Bad("broken header", {"r.csv": 'id,"text\n1,a\n'}, UNREADABLE, "r.csv: its row of column names cannot be read"),
    Bad("no gzip", {"r.csv.gz": GOOD}, UNREADABLE, "r.csv.gz: cannot be read (it is no gzip file, or a damaged one)"),
    Bad("gzip cut in its head", {"r.csv.gz": PACKED[:14]}, UNREADABLE, "cannot be read (it ends too early"),
    Bad("gzip with rubbish after", {"r.csv.gz": gzip.compress(GOOD.encode()) + b"?" * 9}, REJECTS,
        "r.csv.gz:4: the file is broken after row 3 (it is no gzip file", (2, 1)),
    Bad("no Parquet", {"r.parquet": "id,text"}, UNREADABLE, "r.parquet: not a readable Parquet file (ArrowInvalid)"),
    Bad("Parquet cut", {"r.parquet": parquet(id=["1"], text=["a"])[:-9]}, UNREADABLE, "not a readable Parquet file"),
    Bad("no workbook", {"r.xlsx": GOOD}, UNREADABLE, "r.xlsx: not a readable .xlsx workbook (BadZipFile)"),
    Bad("workbook cut", {"r.xlsx": HEAD[:2000]}, UNREADABLE, "r.xlsx: not a readable .xlsx workbook"),
    Bad("old or protected workbook", {"r.xlsx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)}, UNREADABLE,
        "is it protected by a password, or an old .xls"),
    Bad("empty workbook", {"r.xlsx": xlsx()}, UNREADABLE, "r.xlsx: its first sheet is empty"),
    Bad("workbook bomb", {"r.xlsx": bomb()}, UNREADABLE, "to 60,000,000 bytes; save it as CSV"),
    Bad("cell at the end of the sheet", {"r.xlsx": xlsx((0, 0, "id"), (0, 1, "text"), (1_048_575, 16_383, "x"))},
        UNREADABLE, "a sheet of 1,048,576 rows and 16,384 columns; save it as CSV"),
    Bad("one broken file among good ones", {"a.csv": GOOD, "b.xlsx": "no", "c.csv": "id,text\n3,Pain.\n"}, REJECTS,
        "rejected b.xlsx: not a readable .xlsx workbook", (3, 1)),
    Bad("one file without text among good ones", {"a.csv": GOOD, "b.csv": "id,x\n3,Pain.\n"}, REJECTS,
        "rejected b.csv: no column of report text", (2, 1)),
]  # fmt: skip

ENCODINGS = [
    Bad("bytes that are not UTF-8", {"r.csv": b"id,text\n1,caf\xe9\n2,Pain.\n"}, REJECTS,
        "rejected r.csv:2: bytes that are not valid in this encoding", (1, 1), ["IN", "--encoding", "utf-8"]),
    Bad("JSON bytes that are not UTF-8", {"r.jsonl": b'{"id":"1","text":"\xff"}\n{"id":"2","text":"Pain."}\n'}, REJECTS,
        "rejected r.jsonl:1: bytes that are not valid in this encoding", (1, 1), ["IN", "--encoding", "UTF-8"]),
    Bad("text file of other bytes", {"r.txt": b"caf\xe9"}, REJECTS,
        "rejected r.txt:1: bytes that are not valid in this encoding", (0, 1), ["IN", "--encoding", "utf8"]),
    Bad("UTF-16 cut in a character", {"r.csv": GOOD.encode("utf-16") + b"x"}, REJECTS,
        "rejected r.csv:4: the file is broken after row 3 (not valid utf-16-le)", (2, 1)),
    Bad("read as UTF-16 but it is not", {"r.csv": GOOD + "3,x\n"}, UNREADABLE, "r.csv: ",
        words=["IN", "--encoding", "utf-16"]),
    Bad("unknown encoding", {"r.csv": GOOD}, USAGE, "'klingon' is no known text encoding; try utf-8, utf-16",
        words=["IN", "--encoding", "klingon"]),
]  # fmt: skip

COLUMNS = [
    Bad("no text column", {"r.csv": "report_id,age\n1,2\n"}, UNREADABLE,
        "r.csv: no column of report text; columns are: report_id, age. Name it with --text-column, "
        "or where it stands in parts with --findings-column and --impression-column"),
    Bad("no header", {"r.csv": "17,No fracture of the hip.\n"}, UNREADABLE,
        "r.csv: no column of report text; none of its 2 columns has a usual name (is its first row a header?). "
        "Name it with --text-column"),
    Bad("no text column in a sheet", {"r.xlsx": xlsx((0, 0, "id"), (1, 0, "1"))}, UNREADABLE, "no column of report"),
    Bad("no text column in Parquet", {"r.parquet": parquet(id=["1"])}, UNREADABLE, "r.parquet: no column of report"),
    Bad("no text key in JSON", {"r.jsonl": jsonl({"id": "1"}, {"id": "2", "text": "Pain."})}, REJECTS,
        "rejected r.jsonl:1: no column of report text", (1, 1)),
    Bad("text column asked for is not there", {"r.csv": GOOD}, UNREADABLE,
        "r.csv: no column 'BODY' for text; columns are: report_id, text. Name one with --text-column",
        words=["IN", "--text-column", "BODY"]),
    Bad("date column asked for is not there", {"r.csv": GOOD}, UNREADABLE, "no column 'WHEN' for study_date",
        words=["IN", "--date-column", "WHEN"]),
    Bad("text column twice", {"r.csv": "id,text,text\n1,a,b\n"}, UNREADABLE, "column 'text' stands twice"),
    Bad("delimiter of two characters", {"r.csv": GOOD}, USAGE, "delimiter ',,' is not one character (or 'tab')",
        words=["IN", "--delimiter", ",,"]),
    Bad("wrong delimiter", {"r.csv": GOOD}, UNREADABLE, "r.csv: no column of report text",
        words=["IN", "--delimiter", ";"]),
    Bad("config that is not there", {"r.csv": GOOD}, USAGE, "gone.toml: cannot be read: No such file or directory",
        words=["IN", "--config", "IN/gone.toml"]),
    Bad("config that is no TOML", {"r.csv": GOOD, "c.toml": "text = "}, USAGE,
        "c.toml:1: not valid TOML (invalid value)", words=["IN", "--config", "IN/c.toml"]),
    Bad("config with an unknown key", {"r.csv": GOOD, "c.toml": 'hue = "red"'}, USAGE,
        "c.toml: unknown key 'hue'; known are case, patterns, encoding, delimiter",
        words=["IN", "--config", "IN/c.toml"]),
    Bad("config with a key that is nearly one", {"r.csv": GOOD, "c.toml": 'tekst_column = "BODY"'}, USAGE,
        "c.toml: unknown key 'tekst_column'; did you mean 'text_column'? known are case,",
        words=["IN", "--config", "IN/c.toml"]),
    Bad("config with a text without quotes", {"r.csv": GOOD, "c.toml": "workers = 1\nformat = csv"}, USAGE,
        "c.toml:2: not valid TOML (invalid value); a text stands in quotes",
        words=["IN", "--config", "IN/c.toml"]),
    Bad("config with an unknown field", {"r.csv": GOOD, "c.toml": '[columns]\nhue = "text"'}, USAGE,
        "c.toml: unknown key 'hue'; known are report_id, text,", words=["IN", "--config", "IN/c.toml"]),
    Bad("config with a number for a column", {"r.csv": GOOD, "c.toml": "[columns]\ntext = 3"}, USAGE,
        "c.toml: 'text' must be text in quotes", words=["IN", "--config", "IN/c.toml"]),
    Bad("config whose columns are no table", {"r.csv": GOOD, "c.toml": 'columns = "text"'}, USAGE,
        "c.toml: 'columns' must be a table", words=["IN", "--config", "IN/c.toml"]),
]  # fmt: skip

TEXTS = [
    Bad("empty text", {"r.csv": "id,text\n1,\n2,Pain.\n"}, REJECTS, "rejected r.csv:2: empty text", (1, 1)),
    Bad("text of white space", {"r.csv": 'id,text\n1," \t\n\u00a0"\n2,Pain.\n'}, REJECTS, ":2: empty text", (1, 1)),
    Bad("text of NULs", {"r.csv": "id,text\n1,\0\0\n2,Pain.\n"}, REJECTS, "rejected r.csv:2: empty text", (1, 1)),
    Bad("empty pieces", {"r.csv": "id,findings,impression\n1,,\n2,a,\n"}, REJECTS, "r.csv:2: empty text", (1, 1)),
    Bad("null text", {"r.parquet": parquet(id=["1", "2"], text=["Pain.", None])}, REJECTS, "quet:2: empty", (1, 1)),
    Bad("all texts empty", {"r.csv": "id,text\n1,\n2,\n"}, REJECTS, "2 rejected in all; see", (0, 2)),
    Bad("no report id", {"r.csv": "id,text\n,Pain.\n2,Pain.\n"}, REJECTS, "r.csv:2: no report id in this row", (1, 1)),
    Bad("same row twice", {"r.csv": "id,text\n1,Pain.\n1,Pain.\n"}, REJECTS,
        "rejected r.csv:3: repeated: same report id and same text as an earlier row", (1, 1)),
    Bad("same row in two files", {"a.csv": GOOD, "b.csv": GOOD}, REJECTS, "rejected b.csv:2: repeated", (2, 2)),
    Bad("too many fields", {"r.csv": "id,text\n1,a, b\n2,Pain.\n"}, REJECTS,
        "rejected r.csv:2: not as many fields as the header (3, not 2)", (1, 1)),
    Bad("too few fields", {"r.csv": "id,text\n1\n2,Pain.\n"}, REJECTS,
        "rejected r.csv:2: not as many fields as the header (1, not 2)", (1, 1)),
    Bad("unclosed quote", {"r.csv": 'id,text\n1,"Pain.\n2,Pain.\n3,Pain.\n'}, REJECTS, ":2: broken quotes", (2, 1)),
    Bad("quotes in quotes", {"r.csv": 'id,text\nA1,"a "b" c\nd, e\nf"\nA2,Pain.\n'}, REJECTS,
        "rejected r.csv:2: broken quotes (lines 2 to 4)", (1, 1)),
    Bad("gzip cut in its rows", {"r.csv.gz": PACKED[: len(PACKED) // 2]}, REJECTS,
        "(it ends too early; is it complete); the rest was not read"),
    Bad("line that is no JSON", {"r.jsonl": '{"id": "1", "text": "a"}\n{"id": \n'}, REJECTS,
        "rejected r.jsonl:2: not valid JSON", (1, 1)),
    Bad("JSON that is no object", {"r.jsonl": jsonl(["1", "Pain."], {"id": "2", "text": "a"})}, REJECTS,
        "rejected r.jsonl:1: not a JSON object", (1, 1)),
    Bad("JSON key twice", {"r.jsonl": '{"id": "1", "id": "2", "text": "a"}\n'}, REJECTS,
        "rejected r.jsonl:1: a key stands twice in the JSON object", (0, 1)),
    Bad("JSON without end", {"r.jsonl": "[" * 100_000 + "\n"}, REJECTS, "rejected r.jsonl:1: not valid JSON", (0, 1)),
    Bad("list as text", {"r.jsonl": jsonl({"id": "1", "text": ["a", "b"]})}, REJECTS,
        "rejected r.jsonl:1: the text is no single value", (0, 1)),
    Bad("lone surrogates everywhere", {"r.jsonl": jsonl({"id": "\ud800", "text": "\udc00 \ud800 pain"})}, OK,
        "reports                1", (1, 0)),
    Bad("reports and rejects by the dozen", {"r.csv": "id,text\n" + "1,\n" * 30 + "2,Pain.\n"}, REJECTS,
        "30 rejected in all; see", (1, 30)),
]  # fmt: skip

FINDING = "title: Test\nstatus: draft\nterms: [zzz]\n"
RULES = [
    Bad("folder of rules that is not there", {"r.csv": GOOD}, USAGE, "gone", words=["IN", "--patterns", "IN/gone"]),
    Bad("rules without findings", {"r.csv": GOOD, "p/x.txt": ""}, FAILED, "p/", words=["IN", "--patterns", "IN/p"]),
]  # fmt: skip

# A file that is put among the rules that ship, and what is said of it.
RULE_FILES = {
    "no YAML": ("findings/zz.yml", "title: [open\n", "patterns/findings/zz.yml:2: not valid YAML"),
    "not UTF-8": ("findings/zz.yml", b"title: caf\xe9\n", "patterns/findings/zz.yml:1: not UTF-8 at byte 10"),
    "a list": ("findings/zz.yml", "- a\n", "patterns/findings/zz.yml:1: must be a mapping"),
    "an empty file": ("findings/zz.yml", "", "patterns/findings/zz.yml:1: must be a mapping"),
    "a key twice": (
        "findings/zz.yml",
        FINDING + "title: again\n",
        "patterns/findings/zz.yml:4: 'title' is given twice",
    ),
    "an unknown key": ("findings/zz.yml", FINDING + "term: x\n", "patterns/findings/zz.yml:4: unknown key 'term'"),
    "no title": ("findings/zz.yml", "terms: [zzz]\n", "patterns/findings/zz.yml:1: 'title' is missing"),
    "no terms": ("findings/zz.yml", "title: Test\n", "patterns/findings/zz.yml:1: a finding needs at least one term"),
    "a status that is none": (
        "findings/zz.yml",
        FINDING.replace("draft", "done"),
        "zz.yml:2: status 'done' is not one",
    ),
    "a regex that does not compile": ("findings/zz.yml", FINDING.replace("zzz", '{regex: "(("}'), "zz.yml:3: regex"),
    "an example without mention": (
        "findings/zz.yml",
        FINDING + "examples:\n  - [no braces, present]\n",
        "zz.yml:5: an",
    ),
    "an expected value that is none": (
        "findings/zz.yml",
        FINDING + "examples:\n  - ['{x}', maybe]\n",
        "zz.yml:5: expe",
    ),
    "a case of unknown findings": (
        "cases/zz.yml",
        "title: T\nlikely: [definite]\nconstituents:\n  a: {findings: [nothing], assertions: [present]}\n"
        "tiers:\n  - {tier: definite, all: [a]}\ntypes: []\nsite: [a]\n",
        "'nothing' is no finding",
    ),
}

EVERY = [*FILES, *ENCODINGS, *COLUMNS, *TEXTS, *RULES]
NAMES = [case.name for case in EVERY]


def put(folder: Path, name: str, data: str | bytes) -> None:
    """Write a file, text as UTF-8 with its line ends as they are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def counts_of(run: Path) -> tuple[int, int]:
    """Reports and rejects of a run folder, from the manifest, after checking it against the files."""
    manifest = read_manifest(run)
    reports, _ = read_run(run)
    rejects = (run / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert manifest["rows"] == len(reports) + len(rejects)
    assert (manifest["reports"], manifest["rejects"]) == (len(reports), len(rejects))
    assert all(json.loads(line)["reason"] for line in rejects)
    return len(reports), len(rejects)


@pytest.mark.parametrize("case", EVERY, ids=NAMES)
def test_bad_input(case: Bad, command: Any, tmp_path: Path) -> None:
    """The message says what is wrong and where, the exit code says how it ended, and every row is kept or rejected."""
    inputs, run = tmp_path / "in", tmp_path / "run"
    inputs.mkdir()
    for name, data in case.files.items():
        put(inputs, name, data)
    ended = command("process", *(word.replace("IN", str(inputs)) for word in case.words), "--out", run)
    assert case.says in ended.out + ended.err
    assert ended.code == case.code
    assert "Traceback" not in ended.err
    assert "fault of calcitrace" not in ended.err
    if case.code in (OK, REJECTS):
        counts = counts_of(run)
        assert case.counts in (None, counts)


@pytest.mark.parametrize("name", RULE_FILES)
def test_bad_rule_file(name: str, command: Any, tmp_path: Path) -> None:
    """A rule file that cannot be used stops the run before it begins, with path:line of the fault."""
    file, data, says = RULE_FILES[name]
    shutil.copytree(patterns_folder(), tmp_path / "patterns")
    put(tmp_path / "patterns", file, data)
    put(tmp_path, "r.csv", GOOD)
    ended = command("process", tmp_path / "r.csv", "--out", tmp_path / "run", "--patterns", tmp_path / "patterns")
    assert says in ended.err
    assert (ended.code, ended.err.count("\n")) == (FAILED, 1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--format", "xml"], USAGE, "--format 'xml' is not one of parquet, csv"),
        (["--case", "nothing"], USAGE, "no case definition 'nothing'; there are:"),
        (["--workers", "0"], USAGE, "workers must be 1 or more"),
        (["--workers", "many"], USAGE, "Invalid value for '--workers'"),
        (["--no-such-option"], USAGE, "No such option"),
        (["--strict"], FAILED, "r.csv:3: empty text; stopped because of --strict"),
    ],
)
def test_bad_option(words: list[str], code: int, says: str, command: Any, tmp_path: Path) -> None:
    """A wrong use ends with its own code and says which option is meant."""
    put(tmp_path, "r.csv", "id,text\n1,Pain.\n2,\n")
    ended = command("process", tmp_path / "r.csv", "--out", tmp_path / "run", *words)
    assert says in ended.err
    assert ended.code == code


def test_bad_run_folder(command: Any, tmp_path: Path) -> None:
    """A folder of another run, of other things, or that is a file is refused with a code of its own."""
    put(tmp_path, "a.csv", GOOD), put(tmp_path, "b.csv", "id,text\n9,Pain.\n"), put(tmp_path, "mine/notes.md", "x")
    assert command("process", tmp_path / "a.csv", "--out", tmp_path / "run").code == OK
    for folder, says in (
        ("run", "holds a run with other inputs; choose another --out, or --overwrite"),
        ("mine", "not empty and no run folder; choose another --out"),
        ("a.csv", "cannot be made"),
    ):
        ended = command("process", tmp_path / "b.csv", "--out", tmp_path / folder)
        assert says in ended.err
        assert ended.code == INTEGRITY


def test_the_table_is_long_enough() -> None:
    """At least 45 bad inputs, each told apart by its name."""
    assert len(set(NAMES)) + len(RULE_FILES) >= 45
    assert len(set(NAMES)) == len(NAMES)
