"""The case definition: what a case file can say, and that another condition is another file and not a line of code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calcitrace import Annotator, Report, load_rules
from calcitrace.assess import assess
from calcitrace.casewords import in_words, named_in
from calcitrace.errors import RuleError
from calcitrace.modality import modality_of
from calcitrace.rules import patterns_folder
from calcitrace.ruleset import Constituent, RuleSet
from calcitrace.why import why_tier

EROSION = "A 9 mm calcific deposit in the right supraspinatus tendon with erosion of the greater tuberosity beneath it."
RIGHT = "Right shoulder: 12 mm calcific deposit in the supraspinatus tendon{}.\n\n"
LEFT = "Left shoulder: 8 mm calcific deposit in the infraspinatus tendon{}."
ERODED = " with erosion of the greater tuberosity"
IN_BONE = "The supraspinatus calcification has migrated into the humeral head."
EDEMA = "Calcific deposit in the supraspinatus tendon with bone marrow edema of the greater tuberosity."


def assessed(annotator: Annotator, text: str, case: str = "intraosseous_migration", modality: str = ""):
    """The assessment of one text under a case definition of the rules."""
    report = Report("r", text, modality=modality)
    return assess(annotator.annotate(report), annotator.rules, annotator.rules.cases[case])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rules that a test may add to."""
    copy = tmp_path_factory.mktemp("rules") / "patterns"
    shutil.copytree(patterns_folder(), copy)
    return copy


def test_erosion_alone_is_a_case_in_the_wide_reading_and_not_in_the_strict_one(annotator: Annotator) -> None:
    """Two readings of the same condition ship; the strict one asks for calcium in bone."""
    assert assessed(annotator, EROSION).likely_case
    strict = assessed(annotator, EROSION, "intraosseous_migration_strict")
    assert (strict.case_status, strict.likely_case) == ("possible", False)
    assert assessed(annotator, IN_BONE, "intraosseous_migration_strict").case_status == "definite"


@pytest.mark.parametrize(
    ("modality", "status"), [("MR", "possible"), ("CT", "possible"), ("XR", "no"), ("US", "no"), ("Radiograph", "no")]
)
def test_marrow_edema_counts_only_where_it_can_be_seen(annotator: Annotator, modality: str, status: str) -> None:
    """A radiograph or ultrasound cannot show marrow edema; what it says of it comes from elsewhere."""
    assert assessed(annotator, EDEMA, modality=modality).case_status == status


@pytest.mark.parametrize(
    ("report", "modality"),
    [
        (Report("r", "Right shoulder.", modality="MRI"), "MR"),
        (Report("r", "ULTRASOUND LEFT SHOULDER\nThe cuff is intact."), "US"),
        (Report("r", "X-ray of the hip.", modality="unknown"), "XR"),
        (Report("r", "CT shoulder, comparison MRI of May.", modality=""), "CT"),
        (Report("r", "The cuff is intact."), ""),
    ],
)
def test_modality_is_told_by_its_column_or_by_the_beginning(
    annotator: Annotator, report: Report, modality: str
) -> None:
    """Archives call a modality many names; an empty or strange column leaves it to the title."""
    assert modality_of(report, annotator.rules) == modality


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("Resorptive phase calcific tendinitis of the supraspinatus.", "resorptive"),
        ("The supraspinatus calcification is in the formative phase.", "formative"),
        ("Calcific tendinitis of the supraspinatus.", "none"),
        ("The labrum is quiescent. Calcific tendinitis of the supraspinatus.", "none"),
    ],
)
def test_the_phase_is_what_a_sentence_about_the_deposit_states(annotator: Annotator, text: str, phase: str) -> None:
    """A phase is read where it is stated of the deposit, and never inferred."""
    assert assessed(annotator, text).phase == phase


def test_what_speaks_for_a_case_orders_within_a_tier_and_never_lifts_into_another(annotator: Annotator) -> None:
    """Absence of a mass and of an effusion raises a probable case among the probable ones."""
    plain = assessed(annotator, EROSION)
    quiet = assessed(annotator, EROSION + " No soft tissue mass. No joint effusion.")
    assert plain.case_status == quiet.case_status == "probable"
    assert plain.case_score < quiet.case_score < 2.5
    nothing = assessed(annotator, "No soft tissue mass. No joint effusion. No trauma.")
    assert nothing.case_status == "no"
    assert nothing.case_score < 0.5


def test_a_cuff_tear_lowers_a_case_among_its_tier(annotator: Annotator) -> None:
    """A tear explains cysts and irregular bone; beside stated migration it only lowers the order."""
    plain, torn = assessed(annotator, IN_BONE), assessed(annotator, IN_BONE + " Full-thickness supraspinatus tear.")
    assert plain.case_status == torn.case_status == "definite"
    assert torn.case_score < plain.case_score


@pytest.mark.parametrize(
    ("text", "side", "tendon"),
    [
        (RIGHT.format("") + LEFT.format(ERODED), "left", "infraspinatus"),
        (RIGHT.format(ERODED) + LEFT.format(""), "right", "supraspinatus"),
        (RIGHT.format(ERODED) + LEFT.format(ERODED), "bilateral", "supraspinatus"),
        (RIGHT.format("") + LEFT.format(""), "bilateral", "supraspinatus"),
        ("Bilateral calcific tendinitis. Erosion of the left greater tuberosity beneath it.", "left", "none"),
    ],
)
def test_the_side_of_a_case_is_that_of_its_bone(annotator: Annotator, text: str, side: str, tendon: str) -> None:
    """Deposits on both sides make a bilateral case only where the bone is involved on both; the tendon goes with it."""
    found = assessed(annotator, text)
    assert (found.laterality, found.tendon) == (side, tendon)


def test_another_condition_is_another_case_file(folder: Path) -> None:
    """Septic joint with erosion, described in ten lines of YAML, is found, typed and placed by the same program."""
    (folder / "cases" / "septic_erosion.yml").write_text(
        """title: Septic arthritis with erosion
likely: [definite]
constituents:
  infection: {findings: [infection], assertions: [present]}
  erosion: {findings: [cortical_erosion], assertions: [present]}
  effusion: {findings: [joint_effusion], assertions: [present]}
tiers:
  - {tier: definite, all: [infection, erosion]}
  - {tier: possible, all: [infection, effusion]}
types:
  - {type: erosive, of: [erosion]}
site: [erosion]
sized: [erosion]
""",
        encoding="utf-8",
    )
    annotator = Annotator(load_rules(folder))
    found = assessed(annotator, "Septic arthritis of the left hip with erosion of the femoral head.", "septic_erosion")
    assert (found.case_status, found.migration_type, found.bone, found.laterality) == (
        "definite",
        "erosive",
        "femur",
        "left",
    )
    weak = assessed(annotator, "Septic arthritis of the left hip with a joint effusion.", "septic_erosion")
    assert (weak.case_status, weak.likely_case) == ("possible", False)
    assert assessed(annotator, "No septic arthritis.", "septic_erosion").case_status == "no"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("extends: nothing_here\ntitle: T\n", "case.yml:1: extends names 'nothing_here'"),
        ("extends: intraosseous_migration_strict\ntitle: T\n", "case.yml:1: extends names"),
        ("extends: intraosseous_migration\ntitle: T\nraises: [deposit]\n", "case.yml:3: raises and lowers hold lists"),
        ("extends: intraosseous_migration\ntitle: T\nlowers: [[nobody]]\n", "case.yml:3: 'nobody' is no constituent"),
        (
            "extends: intraosseous_migration\ntitle: T\nconstituents:\n"
            "  odd: {findings: [pain], assertions: [present], not_on: [PET]}\n",
            "not_on names 'PET'",
        ),
    ],
)
def test_a_wrong_case_file_is_told_by_its_line(folder: Path, written: str, said: str) -> None:
    """What a case file says wrongly is located at path:line."""
    path = folder / "cases" / "case.yml"
    path.write_text(written, encoding="utf-8")
    load_rules.cache_clear()
    try:
        with pytest.raises(RuleError) as error:
            load_rules(folder)
    finally:
        path.unlink()
        load_rules.cache_clear()
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("impression", "status"),
    [("No intraosseous migration of calcium.", "no"), ("Calcific tendinopathy.", "possible")],
)
def test_what_the_request_only_asks_is_answered_by_the_report(
    annotator: Annotator, impression: str, status: str
) -> None:
    """A doubt of the request makes no possible case where the report denies what was asked; else it stays open."""
    text = f"INDICATION: Calcium migrating into the bone?\n\nFINDINGS: Calcific deposit.\n\nIMPRESSION: {impression}"
    assert assessed(annotator, text).case_status == status


def test_the_page_of_the_case_definition_says_what_its_files_say() -> None:
    """Every tier of both readings and every constituent has its row in docs/case-definition.md, in their order."""
    cases = load_rules().cases
    wide, strict = cases["intraosseous_migration"], cases["intraosseous_migration_strict"]
    rows = [
        *(f"| {t.tier} | {', '.join(t.needs)} | {', '.join(t.bars)} |" for t in wide.tiers),
        *(f"| {name} | {in_words(c)} |" for name, c in wide.constituents.items()),
        *(f"| {t.tier} | {', '.join(t.needs)} | {', '.join(t.bars)} |" for t in strict.tiers),
    ]
    page = (Path(__file__).parents[1] / "docs" / "case-definition.md").read_text(encoding="utf-8")
    heads = ("| tier ", "| constituent ", "|---")
    assert [line for line in page.splitlines() if line[:1] == "|" and not line.startswith(heads)] == rows


def test_a_constituent_in_words_tells_all_that_it_asks_for() -> None:
    """What is mentioned and what is said of it; then change, place, sentence, section and modality."""
    whole = Constituent(
        findings=frozenset({"cortical_erosion", "osteolysis"}),
        assertions=frozenset({"present", "possible"}),
        changes=frozenset({"new"}),
        near=("deposit", "past_deposit"),
        side_of=("deposit",),
        with_words=(("due", "to"), ("caus*",), ("from",), ("by",)),
        with_findings=frozenset({"calcification"}),
        final=True,
        not_on=frozenset({"XR"}),
    )
    assert in_words(whole) == (
        "a mention of cortical erosion or osteolysis that is read as possible or present, with a change that is read "
        'as new, at the same bone and side as "deposit" or "past deposit", not on the other side than "deposit", in a '
        'sentence that has "due to", "caus*", "from" or "by" as well as a mention of calcification that is read as '
        "present, in the conclusion, on any modality but XR"
    )


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (" Arthroplasty on the left.", "probable"),
        (" Arthroplasty on the right.", "no"),
        (" Arthroplasty.", "no"),
        (" Fracture of the left clavicle.", "probable"),
        (" Fracture of the greater tuberosity.", "no"),
    ],
)
def test_what_explains_an_erosion_is_not_on_the_other_side(annotator: Annotator, said: str, status: str) -> None:
    """An operation or a fracture of the other side alone does not bar a case; of a side that is not told, it does."""
    assert assessed(annotator, EROSION + said).case_status == status


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ("No calcification.", "no"),
        ("7 mm calcific deposit in the supraspinatus tendon. No migration.", "no"),
        ("7 mm calcific deposit in the supraspinatus tendon.", "possible"),
    ],
)
def test_a_question_is_answered_by_the_denial_of_all_calcium(annotator: Annotator, found: str, status: str) -> None:
    """Without calcium there is none in bone; a deposit in the tendon leaves it open."""
    assert assessed(annotator, f"Indication: intraosseous calcium?\n\nFindings: {found}").case_status == status


def test_constituents_at_whose_place_another_must_be_are_named_with_it() -> None:
    """A definition uses no word that is not defined."""
    case = load_rules().cases["intraosseous_migration"]
    assert named_in(case, ["possible"])[:3] == ["deposit", "past_deposit", "intraosseous"]


@pytest.mark.parametrize(
    ("text", "tendon", "bone"),
    [
        (
            "Triceps calcification. Common flexor calcification with {} into the medial epicondyle.",
            "common_flexor",
            "humerus",
        ),
        (
            "Common flexor calcification with {} into the medial epicondyle. Triceps calcification.",
            "common_flexor",
            "humerus",
        ),
        (
            "Infraspinatus calcification. Subscapularis calcification with {} into the lesser tuberosity.",
            "subscapularis",
            "humerus",
        ),
        (
            "Quadriceps calcification. Patellar tendon calcification with erosion of the tibial tubercle.",
            "patellar",
            "tibia",
        ),
    ],
)
def test_the_site_of_a_report_is_that_of_its_case(annotator: Annotator, text: str, tendon: str, bone: str) -> None:
    """Whichever deposit is named first: that of the migration, or the one at the bone that is eroded."""
    found = assessed(annotator, text.format("intraosseous extension"))
    assert (found.tendon, found.bone) == (tendon, bone)


def test_the_site_of_a_report_is_that_of_the_part_of_a_bone_that_is_eroded(annotator: Annotator) -> None:
    """Of two deposits at one bone: the lesser tuberosity is that of the subscapularis."""
    found = assessed(
        annotator,
        "Supraspinatus: calcific deposit 21 mm.\nSubscapularis: calcific deposit 8 mm with erosion of the lesser "
        "tuberosity.\nInfraspinatus: normal.",
    )
    assert (found.tendon, found.size_mm) == ("subscapularis", 8.0)


def test_the_size_of_a_case_is_of_its_side(annotator: Annotator) -> None:
    """A larger deposit on the healthy side is none of it."""
    text = "Right: calcific deposit 13 mm with erosion of the greater tuberosity. Left: calcific deposit 18 mm."
    assert assessed(annotator, text).size_mm == 13.0


@pytest.mark.parametrize("words", ["which simulates a tumour", "which may simulate a sarcoma", "imitating a neoplasm"])
def test_what_a_case_looks_like_is_no_tumour(annotator: Annotator, words: str) -> None:
    """It is a stock phrase of this entity, and must not bar it."""
    text = f"FINDINGS: {IN_BONE}\nIMPRESSION: Intraosseous migration of calcific tendinitis, {words}."
    assert assessed(annotator, text).case_status == "definite"


@pytest.mark.parametrize("verb", ["breaching", "piercing", "perforating", "crossing"])
def test_calcification_that_goes_through_the_cortex_is_stated_migration(annotator: Annotator, verb: str) -> None:
    """The mention of it takes that of the calcification in."""
    text = f"MRI right shoulder. A calcification of the supraspinatus {verb} the cortex of the greater tuberosity."
    assert assessed(annotator, text).case_status == "definite"


@pytest.mark.parametrize(
    "text",
    [
        "XR left wrist. No fracture.\n\n*** Previous report (pasted), XR left shoulder 2019 ***\n" + IN_BONE,
        "MRI right shoulder. Known episode of calcium entering the greater tuberosity in 2020. No calcification.",
        "XR left shoulder. Compared with the right one, on which calcification had eroded the greater tuberosity.",
        "XR shoulder\nHISTORY: Intraosseous migration of calcific tendinopathy 2016, treated\nFINDINGS: Normal bone.",
        "XR shoulder\nHISTORY: Known intraosseous migration of calcium.\nFINDINGS: No calcification. Normal bone.",
        "XR hands. Calcinosis of the fingers and tuft resorption in scleroderma.",
    ],
)
def test_what_is_of_another_time_or_cause_is_no_case(annotator: Annotator, text: str) -> None:
    """A report that is pasted below, an episode of then, what an earlier film showed, a disease of its own."""
    assert assessed(annotator, text).case_status == "no"


@pytest.mark.parametrize(
    ("addendum", "status"),
    [
        ("No erosion, see CT.", "no"),
        ("On review there is no erosion of the greater tuberosity.", "no"),
        ("No erosion of the left greater tuberosity.", "probable"),
        ("No fracture.", "probable"),
        ("Erosion confirmed, no erosion of the humeral head.", "probable"),
    ],
)
def test_an_addendum_takes_back_what_it_denies(annotator: Annotator, addendum: str, status: str) -> None:
    """In the same text, at the same place, unless it states the finding itself."""
    assert assessed(annotator, f"{EROSION} ADDENDUM: {addendum}").case_status == status


def test_why_tells_what_an_addendum_takes_back(annotator: Annotator, rules: RuleSet) -> None:
    """And does not say that the mention waits for something else."""
    annotated = annotator.annotate(Report("r", f"{EROSION} ADDENDUM: On review there is no erosion."))
    tiers = why_tier(annotated, rules, rules.cases["intraosseous_migration"])
    assert "'erosion' is taken back by the addendum" in " ".join(tiers[5].lacking)
    assert tiers[5].waiting == []


def test_distal_biceps_is_told_by_the_region(annotator: Annotator) -> None:
    """A biceps at the elbow is not the long head, at the shoulder it is."""
    text = "Calcific deposit in the biceps tendon with intraosseous extension."
    told = {title: assessed(annotator, f"{title}\n{text}").tendon for title in ("MR ELBOW LEFT", "MR SHOULDER LEFT")}
    assert told == {"MR ELBOW LEFT": "biceps_distal", "MR SHOULDER LEFT": "biceps_long_head"}


@pytest.mark.parametrize(
    "planned", ["He is booked for arthroscopy.", "Clinical: for arthroscopic removal.", "Pre-op for cuff repair."]
)
def test_an_operation_that_is_to_come_bars_nothing(annotator: Annotator, planned: str) -> None:
    """Only one that was done does."""
    assert assessed(annotator, f"{EROSION} {planned}").case_status == "probable"
    assert assessed(annotator, f"{EROSION} Cuff repair 2015.").case_status != "probable"
