"""The command line: what each command prints, how it ends, and what it does not load."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from calcitrace import Annotator, Report, RuleSet, read_run
from calcitrace.casemodel import load_model, starter_path
from calcitrace.cli.bar import Counting, RunBar
from calcitrace.cli.process import process
from calcitrace.config import COLUMN_FLAGS as COLUMN_FLAGS_OF_FILES
from calcitrace.corpus import Progress
from calcitrace.model import AnnotatedReport
from calcitrace.rules import patterns_folder
from calcitrace.runfolder import read_manifest
from calcitrace.summary import threshold_of

SENTENCE = "No cortical erosion. 8 mm calcific deposit in the right supraspinatus tendon."
GOOD = "report_id,text\n1,No fracture.\n2,Pain.\n"


def put(folder: Path, name: str, text: str) -> Path:
    """Write a file with its line ends as they are."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def python(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, with its output."""
    return subprocess.run(
        [sys.executable, *words], capture_output=True, encoding="utf-8", check=False, env={**os.environ, **environment}
    )


# Help, version, start


def test_an_option_of_one_value_that_is_given_twice_is_refused(command: Any, tmp_path: Path) -> None:
    """In place of dropping the first in silence; options of several values and switches may come again."""
    ended = command("cohort", tmp_path, "--adjudications", "a", "-o", "x", "--adjudications", "b")
    assert (ended.code, ended.err) == (2, "error: --adjudications is given 2 times; it takes one value\n")
    assert "times" not in command("process", tmp_path, "--out", tmp_path / "r", "--strict", "--strict").err
    assert "times" not in command("rules", "check", "--on", "a", "--on", "b").err


def test_help_loads_nothing_heavy() -> None:
    """`--help` must not pay for the engine: neither it nor the table libraries are imported."""
    done = python("-X", "importtime", "-m", "calcitrace", "--help")
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert "calcitrace" in loaded
    assert loaded & {"spacy", "medspacy", "sklearn", "pandas", "numpy", "pyarrow", "PyRuSH", "loguru", "yaml"} == set()


def test_help_answers_at_once() -> None:
    """In well under a second of work (CPU time, the best of three, since the machine may be busy)."""
    taken = []
    for _ in range(3):
        before = os.times()
        python("-m", "calcitrace", "--help")
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(taken) < 0.8


def test_help_names_commands_and_exit_codes(command: Any) -> None:
    """Whoever asks for help finds the way on."""
    seen = " ".join(command("--help").out.split())
    assert all(f" {name} " in seen for name in ("process", "demo", "show", "rules"))
    assert "3 done but rows were rejected" in seen


@pytest.mark.parametrize("words", [["process"], ["demo"], ["show"], ["rules"], ["rules", "check"], ["rules", "show"]])
def test_every_command_has_help(words: list[str], command: Any) -> None:
    """`--help` of each says what it does, and ends well."""
    ended = command(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage: calcitrace" in ended.out


@pytest.mark.parametrize("words", [["--help"], ["process", "--help"], ["decisions", "import", "--help"]])
def test_switches_have_no_type_in_the_help(words: list[str], command: Any) -> None:
    """They take no value; options that take one say of which kind."""
    shown = command(*words).out
    assert "bool" not in shown
    assert words == ["--help"] or "<str>" in shown


def test_help_flows_and_does_not_repeat_itself() -> None:
    """A paragraph is one line, which the terminal wraps, and no two options of a command are told in the same words."""
    import typer

    from calcitrace.cli import app

    def leaves(command: Any) -> Iterator[Any]:
        inner = getattr(command, "commands", {})
        yield from (leaf for c in inner.values() for leaf in leaves(c)) if inner else (command,)

    for command in leaves(typer.main.get_command(app)):
        told = [p.help for p in command.params if getattr(p, "help", None)]
        assert len({*told}) == len(told), command.name
        assert all("\n" not in part for part in re.split(r"\n\n+", f"{command.help}\n\n{command.epilog}")), command.name


def test_version(command: Any) -> None:
    """The installed version, the same by the script and by `python -m calcitrace`."""
    said = f"calcitrace {version('calcitrace')}\n"
    assert command("--version").out == said
    assert python("-m", "calcitrace", "--version").stdout == said


def test_shell_completion() -> None:
    """The shell is told the commands that begin with what was typed."""
    words = {"_CALCITRACE_COMPLETE": "complete_bash", "COMP_WORDS": "calcitrace ru", "COMP_CWORD": "1"}
    script = "import sys; sys.argv = ['calcitrace']; from calcitrace.cli import main; main()"
    assert python("-c", script, **words).stdout.split() == ["rules"]


@pytest.mark.parametrize("words", [["nothing"], ["rules", "nothing"], ["No fracture of the hip."]])
def test_an_unknown_command_is_not_repeated(words: list[str], command: Any) -> None:
    """It may be a report; the way on is told instead."""
    ended = command(*words)
    said = "no such command; --help names them, and `calcitrace show --text` reads a report"
    assert (ended.code, ended.out, ended.err) == (2, "", f"error: {said}\n")


def test_a_command_that_is_nearly_one_is_named(command: Any) -> None:
    """The name that was meant is told, and what was typed is not."""
    ended = command("proces")
    assert (ended.code, ended.err.split("; ")[1]) == (
        2,
        "did you mean process? --help names them, and `calcitrace show --text` reads a report\n",
    )
    assert "did you mean check? " in command("rules", "chek").err


# process


def test_process_tells_what_it_chose_and_counted(command: Any, tmp_path: Path) -> None:
    """The choice on stderr, counts and the way to the page on stdout."""
    ended = command("process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run")
    assert ended.code == 0
    assert ended.err == "r.csv: encoding utf-8, delimiter ',', columns report_id = report_id, text = text\n"
    counts = dict(re.findall(r"^(\w[\w ]+?) +(\d+)$", ended.out, re.MULTILINE))
    assert counts == {"rows read": "2", "reports": "2", "rejected": "0", "mentions": "2", "likely cases": "0"}
    assert ended.out.endswith(f"wrote {tmp_path / 'run'}; open {tmp_path / 'run' / 'summary.html'} in a browser\n")


def test_process_tells_of_columns_that_it_does_not_know(command: Any, tmp_path: Path) -> None:
    """A line of its own names the fields that were not found, the options for them, and the columns left over."""
    path = put(tmp_path, "r.csv", "NR,PID,BEFUND\n1,P,Pain.\n")
    ended = command("process", path, "--out", tmp_path / "run", "--text-column", "BEFUND")
    assert ended.err.splitlines() == [
        "r.csv: encoding utf-8, delimiter ',', columns text = BEFUND",
        "r.csv: no column known for report_id, patient_id, study_date, modality, body_part, sex, age, "
        "birth_date (name it with --id-column, --patient-column, --date-column, --modality-column, "
        "--body-part-column, --sex-column, "
        "--age-column, --birth-date-column); unused: NR, PID",
        "r.csv: ids are file and row then: an addendum is a report of its own, and labels by id do not fit",
    ]


def test_process_tells_of_like_inputs_once(command: Any, tmp_path: Path) -> None:
    """A folder of texts does not fill the screen, and what was left out of it is said."""
    for n in range(30):
        put(tmp_path, f"in/{n:02}.txt", f"Report {n}: no fracture.")
    put(tmp_path, "in/scan.pdf", "x")
    ended = command("process", tmp_path / "in", "--out", tmp_path / "run")
    assert ended.err == "00.txt and 29 more: encoding utf-8\nleft out, of no known format: 1 .pdf\n"


MODALITIES = "report_id,modality,text\n1,MRT,Pain.\n2,MRT,MRI shoulder. Pain.\n3,MR,Pain.\n4,Röntgen,Pain!\n5,MRT,No.\n"


def test_process_tells_of_modalities_that_the_rules_do_not_know(command: Any, tmp_path: Path) -> None:
    """At its end, on the page, and also where an earlier run is confirmed; a title that tells one is enough."""
    path = put(tmp_path, "r.csv", MODALITIES)
    said = "modality: 3 reports count as 'other', since the rules do not know MRT (2), Röntgen (1); name it in"
    for screen in ("rules", "none", "case", "case"):
        done = command("process", path, "--out", tmp_path / screen, "--screen", screen)
        assert f"note: {said}" in done.err
    assert escape(said) in (tmp_path / "case" / "summary.html").read_text(encoding="utf-8")


def test_merge_tells_of_modalities_that_the_rules_do_not_know(command: Any, tmp_path: Path) -> None:
    """Of all shards together."""
    path = put(tmp_path, "r.csv", MODALITIES)
    for shard in "12":
        command("process", path, "--out", tmp_path / shard, "--shard", f"{shard}/2")
    done = command("merge", tmp_path / "1", tmp_path / "2", "--out", tmp_path / "run")
    assert "3 reports count as 'other', since the rules do not know MRT (2), Röntgen (1)" in done.err


def test_process_tells_the_threshold_that_holds(command: Any, tmp_path: Path) -> None:
    """On the scale of the run's probabilities, on the terminal and on the page; nothing without a model."""
    path = put(tmp_path, "r.csv", GOOD)
    ended = command("process", path, "--out", tmp_path / "run", "--prevalence", "0.005")
    told = " ".join(ended.out.split())
    least = float(re.findall(r"a report is a likely case if its probability is (0.\d+) or more", told)[0])
    assert (
        "(chosen to keep at least 98 % of the cases that it learned from, and moved as the probabilities were)" in told
    )
    assert "Probabilities were recalibrated for an archive in which 0.5 % of the reports are cases" in told
    manifest = read_manifest(tmp_path / "run")
    assert least == pytest.approx(threshold_of(manifest), rel=0.01)
    assert least < manifest["model"]["threshold"]
    assert max(map(len, ended.out.splitlines()[5:10])) <= 80
    assert "Threshold" not in command("process", path, "--out", tmp_path / "none", "--no-model").out


def test_process_tells_notes_in_lines_of_their_own(command: Any, tmp_path: Path) -> None:
    """What may be wrong with an input does not hide behind what was chosen for it."""
    path = put(tmp_path, "r.csv", "id,text,date\n1,Pain.,13.13.2021\n2,No fracture.,")
    ended = command("process", path, "--out", tmp_path / "run")
    assert [line.split(";")[0] for line in ended.err.splitlines() if "note" in line] == [
        "r.csv: note: its last line has no line end",
        "r.csv: note: study dates that cannot be read: 1 (the first at r.csv:2)",
    ]


def test_process_tells_the_most_frequent_endings_that_it_left_out(command: Any, tmp_path: Path) -> None:
    """A folder of everything does not fill the screen either: the rarest endings are told as one number."""
    put(tmp_path, "in/a.txt", "No fracture.")
    for name in ("1.bin", "2.bin", "3.bin", *(f"x.{letter}" for letter in "abcdefghi")):
        put(tmp_path, f"in/{name}", "x")
    ended = command("process", tmp_path / "in", "--out", tmp_path / "run")
    told = "3 .bin, 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, 1 .g and 2 with 2 other endings"
    assert ended.err.splitlines()[-1] == f"left out, of no known format: {told}"


def test_process_names_the_first_rejects(command: Any, tmp_path: Path) -> None:
    """Ten of them with file, row and reason, and where all of them stand; the exit code says so too."""
    path = put(tmp_path, "r.csv", "id,text\n" + "".join(f"{n},\n" for n in range(25)))
    ended = command("process", path, "--out", tmp_path / "run")
    assert ended.code == 3
    assert ended.err.splitlines()[1:] == [
        *(f"rejected r.csv:{n}: empty text" for n in range(2, 12)),
        f"25 rejected in all; see {tmp_path / 'run' / 'rejects.jsonl'}",
    ]


def test_a_run_that_failed_before_its_first_part_can_be_mended(command: Any, tmp_path: Path) -> None:
    """The command that the error asks for works with the same --out; until then `status` says that it stopped."""
    words = ["process", put(tmp_path, "r.csv", "KEY,WORDS\n1,Pain.\n"), "--out", tmp_path / "run"]
    assert command(*words).code == 4
    told = command("status", tmp_path / "run").out
    assert re.match(r"status +stopped before its first part; give the same `calcitrace process` command again", told)
    assert command(*words, "--text-column", "WORDS").code == 0
    assert command("status", tmp_path / "run").out.startswith("status              complete\n")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (
            4000,
            ["took                1:06:40 from its first start to its end", "rate                0.5 reports/s over"],
        ),
        (
            2,
            ["took                0:00:02 from its first start to its end", "rate                1,000 reports/s over"],
        ),
        (0, ["took                0:00:00 from its first start to its end"]),
    ],
)
def test_status_tells_how_long_a_finished_run_took(seconds: int, said: list[str], command: Any, tmp_path: Path) -> None:
    """From its first start to its end, and the rate over that, by the manifest and the parts."""
    run = tmp_path / "run"
    command("process", put(tmp_path, "r.csv", GOOD), "--out", run)
    (part,) = (run / "parts").glob("part-*.json")
    part.write_text(json.dumps({**json.loads(part.read_text("utf-8")), "reports": 2000}), "utf-8")
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    started = datetime.fromisoformat(manifest["finished"]) - timedelta(seconds=seconds)
    (run / "manifest.json").write_text(json.dumps({**manifest, "started": started.isoformat()}), "utf-8")
    lines = command("status", run).out.splitlines()[5:]
    assert [line.partition(" that time")[0] for line in lines] == said


def test_status_of_a_run_whose_tables_are_gone(command: Any, tmp_path: Path) -> None:
    """It is damaged, whatever its manifest says, and the same command mends it."""
    words = ["process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run"]
    command(*words)
    (tmp_path / "run/reports/part-00000.parquet").unlink()
    said = "status              damaged: tables are gone (1, first reports/part-00000.parquet); give the same"
    assert command("status", tmp_path / "run").out.startswith(said)
    assert command(*words).code == 0
    assert "complete" in command("status", tmp_path / "run").out


FINDING = "title: Z\nstatus: draft\nterms: [zebra sign]\nexamples:\n  - ['No {zebra sign}.', absent]\n"


@pytest.fixture(scope="module")
def more_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules that ship with one finding more."""
    folder = tmp_path_factory.mktemp("more") / "rules"
    shutil.copytree(patterns_folder(), folder)
    put(folder, "findings/zebra.yml", FINDING)
    return folder


def test_a_starter_model_that_does_not_fit_is_told_of(command: Any, tmp_path: Path, more_rules: Path) -> None:
    """A finding more takes the probabilities away: the terminal says so with what to do, the manifest says why."""
    words = ["process", put(tmp_path, "r.csv", GOOD), "--patterns", more_rules, "--out"]
    ended = command(*words, tmp_path / "run")
    loud = r"^warning: no probabilities: the starter model does not fit these rules.*`calcitrace train`.*--no-model"
    assert re.search(loud, ended.err)
    assert "does not fit these rules" in read_manifest(tmp_path / "run")["no_model"]
    assert "does not fit these rules" in (tmp_path / "run/summary.html").read_text(encoding="utf-8")
    assert "warning" not in command(*words, tmp_path / "quiet", "--no-model").err
    assert read_manifest(tmp_path / "quiet")["no_model"] == "not asked for"


def test_a_model_of_ones_own_of_other_rules_is_told_of(command: Any, tmp_path: Path) -> None:
    """A changed term leaves the features as they are, so the model is used; that it learned with others is said."""
    rules = tmp_path / "rules"
    shutil.copytree(patterns_folder(), rules)
    file = rules / "findings" / "calcification.yml"
    file.write_text(file.read_text("utf-8").replace("  - calcs\n", "  - calcs\n  - lime plug\n"), "utf-8")
    own = put(tmp_path, "own.json", (starter_path("intraosseous_migration") or Path()).read_text("utf-8"))
    words = ["process", put(tmp_path, "r.csv", GOOD), "--patterns", rules, "--out"]
    told = command(*words, tmp_path / "run", "--model", own).err
    assert "note: the model intraosseous_migration was trained with other rules (" in told
    assert f"train it anew from its labels: calcitrace train LABELS --run {tmp_path / 'run'} --out" in told
    assert "other rules" not in command(*words, tmp_path / "starter").err


def test_show_and_doctor_tell_of_a_starter_model_that_does_not_fit(
    command: Any, more_rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says what to do: who uses such rules trains a model, who works on those that ship the starter model."""
    from calcitrace import doctor, load_rules

    words = ["show", "--text", "Pain.", "--patterns", more_rules]
    assert re.match("warning: no probability: the starter model does not fit.*`calcitrace train`", command(*words).err)
    assert command(*words, "--no-model").err == ""
    for place, mended in ((tmp_path / "installed", doctor.AGAIN), (tmp_path / "checkout", doctor.ANEW)):
        monkeypatch.setattr(doctor, "patterns_folder", lambda place=place: place / "patterns")
        (tmp_path / "checkout" / "evaluation").mkdir(parents=True, exist_ok=True)
        found = doctor.model_check(load_rules(more_rules))
        assert (found.state, found.seen.endswith(mended)) == (doctor.WRONG, True)


def test_process_writes_csv_when_asked(command: Any, tmp_path: Path) -> None:
    """Both tables, as many rows as in Parquet, with the same columns."""
    ended = command("process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run", "--format", "csv")
    assert ended.code == 0
    for table, frame in zip(("reports", "mentions"), read_run(tmp_path / "run"), strict=True):
        with (tmp_path / "run" / f"{table}.csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        assert [r["report_id"] for r in rows] == list(frame["report_id"])
        assert list(rows[0]) == list(frame.columns)


def test_process_keeps_its_command_in_the_manifest(command: Any, tmp_path: Path) -> None:
    """So that a run can be made again."""
    path = put(tmp_path, "r.csv", GOOD)
    command("process", path, "--out", tmp_path / "run")
    assert read_manifest(tmp_path / "run")["command"] == [
        "calcitrace", "process", str(path), "--out", str(tmp_path / "run"),
    ]  # fmt: skip


COLUMN_FLAGS = {
    "--id-column": "report_id",
    "--patient-column": "patient_id",
    "--date-column": "study_date",
    "--modality-column": "modality",
    "--body-part-column": "body_part",
    "--sex-column": "sex",
    "--age-column": "age",
    "--birth-date-column": "birth_date",
}


def test_every_column_has_a_flag(command: Any, tmp_path: Path) -> None:
    """Any column of a table with names of its own can be set."""
    names = [f"K{n}" for n in range(len(COLUMN_FLAGS))]
    path = put(tmp_path, "r.csv", ",".join([*names, "BODY"]) + "\n" + ",".join([*(f"v{n}" for n in names), "Pain."]))
    flags = [word for pair in zip(COLUMN_FLAGS, names, strict=True) for word in pair]
    assert command("process", path, "--out", tmp_path / "run", "--text-column", "BODY", *flags).code == 0
    reports, _ = read_run(tmp_path / "run")
    kept = {f: f"vK{n}" for n, f in enumerate(COLUMN_FLAGS.values()) if f != "birth_date"}
    assert {f: reports.loc[0, f] for f in kept} == kept
    assert "birth_date = K7" in read_manifest(tmp_path / "run")["inputs"][0]["chosen"]


def test_pieces_have_flags(command: Any, tmp_path: Path) -> None:
    """Findings and impression of any name are joined; mentions know their section."""
    path = put(tmp_path, "r.csv", "id,F,I\n1,No fracture.,Pain.\n")
    words = ["--findings-column", "F", "--impression-column", "I"]
    assert command("process", path, "--out", tmp_path / "run", *words).code == 0
    _, mentions = read_run(tmp_path / "run")
    assert [(m.finding, m.section) for m in mentions.itertuples()] == [("fracture", "findings"), ("pain", "impression")]


def test_every_piece_and_field_has_an_option() -> None:
    """What can be a column in a file of options can be one on the command line, and the other way round."""
    options = {p for p in signature(process).parameters if p.endswith("_column")}
    assert options == set(COLUMN_FLAGS_OF_FILES)


def test_every_piece_is_joined(command: Any, tmp_path: Path) -> None:
    """Each under its heading, in the order of a report."""
    names = "indication technique comparison findings impression recommendation addendum".split()
    path = put(tmp_path, "r.csv", f"id,{','.join('K' + n for n in names)}\n1,{','.join('of ' + n for n in names)}\n")
    flags = [word for n in reversed(names) for word in (f"--{n}-column", f"K{n}")]
    command("process", path, "--out", tmp_path / "run", *flags)
    shown = command("show", "--run", tmp_path / "run", "1").out
    assert shown.startswith("\n\n".join(f"{n.upper()}:\nof {n}" for n in names))


LONG = "No fracture of the hip and no effusion. " * 4
IN_PARTS = f"GUID,BERICHT_A,BERICHT_B,NOTIZ\n1,Pain.,{LONG},x\n2,No pain.,{LONG},y\n"


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx", "sql"])
def test_process_tells_of_report_text_that_is_not_read(kind: str, command: Any, tmp_path: Path) -> None:
    """Whoever names one column of text may not know that the impression stands in another."""
    path: Any = put(tmp_path, "r.csv", IN_PARTS)
    table, other = pd.read_csv(path), path.with_suffix(f".{kind}")
    words = [other]
    if kind == "parquet":
        table.to_parquet(other)
    elif kind == "tsv":
        table.to_csv(other, sep="\t", index=False)
    elif kind == "jsonl":
        table.to_json(other, orient="records", lines=True)
    elif kind == "xlsx":
        table.to_excel(other, index=False)
    elif kind == "sql":
        words = ["--sql", f"select * from read_csv('{path}') order by 1", "--url", f"duckdb:///{tmp_path / 'x.db'}"]
        duckdb.connect(str(tmp_path / "x.db")).close()
    done = command("process", *words, "--out", tmp_path / "run", "--text-column", "BERICHT_A")
    assert (
        'not read, but looks like report text: BERICHT_B; --findings-column "BERICHT_A" '
        '--impression-column "BERICHT_B" join parts in place of --text-column\n' in done.err
    )


def test_a_key_of_json_that_is_no_name_is_not_told(command: Any, tmp_path: Path) -> None:
    """Where rows have keys of their own, one may hold report text; keys that come later are looked at, too."""
    rows = [{"id": "1", "BERICHT": "Pain.", LONG[:30]: LONG}, {"id": "2", "BERICHT": "Pain.", "IMPR": LONG * 2}]
    path = put(tmp_path, "r.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    done = command("process", path, "--out", tmp_path / "run", "--text-column", "BERICHT")
    assert "r.jsonl: note: not read, but looks like report text: IMPR; --findings-column" in done.err
    assert "fracture" not in done.err


def test_process_tells_of_pieces_that_a_whole_text_displaces(command: Any, tmp_path: Path) -> None:
    """As where the file of options names pieces, and a flag the text."""
    path = put(tmp_path, "r.csv", IN_PARTS)
    own = put(tmp_path, "own.toml", '[columns]\nfindings = "BERICHT_B"\nimpression = "NOTIZ"\n')
    done = command("process", path, "--out", tmp_path / "run", "--config", own, "--text-column", "BERICHT_A")
    said = "findings = BERICHT_B and impression = NOTIZ: not read, since --text-column names the whole text; "
    assert f"{said}--findings-column in its place joins them" in done.err
    assert "looks like" not in done.err
    quiet = command("process", path, "--out", tmp_path / "two", "--config", own)
    assert "not read" not in quiet.err


def test_a_part_beside_a_whole_report_is_told_with_what_joins_it(command: Any, tmp_path: Path) -> None:
    """A column of addenda, say, which is read where it is named."""
    rows = "id,report,Addendum\n1,No fracture.,Erosion is seen.\n"
    path, flag = put(tmp_path, "r.csv", rows), ("--addendum-column", "Addendum")
    done = command("process", path, "--out", tmp_path / "run")
    assert "Addendum: not read beside 'report', unless named; --addendum-column \"Addendum\" joins" in done.err
    assert list(read_run(tmp_path / "run")[1]["finding"]) == ["fracture"]
    assert "not read" not in command("process", path, "--out", tmp_path / "two", *flag).err
    assert list(read_run(tmp_path / "two")[1]["finding"]) == ["fracture", "cortical_erosion"]


@pytest.mark.parametrize(
    ("content", "words", "noted"),
    [
        ("Acc|MRN|Report\n1|P1|No fracture.\n", [], True),
        ("No fracture.\n", ["--id-column", "Acc"], True),
        ("Pain, swelling, report of the patient:\nNo fracture.\n", [], False),
        ("No fracture, no effusion, no mass.\n", [], False),
    ],
)
def test_a_table_that_is_called_txt_is_told(
    command: Any, tmp_path: Path, content: str, words: list[str], noted: bool
) -> None:
    """It is one report, unless --from says what it is; so is where columns were named."""
    done = command("process", put(tmp_path, "r.txt", content), "--out", tmp_path / "run", *words)
    assert (done.code, "r.txt: note: read as one report" in done.err) == (0, noted)


def test_usual_german_names_are_recognised(command: Any, tmp_path: Path) -> None:
    """As a radiology system in Germany, Austria or Switzerland exports them."""
    names = "Untersuchungsnummer;Patienten-ID;Untersuchungsdatum;Modalität;Geschlecht;Geburtsdatum;Befund;Beurteilung"
    path = put(tmp_path, "r.csv", f"{names}\n7;P;2021-03-04;MR;w;1960-05-13;No fracture.;Pain.\n")
    assert command("process", path, "--out", tmp_path / "run").code == 0
    reports, mentions = read_run(tmp_path / "run")
    row = reports.loc[0, ["report_id", "patient_id", "study_date", "modality", "sex", "age"]]
    assert list(row) == ["7", "P", "2021-03-04", "MR", "w", "60"]
    assert list(mentions["section"]) == ["findings", "impression"]


@pytest.mark.parametrize(
    "names",
    [
        "Accession Number,Patient MRN,Exam Completed Date,Modality,Exam Description,Patient Sex,Patient Age,Report",
        "ORDER_PROC_ID,PAT_MRN_ID,RESULT_DATE,MODALITY,PROC_NAME,LEGAL_SEX,AGE_AT_EXAM,NARRATIVE",
        "Order Number,Medical Record Number,Service Date,Modality,Order Description,Gender,Age,Result Text",
    ],
)
def test_usual_names_of_hospital_systems_are_recognised(command: Any, tmp_path: Path, names: str) -> None:
    """As report searches, warehouses and result lists of hospitals export them."""
    path = put(tmp_path, "r.csv", f"{names}\n7,P,2021-03-04,MR,MR shoulder,F,60,No fracture.\n")
    assert command("process", path, "--out", tmp_path / "run").code == 0
    fields = ["report_id", "patient_id", "study_date", "modality", "body_part", "sex", "age", "n_mentions"]
    row = read_run(tmp_path / "run")[0].loc[0, fields]
    assert list(row) == ["7", "P", "2021-03-04", "MR", "MR shoulder", "F", "60", 1]


def test_options_from_a_file(command: Any, tmp_path: Path) -> None:
    """A TOML file holds columns, as a table or by flag name, delimiter, encoding, case and patterns."""
    shutil.copytree(patterns_folder(), tmp_path / "conf" / "our rules")
    text = 'delimiter = "^"\npatterns = "our rules"\ntext_column = "BODY"\n[columns]\nreport_id = "KEY"\n'
    config = put(tmp_path, "conf/run.toml", text)
    path = put(tmp_path, "r.csv", "KEY^BODY^text\n7^Pain.^x\n")
    assert command("process", path, "--out", tmp_path / "run", "--config", config).code == 0
    options = read_manifest(tmp_path / "run")["options"]
    assert options["columns"] == {"report_id": "KEY", "text": "BODY"}
    assert Path(options["patterns"]) == tmp_path / "conf" / "our rules"
    assert list(read_run(tmp_path / "run")[0]["report_id"]) == ["7"]


def test_every_option_of_a_run_can_stand_in_the_file() -> None:
    """All but where to read and write, and --overwrite, which one must mean each time."""
    from inspect import signature

    from calcitrace.cli.process import process
    from calcitrace.config import COLUMN_FLAGS, KINDS

    assert set(signature(process).parameters) - {"inputs", "out", "config", "overwrite"} <= {*KINDS, *COLUMN_FLAGS}


def test_the_example_of_the_readme_is_read(command: Any, tmp_path: Path) -> None:
    """Numbers, texts and switches of a file are kinds of their own; the run follows them."""
    (example,) = re.findall(r"```toml\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text("utf-8"), re.S)
    header = "ACC;PID;DATUM;MOD;ORGAN;SEX;GEBDAT;BEFUND"
    assert f"`{header}`" in (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    row = "P;03.04.2021;MR;Schulter;W;04.03.1960"
    path = put(tmp_path, "r.csv", f"{header}\n1;{row};Pain.\n2;{row};\n")
    words = ["process", path, "--config", put(tmp_path, "run.toml", example), "--out", tmp_path / "run"]
    assert command(*words).code == 3
    options = read_manifest(tmp_path / "run")["options"]
    assert sorted(options["columns"].values()) == sorted(header.split(";"))
    assert (options["prevalence"], options["date_order"]) == (0.005, "dmy")
    assert list(read_run(tmp_path / "run")[0]["age"]) == ["61"]
    assert b"1960" not in b"".join(p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file())
    assert (tmp_path / "run/reports.csv").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workers = 1.5", "'workers' must be a whole number, such as 4"),
        ("workers = true", "'workers' must be a whole number, such as 4"),
        ("strict = 1", "'strict' must be true or false"),
        ('report-timeout = "9"', "'report_timeout' must be a number, such as 0.005"),
        ('no_model = true\nmodel = "x"', "give a model or --no-model, not both"),
        ('format = "xls"', "--format 'xls' is not one of parquet, csv"),
    ],
)
def test_a_file_of_options_is_checked(text: str, said: str, command: Any, tmp_path: Path) -> None:
    """A value of another kind, or options that exclude each other, are wrong use."""
    path, config = put(tmp_path, "r.csv", GOOD), put(tmp_path, "run.toml", text)
    ended = command("process", path, "--out", tmp_path / "run", "--config", config)
    assert said in ended.err
    assert ended.code == 2


def test_switches_of_the_file(command: Any, tmp_path: Path) -> None:
    """`strict` stops at the first reject; `no_model` gives way to a model that a flag names."""
    path, config = (
        put(tmp_path, "r.csv", "id,text\n1,\n"),
        put(tmp_path, "run.toml", "strict = true\nno-model = true\n"),
    )
    ended = command("process", path, "--out", tmp_path / "run", "--config", config)
    assert (ended.code, "stopped because of --strict" in ended.err) == (1, True)
    flags = ["--config", config, "--model", tmp_path / "gone.json"]
    assert "gone.json: cannot be read" in command("process", path, "--out", tmp_path / "two", *flags).err


def test_a_flag_wins_over_the_file(command: Any, tmp_path: Path) -> None:
    """What is typed is meant."""
    config = put(tmp_path, "run.toml", '[columns]\ntext = "A"\n')
    path = put(tmp_path, "r.csv", "id,A,B\n1,Pain.,No mass.\n")
    command("process", path, "--out", tmp_path / "run", "--config", config, "--text-column", "B")
    assert list(read_run(tmp_path / "run")[1]["finding"]) == ["mass"]


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Somebody presses Ctrl-C while the second report is read."""
    whole = Annotator.annotate

    def interrupted(self: Annotator, report: Report) -> AnnotatedReport:
        if report.report_id == "2":
            raise KeyboardInterrupt
        return whole(self, report)

    monkeypatch.setattr(Annotator, "annotate", interrupted)
    return monkeypatch


def test_an_interrupted_run_says_how_to_go_on(command: Any, tmp_path: Path, interrupting: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with its own code; the same command then finishes the run."""
    words = ["process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run"]
    ended = command(*words)
    assert ended.code == 5
    assert ended.err.endswith("interrupted; give the same command again to go on\n")
    interrupting.undo()
    done = subprocess.run([sys.executable, "-m", "calcitrace", *words], capture_output=True, check=False)
    assert done.returncode == 0
    assert len(read_run(tmp_path / "run")[0]) == 2


def test_a_run_that_goes_on_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Reports of an earlier call are told of once, before the first is read."""
    chosen = {"r.csv": "encoding utf-8"}
    with RunBar() as bar:
        bar.advance(Progress(2000, 0, 3, 0, 0.1, chosen))
        bar.advance(Progress(2010, 0, 3, 10, 0.1, chosen))
    assert capsys.readouterr().err == (
        "r.csv: encoding utf-8\ngoing on with an earlier run: 2,000 reports are read already\n"
    )


def test_progress_that_is_no_terminals_is_told_once_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs and counts that are piped tell how far they are in a line once a minute, and nothing before."""
    clock = [0.0]
    monkeypatch.setattr("calcitrace.cli.bar.time.monotonic", lambda: clock[0])
    with RunBar() as bar, Counting("patients") as count:
        for clock[0] in (59.0, 60.0, 61.0, 119.0, 120.0):
            bar.advance(Progress(int(clock[0]) * 10, 0, 3, int(clock[0]) * 10, clock[0] / 240, {}))
            count.reached(int(clock[0]) * 1000)
    assert capsys.readouterr().err == (
        "600 reports, 10/s, 3 likely, 25% of the input\n60,000 patients, 1,000/s\n"
        "1,200 reports, 10/s, 3 likely, 50% of the input\n120,000 patients, 1,000/s\n"
    )


# demo


def test_demo_shows_what_it_found(command: Any, tmp_path: Path) -> None:
    """Without any input: a table of the likely cases, the counts, and where it wrote; twice is as good as once."""
    for _ in range(2):
        ended = command("demo", "--out", tmp_path / "run")
        assert ended.code == 0
        reports, _ = read_run(tmp_path / "run")
        likely = reports[reports["likely_case"]]
        assert len(likely) >= 3
        assert len(reports) >= 60
        assert all(
            re.search(rf"^{i} .*\b{s}\b", ended.out, re.M) for i, s in likely[["report_id", "case_status"]].values
        )
        shown = [float(p) for p in re.findall(r"^S\d+ +([\d.]+) ", ended.out, re.M)]
        assert len(shown) == len(likely)
        assert shown == sorted(shown, reverse=True)
        assert f"wrote {tmp_path / 'run'}" in ended.out
        assert "demo" not in ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no pseudo-terminals")
def test_demo_shows_a_progress_bar_on_a_terminal(tmp_path: Path) -> None:
    """A bar with reports, rate and time left that moves before the end."""
    import pty

    master, slave = pty.openpty()
    demo = [sys.executable, "-m", "calcitrace", "demo", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    running = subprocess.Popen(demo, stdout=subprocess.PIPE, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 4096):
            seen += chunk
    except OSError:  # the terminal is closed
        pass
    assert running.wait() == 0
    running.stdout.close() if running.stdout else None
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()).replace("\r", "\n")
    shares = [int(s) for s in re.findall(r"\d+ reports, \d+/s, \d+ likely \S+ +(\d+)% [\d:]+ left", lines)]
    assert shares[-1] == 100
    assert any(0 < share < 100 for share in shares)


# show


def test_show_a_text(command: Any) -> None:
    """The text, each mention with finding, assertion, place and cue, and the case status."""
    ended = command("show", "--text", SENTENCE)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(SENTENCE)
    row = next(line for line in ended.out.splitlines() if "cortical_erosion" in line)
    assert [cell.strip() for cell in row.split("│")][:3] == ["cortical erosion", "cortical_erosion", "absent"]
    assert row.rstrip().endswith("No")
    assert "case status: no" in ended.out


def test_show_as_json(command: Any) -> None:
    """All of it for a machine; offsets index the text that was given."""
    found = json.loads(command("show", "--json", "--text", SENTENCE).out)
    assert found["case_status"] == "no"
    mentions = {m["finding"]: m for m in found["mentions"]}
    assert {f: m["assertion"] for f, m in mentions.items()} == {
        "cortical_erosion": "absent",
        "calcification": "present",
    }
    assert all(SENTENCE[m["start"] : m["end"]] == m["text"] for m in mentions.values())
    assert mentions["calcification"]["size_mm"] == 8.0
    assert [c["text"] for c in mentions["cortical_erosion"]["cues"]] == ["No"]


def test_show_tells_the_threshold_on_the_scale_of_the_probability(command: Any) -> None:
    """At another share of cases both move together, so that who is a likely case can be seen."""
    said = {
        share: json.loads(command("show", "--json", "--text", SENTENCE, *words).out)
        for share, words in (("own", []), ("rare", ["--prevalence", "0.005"]))
    }
    model = load_model(starter_path("intraosseous_migration") or "")
    assert said["own"]["reckoning"]["threshold"] == pytest.approx(model.threshold)
    assert said["rare"]["reckoning"]["threshold"] < 0.05 < model.threshold
    plain = command("show", "--text", SENTENCE, "--prevalence", "0.005").out
    least = said["rare"]["reckoning"]["threshold"]
    assert f"no likely case (threshold {least:.2g} where 0.5 % of reports are cases)" in plain


@pytest.mark.parametrize("share", [None, 0.005])
def test_the_reasons_for_a_probability_add_up(share: float | None, command: Any) -> None:
    """What any report has, what is shown and what is not shown come to the log odds of the probability."""
    words = ["--prevalence", share] if share else []
    found = json.loads(command("show", "--json", "--text", SENTENCE, *words).out)
    sums = found["reckoning"]
    shown = sum(c["log_odds"] for c in found["contributions"])
    assert sums["others"] > 0
    assert sums["base"] + shown + sums["rest"] == pytest.approx(sums["total"])
    assert 1 / (1 + math.exp(-sums["total"])) == pytest.approx(found["case_probability"])
    told = command("show", "--why", "--full", "--text", SENTENCE, *words).out
    rest, others = re.escape(f"{sums['rest']:+.2f}"), sums["others"]
    assert re.search(rf"{rest} +\({others} others, each of which adds or takes away less: ", told)
    assert sum(n for n, _ in sums["kinds"].values()) == sums["others"]
    assert sum(share for _, share in sums["kinds"].values()) == pytest.approx(sums["rest"], abs=0.01)
    cut = found["contributions"][5:]  # which the short form does not show
    rest, others = sums["rest"] + sum(c["log_odds"] for c in cut), sums["others"] + len(cut)
    short = command("show", "--why", "--text", SENTENCE, *words).out
    assert re.search(rf"{re.escape(f'{rest:+.2f}')} +\({others} others, each", short)
    kinds = re.findall(r"(\d+) by (words|mentions|the whole report|the case definition) [+-]\d\.\d\d", short)
    assert sum(int(n) for n, _ in kinds) == others


def test_show_tells_of_conditions(command: Any) -> None:
    """They bear on a case, so they stand beside the mentions, and behind what they add; they have no ids."""
    words = ["--text", "MRI right shoulder. Rheumatoid arthritis. Erosion of the greater tuberosity."]
    assert re.search(r"Rheumatoid arthritis +│ inflammatory_arthritis \(condition\)", command("show", *words).out)
    assert "()" not in command("show", "--why", "--full", *words).out
    (condition,) = json.loads(command("show", "--json", *words).out)["conditions"]
    assert condition["finding"] == "inflammatory_arthritis"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("way", ["file", "stdin", "dash"])
def test_show_a_file_or_standard_input(way: str, encoding: str, command: Any, tmp_path: Path) -> None:
    """In any usual encoding; a dash, or nothing, means standard input."""
    text = "No fracture \u2013 caf\u00e9."
    (tmp_path / "r.txt").write_bytes(text.encode(encoding))
    words = {"file": [tmp_path / "r.txt"], "stdin": [], "dash": ["-"]}[way]
    ended = command("show", *words, stdin=b"" if way == "file" else text.encode(encoding))
    assert ended.out.startswith(text)


def test_show_colours_the_right_words(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows line ends do not shift the colours, and terminal escapes in a report are not obeyed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = command("show", "--text", "Knee \x1b[2J:\r\n\r\nNo fracture.\r\nPain.").out
    assert "No \x1b[32mfracture\x1b[0m." in out
    assert "\x1b[1;31mPain\x1b[0m." in out
    assert "\u241b[2J" in out
    assert "\x1b[2J" not in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--text", " \n"], 4, "error: the report is empty\n"),
        ([], 4, "error: the report is empty\n"),
        (
            ["No fracture of the hip."],
            4,
            "error: the file cannot be read; to give the report itself, use --text; for a",
        ),
        (["No fracture. " * 99], 4, "error: the file cannot be read; to give the report itself, use --text; for a"),
        (["Fracture."], 4, "error: the file cannot be read; to give the report itself, use --text; for a"),
        (["."], 4, "error: .: cannot be read (Is a directory); to give the report itself, use --text; for a"),
        (["A1002"], 4, "error: A1002: cannot be read (No such file or directory); to give the report itself, use"),
        (["A1", "--run", "gone"], 6, "error: gone: no run folder"),
        (["A1", "--run", "gone", "--model", "m"], 2, "error: with --run the run's own rules, case definition, model"),
        (["--run", "gone"], 2, "error: with --run give one report id"),
        (["--text", "No", "fracture", "here"], 2, "error: give one file, or the report with --text (in quotes)\n"),
        (
            ["--text", "x", "--case", "nothing"],
            2,
            "error: no case definition 'nothing'; there are: intraosseous_migrat",
        ),
    ],
)
def test_show_what_cannot_be_shown(words: list[str], code: int, says: str, command: Any) -> None:
    """One line says what to do, and repeats nothing that may be report text."""
    ended = command("show", *words)
    assert ended.err.startswith(says)
    assert (ended.code, ended.out) == (code, "")


def test_show_a_report_of_a_run(command: Any, tmp_path: Path) -> None:
    """By its id, read again with the run's columns, rules, model and prevalence: what the tables say of it."""
    path = put(tmp_path, "r.csv", f"KEY;WORDS\n0007;{SENTENCE}\n0008;Pain.\n")
    columns = ["--id-column", "KEY", "--text-column", "WORDS"]
    command("process", path, "--out", tmp_path / "run", *columns, "--prevalence", "0.01")
    found = json.loads(command("show", "0007", "--run", tmp_path / "run", "--json").out)
    row = read_run(tmp_path / "run")[0].set_index("report_id").loc["0007"]
    assert [m["mention_id"] for m in found["mentions"]] == ["0007#0", "0007#1"]
    assert found["case_probability"] == pytest.approx(row["case_probability"], abs=1e-6)
    ended = command("show", "7", "--run", tmp_path / "run")
    assert (ended.code, f"{tmp_path / 'run'}: holds no report '7'; did you mean '0007'?" in ended.err) == (2, True)


def test_show_tells_a_rejected_row_and_a_patient_from_an_unknown_id(command: Any, tmp_path: Path) -> None:
    """With the reason and place of the reject, or the reports of the patient."""
    path = put(tmp_path, "r.csv", "id,mrn,text\nA1,P1,Pain.\nA2,P1,Pain again.\nA3,P2,\n")
    command("process", path, "--out", tmp_path / "run")
    said = {name: command("show", name, "--run", tmp_path / "run").err for name in ("A3", "P1", "X")}
    assert "holds no report 'A3': that row was rejected, empty text (r.csv:4)\n" in said["A3"]
    assert "holds no report 'P1': that is a patient with 2 reports; give the id of one: A1, A2\n" in said["P1"]
    assert "holds no report 'X'; ids stand in the column report_id" in said["X"]


def test_show_of_a_run_from_another_folder(command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that is gone is named, and where it was relative, the folder from which it counts."""
    put(tmp_path, "r.csv", GOOD)
    monkeypatch.chdir(tmp_path)
    assert command("process", "r.csv", "--out", "run").code == 0
    monkeypatch.chdir(tmp_path / "run")
    ended = command("show", "1", "--run", ".")
    assert (ended.code, ended.out) == (6, "")
    assert ended.err.startswith("error: r.csv: cannot be read (No such file or directory); the run's inputs are needed")
    assert ended.err.endswith(", where the run read them; run this in the folder in which the run was started\n")


def test_show_of_a_run_whose_model_has_changed(command: Any, tmp_path: Path) -> None:
    """It is not explained by another model than it was read with."""
    starter = starter_path("intraosseous_migration")
    assert starter
    own = put(tmp_path, "own.json", starter.read_text("utf-8"))
    command("process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run", "--model", own)
    assert command("show", "1", "--run", tmp_path / "run").code == 0
    put(tmp_path, "own.json", own.read_text("utf-8") + "\n")
    assert "has changed since the run" in command("show", "1", "--run", tmp_path / "run").err


def test_show_a_report_of_a_run_without_its_model(command: Any, tmp_path: Path) -> None:
    """--no-model tells what the case definition alone says, and does not ask for the model."""
    own = put(tmp_path, "own.json", (starter_path("intraosseous_migration") or Path()).read_text("utf-8"))
    command("process", put(tmp_path, "r.csv", GOOD), "--out", tmp_path / "run", "--model", own)
    own.unlink()
    ended = command("show", "1", "--run", tmp_path / "run", "--no-model")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("\ncase status: no\n")


def test_show_asks_for_the_id_in_a_table(command: Any, tmp_path: Path) -> None:
    """A table of several reports is not one report; one of a single report is."""
    for text in (GOOD, "KEY,WORDS\n1,Pain.\n"):
        ended = command("show", put(tmp_path, "r.csv", text))
        assert (ended.code, ended.out) == (2, "")
        assert f"{tmp_path / 'r.csv'}: a table, and not one report; process it, then give the id" in ended.err
    assert command("show", put(tmp_path, "r.csv", "id,text\nA1,Pain.\n")).out.startswith("Pain.\n")


# rules


def test_rules_list(command: Any, rules: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every finding and condition, told apart, within 80 columns; and the hash of the rule set."""
    monkeypatch.setenv("COLUMNS", "80")
    ended = command("rules", "list")
    assert ended.code == 0
    _, findings, conditions = re.split(r"^(?:findings|conditions) *$", ended.out, flags=re.MULTILINE)
    for told, named in ((findings, rules.findings), (conditions, rules.conditions)):
        for rule in named.values():
            title = re.escape(rule.title.split()[0])
            assert re.search(rf"^{rule.name} +[\d,]+ +{len(rule.examples)} +{title}", told, re.MULTILINE)
    assert max(map(len, ended.out.splitlines()[:-1])) <= 80
    assert ended.out.endswith(f"rule set {rules.hash}\n")


def test_rules_are_copied_to_a_new_folder_only(command: Any, tmp_path: Path, rules: RuleSet) -> None:
    """The copy is the same rule set; a folder that is there is left alone."""
    from calcitrace import load_rules

    ended = command("rules", "copy", tmp_path / "mine")
    assert ended.out == f"copied the rules to {tmp_path / 'mine'}; use them with --patterns {tmp_path / 'mine'}\n"
    assert load_rules(tmp_path / "mine").hash == rules.hash
    ended = command("rules", "copy", tmp_path / "mine")
    assert (ended.code, ended.err) == (2, f"error: {tmp_path / 'mine'}: is there already; name a new folder\n")


def test_rules_show(command: Any, rules: RuleSet) -> None:
    """The terms, confusers and examples of one finding, and the file they stand in."""
    ended = command("rules", "show", "fracture")
    fracture = rules.findings["fracture"]
    assert ended.out.startswith(f"{fracture.title} ({fracture.path}, {fracture.status})\nterms:\n")
    assert ended.out.splitlines()[-1].strip().endswith(fracture.examples[-1].text)
    assert "\nnot:\n" in ended.out


def test_rules_show_what_is_not_there(command: Any) -> None:
    """The way to the names is told."""
    ended = command("rules", "show", "nothing")
    assert (ended.code, ended.err) == (2, "error: no finding 'nothing'; `calcitrace rules list` names them\n")


def test_rules_check_runs_every_example(command: Any, rules: RuleSet) -> None:
    """The last line counts them, and the exit code is that of its errors."""
    ended = command("rules", "check")
    assert f"\n{patterns_folder()}: " in f"\n{ended.out}"
    found = re.search(r": (\d+) findings, (\d+) examples run, (\d+) errors, \d+ warnings\n$", ended.out, re.MULTILINE)
    assert found
    named = [*rules.findings.values(), *rules.conditions.values()]
    assert int(found[1]) == len(rules.findings)
    assert int(found[2]) == sum(len(f.examples) for f in named) + len(rules.context_examples)
    assert ended.code == (1 if int(found[3]) else 0)


def test_rules_check_of_a_hospital_names_the_line(command: Any, tmp_path: Path) -> None:
    """An example that does not hold is an error at its path and line; the command fails."""
    shutil.copytree(patterns_folder(), tmp_path / "ours")
    finding = "title: Z\nstatus: draft\nterms: [zebra sign]\nexamples:\n  - ['No {zebra sign}.', present]\n"
    put(tmp_path, "ours/findings/zebra.yml", finding)
    ended = command("rules", "check", "--patterns", tmp_path / "ours")
    assert "ours/findings/zebra.yml:5: error: expected present, got absent" in ended.out
    assert ended.code == 1


# Faults


def test_a_fault_of_the_program_is_one_line(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is named by kind and place; its message could hold report text."""

    def failing(*_: object) -> None:
        raise LookupError(SENTENCE)

    monkeypatch.setattr("calcitrace.show.as_json", failing)
    ended = command("show", "--json", "--text", SENTENCE)
    assert ended.code == 1
    assert re.fullmatch(
        r"error: LookupError at test_cli\.py:\d+\. This is a fault of calcitrace; please report this line\n", ended.err
    )


def test_a_reader_that_goes_away() -> None:
    """`calcitrace rules list | head -1` ends in silence."""
    code = "from calcitrace.cli import main; import sys; sys.argv = ['calcitrace', 'rules', 'show', 'fracture']; main()"
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout
    running.stdout.close()
    _, err = running.communicate()
    assert b"Traceback" not in err
