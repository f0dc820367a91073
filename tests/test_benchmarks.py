"""evaluation/: the benchmark runs and says what it measured; the baselines do what they say."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from calcitrace import load_rules
from calcitrace.evaluate import LabelledReport
from calcitrace.model import Assertion, Mention

EVALUATION = Path(__file__).parents[1] / "evaluation"


def script(*arguments):
    """One script of evaluation/ in a process of its own."""
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """The small form of the speed benchmark: its output and its JSON."""
    folder = tmp_path_factory.mktemp("results")
    done = script(EVALUATION / "benchmarks" / "vs_medspacy.py", "--small", "--out", folder)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = folder.glob("*_vs_medspacy_*.json")
    return done, json.loads(made.read_text(encoding="utf-8"))


def test_benchmark_reads_the_same_reports_twice(benchmark):
    """Both systems read all eight reports in the one round and find something."""
    _, made = benchmark
    (only,) = made["rounds"]
    assert made["reports"] == 8
    assert only["medspacy"]["found"] > 0
    assert only["calcitrace"]["found"] > 0


def test_benchmark_ratio_is_that_of_its_rounds(benchmark):
    """With one round median, low and high are its ratio of CPU seconds."""
    _, made = benchmark
    (only,) = made["rounds"]
    ratio = only["medspacy"]["cpu"] / only["calcitrace"]["cpu"]
    assert made["ratio"]["cpu_whole_job"] == pytest.approx({"median": ratio, "low": ratio, "high": ratio})
    assert all(math.isfinite(v) and v > 0 for r in made["ratio"].values() for v in r.values())


def test_benchmark_names_the_rules(benchmark):
    """The JSON file says with which rules and versions it was measured."""
    _, made = benchmark
    assert made["ruleset_hash"] == load_rules().hash
    assert set(made["versions"]) == {"python", "calcitrace", "medspacy", "PyRuSH", "spacy"}


def test_the_benchmark_of_lengths_tells_a_slope_for_each_make_up(tmp_path):
    """Its small form, without runs of one and two workers: time by length, and how it grows."""
    script_file = EVALUATION / "benchmarks" / "scaling.py"
    done = script(script_file, "--lengths", 1000, 3000, "--pairs", 0, "--out", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = (json.loads(p.read_text(encoding="utf-8")) for p in tmp_path.iterdir())
    assert len(made["length"]) == 8
    for told in made["length"].values():
        assert set(told["ms_per_1000_characters"]) == {"1000", "3000"}
        assert math.isfinite(told["exponent"])


def test_benchmark_prints_ratios_and_no_report_text(benchmark):
    """The ratio goes to stdout; medspaCy's sentence splitter is kept from printing its tokens."""
    done, _ = benchmark
    assert "times faster (range " in done.stdout
    first = (EVALUATION / "gold" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]
    words = json.loads(first)["text"].split("\n")[0]
    assert words not in done.stdout + done.stderr
    assert done.stderr == ""


@pytest.fixture(scope="module")
def baselines():
    """The modules of evaluation/baselines by name."""
    folder = EVALUATION / "baselines"
    sys.path.insert(0, str(folder))
    try:
        yield {name: importlib.import_module(name) for name in ("terms", "case_rules", "medspacy_plain")}
    finally:
        sys.path.remove(str(folder))


def said(*pairs):
    """Mentions of these (finding, presence) pairs."""
    return [Mention("", f, 0, 1, "", "", "", Assertion(presence=p)) for f, p in pairs]


@pytest.mark.parametrize(
    ("pairs", "with_negation", "words_only"),
    [
        ([("intraosseous_calcium", "present"), ("calcification", "present")], "definite", "definite"),
        ([("intraosseous_calcium", "present")], "probable", "probable"),
        ([("osteolysis", "present"), ("calcific_tendinopathy", "present")], "probable", "probable"),
        ([("cortical_erosion", "absent"), ("calcification", "present")], "no", "probable"),
        ([("bone_marrow_edema", "present"), ("calcification", "present")], "possible", "possible"),
        ([("cortical_erosion", "present")], "no", "no"),
    ],
)
def test_co_occurrence_rule(baselines, pairs, with_negation, words_only):
    """Findings that occur together make a case; with negation only those asserted present count."""
    rule = baselines["case_rules"].co_occurrence
    assert rule(said(*pairs), negation=True) == with_negation
    assert rule(said(*pairs), negation=False) == words_only


def test_word_model_keeps_patients_together(baselines):
    """A report is never scored by a model that saw its patient: a word of one patient's cases alone teaches nothing."""
    reports = []
    for patient in range(10):
        status = "definite" if patient < 5 else "no"
        text = f"secret{patient} shared" if patient else "unique unique unique"
        reports += [
            LabelledReport(f"{patient}-{k}", f"P{patient}", text=text, case_status=status, given=frozenset())
            for k in range(2)
        ]
    first, second = baselines["case_rules"].word_model(reports, None)[:2]
    trained_on_itself = baselines["case_rules"].word_model(reports[:1], reports)[0]
    assert first == second
    assert trained_on_itself > first


def test_terms_give_each_phrase_to_one_finding(baselines):
    """medspaCy loses matches of a phrase that several rules share; a confuser yields to a term."""
    entries = baselines["terms"].entries(load_rules())
    literals = [e.literal for e in entries]
    assert len(literals) == len(set(literals))
    assert {e.label for e in entries} >= set(load_rules().findings)
    labels = {e.literal: e.label for e in entries}
    assert labels["cortical erosion"] == "cortical_erosion"
    assert labels["gastric erosion"] == baselines["terms"].CONFUSER


@pytest.fixture(scope="module")
def plain(baselines):
    """Plain medspaCy with our terms."""
    return baselines["medspacy_plain"].build(load_rules())


@pytest.mark.parametrize(
    ("text", "assertion"),
    [
        ("There is no fracture.", "absent"),
        ("Possible fracture.", "possible"),
        ("History of fracture.", "historical"),
        ("There is a fracture.", "present"),
        ("Joint oedema and FRACTURE.", "present"),
    ],
)
def test_plain_medspacy_asserts_with_its_default_rules(baselines, plain, text, assertion):
    """is_negated is absent, is_uncertain possible, is_historical historical; matching ignores case."""
    ((mentions, _),) = baselines["medspacy_plain"].mentions(plain, [text])
    assert [m.assertion for m in mentions if m.finding == "fracture"] == [assertion]


def test_plain_medspacy_knows_our_spellings(baselines, plain):
    """The spelling table goes to the baseline too, so that it is not beaten by British spelling."""
    ((mentions, _),) = baselines["medspacy_plain"].mentions(plain, ["There is bone marrow oedema."])
    assert [m.finding for m in mentions] == ["bone_marrow_edema"]


@pytest.mark.skipif(importlib.util.find_spec("negspacy") is None, reason="needs the extra `baselines`")
def test_comparison_writes_a_row_for_every_system(tmp_path):
    """compare.py measures all systems on one gold standard and lists no error."""
    gold = tmp_path / "small.jsonl"
    lines = (EVALUATION / "gold" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    gold.write_text("".join(lines[::8]), encoding="utf-8")
    done = script(EVALUATION / "baselines" / "compare.py", gold, "--resamples", 0, "--out", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    (made,) = tmp_path.glob("*_baselines_small_*.json")
    systems = json.loads(made.read_text(encoding="utf-8"))["systems"]
    assert len(systems) == 7
    assert all("errors" not in s for s in systems.values())
    assert all(f"\n{name}" in done.stdout for name in systems)


def test_assertions_of_spans(tmp_path):
    """Right and wrong sentences are counted, as are a negated span, a past one and one that is missed."""
    cases = tmp_path / "cases.tsv"
    cases.write_text(
        "sentence\ttarget\texpected\n"
        "No erosion.\terosion\tabsent\nLarge erosion.\terosion\tpresent\nLarge erosion.\terosion\tabsent\n"
    )
    kit = tmp_path / "kit.jsonl"
    rows = [
        {"text": "No fever.", "start": 3, "end": 8, "negation": "Negated", "temporality": "Recent"},
        {"text": "History of fever.", "start": 11, "end": 16, "negation": "Affirmed", "temporality": "Historical"},
        {"text": "Fever today.", "start": 0, "end": 5, "negation": "Affirmed", "temporality": "Historical"},
    ]
    kit.write_text("\n".join(map(json.dumps, rows)))
    done = script(EVALUATION / "spans" / "assertions.py", cases, kit)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "cases.tsv: 2 of 3 as expected" in done.stdout
    assert "kit.jsonl: 3 sentences, negation F 1.000, historical F 0.667" in done.stdout
