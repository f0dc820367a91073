"""Commands for those who keep the rules: `rules check`, `copy`, `diff`, `list`, `show`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Annotated

import typer

from calcitrace.cli.app import Patterns, rules_app, say
from calcitrace.cli.bar import Counting
from calcitrace.cli.reading import Reading, reads
from calcitrace.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from calcitrace.differences import Difference


@rules_app.command("check")
@reads
def rules_check(
    reading: Reading,
    patterns: Patterns = None,
    on: Annotated[list[Path] | None, typer.Option("--on", help="Reports: which rules never fire there?")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="With --on: name every line that never fires.")] = False,
) -> None:
    """Validate every rule file and run every example in it; print what is wrong with path:line and severity.

    Errors make a rule wrong; warnings are rules that cannot act, act twice, add nothing, may be slow, or lack what
    shows that they are right. With --on, notes are lines that no report calls for, counted by file, and not counted
    where the reports are under 1,000 (--verbose names each); the reports are read as by `process`. Exit code 1 if there
    is an error, 3 if rows of --on are no reports, which are told.

    Example: calcitrace rules check --patterns my-rules --on reports.csv --text-column REPORT_BODY
    """
    from calcitrace.lint import check, in_order
    from calcitrace.phrases import many
    from calcitrace.rules import load_rules, patterns_folder
    from calcitrace.usage import FEW_REPORTS, by_file, usage

    own = patterns or reading.options.patterns
    rules = load_rules(own or None)
    faults, examples = check(rules)
    if not own:
        say("checked the rules that calcitrace uses; --patterns FOLDER checks your own")
    read = 0
    if on:
        with Counting("reports read") as bar:
            faults = in_order([*faults, *usage(rules, reading.reports(on), bar.one)])
        read = bar.done
    for fault in faults if verbose else by_file(faults, read):
        print(fault)
    count = Counter(f.severity for f in faults)
    few = not verbose and read < FEW_REPORTS
    notes = [many(count["note"], "note")] if on and not few else []
    said = [many(len(rules.findings), "finding"), f"{many(examples, 'example')} run"]
    said += [many(count["error"], "error"), many(count["warning"], "warning"), *notes]
    silent = f"lines that never fire in {many(read, 'report')}"
    hidden = f"; --verbose shows the {silent}" if few else f" ({silent}); --verbose shows each"
    hidden = hidden if on and not verbose else ""
    print(f"{own or patterns_folder()}: {', '.join(said)}{hidden}")
    if count["error"]:
        raise typer.Exit(ExitCode.FAILURE)


@rules_app.command("copy")
def rules_copy(folder: Annotated[Path, typer.Argument(help="Folder to make; it must not be there yet.")]) -> None:
    """Copy the rules that calcitrace uses, wherever it is installed, to a folder of your own, to change them there.

    Example: calcitrace rules copy my-rules
    """
    from calcitrace.rules import patterns_folder

    if folder.exists():
        raise UsageError(f"{folder}: is there already; name a new folder")
    try:
        copytree(patterns_folder(), folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror or type(error).__name__})") from None
    print(f"copied the rules to {folder}; use them with --patterns {folder}")


@rules_app.command("diff")
@reads
def rules_diff(
    reading: Reading,
    old: Annotated[Path, typer.Argument(help="A folder of rules.")],
    new: Annotated[Path, typer.Argument(help="Another.")],
    on: Annotated[list[Path], typer.Option("--on", help="Reports to read with both (any format of `process`).")],
    case: Annotated[str, typer.Option(help="Case definition (a file in patterns/cases).")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a difference.")] = False,
) -> None:
    """Show which reports and mentions change between two rule sets, and through which rule; prints no report text.

    Of each report that changes, the last line tells whether its case status does. A mention whose words become more
    or fewer is one change (span longer, span shorter). The reports are read as by `process`: a table needs a column of
    report text, and report ids if the changes are to be told by them (else by file and row). Patient and modality count
    where they are there; all others do not matter. Rows that are no reports, and tables that cannot be read, are told,
    with exit code 3.

    Example: calcitrace rules diff patterns my-rules --on reports.csv --text-column REPORT_BODY
    """
    from calcitrace.differences import counts, differences
    from calcitrace.phrases import many
    from calcitrace.rules import load_rules

    olds, news = load_rules(old), load_rules(new)
    with Counting("reports read") as bar:
        found = list(differences(olds, news, reading.reports(on), case or reading.options.case, bar.one))
    if as_json:
        for difference in found:
            print(json.dumps(asdict(difference), ensure_ascii=False))
        return
    for report_id, own in groupby(found, key=lambda d: d.report_id):
        print("\n".join(_told(report_id, list(own))))
    cases = {d.report_id: (d.case_before, d.case_after) for d in found}
    print(f"{many(bar.done, 'report')}, {len(cases):,} change: {olds.hash[:8]} -> {news.hash[:8]}")
    moved = Counter(f"{was} -> {now}" for was, now in cases.values() if was != now)
    told = ": " + ", ".join(f"{step} ({n:,})" for step, n in moved.most_common()) if moved else ""
    print(f"case status changes in {many(moved.total(), 'report')}{told}")
    for (kind, finding, rule), n in counts(found).most_common():
        print(f"{n:>7,} {kind if finding else 'changed':12} {finding or 'case status':22} {rule}")


def _told(report_id: str, own: list[Difference]) -> Iterator[str]:
    """What differs in a report, a line each, and last whether its case status does."""
    for d in own:
        what = f"{d.kind} {d.finding} {d.start}-{d.end}" if d.finding else "case status"
        yield f"{report_id}: {what}: {' -> '.join(filter(None, (d.before, d.after)))} ({d.rule})"
    if own[-1].finding:
        yield f"{report_id}: case status stays {own[-1].case_after}"


@rules_app.command("list")
def rules_list(patterns: Patterns = None) -> None:
    """List the findings, and the conditions that bear on a case, with their number of terms and of examples.

    Where a rule is not reviewed, its status stands behind the title.
    """
    from rich.console import Console
    from rich.table import Table

    from calcitrace.rules import load_rules

    rules = load_rules(patterns)
    for kind, named in (("findings", rules.findings), ("conditions", rules.conditions)):
        table = Table(box=None, pad_edge=False, title=kind, title_justify="left", title_style="bold")
        table.add_column("name", no_wrap=True)
        for head in ("terms", "examples"):
            table.add_column(head, justify="right")
        table.add_column("title")
        for f in named.values():
            status = "" if f.status == "reviewed" else f" ({f.status})"
            terms = len({t.rule_id for t in f.terms})
            table.add_row(f.name, f"{terms:,}", str(len(f.examples)), f"{f.title}{status}")
        Console(highlight=False).print(table, "")
    print(f"rule set {rules.hash}")


@rules_app.command("show")
def rules_show(
    finding: Annotated[str, typer.Argument(help="A finding or condition, as in `rules list`.")],
    patterns: Patterns = None,
) -> None:
    """Print the terms, confusers and examples of one finding or condition."""
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
