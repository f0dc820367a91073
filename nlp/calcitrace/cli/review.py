"""Commands of the chart review: `review`, `agreement`, `recall`, and `decisions` out and in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from calcitrace.cli.app import app, say
from calcitrace.errors import UsageError

StoreFile = Annotated[Path, typer.Argument(help="A review store (SQLite) that `review` made.")]


@app.command()
def review(
    run: Annotated[Path, typer.Argument(help="Finished run folder.")],
    store: Annotated[Path, typer.Option("--store", help="File of the decisions (SQLite); made where there is none.")],
    reviewer: Annotated[str, typer.Option("--reviewer", help="Your name or initials, kept with each decision.")],
    adjudicate: Annotated[bool, typer.Option("--adjudicate", help="Read, as a third, what two readers differ on.")] = False,
    reasons: Annotated[str, typer.Option(help="The tool's reasons are shown before, after or never.")] = "after",
    learn: Annotated[bool, typer.Option("--learn", help="Learn after each batch and rank the rest anew.")] = False,
    candidates: Annotated[int | None, typer.Option(help="Read so many, the highest ranked.")] = None,
    audit: Annotated[int | None, typer.Option(help="Draw so many of the others at random (300).")] = None,
    double: Annotated[float | None, typer.Option(help="Share of patients that every reader reads (1).")] = None,
    calibration: Annotated[int | None, typer.Option(help="First patients, read by all in any case (20).")] = None,
    batch: Annotated[int | None, typer.Option(help="Patients a batch (50).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the draw and the orders.")] = None,
    port: Annotated[int, typer.Option(help="Port on this machine; by default any that is free.")] = 0,
    no_token: Annotated[bool, typer.Option("--no-token", help="A link without a token, for a machine of your own.")] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the link in the browser.")] = False,
) -> None:
    """Review the candidates of a run on a local web page, by keyboard; every decision is saved at once.

    The queue is drawn when the store is made: by default all likely cases and all reports with a case status, ranked by
    probability and read patient by patient, with a random audit sample of the others mixed in. Each reader starts the
    command with the same --store (on this machine) and a --reviewer of their own; what was decided stays decided
    whenever the program ends. The tool's reasons can be seen after one's own decision (--reasons).

    The page is reached from this machine only, by a link that works once. Stop with Ctrl-C.

    Example: calcitrace review run --store review.sqlite --reviewer AB
    """
    from dataclasses import replace

    from calcitrace.adjudication import Store
    from calcitrace.review import Desk, QueueOptions, ReviewServer, Shelf

    given = {"candidates": candidates, "audit": audit, "double": double, "calibration": calibration}
    given = {k: v for k, v in {**given, "batch": batch, "seed": seed}.items() if v is not None}
    options = replace(QueueOptions(), **given) if given else None
    say("reading the reports of the queue")
    with Store(store, create=True) as kept:
        desk = Desk(Shelf(run, kept, options), kept, reviewer, adjudicate, reasons, learn)
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
