"""The command that exports a cohort: `export`."""

from __future__ import annotations

from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import typer

from calcitrace.cli.app import app, say
from calcitrace.errors import ExitCode
from calcitrace.exports import EXPORTS, Choice, read_concepts
from calcitrace.exports import export as write
from calcitrace.phrases import by, many

HELP = """Write a cohort for a registry, a warehouse or a statistics program.

By default an export holds the members of the cohort under pseudonyms, and no word of any report. Pseudonyms are a keyed
hash: the same key gives the same pseudonyms, and without the key nobody can find or test an id. The key is yours; it is
made at COHORT.key beside the folder at first, or name one with --key. Keep it, and do not send it along. Where it is
gone, an export is refused; --new-key makes another, with pseudonyms that match no earlier page or export.

--shift-dates moves all dates of a patient by the same number of days (-365 to 365, from the key), so that intervals
stay; dates without a day are left out then. --with-text adds the words of the reports, which calcitrace does not
de-identify: they can name patients and hold true dates. Names of hospitals, modalities and body parts, sex and age are
always as the archive gives them. export.json tells how an export was made; left_out.csv, where there is one, what could
not be exported and why (exit code 3).

"""
EXAMPLE = "\n\nExample: calcitrace export cohort --to redcap --out for_redcap --shift-dates"
MANUAL = HELP + "\n\n".join(f"--to {name}. {cleandoc(e.write.__doc__ or '')}" for name, e in EXPORTS.items()) + EXAMPLE


@app.command(help=MANUAL, short_help="Write a cohort for a registry, a warehouse or a statistics program.")
def export(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder that `cohort` wrote.")],
    to: Annotated[str, typer.Option(help=f"One of {', '.join(EXPORTS)}.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist or be empty.")],
    key: Annotated[Path | None, typer.Option(help="File with the key for pseudonyms.")] = None,
    original_ids: Annotated[bool, typer.Option("--original-ids", help="Ids as given instead of pseudonyms.")] = False,
    shift_dates: Annotated[bool, typer.Option("--shift-dates", help="Move the dates of each patient.")] = False,
    with_text: Annotated[bool, typer.Option("--with-text", help="Report text and the words of mentions, too.")] = False,
    all_patients: Annotated[bool, typer.Option("--all-patients", help="Every patient that was read.")] = False,
    concepts: Annotated[Path | None, typer.Option(help="OMOP concept ids of your hospital (CSV).")] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Go on with another key where the first is lost.")] = False,
) -> None:
    """Write a cohort as one of `EXPORTS`; its help is composed of what the writers say of themselves."""
    ids = read_concepts(concepts) if concepts else {}
    done = write(cohort, out, to, Choice(original_ids, shift_dates, with_text, all_patients, ids), key, new_key)
    held = (many(getattr(done, table), table.removesuffix("s")) for table in EXPORTS[to].tables)
    print(f"{', '.join(held)} -> {out}")
    if done.counted < done.reports:
        other = done.reports - done.counted
        print(
            f"{many(done.counted, 'report')} {by(done.counted, 'counts', 'count')}, as in Methods; of the other "
            f"{other:,} the column counted tells why not"
        )
    if EXPORTS[to].then:
        print(EXPORTS[to].then)
    if done.other_key:
        say("note: the key is not that of the cohort's own page, so pseudonyms here do not match those on it")
    if shift_dates and with_text:
        say("warning: the dates are shifted, those within the texts are not: who reads both knows by how much")
    if not done.patients:
        say("warning: the cohort has no patient, so nothing is there to hand over")
    if done.left_out:
        say(f"{len(done.left_out):,} left out; {out / 'left_out.csv'} tells why")
        raise typer.Exit(ExitCode.REJECTS)
