"""The store of human decisions: one SQLite file that is only ever added to, safe for several processes.

A decision is changed by a row that undoes it and a new one; triggers refuse every update and removal. Rollback journal
and full synchronisation: what was acknowledged is on the disk, and the store is one file that can be copied. It holds
ids and decisions, never report text. Keep it on a local disk; a network drive may not lock as SQLite needs.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from calcitrace.decisions import (
    ADJUDICATOR,
    DETAILS,
    MAX_WORD,
    READER,
    SIDES,
    UNDO,
    Decision,
    Item,
    Opinion,
    check_opinion,
    check_reviewer,
)
from calcitrace.errors import ConflictError, StoreError, UsageError
from calcitrace.runfolder import now

FORMAT = 1
APPLICATION = 0x63616C63  # "calc": tells a store from another SQLite file
IMPORTED = "import "  # how the keys of decisions from files begin; those of the page never do
BUSY = 15.0  # seconds to wait for another process
_TABLES = ("about", "stratum", "item", "decision", "seen")
_SCHEMA = f"""
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {FORMAT};
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE stratum (name TEXT PRIMARY KEY, reports INTEGER NOT NULL, drawn INTEGER NOT NULL);
CREATE TABLE item (
  report_id TEXT PRIMARY KEY, patient_id TEXT NOT NULL, unit TEXT NOT NULL, stratum TEXT NOT NULL,
  place INTEGER NOT NULL, probability REAL NOT NULL, double INTEGER NOT NULL
);
CREATE TABLE decision (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at TEXT NOT NULL,
  reviewer TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('{READER}', '{ADJUDICATOR}')),
  report_id TEXT NOT NULL, patient_id TEXT NOT NULL,
  decision TEXT NOT NULL CHECK (decision IN ('yes', 'no', 'unsure', '{UNDO}')),
  migration_type TEXT NOT NULL, tendon TEXT NOT NULL, laterality TEXT NOT NULL,
  comment TEXT NOT NULL, flag INTEGER NOT NULL, seconds REAL, informed INTEGER NOT NULL,
  undoes INTEGER UNIQUE REFERENCES decision (id)
);
CREATE INDEX decision_report ON decision (report_id, reviewer);
CREATE INDEX decision_reviewer ON decision (reviewer, role, id);
CREATE TABLE seen (report_id TEXT NOT NULL, reviewer TEXT NOT NULL, what TEXT NOT NULL, at TEXT NOT NULL);
CREATE INDEX seen_report ON seen (report_id, reviewer, what);
CREATE VIEW current AS SELECT * FROM decision d WHERE d.decision <> '{UNDO}'
  AND NOT EXISTS (SELECT 1 FROM decision u WHERE u.undoes = d.id);
""" + "".join(
    f"CREATE TRIGGER {table}_{act} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, 'append-only'); END;\n"
    for table in _TABLES
    for act in ("UPDATE", "DELETE")
)


@dataclass(frozen=True, slots=True)
class Final:
    """What holds of a report: its decision and by whom; "open" where readers disagree and nobody has adjudicated.

    `opinion` has the type, tendon and side of the adjudicator; of those that the adjudicator did not tell, and where
    there is none, what all readers with the same decision who told it say alike.
    """

    report_id: str
    patient_id: str
    unit: str
    decision: str
    by: str
    opinion: Decision | None
    reviewers: tuple[str, ...]


class Store:
    """A store of decisions on disk.

    Args:
        path: the file; it must exist unless `create`.
        create: make it where it does not exist.

    Raises:
        StoreError: it cannot be opened, is damaged or no store of this format.
    """

    def __init__(self, path: str | Path, create: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise StoreError(f"{self.path}: no such store; `calcitrace review RUN --store {self.path}` makes one")
        self._lock = threading.RLock()
        self._held = False  # a transaction of `together` is open
        try:
            self._db = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._db.execute("PRAGMA trusted_schema = OFF")
            self._prepare()
        except sqlite3.Error as error:
            raise self._broken(error) from None

    def _prepare(self) -> None:
        """Make the tables of a new file; refuse what is no store."""
        if self._is_empty():
            with self._writing():
                if self._is_empty():
                    for statement in _statements(_SCHEMA):
                        self._db.execute(statement)
        kind, made = (self._db.execute(f"PRAGMA {p}").fetchone()[0] for p in ("application_id", "user_version"))
        if (kind, made) != (APPLICATION, FORMAT):
            raise StoreError(f"{self.path}: not a review store of this version; choose another file")

    def _is_empty(self) -> bool:
        return not self._db.execute("SELECT 1 FROM sqlite_master").fetchone()

    def _broken(self, error: sqlite3.Error) -> StoreError:
        kind = getattr(error, "sqlite_errorname", type(error).__name__)
        return StoreError(f"{self.path}: cannot be used ({kind}); check that it is a review store on a local disk")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that no other process can come between; undone as a whole where anything fails."""
        with self._lock:
            if self._held:
                yield
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._broken(error) from None

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is saved within is saved as a whole at its end, or, where anything is raised, not at all."""
        with self._writing():
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise self._broken(error) from None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the queue, written once

    def fill(self, about: Mapping[str, Any], strata: Mapping[str, tuple[int, int]], items: Iterable[Item]) -> None:
        """Write the queue of a new store: what it is about, its strata (reports, drawn) and its items.

        Raises:
            ConflictError: another process has filled it.
        """
        rows = [tuple(asdict(i).values()) for i in items]
        with self._writing():
            if self._db.execute("SELECT 1 FROM about").fetchone():
                raise ConflictError(f"{self.path}: holds a queue already")
            self._db.executemany("INSERT INTO about VALUES (?, ?)", [(k, json.dumps(v)) for k, v in about.items()])
            self._db.executemany("INSERT INTO stratum VALUES (?, ?, ?)", [(n, *c) for n, c in strata.items()])
            self._db.executemany("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def about(self) -> dict[str, Any]:
        """What the queue was made from and how; empty for a new store."""
        return {r["name"]: json.loads(r["value"]) for r in self._rows("SELECT * FROM about")}

    def offer(self, choices: Mapping[str, Sequence[str]]) -> None:
        """Keep the words that opinions can choose, where none were kept before."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO about VALUES ('choices', ?)", (json.dumps(choices),))

    def choices(self) -> dict[str, list[str]]:
        """The words that opinions can choose: of a store of version 0.7, until it is reviewed again, sides alone."""
        return {"laterality": list(SIDES), **self.about().get("choices", {})}

    def strata(self) -> dict[str, tuple[int, int]]:
        """How many reports of the run each stratum has, and how many of them were drawn into the queue."""
        return {r["name"]: (r["reports"], r["drawn"]) for r in self._rows("SELECT * FROM stratum ORDER BY rowid")}

    def items(self) -> list[Item]:
        """The queue in the order of its first ranking."""
        rows = self._rows("SELECT * FROM item ORDER BY place")
        return [Item(**{**{k: r[k] for k in r.keys()}, "double": bool(r["double"])}) for r in rows]  # noqa: SIM118

    # decisions

    def decide(
        self,
        opinion: Opinion,
        reviewer: str,
        key: str,
        role: str = READER,
        seconds: float | None = None,
        informed: bool = False,
        at: str = "",
    ) -> Decision:
        """Save a decision; when this returns it is on the disk.

        Args:
            opinion: on a report of the queue.
            reviewer: who decided.
            key: unique; saving again with the same key changes nothing and returns what was saved.
            role: reader or adjudicator.
            seconds: for which the report was shown.
            informed: the reviewer has seen the reasons.
            at: when, for decisions made elsewhere; by default now.

        Raises:
            UsageError: something that makes no sense.
            ConflictError: the reviewer has decided on this report (undo that first), or an adjudicator has read it.
        """
        check_opinion(opinion, self.choices())
        check_reviewer(reviewer)
        if role not in (READER, ADJUDICATOR) or not 0 < len(key) <= MAX_WORD:
            raise UsageError("a decision needs a role (reader or adjudicator) and a key")
        with self._writing():
            item = self._db.execute("SELECT patient_id FROM item WHERE report_id = ?", (opinion.report_id,)).fetchone()
            if item is None:
                raise UsageError("the report is not in the queue of this store")
            before = self._same_key(key, opinion.report_id, reviewer)
            if before:
                return before
            own = "SELECT role, decision FROM current WHERE report_id = ? AND reviewer = ?"
            if self._db.execute(own, (opinion.report_id, reviewer)).fetchone():
                raise ConflictError("this reviewer has decided on the report; undo that decision first")
            values = (
                *asdict(opinion).values(),
                item["patient_id"],
                reviewer,
                role,
                at or now(),
                seconds,
                informed,
                None,
            )
            return self._add(key, values)

    def undo(self, decision: int, reviewer: str, key: str, informed: bool = False) -> Decision:
        """Take back a decision of one's own, by a new row; the same key twice changes nothing.

        Raises:
            ConflictError: there is no such decision of this reviewer, or it was taken back.
        """
        with self._writing():
            row = self._db.execute(
                "SELECT * FROM current WHERE id = ? AND reviewer = ?", (decision, reviewer)
            ).fetchone()
            before = self._db.execute("SELECT report_id FROM decision WHERE key = ?", (key,)).fetchone()
            if before and (saved := self._same_key(key, before["report_id"], reviewer)):
                return saved
            if row is None:
                raise ConflictError("there is no such decision to undo")
            said = Opinion(row["report_id"], UNDO)
            values = (row["patient_id"], reviewer, row["role"], now(), None, informed, decision)
            return self._add(key, (*asdict(said).values(), *values))

    def _same_key(self, key: str, report_id: str, reviewer: str) -> Decision | None:
        row = self._db.execute("SELECT * FROM decision WHERE key = ?", (key,)).fetchone()
        if row and (row["report_id"], row["reviewer"]) != (report_id, reviewer):
            raise ConflictError("the key of the decision was used for another one")
        return _decision(row) if row else None

    def _add(self, key: str, values: Sequence[Any]) -> Decision:
        names = [f.name for f in fields(Decision) if f.name != "id"]
        marks = ", ".join("?" * (len(names) + 1))
        added = self._db.execute(f"INSERT INTO decision (key, {', '.join(names)}) VALUES ({marks})", (key, *values))
        row = self._db.execute("SELECT * FROM decision WHERE id = ?", (added.lastrowid,)).fetchone()
        return _decision(row)

    def history(self) -> list[Decision]:
        """Every row ever saved, in order."""
        return list(map(_decision, self._rows("SELECT * FROM decision ORDER BY id")))

    def current(self, reviewer: str = "", role: str = "") -> list[Decision]:
        """The decisions that hold, in the order in which they were saved; of one reviewer or role, or of all."""
        query = "SELECT * FROM current WHERE (? = '' OR reviewer = ?) AND (? = '' OR role = ?) ORDER BY id"
        return list(map(_decision, self._rows(query, (reviewer, reviewer, role, role))))

    def from_files(self) -> set[str]:
        """The ids of reports with a decision that holds and came from a file (`decisions import`)."""
        query = "SELECT DISTINCT report_id FROM current WHERE key LIKE ?"
        return {r["report_id"] for r in self._rows(query, (f"{IMPORTED}%",))}

    def decided(self) -> list[tuple[str, str, str, str]]:
        """Report id, reviewer, role and decision of all that holds; less to read than `current`."""
        return [tuple(r) for r in self._rows("SELECT report_id, reviewer, role, decision FROM current")]

    # what was shown

    def note(self, report_id: str, reviewer: str, what: str) -> None:
        """Keep that a reviewer was shown a report ("opened") or its reasons ("reasons")."""
        with self._writing():
            self._db.execute("INSERT INTO seen VALUES (?, ?, ?, ?)", (report_id, reviewer, what, now()))

    def has_seen(self, report_id: str, reviewer: str, what: str) -> bool:
        """Whether that was noted."""
        query = "SELECT 1 FROM seen WHERE report_id = ? AND reviewer = ? AND what = ? LIMIT 1"
        return bool(self._rows(query, (report_id, reviewer, what)))

    def opened_since(self, moment: str) -> set[tuple[str, str]]:
        """Report id and reviewer of what was opened since a moment (UTC, as in `now`)."""
        query = "SELECT DISTINCT report_id, reviewer FROM seen WHERE what = 'opened' AND at >= ?"
        return {(r["report_id"], r["reviewer"]) for r in self._rows(query, (moment,))}


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one, so that they share one transaction."""
    held = ""
    for line in script.split("\n"):
        held += line + "\n"
        if sqlite3.complete_statement(held):
            yield held
            held = ""


def _decision(row: sqlite3.Row) -> Decision:
    values = {f.name: row[f.name] for f in fields(Decision)}
    return Decision(**{**values, "flag": bool(row["flag"]), "informed": bool(row["informed"])})


def finals(store: Store) -> list[Final]:
    """What holds of each report that anybody has decided on, in the order of the queue.

    The adjudicator's word holds; else that of all readers where they say the same; else the report is open.
    """
    said: dict[str, list[Decision]] = {}
    for decision in store.current():
        said.setdefault(decision.report_id, []).append(decision)
    return [_final(item, said[item.report_id]) for item in store.items() if item.report_id in said]


def _final(item: Item, said: Sequence[Decision]) -> Final:
    judged = [d for d in said if d.role == ADJUDICATOR]
    names = tuple(sorted({d.reviewer for d in said}))
    chosen: Decision | None = (judged or list(said))[-1]
    if judged:
        by = "adjudicated"
        like = [d for d in said if d.role != ADJUDICATOR and d.decision == judged[-1].decision]
        chosen = replace(judged[-1], **{n: _first_told(n, judged[-1], like) for n in DETAILS})
    elif len({d.decision for d in said}) > 1:
        by, chosen = "readers disagree", None
    else:
        by = "one reader" if len(said) == 1 else "readers agree"
        alike: dict[str, Any] = {n: _alike(getattr(d, n) for d in said) for n in DETAILS}
        chosen = replace(said[-1], **alike)
    decision = chosen.decision if chosen else "open"
    return Final(item.report_id, item.patient_id, item.unit, decision, by, chosen, names)


def _first_told(name: str, judged: Decision, readers: Sequence[Decision]) -> Any:
    """A detail by the adjudicator, or, where that one told none, what readers with the same decision say alike."""
    told = getattr(judged, name)
    return _alike(getattr(d, name) for d in readers) if told == "none" else told


def _alike(words: Iterable[str]) -> str:
    """The one word that is told, or none."""
    told = set(words) - {"none"}
    return told.pop() if len(told) == 1 else "none"


def disagreements(store: Store) -> list[str]:
    """The ids of reports on which readers differ (yes, no, unsure) and nobody has adjudicated, in the queue's order."""
    return [f.report_id for f in finals(store) if f.decision == "open"]
