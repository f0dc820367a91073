"""calcitrace: mines radiology reports for intraosseous migration of intratendinous calcification.

The public names are loaded when they are first used; importing the package has no side effects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calcitrace.annotate import Annotator
    from calcitrace.assess import assess
    from calcitrace.corpus import RunOptions, process
    from calcitrace.frames import read_run
    from calcitrace.model import AnnotatedReport, Assertion, Assessment, Mention, Report
    from calcitrace.rules import load_rules
    from calcitrace.ruleset import RuleSet
    from calcitrace.sources import read_reports

_HOMES = {
    "Annotator": "annotate",
    "assess": "assess",
    "RunOptions": "corpus",
    "process": "corpus",
    "read_run": "frames",
    "AnnotatedReport": "model",
    "Assertion": "model",
    "Assessment": "model",
    "Mention": "model",
    "Report": "model",
    "RuleSet": "ruleset",
    "load_rules": "rules",
    "read_reports": "sources",
}

__all__ = [
    "AnnotatedReport",
    "Annotator",
    "Assertion",
    "Assessment",
    "Mention",
    "Report",
    "RuleSet",
    "RunOptions",
    "assess",
    "load_rules",
    "process",
    "read_reports",
    "read_run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("calcitrace")
    if name not in _HOMES:
        raise AttributeError(f"module 'calcitrace' has no attribute {name!r}")
    from importlib import import_module

    if name in {"assess", "process"}:  # functions that share a name with a module or a verb
        return getattr(import_module(f"calcitrace.{_HOMES[name]}"), name)
    value = getattr(import_module(f"calcitrace.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
