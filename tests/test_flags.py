"""Flags point at what a registry should look at twice."""

import pytest

from calcitrace import Annotator, Report


@pytest.fixture(scope="module")
def annotator():
    """One annotator for all reports here."""
    return Annotator()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "XR RIGHT SHOULDER\n\nFINDINGS: Calcific deposit of the left supraspinatus.",
            ("side_conflict:title/findings",),
        ),
        (
            "MRI LEFT HIP\n\nFINDINGS: Left gluteus medius calcification.\n\nIMPRESSION: Right calcific tendinitis.",
            ("side_conflict:title/impression", "side_conflict:findings/impression"),
        ),
        ("XR SHOULDER RIGHT\nFINDINGS: Calcification of the cuff. No calcification on the left.", ()),
        (
            "XR BOTH SHOULDERS\n\nFINDINGS: Left: no calcium. Right: calcification.\n\nIMPRESSION: Left resolved.",
            (),
        ),
        ("XR LEFT SHOULDER\n\nFINDINGS: No fracture of the left humerus.", ()),
        (
            "MRI LEFT SHOULDER\n\nFINDINGS: Erosion of the greater tuberosity.\n\n"
            "IMPRESSION: No erosion of the greater tuberosity.",
            ("contradiction:cortical_erosion",),
        ),
        ("XR LEFT SHOULDER\n\nFINDINGS: The the joint is normal. No erosion.", ("dictation:repeated_word",)),
        ("FINDINGS: Know evidence of fracture.", ("dictation:misheard_no",)),
        ("Narrow edema of the greater tuberosity.", ("dictation:misheard_word",)),
        ("The deposit measures 8 x 4 in the tendon.", ("dictation:missing_unit",)),
        ("There is a calcific deposit. Measures 8 x 4 in the tendon.", ("dictation:missing_unit",)),
        ("The deposit measures 8 x 4 mm, its halo measures 12, 14 and 9 mm.", ()),
        ("LEFT SHOULDER\nThe calcific deposit is *** mm.", ("dictation:empty_field",)),
        ("*** FINAL REPORT ***\n[ ] Fracture\n[x] Calcification of the tendon", ()),
        ("The deposit that that report named had had a halo.", ()),
        ("XR BOTH SHOULDERS\n\nFINDINGS: Right: deposit. Left: normal.", ()),
    ],
)
def test_flags(annotator, text, expected):
    """Each kind of conflict is named once, and an ordinary report has no flag."""
    assert annotator.annotate(Report("x", text)).flags == expected


def test_a_report_that_mentions_nothing_has_no_flags(annotator: Annotator) -> None:
    """What says nothing of a finding need not be looked at twice."""
    assert annotator.annotate(Report("r", "XR LEFT HAND\n\nFINDINGS: The the right hand is normal.")).flags == ()
