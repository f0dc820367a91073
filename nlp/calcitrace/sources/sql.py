"""A query of a database as a source: SQLite, DuckDB or PostgreSQL; read only, streamed, in the query's own order.

A query is read twice in a run: once for its digest, so that a run goes on only over the rows that it began with.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calcitrace.errors import BrokenOffError, SourceError, UsageError
from calcitrace.sources.columns import choose_columns
from calcitrace.sources.reading import Numbered, Options, Tally, mended

BATCH = 1000
EXAMPLES = "sqlite:///notes.db, duckdb:///notes.duckdb, postgresql://user@host/database"
_PASSWORD = re.compile(r"(?<=://)([^:@]*):.*@", re.DOTALL)
_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)
_REMARKS = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"", re.DOTALL)
Asked = tuple[list[str], Iterator[Sequence[Any]]]


def without_password(url: str) -> str:
    """The URL of a database without its password."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1@", url)) if url.lower().startswith("postgres") else url


@dataclass(slots=True)
class Query:
    """A query and the database to ask; `str()` is the URL without its password. `bytes` is known once hashed.

    Raises:
        UsageError: not one SELECT with an ORDER BY, or a URL of no known database.
    """

    sql: str
    url: str = field(repr=False)
    bytes: int = field(default=0, compare=False)
    sha256: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        self.sql = self.sql.strip().rstrip(";").rstrip()
        bare = _REMARKS.sub(" ", self.sql).lower()
        if self.kind not in _CONNECTIONS:
            raise UsageError(f"--url must name a SQLite, DuckDB or PostgreSQL database: {EXAMPLES}")
        if not re.match(r"\s*(?:select|with|from|table|values)\b", bare) or ";" in bare:
            raise UsageError("the query must be one SELECT")
        if not re.search(r"\border\s+by\b", bare):
            raise UsageError(
                "the query needs an ORDER BY over a key, such as ORDER BY report_id: "
                "a run that was interrupted can go on only where rows come in the same order again"
            )

    def __str__(self) -> str:
        return without_password(self.url)

    @property
    def kind(self) -> str:
        """The kind of database: sqlite, duckdb or postgresql."""
        kind = self.url.partition("://")[0].partition("+")[0].lower()
        return "postgresql" if kind == "postgres" else kind

    def described(self) -> dict[str, Any]:
        """What a manifest says of it: the URL without its password, the query, and the size and digest of its rows.

        Raises:
            SourceError, UsageError, BrokenOffError: as `read_sql`.
        """
        try:
            with _asked(self) as (names, rows):
                hashing = _Hashing(self, names)
                for row in rows:
                    hashing.add(row)
        except SourceError as error:
            raise SourceError(f"{self}: {error}") from None
        self.bytes, self.sha256 = hashing.bytes, hashing.digest()
        return {"path": str(self), "sql": self.sql, "bytes": self.bytes, "sha256": self.sha256}


class _Hashing:
    """The size and the digest of a query's rows."""

    def __init__(self, query: Query, names: Sequence[str]) -> None:
        self._hash = hashlib.sha256("\0".join([str(query), query.sql, *names]).encode("utf-8", "surrogatepass"))
        self.bytes = 0

    def add(self, row: Sequence[Any]) -> None:
        """Take in a row."""
        data = "".join(f"{len(cell)}:{cell}" for cell in map(str, row)).encode("utf-8", "surrogatepass")
        self._hash.update(data)
        self.bytes += len(data)

    def digest(self) -> str:
        """The digest of the rows so far."""
        return self._hash.hexdigest()


def read_sql(query: Query, options: Options, tally: Tally) -> Numbered:
    """The rows of a query, numbered from 1, with columns chosen by name as in a table.

    Raises:
        SourceError: the database cannot be asked, or lacks what the query names.
        UsageError: the library for this database is not installed.
        BrokenOffError: the connection broke, or the rows are not those that were hashed before.
    """
    with _asked(query) as (names, rows):
        columns = choose_columns(names, options.columns)
        places, hashing = columns.places(names), _Hashing(query, names)
        others = tally.choose(query, columns)
        tally.position = lambda: hashing.bytes
        for number, row in enumerate(rows, 1):
            hashing.add(row)
            others.look(names, row)
            yield number, {name: row[place] for name, place in places.items()}
    if query.sha256 and query.sha256 != hashing.digest():
        raise BrokenOffError(
            f"{query}: the rows changed, or came in another order, while they were read; "
            "order them by a unique key and give the command again with --overwrite"
        )


@contextmanager
def _asked(query: Query) -> Iterator[Asked]:
    """The columns and the rows of a query; an error tells nothing of what the rows hold."""
    begun = False
    try:
        with _CONNECTIONS[query.kind](query) as (names, rows):
            begun = True
            yield names, rows
    except ImportError as error:
        what = f"{query.kind} needs {error.name or 'libpq'}"
        raise UsageError(f'{what}: pip install "calcitrace[sources]"') from None
    except Exception as error:
        if type(error).__module__.partition(".")[0].strip("_") not in ("sqlite3", "duckdb", "psycopg"):
            raise
        if begun and any(kind.__name__ == "OperationalError" for kind in type(error).__mro__):
            raise BrokenOffError(f"{query}: broke off ({_why(error)}); give the same command again") from None
        raise SourceError(_why(error)) from None


_CONNECTING = (
    "password authentication failed",
    "no password supplied",
    "Connection refused",
    "could not translate host name",
    "failed to resolve host",
    "does not exist",
    "no pg_hba.conf entry",
    "timeout expired",
    "No such file or directory",
    "server closed the connection unexpectedly",
)


def _why(error: Exception) -> str:
    """What is wrong, in words that come from the query or the server and not from the rows or the password."""
    module, kind, said = type(error).__module__, type(error).__name__, str(error)
    if "sqlite3" in module or ("duckdb" in module and kind[:5] in ("Parse", "Binde", "Catal", "IOExc")):
        return said.split("\n")[0]
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith("42"):
        return str(error.diag.message_primary)  # type: ignore[attr-defined]
    if state:
        return f"{kind}, SQLSTATE {state}"
    known = [words for words in _CONNECTING if words in said]
    advice = "is the URL right? a password with marks in it is best kept in PGPASSWORD or ~/.pgpass"
    return f"{kind}: {known[0]}" if known else f"{kind}; {advice}" if "psycopg" in module else kind


def _file(query: Query) -> str:
    """The path in a URL such as sqlite:///notes.db; empty for a DuckDB in memory.

    Raises:
        SourceError: there is no such file.
    """
    path = query.url.partition("://")[2].removeprefix("/")
    if path in ("", ":memory:") and query.kind == "duckdb":
        return ""
    if not Path(path).is_file():
        raise SourceError("no such file (sqlite:///notes.db is in this folder, sqlite:////data/notes.db is not)")
    return path


@contextmanager
def _sqlite(query: Query) -> Iterator[Asked]:
    with closing(sqlite3.connect(f"{Path(_file(query)).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = _decoded
        cursor = connection.execute(query.sql)
        yield [column[0] for column in cursor.description], cursor


def _decoded(data: bytes) -> str:
    """Text that a database keeps without looking at it: UTF-8, else Windows-1252."""
    return mended(data.decode("utf-8", "surrogateescape"), "utf-8", True)


@contextmanager
def _duckdb(query: Query) -> Iterator[Asked]:
    import duckdb

    path = _file(query)
    offline = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with closing(duckdb.connect(path or ":memory:", read_only=bool(path), config=offline)) as connection:
        cursor = connection.execute(query.sql)
        batches = iter(lambda: cursor.fetchmany(BATCH), [])
        yield [column[0] for column in cursor.description], (row for batch in batches for row in batch)


@contextmanager
def _postgresql(query: Query) -> Iterator[Asked]:
    """A server-side cursor in a transaction that cannot write; all values come as the server writes them."""
    import psycopg

    url = f"postgresql://{query.url.partition('://')[2]}"
    with closing(psycopg.connect(url, client_encoding="UTF8", application_name="calcitrace")) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SET DateStyle = 'ISO'")
        _as_written(connection)
        with connection.cursor("calcitrace") as cursor:
            cursor.itersize = BATCH
            cursor.execute(query.sql.encode())
            yield [column.name for column in cursor.description or ()], cursor


def _as_written(connection: Any) -> None:
    """Take values as text, so that none is refused (a date of infinity), bytes and arrays apart; times are ISO."""
    from psycopg.adapt import Loader

    class Written(Loader):
        def load(self, data: Any) -> str:
            return _decoded(bytes(data))

    class Time(Loader):
        def load(self, data: Any) -> str:
            return bytes(data).decode().replace(" ", "T", 1).removesuffix("T00:00:00")

    for kind in connection.adapters.types:
        if kind.name != "bytea":
            connection.adapters.register_loader(kind.oid, Time if kind.name.startswith("timestamp") else Written)


_CONNECTIONS: Mapping[str, Callable[[Query], AbstractContextManager[Asked]]] = {
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "postgresql": _postgresql,
}
