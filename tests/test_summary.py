"""The summary page: counts, a plot, likely cases with their evidence; everything escaped, nothing from outside."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcitrace.casemodel import chosen_for
from calcitrace.summary import (
    ASSERTIONS,
    bars,
    bounded,
    by_definition_said,
    by_finding,
    pieces,
    threshold_said,
    write_summary,
)

MODEL = {
    "name": "own",
    "learned_from": "",
    "threshold": 0.5,
    "trained_at_prevalence": 0.5,
    "probabilities_at_prevalence": 0.5,
}
SCRIPT = "<script>alert(1)</script>\"'&"


def card(text: str, mentions: Sequence[Mapping[str, Any]] = (), **row: Any) -> dict[str, Any]:
    """A likely case as a run keeps it."""
    report = {
        "report_id": "R1",
        "patient_id": "P1",
        "study_date": "2019-03-02",
        "modality": "MR",
        "body_part": "shoulder",
        "case_status": "definite",
        "case_probability": None,
        "migration_type": "cortical_erosion",
        "tendon": "biceps_long_head",
        "bone": "humerus",
        "laterality": "left",
        "absence_of_mass": True,
        "evidence": ["R1#1"],
        "reasons": ["deposit: calcification"],
    }
    return {"report": {**report, **row}, "text": text, "cut": False, "mentions": list(mentions)}


def mention(number: int, start: int, end: int, finding: str = "calcification", assertion: str = "present") -> Any:
    """A mention as a card holds it."""
    return {"mention_id": f"R1#{number}", "finding": finding, "start": start, "end": end, "assertion": assertion}


def manifest(**changed: Any) -> dict[str, Any]:
    """A manifest with the counts that a page shows."""
    found = {
        "case": "intraosseous_migration",
        "ruleset_hash": "0123456789abcdef",
        "calcitrace": "0.1.0",
        "finished": "2026-01-02T03:04:05+00:00",
        "rows": 12_345,
        "reports": 12_344,
        "rejects": 1,
        "mentions": 7,
        "likely": 1,
        "reject_reasons": {"empty text": 1},
        "inputs": [
            {"name": "a.csv", "bytes": 1_234, "rows": 9, "reports": 8, "rejects": 1, "chosen": "encoding utf-8"}
        ],
        "options": {"model": ""},
        "parts": [{"counts": {"mass|absent": 2, "mass|present": 1, "case|definite": 1, "case|no": 7, "likely": 1}}],
    }
    return {**found, **changed}


def test_modalities_that_the_rules_do_not_know_are_told() -> None:
    """The first few by name with their counts; prose that stands in the column is counted and not shown."""
    parts = [{"counts": {"modality|MRT": 4, "modality|": 1}}, {"counts": {"modality|MRT": 2, "modality|Sono": 3}}]
    page = write_summary(manifest(parts=parts), [])
    assert (
        "modality: 10 reports count as &#x27;other&#x27;, since the rules do not know MRT (6), Sono (3); name" in page
    )
    assert "modality:" not in write_summary(manifest(), [])
    assert by_finding({"modality|MRT": 1, "mass|absent": 2}).keys() == {"mass"}


def test_options_in_sentences_do_not_break_across_lines() -> None:
    """Each is a code span, with its number, and code spans keep to a line."""
    page = write_summary(manifest(model=MODEL, parts=[{"counts": {"modality|MRT": 1}}]), [])
    assert "code { white-space:nowrap; }" in page
    for option in ("--prevalence 0.005", "--prevalence", "--help", "--patterns"):
        assert f"<code>{option}</code>" in page
    shown = page.partition("<body>")[2]
    assert re.sub(r"<code>[^<]*</code>", "", shown).count("--") == 0


def test_many_unknown_modalities_are_counted_together() -> None:
    """Where another column is taken for the modality, each row may hold another: the manifest keeps the commonest."""
    counts = Counter({"modality|": 2, "likely": 0} | {f"modality|K{k:02d}": 1 + (k == 99) for k in range(100)})
    kept = bounded(counts)
    assert (len(kept), kept["modality|K99"], kept.total()) == (22, 2, counts.total())


class Texts(HTMLParser):
    """The visible text of a page, and its tags with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", list[tuple[str, dict[str, str | None]]]()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect tags."""
        self.tags.append((tag, dict(attrs)))


def test_the_counts_are_shown() -> None:
    """Rows, reports, rejects, mentions, likely cases, statuses, reasons, and each input with its own counts."""
    seen = Texts(write_summary(manifest(), [])).text
    for words in ("12,345rows read", "12,344reports", "1rejected rows", "7mentions", "1likely cases"):
        assert words in seen
    assert "1definite" in seen
    assert "7no" in seen
    assert "empty text1" in seen
    assert "a.csv1,234981encoding utf-8" in seen
    assert "finished 2026-01-02 03:04:05 UTC" in seen


def test_a_page_without_rejects_and_cases() -> None:
    """What there is none of is said, or left out."""
    seen = Texts(write_summary(manifest(reject_reasons={}, likely=0, parts=[]), [])).text
    assert "No report is a likely case." in seen
    assert "Rejected rows" not in seen
    assert "No mentions." in seen


def test_the_page_needs_nothing_from_outside() -> None:
    """No script, no link, image or style from anywhere; the policy in the page forbids them too."""
    page = write_summary(manifest(), [card("8 mm calcification", [mention(1, 5, 18)])])
    tags = Texts(page).tags
    assert {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "form"} == set()
    assert [a for _, attributes in tags for a in attributes if a in ("src", "onclick", "onload")] == []
    assert {a["href"] for tag, a in tags if tag == "a"} == {"#c1"}
    assert "url(" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("field", ["report_id", "patient_id", "study_date", "modality", "body_part"])
def test_everything_from_a_report_is_escaped(field: str) -> None:
    """Text and metadata are shown as they are and never run."""
    page = write_summary(manifest(), [card(SCRIPT, **{field: SCRIPT})])
    assert "<script" not in page
    assert Texts(page).text.count(SCRIPT) >= 2


def test_names_and_reasons_are_escaped() -> None:
    """So is what comes from file names and rules."""
    inputs = [{"name": SCRIPT, "bytes": 1, "rows": 1, "reports": 1, "rejects": 0, "chosen": SCRIPT}]
    parts = [{"counts": {f"{SCRIPT}|present": 1}}]
    page = write_summary(manifest(inputs=inputs, parts=parts, reject_reasons={SCRIPT: 1}), [])
    assert "<script" not in page
    assert SCRIPT in Texts(page).text


def test_evidence_is_marked_in_the_text() -> None:
    """A mention is marked with its assertion and finding; evidence stands out."""
    text = "No mass. 8 mm calcification."
    page = write_summary(manifest(), [card(text, [mention(0, 3, 7, "mass", "absent"), mention(1, 14, 27)])])
    marks = [a for tag, a in Texts(page).tags if tag == "mark"]
    assert [(a["class"], a["title"]) for a in marks] == [
        ("absent", "mass: absent"),
        ("present evidence", "calcification: present"),
    ]
    (shown,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert html.unescape(re.sub("<[^>]+>", "", shown)) == text


def test_a_case_says_what_and_where() -> None:
    """Status, type, site, side and reasons in words, without underscores."""
    seen = " ".join(Texts(write_summary(manifest(), [card("x", case_probability=0.876)])).text.split())
    assert "R1 — definite, cortical erosion, probability 0.876" in seen
    assert "MR · shoulder · 2019-03-02 · patient P1" in seen
    assert "left, biceps long head, humerus · absence of a mass asserted" in seen
    assert "Because of deposit: calcification" in seen


def test_days_are_shown_without_times_and_a_procedure_once() -> None:
    """A date that means no one day stays as it is written."""
    written = {"study_date": "20190302101500", "modality": "MR SHOULDER", "body_part": "MR SHOULDER"}
    page = write_summary(manifest(), [card("text", **written), card("text", study_date="03.04.2019")])
    assert ">MR SHOULDER · 2019-03-02 · patient P1<" in page
    assert ">MR · shoulder · 03.04.2019 · patient P1<" in page


def test_more_cases_than_are_shown() -> None:
    """The page says how many it leaves out, and that a long text is cut."""
    seen = Texts(write_summary(manifest(likely=1_500), [{**card("x"), "cut": True}])).text
    assert "Likely cases (the first 1 of 1,500 that were read)" in seen
    assert "only its beginning is shown" in seen


def test_many_inputs_are_not_all_listed() -> None:
    """A folder of ten thousand texts does not make the page endless."""
    inputs = [manifest()["inputs"][0]] * 100
    seen = Texts(write_summary(manifest(inputs=inputs), [])).text
    assert seen.count("a.csv") == 40
    assert "And 60 more; manifest.json lists them all." in seen


def test_the_plot() -> None:
    """One bar a finding, the most frequent first, cut by assertion in proportion to its counts."""
    findings = by_finding({"mass|absent": 3, "mass|present": 1, "pain|present": 2, "case|no": 9, "likely": 4})
    assert findings == {"mass": [1, 0, 3, 0, 0], "pain": [2, 0, 0, 0, 0]}
    rects = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"', bars(findings))
    assert rects == [("present", "190.0", "155.0"), ("absent", "345.0", "465.0"), ("present", "190.0", "310.0")]


def test_the_plot_is_there_as_a_table() -> None:
    """Whoever cannot see the plot reads the numbers."""
    page = write_summary(manifest(), [])
    assert all(f'<th class="n">{a}</th>' in page for a in ASSERTIONS)
    assert "mass10200" in Texts(page).text.replace("\n", "")


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=8)


@given(st.text(min_size=40, max_size=40), SPANS)
def test_pieces_hold_the_whole_text_and_every_mention(text: str, spans: list[tuple[int, int]]) -> None:
    """Nothing of the text is lost or doubled, and every character of a mention is under it, overlap or not."""
    mentions = [mention(n, start, start + size) for n, (start, size) in enumerate(spans)]
    found = list(pieces(text, mentions, ["R1#0"]))
    assert "".join(p["text"] for p in found) == text
    at = 0
    for piece in found:
        span = (at, at := at + len(piece["text"]))
        over = {m["mention_id"] for m in mentions if m["start"] <= span[0] and span[1] <= m["end"]}
        assert {m["mention_id"] for m in piece["mentions"]} == over
        assert piece["evidence"] == ("R1#0" in over)


def test_evidence_comes_first_where_mentions_overlap() -> None:
    """The colour of a piece is that of its evidence, then of its longest mention."""
    mentions = [mention(0, 0, 10, "pain"), mention(1, 2, 6), mention(2, 4, 9, "mass")]
    found = {p["text"]: [m["finding"] for m in p["mentions"]] for p in pieces("abcdefghij", mentions, ["R1#2"])}
    assert found == {
        "ab": ["pain"],
        "cd": ["pain", "calcification"],
        "ef": ["mass", "pain", "calcification"],
        "ghi": ["mass", "pain"],
        "j": ["pain"],
    }


def test_the_threshold_is_told_on_the_scale_of_the_probabilities() -> None:
    """A threshold of one half, learned where half are cases, is 0.005 where 0.5 % are."""
    page = write_summary(manifest(model={**MODEL, "probabilities_at_prevalence": 0.005}), [])
    assert (
        "a report is a likely case if its probability is 0.005 or more. Probabilities were recalibrated for an " in page
    )
    assert "archive in which 0.5 % of the reports are cases; of those that the model learned from, 50 % were." in page


def test_probabilities_that_are_not_recalibrated_are_told() -> None:
    """With the prevalence at which they hold, and the option that moves them; without a model nothing is said."""
    told = " ".join(threshold_said(manifest(model=MODEL)))
    assert "Probabilities were not recalibrated: they hold where 50 % of the reports are cases" in told
    assert "--prevalence 0.005 recalibrates them" in told
    assert threshold_said(manifest()) == ()


def test_the_threshold_is_told_with_what_it_was_chosen_for() -> None:
    """A share of the cases, or what can be read; where the probabilities were moved, so was the threshold."""
    by_share = {**MODEL, "threshold_chosen": chosen_for({"method": {"wanted sensitivity": 0.97}})}
    by_work = {**by_share, "threshold_chosen": chosen_for({"threshold set for": "5 reads of 1,000 reports"})}
    assert (
        "or more (chosen to keep at least 97 % of the cases that it learned from)."
        in threshold_said(manifest(model=by_share))[0]
    )
    moved = {**by_work, "probabilities_at_prevalence": 0.005}
    told = "or more (chosen for 5 reads of 1,000 reports, and moved as the probabilities were)."
    assert told in threshold_said(manifest(model=moved))[0]
    assert chosen_for({}) == ""


@pytest.mark.parametrize(("cases", "said"), [(98, "it learned from; it keeps all"), (99, "it learned from")])
def test_a_threshold_of_few_cases_keeps_all(cases: int, said: str) -> None:
    """As training tells: 0.05 ** (1 / n) is above 0.97 from 99 cases on."""
    card = {"method": {"wanted sensitivity": 0.97}, "data": {"cases": cases}}
    assert chosen_for(card) == f"to keep at least 97 % of the cases that {said}"


@pytest.mark.parametrize(("own", "likely", "told"), [("own.json", 5, True), ("own.json", 4, False), ("", 5, False)])
def test_a_model_of_ones_own_that_marks_more_than_half_is_told(own: str, likely: int, told: bool) -> None:
    """How many of how many, on the terminal and on the page; of the starter model it is the reports that decide."""
    run = manifest(model=MODEL, reports=8, likely=likely, options={"model": own})
    assert (f"It marks {likely} of 8 reports" in " ".join(threshold_said(run))) == told


def test_likely_cases_stand_by_probability() -> None:
    """The highest first, ties by id, in the table and in the texts; so do reports that the model sets aside."""
    cards = [card("x", report_id=name, case_probability=p) for name, p in (("c", 0.7), ("b", 0.9), ("a", 0.7))]
    aside = [c["report"] for c in cards]
    parts = [{"counts": {"case|set aside": 60}}]
    page = write_summary(manifest(model=MODEL, parts=parts, likely_status=["definite"]), cards, aside)
    assert re.findall(r'<a href="#c\d">(\w)</a>', page) == ["b", "a", "c"]
    assert re.findall(r"<h3>(\w) ", page) == ["b", "a", "c"]
    assert re.findall(r"<tr><td>(\w)</td>", page) == ["b", "a", "c"]
    assert "Set aside by the model (the first 3 of 60)" in page
    assert "whose case_status is definite and whose likely_case is false" in page


@pytest.mark.parametrize(
    ("likely", "definite", "probable", "aside", "said"),
    [
        (8, 4, 7, 3, "11 reports are definite or probable by the case definition alone: all 8 likely cases and 3 that"),
        (8, 4, 5, 3, "9 reports are definite or probable by the case definition alone: 6 of the 8 likely cases and 3"),
        (8, 4, 3, 0, "7 reports are definite or probable by the case definition alone: 7 of the 8 likely cases."),
        (0, 1, 0, 1, "1 report is definite or probable by the case definition alone: 1 that the model sets aside."),
        (2, 0, 0, 0, "0 reports are definite or probable by the case definition alone."),
    ],
)
def test_what_the_case_definition_alone_takes_is_told(
    likely: int, definite: int, probable: int, aside: int, said: str
) -> None:
    """Beside the number of likely cases, so that nobody takes those that the model sets aside for missed."""
    counts = {"case|definite": definite, "case|probable": probable, "case|possible": 5, "case|set aside": aside}
    manifest = {"parts": [{"counts": counts}], "likely": likely, "likely_status": ["definite", "probable"]}
    assert by_definition_said(manifest).startswith(said)


def test_where_both_take_the_same_it_is_told_once() -> None:
    """As in a run without a model."""
    manifest = {"parts": [{"counts": {"case|definite": 3}}], "likely": 3, "likely_status": ["definite", "probable"]}
    assert by_definition_said(manifest) == ""
