"""Commands that look at something: `show` one report, `evaluate` a run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import islice
from os.path import exists
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from calcitrace.cli.app import Model, NoModel, Patterns, Prevalence, app, chosen_model, say
from calcitrace.errors import SourceError, UsageError

if TYPE_CHECKING:
    from calcitrace.casemodel import CaseModel
    from calcitrace.model import Report
    from calcitrace.ruleset import CaseDefinition, RuleSet

HONEST = (
    "figures are honest only on reports that neither it nor the rules were made with (for those that it learned from, "
    "its card has figures by cross-validation: calcitrace model)"
)
MOVED = (
    "those at --prevalence, so that Brier score and calibration error hold only where the gold standard has that share "
    "of cases"
)
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
    from calcitrace.evaluate.page import NO_SPREAD, WHY_NONE, table_rows
    from calcitrace.runfolder import read_manifest

    found = score(run, gold, out, prevalence, resamples, list_errors=errors)
    rows = table_rows(found)
    for row in [("figure", "value", "95% reports", "95% patients", "n"), *rows]:
        print("{:30}{:>7}{:>13}{:>14}  {}".format(*row))
    if any(row[3] == NO_SPREAD for row in rows):
        print(WHY_NONE)
    manifest = read_manifest(run)
    if manifest.get("model") and manifest["options"]["model"]:
        say(f"note: the model {manifest['model']['name']} is one of your own; {HONEST}")
    if manifest.get("options", {}).get("prevalence") is not None:
        say(f"note: the run's probabilities are {MOVED}")
    print(f"wrote {(out or run / 'evaluation') / 'evaluation.html'} and evaluation.json")


RUN = (
    "A run folder: show its report of the id that is given instead of a file, read as the run did (with --no-model by "
    "its case definition alone)."
)


@app.command()
def show(
    file: Annotated[
        list[str] | None, typer.Argument(help="A text file, or a report id (--run); - or nothing reads stdin.")
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="The report itself.")] = None,
    run: Annotated[Path | None, typer.Option("--run", help=RUN)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Tell on one screen why it is a case or none.")] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --why: every rule and cue, and what became of it.")
    ] = False,
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    patterns: Patterns = None,
    model: Model = "",
    no_model: NoModel = False,
    prevalence: Prevalence = None,
) -> None:
    """Read one report and show its mentions, their assertions and the cues that decided them.

    With --why, a sentence tells why the report is a case or none, instead of its text. Then stand the tiers of the case
    definition, with the conditions of each that are not met, the mentions that count, and the reasons for the
    probability, in log odds: where every report starts before its own features count, given the share of cases, what
    each feature of this one adds and the mentions behind it, their sum, and the threshold of a likely case.

    With --why --full, the report and its mentions stand first. Between the sentence, which is the last line, too, and
    the tiers, with their words, comes each sentence of the report with every rule and cue that matched it: what became
    a mention, what was pruned and by what, how far each cue reaches, and which value won on each axis by precedence.

    Example: calcitrace show --text "No cortical erosion. 8 mm calcific deposit in the supraspinatus."

    Example: calcitrace show --run run A1002 --why
    """
    why |= full
    asked = _Asked(case, patterns, model, no_model, prevalence)
    report, rules, definition, found, at = _of_run(run, file, text, asked) if run else _given(file, text, asked)
    from calcitrace.annotate import Annotator
    from calcitrace.show import as_json as plain
    from calcitrace.show import as_rich, reckoned, short_rich, why_rich
    from calcitrace.why import why as reasons
    from calcitrace.why import why_tier

    annotator = Annotator(rules)
    annotated = annotator.annotate(report)
    assessment, sums = reckoned(annotated, rules, definition, found, at)
    explained = reasons(annotated, annotator) if why else []
    tiers = why_tier(annotated, rules, definition) if why else []
    if as_json:
        told = {"why": [asdict(s) for s in explained], "tiers": [t.row() for t in tiers]} if why else {}
        print(json.dumps(plain(annotated, assessment, sums) | told, ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if why and not full:
        console.print(short_rich(annotated, tiers, definition, assessment, sums))
        return
    console.print(as_rich(annotated, assessment, sums))
    if why:
        console.print(why_rich(annotated, explained, tiers, definition, assessment, sums))


class _Asked(NamedTuple):
    """The options of `show` that a run has decided already."""

    case: str
    patterns: Path | None
    model: str
    no_model: bool
    prevalence: float | None


Read = tuple["Report", "RuleSet", "CaseDefinition", "CaseModel | None", float | None]


def _of_run(run: Path, ids: list[str] | None, text: str | None, asked: _Asked) -> Read:
    """A report of a run by its id, with the run's own rules, case definition, prevalence and, if wanted, model."""
    if not ids or len(ids) > 1 or text is not None:
        raise UsageError("with --run give one report id, as it stands in the run's reports")
    if any(value not in ("", None) for value in (asked.case, asked.patterns, asked.model, asked.prevalence)):
        raise UsageError(
            "with --run the run's own rules, case definition, model and prevalence are used; give no other "
            "(--no-model leaves the model out)"
        )
    from calcitrace.rerun import Rerun

    source = Rerun(run)
    model, prevalence = (None, None) if asked.no_model else source.model()
    return source.report(ids[0]), source.rules, source.case, model, prevalence


def _given(files: list[str] | None, text: str | None, asked: _Asked) -> Read:
    """The one report that is given, with the rules, case definition and model that are asked for."""
    report = _report(files or [], text)
    model = chosen_model(asked.model, asked.no_model)
    from calcitrace.corpus import DEFAULT_CASE
    from calcitrace.rules import load_rules
    from calcitrace.workers import case_of, model_for, why_no_model

    rules = load_rules(asked.patterns)
    case = case_of(rules, asked.case or DEFAULT_CASE)
    found, _ = model_for(model, rules, case)
    if found is None and not asked.no_model:
        say(f"warning: no probability: {why_no_model(model, case)}")
    return report, rules, case, found, asked.prevalence


def _report(files: list[str], text: str | None) -> Report:
    """The one report that is given; messages repeat no argument that may be report text."""
    from calcitrace.model import Report
    from calcitrace.sources import decode

    if len(files) + (text is not None) > 1:
        raise UsageError("give one file, or the report with --text (in quotes)")
    if text is not None:
        found = text
    elif files and files[0] != "-":
        return _of_file(files[0])
    elif sys.stdin.isatty():
        raise UsageError("give a file, the report with --text, or a report on standard input")
    else:
        found = decode(sys.stdin.buffer.read())
    if not found.strip():
        raise SourceError("the report is empty")
    return Report("report", found)


def _of_file(name: str) -> Report:
    """The report of a text file, or of a table that holds only one."""
    from calcitrace.model import Report
    from calcitrace.sources import decode, format_of, shown_id

    path = Path(name)
    try:
        text = decode(path.read_bytes())
    except (OSError, ValueError) as error:
        told = f"{name}: cannot be read ({getattr(error, 'strerror', None) or 'no name of a file'})"
        named = shown_id(name) and (path.suffix or any(c.isdigit() or c in "/_" for c in name))  # not a word of a text
        told = told if named or exists(name) else "the file cannot be read"
        advice = "to give the report itself, use --text; for a report of a run, --run RUN ID"
        raise SourceError(f"{told}; {advice}") from None
    if format_of(path) not in ("", "txt"):
        return _of_table(path)
    if not text.strip():
        raise SourceError(f"{name}: the report is empty")
    return Report("report", text)


def _of_table(path: Path) -> Report:
    """The report of a table that holds only one."""
    from calcitrace.sources import read_reports

    try:
        found = list(islice(read_reports(path), 2))
    except SourceError:  # its columns may have names of their own, which only a run is told
        found = []
    if len(found) != 1:
        raise UsageError(
            f"{path}: a table, and not one report; process it, then give the id of a report: "
            "calcitrace show --run RUN REPORT_ID"
        )
    return found[0]
