"""The fast path decides as stock medspaCy does: the same mentions, offsets, assertions and cues."""

import csv
import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from calcitrace import Annotator, Report
from calcitrace.engine import FastJudge, MedspacyJudge
from calcitrace.fast import longest
from calcitrace.lately import Lately
from calcitrace.rules import load_rules
from calcitrace.ruleset import Term
from calcitrace.samples import sample_corpus
from calcitrace.screen import nearby_too, necessary, of_regex
from calcitrace.words import split_words

GOLD = Path(__file__).parents[1] / "evaluation" / "gold"


@pytest.fixture(scope="module")
def engines():
    """Both paths over the shipped rules."""
    return Annotator(engine="fast"), Annotator(engine="medspacy")


def reports():
    """The sample corpus and a share of the gold reports that may be looked at."""
    with sample_corpus().open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            yield Report(row["report_id"], row["text"], body_part=row["body_part"])
    for name, share in (("train.jsonl", 3), ("everyday.jsonl", 5)):
        for line in (GOLD / name).read_text(encoding="utf-8").splitlines()[::share]:
            row = json.loads(line)
            yield Report(row["report_id"], row["text"], body_part=row["body_part"])


def test_both_paths_give_equal_reports(engines):
    """Every annotated report is equal, to the last cue."""
    fast, reference = engines
    differing = [r.report_id for r in reports() if fast.annotate(r) != reference.annotate(r)]
    assert differing == []


def test_both_paths_judge_shuffled_words_alike():
    """Sentences that no one would write (shuffled, joined) are judged alike too."""
    rules, dice = load_rules(), random.Random(7)
    fast, reference = FastJudge(rules), MedspacyJudge(rules)
    words = [w for e in rules.context_examples for w in e.text.lower().split()] + [",", ".", ":", "no", "not", "?"]
    for _ in range(150):
        sentence = tuple(dice.choices(words, k=dice.randint(1, 40)))
        one, other = fast(sentence), reference(sentence)
        assert (one.targets, one.sites, one.sides) == (other.targets, other.sites, other.sides)


def test_brought_spans_are_asserted_alike(engines):
    """Spans that the caller brings get the same assertions on both paths."""
    fast, reference = engines
    text = "No fracture or dislocation, calcification noted. The erosion has resolved."
    spans = [(3, 11), (28, 41), (53, 60)]
    assert fast.assertions(text, spans) == reference.assertions(text, spans)


def test_of_two_overlapping_cues_the_longer_stays():
    """Pruning keeps the longer of two overlapping matches and both of two that only touch."""
    assert longest([(0, 0, 1), (1, 0, 3), (2, 3, 4)]) == [(1, 0, 3), (2, 3, 4)]


@pytest.mark.parametrize(
    ("regex", "needed"),
    [
        (r"\bcalci(?:um|fication)\b", [{"calcium", "calcification"}]),
        (r"\b(?:erosion|scallop(?:ing)?)\b", [{"erosion", "scallop"}]),
        (r"(?:no )?mass", [{"mass"}]),
        (r"(?:mass|cyst) [a-z]+ (?:bone|cortex)", [{"mass ", "cyst "}, {" bone", " cortex"}, {"bone", "cortex"}]),
        (r"[a-z]+", []),
        (r"(?:a|b)*", []),
    ],
)
def test_necessary_strings_of_a_regex(regex, needed):
    """What every match must hold is derived from the expression, or nothing is claimed."""
    assert set(map(frozenset, needed)) <= set(of_regex(regex))
    assert bool(needed) == bool(of_regex(regex))


def test_what_stands_nearby_is_needed_too_where_a_sentence_is_tried():
    """Lookarounds that ask for words, and sets of few characters, count; those that exclude, and ranges, do not."""
    term = Term("x:1", regex=r"(?<=holds no )calc(?= deposit)(?! bursitis)[:?][^a][0-9]")
    assert {frozenset({"holds no "}), frozenset({" deposit"}), frozenset({":", "?"})} <= set(nearby_too(term))
    assert set(of_regex(term.regex)) == {frozenset({"calc"})}


def test_every_shipped_example_holds_what_its_rule_needs():
    """A mention's sentence holds a necessary string of the rule that found it."""
    rules = load_rules()
    terms = {t.rule_id: [] for f in rules.findings.values() for t in f.terms}
    for finding in rules.findings.values():
        for term in finding.terms:
            terms[term.rule_id].append(term)
    annotator = Annotator(rules)
    for finding in rules.findings.values():
        for example in finding.examples:
            for mention in annotator.annotate(Report("x", example.text)).mentions:
                text = f" {' '.join(split_words(example.text, rules.spelling).forms)} "
                assert any(not n or any(s in text for s in n) for n in map(necessary, terms[mention.rule_id]))


def test_what_is_asked_for_again_stays_longer_than_what_came_once():
    """Texts that came once make room first, and all together stay within their bytes, also where one grows."""
    made = []

    def make(text):
        made.append(text)
        return SimpleNamespace(text=text)

    kept = Lately(make, lambda of_text: 10, 50)
    for text in "aabbcdefg":
        kept(text)
    assert (made, len(kept), kept.size) == (list("abcdefg"), 5, 50)
    for text in "abefg":
        kept(text)
    assert made == list("abcdefg")
    kept("c")
    assert (made[-1], kept.size) == ("c", 50)
