"""Commands that process reports: `process` and `demo`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calcitrace.cli.app import Model, NoModel, Patterns, Prevalence, app, say
from calcitrace.cli.bar import RunBar
from calcitrace.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from calcitrace.corpus import RunResult
    from calcitrace.model import Reject
    from calcitrace.sources import Inputs


LINE = 80
MOST_ENDINGS, MOST_ASIDE = 8, 10
FILES = (
    "CSV, TSV, JSONL, Parquet, .xlsx, .txt, HL7 (.hl7) or FHIR (.ndjson) files or folders; .gz too. With --engine "
    "spark, whatever Spark reads: also jdbc:... and names of tables."
)
Files = Annotated[list[str] | None, typer.Argument(help=FILES)]
Source = Annotated[str, typer.Option("--from", help="Format of the inputs: hl7, fhir, omop ..., else told by name.")]
Sql = Annotated[str, typer.Option(help="Instead of files: a SELECT with ORDER BY, or a .sql file that holds it.")]
Url = Annotated[
    str, typer.Option(help="Database of --sql: sqlite:///FILE, duckdb:///FILE or postgresql://USER@HOST/NAME.")
]
COLUMNS = "Columns, where their names are not recognised"


def _column(what: str) -> Any:
    """An option that names a column."""
    return typer.Option(help=f"Column of the {what}.", rich_help_panel=COLUMNS, metavar="<name>")


Screening = Annotated[str, typer.Option(help="Which reports are read in full: rules, case or none (see above).")]
Audit = Annotated[float | None, typer.Option(help="With --screen case: share of reports read in full at random.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds a report may take; then it is rejected.")]
SPARK = "Spark"
Engine = Annotated[str, typer.Option(help="local (the default), or spark (extra `spark`).", rich_help_panel=SPARK)]
MASTER = "As of spark-submit: local[8], yarn, spark://HOST:7077; else as your site's Spark is set up, or local."
Master = Annotated[str, typer.Option(help=MASTER, rich_help_panel=SPARK)]
KIND = "parquet, csv, json, orc, avro, jdbc, table or another format that Spark knows; else told by name."
Kind = Annotated[str, typer.Option(help=KIND, rich_help_panel=SPARK)]
PAIRS = (
    "KEY=VALUE, again and again: an option of Spark's reader (dbtable, query, user, sep, encoding ...), or a setting "
    "of Spark where KEY begins with spark. (spark.jars=DRIVER.jar). A VALUE env:NAME is taken from the environment."
)
Pairs = Annotated[list[str] | None, typer.Option("--spark-option", help=PAIRS, rich_help_panel=SPARK)]
Shard = Annotated[str, typer.Option(help="Do one share of the work, as in 2/8; `merge` joins all shares.")]


ORDER = "Which comes first in dates such as 03.04.2021: dmy or mdy. For ages from birth dates, and cohorts."
CONFIG = """TOML file of these options, as in: text_column = "BEFUND". A flag wins over it."""
DATABASE = """From a database: columns are recognised as in a table, and the query's ORDER BY must name a unique key,
so that a run can go on. Nothing is written to the database. The password is best kept in PGPASSWORD or ~/.pgpass; it
is not stored.

Example: calcitrace process --sql "select * from notes order by note_id" --url postgresql://me@host/ris --out run

Example: calcitrace process archive/ --out run --screen case --audit-fraction 0.001 --workers 8

On Spark: the same rows, in another order; the folder also holds input/*.parquet, the reports as Spark read them. Rows
have no number there: a reject is told by its file and id. In a cluster, start it with spark-submit (docs/scaling.md).

Example: calcitrace process --engine spark archive/ --out run --spark-option spark.driver.memory=4g"""
PROCESS = """Read reports and write mentions, assessments and a summary page to a run folder.

The folder holds reports/*.parquet (one row a report), mentions/*.parquet, rejects.jsonl, manifest.json and
summary.html. Column names are recognised; what was chosen is printed. A later text under one report id is kept
as ID~v2, ~v3 and so on. An interrupted run goes on when the same command is given again.

Each report gets a case status by the case definition and, from a model, a calibrated probability; likely cases
are those at or above the model's threshold. The starter model was trained on synthetic reports: `calcitrace model`
prints its card, `calcitrace train` learns from yours.

A large archive: reports in which no rule can fire are not read in full, which changes nothing of the result
(--screen rules). With --screen case only those are that could meet a tier of the case definition; the others keep a
row (status screened_out, no mentions), and --audit-fraction measures what that misses. `calcitrace status` tells
how far a run has come."""
NOT_ON_SPARK = {
    "source": "--from",
    **{name: f"--{name.replace('_', '-')}" for name in ("sql", "url", "encoding", "delimiter", "workers", "shard")},
    "report_timeout": "--report-timeout",
}
ONLY_ON_SPARK = {"master": "--master", "spark_format": "--spark-format", "spark_option": "--spark-option"}


@app.command(help=PROCESS, epilog=DATABASE)
def process(
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write (or to continue).")],
    inputs: Files = None,
    source: Source = "",
    sql: Sql = "",
    url: Url = "",
    text_column: Annotated[str, _column("report text")] = "",
    findings_column: Annotated[str, _column("findings, where no column holds the whole text")] = "",
    impression_column: Annotated[str, _column("impression, likewise")] = "",
    indication_column: Annotated[str, _column("indication, likewise")] = "",
    technique_column: Annotated[str, _column("technique, likewise")] = "",
    comparison_column: Annotated[str, _column("comparison, likewise")] = "",
    recommendation_column: Annotated[str, _column("recommendation, likewise")] = "",
    addendum_column: Annotated[str, _column("addendum, likewise")] = "",
    id_column: Annotated[str, _column("report ids, such as accession numbers")] = "",
    patient_column: Annotated[str, _column("patient ids")] = "",
    date_column: Annotated[str, _column("study date")] = "",
    modality_column: Annotated[str, _column("modality")] = "",
    body_part_column: Annotated[str, _column("body part or procedure")] = "",
    sex_column: Annotated[str, _column("sex")] = "",
    age_column: Annotated[str, _column("age in years at the study (63, 063Y)")] = "",
    birth_date_column: Annotated[str, _column("birth date; only the age at the study is kept")] = "",
    date_order: Annotated[str, typer.Option(help=ORDER)] = "",
    encoding: Annotated[str, typer.Option(help="Text encoding; by default UTF-8, UTF-16, Windows-1252 are told.")] = "",
    delimiter: Annotated[str, typer.Option(help="Delimiter of CSV files: one character, or 'tab'.")] = "",
    config: Annotated[Path | None, typer.Option(help=CONFIG)] = None,
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    patterns: Patterns = None,
    model: Model = "",
    no_model: NoModel = False,
    prevalence: Prevalence = None,
    screen: Screening = "",
    audit_fraction: Audit = None,
    workers: Annotated[int | None, typer.Option(help="Processes to use; 1 by default.")] = None,
    report_timeout: Timeout = None,
    shard: Shard = "",
    format: Annotated[str, typer.Option(help="parquet (the default), or csv to write CSV files too.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that must be rejected.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew over another run.")] = False,
    engine: Engine = "",
    master: Master = "",
    spark_format: Kind = "",
    spark_option: Pairs = None,
) -> None:
    """Read reports and write a run folder."""
    given = dict(locals())
    said = _settings(given)
    run = _spark_run if said.get("engine") == "spark" else _local_run
    with RunBar() as bar:
        result = run(inputs or [], out, said, overwrite, bar)
    bar.tell(result.chosen, result.lacking)
    _report_result(result)


def _local_run(inputs: list[str], out: Path, said: Mapping[str, Any], overwrite: bool, bar: RunBar) -> RunResult:
    """A run by this process and its workers."""
    from calcitrace.config import run_options
    from calcitrace.corpus import process as run

    url = said.get("url", "")
    asked = _asked(list(map(Path, inputs)), said.get("sql", ""), url)
    how = (said.get("workers", 1), said.get("strict", False), said.get("format") == "csv", overwrite)
    more = (said.get("report_timeout"), _shard(said.get("shard", "")))
    return run(asked, out, run_options(said), *how, bar.advance, _command(url), *more)


def _spark_run(inputs: list[str], out: Path, said: Mapping[str, Any], overwrite: bool, bar: RunBar) -> RunResult:
    """A run on Spark."""
    from calcitrace.config import run_options
    from calcitrace.sparkinput import Reader
    from calcitrace.sparkrun import run

    reader = Reader(said.get("spark_format", ""), said.get("spark_option", {}))
    how = (said.get("strict", False), said.get("format") == "csv", overwrite)
    return run(inputs, out, run_options(said), reader, said.get("master", ""), *how, bar.advance, sys.argv)


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked for by the flags, and by --config where they are silent."""
    from calcitrace.config import COLUMN_FLAGS, settings

    columns = {field: given[flag] for flag, field in COLUMN_FLAGS.items() if flag in given}
    pairs = _pairs(given["spark_option"] or [])
    said = settings(given["config"], {**given, "columns": columns, "spark_option": pairs})
    if said.get("format", "csv") not in ("parquet", "csv"):
        raise UsageError(f"--format {said['format']!r} is not one of parquet, csv (--spark-format is of the inputs)")
    if said.get("engine", "local") not in ("local", "spark"):
        raise UsageError(f"--engine {said['engine']!r} is not one of local, spark")
    other = NOT_ON_SPARK if said.get("engine") == "spark" else ONLY_ON_SPARK
    wrong = [flag for name, flag in other.items() if name in said]
    if wrong:
        raise UsageError(f"{', '.join(wrong)}: not with --engine {said.get('engine', 'local')}")
    return said


def _pairs(words: list[str]) -> dict[str, str] | None:
    """The options that KEY=VALUE words give; None where there are none."""
    from calcitrace.sparkinput import settings_of

    return settings_of(words) if words else None


def _command(url: str) -> list[str]:
    """The command line, without the password in the URL of a database."""
    from calcitrace.sources import without_password

    return [word.replace(url, without_password(url)) if url else word for word in sys.argv]


def _asked(files: list[Path], sql: str, url: str) -> Inputs:
    """The files, or the query of a database."""
    from calcitrace.sources import Query

    if files and not (sql or url):
        return list(files)
    if files or not (sql and url):
        raise UsageError("name files or folders, or a query with both --sql and --url")
    try:
        text = Path(sql).read_text(encoding="utf-8-sig") if sql.lower().endswith(".sql") else sql
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{sql}: cannot be read ({type(error).__name__})") from None
    return Query(text, url)


def _shard(said: str) -> tuple[int, int] | None:
    """The share that "2/8" means."""
    if not said:
        return None
    first, _, every = said.partition("/")
    if not (first.isdigit() and every.isdigit()):
        raise UsageError(f"--shard {said!r} is not of the form 2/8")
    return int(first), int(every)


@app.command()
def merge(
    shards: Annotated[list[Path], typer.Argument(help="The run folders of all shards.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write.")],
    format: Annotated[str, typer.Option(help="parquet, or csv to write CSV files too.")] = "parquet",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew over another run.")] = False,
) -> None:
    """Join the run folders of `process --shard 1/N` to `N/N`; the result is that of one run over the whole archive.

    Example: calcitrace merge run_1 run_2 run_3 run_4 --out run
    """
    from calcitrace.shards import merge as join
    from calcitrace.summary import unknown_modalities_said

    run = join(shards, out, format == "csv", overwrite)
    print(f"{run.total('reports'):,} reports, {run.total('likely'):,} likely cases; wrote {out}")
    if unknown := unknown_modalities_said(run.counts):
        say(f"note: {unknown}")


@app.command()
def status(run: Annotated[Path, typer.Argument(help="A run folder, finished or at work.")]) -> None:
    """Tell how far a run has come: reports, rejects and likely cases so far, rate and time left.

    Example: calcitrace status run
    """
    from calcitrace.progress import how_far

    for name, value in how_far(run):
        print(f"{name:20}{value}")


def _report_result(result: RunResult) -> None:
    from calcitrace.runfolder import read_manifest
    from calcitrace.summary import counts_of, unknown_modalities_said

    for name, value in (
        ("rows read", result.rows),
        ("reports", result.reports),
        ("rejected", result.rejects),
        ("mentions", result.mentions),
        ("likely cases", result.likely),
    ):
        print(f"{name:14}{value:>10,}")
    for line in _model_said(result):
        print(line)
    print(f"wrote {result.folder}; open {result.folder / 'summary.html'} in a browser")
    manifest = read_manifest(result.folder)
    _tell_other_rules(result, manifest)
    if unknown := unknown_modalities_said(counts_of(manifest)):
        say(f"note: {unknown}")
    if not result.rows:
        say("no row was read: does the input hold more than a header?")
    if result.left_out:
        say(f"left out, of no known format: {_endings(Counter(result.left_out))}")
    if result.rejects:
        tell_rejects(result.first_rejects, result.rejects, f"; see {result.folder / 'rejects.jsonl'}")
        raise typer.Exit(ExitCode.REJECTS)


def tell_rejects(first: Iterable[Reject], n: int, more: str = "") -> None:
    """Say of the first rows that are no reports where they stand and why, of how many in all, and where to see more."""
    from calcitrace.sources import place

    for reject in first:
        say(f"rejected {place(reject)}: {reject.reason}")
    say(f"{n:,} rejected in all{more}")


def _tell_other_rules(result: RunResult, manifest: Mapping[str, Any]) -> None:
    """Say that a model of one's own was trained with other rules than those of the run."""
    model, rules = manifest["model"], manifest["ruleset_hash"]
    if model and manifest["options"]["model"] and model["trained_with_rules"] != rules:
        say(
            f"note: the model {model['name']} was trained with other rules ({model['trained_with_rules'][:8]}, these "
            f"are {rules[:8]}), so its probabilities and threshold may be off; train it anew from its labels: "
            f"calcitrace train LABELS --run {result.folder} --out NEW_MODEL"
        )


def _model_said(result: RunResult) -> Iterator[str]:
    """The threshold of a run's model, and which reports only the case definition takes for likely cases."""
    from textwrap import wrap

    from calcitrace.phrases import many
    from calcitrace.runfolder import read_manifest
    from calcitrace.show import visible
    from calcitrace.sources import shown_id
    from calcitrace.summary import by_definition_said, threshold_said

    manifest = read_manifest(result.folder)
    if told := by_definition_said(manifest):
        yield from wrap(told, LINE, subsequent_indent="  ", break_on_hyphens=False)
    for sentence in threshold_said(manifest):
        yield from wrap(sentence, LINE, subsequent_indent="  ", break_on_hyphens=False)
    if result.set_aside:
        status = " or ".join(manifest["likely_status"])
        yield f"Set aside by the model: {many(result.set_aside, 'report')}, {status} by the case definition"
        for row in result.aside[:MOST_ASIDE]:
            name = visible(shown_id(row["report_id"])) or "an id that reads as text"
            yield f"  {name} ({row['case_status']}, probability {row['case_probability']:.3g})"
        if result.set_aside > MOST_ASIDE:
            yield "  ...; more of them are in summary.html, all are in the table reports"
        yield f"  to see why: calcitrace show --run {result.folder} REPORT_ID --why"


def _endings(found: Counter[str]) -> str:
    """How many files of each ending, the most frequent first; those of the rarest together."""
    ranked = sorted(found.items(), key=lambda f: (-f[1], f[0]))
    said = [f"{n:,} {ending}" for ending, n in ranked[:MOST_ENDINGS]]
    rest = sum(n for _, n in ranked[MOST_ENDINGS:])
    return ", ".join(said) + (f" and {rest:,} with {len(ranked) - MOST_ENDINGS:,} other endings" if rest else "")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write.")] = Path("calcitrace-demo"),
) -> None:
    """Process the sample corpus that ships with calcitrace (synthetic reports) and show what it found."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from calcitrace.corpus import process as run
    from calcitrace.frames import read_run
    from calcitrace.samples import sample_corpus

    with RunBar() as bar:
        result = run(sample_corpus(), out, overwrite=True, on_progress=bar.advance, command=sys.argv)
    reports, _ = read_run(out)
    table = Table(title="Likely cases in the synthetic sample corpus", title_justify="left", box=None, pad_edge=False)
    for column in ("report", "probability", "modality", "status", "migration type", "where"):
        table.add_column(column)
    likely = reports[reports["likely_case"]].sort_values(["case_probability", "report_id"], ascending=[False, True])
    for row in likely.to_dict("records"):
        where = " ".join(x for x in (row["laterality"], row["tendon"]) if x != "none")
        read = (row[k] for k in ("modality", "case_status", "migration_type"))
        cells = (row["report_id"], f"{row['case_probability']:.3f}", *read, where)
        table.add_row(*(Text(str(cell).replace("_", " ")) for cell in cells))
    Console().print(table)
    _report_result(result)
