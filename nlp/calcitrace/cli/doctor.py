"""The command `doctor`: whether calcitrace works on this machine."""

from __future__ import annotations

import typer

from calcitrace.cli.app import app
from calcitrace.errors import ExitCode


@app.command()
def doctor() -> None:
    """Check this installation: versions, the rules with all their examples, and a report with a known answer.

    Optional parts that are absent are named with what needs them. Exit code 1 if something is wrong. Nothing of
    yours is read, and nothing is sent anywhere.

    Example: calcitrace doctor
    """
    from calcitrace.doctor import WRONG, checks

    wrong = 0
    for check in checks():
        wrong += check.state == WRONG
        print(f"{check.state:<7} {check.name:<18} {check.seen}")
    print(f"{wrong} wrong" if wrong else "everything needed is there and works")
    if wrong:
        raise typer.Exit(ExitCode.FAILURE)
