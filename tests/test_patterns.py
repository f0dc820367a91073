"""The rules that ship: every example in every rule file is a test, and every finding has enough of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from calcitrace import Annotator, Report, load_rules
from calcitrace.lint import check
from calcitrace.rules import patterns_folder

TWENTY = {
    "calcification", "calcific_tendinopathy", "intraosseous_calcium", "cortical_erosion", "osteolysis", "sclerosis",
    "subcortical_cyst", "bone_marrow_edema", "soft_tissue_edema", "hypointensity", "enhancement", "joint_effusion",
    "bursitis", "periosteal_reaction", "fracture", "mass", "neoplasm", "infection", "pain", "trauma",
}  # fmt: skip


@cache
def annotator() -> Annotator:
    """One annotator with the rules that ship, for all tests of this file."""
    return Annotator(load_rules())


def found(text: str) -> list[tuple[str, str, str]]:
    """(finding, words, assertion) of every mention of the text."""
    return [(m.finding, m.text, m.assertion) for m in annotator().annotate(Report("r", text)).mentions]


def test_the_shipped_rules_have_no_fault() -> None:
    """Lint finds nothing wrong, and every example gives what it says."""
    faults, examples = check(load_rules())
    assert [str(f) for f in faults] == []
    assert examples >= 3 * len(TWENTY)


def test_the_twenty_findings_are_there() -> None:
    """The findings of the annotation guideline have their files; others may be added."""
    assert set(load_rules().findings) >= TWENTY


@pytest.mark.parametrize("finding", sorted(TWENTY))
@pytest.mark.parametrize("expected", ["present", "absent", "none"])
def test_every_finding_has_an_example_of_each_kind(finding: str, expected: str) -> None:
    """A finding shows in its file when it is there, when it is said not to be, and what only looks like it."""
    examples = load_rules().findings[finding].examples
    assert [e.text for e in examples if e.expected == expected] != []


@pytest.mark.parametrize("finding", sorted(TWENTY))
def test_every_finding_says_where_it_comes_from(finding: str) -> None:
    """A finding names its provenance and has been reviewed."""
    rule = load_rules().findings[finding]
    assert rule.references != ()
    assert rule.status == "reviewed"


@pytest.mark.parametrize("axis", ["presence", "temporality", "experiencer", "change"])
def test_every_axis_has_its_own_examples_and_its_origin(axis: str) -> None:
    """A file of cues is tested by its own examples and names its provenance."""
    lines = (patterns_folder() / "context" / f"{axis}.yml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("references: [")] != []
    assert [e for e in load_rules().context_examples if f"/{axis}.yml:" in e.where] != []


def test_an_example_belongs_to_one_file() -> None:
    """No example sentence is written twice."""
    rules = load_rules()
    texts = [e.text for f in (*rules.findings.values(), *rules.conditions.values()) for e in f.examples]
    assert sorted({t for t in texts if texts.count(t) > 1}) == []


def test_rule_files_are_plain_text() -> None:
    """Rule files are UTF-8 with LF line ends and no tabs, so that any editor shows them alike."""
    for path in Path(patterns_folder()).rglob("*.yml"):
        raw = path.read_bytes()
        assert b"\r" not in raw, path.name
        assert b"\t" not in raw, path.name
        assert raw.decode("utf-8").endswith("\n"), path.name


@pytest.mark.parametrize(
    ("written", "finding"),
    [
        ("calcific tendinitis", "calcific_tendinopathy"),
        ("Calcific tendonitis", "calcific_tendinopathy"),
        ("CALCIFIC TENDINOPATHY", "calcific_tendinopathy"),
        ("calcific\ntendinitis", "calcific_tendinopathy"),
        ("calcific-\r\n  tendinitis", "calcific_tendinopathy"),
        ("calcifc tendinitis", "calcific_tendinopathy"),
        ("calcific deposits", "calcification"),
        ("bone marrow oedema", "bone_marrow_edema"),
        ("bone-marrow edema", "bone_marrow_edema"),
        ("marrow\u00a0edema", "bone_marrow_edema"),
        ("soft-tissue swelling", "soft_tissue_edema"),
        ("soft tissue oedema", "soft_tissue_edema"),
        ("cortical erosions", "cortical_erosion"),
        ("saucerisation", "cortical_erosion"),
        ("subcortical cysts", "subcortical_cyst"),
        ("joint effusion", "joint_effusion"),
        ("subacromial bursitis", "bursitis"),
        ("periosteal reaction", "periosteal_reaction"),
        ("fractures", "fracture"),
        ("soft tissue masses", "mass"),
        ("tumour", "neoplasm"),
        ("osteomyelitis", "infection"),
    ],
)
def test_a_term_matches_in_its_many_spellings(written: str, finding: str) -> None:
    """Hyphens, line breaks, British and American spelling, plurals and typing errors do not hide a finding."""
    mentions = found(f"In the left shoulder there is {written} today.")
    assert [(name, assertion) for name, _, assertion in mentions] == [(finding, "present")]
    assert mentions[0][1] in written


@pytest.mark.parametrize(
    "sentence",
    [
        "Vascular calcification of the popliteal artery.",
        "A Baker cyst lies behind the knee.",
        "Small pleural effusion on the right.",
        "The full erosive potential of acid reflux was discussed.",
        "Massive rotator cuff tear.",
        "The patient was given painkillers.",
    ],
)
def test_words_that_only_look_like_a_finding(sentence: str) -> None:
    """Other calcium, cysts, fluid and erosions, and longer words that hold a term, are no mention."""
    assert found(sentence) == []
