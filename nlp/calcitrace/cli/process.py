"""Commands that process reports: `process` and `demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcitrace.cli.app import Model, NoModel, Patterns, Prevalence, app, chosen_model, say
from calcitrace.cli.bar import RunBar
from calcitrace.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from calcitrace.corpus import RunResult


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
    model: Model = "",
    no_model: NoModel = False,
    prevalence: Prevalence = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes to use.")] = 1,
    format: Annotated[str, typer.Option(help="parquet, or csv to write CSV files too.")] = "parquet",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first row that must be rejected.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start anew over another run.")] = False,
) -> None:
    """Read reports and write mentions, assessments and a summary page to a run folder.

    The folder holds reports/*.parquet (one row a report), mentions/*.parquet, rejects.jsonl, manifest.json and
    summary.html. Column names are recognised; what was chosen is printed. A later text under one report id is kept
    as ID~v2, ~v3 and so on. An interrupted run goes on when the same command is given again.

    Each report gets a case status by the case definition and, from a model, a calibrated probability; likely cases
    are those at or above the model's threshold. The starter model was trained on synthetic reports: `calcitrace model`
    prints its card, `calcitrace train` learns from yours.

    Example: calcitrace process reports.csv --out run --text-column REPORT_BODY
    """
    given = dict(locals())
    from calcitrace.config import COLUMN_FLAGS, run_options
    from calcitrace.corpus import process as run

    columns = {field: given[flag] for flag, field in COLUMN_FLAGS.items() if flag in given}
    if format not in ("parquet", "csv"):
        raise UsageError(f"--format {format!r} is not one of parquet, csv")
    options = run_options(config, {**given, "columns": columns, "model": chosen_model(model, no_model)})
    with RunBar() as bar:
        result = run(inputs, out, options, workers, strict, format == "csv", overwrite, bar.advance, sys.argv)
    bar.tell(result.chosen)
    _report_result(result)
    if result.rejects:
        raise typer.Exit(ExitCode.REJECTS)


def _report_result(result: RunResult) -> None:
    for name, value in (
        ("rows read", result.rows),
        ("reports", result.reports),
        ("rejected", result.rejects),
        ("mentions", result.mentions),
        ("likely cases", result.likely),
    ):
        print(f"{name:14}{value:>10,}")
    if result.set_aside:
        print(f"the case definition alone would add {result.set_aside:,}; see case_status, or use --no-model")
    print(f"wrote {result.folder}; open {result.folder / 'summary.html'} in a browser")
    if result.left_out:
        said = ", ".join(f"{n:,} {ending}" for ending, n in sorted(result.left_out.items()))
        say(f"left out, of no known format: {said}")
    for reject in result.first_rejects:
        say(f"rejected {reject.source}{f':{reject.row}' if reject.row else ''}: {reject.reason}")
    if result.rejects:
        say(f"{result.rejects:,} rejected in all; see {result.folder / 'rejects.jsonl'}")


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
    for column in ("report", "date", "modality", "status", "migration type", "where"):
        table.add_column(column)
    for row in reports[reports["likely_case"]].to_dict("records"):
        where = " ".join(x for x in (row["laterality"], row["tendon"]) if x != "none")
        cells = (row["report_id"], row["study_date"], row["modality"], row["case_status"], row["migration_type"], where)
        table.add_row(*(Text(str(cell).replace("_", " ")) for cell in cells))
    Console().print(table)
    _report_result(result)
