"""The command line: one command per library function; the only place that prints or exits."""

from calcitrace.cli import cohort, doctor, export, models, process, review, rules, show
from calcitrace.cli.app import app, main

__all__ = ["app", "cohort", "doctor", "export", "main", "models", "process", "review", "rules", "show"]
