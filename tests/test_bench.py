"""The bench of a rule author: what a corpus shows of rules, what a change changes, and why a report is read so."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from calcitrace import Annotator, Report, RuleSet, load_rules
from calcitrace.assess import assess
from calcitrace.cli import app
from calcitrace.differences import Difference, differences
from calcitrace.errors import UsageError
from calcitrace.rules import patterns_folder
from calcitrace.show import why_rich
from calcitrace.usage import FEW_REPORTS, usage
from calcitrace.why import why, why_case, why_tier

SECRET = "zanzibar"
TEXT = f"MRI RIGHT SHOULDER\n\nFINDINGS: No erosion or {SECRET} spicule of the greater tuberosity. Old fracture."


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The rules that ship, with one term more and one cue gone."""
    folder = shutil.copytree(patterns_folder(), tmp_path / "patterns")
    fracture = folder / "findings" / "fracture.yml"
    fracture.write_text(fracture.read_text("utf-8").replace("terms:\n", "terms:\n  - spicule\n", 1), "utf-8")
    temporality = folder / "context" / "temporality.yml"
    temporality.write_text(temporality.read_text("utf-8").replace("axis:", "# changed\naxis:", 1), "utf-8")
    return folder


# what it needs

WITHOUT = """
import sys
from importlib.metadata import packages_distributions, requires
from packaging.requirements import Requirement

needed = [r for r in map(Requirement, requires("calcitrace")) if r.marker and "extra" in str(r.marker)]
theirs = {r.name.lower().replace("_", "-") for r in needed}
owned = packages_distributions().items()
gone = {m for m, names in owned if theirs & {n.lower().replace("_", "-") for n in names}}
assert {"pytest", "duckdb", "mkdocs"} <= gone
sys.modules.update(dict.fromkeys(gone))
from calcitrace.cli import main
main()
"""


def test_the_bench_needs_no_extra(changed: Path, tmp_path: Path) -> None:
    """Who only writes rules installs calcitrace alone: what the extras bring along is not imported."""
    (tmp_path / "r.csv").write_text(f'id,text\n1,"{TEXT}"\n', encoding="utf-8")
    for words in (
        ("rules", "check", "--patterns", changed),
        ("rules", "diff", patterns_folder(), changed, "--on", tmp_path / "r.csv"),
        ("show", "--why", "--no-model", "--patterns", changed, "--text", "No erosion."),
    ):
        done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), words


# rules diff


def test_a_difference_names_report_place_and_rule(rules: RuleSet, changed: Path) -> None:
    """A mention that comes with a new term is told with its report, place, reading, rule and cue."""
    (found,) = differences(rules, load_rules(changed), [Report("A7", TEXT)], "intraosseous_migration")
    at = TEXT.index("spicule")
    assert found == Difference("A7", "added", "fracture", at, at + 7, "", "assertion=absent", found.rule, "no", "no")
    assert found.rule.split("; ")[0] == "fracture:spicule"
    assert found.rule.split("; ")[1].startswith("context absent_before:")


def test_what_is_gone_is_told_by_the_old_rule(rules: RuleSet, changed: Path) -> None:
    """The other way round the mention is removed."""
    (found,) = differences(load_rules(changed), rules, [Report("A7", TEXT)], "intraosseous_migration")
    assert (found.kind, found.before, found.after) == ("removed", "assertion=absent", "")


@pytest.mark.parametrize(
    ("new", "text", "kind", "before", "after"),
    [
        ("old fracture", "Old fracture.", "span longer", (4, 12), (0, 12)),
        ("fracture healed", "Old fracture healed.", "span longer", (4, 12), (4, 19)),
    ],
)
def test_a_mention_of_more_or_fewer_words_is_one_change(
    new: str, text: str, kind: str, before: tuple[int, int], after: tuple[int, int], rules: RuleSet, changed: Path
) -> None:
    """Its span under both rule sets is told, not a mention that goes and another that comes."""
    path = changed / "findings" / "fracture.yml"
    path.write_text(path.read_text("utf-8").replace("terms:\n", f"terms:\n  - {new}\n", 1), "utf-8")
    both = (rules, load_rules(changed))
    (longer,), (shorter,) = (
        list(differences(*order, [Report("A7", text)], "intraosseous_migration")) for order in (both, both[::-1])
    )
    assert (longer.kind, longer.start, longer.end) == (kind, *after)
    assert (shorter.kind, shorter.start, shorter.end) == ("span shorter", *before)
    assert "span={}-{}".format(*before) in longer.before.split()
    assert "span={}-{}".format(*after) in longer.after.split()
    assert longer.rule.startswith(f"fracture:{new}")


def test_two_mentions_that_become_one_are_told_once_each(rules: RuleSet, changed: Path) -> None:
    """The first becomes longer, and the second is gone."""
    path = changed / "findings" / "fracture.yml"
    text = "Fracture and a fracture."
    path.write_text(path.read_text("utf-8").replace("terms:\n", f"terms:\n  - {text[:-1].lower()}\n", 1), "utf-8")
    found = differences(rules, load_rules(changed), [Report("A7", text)], "intraosseous_migration")
    assert [(d.kind, d.start, d.end) for d in found] == [("span longer", 0, 23), ("removed", 15, 23)]


def test_equal_rules_differ_nowhere(rules: RuleSet) -> None:
    """A rule set beside itself."""
    assert list(differences(rules, rules, [Report("A7", TEXT)], "intraosseous_migration")) == []


def test_a_case_that_is_not_there(rules: RuleSet) -> None:
    """A case definition that a rule set lacks is a matter of usage."""
    with pytest.raises(UsageError, match="no case definition 'gout'"):
        list(differences(rules, rules, [Report("A7", TEXT)], "gout"))


def test_rules_diff_prints_no_text(command: Any, changed: Path, tmp_path: Path) -> None:
    """The command tells reports, places, rules and counts, and nothing of the text."""
    corpus = tmp_path / "reports.jsonl"
    corpus.write_text(json.dumps({"report_id": "A7", "text": TEXT}) + "\n", "utf-8")
    done = command("rules", "diff", patterns_folder(), changed, "--on", corpus)
    assert done.code == 0
    at = TEXT.index("spicule")
    assert f"A7: added fracture {at}-{at + 7}: assertion=absent (fracture:spicule; context absent_before:" in done.out
    assert f" of {patterns_folder().name}/context/presence.yml)" in done.out
    assert "A7: case status stays no\n" in done.out
    assert "1 report, 1 change" in done.out
    assert "\ncase status changes in 0 reports\n" in done.out
    assert SECRET not in done.out + done.err
    told = json.loads(command("rules", "diff", patterns_folder(), changed, "--on", corpus, "--json").out)
    assert (told["report_id"], told["kind"], told["finding"]) == ("A7", "added", "fracture")


def test_rules_diff_tells_how_many_case_statuses_change(command: Any, changed: Path, tmp_path: Path) -> None:
    """In a line for each report that changes, and in one for all."""
    deposit = "Calcific deposit of the supraspinatus"
    texts = {"A1": f"{deposit} with a pothole of the greater tuberosity.", "A2": "No pothole.", "A3": "Normal."}
    corpus = tmp_path / "reports.jsonl"
    corpus.write_text("".join(json.dumps({"report_id": k, "text": t}) + "\n" for k, t in texts.items()), "utf-8")
    erosion = changed / "findings" / "cortical_erosion.yml"
    erosion.write_text(erosion.read_text("utf-8").replace("terms:\n", "terms:\n  - pothole\n", 1), "utf-8")
    told = command("rules", "diff", patterns_folder(), changed, "--on", corpus).out.splitlines()
    assert [line for line in told if "case status" in line][:3] == [
        "A1: case status: no -> probable (case definition)",
        "A2: case status stays no",
        "case status changes in 1 report: no -> probable (1)",
    ]
    assert [line for line in told if "reports, 2 change" in line]


# rules check --on


def test_a_line_that_never_fires_is_a_note(rules: RuleSet) -> None:
    """What no sentence of the corpus calls for is told with its place; what fired is not."""
    notes = {f.where: str(f) for f in usage(rules, [Report("A7", TEXT)]) if f.severity == "note"}
    fired = {t.where for t in rules.findings["cortical_erosion"].terms if t.phrase == ("erosion",)}
    silent = {t.where for t in rules.findings["cortical_erosion"].terms if t.phrase == ("cortical", "erosion")}
    assert fired.isdisjoint(notes)
    assert silent <= set(notes)
    assert any("term never fires here: " in note for note in notes.values())


def test_rules_check_on_a_corpus(command: Any, tmp_path: Path) -> None:
    """Notes are no fault: the exit code is 0; of few reports they are only there where they are asked for."""
    corpus = tmp_path / "reports.jsonl"
    corpus.write_text(json.dumps({"report_id": "A7", "text": TEXT}) + "\n", "utf-8")
    done = command("rules", "check", "--on", corpus)
    assert done.code == 0
    assert "note: " not in done.out
    assert command("rules", "check", "--on", corpus, "--verbose").out.count("never fires here") > FEW_REPORTS
    assert done.out.splitlines()[-1].endswith("; --verbose shows the lines that never fire in 1 report")
    assert SECRET not in done.out + done.err


# how both read their inputs

HOW_TO_READ = {"--from", "--encoding", "--delimiter", "--config"}


@pytest.mark.parametrize("name", ["check", "diff"])
def test_the_options_of_reading_are_those_of_process(name: str) -> None:
    """Whatever says to `process` how inputs are read says it to the bench too."""
    top = typer.main.get_command(app)
    group = getattr(top, "commands", {})
    own, theirs = ({o for p in c.params for o in p.opts} for c in (group["rules"].commands[name], group["process"]))
    assert {o for o in theirs if o.endswith("-column")} | HOW_TO_READ <= own & theirs


def test_columns_of_ones_own_are_read(command: Any, changed: Path, tmp_path: Path) -> None:
    """A column is named by its option or in a TOML file, as for `process`; what the message tells to do can be done."""
    corpus, config = tmp_path / "reports.csv", tmp_path / "ours.toml"
    corpus.write_text(f'KEY;ZEBRA\nA7;"{TEXT}"\n', "utf-8")
    config.write_text('text_column = "ZEBRA"\nid_column = "KEY"\n', "utf-8")
    words = ("rules", "diff", patterns_folder(), changed, "--on", corpus)
    assert "--text-column" in command(*words).err
    for told in (("--text-column", "ZEBRA", "--id-column", "KEY"), ("--config", config)):
        done = command(*words, *told)
        assert (done.code, done.err) == (0, "")
        assert "A7: added fracture" in done.out


@pytest.mark.parametrize("name", ["check", "diff"])
def test_a_table_without_the_columns_that_were_named_is_told(
    name: str, command: Any, changed: Path, tmp_path: Path
) -> None:
    """Beside one that has them it is no silent all-clear; nor is a row that is no report."""
    for file, rows in (("own.csv", f'KEY;ZEBRA\nA7;"{TEXT}"\nA8;\n'), ("other.csv", f'report_id,text\nT1,"{TEXT}"\n')):
        (tmp_path / file).write_text(rows, "utf-8")
    on = [word for file in ("other.csv", "own.csv") for word in ("--on", tmp_path / file)]
    folders = (patterns_folder(), changed) if name == "diff" else ("--patterns", patterns_folder())
    done = command("rules", name, *folders, *on, "--text-column", "ZEBRA", "--id-column", "KEY")
    assert done.code == 3
    first, second, last = done.err.splitlines()
    assert first.startswith("rejected other.csv: no column 'KEY' for report_id; columns are: report_id, text.")
    assert second == f"rejected own.csv:{3 + TEXT.count(chr(10))}: empty text"
    assert last == "2 rejected in all, and not looked at"
    assert "1 report" in done.out


# show --why


def test_why_tells_each_rule_and_cue_with_its_fate(annotator: Annotator) -> None:
    """Rules that matched and were pruned, cues with their reach, and the precedence that decided."""
    text = "No gastric erosion. No erosion of the greater tuberosity or fracture."
    first, second = why(annotator.annotate(Report("r", text)), annotator)
    assert [r["words"] for r in first.rules] == ["erosion"]
    assert str(first.rules[0]["fate"]).startswith("confused by 'gastric erosion'")
    assert first.mentions == ()
    fates = {r["words"]: r["fate"] for r in second.rules}
    assert (fates["erosion"], fates["fracture"]) == ("is the mention", "is the mention")
    assert first.cues[0]["fate"] == "changes nothing: no mention in its reach"
    (no,) = [c for c in second.cues if c["cue"] == "No"]
    assert (no["group"], no["sets"], no["fate"]) == ("absent_before", "presence: absent", "decides")
    assert text[int(no["start"]) : int(no["end"])] == "No"
    axes = {(m["words"], m["axis"]): m["value"] for m in second.mentions}
    assert axes["erosion", "presence"] == axes["fracture", "presence"] == "absent"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SHOULDER\n\nThere is a hole.", "not at a place where it counts (needs bone)"),
        ("CT ABDOMEN\n\nThere is a hole.", "not at a place where it counts (needs bone)"),
        (
            "CT ABDOMEN\n\nThere is erosion.",
            "the report is of another region, and this is at no bone, tendon, bursa or joint",
        ),
        ("SHOULDER\n\nAnother fleck.", "counts only once the report has named calcification"),
        (
            "SHOULDER\n\nA focus descends from the tendon into the bone.",
            "counts only once the report has named calcific tendinopathy or calcification",
        ),
    ],
)
def test_why_tells_which_condition_a_match_does_not_meet(annotator: Annotator, text: str, said: str) -> None:
    """Its place, the region of the report, or what must have been named before: the one that holds."""
    (told,) = why(annotator.annotate(Report("r", text)), annotator)
    assert said in {rule["fate"] for rule in told.rules}


def test_why_tells_a_cue_within_a_longer_one(annotator: Annotator) -> None:
    """Of overlapping cues the longer counts, and the shorter is shown as part of it."""
    (told,) = why(annotator.annotate(Report("r", "There is no evidence of erosion.")), annotator)
    fates = {c["cue"]: c["fate"] for c in told.cues}
    assert fates["no evidence of"] == "decides"
    assert fates["no"] == "part of a longer cue"


def test_why_tells_what_each_tier_found_lacked_and_was_barred_by(annotator: Annotator, rules: RuleSet) -> None:
    """Down to the first tier that fits; mentions that do not count for what is lacking are told with the reason."""
    case = rules.cases["intraosseous_migration"]
    text = "Calcific deposit of the supraspinatus. Erosion of the greater tuberosity. Acute fracture of the humerus."
    last = [r for r in why_tier(annotator.annotate(Report("r", text)), rules, case) if r.tier == "probable"][2]
    assert last.found == ["erosion: 'Erosion'", "deposit: 'Calcific deposit'"]
    assert (last.lacking, last.barred_by) == ([], ["fracture: 'fracture'"])
    assert last.row()["found"] == "erosion: 'Erosion'; deposit: 'Calcific deposit'"
    whole = annotator.annotate(Report("r", text.replace("Acute fracture", "No fracture")))
    rows = why_tier(whole, rules, case)
    assert (rows[-1].tier, rows[-1].lacking, rows[-1].barred_by) == ("probable", [], [])
    absent = why_tier(annotator.annotate(Report("r", "No erosion of the humerus.")), rules, case)
    assert len(absent) == len(case.tiers)
    assert "erosion ('erosion' is absent)" in absent[5].lacking


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Calcific deposit of the supraspinatus. Erosion of the greater tuberosity.",
            "a probable case: it has erosion ('Erosion') and deposit ('Calcific deposit'), and nothing that bars this",
        ),
        (
            "Calcific deposit of the supraspinatus. No erosion of the humerus.",
            "no case, since no tier fits. The nearest is definite: the report has deposit ('Calcific deposit') but "
            "lacks attributed erosion ('erosion' is absent).",
        ),
        (
            "Calcific deposit of the supraspinatus. Erosion of the greater tuberosity. Acute fracture of the humerus.",
            "no case, since no tier fits. The nearest is probable: the report has erosion ('Erosion') and deposit "
            "('Calcific deposit') but is barred by fracture ('fracture').",
        ),
        (
            "Cortical erosion of the greater tuberosity with marrow edema. No mass.",
            "no case, since no tier fits. The nearest is probable: the report lacks deposit (no mention of calcific "
            "tendinopathy or calcification), so that erosion ('Cortical erosion') does not count.",
        ),
    ],
)
def test_why_tells_in_a_sentence_why_a_report_is_a_case_or_none(
    text: str, told: str, annotator: Annotator, rules: RuleSet
) -> None:
    """The tier that fits with its evidence, or what the nearest tier lacks or is barred by."""
    case = rules.cases["intraosseous_migration"]
    tiers = why_tier(annotator.annotate(Report("r", text)), rules, case)
    assert why_case(tiers, case).startswith(f"This report is {told}")


def test_show_why(command: Any) -> None:
    """On one screen: why, what of each tier is not met, the mentions that count and the largest reasons; no rule."""
    text = "Calcific deposit of the supraspinatus. Erosion of the humerus. Acute fracture of the humerus. No mass."
    done = command("show", "--why", "--text", text)
    assert done.code == 0
    lines = [line.rstrip() for line in done.out.splitlines()]
    assert lines[0] == "case status: no"
    assert lines[3].startswith(
        "This report is no case, since no tier fits. The nearest is probable: the report has erosion"
    )
    tiers = lines.index("tier      not met")
    assert lines[tiers + 1 : tiers + 3] == [
        "definite  stated migration; or attributed erosion and no fracture",
        "probable  intraosseous; or intraosseous and past deposit; or no fracture; or erosion of old, past deposit "
        "and no fracture",
    ]
    mentions = lines.index("the mentions that count for probable")
    assert lines[mentions + 1 : mentions + 5] == [
        "mention           read as",
        "Erosion           cortical_erosion, present, supraspinatus, humerus",
        "Calcific deposit  calcification, present, supraspinatus, greater tuberosity",
        "fracture          fracture, present, supraspinatus, humerus",
    ]
    assert lines.index("what made the probability (log odds)") > mentions
    assert len(lines) <= 40
    assert lines[-1] == "the whole report: without --why; each rule and cue: --why --full"


def test_show_why_of_a_case_tells_the_tier_that_fits(command: Any) -> None:
    """Nothing of it is not met; the tiers below it are not told, and what was read alike is told once."""
    text = "Erosion of the humerus. Erosion of the humerus. Calcific deposit of the supraspinatus."
    told = command("show", "--why", "--no-model", "--text", text).out
    assert re.search(r"\ndefinite  .+\nprobable  \(all met: this tier fits\) *\n\n", told)
    assert told.count("cortical_erosion, present, humerus") == 1
    assert "probability" not in told


def test_show_why_in_full(command: Any) -> None:
    """The command prints the reasons below the mentions, and as JSON under `why`."""
    done = command("show", "--why", "--full", "--text", "No gastric erosion. No erosion of the humerus.")
    assert command("show", "--full", "--text", "No gastric erosion. No erosion of the humerus.").out == done.out
    assert done.code == 0
    assert "confused by 'gastric erosion'" in done.out
    assert "decides" in done.out
    told = json.loads(command("show", "--why", "--json", "--text", "No erosion.").out)
    assert told["why"][0]["mentions"][0]["value"] == "absent"
    assert told["tiers"][0]["tier"] == "definite"
    _, _, below = done.out.partition("why the case status is no (summed up here, and once more at the end)")
    because = re.match(r"\n(This report is no case: it has nothing of what the tiers ask for\.)\n\n\[findings", below)
    assert because
    assert done.out.endswith(f"\n\n{because[1]}\n")
    _, _, tiers = below.partition("the tiers of the case definition, in order (the first that fits counts)")
    assert re.match(r"\ntier +constituents *\n1 definite +lacking ", tiers)
    assert "\nwhat made the probability (log odds)\n" in tiers
    assert re.search(r"\n-[\d.]+ +\(every report starts here, if 33.4 % are cases\)", tiers)
    assert "why" not in json.loads(command("show", "--json", "--text", "No erosion.").out)


def test_no_name_of_a_rule_is_broken(annotator: Annotator, rules: RuleSet) -> None:
    """On a terminal of 80 columns, too, a rule can be copied and looked for."""
    case = rules.cases["intraosseous_migration"]
    annotated = annotator.annotate(Report("r", "No cortical destruction of the humerus, but periosteal reaction."))
    told, out = why(annotated, annotator), io.StringIO()
    shown = why_rich(annotated, told, why_tier(annotated, rules, case), case, assess(annotated, rules, case))
    Console(width=80, file=out).print(shown)
    for row in [*told[0].rules, *told[0].cues]:
        where = str(row["where"]).removeprefix("patterns/")
        assert re.search(rf"{re.escape(str(row.get('group', row['rule'])))} +(\n +)?{where}\b", out.getvalue())
