"""Databases as sources: SQLite, DuckDB and PostgreSQL give their rows in order, and neither text nor password leaks."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from calcitrace import process
from calcitrace.errors import BrokenOffError, CalcitraceError, RunError, SourceError, UsageError
from calcitrace.model import Report
from calcitrace.runfolder import read_manifest
from calcitrace.sources import Query, place_of, read_reports, without_password

MARK = "zebrafish"
PASSWORD = "p@ss/w:rd 1"
TEXT = "The right shoulder is as before."
ALL = "select * from notes order by note_id"
NOTES = [(1, "007", "2019-03-02", TEXT), (2, "P2", "2019-03-03", "No fracture."), (3, "P2", None, None)]


def server_programs() -> Path | None:
    """The folder of a PostgreSQL server's programs, if one is installed."""
    found = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), shutil.which("postgres")]
    return next((p if (p := Path(f)).is_dir() else p.resolve().parent for f in found if f), None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A PostgreSQL server of our own on a socket in a private folder: its connection and the URL without password."""
    programs = server_programs()
    if programs is None or not (programs / "initdb").exists():
        pytest.skip("NO POSTGRESQL SERVER: nothing here was tested against one; apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="calcitrace-pg-", dir="/tmp"))  # a socket's path must be short
    (folder / "password").write_text(PASSWORD)
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
        shutil.chown(folder / "password", "postgres")

    def run(program: str, *words: str) -> None:
        output = subprocess.DEVNULL
        subprocess.run([programs / program, *words], check=True, cwd="/", stdout=output, stderr=output, **user)  # type: ignore[call-overload]

    data, options = str(folder / "data"), f"-k {folder} -p 5439 -c listen_addresses='' -c fsync=off"
    try:
        run("initdb", "-D", data, "-U", "ris", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8")
        run("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
        host = str(folder).replace("/", "%2F")
        yield {"host": str(folder), "port": "5439", "url": f"postgresql://ris@{host}:5439/postgres"}
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def postgresql(server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty PostgreSQL database; the password is in the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with psycopg.connect(server["url"], autocommit=True) as connection:
        connection.execute("drop schema public cascade; create schema public")
        yield connection


Made = Callable[..., Query]


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Make a database of each kind with these statements, and a query of it: `made(sql, *statements)`."""
    return maker(request.param, request, tmp_path)


def maker(kind: str, request: pytest.FixtureRequest, folder: Path) -> Made:
    """What `made` is for one kind of database."""

    def call(sql: str, *statements: str) -> Query:
        if kind == "postgresql":
            database = request.getfixturevalue("postgresql")
            for statement in statements:
                database.execute(statement)
            return Query(sql, request.getfixturevalue("server")["url"])
        connect: Any = sqlite3.connect if kind == "sqlite" else duckdb.connect
        with closing(connect(str(folder / f"db.{kind}"))) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return Query(sql, f"{kind}:///{folder}/db.{kind}")

    return call


def sql_of(value: Any) -> str:
    """A value as SQL."""
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def notes(*rows: tuple[Any, ...]) -> list[str]:
    """Statements that make a table of notes."""
    values = ", ".join(f"({', '.join(map(sql_of, row))})" for row in rows or NOTES)
    columns = "note_id integer, person_id varchar(9), note_date varchar(20), note_text text"
    return [f"create table notes ({columns})", f"insert into notes values {values}"]


def ids(inputs: Any) -> list[str]:
    """The ids of the reports of a source."""
    return [r.report_id for r in read_reports(inputs)]


# Rows


def test_the_columns_of_a_query_are_recognised(made: Made, read: Any) -> None:
    """Each database gives ids and texts as they are; a row without text is a reject with its place."""
    got = read(made(ALL, *notes()))
    assert got.reports == [Report("1", TEXT, "007", "2019-03-02"), Report("2", "No fracture.", "P2", "2019-03-03")]
    assert [(r.source, r.row, r.reason, r.report_id) for r in got.rejects] == [("query", 3, "empty text", "3")]


def test_columns_can_be_named(made: Made, read: Any) -> None:
    """As in a table, options name the columns that are not recognised."""
    query = made("select note_id as k, note_text as t from notes order by 1", *notes())
    assert read(query, columns={"text": "t", "report_id": "K"}).texts == [("1", TEXT), ("2", "No fracture.")]


def test_a_query_without_text_tells_its_columns(made: Made, read: Any) -> None:
    """The error is that of a table, with the database in it."""
    with pytest.raises(SourceError, match="no column of report text; columns are: note_id, person_id"):
        read(made("select note_id, person_id from notes order by note_id", *notes()))


def test_a_column_that_stands_twice_is_refused(made: Made, read: Any) -> None:
    """A join may give two columns of one name."""
    query = made("select a.note_id, a.note_text, b.note_text from notes a, notes b order by 1, b.note_id", *notes())
    with pytest.raises(SourceError, match="column 'note_text' stands twice"):
        read(query)


def test_a_later_text_is_a_version_and_a_repeat_a_reject(made: Made, read: Any) -> None:
    """Addenda in a table of their own come out as from any other source."""
    rows = [(1, "p", "d", "One."), (1, "p", "d", "One."), (1, "p", "d", "One. Addendum.")]
    got = read(made("select * from notes order by note_text", *notes(*rows)))
    assert got.texts == [("1", "One."), ("1~v2", "One. Addendum.")]
    assert got.reasons == [(2, "repeated: same report id and same text as an earlier row")]


def test_marks_in_a_query_mean_what_they_mean_to_the_database(made: Made, read: Any) -> None:
    """Percent signs, colons, question marks, comments, quotes and a last semicolon are the query's own."""
    sql = """
        -- all that tell a percentage; not the others
        select note_id, note_text, ':x ? %s' as note_title from notes /* ; */
        where note_text like '%100%%' order by note_id ;
    """
    query = made(sql, *notes((1, "p", "d", "Tear of 100%; ''new''"), (2, "p", "d", "No tear.")))
    assert [(r.text, r.body_part) for r in read(query).reports] == [("Tear of 100%; 'new'", ":x ? %s")]


def test_an_empty_result_is_no_error(made: Made, read: Any) -> None:
    """No rows, no reports."""
    got = read(made("select * from notes where note_id > 9 order by note_id", *notes()))
    assert (got.reports, got.rejects) == ([], [])


def test_rows_come_in_the_order_of_the_query(made: Made) -> None:
    """The order is the database's to keep, over more rows than are fetched at once."""
    few = "(select note_id from notes where note_id <= 10)"
    more = f"insert into notes select 100 * a.note_id + 10 * b.note_id + c.note_id, 'p', 'd', 'x' from {few} a, {few} b"
    rows = [(n, "p", "d", f"text {n}") for n in range(1, 16)]
    query = made(
        "select note_id, note_text || note_id as text from notes order by 1 desc", *notes(*rows), f"{more}, {few} c"
    )
    numbers = [int(i.split("~")[0]) for i in ids(query)]
    assert (len(numbers), numbers) == (15 + 10**3, sorted(numbers, reverse=True))


@pytest.mark.parametrize(
    ("kind", "value", "date"),
    [
        ("duckdb", "date '2019-03-02'", "2019-03-02"),
        ("duckdb", "timestamp '2019-03-02 10:30:00'", "2019-03-02T10:30:00"),
        ("duckdb", "timestamp '2019-03-02 00:00:00'", "2019-03-02"),
        ("postgresql", "date '2019-03-02'", "2019-03-02"),
        ("postgresql", "timestamp '2019-03-02 10:30'", "2019-03-02T10:30:00"),
        ("postgresql", "timestamp '2019-03-02'", "2019-03-02"),
        ("postgresql", "timestamptz '2019-03-02 10:30+00' at time zone 'UTC'", "2019-03-02T10:30:00"),
        ("postgresql", "date 'infinity'", "infinity"),
        ("postgresql", "date '0044-03-15 BC'", "0044-03-15 BC"),
    ],
)
def test_dates_are_iso(kind: str, value: str, date: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Dates and times come as ISO; one that Python cannot hold does not cost the row or the run."""
    query = maker(kind, request, tmp_path)(f"select 1 as id, 'x' as text, {value} as study_date order by 1")
    if kind == "duckdb":
        query = Query(query.sql, "duckdb://")
    assert [r.study_date for r in read_reports(query)] == [date]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("postgresql", "1.50::numeric", "1.50"),
        ("postgresql", "7::bigint", "7"),
        ("postgresql", "'00000000-0000-0000-0000-000000000007'::uuid", "00000000-0000-0000-0000-000000000007"),
        ("postgresql", "convert_to('caf\u00e9', 'UTF8')", "caf\u00e9"),
        ("duckdb", "1.50::decimal(9,2)", "1.50"),
        ("duckdb", "7::hugeint", "7"),
        ("duckdb", "encode('caf\u00e9')", "caf\u00e9"),
        ("sqlite", "1.0", "1"),
        ("sqlite", "cast('caf\u00e9' as blob)", "caf\u00e9"),
    ],
)
def test_values_of_every_type_are_text(
    kind: str, value: str, text: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Numbers, ids and bytes come as they are written."""
    query = maker(kind, request, tmp_path)(f"select 1 as id, {value} as text order by 1")
    if kind == "duckdb":
        query = Query(query.sql, "duckdb://")
    assert [r.text for r in read_reports(query)] == [text]


@pytest.mark.parametrize(("kind", "value"), [("postgresql", "array['a', 'b']"), ("duckdb", "['a', 'b']")])
def test_a_list_is_a_reject(kind: str, value: str, request: pytest.FixtureRequest, tmp_path: Path, read: Any) -> None:
    """What is no single value is no text, and the next row is read."""
    arrays = f"select 1 as id, {value} as text order by 1"
    query = maker(kind, request, tmp_path)(arrays)
    got = read(Query(arrays, "duckdb://") if kind == "duckdb" else query)
    assert got.reasons == [(1, "the text is no single value")]


def test_sqlite_keeps_text_that_is_no_utf_8(tmp_path: Path) -> None:
    """SQLite does not look at what it stores: text in Windows-1252 is read as such, and never told in an error."""
    with closing(sqlite3.connect(tmp_path / "db.sqlite")) as connection:
        connection.execute("create table notes (note_id integer, note_text text)")
        connection.execute("insert into notes values (1, cast(x'636166e9' as text)), (2, 'caf\u00e9')")
        connection.commit()
    reports = read_reports(Query(ALL, f"sqlite:///{tmp_path}/db.sqlite"))
    assert [r.text for r in reports] == ["caf\u00e9", "caf\u00e9"]


def test_duckdb_reads_files_without_a_database(tmp_path: Path) -> None:
    """`duckdb://` is a database in memory, which can ask Parquet and CSV files."""
    (tmp_path / "a.csv").write_text("note_id,note_text\n1,one\n2,two\n")
    assert ids(Query(f"select * from '{tmp_path}/a.csv' order by note_id", "duckdb://")) == ["1", "2"]


def test_files_and_a_query_can_be_read_together(tmp_path: Path) -> None:
    """A query is an input like any other."""
    (tmp_path / "a.csv").write_text("id,text\nA,one\n")
    assert ids([tmp_path / "a.csv", Query("select 1 as id, 'x' as text order by 1", "duckdb://")]) == ["A", "1"]


def test_a_note_table_of_omop_with_its_persons(made: Made) -> None:
    """The README's query over OMOP gives each report its patient's sex and age."""
    tables = [
        "create table note (note_id integer, person_id integer, note_date date, note_title text, note_text text)",
        "create table person (person_id integer, gender_source_value text, year_of_birth integer)",
        "insert into note values (1, 7, '2019-03-02', 'MR shoulder', 'Deposit.')",
        "insert into person values (7, 'F', 1960)",
    ]
    query = made(
        "select n.*, p.gender_source_value as sex from note n join person p using (person_id) order by 1", *tables
    )
    assert list(read_reports(query)) == [
        Report("1", "Deposit.", "7", "2019-03-02", body_part="MR shoulder", sex="F"),
    ]


# Queries and addresses that are refused


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from notes", "the query needs an ORDER BY over a key"),
        ("select * from notes -- order by note_id", "the query needs an ORDER BY over a key"),
        ("select 'order by' as a from notes", "the query needs an ORDER BY over a key"),
        ("delete from notes", "the query must be one SELECT"),
        ("select 1; drop table notes; select 1 order by 1", "the query must be one SELECT"),
        ("", "the query must be one SELECT"),
    ],
)
def test_a_query_is_one_select_in_an_order(sql: str, said: str) -> None:
    """Without an order of rows a run that was interrupted could not go on."""
    with pytest.raises(UsageError, match=said):
        Query(sql, "sqlite:///notes.db")


@pytest.mark.parametrize("url", ["notes.db", "mysql://u@h/d", "", "postgresql:", "http://x"])
def test_a_url_names_a_known_database(url: str) -> None:
    """The error shows one of each kind."""
    with pytest.raises(UsageError, match="sqlite:///notes.db, duckdb:///notes.duckdb, postgresql://user@host"):
        Query(ALL, url)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_database_file_that_is_not_there(kind: str, tmp_path: Path) -> None:
    """It is not made, either."""
    with pytest.raises(SourceError, match="no such file"):
        ids(Query(ALL, f"{kind}:///{tmp_path}/none.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_file_that_is_no_database(kind: str, tmp_path: Path) -> None:
    """A wrong file is an error that names it and nothing in it."""
    (tmp_path / "x.db").write_text(f"{MARK}\n" * 900)
    with pytest.raises(SourceError, match=r"x\.db: ") as caught:
        ids(Query(ALL, f"{kind}:///{tmp_path}/x.db"))
    assert MARK not in str(caught.value)


@pytest.mark.parametrize("sql", ["select nope from notes order by 1", "select * from nope order by 1"])
def test_what_the_database_does_not_know_is_told(sql: str, made: Made) -> None:
    """Names of the query are no secret."""
    with pytest.raises(SourceError, match="nope"):
        ids(made(sql, *notes()))


def test_an_error_of_the_database_tells_no_text(made: Made) -> None:
    """A cast that fails would quote the text that it failed on."""
    sql = "select note_id, cast(cast(note_text as date) as varchar(9)) as note_text from notes order by note_id"
    query = made(sql, *notes((1, "p", "d", MARK)))
    if query.kind == "sqlite":  # casts anything
        return
    with pytest.raises(CalcitraceError) as caught:
        ids(query)
    assert MARK not in str(caught.value)
    assert caught.value.__context__ is None


def test_nothing_is_written_to_the_database(made: Made) -> None:
    """A SELECT that writes is refused by the database itself."""
    made(ALL, *notes())
    writes = {
        "sqlite": "select * from notes order by note_id",
        "duckdb": "select nextval('s') as id, 'x' as text order by 1",
        "postgresql": "select nextval('s') as id, 'x' as text order by 1",
    }
    query = made(ALL)
    if query.kind == "sqlite":  # has no SELECT that writes
        return
    with pytest.raises(CalcitraceError, match="ReadOnlySqlTransaction|InvalidInputException"):
        ids(made(writes[query.kind], "create sequence s"))


@pytest.mark.parametrize(("url", "library"), [("duckdb://", "duckdb"), ("postgresql://h/d", "psycopg")])
def test_a_library_that_is_not_installed(url: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf'needs {library}: pip install "calcitrace\[sources\]"'):
        ids(Query(ALL, url))


# Passwords


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me@host/db"),
        ("postgresql://me:se%40cret@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgresql://me:se@cret/x y@host/db", "postgresql://me@host/db"),
        ("postgresql+psycopg://me:secret@host/db", "postgresql+psycopg://me@host/db"),
        ("postgres://:secret@host/db", "postgres://@host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:///C:/a@b.db", "sqlite:///C:/a@b.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """Whatever marks a password holds, none of it is left."""
    assert without_password(url) == shown
    assert "secret" not in repr(Query(ALL, url))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:{}@{}:5439/postgres", "password authentication failed"),
        ("postgresql://me:{}@{}:5438/postgres", "No such file or directory"),
        ("postgresql://me:{}@%zz:5439/postgres", "is the URL right"),
    ],
)
def test_a_connection_that_fails_tells_no_password(url: str, why: str, server: dict[str, str]) -> None:
    """What the server says is told in known words only."""
    with pytest.raises(SourceError, match=why) as caught:
        ids(Query(ALL, url.format("hush%40hush", server["host"].replace("/", "%2F"))))
    assert "hush" not in str(caught.value)


def test_no_file_of_a_run_holds_the_password(
    server: dict[str, str], postgresql: Any, command: Any, tmp_path: Path
) -> None:
    """Neither the run folder nor what is printed, on success or failure; and the same command goes on."""
    for statement in notes():
        postgresql.execute(statement)
    secret = "p%40ss%2Fw%3Ard%201"
    url = server["url"].replace("ris@", f"ris:{secret}@")
    for sql, code in ((ALL, 3), (ALL, 3), ("select nope from notes order by 1", 4)):
        ended = command("process", "--sql", sql, f"--url={url}", "-o", tmp_path / "run")
        assert ended.code == code
        assert secret not in ended.out + ended.err
        assert PASSWORD not in ended.out + ended.err
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) > 5
    assert [p.name for p in files if secret.encode() in p.read_bytes() or PASSWORD.encode() in p.read_bytes()] == []
    manifest = read_manifest(tmp_path / "run")
    assert manifest["inputs"][0]["path"] == server["url"]
    assert f"--url={server['url']}" in manifest["command"]


# Runs


def tables(folder: Path) -> dict[str, bytes]:
    """The tables of a run folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.glob("*/*.parquet")}


MANY = [(n, f"P{n % 7}", "2019-03-02", TEXT if n % 5 == 0 else f"Normal shoulder, study {n}.") for n in range(1, 61)]


def test_a_run_that_was_interrupted_goes_on(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables are those of a run that was not."""
    monkeypatch.setattr("calcitrace.corpus.PART_ROWS", 20)
    query = made(ALL, *notes(*MANY))
    process(query, tmp_path / "whole")

    def stop(progress: Any) -> None:
        if progress.reports > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process(query, tmp_path / "run", on_progress=stop)
    assert 0 < len(tables(tmp_path / "run")) < 6
    result = process(query, tmp_path / "run")
    assert (result.rows, result.reports, result.rejects) == (60, 60, 0)
    assert tables(tmp_path / "run") == tables(tmp_path / "whole")


@pytest.mark.parametrize(
    "change",
    [
        "insert into notes values (99, 'p', 'd', 'new')",
        "update notes set note_text = 'other' where note_id = 2",
        "delete from notes where note_id = 2",
    ],
)
def test_a_run_does_not_go_on_over_other_rows(change: str, made: Made, tmp_path: Path) -> None:
    """Rows that were added, changed or taken away since are another input."""
    process(made(ALL, *notes()), tmp_path / "run")
    with pytest.raises(RunError, match="holds a run with other inputs"):
        process(made(ALL, change), tmp_path / "run")


def test_a_run_does_not_go_on_with_another_query(made: Made, tmp_path: Path) -> None:
    """Even if it gives the same rows."""
    process(made(ALL, *notes()), tmp_path / "run")
    with pytest.raises(RunError, match="holds a run with other inputs"):
        process(made("select * from notes order by note_id asc"), tmp_path / "run")


def test_rows_that_change_while_they_are_read_end_the_run(made: Made, tmp_path: Path) -> None:
    """What was hashed is what must be read."""
    query = made(ALL, *notes())
    query.described()
    made(ALL, "delete from notes where note_id = 1")
    with pytest.raises(BrokenOffError, match="the rows changed, or came in another order"):
        ids(query)


def test_an_input_is_opened_again_by_its_description(made: Made, tmp_path: Path) -> None:
    """What the manifest says of a query or a file is enough to read it again."""
    process(made(ALL, *notes()), tmp_path / "run")
    (told,) = read_manifest(tmp_path / "run")["inputs"]
    assert ids(place_of(told)) == ["1", "2"]
    assert (told["rows"], told["reports"], told["rejects"]) == (3, 2, 1)
    assert told["chosen"].startswith("columns report_id = note_id, text = note_text")


def test_a_server_that_goes_away_ends_the_run_resumably(server: dict[str, str], postgresql: Any) -> None:
    """The rows so far were read; the same command goes on (exit code 5)."""
    big = "select i as id, repeat('x', 2000) as text from generate_series(1, 20000) i order by i"
    reports = read_reports(Query(big, server["url"]))
    assert next(reports).report_id == "1"
    postgresql.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'calcitrace'")
    with pytest.raises(BrokenOffError, match="broke off .*; give the same command again") as caught:
        list(reports)
    assert caught.value.exit_code == 5


def test_rows_are_streamed(server: dict[str, str], postgresql: Any) -> None:
    """The first row is there although the query would never end."""
    endless = "with recursive n as (select 1 as i union all select i + 1 from n) select i as id, 'x' as text from n"
    reports = read_reports(Query(f"{endless} -- order by\n, (select 1 order by 1) x", server["url"]))
    assert next(reports).report_id == "1"
    reports.close()  # type: ignore[attr-defined]


# The command line


def test_a_query_may_stand_in_a_file(made: Made, command: Any, tmp_path: Path) -> None:
    """--sql takes a file that ends in .sql."""
    query = made(ALL, *notes())
    (tmp_path / "q.sql").write_text(f"\ufeff-- all notes\n{ALL};\n", encoding="utf-8")
    ended = command("process", "--sql", tmp_path / "q.sql", "--url", query.url, "-o", tmp_path / "run")
    assert (ended.code, ended.out.split()[:6]) == (3, ["rows", "read", "3", "reports", "2", "rejected"])
    assert "rejected query:3: empty text" in ended.err


@pytest.mark.parametrize(
    "words", [["--sql", ALL], ["--url", "duckdb://"], ["a.csv", "--sql", ALL, "--url", "duckdb://"], []]
)
def test_a_query_stands_alone_and_whole(words: list[str], command: Any, tmp_path: Path) -> None:
    """Files and a query in one run are for the library; half a query is none."""
    ended = command("process", *words, "-o", tmp_path / "run")
    assert ended.code == 2
    assert "name files or folders, or a query with both --sql and --url" in ended.err
