"""The command line: one command per library function; the only place that prints or exits."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from calcitrace.errors import CalcitraceError, ExitCode, SourceError, UsageError

if TYPE_CHECKING:
    from calcitrace.corpus import Progress, RunResult


class _Commands(TyperGroup):
    """Commands by name; an unknown one is not repeated, since it may be a report that was given without `show`."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called `cmd_name`."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not ctx.resilient_parsing:
            raise UsageError("no such command; --help names them, and `calcitrace show --text` reads a report")
        return found


app = typer.Typer(
    name="calcitrace",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Mine radiology reports for intraosseous migration of intratendinous calcification.\n\n"
    "Start with [bold]calcitrace demo[/bold], then [bold]calcitrace process REPORTS.csv --out RUN[/bold]. "
    "Nothing leaves this machine.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong use, 3 done but rows were rejected, 4 input unreadable, "
    "5 interrupted (give the same command again), 6 run folder damaged or of another run.",
)
rules_app = typer.Typer(
    cls=_Commands, no_args_is_help=True, help="Look at and check the rules, which are data (YAML files)."
)
app.add_typer(rules_app, name="rules")

Patterns = Annotated[
    Path | None, typer.Option("--patterns", help="A folder of rules to use instead of those that ship.")
]


TYPER_INTERRUPTED = 130


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> None:
    """Run the command line; every error becomes one line on stderr and an exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="calcitrace", standalone_mode=True)
    except CalcitraceError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != TYPER_INTERRUPTED:
            raise
        _say("interrupted; give the same command again to go on")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.FAILURE)
    except Exception as error:  # the message of an unknown error may hold report text: name its kind and place only
        _say(f"error: {_place(error)}. This is a fault of calcitrace; please report this line")
        sys.exit(ExitCode.FAILURE)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"
    return f"{type(error).__name__} at {where}"


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        print(f"calcitrace {version('calcitrace')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def process(
    inputs: Annotated[
        list[Path], typer.Argument(help="CSV, TSV, JSONL, Parquet, .xlsx or .txt files or folders; .gz too.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to write (or to continue).")],
    text_column: Annotated[str, typer.Option(help="Column of the report text.")] = "",
    findings_column: Annotated[str, typer.Option(help="Column of the findings, where text is in pieces.")] = "",
    impression_column: Annotated[str, typer.Option(help="Column of the impression, where text is in pieces.")] = "",
    id_column: Annotated[str, typer.Option(help="Column of the report id.")] = "",
    patient_column: Annotated[str, typer.Option(help="Column of the patient id.")] = "",
    date_column: Annotated[str, typer.Option(help="Column of the study date.")] = "",
    modality_column: Annotated[str, typer.Option(help="Column of the modality.")] = "",
    body_part_column: Annotated[str, typer.Option(help="Column of body part or procedure.")] = "",
    sex_column: Annotated[str, typer.Option(help="Column of the patient's sex.")] = "",
    age_column: Annotated[str, typer.Option(help="Column of the patient's age.")] = "",
    encoding: Annotated[str, typer.Option(help="Text encoding; by default UTF-8, UTF-16, Windows-1252 are told.")] = "",
    delimiter: Annotated[str, typer.Option(help="Delimiter of CSV files: one character, or 'tab'.")] = "",
    config: Annotated[Path | None, typer.Option(help="TOML file with these options (a flag wins over it).")] = None,
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    patterns: Patterns = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
    format: Annotated[str, typer.Option(help="parquet, or csv to write CSV files too.")] = "parquet",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that must be rejected.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew over another run.")] = False,
) -> None:
    """Read reports and write mentions, assessments and a summary page to a run folder.

    The folder holds reports/*.parquet (one row a report), mentions/*.parquet, rejects.jsonl, manifest.json and
    summary.html. Column names are recognised; what was chosen is printed. A later text under one report id is kept
    as ID~v2, ~v3 and so on. An interrupted run goes on when the same command is given again.

    Example: calcitrace process reports.csv --out run --text-column REPORT_BODY
    """
    given = dict(locals())
    from calcitrace.config import COLUMN_FLAGS, run_options
    from calcitrace.corpus import process as run

    columns = {field: given[flag] for flag, field in COLUMN_FLAGS.items() if flag in given}
    if format not in ("parquet", "csv"):
        raise UsageError(f"--format {format!r} is not one of parquet, csv")
    options = run_options(config, {**given, "columns": columns})
    with _Bar() as bar:
        result = run(inputs, out, options, workers, strict, format == "csv", overwrite, bar.advance, sys.argv)
    bar.tell(result.chosen)
    _report_result(result)
    if result.rejects:
        raise typer.Exit(ExitCode.REJECTS)


class _Bar:
    """A progress bar on stderr with rate and time left, where stderr is a terminal; tells what was chosen."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        self._bar = Rich(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("loading the rules", total=1.0)
        self._began = 0.0
        self._told: set[str] = set()

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, progress: Progress) -> None:
        """Show how far the run has come."""
        self.tell(progress.chosen if not self._told else {})
        if not progress.done:
            self._began = time.monotonic()
        rate = progress.done / max(time.monotonic() - self._began, 0.001)
        said = f"{progress.reports:,} reports, {rate:,.0f}/s, {progress.likely:,} likely"
        self._bar.update(self._task, completed=progress.fraction, description=said)

    def tell(self, chosen: Mapping[str, str]) -> None:
        """Say what was chosen for the inputs, once for all those that were read alike."""
        alike: dict[str, list[str]] = {}
        for path, said in chosen.items():
            alike.setdefault(said, []).append(Path(path).name)
        for said, names in alike.items():
            if said not in self._told:
                _say(f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''}: {said}")
        self._told |= alike.keys()


def _report_result(result: RunResult) -> None:
    for name, value in (
        ("rows read", result.rows),
        ("reports", result.reports),
        ("rejected", result.rejects),
        ("mentions", result.mentions),
        ("likely cases", result.likely),
    ):
        print(f"{name:14}{value:>10,}")
    print(f"wrote {result.folder}; open {result.folder / 'summary.html'} in a browser")
    if result.left_out:
        said = ", ".join(f"{n:,} {ending}" for ending, n in sorted(result.left_out.items()))
        _say(f"left out, of no known format: {said}")
    for reject in result.first_rejects:
        _say(f"rejected {reject.source}{f':{reject.row}' if reject.row else ''}: {reject.reason}")
    if result.rejects:
        _say(f"{result.rejects:,} rejected in all; see {result.folder / 'rejects.jsonl'}")


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

    with _Bar() as bar:
        result = run(sample_corpus(), out, overwrite=True, on_progress=bar.advance, command=sys.argv)
    reports, _ = read_run(out)
    table = Table(title="Likely cases in the synthetic sample corpus", title_justify="left", box=None, pad_edge=False)
    for column in ("report", "date", "modality", "status", "migration type", "where"):
        table.add_column(column)
    for row in reports[reports["likely_case"]].to_dict("records"):
        where = " ".join(x for x in (row["laterality"], row["tendon"]) if x != "none")
        cells = (row["report_id"], row["study_date"], row["modality"], row["case_status"], row["migration_type"], where)
        table.add_row(*(Text(str(cell).replace("_", " ")) for cell in cells))
    Console().print(table)
    _report_result(result)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder that `process` wrote.")],
    gold: Annotated[Path, typer.Argument(help="Gold standard: JSON lines, one report a line.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write; RUN/evaluation by default.")] = None,
    prevalence: Annotated[float, typer.Option(help="Share of cases in the archive, for PPV and NPV there.")] = 0.005,
    resamples: Annotated[int, typer.Option(help="Draws of patients for the intervals.")] = 1000,
    errors: Annotated[bool, typer.Option(help="List the errors; not for a test set that must stay unseen.")] = True,
) -> None:
    """Score a run against a gold standard, with intervals; writes evaluation.json and evaluation.html.

    Example: calcitrace evaluate run gold.jsonl --prevalence 0.005
    """
    from calcitrace.evaluate import evaluate as score
    from calcitrace.evaluate.page import table_rows

    found = score(run, gold, out, prevalence, resamples, list_errors=errors)
    for row in [("figure", "value", "95% reports", "95% patients", "n"), *table_rows(found)]:
        print("{:30}{:>7}{:>13}{:>14}  {}".format(*row))
    print(f"wrote {(out or run / 'evaluation') / 'evaluation.html'} and evaluation.json")


@app.command()
def show(
    file: Annotated[list[str] | None, typer.Argument(help="A text file; - or nothing reads stdin.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="The report itself.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    patterns: Patterns = None,
) -> None:
    """Read one report and show its mentions, their assertions and the cues that decided them.

    Example: calcitrace show --text "No cortical erosion. 8 mm calcific deposit in the supraspinatus."
    """
    given = _given(file or [], text)
    from calcitrace.annotate import Annotator
    from calcitrace.assess import assess
    from calcitrace.corpus import DEFAULT_CASE
    from calcitrace.model import Report
    from calcitrace.rules import load_rules
    from calcitrace.show import as_json as plain
    from calcitrace.show import as_rich
    from calcitrace.workers import case_of

    rules = load_rules(patterns)
    definition = case_of(rules, case or DEFAULT_CASE)
    annotated = Annotator(rules).annotate(Report("report", given))
    assessment = assess(annotated, rules, definition)
    if as_json:
        print(json.dumps(plain(annotated, assessment), ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    Console(highlight=False).print(as_rich(annotated, assessment))


def _given(files: list[str], text: str | None) -> str:
    """The text of the one report that is given; messages repeat no argument, since it may be report text."""
    from calcitrace.sources import decode

    if len(files) + (text is not None) > 1:
        raise UsageError("give one file, or the report with --text (in quotes)")
    if text is not None:
        found = text
    elif files and files[0] != "-":
        try:
            found = decode(Path(files[0]).read_bytes())
        except (OSError, ValueError):
            raise SourceError("the file cannot be read; to give the report itself, use --text") from None
    elif sys.stdin.isatty():
        raise UsageError("give a file, the report with --text, or a report on standard input")
    else:
        found = decode(sys.stdin.buffer.read())
    if not found.strip():
        raise SourceError("the report is empty")
    return found


@rules_app.command("check")
def rules_check(patterns: Patterns = None) -> None:
    """Validate every rule file and run every example in it; print what is wrong with path:line."""
    from calcitrace.lint import check
    from calcitrace.rules import load_rules

    rules = load_rules(patterns)
    faults, examples = check(rules)
    for fault in faults:
        print(fault)
    errors = sum(f.severity == "error" for f in faults)
    print(f"{len(rules.findings)} findings, {examples} examples run, {errors} errors, {len(faults) - errors} warnings")
    if errors:
        raise typer.Exit(ExitCode.FAILURE)


@rules_app.command("list")
def rules_list(patterns: Patterns = None) -> None:
    """List the findings with their status and number of terms."""
    from rich.console import Console
    from rich.table import Table

    from calcitrace.rules import load_rules

    rules = load_rules(patterns)
    table = Table(show_edge=False, pad_edge=False)
    for head in ("finding", "title", "status", "terms", "examples"):
        table.add_column(head)
    for f in (*rules.findings.values(), *rules.conditions.values()):
        table.add_row(f.name, f.title, f.status, str(len({t.rule_id for t in f.terms})), str(len(f.examples)))
    Console().print(table)
    print(f"rule set {rules.hash}")


@rules_app.command("show")
def rules_show(
    finding: Annotated[str, typer.Argument(help="A finding, as in `rules list`.")], patterns: Patterns = None
) -> None:
    """Print the terms, confusers and examples of one finding."""
    from calcitrace.rules import load_rules

    rules = load_rules(patterns)
    found = rules.findings.get(finding) or rules.conditions.get(finding)
    if found is None:
        raise UsageError(f"no finding {finding!r}; `calcitrace rules list` names them")
    print(f"{found.title} ({found.path}, {found.status})")
    for head, terms in (("terms", found.terms), ("not", found.nots)):
        print(f"{head}:")
        for rule_id in sorted({t.rule_id.split(":", 1)[1] for t in terms}):
            print(f"  {rule_id}")
    print("examples:")
    for example in found.examples:
        print(f"  {example.expected:12} {example.text}")
