"""Rules as data: what loads, what is refused, and where the error is said to be."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from calcitrace import Annotator, Report, load_rules
from calcitrace.errors import CalcitraceError, ExitCode, RuleError, UsageError
from calcitrace.lint import check
from calcitrace.rulechanges import rule_changes
from calcitrace.rules import patterns_folder
from calcitrace.ruleset import RuleSet
from calcitrace.strictyaml import Table, read_yaml

FINDING = """\
title: Heel spur
status: reviewed
terms:
  - heel spur
  - {combine: [[calcaneal, plantar], [spur]]}
not:
  - spurring of interest
examples:
  - ["A {heel spur} is seen.", present]
  - ["No {plantar spur}.", absent]
  - ["The heel is normal.", none]
references: [made for this test]
"""
PRESENCE = """\
axis: presence
default: present
precedence: [absent, possible, present]
groups:
  stops:
    direction: pseudo
    terms: [but]
  negation:
    sets: {presence: absent}
    ends_at: [stops]
    terms: [no, without]
examples:
  - ["Heel without {spur}.", absent]
"""
TEMPORALITY = "axis: temporality\ndefault: current\nprecedence: [hypothetical, historical, current]\n"
EXPERIENCER = "axis: experiencer\ndefault: patient\nprecedence: [other, patient]\n"
CHANGE = "axis: change\ndefault: none\nprecedence: [resolved, none]\n"
SECTIONS = """\
sections:
  findings: {headings: [findings]}
  indication: {headings: [indication]}
  comparison: {headings: [comparison]}
  impression: {headings: [impression]}
  addendum: {headings: [addendum]}
  past_history: {headings: [past history], sets: {presence: absent}}
"""
BONES = """\
kind: bone
entries:
  calcaneus: {terms: [calcaneus, heel bone], bone: calcaneus}
"""
SIDES = """\
sides:
  left: {terms: [left]}
"""
SPELLING = """\
calcaneal: [calcaneel]
"""
CASE = """\
title: Spur disease
likely: [definite]
constituents:
  spur: {findings: [heel_spur], assertions: [present]}
tiers:
  - {tier: definite, all: [spur]}
types:
  - {type: cortical_erosion, of: [spur]}
site: [spur]
"""
FILES = {
    "findings/heel_spur.yml": FINDING,
    "context/presence.yml": PRESENCE,
    "context/temporality.yml": TEMPORALITY,
    "context/experiencer.yml": EXPERIENCER,
    "context/change.yml": CHANGE,
    "sections.yml": SECTIONS,
    "anatomy/bones.yml": BONES,
    "anatomy/sides.yml": SIDES,
    "spelling.yml": SPELLING,
    "cases/spur_disease.yml": CASE,
}


def folder(tmp_path: Path, changes: dict[str, str | bytes | None] | None = None) -> Path:
    """A small valid patterns folder with some files replaced, or removed where the text is None."""
    root = tmp_path / "patterns"
    for name, text in {**FILES, **(changes or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def load(root: Path) -> RuleSet:
    """The rules of a folder, read anew."""
    load_rules.cache_clear()
    return load_rules(root)


def test_a_small_folder_loads(tmp_path: Path) -> None:
    """A patterns folder of one's own needs no more than a finding, its context and its headings."""
    rules = load(folder(tmp_path))
    assert list(rules.findings) == ["heel_spur"]
    assert {t.phrase for t in rules.findings["heel_spur"].terms} == {
        ("heel", "spur"),
        ("heel", "spurs"),
        ("calcaneal", "spur"),
        ("calcaneal", "spurs"),
        ("plantar", "spur"),
        ("plantar", "spurs"),
    }
    assert rules.axes["presence"].default == "present"
    assert rules.sites["calcaneus"].bone == "calcaneus"
    assert rules.sections["findings"].headings == ("findings",)
    assert rules.cases["spur_disease"].likely == frozenset({"definite"})


def test_the_rules_of_a_folder_annotate(tmp_path: Path) -> None:
    """Rules of one's own are used as they stand, with no rule of the package among them."""
    annotated = Annotator(load(folder(tmp_path))).annotate(Report("r", "Calcaneel spur. No heel spurs. A mass."))
    assert [(m.finding, m.text, m.assertion) for m in annotated.mentions] == [
        ("heel_spur", "Calcaneel spur", "present"),
        ("heel_spur", "heel spurs", "absent"),
    ]


def replaced(name: str, old: str, new: str) -> dict[str, str | bytes | None]:
    """One of the valid files with some of its text replaced."""
    assert FILES[name].count(old) == 1, old
    return {name: FILES[name].replace(old, new)}


F, P, S = "findings/heel_spur.yml", "context/presence.yml", "sections.yml"
B, C, L = "anatomy/bones.yml", "cases/spur_disease.yml", "spelling.yml"
TERM = "  - heel spur\n"
COLUMNS = "[[calcaneal, plantar], [spur]]"
MANY = "[[a, b, c, d, e, f, g, h], [a, b, c, d, e, f, g, h], [a, b, c, d, e, f, g, h], [a, b, c, d, e, f, g, h, i, j]]"
WRONG = {
    "not YAML": (F, "terms:\n", "terms: [\n", 4, "not valid YAML"),
    "a tab as indent": (F, TERM, "\t- heel spur\n", 4, "not valid YAML"),
    "an unreadable character": (F, "Heel", "He\x01el", 1, "unreadable character"),
    "a dash that is indented more than the one above": (
        F,
        TERM,
        f"{TERM}   - osseous niche\n",
        5,
        "reads as part of line 4; indent the dashes of a list alike",
    ),  # fmt: skip
    "a key given twice": (F, "not:\n", "title: Spur\nnot:\n", 6, "'title' is given twice"),
    "a key that is a list": (F, "not:\n", "[a, b]: c\nnot:\n", 1, "a key must be a single value"),
    "an unknown key": (F, "not:\n", "nots:\n", 6, "unknown key 'nots'"),
    "no title": (F, "title: Heel spur\n", "", 1, "'title' is missing"),
    "a title that is a list": (F, "Heel spur\n", "[Heel, spur]\n", 1, "'title' must be a single value"),
    "an unknown status": (F, "reviewed", "final", 2, "status 'final' is not one of"),
    "terms that are no list": (F, "not:\n  - ", "not: ", 6, "'not' must be a list"),
    "a term that is a list": (F, TERM, "  - [heel spur]\n", 4, "a term is a phrase or a mapping"),
    "a term without words": (F, TERM, '  - " "\n', 4, "a term has no words"),
    "an unknown kind of term": (F, TERM, "  - {words: heel}\n", 4, "unknown key 'words'"),
    "a term mapping that says nothing": (F, TERM, "  - {at: [bone]}\n", 4, "needs one of"),
    "a regular expression that is none": (F, TERM, '  - {regex: "spur("}\n', 4, "does not compile"),
    "a list of words that nobody wrote": (F, TERM, '  - {regex: "<bones> spur"}\n', 4, "is no list of words.yml"),
    "a combination without columns": (F, COLUMNS, "[calcaneal, []]", 5, "combine needs columns"),
    "a combination too large": (F, COLUMNS, MANY, 5, "combine writes out 5120 phrases"),
    "an operator that is none": (F, TERM, "  - {tokens: [{LOWER: a, OP: '%'}]}\n", 4, "OP '%' is not an operator"),
    "an unknown anatomy kind": (F, "not:\n", "at: [skin]\nnot:\n", 6, "'skin' is not an anatomy kind"),
    "a term of the sentence before that names nothing": (F, TERM, "  - {term: heel, just: yes}\n", 4, "needs told"),
    "an example without mention": (F, "{plantar spur}", "plantar spur", 10, "one mention in {braces}"),
    "an example with an unknown assertion": (F, ", absent]", ", negated]", 10, "expected 'negated' is not one of"),
    "an example of the wrong form": (F, ", absent]", "]", 10, "an example is"),
    "covers what is no finding": (F, "not:\n", "covers: [toe_spur]\nnot:\n", 1, "covers names 'toe_spur'"),
    "a default outside the precedence": (P, "default: present", "default: sure", 1, "default 'sure'"),
    "an axis without name": (P, "axis: presence\n", "", 1, "'axis' is missing"),
    "an unknown direction": (P, "direction: pseudo", "direction: up", 6, "direction 'up' is not one of"),
    "a value that the axis has not": (P, "{presence: absent}", "{presence: gone}", 8, "'gone' is not a value"),
    "an axis that nobody declared": (P, "{presence: absent}", "{mood: sad}", 8, "sets names 'mood'"),
    "an end that is no group": (P, "ends_at: [stops]", "ends_at: [halts]", 8, "ends_at names 'halts'"),
    "a scope that is no number": (P, "ends_at: [stops]", "max_scope: far", 10, "must be a whole number"),
    "a cue group for no finding": (P, "ends_at: [stops]", "only: [toe_spur]", 8, "'toe_spur' is no finding"),
    "a cue group that is a list": (P, "  stops:\n", "  stops: [but]\n  more:\n", 5, "must be a mapping"),
    "a heading list that is a word": (S, "[findings]", "findings", 2, "'headings' must be a list"),
    "an unknown kind of structure": (B, "kind: bone", "kind: limb", 1, "kind 'limb' is not one of"),
    "two standard spellings": (L, "]\n", "]\nplantar: [calcaneel]\n", 2, "two standard spellings"),
    "a tier that is none": (C, "tier: definite", "tier: certain", 6, "'certain' is no tier"),
    "a tier of unknown constituents": (C, "all: [spur]", "all: [spurs]", 6, "'spurs' is no constituent"),
    "a constituent of unknown findings": (C, "[heel_spur]", "[toe_spur]", 1, "'toe_spur' is no finding"),
    "an unknown assertion in a case": (C, "[present]", "[seen]", 4, "'seen' is no assertion"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_rule_file_is_refused_with_its_place(tmp_path: Path, what: str) -> None:
    """A rule file that cannot be used is an error that begins with `path:line: ` and says what is wrong."""
    name, old, new, line, said = WRONG[what]
    with pytest.raises(RuleError) as caught:
        load(folder(tmp_path, replaced(name, old, new)))
    assert str(caught.value).startswith(f"patterns/{name}:{line}: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (F, FINDING.replace("Heel", "H\u00e9el").encode("cp1252"), "not UTF-8 at byte 8"),
        (F, b"- title\n", "must be a mapping"),
        (F, b"", "must be a mapping"),
        (F, b"title: Heel spur\nterms: []\n", "needs at least one term"),
        (S, None, "missing"),
    ],
    ids=["not UTF-8", "a list", "empty", "no terms", "no sections"],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """What is wrong with a whole file is said of its first line; what is wrong with its absence, without a line."""
    with pytest.raises(RuleError, match=f"^patterns/{name}:{' ' if content is None else '1: '}.*{said}"):
        load(folder(tmp_path, {name: content}))


@pytest.mark.parametrize("axis", ["presence", "temporality", "experiencer", "change"])
def test_a_folder_without_an_axis_is_refused(tmp_path: Path, axis: str) -> None:
    """Every axis of an assertion needs its file: a folder without one is refused when it is read."""
    changes: dict[str, str | bytes | None] = {f"context/{axis}.yml": None}
    if axis == "presence":
        changes[S] = "sections:\n  findings: {headings: [findings]}\n"
    with pytest.raises(RuleError, match=axis):
        load(folder(tmp_path, changes))


def test_a_folder_without_findings_is_refused(tmp_path: Path) -> None:
    """A folder that names no finding is no rule set."""
    with pytest.raises(RuleError, match=r"^patterns/findings: no finding files"):
        load(folder(tmp_path, {F: None}))


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    """A wrong --patterns is a matter of usage, and the message names the folder."""
    with pytest.raises(UsageError, match="no patterns folder at .*nowhere") as caught:
        load(tmp_path / "nowhere")
    assert caught.value.exit_code == ExitCode.USAGE


def test_rule_errors_are_errors_of_a_user() -> None:
    """A rule error carries its parts and the exit code of a failure."""
    error = RuleError("patterns/a.yml", 3, "wrong")
    assert isinstance(error, CalcitraceError)
    assert (error.path, error.line, error.message, error.exit_code) == ("patterns/a.yml", 3, "wrong", ExitCode.FAILURE)


@pytest.mark.parametrize("word", ["no", "No", "off", "yes", "null", "~", "1.0", "2019-03-02", "0x1F"])
def test_yaml_words_stay_strings(tmp_path: Path, word: str) -> None:
    """`- no` is the word "no", not False; numbers, dates and null stay as they are written."""
    path = tmp_path / "a.yml"
    path.write_text(f"words:\n  - {word}\n", encoding="utf-8")
    table = read_yaml(path, "a.yml")
    assert table.texts("words") == [word]
    assert type(table.texts("words")[0].upper()) is str


def test_values_know_their_lines(tmp_path: Path) -> None:
    """Keys and values carry the line on which they stand, counted from 1."""
    path = tmp_path / "a.yml"
    path.write_text("# a comment\nfirst: 1\nwords:\n  - a\n\n  - b\n", encoding="utf-8")
    table = read_yaml(path, "a.yml")
    assert isinstance(table, Table)
    assert [key.line for key in table] == [2, 3]
    assert [word.line for word in table.texts("words")] == [4, 6]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    """An editor's byte order mark is read over."""
    assert list(load(folder(tmp_path, {F: b"\xef\xbb\xbf" + FINDING.encode()})).findings) == ["heel_spur"]


def test_the_hash_does_not_know_line_endings(tmp_path: Path) -> None:
    """The same rules have the same hash whether a checkout writes LF or CRLF."""
    unix = load(folder(tmp_path / "unix"))
    crlf = {name: text.replace("\n", "\r\n") for name, text in FILES.items()}
    windows = load(folder(tmp_path / "windows", {**crlf}))
    assert windows.hash == unix.hash
    assert len(unix.hash) == 64


def test_the_hash_knows_every_file_and_its_name(tmp_path: Path) -> None:
    """A changed, added or renamed rule file is another rule set."""
    changed = {name: text + "# a comment\n" for name, text in FILES.items()}
    hashes = {load(folder(tmp_path / str(n), {name: text})).hash for n, (name, text) in enumerate(changed.items())}
    renamed = folder(tmp_path / "renamed")
    (renamed / "anatomy" / "bones.yml").rename(renamed / "anatomy" / "os.yml")
    hashes |= {load(renamed).hash, load(folder(tmp_path / "same")).hash}
    assert len(hashes) == len(FILES) + 2


def test_the_hash_does_not_know_where_the_folder_lies(tmp_path: Path) -> None:
    """A copy of the rules that ship, under another name and with new dates, has their hash."""
    shipped = load_rules()
    copy = shutil.copytree(shipped.root, tmp_path / "our_rules")
    for path in copy.rglob("*.yml"):
        os.utime(path, (0, 0))
    assert load(copy).hash == shipped.hash


def test_a_retired_finding_is_not_sought(tmp_path: Path) -> None:
    """A retired finding keeps its file and its name, and gives no terms."""
    rules = load(folder(tmp_path, replaced(F, "reviewed", "retired")))
    assert rules.findings["heel_spur"].terms == ()


def test_plurals_are_written_out(tmp_path: Path) -> None:
    """A term stands for its regular plural too."""
    terms = "  - osteophyte\n  - soft mass\n  - fracture gap\n  - exostosis body\n  - index\n"
    rules = load(folder(tmp_path, replaced(F, "  - heel spur\n", terms)))
    phrases = {" ".join(t.phrase) for t in rules.findings["heel_spur"].terms}
    assert {"osteophytes", "fracture gaps", "exostosis bodies", "indexes"} <= phrases


def test_the_plural_of_a_word_in_ss_is_written_out(tmp_path: Path) -> None:
    """A word that ends in "ss" has a plural too ("mass", "masses")."""
    rules = load(folder(tmp_path, replaced(F, "  - heel spur\n", "  - soft mass\n")))
    assert ("soft", "masses") in {t.phrase for t in rules.findings["heel_spur"].terms}


LINTED: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "a reviewed finding without a none example": (
        replaced(F, '  - ["The heel is normal.", none]\n', ""),
        f"patterns/{F}:1: error: a reviewed finding needs examples for: none",
    ),
    "a cue in two groups": (
        replaced(P, "terms: [no, without]", "terms: [no, without, but]"),
        f"patterns/{P}:11: error: cue 'but' stands in stops too (patterns/{P}:7)",
    ),
    "an example whose assertion is wrong": (
        replaced(F, "No {plantar spur}.", "A {plantar spur}."),
        f"patterns/{F}:10: error: expected absent, got present: A {{plantar spur}}.",
    ),
    "an example whose mention is longer": (
        replaced(F, "A {heel spur} is", "A {heel} spur is"),
        f"patterns/{F}:9: error: the mention is 'heel spur': A {{heel}} spur is seen.",
    ),
    "an example whose mention is not found": (
        replaced(F, "A {heel spur} is", "A {toe spur} is"),
        f"patterns/{F}:9: error: expected a mention in the braces, found none: A {{toe spur}} is seen.",
    ),
    "an example that should hold no mention": (
        replaced(F, "The heel is normal.", "A plantar spur."),
        f"patterns/{F}:11: error: expected no mention, found heel_spur:plantar spur: A plantar spur.",
    ),
    "a context example that is wrong": (
        replaced(P, "Heel without {spur}.", "Heel with {spur}."),
        f"patterns/{P}:13: error: expected absent, got present: Heel with {{spur}}.",
    ),
}


def test_one_wrong_file_does_not_hide_another(tmp_path: Path) -> None:
    """The first fault of each file is told, each once, whatever it is wrong with."""
    changes = {**replaced(F, "not:\n", "nots:\n"), **replaced(P, "default: present", "default: here")}
    with pytest.raises(RuleError) as error:
        load(folder(tmp_path, changes))
    first, second = str(error.value).splitlines()
    assert first.startswith(f"patterns/{F}:6: unknown key 'nots'")
    assert second.startswith(f"patterns/{P}:1: default 'here' is not in precedence")


def test_lint_is_content_with_a_sound_folder(tmp_path: Path) -> None:
    """Every example of a sound folder is run and holds."""
    assert check(load(folder(tmp_path))) == ([], 4)


@pytest.mark.parametrize("what", LINTED)
def test_lint_finds_what_loading_does_not(tmp_path: Path, what: str) -> None:
    """A fault of the rules is told with its place, and no other with it."""
    changes, said = LINTED[what]
    faults, _ = check(load(folder(tmp_path, changes)))
    assert [str(f) for f in faults if f.severity == "error"] == [said]


FEW = "  - {combine: [[heel, calcaneal, plantar], [spur]]}\n"
WARNED: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "a term that other lines hold": (
        replaced(F, TERM, TERM + FEW),
        f"patterns/{F}:4: warning: adds nothing: its words stand in line 5 too",
    ),
    "a term that is a confuser": (
        replaced(F, "  - spurring of interest\n", "  - heel spur\n  - heel spurs\n"),
        f"patterns/{F}:4: warning: is unreachable: its words are confusers in line 7",
    ),
    "a term that another finding covers": (
        {
            "findings/ossicle.yml": "title: Ossicle\nterms: [heel spur, ossicle]\n",
            **replaced(F, "not:\n", "covers: [ossicle]\nnot:\n"),
        },
        "patterns/findings/ossicle.yml:2: warning: 'heel spur' is shadowed: heel_spur has it and covers it",
    ),
    "a pattern without end": (
        replaced(F, TERM, TERM + "  - {id: far, regex: 'spur .* heel'}\n"),
        f"patterns/{F}:5: warning: far: repeats any characters without end",
    ),
    "a pattern of any words without end": (
        replaced(F, TERM, TERM + "  - {tokens: [spur, {OP: '*'}, heel]}\n"),
        f"patterns/{F}:5: warning: a token pattern repeats any word without end",
    ),
    "a finding without references": (
        replaced(F, "references: [made for this test]\n", ""),
        f"patterns/{F}:1: warning: has no references; name where its terms come from",
    ),
    "a draft without examples": (
        {"findings/ossicle.yml": "title: Ossicle\nterms: [ossicle]\nreferences: [none]\n"},
        "patterns/findings/ossicle.yml:1: warning: a draft finding needs examples for: present, absent, none",
    ),
    "a draft with one example": (
        {"findings/ossicle.yml": "title: Ossicle\nterms: [ossicle]\nexamples: [['An {ossicle}.', present]]\n"},
        "patterns/findings/ossicle.yml:1: warning: a draft finding needs examples for: absent, none",
    ),
    "a file name with a hyphen": (
        {"findings/toe-spur.yml": "title: Toe spur\nterms: [toe spur]\n"},
        "patterns/findings/toe-spur.yml:1: warning: is not named like_this.yml: lower case, digits, underscores",
    ),
    "a file name with another ending, which is not read": (
        {"findings/toe_spur.yaml": "title: Toe spur\nterms: [toe spur]\n"},
        "patterns/findings/toe_spur.yaml:1: warning: is not named like_this.yml: lower case, digits, underscores",
    ),
    "a term of two findings": (
        {"findings/ossicle.yml": "title: Ossicle\nterms: [ossicle, heel spurs]\n"},
        f"patterns/findings/ossicle.yml:2: warning: 'heel spurs' is a term of heel_spur too (patterns/{F}:4): "
        "both would be mentioned",
    ),
    "a section that flags rely on": (
        replaced(S, "  addendum: {headings: [addendum]}\n", ""),
        f"patterns/{S}:1: warning: no section is called 'addendum', a name that assessment and flags rely on",
    ),
}


@pytest.mark.parametrize("what", WARNED)
def test_lint_warns_of_what_cannot_act(tmp_path: Path, what: str) -> None:
    """A rule that adds nothing, cannot be reached or may be slow is a warning with its place."""
    changes, said = WARNED[what]
    faults, _ = check(load(folder(tmp_path, changes)))
    assert said in [str(f) for f in faults]


def test_lines_that_never_fire_are_counted_by_file(command: Any, tmp_path: Path) -> None:
    """With --on each file has one note for all its lines that no report calls for; --verbose has one for each line.

    Of fewer than 1,000 reports nothing is counted: they call for few of the lines.
    """
    root = folder(tmp_path)
    put, few = tmp_path / "reports.jsonl", tmp_path / "few.jsonl"
    put.write_text("".join(f'{{"report_id": "{n}", "text": "No heel spur."}}\n' for n in range(1000)), "utf-8")
    few.write_text("".join(f'{{"report_id": "{n}", "text": "No heel spur."}}\n' for n in range(999)), "utf-8")
    assert command("rules", "check", "--patterns", root, "--on", few).out.splitlines() == [
        f"{root}: 1 finding, 4 examples run, 0 errors, 0 warnings; --verbose shows the lines that never fire in 999 "
        "reports"
    ]
    words = ("rules", "check", "--patterns", root, "--on", put)
    short, long = command(*words).out.splitlines(), command(*words, "--verbose").out.splitlines()
    assert short == [
        f"patterns/{P}:1: note: 1 of its lines never fire here",
        f"patterns/{F}:1: note: 2 of its lines never fire here",
        f"{root}: 1 finding, 4 examples run, 0 errors, 0 warnings, 3 notes (lines that never fire in 1,000 reports); "
        "--verbose shows each",
    ]
    assert [line.partition(": note")[0] for line in long[:-1]] == [
        f"patterns/{w}" for w in (f"{P}:7", f"{F}:5", f"{F}:7")
    ]
    assert long[-1] == f"{root}: 1 finding, 4 examples run, 0 errors, 0 warnings, 3 notes"


OSSICLE = "title: Ossicle\nterms:\n  - ossicle\n  - {term: heel spur, at: [bone]}\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"findings/ossicle.yml": OSSICLE.replace(", at: [bone]", ""), **replaced(F, "not:", "covers: [ossicle]\nnot:")},
        {"findings/ossicle.yml": OSSICLE.replace(", at: [bone]", "") + "covers: [heel_spur]\n"},
        {"findings/ossicle.yml": OSSICLE, **replaced(F, TERM, "  - {term: heel spur, at: [tendon]}\n")},
        {"findings/ossicle.yml": OSSICLE},
        {"findings/ossicle.yml": OSSICLE.replace(", at: [bone]", "") + "not: [heel spur, heel spurs]\n"},
        {"conditions/ossicle.yml": OSSICLE.replace(", at: [bone]", "")},
    ],
    ids=["it is covered", "it covers", "at another place", "at one place only", "as a confuser", "of a condition"],
)
def test_words_that_two_may_share(tmp_path: Path, changes: dict[str, str | bytes | None]) -> None:
    """One term may stand in two files where it cannot give two mentions, or is told apart by its place."""
    faults, _ = check(load(folder(tmp_path, changes)))
    assert [str(f) for f in faults if "is a term of" in f.message] == []


def test_a_heading_of_two_sections_is_an_error(tmp_path: Path) -> None:
    """A heading opens one section only."""
    faults, _ = check(load(folder(tmp_path, replaced(S, "[impression]", "[impression, findings]"))))
    assert [str(f) for f in faults] == [f"patterns/{S}:1: error: heading 'findings' opens both findings and impression"]


SLIP = "slips:\n  misheard_no:\n    phrases:\n      - {combine: [[know], [evidence, sign]]}\n"


def test_slips_of_dictation_are_data(tmp_path: Path) -> None:
    """A slip is phrases in any case and spacing, or a regular expression, and a flag by its name."""
    rules = load(folder(tmp_path, {"dictation.yml": SLIP + "  blank:\n    regex: ['\\*{3}']\n"}))
    read = Annotator(rules).annotate
    assert read(Report("r", "Know\nevidence of a heel spur.")).flags == ("dictation:misheard_no",)
    assert read(Report("r", "Side: ***, know sign. Heel spur.")).flags == ("dictation:misheard_no", "dictation:blank")
    assert read(Report("r", "Unknown evidence. Heel spur.")).flags == ()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("slips:\n  a: {}\n", 2, "needs phrases or regex"),
        ("slips:\n  a:\n    regex: ['(']\n", 3, "does not compile"),
        ("slips:\n  a:\n    phrases: [[b]]\n", 3, "holds phrases"),
        ("slip: {}\n", 1, "unknown key 'slip'"),
    ],
)
def test_a_wrong_slip_is_refused_with_its_place(tmp_path: Path, text: str, line: int, said: str) -> None:
    """A slip that cannot be used is an error with path:line."""
    with pytest.raises(RuleError, match=rf"^patterns/dictation.yml:{line}: .*{re.escape(said)}"):
        load(folder(tmp_path, {"dictation.yml": text}))


def test_a_list_of_words_can_be_combined(tmp_path: Path) -> None:
    """A list of words.yml holds phrases as they stand and those that combine writes out."""
    words = "bones: [calcaneus, {combine: [[heel, ankle], [bone]]}]\n"
    rules = load(folder(tmp_path, {"words.yml": words}))
    assert rules.words["bones"] == {"calcaneus", "heel bone", "ankle bone"}


KEYS = """\
axis: presence
default: present
precedence: [absent, possible, present]
groups:
  negation:
    sets: {presence: absent}
    terms: [no, without]
  doubt:
    sets: {presence: possible}
    terms: [no certain]
    overrules: [negation]
  partly:
    sets: {presence: present}
    terms: [partly]
    turns: [negation]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No heel spur.", "absent"),
        ("Partly no heel spur.", "present"),
        ("Partly heel spur.", "present"),
        ("Without no certain heel spur.", "possible"),
    ],
)
def test_a_group_turns_and_overrules_others(tmp_path: Path, text: str, expected: str) -> None:
    """`turns` acts on the cues that it turns and is nothing without them; `overrules` takes their place."""
    annotator = Annotator(load(folder(tmp_path, {P: KEYS})))
    assert [m.assertion for m in annotator.annotate(Report("r", text)).mentions] == [expected]


@pytest.mark.parametrize("key", ["turns", "overrules"])
def test_a_group_acts_on_groups_that_are_there(tmp_path: Path, key: str) -> None:
    """A name in `turns` or `overrules` that is no group is an error with its place."""
    wrong = KEYS.replace(f"{key}: [negation]", f"{key}: [maybe]")
    with pytest.raises(RuleError, match=rf"^patterns/{P}:\d+: {key} names 'maybe', which is no group"):
        load(folder(tmp_path, {P: wrong}))


def test_a_doubtful_term_counts_only_alone(tmp_path: Path) -> None:
    """A term with `alone` is no mention beside another of its finding, and one without."""
    rules = load(folder(tmp_path, replaced(F, TERM, TERM + "  - {term: beak, alone: yes}\n")))
    read = Annotator(rules).annotate
    assert [m.text for m in read(Report("r", "Heel spur, beak.")).mentions] == ["Heel spur"]
    assert [m.text for m in read(Report("r", "A beak.")).mentions] == ["beak"]


def test_a_region_of_the_title_only(tmp_path: Path) -> None:
    """A structure with `title_only` counts in the title and not in the text."""
    organs = "kind: organ\nentries:\n  skull: {region: head, title_only: yes, terms: [head]}\n"
    local = replaced(F, "not:\n", "local: yes\nnot:\n")
    read = Annotator(load(folder(tmp_path, {"anatomy/organs.yml": organs, **local}))).annotate
    assert read(Report("r", "CT HEAD\n\nFINDINGS: Heel spur.")).mentions == ()
    assert len(read(Report("r", "XR FOOT\n\nFINDINGS:\nHeel spur at its head.")).mentions) == 1


def test_changes_of_rules_are_told_by_file_and_line(tmp_path: Path) -> None:
    """A line that was added or taken away is told; a comment, depth and order of files are none; many are counted."""
    own = tmp_path / "own"
    shutil.copytree(patterns_folder(), own)
    assert rule_changes("") == rule_changes(own) == []
    first = sorted((own / "findings").glob("*.yml"))[0]
    first.write_text(
        "# ours\n" + first.read_text("utf-8").replace("terms:\n", "terms:\n    - chalk spot  \n", 1), "utf-8"
    )
    assert rule_changes(own) == [f'findings/{first.name}: added "- chalk spot"']
    spelling = own / "spelling.yml"
    spelling.write_text(spelling.read_text("utf-8").replace("milimeters]", "milimetres]"), "utf-8")
    assert rule_changes(own)[1:] == [
        'spelling.yml, millimeters: added "milimetres"',
        'spelling.yml, millimeters: took away "milimeters"',
    ]
    words = own / "words.yml"
    lines = words.read_text("utf-8").splitlines()
    words.write_text("\n".join(lines[:-30]) + "\n", "utf-8")
    (own / "findings" / "extra.yml").write_text("title: Extra\n", "utf-8")
    (own / "modalities.yml").unlink()
    told = rule_changes(own)
    assert "findings/extra.yml: added as a whole" in told
    assert "modalities.yml: left out as a whole" in told
    assert any(t.startswith("words.yml: 0 lines added, ") for t in told)
