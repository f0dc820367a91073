"""Sections: radiology's layouts, from report text to sections that cover it."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcitrace import load_rules
from calcitrace.link import Linker
from calcitrace.model import Section
from calcitrace.sections import Sectioner
from calcitrace.sentences import split_sentences

LINES = st.sampled_from(
    [
        "FINDINGS:", "Findings", "indication: heel pain", "IMPRESSION", "PEER REVIEW SCORE: 2", "Bones: intact.",
        "XR LEFT HEEL", "No fracture. IMPRESSION: Normal.", "1. Spur.", "- no mass", "", "   ", "\t", "a.m.: 10:30",
        "ADDENDUM", "**CONCLUSION:** spur", "____: ____", "[**2019-03-02**]", ":", "...", "Dr. Hill", "\u00a0",
    ]
)  # fmt: skip
REPORTS = st.one_of(
    st.text(), st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", " ", "\n\n"])).map("".join)).map("".join)
)


@cache
def sectioner() -> Sectioner:
    """The sectioner of the rules that ship."""
    rules = load_rules()
    return Sectioner(rules.sections, Linker(rules).names_structure)


def split(text: str) -> list[tuple[str, str]]:
    """(name, text) of each section, the heading left out and white space trimmed."""
    return [(s.name, _told(text, s)) for s in sectioner().split(text)]


def _told(text: str, section: Section) -> str:
    return text[section.body : section.end].strip()


@given(REPORTS)
@settings(deadline=None, max_examples=300)
def test_sections_follow_each_other_without_gap_or_overlap(text: str) -> None:
    """Whatever the text, a section begins where the one before it ends, and its body lies inside it."""
    sections = sectioner().split(text)
    assert all(a.end == b.start for a, b in pairwise(sections))
    assert all(0 <= s.start <= s.body <= s.end <= len(text) and s.start < s.end for s in sections)


@given(REPORTS)
@settings(deadline=None, max_examples=300)
def test_nothing_that_is_said_stands_outside_the_sections(text: str) -> None:
    """Whatever the text, what lies before the first and after the last section is white space."""
    sections = sectioner().split(text)
    first, last = (sections[0].start, sections[-1].end) if sections else (0, 0)
    assert (text[:first] + text[last:]).strip() == ""


@given(REPORTS)
@settings(deadline=None, max_examples=300)
def test_every_heading_is_cut_from_the_text(text: str) -> None:
    """A heading is given in the report's own words, and stands at the start of its section."""
    for section in sectioner().split(text):
        assert text.startswith(section.heading.strip(), section.start)


@pytest.mark.parametrize(
    "layout", ["{}: {}\n", "{}:{}\n", "{}:\n{}\n\n", "{}\n{}\n\n", "  {} :  {}\n", "{}:\r\n{}\r\n\r\n"]
)
@pytest.mark.parametrize("case", [str.upper, str.lower, str.title], ids=["capitals", "lower", "title"])
def test_headings_with_and_without_colon_in_any_case(layout: str, case: type[str]) -> None:
    """A known heading counts with or without colon, in any case, before its text or on a line of its own."""
    told = [
        ("indication", "Pain in the heel for weeks."),
        ("technique", "Two views were obtained."),
        ("comparison", "None available."),
        ("findings", "A spur of the calcaneus."),
        ("impression", "Plantar spur."),
    ]
    text = "".join(layout.format(case(name), said) for name, said in told)
    assert split(text) == told


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("CLINICAL HISTORY", "indication"),
        ("Reason for exam", "indication"),
        ("Clinical details", "indication"),
        ("PROTOCOL", "technique"),
        ("Prior studies", "comparison"),
        ("REPORT", "findings"),
        ("Opinion", "impression"),
        ("CONCLUSION", "impression"),
        ("Recommendation", "recommendation"),
        ("ADDENDUM", "addendum"),
        ("IMPRESSION (preliminary)", "impression"),
        ("FINDINGS [**2019-03-02**]", "findings"),
        ("Findings and impression", "findings"),
    ],
)
def test_headings_go_by_many_names(heading: str, name: str) -> None:
    """The usual names of a heading, with qualifiers, lead to one section."""
    text = f"TECHNIQUE: Two views.\n{heading}: Spur of the heel.\nTRANSPORT NOTE: Walked.\n"
    assert split(text)[1] == (name, "Spur of the heel.")


def test_headings_inside_a_line() -> None:
    """Headings that run on in one line each open a section."""
    text = "HISTORY: Fall. TECHNIQUE: Two views. FINDINGS: No fracture; spur. IMPRESSION: Spur."
    assert split(text) == [
        ("indication", "Fall."),
        ("technique", "Two views."),
        ("findings", "No fracture; spur."),
        ("impression", "Spur."),
    ]


def test_lower_case_headings_inside_a_line() -> None:
    """Run-on headings count in lower case too, by their colon."""
    assert split("history: fall. findings: no fracture. impression: spur.") == [
        ("indication", "fall."),
        ("findings", "no fracture."),
        ("impression", "spur."),
    ]


def test_a_heading_in_capitals_before_its_text() -> None:
    """A heading in capitals at the start of a line needs no colon."""
    assert split("FINDINGS Spur of the heel.\nIMPRESSION Plantar spur.\n") == [
        ("findings", "Spur of the heel."),
        ("impression", "Plantar spur."),
    ]


def test_a_heading_in_capitals_inside_a_line() -> None:
    """A heading in capitals that follows a full stop needs no colon."""
    assert split("FINDINGS Spur of the heel. IMPRESSION Plantar spur.\n") == [
        ("findings", "Spur of the heel."),
        ("impression", "Plantar spur."),
    ]


@pytest.mark.parametrize("dash", ["-", "\u2013"])
def test_a_heading_before_a_dash(dash: str) -> None:
    """A dash after a known heading stands for a colon."""
    assert split(f"Findings {dash} spur of the heel.\nConclusion {dash} normal study.\n") == [
        ("findings", "spur of the heel."),
        ("impression", "normal study."),
    ]


def test_impression_and_plan_in_one_heading() -> None:
    """A heading that names the impression and something else is the impression."""
    assert split("FINDINGS:\nSpur.\n\nIMPRESSION/PLAN:\nInsoles.\n") == [
        ("findings", "Spur."),
        ("impression", "Insoles."),
    ]


@pytest.mark.parametrize(
    "heading",
    [
        "QUALITY STATEMENT:",
        "CRITICAL RESULT COMMUNICATION:",
        "PEER REVIEW SCORE (internal):",
    ],
)
def test_an_unknown_heading_opens_a_section_other(heading: str) -> None:
    """A heading in capitals that no rule names ends the section before it and does not bleed into the next."""
    text = f"FINDINGS: Spur of the heel.\n{heading} The limp was filmed.\nIMPRESSION: Plantar spur.\n"
    assert split(text) == [
        ("findings", "Spur of the heel."),
        ("other", "The limp was filmed."),
        ("impression", "Plantar spur."),
    ]


def test_an_unknown_heading_on_its_own_line_opens_a_section_other() -> None:
    """An unknown heading in capitals needs no colon on a line of its own."""
    text = "FINDINGS\nSpur of the heel.\n\nQUALITY STATEMENT\nThe limp was filmed.\n\nIMPRESSION\nPlantar spur.\n"
    assert split(text) == [
        ("findings", "Spur of the heel."),
        ("other", "The limp was filmed."),
        ("impression", "Plantar spur."),
    ]


def test_an_unknown_heading_in_title_case_ends_the_indication() -> None:
    """Outside the findings an unknown heading with a colon is other, whatever its case."""
    text = "Indication: Heel pain.\nTransport Mode: Wheelchair\nFindings: Spur.\n"
    assert split(text) == [("indication", "Heel pain."), ("other", "Wheelchair"), ("findings", "Spur.")]


@pytest.mark.parametrize("case", [str.title, str.upper])
def test_joint_level_subheads_stay_in_the_findings(case: type[str]) -> None:
    """A heading that names a structure inside the findings is a subhead: its own section, still findings."""
    heads = [case(h) for h in ("rotator cuff", "glenohumeral joint", "bones", "soft tissues")]
    text = "FINDINGS:\n" + "".join(f"{h}: Unremarkable today.\n" for h in heads) + "IMPRESSION: Normal.\n"
    sections = sectioner().split(text)
    assert [(s.name, s.subhead) for s in sections] == [
        ("findings", ""),
        *(("findings", h) for h in heads),
        ("impression", ""),
    ]


def test_a_subhead_belongs_to_what_it_heads() -> None:
    """The words of a subhead stay in the body, since they name the site of what follows."""
    text = "FINDINGS:\nSupraspinatus: Dense deposit.\n"
    assert split(text)[-1] == ("findings", "Supraspinatus: Dense deposit.")


def test_a_report_without_headings_is_findings() -> None:
    """What stands under no heading is findings."""
    text = "Two views of the left heel. No fracture is seen. There is a plantar spur.\n"
    assert split(text) == [("findings", text.strip())]


def test_the_title_of_a_report_without_headings() -> None:
    """The examination's name above a header-less report is its title, not a finding."""
    assert split("XR LEFT HEEL\n\nNo fracture is seen. There is a plantar spur.\n") == [
        ("title", "XR LEFT HEEL"),
        ("findings", "No fracture is seen. There is a plantar spur."),
    ]


def test_prose_after_the_indication_is_findings_where_none_are_headed() -> None:
    """A blank line ends a headed indication in a report without a findings heading."""
    assert split("Clinical details: ?plantar spur\n\nNo spur is seen at the heel.\n") == [
        ("indication", "?plantar spur"),
        ("findings", "No spur is seen at the heel."),
    ]


def test_an_all_capitals_report_keeps_its_headings() -> None:
    """In a report typed in capitals headings are told by their names, and no sentence becomes one."""
    assert split("INDICATION: HEEL PAIN.\nFINDINGS: PLANTAR SPUR SEEN\nNO FRACTURE SEEN\nIMPRESSION: SPUR.\n") == [
        ("indication", "HEEL PAIN."),
        ("findings", "PLANTAR SPUR SEEN\nNO FRACTURE SEEN"),
        ("impression", "SPUR."),
    ]


def test_addendum_and_recommendation() -> None:
    """What is added after the impression stands in sections of its own."""
    text = "IMPRESSION: Normal.\nADDENDUM: On second look there is a spur.\nRECOMMENDATION: Insoles.\n"
    assert split(text) == [
        ("impression", "Normal."),
        ("addendum", "On second look there is a spur."),
        ("recommendation", "Insoles."),
    ]


@pytest.mark.parametrize("mark", ["**{}:** ", "__{}:__ ", "**{}**: ", "*{}:* "])
def test_headings_in_bold_marks(mark: str) -> None:
    """Marks of emphasis around a heading do not hide it."""
    text = mark.format("FINDINGS") + "Spur.\n" + mark.format("IMPRESSION") + "Spur of the heel.\n"
    named = [(name, told.strip("*_\n ")) for name, told in split(text) if told.strip("*_\n ")]
    assert named == [("findings", "Spur."), ("impression", "Spur of the heel.")]


def test_a_time_of_day_is_no_heading() -> None:
    """A colon between digits opens nothing."""
    assert split("FINDINGS: Telephoned at 10:30 to the ward.\n") == [("findings", "Telephoned at 10:30 to the ward.")]


def test_a_colon_in_prose_is_no_heading() -> None:
    """A colon inside a sentence opens nothing."""
    text = "FINDINGS: Two things are of note here in this study: a spur and swelling.\n"
    assert split(text) == [("findings", text.removeprefix("FINDINGS: ").strip())]


@pytest.mark.parametrize(
    "sentence",
    [
        "Normal study.", "Limited examination.", "No acute findings.", "Please see prior report.",
        "No relevant past history.", "Unremarkable examination.",
    ],
)  # fmt: skip
def test_a_short_sentence_is_no_heading(sentence: str) -> None:
    """A line that is a sentence is text, even where its last word is the name of a heading."""
    assert split(f"FINDINGS:\nA spur.\n{sentence}\nNo mass.\n") == [("findings", f"A spur.\n{sentence}\nNo mass.")]


def test_nothing_to_split() -> None:
    """Empty text has no sections."""
    assert split("") == []


@pytest.mark.parametrize("line", ["Left hip erosion now", "Shoulder pain today"])
def test_a_line_that_ends_in_a_word_of_time_is_no_heading(line: str) -> None:
    """Such a word heads a section alone, or with a colon."""
    assert split(f"IMPRESSION:\n{line}") == [("impression", line)]
    assert split("IMPRESSION:\nNormal.\nFindings today: No fracture.")[-1] == ("findings", "No fracture.")


def test_a_question_that_is_answered_is_one_sentence() -> None:
    """None denies the fracture, and the next question stands alone."""
    text = "Fracture? None. Osteolysis? No."
    assert [text[a:b] for a, b in split_sentences(text)] == ["Fracture? None.", "Osteolysis? No."]


def test_what_follows_the_studies_of_a_comparison_is_findings() -> None:
    """In one paragraph, where no findings are headed; with findings below, all of it is the comparison."""
    told = "Comparison: None available. There is a calcific deposit. IMPRESSION: Calcific tendinitis."
    assert [name for name, _ in split(told)] == ["comparison", "findings", "impression"]
    assert split("Comparison: CT 11.01.2021, with calcium. It has gone.")[-1] == ("findings", "It has gone.")
    headed = split("COMPARISON: CT 2021. Calcium was seen.\nFINDINGS: It has gone.")
    assert headed[0] == ("comparison", "CT 2021. Calcium was seen.")


def test_a_request_ends_where_the_study_is_named() -> None:
    """In one line, where no findings are headed."""
    told = "Indication: spur? XR left heel: no spur."
    assert split(told) == [("indication", "spur?"), ("findings", "XR left heel: no spur.")]
    assert split("Indication: pain of the left heel. Spur?") == [("indication", "pain of the left heel. Spur?")]


@pytest.mark.parametrize("marks", ['""', "\u201c\u201d"])
def test_a_quoted_report_ends_with_its_quotation(marks: str) -> None:
    """Over lines of a list, too; what is quoted is no finding of this study."""
    opens, closes = marks
    text = f"Prior report: {opens}XR 2019\n- spur of the left heel\n- fracture{closes}\nNo spur today."
    assert [name for name, _ in split(text)] == ["prior_report", "findings"]
    assert split(text)[-1] == ("findings", "No spur today.")


def test_a_comparison_may_name_its_studies_by_long_numbers() -> None:
    """A unique identifier has more ways to be split than there is time for: it is read as one number."""
    study = "Comparison: 1.2.840.113619.2.55.3.604688119.971.1234567890.12345678901234567890 MRI\n"
    assert split(study) == [("comparison", study[12:-1])]
    assert split(f"Comparison: {20190312 * 10**60}.\nCalcific deposit.")[-1] == ("findings", "Calcific deposit.")


def test_a_request_ends_with_its_line_where_lines_are_not_wrapped() -> None:
    """Where no findings are headed: the next line is a report of its own."""
    text = "Clinical: 52M, thigh pain.\nThere is a focus of calcium beside the linea aspera, with a pit in it."
    assert [name for name, _ in split(text)] == ["indication", "findings"]
    assert [name for name, _ in split(f"{text}\nFINDINGS: None.")] == ["indication", "findings"]
    assert split("Clinical: 52M, thigh pain\nand fever.")[0] == ("indication", "52M, thigh pain\nand fever.")


def test_a_report_that_is_pasted_with_its_date_is_a_prior_one() -> None:
    """In a line of its own, up to the heading of what is said now."""
    text = 'Previous report 26 Jul 2021: "Calcium."\nCurrent: It has gone.'
    assert [name for name, _ in split(text)] == ["prior_report", "findings"]
    assert [name for name, _ in split("Report of 14/10/2021 read: Calcium.\nNow: None.")] == [
        "prior_report",
        "findings",
    ]


def test_a_structure_after_a_past_history_is_of_now() -> None:
    """After a blank line; without one it is a part of the history."""
    text = "PMH: left shoulder calcific tendinitis.\n\nAC JOINT: the clavicle is crumbled."
    assert [name for name, _ in split(text)] == ["past_history", "findings"]


def test_a_heading_may_stand_between_rules() -> None:
    """Longer than a bare one; its end begins the findings again."""
    text = (
        "Normal.\n--- Previous report (auto-inserted), CT left shoulder 02/2020 ---\nCalcium.\n--- end ---\nNo change."
    )
    assert split(text) == [("findings", "Normal."), ("prior_report", "Calcium."), ("findings", "No change.")]
