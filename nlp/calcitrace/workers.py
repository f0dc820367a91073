"""What turns reports into plain rows: one worker a process, and the pool of them that a run works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from calcitrace.errors import RunError, UsageError
from calcitrace.model import Report
from calcitrace.rules import load_rules
from calcitrace.ruleset import CaseDefinition, RuleSet
from calcitrace.tables import clean, mention_row, report_row

CHUNK = 50
MAX_CARD_TEXT = 20_000
Work = Callable[[Sequence[Report]], Iterator[dict[str, Any]]]


class Worker:
    """Turns reports into plain rows; each process builds its own and keeps it."""

    def __init__(self, rules: RuleSet, case: str) -> None:
        from calcitrace.annotate import Annotator
        from calcitrace.assess import assess

        self.rules = rules
        self.case = case_of(rules, case)
        self._annotator, self._assess = Annotator(rules), assess

    def __call__(self, report: Report) -> dict[str, Any]:
        """The report's rows, or the reason why it is quarantined (never its text)."""
        try:
            return self._rows(report)
        except Exception as error:  # one bad report must not end the run; its message may hold text
            return {"quarantined": f"quarantined: {type(error).__name__} while reading the text"}

    def _rows(self, report: Report) -> dict[str, Any]:
        annotated = self._annotator.annotate(report)
        assessment = self._assess(annotated, self.rules, self.case)
        likely = assessment.case_status in self.case.likely
        mentions = [mention_row(report.report_id, m) for m in annotated.mentions]
        row = report_row(report, assessment, len(mentions), likely, self.rules.hash, annotated.flags)
        return {"report": row, "mentions": mentions, "card": _card(report, row, mentions) if likely else None}


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
def _worker_of(patterns: str, case: str, ruleset_hash: str) -> Worker:
    """The worker of this process, kept as long as rules and case stay the same."""
    rules = load_rules(patterns or None)
    if rules.hash != ruleset_hash:
        raise RunError("the rule files changed while the run was starting; give the same command again")
    return Worker(rules, case)


def _start_worker(*arguments: str) -> None:
    """Leave Ctrl-C to the parent process, and build the pipeline before the first report comes."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_of(*arguments)


def _work(arguments: tuple[str, str, str], reports: Sequence[Report]) -> list[dict[str, Any]]:
    worker = _worker_of(*arguments)
    return [worker(r) for r in reports]


class Pool:
    """A context that gives `work(reports) -> rows`, in this process or over spawned ones, in order."""

    def __init__(self, workers: int, arguments: tuple[str, str, str]) -> None:
        self._workers, self._arguments = workers, arguments
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> Work:
        if self._workers == 1:
            return self._here
        self._executor = ProcessPoolExecutor(
            self._workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=self._arguments
        )
        return self._there

    def _here(self, reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
        if reports:
            yield from map(_worker_of(*self._arguments), reports)

    def _there(self, reports: Sequence[Report]) -> Iterator[dict[str, Any]]:
        assert self._executor
        chunks = [reports[i : i + CHUNK] for i in range(0, len(reports), CHUNK)]
        try:
            for results in self._executor.map(_work, [self._arguments] * len(chunks), chunks):
                yield from results
        except BrokenProcessPool:
            raise RunError(
                "a worker process ended (out of memory?); give the same command again, with fewer --workers"
            ) from None

    def __exit__(self, *_: object) -> None:
        if self._executor:
            self._executor.shutdown(cancel_futures=True)
