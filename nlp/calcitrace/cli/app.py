"""What the commands share: the two groups of commands, common options, and how errors end the program."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from calcitrace.errors import CalcitraceError, ExitCode, UsageError

LINE_END = re.compile(r"(?<!\n)\n(?!\n)")


class Commands(TyperGroup):
    """Commands by name; an unknown one is not repeated, since it may be a report that was given without `show`.

    Where it is nearly the name of a command, that is named. Help is told by paragraphs, which the terminal wraps: a
    line of the source is not a line of the terminal.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for command in self.commands.values():
            command.help, command.epilog = (LINE_END.sub(" ", t or "") for t in (command.help, command.epilog))

    def get_params(self, ctx: Any) -> Any:
        """The options of the group itself."""
        return _switches_bare(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command called `cmd_name`."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            _switches_bare(found.get_params(ctx))
        if found is None and not ctx.resilient_parsing:
            near = get_close_matches(cmd_name, self.list_commands(ctx), 1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"no such command; {meant}--help names them, and `calcitrace show --text` reads a report")
        return found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is given; of an option that takes one value and is given twice, none is dropped."""
        name, found, rest = super().resolve_command(ctx, args)
        if found is not None and not isinstance(found, TyperGroup) and not ctx.resilient_parsing:
            _check_once(found, ctx, rest)
        return name, found, rest


def _check_once(command: Any, ctx: Any, args: list[str]) -> None:
    """Refuse an option of one value that is given more than once; what else is wrong the command tells itself."""
    given: list[Any] = []
    with suppress(Exception):
        own = command.context_class(command, parent=ctx, **command.context_settings)
        given = command.make_parser(own).parse_args(list(args))[2]
    for param in given:
        one = param.param_type_name == "option" and not (param.multiple or param.is_flag or param.count)
        if one and given.count(param) > 1:
            raise UsageError(f"{param.opts[0]} is given {given.count(param)} times; it takes one value")


def _switches_bare(params: Any) -> Any:
    """The parameters, those that take no value without a type in the help (it was <bool>)."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


app = typer.Typer(
    name="calcitrace",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Mine radiology reports for intraosseous migration of intratendinous calcification.\n\n"
    "Start with [bold]calcitrace demo[/bold], then [bold]calcitrace process REPORTS.csv --out RUN[/bold]. "
    "Nothing leaves this machine.",
    epilog="Exit codes: 0 done, 1 failed (rules with an error, too), 2 wrong use, 3 done but rows were rejected, "
    "4 input unreadable, 5 interrupted (give the same command again), "
    "6 folder that cannot be used (no run, damaged, of another run, or not to be written).",
)
rules_app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="Look at and check the rules, which are data (YAML files)."
)
app.add_typer(rules_app, name="rules")

Patterns = Annotated[
    Path | None, typer.Option("--patterns", help="A folder of rules to use instead of those that ship.")
]


Model = Annotated[
    str, typer.Option("--model", help="A model file that `train` wrote, instead of the starter model that ships.")
]
NoModel = Annotated[bool, typer.Option("--no-model", help="Use the case definition alone, without a probability.")]
Prevalence = Annotated[
    float | None,
    typer.Option(help="Share of cases among your reports (0.005 is 0.5 %), for probabilities that hold there."),
]
TYPER_INTERRUPTED = 130


def chosen_model(model: str, no_model: bool) -> str:
    """The model that the two options ask for; "" is the starter model."""
    if model and no_model:
        raise UsageError("give --model or --no-model, not both")
    return "none" if no_model else model


def say(text: str) -> None:
    """Say something beside the output, on stderr."""
    print(text, file=sys.stderr)


def main() -> None:
    """Run the command line; every error becomes one line on stderr and an exit code, never a traceback.

    Arrow takes memory from the system itself, also where it does not ask which pool to use: see `level_memory`.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="calcitrace", standalone_mode=True)
    except CalcitraceError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != TYPER_INTERRUPTED:
            raise
        say("interrupted; give the same command again to go on")
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(ExitCode.FAILURE)
    except Exception as error:  # the message of an unknown error may hold report text: name its kind and place only
        say(f"error: {_place(error)}. This is a fault of calcitrace; please report this line")
        sys.exit(ExitCode.FAILURE)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"
    return f"{type(error).__name__} at {where}"


def _version(show: bool) -> None:
    if show:
        from importlib.metadata import version

        print(f"calcitrace {version('calcitrace')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""
