"""Decisions in from files: CSV, Label Studio's JSON export, doccano's JSON lines; and what a cohort reads."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from calcitrace.adjudication import IMPORTED, Store
from calcitrace.decisions import DECISIONS, DETAILS, SIDES, Decision, Opinion, faults_of
from calcitrace.errors import ConflictError, SourceError, UsageError
from calcitrace.exchange.outgoing import ROW_COLUMNS, cohort_rows
from calcitrace.ids import lost_zeros
from calcitrace.model import Reject
from calcitrace.sources import ListError, read_list
from calcitrace.tables import safe_cell

MAX_FILE = 500_000_000
OF_QUEUE = ("place",)  # what a file of decisions may have beside ROW_COLUMNS, and what nobody misses
OF_DECISION = ("patient_id", "decision", "by", "reviewers", *DETAILS)
OWN = (
    "A cohort takes a review store, what `calcitrace decisions export STORE --to cohort` wrote of one, or a table with "
    "the columns report_id and label (yes, no, unsure or a case status). A file of decisions goes into the store of "
    "its review first, and that is then given: calcitrace decisions import {file} --store STORE"
)
KEYS = {word[0]: word for word in DECISIONS} | {"s": "unsure"}  # on the review page `u` takes back
CALLED = {"side": "laterality", "reader": "reviewer"}
SIDE_KEYS = {word[0]: word for word in SIDES if word != "none"}
Given = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: rows saved, rows that were there before, and rejects with their reasons.

    `good` counts the rows that were saved, or would have been, and `replaced` those of them that took the place of
    another decision; `undecided` those of a CSV file that name a report and no decision yet. `detailed` are the rows
    that tell a type, tendon or side of what is no yes, which is not kept. `advice` tells of ids that the queue has with
    other leading zeros, "" where there is none. `passed` are columns of a CSV file that an import does not know.
    """

    saved: int
    known: int
    rejects: tuple[Reject, ...]
    advice: str = ""
    good: int = 0
    undecided: int = 0
    passed: tuple[str, ...] = ()
    replaced: int = 0
    detailed: tuple[int, ...] = ()


class _NothingSavedError(Exception):
    """Takes back what an import has saved so far."""


def read_adjudications(path: str | Path) -> dict[str, dict[str, str]]:
    """Patient id, decision, its details, how it was reached and reviewers ("A; B", empty if not told) by report id.

    Args:
        path: a file that `export_decisions(..., "cohort")` wrote, or a store.

    Raises:
        SourceError: it cannot be read, a column is missing, a decision is unknown or a report comes twice (path:line).
    """
    path = Path(path)
    if is_store(path):
        with Store(path) as store:
            return {row["report_id"]: {name: row[name] for name in OF_DECISION} for row in cohort_rows(store)}
    found: dict[str, dict[str, str]] = {}
    for line, row in _decision_rows(path):
        report_id = _plain(row["report_id"])
        if row["decision"] not in DECISIONS or report_id in found or not report_id:
            wanted = "needs a report id that has not come before, and yes, no or unsure"
            raise SourceError(f"{path}:{line}: {wanted}. {OWN.format(file=shlex.quote(path.name))}")
        found[report_id] = {name: _plain(row.get(name, "")) for name in OF_DECISION}
    return found


def _decision_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        yield from read_list(path, ("patient_id", "report_id", "decision"), OF_DECISION)
    except ListError as error:
        told = f"{error}. {OWN.format(file=shlex.quote(path.name))}" if error.missing else str(error)
        raise SourceError(told) from None


def holds_decisions(path: str | Path) -> bool:
    """Whether a file is a store, or a CSV file of decisions (and not of labels).

    Raises:
        SourceError: it cannot be read.
    """
    path = Path(path)
    if is_store(path):
        return True
    with path.open("rb") as handle:
        return b"decision" in handle.readline(10_000).replace(b"\0", b"").lower()  # in UTF-16, too


def is_store(path: Path) -> bool:
    """Whether a file is a store of decisions, or another SQLite file.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with path.open("rb") as handle:
            return handle.read(15) == b"SQLite format 3"
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None


def import_decisions(
    store: Store,
    path: str | Path,
    form: str,
    reviewer: str = "",
    partial: bool = False,
    dry_run: bool = False,
    replace: bool = False,
) -> Imported:
    """Save the decisions of a file, all or none; the same file again changes nothing.

    Args:
        store: whose queue holds the reports.
        path: CSV (report_id, decision, and any of ROW_COLUMNS), Label Studio's JSON export or doccano's JSON lines.
        form: csv, label-studio or doccano.
        reviewer: for rows that name none.
        partial: save the good rows though others are bad; else one bad row keeps all from being saved.
        dry_run: save nothing, and tell what would become of each row.
        replace: where the same reviewer has decided otherwise, or in another role, undo that and save the row.

    Raises:
        SourceError: the file cannot be read at all.
        StoreError: the store cannot be written.
        UsageError: an unknown form.
    """
    if form not in READERS:
        raise UsageError(f"{form!r} is not one of {', '.join(READERS)}")
    given, saved, work = READERS[form](Path(path)), False, _Import(store, Path(path).name, reviewer, replace)
    with suppress(_NothingSavedError), store.together():
        work.begin()
        for number, row in given:
            if form != "csv" or work.takes(row):
                work.save(number, row)
        if dry_run or (work.rejects and not partial):
            raise _NothingSavedError
        saved = True
    return work.result(saved)


class _Import:
    """An import of a file while it goes on: what was there before it, and what became of its rows so far."""

    def __init__(self, store: Store, name: str, reviewer: str, replace: bool) -> None:
        self._store, self._name, self._reviewer, self._replace = store, name, reviewer, replace
        self._queue, self._choices = {item.report_id for item in store.items()}, store.choices()
        self._rows = dict[tuple[str, str], int]()  # the first of each report and reviewer
        self._missing, self._passed, self._detailed = set[str](), tuple[str, ...](), list[int]()
        self._good = self._known = self._undecided = self._replaced = 0
        self.rejects: list[Reject] = []

    def begin(self) -> None:
        """Note what holds before the first row."""
        self._before = {(d.report_id, d.reviewer): d for d in self._store.current()}
        self._turns = Counter((d.report_id, d.reviewer) for d in self._store.history())

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of a CSV file has a decision, or should; one that names a report and has none is counted."""
        self._passed = tuple(name for name in row if name not in (*ROW_COLUMNS, *OF_QUEUE))
        undecided = bool(row["report_id"].strip()) and not row["decision"].strip()
        self._undecided += undecided
        return not undecided

    def save(self, number: int, row: Mapping[str, Any]) -> None:
        """Save a row, or note why it is bad."""
        try:
            self._save(number, row)
        except (UsageError, ConflictError) as error:
            self.rejects.append(Reject(self._name, number, str(error)))

    def _save(self, number: int, row: Mapping[str, Any]) -> None:
        opinion, who, role, at = _opinion(row, self._reviewer)
        self._missing |= {opinion.report_id} - self._queue
        if faults := [*_faults_of_day(at), *faults_of(opinion, self._choices)]:
            raise UsageError("; ".join(faults))
        of = opinion.report_id, who
        if (first := self._rows.setdefault(of, number)) != number:
            raise ConflictError(f"row {first} is of the same report and the same reviewer; keep one of them")
        if opinion.decision != "yes" and any(row.get(name) for name in DETAILS):
            self._detailed.append(number)
        there = self._before.get(of)
        same = there and all(getattr(there, f.name) == getattr(opinion, f.name) for f in fields(Opinion))
        if there and same and there.role == role:
            self._known += 1
            return
        key = _key(opinion, who, role, number, self._turns[opinion.report_id, who])
        if there:
            _make_room(self._store, there, role, key, self._replace)
        self._replaced += bool(self._before.pop(of, None))
        self._store.decide(opinion, who, key, role, at=at)
        self._good += 1

    def result(self, saved: bool) -> Imported:
        """What it did, or would have done."""
        return Imported(
            saved=self._good if saved else 0,
            known=self._known,
            rejects=tuple(self.rejects),
            advice=lost_zeros(self._missing, self._queue).removeprefix("; "),
            good=self._good,
            undecided=self._undecided,
            passed=self._passed,
            replaced=self._replaced,
            detailed=tuple(self._detailed),
        )


def _make_room(store: Store, there: Decision, role: str, key: str, replace: bool) -> None:
    """Undo what a reviewer decided otherwise, or in another role, before."""
    if not replace:
        how = "otherwise" if there.role == role else f"as {there.role}, not as {role}"
        raise ConflictError(
            f"this reviewer has decided on the report {how}; undo that decision on the review page, or let this "
            "file take its place with --replace"
        )
    store.undo(there.id, there.reviewer, f"{key}-undo")


def _opinion(row: Mapping[str, Any], reviewer: str) -> tuple[Opinion, str, str, str]:
    texts = {n: row.get(n) or "" for n in ("report_id", "decision", *DETAILS, "comment", "reviewer", "role", "at")}
    if not all(isinstance(v, str) for v in texts.values()):
        raise UsageError("a value is not a text")
    texts = {n: _plain(v.strip()) for n, v in texts.items()}
    if not texts["report_id"] or not texts["decision"]:
        raise UsageError("needs a report_id and a decision")
    said = texts["decision"].lower()
    said = KEYS.get(said, said)
    words = {n: "_".join(texts[n].lower().split()) for n in DETAILS}  # Teres minor is teres_minor
    words["laterality"] = SIDE_KEYS.get(words["laterality"], words["laterality"])
    details = {n: "none" if said in ("no", "unsure") else words[n] or "none" for n in DETAILS}
    flag = str(row.get("flag") or "").strip().lower() in ("1", "true", "yes")
    opinion = Opinion(texts["report_id"], said, **details, comment=texts["comment"], flag=flag)
    return opinion, texts["reviewer"] or reviewer, texts["role"] or "reader", texts["at"]


def _faults_of_day(at: str) -> Iterator[str]:
    """What to tell of what is no day or time as ISO 8601 writes it; it repeats nothing of it."""
    try:
        datetime.fromisoformat(at or "2000-01-01")
    except ValueError:
        yield "at is no day or time such as 2026-04-03 or 2026-04-03T14:05 (empty: now)"


def _plain(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if cell[:1] == "'" and safe_cell(cell[1:]) == cell else cell


def _key(opinion: Opinion, reviewer: str, role: str, number: int, turn: int) -> str:
    """One of its own; after `turn` rows of the reviewer on the report (decided, undone) it is another one."""
    told = json.dumps([opinion.report_id, opinion.decision, reviewer, role, number, *([turn] if turn else [])])
    return f"{IMPORTED}{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()}"


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise SourceError(f"{path}: larger than {MAX_FILE:,} bytes; is this the file of decisions?")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: not UTF-8; save it as UTF-8") from None


def _in_csv(path: Path) -> Iterator[Given]:
    """The rows that hold: one that was undone, and the row that undid it, are passed over."""
    rows = [(n, _renamed(r)) for n, r in read_list(path, ("report_id", "decision"), ROW_COLUMNS)]
    undone = {r.get("undoes") for _, r in rows} - {"", None}
    return ((n, r) for n, r in rows if not r.get("undoes") and (not r.get("id") or r["id"] not in undone))


def _renamed(row: dict[str, str]) -> dict[str, str]:
    """The row with the names of an import for those that the page and its readers use: side, reader."""
    names = {name: CALLED.get(name.strip().lower(), name) for name in row}
    return {name if names[name] in row else names[name]: cell for name, cell in row.items()}


def _json(path: Path, text: str, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SourceError(f"{path}:{line}: not valid JSON") from None


def _in_label_studio(path: Path) -> Iterator[Given]:
    tasks = _json(path, _content(path), 1)
    if not isinstance(tasks, list):
        raise SourceError(f"{path}: not a list of tasks; use Label Studio's export of the form JSON")
    for number, task in enumerate(tasks, 1):
        told = task if isinstance(task, dict) else {}
        data, annotations = told.get("data"), told.get("annotations")
        if not isinstance(data, dict) or not isinstance(annotations, list):
            yield number, {}
            continue
        for annotation in annotations:
            if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
                yield number, {**_chosen(annotation), "report_id": data.get("report_id")}


def _chosen(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """The choices and the comment of an annotation by their names, who made it and when."""
    who = annotation.get("completed_by")
    name = who.get("email") or who.get("id") if isinstance(who, dict) else who
    row: dict[str, Any] = {"reviewer": "" if name is None else str(name), "at": annotation.get("created_at")}
    for part in annotation.get("result") or ():
        value = part.get("value") if isinstance(part, dict) else None
        if isinstance(value, dict):
            told = value.get("choices") or value.get("text")
            row[str(part.get("from_name"))] = told[0] if isinstance(told, list) and told else told
    return row


def _in_doccano(path: Path) -> Iterator[Given]:
    for number, line in enumerate(_content(path).split("\n"), 1):
        if not line.strip():
            continue
        row = _json(path, line, number)
        labels = row.get("label", row.get("labels")) if isinstance(row, dict) else None
        if not isinstance(labels, list) or not all(isinstance(v, str) for v in labels):
            yield number, {}
        elif labels:
            told = dict(v.split(":", 1) for v in labels if ":" in v)
            decisions = [v for v in labels if v in DECISIONS]
            names = ("report_id", "reviewer", "comment", "at")
            kept = {k: row[k] for k in names if k in row} | {k: told[k] for k in DETAILS if k in told}
            yield number, {**kept, "decision": decisions[0] if len(decisions) == 1 else ""}


READERS: dict[str, Callable[[Path], Iterator[Given]]] = {
    "csv": _in_csv,
    "label-studio": _in_label_studio,
    "doccano": _in_doccano,
}
