"""What turns reports into plain rows: one worker a process, and the pool of them that a run works with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from calcitrace.assess import assess
from calcitrace.casemodel import CaseModel, load_model, starter_path
from calcitrace.crew import Crew
from calcitrace.errors import RunError, UsageError
from calcitrace.features import assessed
from calcitrace.memory import collect_seldom
from calcitrace.modality import known_modality, unknown_modality
from calcitrace.model import AnnotatedReport, Assessment, Report
from calcitrace.rules import load_rules, patterns_folder
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.screen import forget
from calcitrace.sieve import Screen
from calcitrace.strictyaml import meant
from calcitrace.tables import OUT, READ, UNREAD, clean, mention_row, passed_over_row, report_row

NO_MODEL = "none"
TRAIN = "`calcitrace train` makes a model with these rules, for --model; --no-model goes without"
ANEW = "`python evaluation/starter.py` trains it anew"  # in a checkout of the project
MAX_CARD_TEXT = 20_000
OF_FEW = 11_000_000  # bytes of sentences that are remembered where the case screen lets few reports through
Work = Callable[[Sequence[Report]], Iterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to know: the rules (folder and hash), case definition, model, prevalence and screen."""

    patterns: str
    ruleset_hash: str
    case: str
    model: str = ""
    prevalence: float | None = None
    screen: str = "none"
    audit: float = 0.0


class Worker:
    """Turns reports into plain rows; each process builds its own and keeps it."""

    def __init__(self, setup: Setup) -> None:
        from calcitrace.annotate import REMEMBERED, Annotator
        from calcitrace.casescreen import CaseScreen

        self.rules = load_rules(setup.patterns or None)
        if self.rules.hash != setup.ruleset_hash:
            raise RunError("the rule files changed while the run was starting; give the same command again")
        self.case = case_of(self.rules, setup.case)
        self.model = load_model(setup.model) if setup.model else None
        self._setup, self._known_modality = setup, known_modality(self.rules)
        of_few = setup.screen == "case"
        self._annotator = Annotator(self.rules, remembered=OF_FEW if of_few else REMEMBERED)
        self._screen = Screen(self.rules) if setup.screen == "rules" else None
        self._could_be_case = CaseScreen(self.rules, self.case, self._annotator) if of_few else None
        forget()

    def __call__(self, report: Report) -> dict[str, Any]:
        """The report's rows, or the reason why it is quarantined (never its text)."""
        try:
            made = self._rows(report)
            known = self._known_modality(report.modality)
            made["unknown_modality"] = "" if known else unknown_modality(report, self.rules)
            return made
        except Exception as error:  # the message of an unknown error may hold report text: keep its kind only
            return quarantined(report, f"{type(error).__name__} while reading the text")

    def _rows(self, report: Report) -> dict[str, Any]:
        status = self._passed_over(report)
        if status == OUT:
            return _rows(passed_over_row(report, self.rules.hash))
        annotated = unread(report) if status else self._annotator.annotate(report)
        assessment = judged(annotated, self.rules, self.case, self.model, self._setup.prevalence)
        mentions = [mention_row(report.report_id, m) for m in annotated.mentions]
        row = report_row(report, assessment, len(mentions), self.rules.hash, annotated.flags, status or READ)
        made = _rows(row, mentions)
        made["set_aside"] = assessment.case_status in self.case.likely and not assessment.likely_case
        if assessment.likely_case or made["set_aside"]:
            made["card"] = _card(report, made["report"], mentions)
        return made

    def _passed_over(self, report: Report) -> str:
        """The status of a report that need not be read in full, "" of one that must be."""
        if self._screen:
            return "" if self._screen(report.text) else UNREAD
        if self._could_be_case and not audited(report.report_id, self._setup.audit):
            return "" if self._could_be_case(report) else OUT
        return ""


def audited(report_id: str, share: float) -> bool:
    """Whether a report is one of the random share that is read in full whatever the screen says; the same each time."""
    if not share:
        return False
    digest = hashlib.blake2b(report_id.encode("utf-8", "replace"), digest_size=8, key=b"audit").digest()
    return int.from_bytes(digest, "big") < share * 2**64


def unread(report: Report) -> AnnotatedReport:
    """A report in which no rule can fire, as reading it would leave it."""
    return AnnotatedReport(report, (), (), (), ())


def quarantined(_: Report, reason: str) -> dict[str, Any]:
    """The rows of a report that could not be read: none, and why."""
    return {"quarantined": f"quarantined: {reason}"}


def _rows(row: Mapping[str, Any], mentions: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {"report": row, "mentions": mentions, "card": None, "set_aside": False}


def judged(
    annotated: AnnotatedReport,
    rules: RuleSet,
    case: CaseDefinition,
    model: CaseModel | None,
    prevalence: float | None = None,
    explain: bool = False,
) -> Assessment:
    """The assessment of a report by the case definition, and by the model where there is one."""
    if model is None:
        return assess(annotated, rules, case)
    assessment, features = assessed(annotated, rules, case)
    return model.judge(assessment, features, prevalence, explain)


def model_for(model: str, rules: RuleSet, case: CaseDefinition) -> tuple[CaseModel | None, str]:
    """The model to use and its file: a file by its path, "none", or by default the starter model where it fits.

    Raises:
        ModelError: the file cannot be used, or does not fit these rules.
    """
    if model == NO_MODEL:
        return None, ""
    path = model or str(starter_path(case.name) or "")
    if not path:
        return None, ""
    found = load_model(path)
    if not model and not found.fits(rules, case):
        return None, ""
    found.check_fit(rules, case, path)
    return found, path


def why_no_model(model: str, case: CaseDefinition) -> str:
    """Why `model_for` gives none; of a reason that nobody asked for, with what to do."""
    if model == NO_MODEL:
        return "not asked for"
    if starter_path(case.name) is None:
        return f"no starter model ships for the case definition {case.name!r}; {TRAIN}"
    checkout = (patterns_folder().parent / "evaluation").is_dir()
    anew = f"; {ANEW}, where these are to be the rules that ship" if checkout else ""
    return (
        "the starter model does not fit these rules, which have other findings or constituents than those it "
        f"learned with; {TRAIN}{anew}"
    )


def _card(report: Report, row: Mapping[str, Any], mentions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the summary page shows of a likely case, or of one set aside; a very long text is cut."""
    marked = ("mention_id", "finding", "start", "end", "assertion")
    kept = [{k: m[k] for k in marked} for m in mentions if m["end"] <= MAX_CARD_TEXT]
    return {
        "report": dict(row),
        "text": clean(report.text[:MAX_CARD_TEXT]),
        "cut": len(report.text) > MAX_CARD_TEXT,
        "mentions": kept,
    }


def case_of(rules: RuleSet, name: str) -> CaseDefinition:
    """The case definition called `name`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in rules.cases:
        there = ", ".join(rules.cases) or "none"
        raise UsageError(f"no case definition {name!r}{meant(name, rules.cases)} there are: {there}")
    return rules.cases[name]


@lru_cache(maxsize=2)
def _worker_of(setup: Setup) -> Worker:
    """The worker of this process, kept as long as its setup stays the same."""
    return Worker(setup)


def _start(setup: Setup) -> Callable[[Report], dict[str, Any]]:
    """What a worker process does: the rows of a report."""
    collect_seldom()
    return _worker_of(setup)


@contextmanager
def working(workers: int, setup: Setup, timeout: float | None = None) -> Iterator[Work]:
    """A context that gives `work(reports) -> rows`, in order: in this process, or over spawned ones.

    Raises:
        RunError: a worker cannot start.
    """
    if workers == 1 and timeout is None:
        yield lambda reports: map(_worker_of(setup), reports) if reports else iter(())
        return
    try:
        with Crew[Report, dict[str, Any]](workers, partial(_start, setup), quarantined, timeout) as crew:
            yield crew.work
    except ChildProcessError:
        raise RunError(
            "a worker process ended before its first report (out of memory? a script without "
            "`if __name__ == '__main__':`?); give the same command again, with fewer --workers"
        ) from None
