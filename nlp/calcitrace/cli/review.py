"""Commands of the chart review: `review`, `agreement`, `recall`, and `decisions` out and in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calcitrace.cli.app import Commands, app, say
from calcitrace.errors import ExitCode
from calcitrace.phrases import by, many

if TYPE_CHECKING:
    from calcitrace.model import Reject
    from calcitrace.review import Desk

IMPORTS = "docs/review.md and --help list those that are known"
NO_SAMPLE = (
    "all candidates and a random part of the others are in it, so that `evaluate` tells sensitivity and specificity "
    "of reviewed reports and not of the archive (`recall` weighs them); unsure ones are left out"
)
MOST_ROWS = 10  # of those that a reason is told for
StoreFile = Annotated[Path, typer.Argument(help="A review store (SQLite) that `review` made.")]


@app.command()
def review(
    run: Annotated[Path, typer.Argument(help="Finished run folder.")],
    store: Annotated[Path, typer.Option("--store", help="File of the decisions (SQLite); made where there is none.")],
    reviewer: Annotated[str, typer.Option("--reviewer", help="Your name or initials, kept with each decision.")] = "",
    adjudicate: Annotated[
        bool, typer.Option("--adjudicate", help="Read, as a third, what two readers differ on.")
    ] = False,
    reasons: Annotated[str, typer.Option(help="The tool's reasons are shown before, after or never.")] = "after",
    learn: Annotated[bool, typer.Option("--learn", help="Learn after each batch and rank the rest anew.")] = False,
    candidates: Annotated[int | None, typer.Option(help="Read so many, with all versions of each.")] = None,
    audit: Annotated[int | None, typer.Option(help="Draw so many of the others at random (300).")] = None,
    double: Annotated[float | None, typer.Option(help="Share of patients that every reader reads (1).")] = None,
    calibration: Annotated[int | None, typer.Option(help="First patients, read by all in any case (20).")] = None,
    batch: Annotated[int | None, typer.Option(help="Patients a batch (50).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draw and the orders.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; by default any that is free.")] = 0,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="A link without a token, for a machine of your own.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the link in the browser.")] = False,
    no_page: Annotated[
        bool, typer.Option("--no-page", help="Draw the queue into the store, and end; needs no reviewer.")
    ] = False,
) -> None:
    """Review the candidates of a run on a local web page, by keyboard; every decision is saved at once.

    The queue is drawn when the store is made: by default all likely cases and all reports with a case status, ranked by
    probability and read patient by patient, with a random audit sample of the others mixed in. Each reader starts the
    command with the same --store (on this machine) and a --reviewer of their own; what was decided stays decided
    whenever the program ends. The tool's reasons can be seen after one's own decision (--reasons); the findings that
    it read are marked in the text from the start, so that readers are not blind to the tool.

    The page is reached from this machine only, by a link that works once. Stop with Ctrl-C.

    Example: calcitrace review run --store review.sqlite --reviewer AB

    To decide elsewhere, in a spreadsheet or another tool, --no-page makes the store, `calcitrace decisions export`
    writes its queue, and `calcitrace decisions import` takes the decisions in.

    Example: calcitrace review run --store review.sqlite --no-page
    """
    from calcitrace.adjudication import Store
    from calcitrace.review import Desk, QueueOptions, Shelf, check_reader, check_run, make_queue

    if not no_page:
        check_reader(reviewer, reasons)
    given: dict[str, Any] = {"candidates": candidates, "audit": audit, "double": double, "calibration": calibration}
    given = {k: v for k, v in {**given, "batch": batch, "seed": seed}.items() if v is not None}
    options = QueueOptions(**given) if given else None
    if not store.exists():
        check_run(run)
    if no_page:
        with Store(store, create=True) as kept:
            make_queue(run, kept, options)
            print(f"{store}: {many(len(kept.items()), 'report')} to decide")
        return
    say("reading the reports of the queue")
    with Store(store, create=True) as kept:
        desk = Desk(Shelf(run, kept, options), kept, reviewer, adjudicate, reasons, learn)
        _serve(desk, store, port, no_token, open_browser)


def _serve(desk: Desk, store: Path, port: int, no_token: bool, open_browser: bool) -> None:
    """Serve the page of a desk until it is stopped."""
    from calcitrace.review import ReviewServer

    server = ReviewServer(desk, port, token=not no_token)
    done = desk.progress()
    say(f"{done['done']:,} of {done['total']:,} reports decided; stop with Ctrl-C, go on with the same command")
    if no_token:
        say("no token: everyone who can use this machine can read these reports while this runs")
    print(server.link, flush=True)
    if open_browser:
        typer.launch(server.link)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        done = desk.progress()
        say(f"stopped; {done['done']:,} of {done['total']:,} reports decided, all saved in {store}")


@app.command()
def agreement(
    store: StoreFile,
    block: Annotated[int, typer.Option(min=2, help="Reports a block over time.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How far readers agree: percent, Cohen's kappa and Gwet's AC1 with 95 % intervals, by item and over time.

    Then the reports on which they differ, which `calcitrace review --adjudicate` gives to a third. Opinions count as
    they were before the tool's reasons were seen; migration type, side and tendon count where both said yes and both
    told them. AC1 is the steadier of the two where cases are rare.

    Example: calcitrace agreement review.sqlite
    """
    from calcitrace.adjudication import Store, disagreements
    from calcitrace.agreement import agreement as measure
    from calcitrace.agreement import agreement_lines, changed_after_reasons

    with Store(store) as kept:
        found, open_ones = measure(kept, block), disagreements(kept)
        changed = changed_after_reasons(kept)
    if as_json:
        print(
            json.dumps({"agreement": [a.as_json() for a in found], "differ": open_ones, "informed": changed}, indent=1)
        )
        return
    print("\n".join(agreement_lines(found)))
    if changed:
        given = f"{many(changed, 'decision')} {by(changed, 'was', 'were')} given"
        print(f"{given} after the reasons had been seen; what was said before counts here")
    print(
        f"readers differ in the decision on {many(len(open_ones), 'report')}"
        + (": " + ", ".join(open_ones) if open_ones else "")
    )


@app.command()
def recall(
    store: StoreFile,
    run: Annotated[Path | None, typer.Option("--run", help="Run folder, for capture and recapture too.")] = None,
    target: Annotated[float, typer.Option(help="Recall to reach.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """How many cases a review may have missed, whether to stop, and the sentence for the Methods section.

    The estimate rests on the random audit in the queue; its intervals are exact. Where the audit is too small or not
    read to its end, nothing is claimed, and what it would take is told.

    Example: calcitrace recall review.sqlite --run run --target 0.9
    """
    from calcitrace.adjudication import Store
    from calcitrace.finders import finder_lines, finders
    from calcitrace.recall import recall as estimate
    from calcitrace.recall import recall_lines

    with Store(store) as kept:
        found = estimate(kept, target)
        second = finders(run, kept) if run else None
    if as_json:
        more = {"finders": second.as_json()} if second else {}
        print(json.dumps({**found.as_json(), **more}, indent=1))
        return
    print("\n".join([*recall_lines(found), *(finder_lines(second) if second else ())]))


decisions_app = typer.Typer(cls=Commands, no_args_is_help=True, help="Decisions of a review out to files, and in.")
app.add_typer(decisions_app, name="decisions")


@decisions_app.command("export")
def export_(
    store: StoreFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    to: Annotated[str, typer.Option(help="csv, queue, cohort, labels, gold, label-studio or doccano.")] = "csv",
    run: Annotated[Path | None, typer.Option("--run", help="Run folder, where the tool shows the texts.")] = None,
) -> None:
    """Write the decisions of a review, or its queue, to a file.

    csv: every row of the store. cohort: one row a report with a final decision (patient_id, report_id, decision ...),
    for `calcitrace cohort --adjudications`. labels: for `calcitrace train`. gold: for `calcitrace evaluate`. queue:
    what is to be read, without what would unblind it. label-studio and doccano hold the report texts, and need --run.

    Example: calcitrace decisions export review.sqlite --to labels -o labels.csv
    """
    from calcitrace.adjudication import Store
    from calcitrace.exchange import export_decisions

    with Store(store) as kept:
        rows = export_decisions(kept, out, to, run)
    print(f"wrote {many(rows, 'row')} to {out}")
    if to == "gold":
        say(f"note: {NO_SAMPLE}")


@decisions_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, Label Studio JSON or doccano JSON lines.")],
    store: Annotated[Path, typer.Option("--store", help="The review store that the reports are of.")],
    form: Annotated[str, typer.Option("--from", help="csv, label-studio or doccano.")] = "csv",
    reviewer: Annotated[str, typer.Option("--reviewer", help="For rows that name nobody.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Save nothing; tell what would become of each row.")
    ] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Save the good rows though others are bad.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where the reviewer has decided otherwise, undo that and save the row.")
    ] = False,
) -> None:
    """Save decisions that were made elsewhere, all or none; the same file again changes nothing.

    A CSV file needs the columns report_id and decision (yes, no or unsure; a row without one is passed over) and may
    have reviewer, role (reader or adjudicator), migration_type, tendon, laterality, comment, flag and at. One bad row
    keeps all from being saved, unless --partial asks for the others.

    A row that says otherwise than its reviewer did before is a bad row, unless --replace takes it: what that reviewer
    decided before is undone, and stays in the history of the store. Try a file with --dry-run.

    Example: calcitrace decisions import export.json --from label-studio --store review.sqlite
    """
    from calcitrace.adjudication import Store
    from calcitrace.exchange import import_decisions
    from calcitrace.sources.columns import short

    with Store(store) as kept:
        done = import_decisions(kept, file, form, reviewer, partial, dry_run, replace)
    good = done.good if partial or not done.rejects else 0
    parts = [f"would save {many(good, 'decision')}" if dry_run else f"saved {many(done.saved, 'decision')}"]
    if done.replaced and (good if dry_run else done.saved):
        parts.append(f"{done.replaced:,} replaced")
    parts.append(f"{done.known:,} {by(done.known, 'was', 'were')} there before")
    parts.append(f"{many(len(done.rejects), 'row')} rejected")
    if done.undecided:
        parts.append(f"{many(done.undecided, 'row')} {by(done.undecided, 'has', 'have')} no decision yet")
    print(("a dry run: " if dry_run else "") + "; ".join(parts))
    if done.detailed:
        say(f"note: {_rows(done.detailed)}: a type, tendon or side of what is no yes is not kept; is it a yes?")
    if done.passed:
        say(f"note: columns that are passed over: {short(done.passed)}; {IMPORTS}")
    for line in reject_lines(done.rejects):
        say(line)
    if done.advice:
        say(f"of the ids that are not in the queue, {done.advice}")
    if done.rejects and not partial:
        rest = f", or save the {many(done.good, 'good row')} with --partial" if done.good else ""
        say(f"a bad row keeps the file from being saved: mend it{rest}")
    if done.rejects:
        raise typer.Exit(ExitCode.REJECTS if partial else ExitCode.FAILURE)


def reject_lines(rejects: Sequence[Reject]) -> list[str]:
    """Each reason once, with the first rows that it is of."""
    rows: dict[tuple[str, str], list[int]] = {}
    for reject in rejects:
        rows.setdefault((reject.source, reject.reason), []).append(reject.row)
    return [f"{source}, {_rows(found)}: {reason}" for (source, reason), found in rows.items()]


def _rows(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - MOST_ROWS:,} more" if len(numbers) > MOST_ROWS else ""
    return f"row{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:MOST_ROWS]))}{more}"
