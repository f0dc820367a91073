"""What turns reports into plain rows: one worker a process, and the pool of them that a run works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from calcitrace.assess import assess
from calcitrace.casemodel import CaseModel, load_model, starter_path
from calcitrace.errors import RunError, UsageError
from calcitrace.features import assessed
from calcitrace.model import AnnotatedReport, Assessment, Report
from calcitrace.rules import load_rules
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.tables import clean, mention_row, report_row

CHUNK = 50
NO_MODEL = "none"
MAX_CARD_TEXT = 20_000
Work = Callable[[Sequence[Report]], Iterator[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs to know: the rules (folder and hash), case definition, model file and prevalence."""

    patterns: str
    ruleset_hash: str
    case: str
    model: str = ""
    prevalence: float | None = None


class Worker:
    """Turns reports into plain rows; each process builds its own and keeps it."""

    def __init__(self, rules: RuleSet, case: CaseDefinition, model: CaseModel | None, prevalence: float | None) -> None:
        from calcitrace.annotate import Annotator

        self.rules, self.case, self.model, self.prevalence = rules, case, model, prevalence
        self._annotator = Annotator(rules)

    def __call__(self, report: Report) -> dict[str, Any]:
        """The report's rows, or the reason why it is quarantined (never its text)."""
        try:
            return self._rows(report)
        except Exception as error:  # one bad report must not end the run; its message may hold text
            return {"quarantined": f"quarantined: {type(error).__name__} while reading the text"}

    def _rows(self, report: Report) -> dict[str, Any]:
        annotated = self._annotator.annotate(report)
        assessment = judged(annotated, self.rules, self.case, self.model, self.prevalence)
        mentions = [mention_row(report.report_id, m) for m in annotated.mentions]
        row = report_row(report, assessment, len(mentions), self.rules.hash, annotated.flags)
        card = _card(report, row, mentions) if assessment.likely_case else None
        aside = assessment.case_status in self.case.likely and not assessment.likely_case
        return {"report": row, "mentions": mentions, "card": card, "set_aside": aside}


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


def _card(report: Report, row: Mapping[str, Any], mentions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the summary page shows of a likely case; a very long text is cut."""
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
        raise UsageError(f"no case definition {name!r}; there are: {', '.join(rules.cases) or 'none'}")
    return rules.cases[name]


@lru_cache(maxsize=2)
def _worker_of(setup: Setup) -> Worker:
    """The worker of this process, kept as long as its setup stays the same."""
    rules = load_rules(setup.patterns or None)
    if rules.hash != setup.ruleset_hash:
        raise RunError("the rule files changed while the run was starting; give the same command again")
    case = case_of(rules, setup.case)
    return Worker(rules, case, load_model(setup.model) if setup.model else None, setup.prevalence)


def _start_worker(setup: Setup) -> None:
    """Leave Ctrl-C to the parent process, and build the pipeline before the first report comes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_of(setup)


def _work(setup: Setup, reports: Sequence[Report]) -> list[dict[str, Any]]:
    worker = _worker_of(setup)
    return [worker(r) for r in reports]


class Pool:
    """A context that gives `work(reports) -> rows`, in this process or over spawned ones, in order."""

    def __init__(self, workers: int, setup: Setup) -> None:
        self._workers, self._setup = workers, setup
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Work:
        if self._workers == 1:
            return self._here
        self._executor = ProcessPoolExecutor(
            self._workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(self._setup,)
        )
        return self._there

    def _here(self, reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
        if reports:
            yield from map(_worker_of(self._setup), reports)

    def _there(self, reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
        assert self._executor
        chunks = [reports[i : i + CHUNK] for i in range(0, len(reports), CHUNK)]
        try:
            for results in self._executor.map(_work, [self._setup] * len(chunks), chunks):
                yield from results
        except BrokenProcessPool:
            raise RunError(
                "a worker process ended (out of memory?); give the same command again, with fewer --workers"
            ) from None

    def __exit__(self, *_: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)
