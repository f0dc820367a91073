"""Words: report text and rule terms in one standard form, with offsets into the original text."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calcitrace.words import PLACEHOLDER, Words, phrase_forms, split_words

SPELLING = {"oedema": "edema", "tumour": "tumor", "calcifcation": "calcification"}
PIECES = st.sampled_from(
    [
        "oedema", "TUMOUR", "x-ray", "1.5", "mm", ".", "?", "\u2013", "-", "\u00ad", "\u200b", "\x00", "\u00a0", "\r\n",
        "\t", "[**2019-03-02**]", "____", "s/p", "w/", "(-)", "isn\u2019t", "\ufb01brous", "na\u00efve", "\ud800",
        "\u00bd", "\U0001f9b4", "\u0308", "<DATE>", " ",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join))


def words(text: str) -> Words:
    """The words of the text under the small spelling table of these tests."""
    return split_words(text, SPELLING)


def forms(text: str) -> list[str]:
    """The standard forms alone."""
    return list(words(text).forms)


@given(TEXTS)
@example("calcific oedema")
@example("sub cortical XXXX")
@settings(deadline=None, max_examples=300)
def test_a_phrase_is_read_as_a_text_is(text: str) -> None:
    """The short way for phrases of plain words gives what any text would."""
    assert phrase_forms(text, SPELLING) == words(text).forms


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_words_stand_in_order_inside_the_text(text: str) -> None:
    """Whatever the text, words are non-empty, in order, apart from each other and inside it."""
    found = words(text)
    bounds = list(itertools.chain.from_iterable(zip(found.starts, found.ends, strict=True)))
    assert len(found.forms) == len(found.starts)
    assert bounds == sorted(bounds)
    assert all(a < b for a, b in zip(found.starts, found.ends, strict=True))
    assert not bounds or (bounds[0] >= 0 and bounds[-1] <= len(text))


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_no_letter_or_digit_is_lost(text: str) -> None:
    """Every letter and digit of the text lies inside some word."""
    found = words(text)
    inside = set(itertools.chain.from_iterable(map(range, found.starts, found.ends)))
    assert [i for i, c in enumerate(text) if c.isalnum() and i not in inside] == []


@example("\u00b4")
@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_a_form_is_never_empty_and_holds_no_white_space(text: str) -> None:
    """A standard form is a word that can stand in a phrase."""
    assert all(form and form == form.strip() and " " not in form for form in words(text).forms)


@given(st.text(alphabet="abcdefghij klmnop.,:-0123456789\n", max_size=80), st.data())
@settings(deadline=None, max_examples=200)
def test_a_stretch_has_offsets_into_the_whole_text(text: str, data: st.DataObject) -> None:
    """Words of `text[start:end]` keep offsets into `text` and stay inside the stretch."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = split_words(text, {}, start, end)
    assert all(start <= a < b <= end for a, b in zip(found.starts, found.ends, strict=True))
    spans = zip(found.forms, found.starts, found.ends, strict=True)
    assert [(form, text[a:b]) for form, a, b in spans if form.isalnum() and form != text[a:b]] == []


@pytest.mark.parametrize(
    "written",
    [
        "soft tissue edema", "Soft Tissue Edema", "SOFT TISSUE EDEMA", "soft-tissue edema", "soft\ntissue edema",
        "soft-\ntissue edema", "soft-\r\n   tissue edema", "soft\u00a0tissue\u2003edema", "soft\u2010tissue edema",
        "soft\u2011tissue oedema", "so\u00adft tissue oe\u00addema", "soft\ttissue  \u200boedema",
        "soft tis\x00sue edema",
    ],
)  # fmt: skip
def test_accidents_of_text_do_not_change_the_forms(written: str) -> None:
    """Case, hyphens, line breaks, odd spaces, invisible characters and spelling all give the same words."""
    assert forms(written) == ["soft", "tissue", "edema"]


def test_offsets_survive_what_the_forms_leave_out() -> None:
    """Invisible characters and ligatures shorten or lengthen a form but never shift an offset."""
    text = "A cal\u00adcific \ufb01brous mass"
    found = words(text)
    assert found.forms == ("a", "calcific", "fibrous", "mass")
    assert [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)] == [
        "A",
        "cal\u00adcific",
        "\ufb01brous",
        "mass",
    ]


@pytest.mark.parametrize(
    ("variant", "standard"), [("Oedema", "edema"), ("TUMOUR", "tumor"), ("calcifcation", "calcification")]
)
def test_variants_take_the_standard_spelling(variant: str, standard: str) -> None:
    """The spelling table maps a variant in any case to its standard spelling."""
    assert forms(variant) == [standard]


@pytest.mark.parametrize("text", ["[**2019-03-02**]", "[**Hospital 12**]", "____", "XXXX", "[DATE]", "**NAME[AAA]"])
def test_a_placeholder_is_one_neutral_word(text: str) -> None:
    """A de-identification placeholder is one word that matches nothing."""
    assert forms(f"seen {text} again") == ["seen", PLACEHOLDER, "again"]


@pytest.mark.parametrize("text", ["<DATE>", "<PATIENT NAME>"])
def test_a_placeholder_in_angle_brackets_is_one_neutral_word(text: str) -> None:
    """A placeholder in angle brackets is one word too."""
    assert forms(f"seen {text} again") == ["seen", PLACEHOLDER, "again"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5 cm", ["1.5", "cm"]),
        ("2,3 mm.", ["2,3", "mm", "."]),
        ("5-mm", ["5", "mm"]),
        ("4x5", ["4", "x", "5"]),
        ("4 x 5", ["4", "x", "5"]),
        ("T2-weighted", ["t2", "weighted"]),
        ("C5-6", ["c5", "6"]),
        ("s/p repair w/ oedema", ["s/p", "repair", "w/", "edema"]),
        ("calc\u0131f\u0131cation", ["calcification"]),
        ("(-) mass", ["(-)", "mass"]),
        ("isn\u2019t", ["isn't"]),
        ("mass.No", ["mass", ".", "no"]),
        ("a \u2013 b", ["a", "-", "b"]),
        ("mass -", ["mass", "-"]),
        ("", []),
        (" \n\x00\u200b", []),
    ],
)
def test_forms(text: str, expected: list[str]) -> None:
    """Numbers, shorthand, marks and contractions are cut as radiologists mean them."""
    assert forms(text) == expected


def test_a_decomposed_letter_is_the_same_letter() -> None:
    """A letter typed as base and combining accent matches the same letter typed as one character."""
    assert forms("Se\u0301quelae") == forms("S\u00e9quelae") == ["sequelae"]


def test_a_damaged_character_is_no_question_mark() -> None:
    """A lone surrogate is damage in a file, not a question mark, which would hedge what follows."""
    assert "?" not in forms("\ud800 mass")
