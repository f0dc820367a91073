"""Sentences: how radiologists type and dictate them, as offsets into the original text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcitrace.sentences import MAX_SENTENCE, pieces, pieces_at, split_sentences, stretches, stretches_of

PIECES = st.sampled_from(
    [
        "No fracture", "spur", "DENSE", "Dr", ".", ". ", "?", "!", "\n", "\n\n", "\r\n", "\r", "\f", " ", "\t", "1.",
        "2)", "- ", "\u2022", "1.5 cm", "No. 2", "T2", "[**2019-03-02**]", "____", "(", ")", ":", ";", "\u00a0", "\x00",
        "e.g.", "none of the following", "No fracture. ", "Normal.\n", "\n\n\n",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


def split(text: str) -> list[str]:
    """The sentences themselves."""
    return [text[start:end] for start, end in split_sentences(text)]


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_sentences_stand_in_order_inside_the_text(text: str) -> None:
    """Whatever the text, sentences are non-empty, in order, apart from each other and inside it."""
    found = list(split_sentences(text))
    assert all(0 <= start < end <= len(text) for start, end in found)
    assert all(a[1] <= b[0] for a, b in pairwise(found))


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_no_character_is_lost_between_sentences(text: str) -> None:
    """Whatever the text, only white space stands outside the sentences."""
    inside = {i for start, end in split_sentences(text) for i in range(start, end)}
    assert [c for i, c in enumerate(text) if i not in inside and not c.isspace()] == []


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_a_sentence_has_no_white_space_around_it(text: str) -> None:
    """A sentence begins and ends with something that is not white space."""
    assert all(sentence == sentence.strip() for sentence in split(text))


@given(TEXTS, st.data())
@settings(deadline=None, max_examples=200)
def test_a_stretch_has_offsets_into_the_whole_text(text: str, data: st.DataObject) -> None:
    """Sentences of `text[start:end]` stay inside the stretch and hold all of it but white space."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    found = list(split_sentences(text, start, end))
    inside = {i for a, b in found for i in range(a, b)}
    assert all(start <= a < b <= end for a, b in found)
    assert [i for i in range(start, end) if i not in inside and not text[i].isspace()] == []


def test_full_stops_end_sentences() -> None:
    """The plain case."""
    assert split("No fracture. Small spur!  Is it new? Unknown.") == [
        "No fracture.",
        "Small spur!",
        "Is it new?",
        "Unknown.",
    ]


@pytest.mark.parametrize(
    "marks",
    ["1. 2. 3.", "1) 2) 3)", "(1) (2) (3)", "a) b) c)", "i. ii. iii.", "- - -", "* * *", "\u2022 \u2022 \u2022"],
)
@pytest.mark.parametrize("stop", [".", ""])
def test_each_item_of_a_list_is_a_sentence(marks: str, stop: str) -> None:
    """Numbered, lettered and bulleted items on lines of their own are sentences, with and without full stop."""
    items = [
        f"{mark} {said}{stop}"
        for mark, said in zip(marks.split(), ("No fracture", "Small spur", "thin cortex"), strict=True)
    ]
    assert split("\n".join(items)) == items


def test_numbered_items_in_one_line() -> None:
    """Items that run on in one line are cut before their numbers."""
    assert split("1. No fracture. 2. Small spur. 3. Thin cortex.") == [
        "1. No fracture.",
        "2. Small spur.",
        "3. Thin cortex.",
    ]


def test_a_number_without_space_before_its_item() -> None:
    """The number of an item stays with it where the space is missing."""
    assert split("1.No fracture.\n2.Small spur.") == ["1.No fracture.", "2.Small spur."]


def test_a_wrapped_list_item_is_one_sentence() -> None:
    """A hanging indent goes on with the item above."""
    text = "1. A dense deposit lies at the insertion of the tendon and\n   reaches the cortex.\n2. No fracture."
    assert split(text) == [
        "1. A dense deposit lies at the insertion of the tendon and\n   reaches the cortex.",
        "2. No fracture.",
    ]


def test_a_hard_wrap_does_not_end_a_sentence() -> None:
    """Lines broken at a fixed width run on."""
    text = (
        "There is a dense deposit at the calcaneal insertion of the\n"
        "Achilles tendon, and beneath it the cortex is thinned over\n"
        "several millimetres. The plantar fascia and the remaining\n"
        "soft tissues of the heel are normal."
    )
    assert split(text) == [
        "There is a dense deposit at the calcaneal insertion of the\nAchilles tendon, and beneath it the cortex is "
        "thinned over\nseveral millimetres.",
        "The plantar fascia and the remaining\nsoft tissues of the heel are normal.",
    ]


def test_a_hard_wrap_in_capitals_does_not_end_a_sentence() -> None:
    """The width tells a wrap where case cannot."""
    text = (
        "THERE IS A DENSE DEPOSIT AT THE CALCANEAL INSERTION OF THE\n"
        "ACHILLES TENDON, AND BENEATH IT THE CORTEX IS THINNED OVER\n"
        "SEVERAL MILLIMETRES. THE PLANTAR FASCIA AND THE REMAINING\n"
        "SOFT TISSUES OF THE HEEL ARE NORMAL."
    )
    assert split(text) == [
        "THERE IS A DENSE DEPOSIT AT THE CALCANEAL INSERTION OF THE\nACHILLES TENDON, AND BENEATH IT THE CORTEX IS "
        "THINNED OVER\nSEVERAL MILLIMETRES.",
        "THE PLANTAR FASCIA AND THE REMAINING\nSOFT TISSUES OF THE HEEL ARE NORMAL.",
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_short_lines_without_stops_are_sentences(newline: str) -> None:
    """Lines that could have held the next word were ended on purpose."""
    assert split(newline.join(["No fracture", "No effusion", "Small spur"])) == [
        "No fracture",
        "No effusion",
        "Small spur",
    ]


def test_a_line_that_ends_in_a_comma_goes_on() -> None:
    """A comma at the end of a line asks for more."""
    assert split("Deposit at the heel, 8 mm,\nwithout erosion.") == ["Deposit at the heel, 8 mm,\nwithout erosion."]


def test_a_blank_line_ends_a_sentence() -> None:
    """A paragraph ends the sentence, with or without full stop."""
    assert split("Spur of the heel\n\nno fracture") == ["Spur of the heel", "no fracture"]


def test_sentences_in_capitals() -> None:
    """An all-capitals report is cut at its full stops."""
    assert split("NO FRACTURE. SMALL SPUR OF 1.5 CM. NO MASS.") == ["NO FRACTURE.", "SMALL SPUR OF 1.5 CM.", "NO MASS."]


@pytest.mark.parametrize(
    "sentence",
    [
        "The spur measures 1.5 cm by 0.5 cm in profile.",
        "Discussed with Dr. Hill on the ward.",
        "Mr. Hill and Mrs. Vale agree.",
        "Compared with film No. 2 of the series.",
        "Thickness approx. 3 mm in profile.",
        "Spur vs. loose body of the ankle.",
        "See Fig. 3 of the atlas.",
        "Seen by Dr. A. Hill in clinic.",
        "The film of 3.5.2020 is not available.",
        "Deposit, e.g. calcium, is likely.",
        "Read at St. Mary in May.",
        "The study of [**2019-03-02**] is not at hand.",
        "Seen by Dr. ____ in May.",
        "Compared to XXXX by Dr. XXXX in May.",
        "Film of <DATE> by Dr. <NAME> in May.",
        "Version 2.10.3 of the protocol.",
    ],
)
def test_these_full_stops_end_nothing(sentence: str) -> None:
    """Decimals, abbreviations, initials, dates and placeholders hold no end of a sentence."""
    assert split(f"No fracture. {sentence} No mass.") == ["No fracture.", sentence, "No mass."]


@pytest.mark.parametrize(
    "sentence",
    [
        "Low signal on T1 and T2.",
        "The tear is grade 2.",
        "Type A.",
        "Fracture: No.",
        "Compared with [**2019-03-02**].",
        "Seen by Dr. ____.",
        "Compared to XXXX.",
        "Compared to <DATE>.",
        "Spur of the right first metatarsal, No. 2.",
        "(No fracture.)",
        'He says "no pain."',
    ],
)
def test_these_full_stops_end_a_sentence(sentence: str) -> None:
    """ "T2.", a grade, a bare "No." and a placeholder may be the last words of a sentence."""
    assert split(f"{sentence} The cortex is intact.") == [sentence, "The cortex is intact."]


@pytest.mark.parametrize("letter", ["R", "L"])
def test_a_side_abbreviated_to_a_letter_ends_nothing(letter: str) -> None:
    """ "R." before a word in lower case is the side."""
    assert split(f"{letter}. heel has a spur. No mass.") == [f"{letter}. heel has a spur.", "No mass."]


def test_a_time_of_day_ends_nothing() -> None:
    """ "a.m." before a word in lower case goes on."""
    assert split("Called at 10 a.m. today. No mass.") == ["Called at 10 a.m. today.", "No mass."]


def test_a_missing_space_after_a_full_stop() -> None:
    """A full stop between a small letter and a capital ends a sentence."""
    assert split("No fracture.Small spur.Cortex of 2.5 mm intact.") == [
        "No fracture.",
        "Small spur.",
        "Cortex of 2.5 mm intact.",
    ]


def test_a_missing_space_after_a_sequence_name() -> None:
    """The same after "T2"."""
    assert split("Low signal on T2.No erosion.") == ["Low signal on T2.", "No erosion."]


def test_a_missing_space_in_capitals() -> None:
    """The same in a report typed in capitals."""
    assert split("NO FRACTURE.SMALL SPUR.") == ["NO FRACTURE.", "SMALL SPUR."]


def test_a_run_on_without_any_mark_is_one_sentence() -> None:
    """Nothing is cut where nothing marks an end: the rules of context have to cope."""
    assert split("no fracture seen small spur of the heel") == ["no fracture seen small spur of the heel"]


def test_a_question_mark_before_a_word_is_no_end() -> None:
    """ "?spur" asks for a spur."""
    assert split("Heel pain, ? spur of the heel. No fracture.") == ["Heel pain, ? spur of the heel.", "No fracture."]


def test_a_lead_takes_its_list_along() -> None:
    """ "Negative for the following:" reaches the lines below it, up to a blank line."""
    text = "Negative for the following:\nfracture\nspur\n\nCortex thinned."
    assert split(text) == ["Negative for the following:\nfracture\nspur", "Cortex thinned."]


def test_nothing_to_split() -> None:
    """Empty and blank texts hold no sentence."""
    assert split("") == split(" \n\t\r\n ") == []


def test_text_that_nothing_ends_is_cut_at_white_space() -> None:
    """A run-on of any length comes in pieces of bounded size, whole words, nothing lost."""
    text = "no erosion of the bone " * 5000
    found = split(text)
    assert max(map(len, found)) <= MAX_SENTENCE
    assert " ".join(found).split() == text.split()


def test_a_word_without_end_is_cut_too() -> None:
    """A single word of any length is cut, and no letter is lost."""
    assert "".join(split("x" * 5000)) == "x" * 5000


@given(TEXTS, st.data())
@settings(deadline=None, max_examples=300)
def test_a_stretch_holds_whole_sentences(text: str, data: st.DataObject) -> None:
    """Whatever the section and the width, a sentence lies within one stretch."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    width = data.draw(st.sampled_from([0, 60, 100]))
    whole = list(stretches(text))
    for a, b in split_sentences(text, start, end, width):
        assert any(text[a:b] in stretch for stretch in whole)


@given(TEXTS)
@settings(deadline=None, max_examples=300)
def test_the_stretches_of_a_text_are_those_of_its_pieces(text: str) -> None:
    """In order, and nothing but white space is lost."""
    found = [stretch for piece in pieces(text) for stretch in stretches_of(piece)]
    assert found == list(stretches(text))
    assert "".join("".join(found).split()) == "".join(text.split())


@given(TEXTS, st.sets(st.integers(0, 1000)))
@settings(deadline=None, max_examples=300)
def test_the_pieces_at_some_places_are_those_of_the_text(text: str, places: set[int]) -> None:
    """In order, each once, whichever letters of them are named."""
    letters = sorted(p for p in places if p < len(text) and text[p].isalnum())
    wanted, begin = list[str](), 0
    for piece in pieces(text):
        begin = text.index(piece.removesuffix("\n\n"), begin)
        wanted += [piece] if any(begin <= p < begin + len(piece) for p in letters) else []
        begin += len(piece)
    assert pieces_at(text, letters) == wanted


@pytest.mark.parametrize("word", ["normal", "seen", "age", "cm"])
def test_a_full_stop_after_a_word_parts_pieces(word: str) -> None:
    """Since it always ends a sentence."""
    text = f"This is {word}. Here is more."
    assert pieces(text) == [f"This is {word}", "Here is more"]
    assert split(text) == [f"This is {word}.", "Here is more."]


@pytest.mark.parametrize("word", ["vs", "resp", "max", "St", "iv", "vii"])
def test_a_full_stop_after_what_may_be_an_abbreviation_or_number_parts_none(word: str) -> None:
    """The words around tell whether it ends a sentence."""
    assert len(pieces(f"This is {word}. Here is more.")) == 1


def test_what_ends_a_stretch() -> None:
    """A blank line, the stop of a word, a stop or colon that ends a line; a list that was announced goes on."""
    text = "CT CHEST\nClear lungs. Size 1.5 cm. See fig. Two. Normal\n\nHeart:\nNo mass.\nNo clot."
    said = ["CT CHEST\nClear lungs.", "Size 1.5 cm.", "See fig. Two. Normal", "Heart:", "No mass.", "No clot."]
    assert list(stretches(text)) == said
    assert list(stretches("None of the following.\nclot")) == ["None of the following.\nclot"]
