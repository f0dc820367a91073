"""What a review may have missed: exact bounds checked against plain counts, refusals, the stopping rule."""

from __future__ import annotations

from itertools import product
from math import comb
from pathlib import Path

import pytest

from calcitrace.adjudication import Store
from calcitrace.decisions import Item, Opinion
from calcitrace.errors import UsageError
from calcitrace.exchange import import_decisions
from calcitrace.finders import finder_lines, recaptured
from calcitrace.recall import _outward, of_counts, recall, recall_lines
from calcitrace.unseen import Sampled, audit_needed, least_unseen, most_unseen, stopping_p, unseen


def hyper(k: int, reports: int, cases: int, drawn: int) -> float:
    """The chance of k cases in a sample, from binomial coefficients."""
    return comb(cases, k) * comb(reports - cases, drawn - k) / comb(reports, drawn)


@pytest.mark.parametrize("cases", [0, 1, 4])
def test_bounds_of_one_stratum_are_clopper_and_pearsons(cases: int) -> None:
    """With one stratum they are the exact hypergeometric ones, found here by trying every total."""
    reports, drawn, alpha = 60, 20, 0.025
    totals = range(cases, reports - drawn + cases + 1)
    below = {t: sum(hyper(k, reports, t, drawn) for k in range(cases + 1)) for t in totals}
    above = {t: sum(hyper(k, reports, t, drawn) for k in range(cases, min(t, drawn) + 1)) for t in totals}
    stratum = [Sampled(reports, drawn, cases)]
    assert most_unseen(stratum, alpha) == max(t for t in totals if below[t] >= alpha) - cases
    assert least_unseen(stratum, alpha) == min(t for t in totals if above[t] >= alpha) - cases


def test_the_bound_of_two_strata_is_that_of_the_worst_allocation() -> None:
    """Tried here over every allocation of the unseen cases to the two strata."""
    strata = [Sampled(30, 10, 1), Sampled(40, 8, 0)]
    told = 30 / 10 * 1

    def worst(extra: int) -> float:
        return max(
            sum(
                hyper(x, 30, 1 + a, 10) * hyper(y, 40, extra - a, 8)
                for x, y in product(range(11), range(9))
                if 3 * x + 5 * y <= told + 1e-9
            )
            for a in range(max(0, extra - 32), min(extra, 20) + 1)
        )

    assert most_unseen(strata, 0.05) == max(e for e in range(53) if worst(e) >= 0.05)


def test_the_interval_covers_the_truth() -> None:
    """Weighing all samples of two strata with six and three cases by their chances, it is right 95 % of times."""
    covered = 0.0
    for a, b in product(range(7), range(4)):
        _, low, high = unseen([Sampled(300, 60, a), Sampled(900, 90, b)])
        if low <= 9 - a - b <= high:
            covered += hyper(a, 300, 6, 60) * hyper(b, 900, 3, 90)
    assert covered >= 0.95


def test_what_was_read_whole_leaves_nothing_unseen() -> None:
    """A stratum of which every report was drawn needs no estimate; one without a sample can hold anything."""
    assert unseen([Sampled(50, 50, 3), Sampled(10, 10, 0)]) == (0.0, 0, 0)
    assert most_unseen([Sampled(50, 50, 3), Sampled(10, 0, 0)], 0.05) == 10


def test_how_large_an_audit_would_have_to_be() -> None:
    """Of 1,000 others, at 95 cases found and a target of 95 % six unseen cases are too many: 0.05 = chance of none."""
    n = audit_needed(95, 1000, 0.95)
    assert n is not None
    assert hyper(0, 1000, 6, n) <= 0.05 < hyper(0, 1000, 6, n - 1)


def reviewed(path: Path, candidates: str, audit: str, others: int) -> Store:
    """A store in which one reader decided: y, n or u a letter; "." is not decided."""
    store = Store(path, create=True)
    words = [("candidate", k, c) for k, c in enumerate(candidates)] + [("read", k, c) for k, c in enumerate(audit)]
    items = [Item(f"{s}{k}", "", f"report {s}{k}", s, n, 0.5) for n, (s, k, _) in enumerate(words)]
    strata = {"candidate": (len(candidates), len(candidates)), "read": (others, len(audit)), "unread": (0, 0)}
    store.fill({"run": "x"}, strata, items)
    for stratum, k, letter in words:
        if letter != ".":
            decision = {"y": "yes", "n": "no", "u": "unsure"}[letter]
            store.decide(Opinion(f"{stratum}{k}", decision), "A", f"{stratum} {k}")
    return store


def test_recall_of_a_small_review(tmp_path: Path) -> None:
    """18 cases among the candidates, 2 in an audit of 50 of 100: 2 more are expected, so 20 of 22."""
    with reviewed(tmp_path / "s", "y" * 18 + "n" * 12, "yy" + "n" * 48, 100) as store:
        found = recall(store, target=0.7)
    assert found.missed is not None
    assert found.recall is not None
    assert (found.found, found.missed[0], found.recall[0]) == (20, 2.0, pytest.approx(20 / 22))
    assert found.recall[1] == pytest.approx(20 / (20 + found.missed[2]))
    assert found.recall[2] == pytest.approx(20 / (20 + found.missed[1]))
    assert found.refusal == ""
    assert found.stop == (20 / (20 + most_unseen([Sampled(100, 50, 2)], 0.05)) >= 0.7)
    assert found.sentence.startswith(
        "Of 130 reports, 30 ranked candidates were read in full (18 cases). From the other"
    )
    assert "90.9%" in found.sentence


@pytest.mark.parametrize(
    ("candidates", "audit", "others", "why"),
    [
        ("y" * 9 + ".", "n" * 50, 100, "1 candidate has no final decision"),
        ("y" * 10, "n" * 49 + ".", 100, "1 report of the audit has no final decision"),
        ("n" * 10, "n" * 50, 100, "no case was found"),
        (
            "y" * 10,
            "n" * 50,
            100_000,
            "the audit is too small: the exact 95 % interval of the recall is 0.1% to 100.0%",
        ),
    ],
)
def test_nothing_is_claimed_from_too_little(tmp_path: Path, candidates: str, audit: str, others: int, why: str) -> None:
    """An unfinished queue, no case, or an audit that says nothing: a plain refusal, and no advice to stop."""
    with reviewed(tmp_path / "s", candidates, audit, others) as store:
        found = recall(store)
    assert found.refusal.startswith(why)
    assert found.recall is None
    assert not found.stop
    assert any(line.startswith("no recall can be claimed") for line in recall_lines(found))


def test_recall_is_told_in_one_notation_and_each_interval_as_what_it_is(tmp_path: Path) -> None:
    """In percent: the interval has 2.5 % on either side, the bound of the advice 5 % on one; never rounded up."""
    with reviewed(tmp_path / "s", "y" * 18 + "n" * 12, "yy" + "n" * 48, 100) as store:
        lines = recall_lines(recall(store, target=0.7))
        assert lines[1:3] == [
            "  candidates: 30 reports, all in the queue, 18 cases",
            "  audit: others with a term of the rules: 100 reports, 50 in the queue, 2 cases",
        ]
        assert lines[4:6] == [
            "recall 90.9%, exact 95 % interval 68.9% to 100.0% (2.5 % on either side)",
            "you may stop: recall is at least 74.0% (exact 95 % bound: 5 % on this one side; the advice goes by it), "
            "and 70% was to be reached",
        ]
        told = recall_lines(recall(store, target=0.9))[5]
    assert told.startswith("all is read, and the audit does not show 90% (about ")
    assert " audit reports without a case would have); recall is at least 74.0% (exact 95 % bound: " in told
    assert told.endswith(
        "goes by it). It cannot be enlarged, now that its cases are known: report this bound, and give a later review "
        "a larger --audit"
    )


def test_methods_say_blind_only_where_that_is_known(tmp_path: Path) -> None:
    """Not of an audit with a decision from a file, or by a reader who had seen the reasons; candidates do not count."""
    with reviewed(tmp_path / "s", "y" * 9 + ".", "n" * 49 + ".", 60) as store:
        store.decide(Opinion("candidate9", "yes"), "A", "c", informed=True)
        last = store.decide(Opinion("read49", "no"), "A", "key of the page")
        assert "read blind (0 cases)" in recall(store).sentence
        store.undo(last.id, "A", "undone")
        last = store.decide(Opinion("read49", "no"), "A", "after the reasons", informed=True)
        assert "read (0 cases)" in recall(store).sentence
        store.undo(last.id, "A", "undone again")
        (tmp_path / "in.csv").write_text("report_id,decision\nread49,no\n", encoding="utf-8")
        assert import_decisions(store, tmp_path / "in.csv", "csv", "A").saved == 1
        assert "read (0 cases)" in recall(store).sentence


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ([(100, 50), (0, 0)], "From the other 100, 50 were drawn at random and read (0 cases)."),
        ([(10, 10), (90, 50)], "From the other 100, 60 were drawn at random in 2 strata (1 of them whole) and read (0"),
        ([(10, 10), (40, 40)], "The other 50 were all read (0 cases). No report was left unread."),
        ([(0, 0), (0, 0)], "All 10 reports were candidates and read in full (10 cases)."),
    ],
)
def test_methods_tell_what_was_drawn_and_what_was_read_whole(sizes: list[tuple[int, int]], told: str) -> None:
    """A stratum without a report is not told, and where all was read nothing was drawn."""
    strata = {"candidate": Sampled(10, 10, 10)} | {f"s{k}": Sampled(*size, 0) for k, size in enumerate(sizes)}
    total = sum(s.reports for s in strata.values())
    found = of_counts(10, strata, total, sum(s.drawn for s in strata.values()))
    assert told in found.sentence
    assert [line for line in recall_lines(found) if ": 0 reports" in line] == []


def test_unsure_reports_lower_what_is_claimed(tmp_path: Path) -> None:
    """A report on which the reader is unsure may be a missed case."""
    with (
        reviewed(tmp_path / "a", "y" * 20, "n" * 90, 100) as sure,
        reviewed(tmp_path / "b", "y" * 20 + "u", "n" * 90, 100) as un,
    ):
        first, second = recall(sure), recall(un)
    assert first.lower == pytest.approx(20 / (20 + most_unseen([Sampled(100, 90, 0)], 0.05)))
    assert second.lower == pytest.approx(20 / (21 + most_unseen([Sampled(100, 90, 0)], 0.05)))
    assert "unsure" not in first.sentence
    assert "1 report stayed unsure; the lower confidence limit counts it as a case missed." in second.sentence


def test_an_interval_is_rounded_outward() -> None:
    """In tenths of a percent it holds that of all digits, and its lower end is never above a bound that is cut."""
    assert _outward(21 / 22, 0.99949) == "95.4% to 100.0%"
    assert _outward(0.5, 0.5) == "50.0% to 50.0%"


def test_where_all_is_read_the_interval_is_that_of_what_is_unsure(tmp_path: Path) -> None:
    """And the sentence for Methods says so."""
    with reviewed(tmp_path / "s", "y" * 17 + "u", "n" * 43, 43) as store:
        found = recall(store)
    assert found.sentence.endswith(
        "The other 43 were all read blind (0 cases). 1 report stayed unsure; the lower confidence limit counts it as "
        "a case missed. The estimated recall of the review is 100.0% (exact 95% confidence interval 94.4% to 100.0%; "
        "no report was left unread)."
    )
    assert "(2.5 % on either side; its lower end counts what is unsure as missed)" in recall_lines(found)[5]


def test_a_target_that_makes_no_sense(tmp_path: Path) -> None:
    """It is refused."""
    with reviewed(tmp_path / "s", "y", "n", 2) as store, pytest.raises(UsageError, match="not between 0 and 1"):
        recall(store, 1.0)


def test_the_stopping_rule_of_callaghan_and_mueller_hansen() -> None:
    """40 found, then 1,000 of 5,000 read in vain: three more would mean a recall below 95 %, so 0.8 cubed."""
    assert stopping_p([1] * 40 + [0] * 1000, 5040) == pytest.approx(hyper(0, 5000, 3, 1000))
    assert stopping_p([1] * 40 + [0] * 3000, 5040) == pytest.approx(hyper(0, 5000, 3, 3000))
    assert stopping_p([0] * 10, 100) is None


def test_capture_and_recapture() -> None:
    """Chapman: 8 and 6 with 4 in common give 9 * 7 / 5 - 1; Chao from those that one or two found."""
    first, second = set("abcdefgh"), set("efghij")
    found = recaptured(12, {"one": first, "two": second})
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.both) == (8, 6, 4)
    assert pair.total == pytest.approx(9 * 7 / 5 - 1)
    assert 10 < pair.low < pair.total < pair.high
    assert found.chao == pytest.approx(10 + 6 * 5 / (2 * 5))
    assert found.by_none == 2


def test_an_estimate_below_the_confirmed_cases_is_not_told() -> None:
    """It bounds nothing: cases that no finder found are known."""
    few = {"one": set("abcdefgh"), "two": set("efghij")}
    said = finder_lines(recaptured(20, few))
    assert said[-1] == "  one and two: both 4, which tells nothing: their estimate is below the confirmed cases"
    assert finder_lines(recaptured(11, few))[-1].startswith("  all together (Chao): at least 13")
