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
        ("XR LEFT SHOULDER\n\nFINDINGS: No fracture of the left humerus.", ()),
        (
            "MRI LEFT SHOULDER\n\nFINDINGS: Erosion of the greater tuberosity.\n\n"
            "IMPRESSION: No erosion of the greater tuberosity.",
            ("contradiction:cortical_erosion",),
        ),
        ("XR LEFT SHOULDER\n\nFINDINGS: The the joint is normal.", ("dictation:repeated_word",)),
        ("XR BOTH SHOULDERS\n\nFINDINGS: Right: deposit. Left: normal.", ()),
    ],
)
def test_flags(annotator, text, expected):
    """Each kind of conflict is named once, and an ordinary report has no flag."""
    assert annotator.annotate(Report("x", text)).flags == expected
