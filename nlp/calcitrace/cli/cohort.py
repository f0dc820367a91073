"""The command `cohort`: finished runs and criteria to a cohort folder."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calcitrace.cli.app import app, say
from calcitrace.cli.bar import Counting
from calcitrace.phrases import by, many

if TYPE_CHECKING:
    from calcitrace.flow import Flow


def _tell_keys(asked: bool) -> None:
    if asked:
        from calcitrace.criteria import criteria_help

        print(criteria_help())
        raise typer.Exit


@app.command()
def cohort(
    runs: Annotated[list[Path], typer.Argument(help="Finished run folders; of a report in several the last counts.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Cohort folder to write.")],
    criteria: Annotated[Path | None, typer.Option(help="YAML or TOML file of criteria (see --criteria-help).")] = None,
    adjudications: Annotated[
        Path | None,
        typer.Option(help="A review store, decisions exported for a cohort, or CSV/JSONL of labels."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="File with the key for pseudonyms; made beside --out if absent.")
    ] = None,
    show_ids: Annotated[bool, typer.Option("--show-ids", help="Show ids as given on the page.")] = False,
    no_reread: Annotated[bool, typer.Option("--no-reread", help="Do not read case patients' reports again.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over an earlier cohort.")] = False,
    new_key: Annotated[bool, typer.Option("--new-key", help="Go on with another key where the first is lost.")] = False,
    criteria_help: Annotated[
        bool,
        typer.Option("--criteria-help", callback=_tell_keys, is_eager=True, help="Tell every key of a criteria file."),
    ] = False,
) -> None:
    """Build a cohort: one row a patient, with index date, outcome and timeline, and a flow diagram of the counts.

    Without criteria the cohort is every patient with a definite or probable report. Reports of case patients are read
    again from the runs' inputs (biopsies, conditions, and what a case screen passed over). Tables keep ids as given;
    pages and pictures show pseudonyms and no report text.

    Example: calcitrace cohort run --criteria criteria.yml --out cohort
    """
    from calcitrace.cohort import build_cohort
    from calcitrace.cohortfolder import check_folder, write_cohort
    from calcitrace.selection import NO_PATIENT

    check_folder(out, overwrite)
    drawn_before = (out / "flow.svg").exists()
    with Counting("patients", "reading the runs") as bar:
        made = build_cohort(runs, criteria, adjudications, not no_reread, bar.reached)
    key_told = write_cohort(made, out, key, show_ids, overwrite, new_key)
    for line in _boxes(made.flow):
        print(line)
    for note in made.notes:
        say(f"note: {note}")
    alone, every = made.flow.reports[NO_PATIENT], sum(made.flow.reports.values())
    if alone:
        advice = "process them again with --patient-column" if alone == every else "write the ids in the source"
        say(
            f"{many(alone, 'report')} of {every:,} {by(alone, 'has', 'have')} no patient id and "
            f"{by(alone, 'belongs', 'belong')} to no patient (counted no_patient_id in timeline); {advice}, or take "
            "each report for a patient of its own (without_patient_id: own in the criteria)"
        )
    if not made.flow.members:
        say("nobody is in the cohort; the boxes above tell where patients were left out")
    if key_told:
        print(key_told)
    if not (drawn_before or (out / "flow.png").exists()):
        say('no flow.png: it needs Pillow (pip install "calcitrace[png]")')
    print(f"wrote {out}; open {out / 'cohort.html'} in a browser")


WIDEST = 69  # of names, so that numbers end within 80 columns; a longer one takes several lines


def _boxes(flow: Flow) -> Iterator[str]:
    """The boxes of the flow diagram, a line each: of patients all, of rows that are left out those that hold any."""
    from calcitrace.flow import REPORT_BOXES
    from calcitrace.selection import ADDED, REMOVED
    from calcitrace.timeline import COUNTED

    shown = (
        ("rows read", flow.rows),
        *[("  Rejected", n) for n in [sum(flow.rejects.values())] if n],
        *((f"  {REPORT_BOXES[box]}", n) for box, n in flow.reports.items() if box != COUNTED and n),
        ("reports that count", flow.counted),
        ("patients", flow.all_patients),
        *((f"  {box}", flow.patients[box]) for box in flow.no_case),
        *((f"  {line}", n) for line, n in flow.reviewed(REMOVED)),
        ("with a case report", flow.cases),
        *((f"  {line}", n) for line, n in flow.reviewed(ADDED)),
        *((f"  {flow.shown(box)}", flow.patients[box]) for box in flow.excluded),
        ("in the cohort", flow.members),
    )
    widest = min(max(len(name) for name, _ in shown), WIDEST)
    for name, n in shown:
        *first, last = textwrap.wrap(name, widest, subsequent_indent="    ")
        yield from (*first, f"{last:<{widest}} {n:>10,}")
