"""The store of decisions: added to only, safe for several processes; what holds of each report; agreement."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calcitrace.adjudication import Store, disagreements, finals
from calcitrace.agreement import ac1, agreement, agreement_lines, kappa
from calcitrace.decisions import ADJUDICATOR, Item, Opinion
from calcitrace.errors import ConflictError, StoreError, UsageError
from calcitrace.reviewed import OF_ANOTHER_RUN, Reviewed
from calcitrace.runfolder import run_mark


def filled(path: Path, count: int = 4) -> Store:
    """A store with a queue of so many reports, each of a patient of its own."""
    store = Store(path, create=True)
    items = [Item(f"R{k}", f"P{k}", f"patient P{k}", "candidate", k, 0.5) for k in range(count)]
    store.fill({"run": "x", "options": {}}, {"candidate": (count, count)}, items)
    return store


def say(store: Store, report: str, decision: str, who: str = "A", role: str = "reader", **more: object) -> int:
    """Save a decision; its number."""
    details = {k: more.pop(k) for k in list(more) if k in ("migration_type", "tendon", "laterality", "comment")}
    key = f"key {report} {who} {len(store.history())}"
    return store.decide(Opinion(report, decision, **details), who, key, role, **more).id  # type: ignore[arg-type]


def test_the_recall_of_another_run_is_not_told() -> None:
    """A store's audit holds for the run that its queue was drawn from."""
    run = {"fingerprint": {"rules": "a"}}
    review = Reviewed(recall="Estimated recall 100 %.", run=run_mark(run))
    assert review.of_runs([{"fingerprint": {"rules": "b"}}, run]).recall == "Estimated recall 100 %."
    assert review.of_runs([{"fingerprint": {"rules": "b"}}]).recall == OF_ANOTHER_RUN


def test_a_decision_is_there_for_another_process(tmp_path: Path) -> None:
    """What was saved is read from the file by whoever opens it next, with who, when and for how long."""
    with filled(tmp_path / "s") as store:
        say(store, "R1", "yes", migration_type="subcortical", laterality="left", comment="clear", seconds=2.5)
        with Store(tmp_path / "s") as other:
            (found,) = other.current()
    assert (found.report_id, found.patient_id, found.decision, found.reviewer) == ("R1", "P1", "yes", "A")
    assert (found.migration_type, found.laterality, found.comment, found.seconds) == (
        "subcortical",
        "left",
        "clear",
        2.5,
    )
    assert found.at.endswith("+00:00")


def test_nothing_is_ever_changed_or_removed(tmp_path: Path) -> None:
    """The file itself refuses an update or a removal, whoever asks."""
    with filled(tmp_path / "s") as store:
        say(store, "R1", "yes")
    raw = sqlite3.connect(tmp_path / "s")
    for table in ("decision", "item", "stratum", "about"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET rowid = rowid + 1"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
    raw.close()


def test_undo_is_a_row_of_its_own(tmp_path: Path) -> None:
    """A decision that was undone no longer holds, stays in the history, and can be given anew."""
    with filled(tmp_path / "s") as store:
        first = say(store, "R1", "yes")
        store.undo(first, "A", "undo key")
        assert store.current() == []
        say(store, "R1", "no")
        assert [d.decision for d in store.history()] == ["yes", "undo", "no"]
        assert [d.decision for d in store.current()] == ["no"]


def test_a_decision_is_saved_once(tmp_path: Path) -> None:
    """The same key again returns what was saved; another decision on the report needs an undo first."""
    with filled(tmp_path / "s") as store:
        first = store.decide(Opinion("R1", "yes"), "A", "one key")
        assert store.decide(Opinion("R1", "yes"), "A", "one key") == first
        with pytest.raises(ConflictError, match="undo that decision first"):
            store.decide(Opinion("R1", "no"), "A", "another key")
        with pytest.raises(ConflictError, match="used for another"):
            store.decide(Opinion("R2", "no"), "A", "one key")
        assert len(store.history()) == 1


def test_only_ones_own_decision_can_be_undone(tmp_path: Path) -> None:
    """Neither another reader's, nor one twice, nor one that is not there."""
    with filled(tmp_path / "s") as store:
        number = say(store, "R1", "yes")
        for decision, who in ((number, "B"), (number + 1, "A")):
            with pytest.raises(ConflictError, match="no such decision"):
                store.undo(decision, who, f"k{who}{decision}")
        store.undo(number, "A", "key one")
        assert store.undo(number, "A", "key one").undoes == number
        with pytest.raises(ConflictError):
            store.undo(number, "A", "key two")


@pytest.mark.parametrize(
    ("opinion", "reviewer"),
    [
        (Opinion("R1", "maybe"), "A"),
        (Opinion("R1", "undo"), "A"),
        (Opinion("R1", "yes", laterality="middle"), "A"),
        (Opinion("R1", "yes", comment="x" * 4001), "A"),
        (Opinion("R9", "yes"), "A"),
        (Opinion("R1", "yes"), " "),
        (Opinion("R1", "yes"), "A\nB"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, opinion: Opinion, reviewer: str) -> None:
    """And nothing is saved."""
    with filled(tmp_path / "s") as store:
        with pytest.raises(UsageError):
            store.decide(opinion, reviewer, "a key")
        assert store.history() == []


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """Two readers who save as fast as they can lose and double nothing."""
    filled(tmp_path / "s", 60).close()
    code = (
        "import sys; from calcitrace.adjudication import Store; from calcitrace.decisions import Opinion\n"
        "with Store(sys.argv[1]) as s:\n"
        "    for k in range(60): s.decide(Opinion(f'R{k}', 'no'), sys.argv[2], f'{sys.argv[2]} {k}')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "s"), who]) for who in "AB"]
    assert [p.wait(60) for p in both] == [0, 0]
    with Store(tmp_path / "s") as store:
        assert sorted((d.reviewer, d.report_id) for d in store.history()) == sorted(
            (who, f"R{k}") for who in "AB" for k in range(60)
        )


@pytest.mark.parametrize("content", [b"not a store", b"SQLite format 3\0 and no more", None])
def test_a_file_that_is_no_store(tmp_path: Path, content: bytes | None) -> None:
    """It is refused in one sentence that names it, and left as it is."""
    path = tmp_path / "other.sqlite"
    if content is None:
        raw = sqlite3.connect(path)
        raw.execute("CREATE TABLE mine (x)")
        raw.close()
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(StoreError, match="other.sqlite"):
        Store(path, create=True)
    assert path.read_bytes() == content


def test_what_holds_of_a_report(tmp_path: Path) -> None:
    """One reader's word; two readers' common word; the adjudicator's where they differ, and nothing before."""
    with filled(tmp_path / "s") as store:
        say(store, "R0", "yes", "A")
        for who in "AB":
            say(store, "R1", "no", who)
        say(store, "R2", "yes", "A")
        say(store, "R2", "no", "B")
        say(store, "R3", "yes", "A")
        say(store, "R3", "unsure", "B")
        assert disagreements(store) == ["R2", "R3"]
        say(store, "R2", "no", "C", ADJUDICATOR)
        with pytest.raises(ConflictError):
            say(store, "R3", "yes", "A", ADJUDICATOR)
        found = {f.report_id: (f.decision, f.by) for f in finals(store)}
    assert found == {
        "R0": ("yes", "one reader"),
        "R1": ("no", "readers agree"),
        "R2": ("no", "adjudicated"),
        "R3": ("open", "readers disagree"),
    }


def test_kappa_and_ac1_of_a_known_table() -> None:
    """The table of Gwet 2008 (Br J Math Stat Psychol 61:29) on which kappa fails: 118 agreed yes, 7 differ, none no.

    Worked out by hand: agreement 118/125 = 0.944; chance by kappa 0.9453, by AC1 2 * 0.028 * 0.972 = 0.0544.
    """
    table = np.array([[118.0, 5.0], [2.0, 0.0]])
    by_kappa = (123 * 120 + 2 * 5) / 125**2
    rare = (2 + 5) / 2 / 125
    assert kappa(table) == pytest.approx((0.944 - by_kappa) / (1 - by_kappa))
    assert kappa(table) == pytest.approx(-0.0234, abs=5e-5)
    assert ac1(table) == pytest.approx((0.944 - 2 * rare * (1 - rare)) / (1 - 2 * rare * (1 - rare)))
    assert ac1(table) == pytest.approx(0.9408, abs=5e-5)
    assert np.isnan(kappa(np.array([[5.0, 0.0], [0.0, 0.0]])))


def test_agreement_by_item_and_over_time(tmp_path: Path) -> None:
    """Decisions over all shared reports, details where both said yes, blocks in the order of reading."""
    with filled(tmp_path / "s", 8) as store:
        for k in range(8):
            a, b = ("yes", "yes") if k < 3 else ("no", "yes" if k == 7 else "no")
            say(store, f"R{k}", a, "A", laterality="left" if a == "yes" else "none")
            say(store, f"R{k}", b, "B", laterality=("right" if k == 0 else "left") if b == "yes" else "none")
        found = {(f.item, f.block): (f.percent.right, f.n) for f in agreement(store, block=4, resamples=50)}
    assert found[("decision", "all")] == (7, 8)
    assert found[("decision", "1-4")] == (4, 4)
    assert found[("decision", "5-8")] == (3, 4)
    assert found[("side", "all")] == (2, 3)


def test_agreement_on_details_is_of_what_both_told(tmp_path: Path) -> None:
    """What neither told is no agreement, what one told no disagreement; where both told nothing, no figure is given."""
    with filled(tmp_path / "s", 5) as store:
        for k, (a, b) in enumerate((("left", "left"), ("left", "right"), ("left", "none"), ("none", "none"))):
            say(store, f"R{k}", "yes", "A", laterality=a, migration_type="subcortical")
            say(store, f"R{k}", "yes", "B", laterality=b)
        found = agreement(store, resamples=50)
    told = {f.item: (f.percent.right, f.n, f.of) for f in found}
    assert told["side"] == (1, 2, 4)
    assert told["migration type"] == told["tendon"] == (None, 0, 4)
    lines = agreement_lines(found)
    assert lines[2] == "  migration type: told by both in none of 4"
    assert lines[3].startswith("  side: told by both in 2 of 4; agree on 1/2, 0.500 (")


def test_agreement_takes_the_blind_opinion(tmp_path: Path) -> None:
    """A decision that was changed once the reasons had been seen counts as it was before; a slip does not."""
    with filled(tmp_path / "s") as store:
        for k in range(2):
            say(store, f"R{k}", "no", "B")
        changed = say(store, "R0", "yes", "A")
        store.undo(changed, "A", "undo 1", informed=True)
        say(store, "R0", "no", "A", informed=True)
        slip = say(store, "R1", "yes", "A")
        store.undo(slip, "A", "undo 2")
        say(store, "R1", "no", "A")
        (found, *_) = agreement(store, resamples=50)
        assert finals(store)[0].decision == "no"
    assert found.table == {("yes", "no"): 1, ("no", "no"): 1}


def test_no_agreement_without_a_second_reader(tmp_path: Path) -> None:
    """It is said, not made up."""
    with filled(tmp_path / "s") as store:
        say(store, "R0", "yes", "A")
        with pytest.raises(UsageError, match="two readers"):
            agreement(store)
