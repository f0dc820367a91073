"""How a report is read beyond one sentence: links, sizes, what the whole report settles, and the date of a change.

Every sentence here was composed for these tests.
"""

from __future__ import annotations

import pytest

from calcitrace import Annotator, Report
from calcitrace.model import Mention

TITLE = "MRI RIGHT SHOULDER\n\n"


def the(annotator: Annotator, text: str, finding: str) -> Mention:
    """The one mention of the finding in a report of this text."""
    (found,) = [m for m in annotator.annotate(Report("r", text)).mentions if m.finding == finding]
    return found


# Sizes


@pytest.mark.parametrize(
    ("sentence", "size"),
    [
        ("A 9 x 4 mm deposit in the supraspinatus tendon.", 9),
        ("A deposit of 0.9 x 0.4 cm in the supraspinatus tendon.", 9),
        ("A deposit measuring 12 mm x 8 mm in the supraspinatus tendon.", 12),
        ("A subcentimetre deposit in the supraspinatus tendon.", 10),
        ("A sub-centimeter deposit in the supraspinatus tendon.", 10),
        ("A seven millimetre deposit in the supraspinatus tendon.", 7),
        ("The supraspinatus deposit measures 6 mm, previously 11 mm.", 6),
        ("The supraspinatus deposit, 11 mm in March, now measures 6 mm.", 6),
        ("A 5 mm supraspinatus deposit lies 20 mm above the insertion.", 5),
        ("A supraspinatus deposit lies 20 mm above the insertion.", None),
        ("A supraspinatus deposit. It measures 14 mm.", 14),
        ("Supraspinatus deposit (image 12).", None),
    ],
)
def test_the_size_of_a_mention(annotator: Annotator, sentence: str, size: float | None) -> None:
    """The largest dimension of this study in millimetres; a distance or an earlier size is not the size."""
    assert the(annotator, TITLE + "FINDINGS: " + sentence, "calcification").size_mm == size


# Links


@pytest.mark.parametrize(
    ("text", "finding", "tendon", "bone", "landmark", "side"),
    [
        (
            "XR HIP\n\nFINDINGS: Erosion of the left GT.",
            "cortical_erosion",
            "none",
            "femur",
            "greater_trochanter",
            "left",
        ),
        (
            "XR SHOULDER\n\nFINDINGS: Erosion of the left GT.",
            "cortical_erosion",
            "none",
            "humerus",
            "greater_tuberosity",
            "left",
        ),
        (
            "MRI BOTH SHOULDERS\n\nFINDINGS:\nRight shoulder: Normal.\nLeft shoulder: Deposit in the subscapularis.",
            "calcification",
            "subscapularis",
            "humerus",
            "lesser_tuberosity",
            "left",
        ),
        (
            "MRI LEFT THIGH\n\nFINDINGS: Calcium at the insertion of gluteus maximus.",
            "calcification",
            "gluteus_maximus",
            "femur",
            "gluteal_tuberosity",
            "left",
        ),
    ],
)
def test_where_a_mention_is(
    annotator: Annotator, text: str, finding: str, tendon: str, bone: str, landmark: str, side: str
) -> None:
    """Tendon, bone, landmark and side come from the sentence, its subhead and the title; GT goes by the body part."""
    found = the(annotator, text, finding)
    assert (found.tendon, found.bone, found.landmark, found.laterality) == (tendon, bone, landmark, side)


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("US shoulders\nInfraspinatus calcification on the left and the right.", ["bilateral"]),
        ("US shoulders\nCalcific deposits, left 4 mm, right 11 mm.", ["bilateral"]),
        ("US shoulders\nThere are 5 mm left and 9 mm right calcifications.", ["bilateral"]),
        ("Subscapularis calcification, left more than right.", ["bilateral"]),
        ("XR HIPS\nNo calcification beside either hip.", ["bilateral"]),
        ("XR shoulders\nL: supraspinatus calcification.\nR: subscapularis calcification.", ["left", "right"]),
        ("XR shoulders\nFindings: R - calcification. L - calcification.", ["right", "left"]),
        ("US elbows\nRight common extensor calcification; the left side is clear.", ["right"]),
        ("MRI RIGHT SHOULDER\n\nFINDINGS: Calcification in the cuff, left normal.", ["right"]),
        ("US both shoulders\n\nFINDINGS: Calcification in the cuff, left normal.", ["right"]),
        ("MRI RIGHT SHOULDER\n\nFINDINGS: Calcification, smaller than that of the left shoulder.", ["right"]),
        ("MRI RIGHT HIP\n\nFINDINGS: Calcification. The opposite hip has a calcification, too.", ["right", "left"]),
        ("US both knees. No calcification on the left. The other knee has a calcification.", ["left", "right"]),
        ("XR R SHOULDER\nCompared with 6/2018. No calcification is left.", ["right"]),
        ("XR PELVIS\nCalcification beside the L ischium.", ["left"]),
        ("X-ray was taken right after the block. Calcification of the cuff.", ["none"]),
        ("XR shoulders\nCalcification: left none, right 8 mm.", ["right"]),
        ("XR shoulders\nLeft: calcification, much as there was on the right.", ["left"]),
        ("Dear colleague,\nthank you for sending Mr. B. for films of his left shoulder in two planes.\nCalcification.",
         ["left"]),
        ("XR RIGHT SHOULDER\nCalcification.\nADDENDUM: The report should read LEFT shoulder, not right.", ["left"]),
        ("XR LEFT SHOULDER\nCalcification.\nADDENDUM: The report should read R\u0130GHT.", ["left"]),
        ("XR: calcification of the right cuff.\nAddendum: the examined side is LEFT.", ["left"]),
        ("CT LEFT KNEE\nCalcification.\nAddendum: The report relates to the right knee, not the left.", ["right"]),
        ("CT LEFT KNEE\nCalcification.\nADDENDUM: wrong side was typed, this is the RIGHT knee.", ["right"]),
        ("XR RIGHT SHOULDER\nCalcification, which should be left alone.", ["right"]),
        ("XR shoulders\nRight calcification. Left calcification, which should read left 9 mm.", ["right", "left"]),
        (
            "XR both shoulders\nRight supraspinatus calcification 6 mm, left subscapularis calcification 2 mm.",
            ["right", "left"],
        ),
    ],
)  # fmt: skip
def test_of_which_side_a_mention_is(annotator: Annotator, text: str, sides: list[str]) -> None:
    """Sides that are told in one breath are both; one that is healthy, or to compare with, is of something else.

    An addendum corrects that of the report.
    """
    assert [m.laterality for m in annotator.annotate(Report("r", text)).mentions] == sides


def test_what_is_denied_on_one_side_is_there_on_the_other(annotator: Annotator) -> None:
    """Behind a comma; behind a colon it answers for the whole."""
    text = "XR SHOULDERS\nCalcification in the left infraspinatus, none on the right."
    assert the(annotator, text, "calcification").assertion == "present"
    assert the(annotator, "XR SHOULDERS\nCalcification: none on the right.", "calcification").assertion == "absent"


@pytest.mark.parametrize(
    ("words", "deposit", "erosion"),
    [
        ("Calcific deposit 14 mm eroding the greater tuberosity.", 14, None),
        ("Calcific deposit (14 mm) eroding the greater tuberosity.", 14, None),
        ("Calcific deposit of the infraspinatus (14 mm) breaching its cortex.", 14, None),
        ("Calcific deposit with a 3 mm erosion of the greater tuberosity.", None, 3),
        ("Calcific deposit, 3 mm eroded area of the greater tuberosity.", None, 3),
    ],
)
def test_the_size_before_a_verb_is_of_its_subject(
    annotator: Annotator, words: str, deposit: float | None, erosion: float | None
) -> None:
    """And one in brackets of what stands before them; one before a noun is of the noun."""
    sizes = [
        the(annotator, TITLE + f"FINDINGS: {words}", name).size_mm for name in ("calcification", "cortical_erosion")
    ]
    assert sizes == [deposit, erosion]


def test_calcium_of_a_lesion_is_not_of_a_tendon(annotator: Annotator) -> None:
    """Calcium within a mass is no tendon's calcification."""
    mentions = annotator.annotate(Report("r", TITLE + "FINDINGS: A mass with calcification within the mass.")).mentions
    assert {m.finding for m in mentions} == {"mass"}


# What the whole report settles

KNOWN = "INDICATION: Known calcific tendinitis, worse pain.\n\nFINDINGS: "


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("6 mm deposit in the supraspinatus tendon.", "present"),
        ("No calcific deposit in the supraspinatus tendon.", "historical"),
        ("No fracture.", "present"),
    ],
)
def test_a_known_disease_is_past_where_the_findings_deny_it(annotator: Annotator, rest: str, expected: str) -> None:
    """What a request calls known stays, unless the findings deny it or its kin at the place."""
    mention = the(annotator, TITLE + KNOWN + rest, "calcific_tendinopathy")
    assert mention.assertion == expected


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("The erosion of the greater tuberosity is again seen.", "present"),
        ("The greater tuberosity is intact.", "historical"),
    ],
)
def test_a_comparison_holds_where_the_findings_repeat_it(annotator: Annotator, rest: str, expected: str) -> None:
    """What the comparison tells is past, unless the findings see it too."""
    text = TITLE + "COMPARISON: MRI of 2019, erosion of the greater tuberosity.\n\nFINDINGS: " + rest
    first = annotator.annotate(Report("r", text)).mentions[0]
    assert (first.finding, first.section, first.assertion) == ("cortical_erosion", "comparison", expected)


def test_a_structure_after_the_request_begins_the_findings(annotator: Annotator) -> None:
    """A line that opens with a structure ends a request that has been made."""
    text = "Clinical details: shoulder pain, ?calcific tendinitis.\nSupraspinatus: 8 mm deposit.\n"
    assert the(annotator, text, "calcification").section == "findings"


# Change


@pytest.mark.parametrize(
    ("sentence", "change", "since"),
    [
        ("The supraspinatus deposit is smaller than on 2019-03-02.", "decreased", "2019-03-02"),
        ("The supraspinatus deposit is unchanged since March 2018.", "unchanged", "2018-03"),
        ("The supraspinatus deposit has enlarged since 14/03/2018.", "increased", "2018-03-14"),
        ("The supraspinatus deposit has enlarged since 3/14/2018.", "increased", "2018-03-14"),
        ("The supraspinatus deposit has enlarged since 03/04/2018.", "increased", "03/04/2018"),
        ("The supraspinatus deposit seen on 2 May 2018 has resolved.", "resolved", "2018-05-02"),
        ("A 6 mm supraspinatus deposit, was 12 mm.", "decreased", ""),
        ("A supraspinatus deposit, seen 2019-01-05.", "none", ""),
    ],
)
def test_a_change_with_the_date_of_the_study_before(
    annotator: Annotator, sentence: str, change: str, since: str
) -> None:
    """A change carries the earlier study's date where stated, in ISO form where the words leave no doubt."""
    mention = the(annotator, TITLE + "FINDINGS: " + sentence, "calcification")
    assert (mention.asserted.change, mention.change_since) == (change, since)


@pytest.mark.parametrize(
    ("sentence", "change"),
    [
        ("The calcification measured 9 mm then, 4 mm now.", "decreased"),
        ("A 9 mm calcification, 6 mm at the last scan.", "increased"),
        ("A calcification of 9 mm in the distal part of the quadriceps tendon, previously 6 mm.", "increased"),
        ("A calcification of 9 mm (it was 13 mm).", "decreased"),
        ("A calcification of 7 mm, less than the 12 mm of January.", "decreased"),
        ("A calcification of 7 mm (then 7 mm).", "unchanged"),
        ("A calcification of 7 mm, 12 mm from the footprint.", "none"),
    ],
)
def test_two_sizes_of_one_thing_tell_its_change(annotator: Annotator, sentence: str, change: str) -> None:
    """The present one beside that of an earlier study, however they are told apart."""
    assert the(annotator, sentence, "calcification").asserted.change == change


@pytest.mark.parametrize(
    ("comparison", "since"),
    [("MRI of 12 January 2017.", "2017-01-12"), ("XR 2016 and MRI 2017.", ""), ("None.", "")],
)
def test_a_change_is_since_the_only_study_compared(annotator: Annotator, comparison: str, since: str) -> None:
    """Where the sentence gives no date, the comparison does, if it gives one only."""
    text = TITLE + f"COMPARISON: {comparison}\n\nFINDINGS: The supraspinatus deposit is smaller."
    assert the(annotator, text, "calcification").change_since == since


# Cues that bear on each other


@pytest.mark.parametrize(
    ("sentence", "finding", "expected"),
    [
        ("The supraspinatus deposit has partly resolved.", "calcification", ("present", "decreased")),
        ("The supraspinatus deposit has resolved.", "calcification", ("absent", "resolved")),
        ("The erosion of the tuberosity, possibly postoperative, cannot be called new.", "cortical_erosion", None),
        ("No erosion of the tuberosity or fracture.", "cortical_erosion", ("absent", "none")),
        ("Neither erosion of the tuberosity nor edema.", "cortical_erosion", ("absent", "none")),
    ],
)
def test_a_cue_can_turn_another(
    annotator: Annotator, sentence: str, finding: str, expected: tuple[str, str] | None
) -> None:
    """ "Partly" turns "resolved" into less: what is partly gone is there."""
    mention = the(annotator, TITLE + "FINDINGS: " + sentence, finding)
    if expected:
        assert (mention.assertion, mention.asserted.change) == expected
