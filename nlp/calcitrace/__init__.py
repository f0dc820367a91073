"""calcitrace: mines radiology reports for intraosseous migration of intratendinous calcification.

The public names are loaded when they are first used; importing the package has no side effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calcitrace.annotate import Annotator
    from calcitrace.casemodel import load_model
    from calcitrace.cohort import Cohort, build_cohort
    from calcitrace.corpus import RunOptions, process
    from calcitrace.frames import read_run
    from calcitrace.model import AnnotatedReport, Assertion, Assessment, Mention, Report
    from calcitrace.rules import load_rules
    from calcitrace.ruleset import RuleSet
    from calcitrace.sources import read_reports
    from calcitrace.training import train

_HOMES = {
    "Annotator": "annotate",
    "Cohort": "cohort",
    "RunOptions": "corpus",
    "build_cohort": "cohort",
    "process": "corpus",
    "read_run": "frames",
    "AnnotatedReport": "model",
    "Assertion": "model",
    "Assessment": "model",
    "Mention": "model",
    "Report": "model",
    "RuleSet": "ruleset",
    "load_model": "casemodel",
    "load_rules": "rules",
    "read_reports": "sources",
    "train": "training",
}

__all__ = [
    "AnnotatedReport",
    "Annotator",
    "Assertion",
    "Assessment",
    "Cohort",
    "Mention",
    "Report",
    "RuleSet",
    "RunOptions",
    "build_cohort",
    "load_model",
    "load_rules",
    "process",
    "read_reports",
    "read_run",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("calcitrace")
    if name not in _HOMES:
        raise AttributeError(f"module 'calcitrace' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"calcitrace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
