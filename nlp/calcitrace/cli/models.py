"""Commands about models: `train` one, look at the card of one with `model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calcitrace.cli.app import app, say
from calcitrace.cli.bar import Stages
from calcitrace.errors import UsageError
from calcitrace.runfolder import read_manifest

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over an earlier model.")]


def _check_free(out: Path, overwrite: bool) -> None:
    """Check that no file is written over that nobody asked to: runs may use it, and know it by its hash."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out}: is there already, and runs may use it; choose another --out, or --overwrite")


@app.command()
def train(
    labels: Annotated[Path, typer.Argument(help="CSV or JSONL with columns report_id (or a usual name) and label.")],
    run: Annotated[Path, typer.Option("--run", help="Finished run folder that read these reports.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write (JSON).")],
    sensitivity: Annotated[float, typer.Option(help="Share of the cases to keep by the threshold (95 % sure).")] = 0.97,
    start: Annotated[str, typer.Option(help="Model file to start from; by default the starter model.")] = "",
    no_start: Annotated[bool, typer.Option("--no-start", help="Learn from the labels alone.")] = False,
    weak: Annotated[int, typer.Option(help="Add so many unlabelled reports, labelled by the case definition.")] = 0,
    note: Annotated[str, typer.Option(help="A sentence for the model card: who labelled, and how.")] = "",
    seed: Annotated[int | None, typer.Option(help="Of folds and solver; the same seed gives the same file.")] = None,
    id_column: Annotated[str, typer.Option(help="Column of the report ids, where its name is not recognised.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Learn a case model from labelled reports and write it, with its card, to one file.

    Labels are 1/0, yes/no or a case status (possible is left out); a third column, group, names what cross-validation
    must keep together, by default the patient. Ids stand in report_id, another usual name of it, or the column that the
    run's own ids came from. Labels of reports that the run does not hold are left out, with a
    warning. The reports' texts are read again from the run's inputs. With few labels
    the model stays close to the one it starts from; figures by nested cross-validation stand in the card.

    Example: calcitrace train labels.csv --run run --out our_model.json --note "Two readers, consensus"
    """
    if start and no_start:
        raise UsageError("give --start or --no-start, not both")
    _check_free(out, overwrite)
    from calcitrace.casemodel import card_lines
    from calcitrace.training import train as learn

    begin = "none" if no_start else start
    with Stages() as bar:
        made = learn(labels, run, out, sensitivity, begin, weak, note, seed, bar.begin, bar.step, id_column)
    print("\n".join(card_lines(made.model.card)))
    print(f"threshold (probability) {made.model.threshold:.4f}, {made.threshold}")
    for warning in made.warnings:
        say(f"warning: {warning}")
    print(f"wrote {made.path}; {run} stays as it is. Without --model a run uses the starter model; to use this one:")
    own = read_manifest(run)["options"].get("patterns")
    print(f"  calcitrace process REPORTS --out NEW_RUN --model {made.path}{f' --patterns {own}' if own else ''}")


@app.command()
def threshold(
    model: Annotated[Path, typer.Argument(help="A model file.")],
    run: Annotated[Path, typer.Option("--run", help="Finished run folder made with this model.")],
    reads_per_1000: Annotated[float, typer.Option(help="How many of 1,000 reports you can read.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write (JSON).")],
    overwrite: Overwrite = False,
) -> None:
    """Set a model's threshold by what can be read: so many of 1,000 reports of a run.

    The run must have read reports as they come to you, not a chosen sample. What the threshold costs is told: the
    share of the labelled cases that lie at or above it, by cross-validation.

    Example (200 reads a week of 40,000): calcitrace threshold our.json --run run --reads-per-1000 5 -o our_5.json
    """
    from calcitrace.workload import kept_in_words, set_workload

    _check_free(out, overwrite)
    made = set_workload(model, run, out, reads_per_1000)
    print(f"threshold {made.threshold:.4g}: marks {made.marked:,} of {made.reports:,} reports of {run}")
    if made.prevalence != made.model.prevalence:
        scales = [f"{100 * at:.3g} % of the reports are cases" for at in (made.prevalence, made.model.prevalence)]
        print(
            f"that is a probability of the run, where {scales[0]}; in the model's file and card it is "
            f"{made.model.threshold:.4g}, where {scales[1]}"
        )
    if not made.marked:
        say(f"it marks nothing: {reads_per_1000:g} of 1,000 is less than one of {made.reports:,}; use a larger run")
    print(f"sensitivity by cross-validation: {kept_in_words(made.kept, made.cases, made.interval)}")
    print(f"wrote {out}; use it with: calcitrace process REPORTS --out RUN --model {out}")


@app.command()
def model(
    file: Annotated[Path | None, typer.Argument(help="A model file; by default the starter model.")] = None,
    features: Annotated[int, typer.Option(help="Also print so many of its strongest features.")] = 0,
) -> None:
    """Print the card of a model: what it learned from, its figures, what it is for and what not.

    Example: calcitrace model our_model.json --features 20
    """
    from calcitrace.casemodel import card_lines, load_model, starter_path
    from calcitrace.corpus import DEFAULT_CASE
    from calcitrace.features import in_words

    path = file or starter_path(DEFAULT_CASE)
    if path is None:
        raise UsageError("no starter model ships with this installation; give a model file")
    found = load_model(path)
    about = {
        "case definition": found.case,
        "trained with rules": found.ruleset_hash[:12],
        "share of cases it learned at": f"{found.prevalence:.3f}",
        "threshold (probability at that share)": f"{found.threshold:.4f}",
        "features": len(found.weights),
    }
    print("\n".join(card_lines({**found.card, **about})))
    for name, weight in sorted(found.weights.items(), key=lambda w: -abs(w[1]))[:features]:
        print(f"{weight:+8.3f}  {in_words(name)}")
