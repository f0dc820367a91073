"""The documents: what they show runs, what they count is there, and what they link exists."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import fill
import pytest
import typer
import yaml

from calcitrace import Annotator, Report, load_rules
from calcitrace.cli import app
from calcitrace.exports import EXPORTS, Export
from calcitrace.lint import check
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS

ROOT = Path(__file__).parents[1]
GOLD = ROOT / "evaluation" / "gold"
DOCUMENTS = sorted(
    p for folder in (".", "docs", "corpora_samples", "evaluation", "evaluation/*") for p in ROOT.glob(f"{folder}/*.md")
)


def text(name: str) -> str:
    """A document of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of one language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", text(name), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name)
def test_a_page_holds_what_the_code_tells_now(path: Path) -> None:
    """Tables made of the code stand in the file, too, with no marks that only the site knows."""
    page = path.read_text(encoding="utf-8")
    assert fill.filled(page) == page, "python docs/fill.py"
    assert page.count("<!-- generated: ") == len(fill.BLOCK.findall(page))
    assert re.findall(r"^#.*\{.*\}$", page, re.MULTILINE) == []


def test_the_documents_are_there() -> None:
    """Someone who opens the checkout finds what a project should tell."""
    names = {p.relative_to(ROOT).as_posix() for p in DOCUMENTS} | {p.name for p in ROOT.glob("LICENSE")}
    assert names >= {
        "README.md",
        "GLOSSARY.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "corpora_samples/README.md",
        "evaluation/README.md",
        "evaluation/gold/README.md",
    }


def test_the_readme_gives_the_two_commands_of_set_up() -> None:
    """Setting up takes one line, and so does testing."""
    commands = [block.strip() for block in blocks("README.md", "sh")]
    assert "pip install -c constraints.txt . && calcitrace demo" in commands
    assert 'pip install -c constraints.txt ".[test]" && pytest -n 2 --dist loadfile' in commands


def test_what_an_extra_needs_is_told_in_one_form() -> None:
    """Whoever lacks the library of an extra is given the same command everywhere: quoted, and by the package's name."""
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "nlp").rglob("*.py")]
    said = [found for f in files for found in re.findall(r"pip install [^\n`]*?\[\w+\]['\"]?", f.read_text("utf-8"))]
    ours = [line for line in said if not re.search(r"\[(test|docs)\]", line)]  # of the checkout alone
    assert {re.sub(r"\[\w+\]", "[]", line) for line in ours} == {'pip install "calcitrace[]"'}


def test_the_ci_runs_the_commands_of_the_readme() -> None:
    """What the README tells is what is checked."""
    lines = text(".ci/run").splitlines()
    assert 'pip install --quiet -c constraints.txt ".[test]"' in lines
    assert lines[-1] == "pytest -n 2 --dist loadfile"


def test_the_hooks_before_a_commit_fetch_nothing() -> None:
    """They are local programs: the linters that .ci/run runs, and the check of the rules."""
    config = yaml.safe_load(text(".pre-commit-config.yaml"))
    assert [r["repo"] for r in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {(h["language"], *h.keys() & {"additional_dependencies"}) for h in hooks} == {("system",)}
    names = [h["name"] for h in hooks]
    assert all(h["entry"].startswith(h["name"]) for h in hooks)
    checks = [line for line in text(".ci/run").splitlines() if line.startswith(("ruff", "mypy"))]
    assert names == [*(re.sub(r"( --check)? \.$", "", line) for line in checks), "calcitrace rules check"]


def test_the_tests_that_contributors_are_told_to_run_are_there() -> None:
    """Each file that CONTRIBUTING names to be run is a file of the checkout."""
    named = set(re.findall(r"(?:tests|evaluation)/\w+\.py", text("CONTRIBUTING.md")))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("number", range(3))
def test_the_python_of_the_readme_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python example runs as it stands and prints what the README says."""
    code, expected = blocks("README.md", "python"), blocks("README.md", "text")
    assert len(code) == len(expected) == 3
    shutil.copy(ROOT / "corpora_samples" / "synthetic_msk.csv", tmp_path / "reports.csv")
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(code[number], "README.md", "exec"), {})
    assert said.getvalue() == expected[number]


def test_the_command_lines_of_the_readme_run(tmp_path: Path) -> None:
    """Each command line shown in a block with `calcitrace process` runs as it stands, in their order."""
    shown = "".join(block for block in blocks("README.md", "sh") if "calcitrace process" in block)
    shutil.copy(ROOT / "corpora_samples" / "synthetic_msk.csv", tmp_path / "reports.csv")
    with (tmp_path / "reports.csv").open(encoding="utf-8", newline="") as handle:
        reports = list(csv.DictReader(handle))
    gold = [{**r, "mentions": [], "case": "no"} for r in reports]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(g) + "\n" for g in gold), encoding="utf-8")
    labels = [f"{r['report_id']},{int('migrat' in r['text'] or 'eros' in r['text'])}" for r in reports]
    (tmp_path / "labels.csv").write_text("\n".join(["report_id,label", *labels]), encoding="utf-8")
    lines = [line.replace("calcitrace", f"{sys.executable} -m calcitrace", 1) for line in shown.splitlines()]
    done = [subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True) for line in lines]
    assert [(d.args, d.returncode) for d in done] == [(line, 0) for line in lines], [d.stderr for d in done]


@pytest.mark.parametrize("page", ["README.md", "docs/first-hour.md"])
def test_a_folder_of_ones_own_has_samples_and_rules(page: str, tmp_path: Path) -> None:
    """The line that the pages show, given in the project's folder, makes one beside it."""
    (line,) = (line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith("mkdir"))
    (tmp_path / "checkout").mkdir()
    shutil.copytree(ROOT / "corpora_samples", tmp_path / "checkout" / "corpora_samples")
    line = line.replace("calcitrace", f"{sys.executable} -m calcitrace")
    subprocess.run(line, shell=True, cwd=tmp_path / "checkout", check=True, capture_output=True)
    for name in ("corpora_samples", "patterns"):
        assert {p.relative_to(ROOT / name) for p in (ROOT / name).rglob("*")} == {
            p.relative_to(tmp_path / "study" / name) for p in (tmp_path / "study" / name).rglob("*")
        }


def inline_commands(document: Path) -> list[str]:
    """The commands with options that stand within a sentence or a table, where no block shows them."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`(calcitrace [^`\n]*?--\w[^`\n]*)`", prose)


@pytest.mark.parametrize(
    "document",
    [d for d in DOCUMENTS if d.name != "CHANGELOG.md" and inline_commands(d)],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_commands_within_sentences_can_be_given(document: Path) -> None:
    """They have the options and arguments that the command asks for, and no others; N stands for a number."""
    for line in inline_commands(document):
        words = ["1" if word == "N" else word for word in shlex.split(line)[1:]]
        if set(words) & {"--help", "--criteria-help", "--install-completion", "--version"}:
            continue  # these end the program before it asks for anything
        command = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(line, words)


def test_the_readme_tells_every_export_and_no_other() -> None:
    """The table of exports names those of the registry."""
    (table,) = re.findall(r"^\| `--to` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text("README.md"), re.MULTILINE)
    told = [name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(told) == sorted(EXPORTS)


def test_contributing_tells_every_field_of_an_export_with_its_default() -> None:
    """The table of `Export` names the fields of the class, in order."""
    _, _, section = text("CONTRIBUTING.md").partition("\n## An export\n")
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section.split("\n## ")[0], re.MULTILINE))
    assert list(told) == [f.name for f in fields(Export)]
    by_default = [f.name for f in fields(Export) if f.default is True]
    assert [name for name, said in told.items() if said == "True"] == by_default


def commands() -> set[str]:
    """Every command of the program, with its group."""
    top = typer.main.get_command(app)
    found: set[str] = set()
    for name, command in getattr(top, "commands", {}).items():
        inner = getattr(command, "commands", {})
        found |= {f"{name} {sub}" for sub in inner} if inner else {name}
    return found


def test_the_readme_tells_every_command_and_no_other() -> None:
    """The table of commands is complete, and names nothing that is not there."""
    told = set(re.findall(r"`calcitrace ((?:rules |decisions )?[a-z]+)\b", text("README.md")))
    assert told == commands()


def test_the_readme_tells_every_column_of_the_run_folder() -> None:
    """The contract of the run folder is written out, in the order of the columns."""
    listed = {line.split("`")[1]: line for line in text("README.md").splitlines() if re.match(r"`\w+`: `", line)}
    for table, columns in (("reports", REPORT_COLUMNS), ("mentions", MENTION_COLUMNS)):
        assert re.findall(r"`(\w+)`", listed[table]) == [table, *columns]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """Every link and picture of a document is a file of the checkout."""
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_picture_is_a_real_and_small_one() -> None:
    """The README's picture is a PNG of readable size below 300 kB."""
    data = (ROOT / "docs" / "summary.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(data) < 300_000
    assert int.from_bytes(data[16:20]) >= 800


def test_the_glossary_has_the_words_of_the_values() -> None:
    """Every value that a table can hold for assertion, change, case status and migration type is explained."""
    rules = load_rules()
    values = {value for axis in rules.axes.values() for value in axis.precedence} - {"none"}
    case = rules.cases["intraosseous_migration"]
    values |= {t.tier for t in case.tiers} | {t.type for t in case.types} | {"no"}
    assert {v for v in values if not re.search(rf"\b{v}\b", text("GLOSSARY.md"))} == set()


def test_the_changelog_tells_of_rules() -> None:
    """Every version has a heading for its rules."""
    versions = re.split(r"^## ", text("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    assert [v.split()[0] for v in versions if "\n### Rules\n" not in v] == []


def test_the_rule_file_shown_to_contributors_is_a_good_one(tmp_path: Path) -> None:
    """The example of a rule file loads, and its own examples hold."""
    (example,) = blocks("CONTRIBUTING.md", "yaml")
    patterns = tmp_path / "patterns"
    shutil.copytree(ROOT / "patterns", patterns)
    (patterns / "findings" / "cortical_erosion.yml").write_text(example, encoding="utf-8")
    faults, _ = check(load_rules(patterns))
    assert [str(f) for f in faults if "cortical_erosion.yml" in f.where] == []
    load_rules.cache_clear()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/writing-rules.md"])
def test_the_rule_file_to_imitate_is_a_simple_one(page: str) -> None:
    """It has phrases and combinations of words alone, the keys that each finding needs, and an example of each kind."""
    (name,) = set(re.findall(r"patterns/findings/(periosteal\w+\.yml)", text(page)))
    said = yaml.load(text(f"patterns/findings/{name}"), yaml.BaseLoader)  # noqa: S506 - texts alone
    assert set(said) == {"title", "status", "references", "terms", "not", "examples"}
    assert all(isinstance(term, str) or set(term) == {"combine"} for term in said["terms"] + said["not"])
    assert [expected for _, expected in said["examples"]] == ["present", "absent", "none"]


def test_the_words_of_doubt_are_read_as_authors_of_examples_are_told() -> None:
    """Each phrase of the table in "Writing rules" gives the assertion of its row."""
    _, _, section = text("docs/writing-rules.md").partition("\n## What an example expects\n")
    rows = re.findall(r"^\| (present|possible|absent) \| (.*) \|$", section.split("\n## ")[0], re.MULTILINE)
    said = [(expected, phrase) for expected, cell in rows for phrase in re.findall(r"`(.*?)`", cell)]
    assert len(said) > 20
    annotator = Annotator(load_rules())
    for expected, phrase in said:
        sentence = phrase.replace("X", "cortical erosion of the greater tuberosity")
        (mention,) = annotator.annotate(Report("R", f"{sentence[0].upper()}{sentence[1:]}.")).mentions
        assert (phrase, mention.assertion) == (phrase, expected)


PARTS = (*(f"train{n}" for n in ("", *range(2, 15))), "hands", "test", "everyday", "everyday2")


@pytest.mark.parametrize("part", PARTS)
def test_the_datasheet_counts_what_is_there(part: str) -> None:
    """The datasheet's table holds the numbers of reports, patients, mentions and case labels of each part."""
    records = [json.loads(line) for line in (GOLD / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]
    cases = Counter(r["case"] for r in records)
    counts = [len(records), len({r["patient_id"] for r in records}), sum(len(r["mentions"]) for r in records)]
    counts += [cases[status] for status in ("definite", "probable", "possible", "no")]
    (row,) = [
        line for line in text("evaluation/gold/README.md").splitlines() if re.match(rf"\| {part} \|.*\| \d+ \|", line)
    ]
    assert [int(n) for n in re.findall(r"\b\d+\b", row)] == counts


@pytest.mark.parametrize("part", PARTS)
def test_the_json_lines_are_those_of_the_marked_texts(part: str, tmp_path: Path) -> None:
    """Compiling the marked-up texts gives the JSON lines that are kept beside them."""
    sources = sorted((GOLD / part).glob("*.gold.txt"))
    made = tmp_path / "made.jsonl"
    done = subprocess.run([sys.executable, GOLD / "compile.py", *sources, "--out", made], capture_output=True)
    assert done.returncode == 0
    assert sorted(made.read_bytes().splitlines()) == sorted((GOLD / f"{part}.jsonl").read_bytes().splitlines())


@pytest.mark.parametrize("part", [p for p in PARTS if p != "test"])
def test_what_rules_are_developed_on_shares_nothing_with_the_test(part: str) -> None:
    """No report, patient or text stands in the test part and in one for developing rules."""
    ids = {}
    for name in (part, "test"):
        records = [json.loads(line) for line in (GOLD / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        ids[name] = {r[key] for r in records for key in ("report_id", "patient_id", "text")}
    assert ids[part] & ids["test"] == set()


def test_the_datasheet_counts_the_series() -> None:
    """The numbers of patients, reports and cases of the two series files are those of the datasheet."""
    files = [(GOLD / "series" / f"series_{x}.txt").read_text(encoding="utf-8") for x in "ab"]
    patients, reports, cases = (
        [len(re.findall(pattern, f, re.MULTILINE)) for f in files]
        for pattern in (r"^##### patient=", r"^##### id=", r"^##### patient=.* is_case=yes")
    )
    said = f"{patients[0]} patients each, {reports[0]} and {reports[1]} reports, {cases[0]} cases in each"
    assert patients[0] == patients[1]
    assert cases[0] == cases[1]
    assert said in text("evaluation/gold/README.md")


def test_the_datasheet_counts_the_sentences() -> None:
    """The numbers of pseudo-reports and marks of the two sentence banks are those of the datasheet."""
    files = [(GOLD / "sentences" / f"sentences_{x}.gold.txt").read_text(encoding="utf-8") for x in "ab"]
    reports, marks = ([f.count(sign) for f in files] for sign in ("##### id=", "{{"))
    assert reports[0] == reports[1]
    said = f"{reports[0]} pseudo-reports of ten sentences each, with {marks[0]} and {marks[1]} mentions"
    assert said in text("evaluation/gold/README.md")


def test_the_sample_corpus_is_as_described() -> None:
    """Its README tells the columns, the number of reports and patients, and the labels."""
    said = text("corpora_samples/README.md")
    with (ROOT / "corpora_samples" / "synthetic_msk.csv").open(encoding="utf-8", newline="") as handle:
        reports = list(csv.DictReader(handle))
    with (ROOT / "corpora_samples" / "synthetic_msk_labels.csv").open(encoding="utf-8", newline="") as handle:
        labels = list(csv.DictReader(handle))
    assert [c for c in reports[0] if f"`{c}`" not in said] == []
    assert f"{len(reports)} reports of {len({r['patient_id'] for r in reports})} patients" in said
    assert [r["report_id"] for r in labels] == [r["report_id"] for r in reports]
    cases = Counter(r["label"] for r in labels)
    assert ", ".join(f"{cases[s]} {s}" for s in ("definite", "probable", "possible", "no")) in said
    modalities = Counter(r["modality"] for r in reports).most_common()
    assert ", ".join(f"{name} {n}" for name, n in modalities) in said


@pytest.mark.parametrize("word", ["synthetic", "No real patient", "licence", "radiologist"])
@pytest.mark.parametrize("name", ["corpora_samples/README.md", "evaluation/gold/README.md"])
def test_synthetic_reports_are_called_so(name: str, word: str) -> None:
    """Whoever opens a folder of reports reads what they are, whose licence they have and who has not read them."""
    assert word.lower() in text(name).lower()
