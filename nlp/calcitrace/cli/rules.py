"""Commands for those who keep the rules: `rules check`, `list`, `show`."""

from __future__ import annotations

from typing import Annotated

import typer

from calcitrace.cli.app import Patterns, rules_app
from calcitrace.errors import ExitCode, UsageError


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
