"""Report text stays in the outputs: a planted word is in no message, log, manifest, list of rejects or error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calcitrace import Annotator, Report, process, read_reports
from calcitrace.errors import CalcitraceError
from calcitrace.model import AnnotatedReport

MARK = "Zqxmarker"
TEXT = (
    f"{MARK} MRI RIGHT SHOULDER of {MARK}. FINDINGS: 8 mm calcific deposit in the {MARK} supraspinatus tendon, "
    f"extending into the greater tuberosity. No {MARK} fracture. IMPRESSION: {MARK} calcific tendinopathy."
)
FIELDS = ["patient_id", "study_date", "modality", "body_part", "sex", "age", "comments"]
HEADER = ",".join(["report_id", *FIELDS, "text"])
ROW = ",".join(["{}", *(f"{MARK} {field}" for field in FIELDS), '"{}"'])
# What may hold report text, and nothing else may.
OUTPUTS = re.compile(r"(reports|mentions)/part-\d+\.parquet|parts/part-\d+\.json|summary\.html|(reports|mentions)\.csv")


def put(folder: Path, name: str, data: str | bytes) -> Path:
    """Write a file with its line ends as they are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def marked_files(run: Path) -> set[str]:
    """The files of a run folder that hold the planted word, packed or not."""
    return {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file() and MARK in _content(p)}


def _content(path: Path) -> str:
    return str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_text(encoding="utf-8")


def table(*rows: str) -> str:
    """A CSV of rows under the header."""
    return "\n".join([HEADER, *rows, ""])


def parquet(**columns: Any) -> bytes:
    """A Parquet file of these columns."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


# Inputs that go wrong in every way there is, each with the planted word in it; the words of the command after.
INPUTS: dict[str, tuple[str, str | bytes, list[str]]] = {
    "all is well": ("r.csv", table(ROW.format("1", TEXT), ROW.format("2", TEXT)), ["--format", "csv"]),
    "repeated": ("r.csv", table(ROW.format("1", TEXT), ROW.format("1", TEXT)), []),
    "versions": ("r.csv", table(ROW.format("1", TEXT), ROW.format("1", f"{TEXT} More.")), []),
    "empty": ("r.csv", table(ROW.format("1", "")), []),
    "no id": ("r.csv", table(ROW.format("", TEXT)), []),
    "ragged": ("r.csv", table(ROW.format("1", TEXT) + f",{MARK}", f"1,{MARK}"), []),
    "unclosed quote": ("r.csv", table(ROW.format("1", TEXT), ROW.format("2", TEXT)[:-1], ROW.format("3", TEXT)), []),
    "quotes in quotes": ("r.csv", table(ROW.format("1", f'a "{MARK}" b\n{MARK}, c\n{MARK}')), []),
    "no header": ("r.csv", f'17,"{TEXT}"\n{MARK},"{TEXT}"\n', []),
    "no header, one word": ("r.csv", f"{MARK},{MARK}\n{MARK},{MARK}\n", []),
    "no header, column asked for": ("r.csv", f'{MARK},"{TEXT}"\n', ["--text-column", "text"]),
    "text taken for the id": ("r.csv", table(ROW.format("1", TEXT), ROW.format("2", TEXT)),
                              ["--id-column", "text", "--text-column", "report_id"]),
    "text taken for id, empty text": ("r.csv", f'id,text\n"{TEXT}",\n', []),
    "wrong delimiter": ("r.csv", table(ROW.format("1", TEXT)), ["--delimiter", ";"]),
    "wrong bytes": ("r.csv", table(ROW.format("1", TEXT + "\u00e9")).encode("latin-1"), ["--encoding", "utf-8"]),
    "wrong encoding": ("r.csv", table(ROW.format("1", TEXT)), ["--encoding", "utf-16"]),
    "cut gzip": ("r.csv.gz", table(ROW.format("1", TEXT)), []),
    "strict": ("r.csv", table(ROW.format("1", TEXT), ROW.format("1", TEXT)), ["--strict"]),
    "bad JSON": ("r.jsonl", f'{{"id": "1", "text": "{TEXT}"\n"{MARK}"\n[{MARK}]\n', []),
    "bad JSON values": ("r.jsonl", json.dumps({"id": "1", "text": [MARK], MARK: MARK}) + "\n", []),
    "no text in JSON": ("r.jsonl", json.dumps({"id": "1", MARK: TEXT}) + "\n" + json.dumps({MARK: TEXT}) + "\n", []),
    "list in Parquet": ("r.parquet", parquet(id=["1"], text=[[MARK]]), []),
    "bytes in Parquet": ("r.parquet", parquet(id=["1"], text=[MARK.encode() + b"\xff"]), []),
    "workbook that is none": ("r.xlsx", TEXT, []),
    "HL7 with faults": ("r.hl7", f"{MARK}\rMSH|^~\\&|||||||{MARK}||M\rPID|||7\rMSH|^~\\&|||||||ORU||{MARK} {MARK}\r"
                        f"OBR|1||{MARK} x|{MARK}{'|' * 21}{MARK}\rOBX|1|ED|||^TEXT^PLAIN^Base64^{MARK}!||||||F\r", []),
    "FHIR with faults": ("r.ndjson", json.dumps({"resourceType": MARK}) + "\n" + json.dumps(
        {"resourceType": "DiagnosticReport", "id": f"{MARK} x", "status": MARK,
         "presentedForm": [{"contentType": f"text/plain; charset={MARK}", "data": MARK}]}) + f'\n{{"{MARK}": \n', []),
    "a column of HL7": ("r.hl7", "MSH|^~\\&|\r", ["--id-column", "accession"]),
    "a text file": ("r.txt", TEXT, []),
    "a text file of bytes": ("r.txt", MARK.encode() + b"\xe9", ["--encoding", "utf-8"]),
}  # fmt: skip


@pytest.mark.parametrize("name", INPUTS)
def test_process_tells_nothing_of_a_report(
    name: str, command: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong with the input, the word is in the tables and the page at most."""
    file, data, words = INPUTS[name]
    run = tmp_path / "run"
    ended = command("process", put(tmp_path / "in", file, data), "--out", run, *words)
    assert MARK not in ended.out + ended.err
    assert MARK not in caplog.text
    assert {f for f in marked_files(run) if not OUTPUTS.fullmatch(f)} == set()
    assert ended.code in (0, 1, 3, 4)


def test_the_outputs_do_hold_the_text(command: Any, tmp_path: Path) -> None:
    """The planted word is found where it should be: these tests look in the right place."""
    file, data, _ = INPUTS["all is well"]
    command("process", put(tmp_path / "in", file, data), "--out", tmp_path / "run", "--format", "csv", "--no-model")
    assert marked_files(tmp_path / "run") >= {"reports/part-00000.parquet", "reports.csv", "parts/part-00000.json"}


def test_columns_not_asked_for_reach_no_output(tmp_path: Path) -> None:
    """A column that no field names is not kept anywhere."""
    path = put(tmp_path, "r.csv", f"report_id,text,{MARK}_label,diagnosis\n1,No fracture.,{MARK},{MARK}\n")
    assert marked_files(process(path, tmp_path / "run").folder) == set()


def fail_with_the_text(self: Annotator, report: Report) -> AnnotatedReport:
    """An annotator that breaks, with the report in its message."""
    raise ValueError(f"cannot read {report.text}")


def test_a_report_that_raises_tells_nothing(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quarantine names the kind of error only."""
    monkeypatch.setattr(Annotator, "annotate", fail_with_the_text)
    ended = command("process", put(tmp_path, "r.csv", table(ROW.format("1", TEXT))), "--out", tmp_path / "run")
    assert (ended.code, MARK in ended.out + ended.err) == (3, False)
    assert marked_files(tmp_path / "run") == set()


SHOWN: dict[str, list[str]] = {
    "as an argument": [TEXT],
    "as a word": [MARK],
    "as two arguments": [MARK, TEXT],
    "without quotes": ["--text", MARK, MARK],
    "beside a file": ["r.txt", "--text", TEXT],
    "with a wrong case": ["--text", TEXT, "--case", "nothing"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_show_repeats_no_argument(name: str, command: Any) -> None:
    """A report that is given in the wrong way is not printed by the error."""
    ended = command("show", *SHOWN[name])
    assert ended.code in (2, 4)
    assert MARK not in ended.out + ended.err


def test_show_prints_the_report_on_stdout_alone(command: Any) -> None:
    """What is asked for is the output; stderr stays empty."""
    ended = command("show", "--text", TEXT)
    assert MARK in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("words", [["show", "--json", "--text", TEXT], ["show", "--text", TEXT]])
def test_a_fault_while_showing_tells_nothing(words: list[str], command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error is one line without its message."""
    monkeypatch.setattr(Annotator, "annotate", fail_with_the_text)
    ended = command(*words)
    assert (ended.code, ended.out, MARK in ended.err) == (1, "", False)


def test_two_workers_and_the_engine_write_nothing(tmp_path: Path) -> None:
    """A real process with its workers: neither the engine nor a worker writes text anywhere but to the outputs."""
    path = put(tmp_path, "in/r.csv", table(*(ROW.format(n, f"{TEXT} Number {n}.") for n in range(60))))
    words = ["process", path, "--out", tmp_path / "run", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-W", "always", "-m", "calcitrace", *words],
        cwd=tmp_path, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert MARK not in done.stdout + done.stderr
    assert {f for f in marked_files(tmp_path / "run") if not OUTPUTS.fullmatch(f)} == set()
    assert {p.name for p in tmp_path.iterdir()} == {"in", "run"}


def raised(call: Callable[[], object]) -> Iterator[str]:
    """Every message in the chain of the error that a call raises."""
    with pytest.raises((CalcitraceError, ValueError)) as caught:
        call()
    error: BaseException | None = caught.value
    while error:
        yield str(error)
        error = error.__context__ if not error.__suppress_context__ else None


def test_errors_of_the_library_tell_nothing(annotator: Annotator, tmp_path: Path) -> None:
    """Neither the message of an error nor what it was raised from holds a text."""
    for name in ("no header", "no header, one word", "cut gzip", "workbook that is none"):
        file, data, _ = INPUTS[name]
        path = put(tmp_path, file, data)
        assert [m for m in raised(lambda path=path: list(read_reports(path))) if MARK in m] == []  # type: ignore[misc]
    assert [m for m in raised(lambda: annotator.assertions(TEXT, [(0, 10_000)])) if MARK in m] == []
