"""The command line: one command per library function; the only place that prints or exits."""

from calcitrace.cli import cohort, export, models, process, review, rules, show
from calcitrace.cli.app import app, main

__all__ = ["app", "cohort", "export", "main", "models", "process", "review", "rules", "show"]
