"""The queue: what is read, in which order, what is drawn at random; learning; exchange with other tools; commands."""

from __future__ import annotations

import csv
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from review_run import make_run, rows

from calcitrace import RunOptions, process
from calcitrace.adjudication import Store, finals
from calcitrace.decisions import Opinion
from calcitrace.errors import SourceError, StoreError, UsageError
from calcitrace.exchange import cohort_rows, export_decisions, import_decisions, read_adjudications
from calcitrace.labels import read_labels
from calcitrace.review import Desk, QueueOptions, Shelf, make_queue
from calcitrace.review.queue import by_priority, drawn, shuffled, spread

EXPORTED = ("csv", "label-studio", "doccano")


def table(count: int, unread: int) -> pd.DataFrame:
    """Reports with probabilities from high to low, the last ones without a reading; two of each patient."""
    return pd.DataFrame(
        {
            "report_id": [f"R{k:04d}" for k in range(count)],
            "patient_id": [f"P{k // 2:04d}" for k in range(count)],
            "version_of": "",
            "study_date": "2020-01-01",
            "case_status": ["probable"] * 10 + ["no"] * (count - 10),
            "case_probability": [1 - (k + 1) / (count + 1) for k in range(count)],
            "case_score": 0.0,
            "likely_case": [True] * 10 + [False] * (count - 10),
            "status": ["read"] * (count - unread) + ["no_term"] * unread,
        }
    )


def test_strata_are_disjoint_and_add_up() -> None:
    """Every report is of one stratum; all candidates are in the queue, of the others what the audit draws."""
    strata, items = drawn(table(3000, 2000), QueueOptions(audit=300))
    assert {n: s for n, (s, _) in strata.items()} == {"candidate": 10, "near_miss": 200, "read": 790, "unread": 2000}
    assert {n: d for n, (_, d) in strata.items()} == {"candidate": 10, "near_miss": 100, "read": 57, "unread": 143}
    assert {n: sum(i.stratum == n for i in items) for n in strata} == {n: d for n, (_, d) in strata.items()}
    assert len({i.report_id for i in items}) == 310


def test_all_versions_of_a_candidate_are_candidates() -> None:
    """The one that takes the case back decides, and must be there to be decided on."""
    reports = table(60, 10)
    reports.loc[[40, 55], "version_of"] = "R0003", "R0050"
    strata, items = drawn(reports, QueueOptions(audit=0))
    assert strata["candidate"] == (11, 11)
    assert {i.report_id for i in items} == {*(f"R{k:04d}" for k in range(10)), "R0040"}
    assert sum(n for n, _ in strata.values()) == 60


def test_the_same_seed_draws_the_same() -> None:
    """And another one another sample of the same strata."""
    first, again = (drawn(table(500, 100), QueueOptions(seed=1)) for _ in range(2))
    other = drawn(table(500, 100), QueueOptions(seed=2))
    assert first == again
    assert first[0] == other[0]
    assert first[1] != other[1]


def test_a_patients_reports_stand_together() -> None:
    """Whatever stratum they are of; the queue has each patient in one stretch."""
    _, items = drawn(table(400, 100), QueueOptions(audit=200))
    units = [i.unit for i in items]
    assert len([u for k, u in enumerate(units) if k == 0 or units[k - 1] != u]) == len(set(units))


def test_each_tenth_place_goes_to_the_most_uncertain() -> None:
    """The others are ranked by probability."""
    best = {f"u{k:02d}": 1 - (k + 1) / 41 for k in range(40)}
    order = by_priority(sorted(best), best, threshold=0.0)
    assert order[:9] == [f"u{k:02d}" for k in range(9)]
    assert order[9] in ("u19", "u20")
    assert sorted(order) == sorted(best)


def test_the_audit_is_spread_evenly() -> None:
    """A reader meets one now and then, from the start on."""
    order = spread([f"c{k}" for k in range(90)], [f"a{k}" for k in range(10)])
    places = [k for k, u in enumerate(order) if u[0] == "a"]
    assert len(places) == 10
    assert {b - a for a, b in zip(places, places[1:], strict=False)} == {10}


def test_each_reader_has_an_order_of_their_own_within_a_batch() -> None:
    """So that neither place nor neighbour tells; batches stay in order."""
    units = [f"u{k:02d}" for k in range(40)]
    one, two = (shuffled(units, 20, 7, who) for who in "AB")
    assert one != two
    assert sorted(one[:20]) == sorted(two[:20]) == units[:20]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 32 reports."""
    return make_run(tmp_path_factory.mktemp("queue"), rows(32))


@pytest.fixture
def store(run: Path, tmp_path: Path) -> Any:
    """A store with its queue and some decisions by two readers."""
    with Store(tmp_path / "s.sqlite", create=True) as made:
        make_queue(run, made)
        for k in range(0, 32, 2):
            case = k // 2 % 4 == 0
            said = ("yes", "subcortical", "left") if case else ("no", "none", "none")
            for who in "AB" if k < 16 else "A":
                made.decide(Opinion(f"R{k:03d}", said[0], said[1], "none", said[2]), who, f"key {who} {k}")
        made.decide(Opinion("R001", "unsure", comment="=1+1", flag=True), "A", "key A 1")
        yield made


def test_a_store_is_of_one_run_and_its_options(run: Path, store: Store, tmp_path: Path) -> None:
    """Another run or other options are refused; the same without options goes on."""
    assert make_queue(run, store)["audit"] == 300
    with pytest.raises(StoreError, match="other options"):
        make_queue(run, store, QueueOptions(audit=5))
    other = make_run(tmp_path / "other", rows(8))
    with pytest.raises(StoreError, match="another run"):
        make_queue(other, store)


@pytest.mark.parametrize("wrong", [{"double": 1.5}, {"audit": -1}, {"batch": 0}, {"candidates": -1}])
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    """They are refused."""
    with pytest.raises(UsageError):
        QueueOptions(**wrong)


@pytest.mark.parametrize("form", EXPORTED)
def test_decisions_go_out_and_come_in(run: Path, store: Store, tmp_path: Path, form: str) -> None:
    """What another store takes in is what was sent, and taking it in again changes nothing."""
    out = tmp_path / f"out.{form}"
    export_decisions(store, out, form, run)
    with Store(tmp_path / "other", create=True) as other:
        make_queue(run, other)
        done = import_decisions(other, out, form)
        assert (done.saved, done.known, done.rejects) == (len(store.current()), 0, ())
        again = import_decisions(other, out, form)
        assert (again.saved, again.known) == (0, done.saved)
        names = ("report_id", "reviewer", "decision", "migration_type", "laterality", "comment", "at")
        mine, theirs = (sorted(tuple(getattr(d, n) for n in names) for d in s.current()) for s in (store, other))
    assert mine == theirs


BAD = "report_id,decision,reviewer\nR000,yes,B\nR999,no,B\nR002,maybe secret,B\n,no,B\nR004,no,\nR006,,B\n"


def test_one_bad_row_keeps_a_file_from_being_saved(run: Path, tmp_path: Path) -> None:
    """Each is told with its row and reason, never its text; the others are saved only where that is asked for."""
    (tmp_path / "in.csv").write_text(BAD, encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        done = import_decisions(store, tmp_path / "in.csv", "csv")
        assert (done.saved, done.good, done.undecided, store.history()) == (0, 1, 1, [])
        assert [r.row for r in done.rejects] == [3, 4, 5, 6]
        assert "secret" not in "".join(r.reason for r in done.rejects)
        assert import_decisions(store, tmp_path / "in.csv", "csv", partial=True).saved == 1
        done = import_decisions(store, tmp_path / "in.csv", "csv", reviewer="C", partial=True)
        assert (done.saved, done.known) == (1, 1)


def test_when_a_row_was_decided_is_a_day_or_time_of_iso(run: Path, tmp_path: Path) -> None:
    """What could be read either way, or not at all, is a bad row; without it, it is the time of the import."""
    days = (
        "2026-04-03",
        "2026-04-03T14:05:00.123456Z",
        "2026-04-03 14:05",
        "",
        "yesterday",
        "03/04/2026",
        "2026-04-31",
    )
    rows = "".join(f"R{k:03},yes,B,{day}\n" for k, day in zip(range(0, 14, 2), days, strict=True))
    (tmp_path / "in.csv").write_text(f"report_id,decision,reviewer,at\n{rows}", encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        done = import_decisions(store, tmp_path / "in.csv", "csv", partial=True)
        assert [d.at for d in store.current()][:3] == list(days[:3])
    told = "at is no day or time such as 2026-04-03 or 2026-04-03T14:05 (empty: now)"
    assert [(r.row, r.reason) for r in done.rejects] == [(row, told) for row in (6, 7, 8)]


def test_one_is_told_in_the_singular(run: Path, tmp_path: Path, command: Any) -> None:
    """Of rows to save, of rows that were written and of reports on which readers differ."""
    store = tmp_path / "s"
    with Store(store, create=True) as queue:
        make_queue(run, queue)
    (tmp_path / "in.csv").write_text("report_id,decision,reviewer\nR000,yes,B\nR999,no,B\n", encoding="utf-8")
    bad = command("decisions", "import", tmp_path / "in.csv", "--store", store)
    assert "or save the 1 good row with --partial" in bad.err
    (tmp_path / "in.csv").write_text("report_id,decision,reviewer\nR000,yes,B\nR000,no,A\n", encoding="utf-8")
    assert command("decisions", "import", tmp_path / "in.csv", "--store", store).code == 0
    assert "readers differ in the decision on 1 report: R000" in command("agreement", store).out


def test_types_tendons_and_sides_are_words_that_can_be_chosen(run: Path, tmp_path: Path) -> None:
    """In any case and with blanks; another word is told with those that there are, and nothing of itself."""
    head = "report_id,decision,reviewer,migration_type,tendon,laterality\n"
    (tmp_path / "in.csv").write_text(f"{head}R000,Yes,B,Cortical erosion,Teres minor,LEFT\n", encoding="utf-8")
    (tmp_path / "wrong.csv").write_text(
        f"{head}R002,yes,B,secret,,\nR004,yes,B,,secret,\nR006,yes,B,,,secret\nR008,no,B,secret,,\n", encoding="utf-8"
    )
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        assert import_decisions(store, tmp_path / "in.csv", "csv").saved == 1
        (held,) = store.current()
        assert (held.migration_type, held.tendon, held.laterality) == ("cortical_erosion", "teres_minor", "left")
        done = import_decisions(store, tmp_path / "wrong.csv", "csv", partial=True)
        told = [r.reason for r in done.rejects]
    assert done.saved == 1
    assert told[0] == "the migration_type is not one of cortical_erosion, subcortical, intramedullary, none"
    assert told[1].startswith("the tendon is not one of abductor_digiti_minimi, ")
    assert told[2] == "the laterality is not one of left, right, bilateral, none"
    assert "secret" not in "".join(told)


def test_a_mistyped_word_is_told_with_those_near_it(run: Path, tmp_path: Path) -> None:
    """In place of the whole list, which is long."""
    (tmp_path / "in.csv").write_text("report_id,decision,tendon\nR000,yes,supraspinatu\n", encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        (reject,) = import_decisions(store, tmp_path / "in.csv", "csv", "B").rejects
    assert reject.reason == "the tendon is not known; near words are: supraspinatus, infraspinatus"


def test_all_unknown_words_of_a_row_are_told_at_once(run: Path, tmp_path: Path) -> None:
    """So that the second is not found only once the first is mended."""
    rows = "report_id,decision,tendon,laterality\nR000,yes,supraspinatu,top\n"
    (tmp_path / "in.csv").write_text(rows, encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        (reject,) = import_decisions(store, tmp_path / "in.csv", "csv", "B").rejects
    assert reject.row == 2
    assert "the tendon is not known; near words are: supraspinatus, infraspinatus" in reject.reason
    assert "the laterality is not one of left, right, bilateral, none" in reject.reason


def test_rows_of_a_file_that_contradict_each_other_are_told_by_their_rows(run: Path, tmp_path: Path) -> None:
    """Nothing has been decided before that could be undone; a day that is none is told with unknown words."""
    rows = "report_id,decision,reviewer,tendon,at\nR000,yes,B,,\nR000,no,B,,\nR001,maybe,B,,27.11.2026\n"
    (tmp_path / "in.csv").write_text(rows, encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        told = {r.row: r.reason for r in import_decisions(store, tmp_path / "in.csv", "csv").rejects}
    assert told[3] == "row 2 is of the same report and the same reviewer; keep one of them"
    assert told[4].startswith("at is no day or time such as ")
    assert told[4].endswith("; the decision is not one of yes, no, unsure")


def test_details_of_what_is_no_yes_are_told(run: Path, command: Any, tmp_path: Path) -> None:
    """They are not kept, and the row may have been meant as a yes."""
    (tmp_path / "in.csv").write_text("report_id,decision,tendon\nR000,no,supraspinatus\nR001,no,\n", encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
    done = command("decisions", "import", tmp_path / "in.csv", "--store", tmp_path / "s", "--reviewer", "B")
    assert done.code == 0
    assert "row 2: a type, tendon or side of what is no yes is not kept; is it a yes?" in done.err


def test_columns_of_decisions_are_known_in_any_case_and_others_named(run: Path, command: Any, tmp_path: Path) -> None:
    """`Migration Type` is migration_type; a column that is no such name is lost, and told before it is."""
    text = "Report ID,Place,Decision,Migration Type,Ward\nR000,1,yes,subcortical,7\n"
    (tmp_path / "in.csv").write_text(text, encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
    words = ("decisions", "import", tmp_path / "in.csv", "--store", tmp_path / "s", "--reviewer", "B")
    for more in (("--dry-run",), ()):
        assert command(*words, *more).err == (
            "note: columns that are passed over: Place, Ward; docs/review.md and --help list those that are known\n"
        )
    with Store(tmp_path / "s") as store:
        assert [(d.migration_type, d.laterality) for d in store.current()] == [("subcortical", "none")]


def test_a_store_of_before_takes_up_the_words_of_its_run(run: Path, tmp_path: Path) -> None:
    """Version 0.7 kept none; the next `review` of the run puts them there, once."""
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        about = store.about()
    with Store(tmp_path / "old", create=True) as store:
        store.fill({k: v for k, v in about.items() if k != "choices"}, {}, [])
        assert store.choices() == {"laterality": ["left", "right", "bilateral", "none"]}
        make_queue(run, store)
        make_queue(run, store)
        assert store.choices() == about["choices"]


def test_label_studio_asks_in_the_words_that_can_be_chosen(run: Path, store: Store, tmp_path: Path) -> None:
    """Its configuration has every type, tendon and side."""
    export_decisions(store, tmp_path / "tasks.json", "label-studio", run)
    asked = {
        part.get("name"): [choice.get("value") for choice in part.iter("Choice")]
        for part in ElementTree.parse(tmp_path / "tasks.config.xml").getroot().iter("Choices")
    }
    words = {name: [w for w in words if w != "none"] for name, words in store.choices().items()}
    assert asked == {"decision": ["yes", "no", "unsure"], **words}


def test_a_dry_run_tells_what_would_be_saved(run: Path, tmp_path: Path) -> None:
    """And saves nothing of it."""
    (tmp_path / "in.csv").write_text("report_id,decision,reviewer\nR000,yes,B\nR002,no,B\n", encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        done = import_decisions(store, tmp_path / "in.csv", "csv", dry_run=True)
        assert (done.saved, done.good, store.history()) == (0, 2, [])
        assert import_decisions(store, tmp_path / "in.csv", "csv").saved == 2


def test_a_later_file_overrules_nothing_and_fills_what_was_undone(run: Path, tmp_path: Path) -> None:
    """A decision that holds is taken back by its reviewer first; then the same row, or another, can be saved."""
    (tmp_path / "in.csv").write_text("report_id,decision,reviewer\nR000,yes,B\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("report_id,decision,reviewer\nR000,no,B\n", encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        import_decisions(store, tmp_path / "in.csv", "csv")
        (reject,) = import_decisions(store, tmp_path / "other.csv", "csv").rejects
        assert reject.reason == (
            "this reviewer has decided on the report otherwise; undo that decision on the review page, or let this "
            "file take its place with --replace"
        )
        for name, said in (("other.csv", "no"), ("in.csv", "yes"), ("in.csv", "yes")):
            (held,) = store.current("B")
            store.undo(held.id, "B", f"undo {held.id}")
            assert import_decisions(store, tmp_path / name, "csv").saved == 1
            assert [d.decision for d in store.current("B")] == [said]


def test_a_file_replaces_decisions_of_its_reviewer_where_it_is_asked_to(
    run: Path, tmp_path: Path, command: Any
) -> None:
    """The one before is undone and stays in the history; another reviewer's stands, and so does one of a bad row."""
    store = tmp_path / "s"
    for name, given in (
        ("first.csv", "R000,yes,B,\nR002,no,B,\nR000,yes,C,\n"),
        ("mended.csv", "R000,no,B,\nR002,no,B,\n"),
        ("bad.csv", "R000,yes,B,no_such_tendon\nR000,unsure,B,\nR000,yes,B,\n"),
    ):
        (tmp_path / name).write_text(f"report_id,decision,reviewer,tendon\n{given}", encoding="utf-8")
    with Store(store, create=True) as made:
        make_queue(run, made)
    words = ("decisions", "import", "--store", store, "--replace")
    assert command(*words, tmp_path / "first.csv").out.startswith("saved 3 decisions; 0 were there")
    told = "1 decision; 1 replaced; 1 was there before; 0 rows rejected\n"
    assert command(*words, tmp_path / "mended.csv", "--dry-run").out == f"a dry run: would save {told}"
    assert command(*words, tmp_path / "mended.csv").out == f"saved {told}"
    dry = command(*words, tmp_path / "bad.csv", "--dry-run").out
    assert dry == "a dry run: would save 0 decisions; 0 were there before; 2 rows rejected\n"
    assert command(*words, tmp_path / "bad.csv").out == "saved 0 decisions; 0 were there before; 2 rows rejected\n"
    with Store(store) as made:
        assert [(d.decision, d.reviewer) for d in made.current() if d.report_id == "R000"] == [
            ("yes", "C"),
            ("no", "B"),
        ]
        assert [d.decision for d in made.history() if d.reviewer == "B"] == ["yes", "no", "undo", "no"]
    assert command(*words, tmp_path / "bad.csv", "--partial").out.startswith("saved 1 decision; 1 replaced; ")
    with Store(store) as made:
        assert [d.decision for d in made.current("B") if d.report_id == "R000"] == ["unsure"]


def test_a_review_by_file_needs_no_page(run: Path, tmp_path: Path, command: Any) -> None:
    """The store is made, its queue goes out, and decisions come in; a reason is told once for all its rows."""
    store, queue = tmp_path / "r.sqlite", tmp_path / "queue.csv"
    told = command("review", run, "--store", store, "--audit", 8, "--no-page")
    assert (told.code, told.out) == (0, f"{store}: 24 reports to decide\n")
    command("decisions", "export", store, "--to", "queue", "--out", queue)
    first, *lines = queue.read_text(encoding="utf-8").splitlines()
    queue.write_text("\n".join([f"{first},decision", *(f"{line},no" for line in lines)]), encoding="utf-8")
    told = command("decisions", "import", queue, "--store", store)
    assert (told.code, told.out) == (1, "saved 0 decisions; 0 were there before; 24 rows rejected\n")
    assert told.err.splitlines() == [
        "queue.csv, rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 14 more: a reviewer needs a name (initials will do) of "
        "printable characters: --reviewer NAME",
        "a bad row keeps the file from being saved: mend it",
    ]
    told = command("decisions", "import", queue, "--store", store, "--reviewer", "AB", "--dry-run")
    assert told.out == "a dry run: would save 24 decisions; 0 were there before; 0 rows rejected\n"
    assert command("decisions", "import", queue, "--store", store, "--reviewer", "AB").code == 0


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"a": 1}', "a,b\n1,2"])
@pytest.mark.parametrize("form", EXPORTED)
def test_a_file_that_cannot_be_read(run: Path, tmp_path: Path, form: str, content: str) -> None:
    """It is refused, or its rows are rejected; nothing is saved."""
    (tmp_path / "in").write_text(content, encoding="utf-8")
    with Store(tmp_path / "s", create=True) as store:
        make_queue(run, store)
        with suppress(SourceError):
            assert import_decisions(store, tmp_path / "in", form).saved == 0
        assert store.history() == []


def test_texts_go_out_only_from_a_run_that_is_named(store: Store, tmp_path: Path) -> None:
    """And never with the forms that need none."""
    with pytest.raises(UsageError, match="--run"):
        export_decisions(store, tmp_path / "x", "label-studio")
    for form in ("csv", "queue", "cohort", "labels", "gold"):
        export_decisions(store, tmp_path / form, form)
        assert "calcific" not in (tmp_path / form).read_text(encoding="utf-8").lower()


def test_the_queue_goes_out_blind(store: Store, tmp_path: Path) -> None:
    """Neither stratum nor probability tells which report is of the audit; places count from 1."""
    export_decisions(store, tmp_path / "queue.csv", "queue")
    with (tmp_path / "queue.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["place", "report_id", "patient_id"]
    assert [row["place"] for row in rows] == [str(k + 1) for k in range(len(rows))]


def test_a_cohort_reads_what_holds(store: Store, tmp_path: Path) -> None:
    """Patient, decision, its details and reviewers by report id, from the exported file or from the store itself."""
    export_decisions(store, tmp_path / "cohort.csv", "cohort")
    found = read_adjudications(tmp_path / "cohort.csv")
    assert found == read_adjudications(store.path)
    details = {"migration_type": "subcortical", "tendon": "none", "laterality": "left"}
    told = {"patient_id": "P000", "decision": "yes", "by": "readers agree", "reviewers": "A; B"}
    assert found["R000"] == {**told, **details}
    details = dict.fromkeys(details, "none")
    told |= {"decision": "unsure", "by": "one reader", "reviewers": "A"}
    assert found["R001"] == {**told, **details}
    assert len(found) == len(cohort_rows(store)) == 17


def test_decisions_are_labels_and_a_gold_standard(run: Path, store: Store, tmp_path: Path, command: Any) -> None:
    """`train` reads the labels, with the patient as the group; `evaluate` reads the gold standard."""
    export_decisions(store, tmp_path / "labels.csv", "labels")
    labels, left_out = read_labels(tmp_path / "labels.csv")
    assert (len(labels), left_out, labels["R000"].is_case, labels["R000"].group) == (16, 1, True, "patient P000")
    export_decisions(store, tmp_path / "gold.jsonl", "gold")
    told = command("evaluate", run, tmp_path / "gold.jsonl", "--resamples", 20, "-o", tmp_path / "evaluation")
    assert told.code == 0, told.err


def test_the_commands(run: Path, store: Store, tmp_path: Path, command: Any) -> None:
    """agreement, recall and decisions say what the library says."""
    told = command("agreement", store.path)
    assert (told.code, told.out.split("\n")[0]) == (0, "A and B")
    assert "decision: agree on 8/8" in told.out
    assert len(json.loads(command("agreement", store.path, "--json").out)["agreement"]) == 4
    told = command("recall", store.path, "--run", run)
    assert "no recall can be claimed: " in told.out
    assert "name rule: " in told.out
    assert json.loads(command("recall", store.path, "--json").out)["stop"] is False
    assert command("decisions", "export", store.path, "--to", "csv", "-o", tmp_path / "d.csv").code == 0
    told = command("decisions", "import", tmp_path / "d.csv", "--store", store.path)
    assert told.out == "saved 0 decisions; 25 were there before; 0 rows rejected\n"
    gold_file = command("decisions", "export", store.path, "--to", "gold", "-o", tmp_path / "gold.jsonl")
    assert "note: all candidates and a random part of the others are in it" in gold_file.err
    assert command("decisions", "export", store.path, "--to", "pdf", "-o", tmp_path / "x").code == 2
    assert command("agreement", tmp_path / "none").code == 6


@pytest.mark.parametrize("fault", ["no run", "no table", "changed input", "other rules"])
def test_a_run_that_cannot_be_reviewed_leaves_no_store(fault: str, tmp_path: Path, command: Any) -> None:
    """The error is all there is: no store is made, and nothing is said to be read."""
    folder = make_run(tmp_path, rows(3)) if fault != "no run" else tmp_path / "norun"
    if fault == "no table":
        next((folder / "reports").iterdir()).unlink()
    if fault == "changed input":
        Path(json.loads((folder / "manifest.json").read_text("utf-8"))["inputs"][0]["path"]).write_text("", "utf-8")
    if fault == "other rules":
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "ruleset_hash": "0" * 64}), "utf-8")
    ended = command("review", folder, "--store", tmp_path / "r.sqlite", "--reviewer", "AB")
    assert (ended.code, ended.err.startswith("error: "), (tmp_path / "r.sqlite").exists()) == (6, True, False)


@pytest.mark.parametrize("words", [["--reviewer", " "], ["--reviewer", "AB", "--reasons", "now"]])
def test_a_reader_that_cannot_be_is_told_before_the_queue_is_drawn(
    words: list[str], run: Path, tmp_path: Path, command: Any
) -> None:
    """No store is made, and no report is read, for a command that cannot go on."""
    ended = command("review", run, "--store", tmp_path / "r.sqlite", *words)
    assert (ended.code, "reading" in ended.err, (tmp_path / "r.sqlite").exists()) == (2, False, False)


def test_reports_stand_in_the_order_of_their_days(tmp_path: Path) -> None:
    """In the queue and beside each other, by the order of day and month of the run; what is no day comes last."""
    written = {"a": "03/04/2019", "b": "05/02/2020", "c": "07/01/2019", "d": "n/a"}
    reports = [
        {**row, "report_id": i, "patient_id": "P", "study_date": written[i]}
        for i, row in zip("abcd", rows(4), strict=True)
    ]
    source = tmp_path / "r.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in reports), encoding="utf-8")
    process(source, tmp_path / "dmy", RunOptions(date_order="dmy"))
    process(source, tmp_path / "open")
    days = [["2019-01-07"] * 2, ["2019-04-03"] * 2, ["2020-02-05"] * 2, []]
    for name, order, said in (("dmy", "cabd", days), ("open", "abcd", [[]] * 4)):
        with Store(tmp_path / f"{name}.sqlite", create=True) as store:
            shelf = Shelf(tmp_path / name, store, QueueOptions(candidates=4, audit=0))
            assert [i.report_id for i in store.items()] == list(order)
            told = shelf.timeline("patient P")
        assert [(r["report_id"], r["days"]) for r in told] == list(zip(order, said, strict=True))


def test_a_file_may_use_the_keys_of_the_page(run: Path, tmp_path: Path, command: Any) -> None:
    """y, n and u, and r, l and b; what is unknown is told together, whatever the decision."""
    store, path = tmp_path / "s", tmp_path / "d.csv"
    with Store(store, create=True) as made:
        make_queue(run, made)
    head = "report_id,decision,reviewer,laterality,tendon"
    path.write_text(f"{head}\nR000,y,A,R,supraspinatus\nR001,N,A,,\nR002,u,A,,\n", encoding="utf-8")
    assert command("decisions", "import", path, "--store", store).code == 0
    with Store(store) as made:
        said = [(d.decision, d.laterality) for d in made.current()]
    assert said == [("yes", "right"), ("no", "none"), ("unsure", "none")]
    path.write_text(f"{head}\nR003,maybe,A,X,sst\n", encoding="utf-8")
    told = command("decisions", "import", path, "--store", store).err
    assert [word in told for word in ("decision is not one of", "tendon is not", "laterality is not")] == [True] * 3


def test_a_row_without_its_role_can_be_mended(run: Path, tmp_path: Path, command: Any) -> None:
    """A decision that was saved as a reader's becomes the adjudicator's with --replace; unasked, the row is bad."""
    store, first, mended = tmp_path / "s", tmp_path / "first.csv", tmp_path / "mended.csv"
    with Store(store, create=True) as made:
        make_queue(run, made)
    head = "report_id,decision,reviewer,role"
    first.write_text(f"{head}\nR000,yes,A,\nR000,no,B,\nR000,yes,C,\n", encoding="utf-8")
    mended.write_text(f"{head}\nR000,yes,C,adjudicator\n", encoding="utf-8")
    assert command("decisions", "import", first, "--store", store).code == 0
    refused = command("decisions", "import", mended, "--store", store)
    assert "has decided on the report as reader, not as adjudicator; undo that decision" in refused.err
    assert command("decisions", "import", mended, "--store", store, "--replace").out.startswith(
        "saved 1 decision; 1 re"
    )
    with Store(store) as made:
        assert [(d.reviewer, d.role) for d in made.current()] == [
            ("A", "reader"),
            ("B", "reader"),
            ("C", "adjudicator"),
        ]


def test_what_was_learned_ranks_the_rest(run: Path, tmp_path: Path) -> None:
    """After a batch the order follows a model of the decisions: here a reader who takes chest films for the cases."""
    with Store(tmp_path / "s", create=True) as store:
        shelf = Shelf(run, store, QueueOptions(candidates=32, audit=0, batch=8))
        desk = Desk(shelf, store, "A", learn=True)
        before = [i.report_id for i in desk._order]
        for k, item in enumerate(sorted(store.items(), key=lambda i: i.report_id)[:16]):
            chest = "CHEST" in shelf.report(item.report_id).text
            desk.decide({"key": f"key {k:04d}", "report_id": item.report_id, "decision": "yes" if chest else "no"})
        until = time.monotonic() + 30
        while "16 decisions" not in desk.progress()["learned"] and time.monotonic() < until:
            time.sleep(0.05)
        assert desk.progress()["learned"] == "ranked anew after 16 decisions"
        after = [i.report_id for i in desk._order]
        left = {f.report_id for f in finals(store)}
        ranks = {order[0]: [r for r in order[1] if r not in left] for order in (("was", before), ("is", after))}
    films = {r["report_id"] for r in rows(32) if r["text"].startswith("CHEST")}
    mean = {name: sum(k for k, r in enumerate(order) if r in films) for name, order in ranks.items()}
    assert mean["is"] < mean["was"]
    assert sorted(before) == sorted(after)
