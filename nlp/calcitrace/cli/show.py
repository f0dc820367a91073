"""Commands that look at something: `show` one report, `evaluate` a run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from calcitrace.cli.app import Model, NoModel, Patterns, Prevalence, app, chosen_model, say
from calcitrace.errors import SourceError, UsageError

PIPED_WIDTH = 160  # columns for what reads on, since a pipe has no width of its own


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
    why: Annotated[bool, typer.Option("--why", help="Tell every rule and cue, and what became of it.")] = False,
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    patterns: Patterns = None,
    model: Model = "",
    no_model: NoModel = False,
    prevalence: Prevalence = None,
) -> None:
    """Read one report and show its mentions, their assertions and the cues that decided them.

    With --why, each sentence is followed by every rule and cue that matched it: what became a mention, what was
    pruned and by what, how far each cue reaches, and which value won on each axis by precedence. Last stand the
    reasons for the probability: what each feature adds to the log odds, and the mentions behind it.

    Example: calcitrace show --text "No cortical erosion. 8 mm calcific deposit in the supraspinatus."
    """
    given = _given(file or [], text)
    from calcitrace.annotate import Annotator
    from calcitrace.corpus import DEFAULT_CASE
    from calcitrace.model import Report
    from calcitrace.rules import load_rules
    from calcitrace.show import as_json as plain
    from calcitrace.show import as_rich, why_rich
    from calcitrace.why import why as reasons
    from calcitrace.workers import case_of, judged, model_for, why_no_model

    rules = load_rules(patterns)
    definition = case_of(rules, case or DEFAULT_CASE)
    annotator = Annotator(rules)
    annotated = annotator.annotate(Report("report", given))
    asked = chosen_model(model, no_model)
    found, _ = model_for(asked, rules, definition)
    if found is None and not no_model:
        say(f"warning: no probability: {why_no_model(asked, definition)}")
    assessment = judged(annotated, rules, definition, found, prevalence, explain=True)
    explained = reasons(annotated, annotator) if why else []
    if as_json:
        told = {"why": [asdict(s) for s in explained]} if why else {}
        print(json.dumps(plain(annotated, assessment) | told, ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    console.print(as_rich(annotated, assessment))
    if why:
        console.print(why_rich(annotated, explained, assessment))


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
