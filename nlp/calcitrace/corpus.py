"""A run over an archive: reports in, numbered parts out, each committed before the next; a run can be resumed.

Parts have a fixed composition (the order of the input), so tables are the same whatever the number of workers.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calcitrace.casemodel import CaseModel, chosen_for
from calcitrace.errors import SourceError, StrictError, UsageError
from calcitrace.memory import level_memory, seldom_collected
from calcitrace.model import Reject, Report
from calcitrace.rulechanges import rule_changes
from calcitrace.rules import load_rules
from calcitrace.ruleset import RuleSet
from calcitrace.runfolder import RUNNING, RunFolder, file_hash, now
from calcitrace.sieve import SCREENS
from calcitrace.sources import Inputs, Options, Place, Query, Tally, expand, read_rows, shown_id
from calcitrace.strictyaml import meant
from calcitrace.studydate import ORDERS
from calcitrace.summary import SUMMED, bounded, count, first_by_probability
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, parquet_bytes
from calcitrace.workers import NO_MODEL, Setup, Work, case_of, model_for, why_no_model, working

PART_ROWS = 2000
TICK = 10
MAX_CARDS, MAX_SHOWN = 200, 10
DEFAULT_CASE = "intraosseous_migration"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What shapes the output of a run; two runs with equal options, inputs and rules give equal tables."""

    case: str = DEFAULT_CASE
    patterns: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "auto"
    delimiter: str = "auto"
    source: str = "auto"
    model: str = ""
    prevalence: float | None = None
    screen: str = "rules"
    audit_fraction: float = 0.0
    date_order: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come; `fraction` is of the input's bytes, `done` are reports of this call (not of earlier).

    `lacking` says which fields have no column, by input; `warning` why there is no model where one was wanted.
    """

    reports: int
    rejects: int
    likely: int
    done: int
    fraction: float
    chosen: Mapping[str, str]
    lacking: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its folder and counts (`rows` = `reports` + `rejects`), and the first rejects of this call.

    `set_aside` are reports that the case definition takes for likely cases and the model does not; `aside` are the
    first of them: rows with the keys `SUMMED`, the highest probability first.
    """

    folder: Path
    rows: int
    reports: int
    rejects: int
    mentions: int
    likely: int
    set_aside: int
    aside: Sequence[Mapping[str, Any]]
    chosen: Mapping[str, str]
    left_out: Mapping[str, int]
    first_rejects: Sequence[Reject]
    lacking: Mapping[str, str]


def process(
    inputs: Inputs,
    out: str | Path,
    options: RunOptions | None = None,
    workers: int = 1,
    strict: bool = False,
    also_csv: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    command: Sequence[str] = (),
    report_timeout: float | None = None,
    shard: tuple[int, int] | None = None,
) -> RunResult:
    """Process reports into the run folder `out`; the same call again continues or confirms an earlier run.

    Args:
        inputs: files, folders or queries (see `read_reports`).
        out: the run folder: reports/, mentions/, rejects.jsonl, manifest.json, summary.html.
        options: rules, case definition and column choices.
        workers: processes; each builds its own pipeline.
        strict: stop at the first row that must be rejected.
        also_csv: write reports.csv and mentions.csv too.
        overwrite: start anew where `out` holds a run.
        on_progress: called every few reports.
        command: the command line, for the manifest.
        report_timeout: seconds that one report may take before it is quarantined; with it, or with several workers,
            a report that hangs or kills its process is found and the rest goes on.
        shard: (i, n) to process every n-th part from the i-th (1 to n) only; `merge` joins the folders.

    Raises:
        UsageError, SourceError, RuleError, StrictError, RunError: see `calcitrace.errors`.
    """
    options = options or RunOptions()
    if workers < 1:
        raise UsageError("workers must be 1 or more")
    rules = load_rules(options.patterns or None)
    case = case_of(rules, options.case)
    model, model_file = model_for(options.model, rules, case)
    no_model = "" if model else why_no_model(options.model, case)
    check_options(options, report_timeout, shard)
    tally = Tally()
    paths = expand(inputs, tally, options.source)
    used = model_note(model, model_file, options.prevalence)
    first, every = shard or (1, 1)
    shape = (options.prevalence, options.screen, options.audit_fraction)
    setup = Setup(options.patterns, rules.hash, options.case, model_file, *shape)
    manifest = new_manifest(paths, options, rules, used, no_model, command, shard)
    with level_memory() as give_back, seldom_collected(), RunFolder(Path(out), manifest, overwrite) as run:
        following = _Following(run, tally, on_progress, "" if options.model == NO_MODEL else no_model)
        with working(workers, setup, report_timeout) as work:
            for part in _parts(paths, options, strict, tally, run):
                following.begin(part)
                if part.number % every == first - 1 and part.number not in run.parts:
                    _commit(run, part, work, strict, following, tally.fraction)
                give_back()
        run.finish(tally.rows, tally.chosen, tally.left_out, also_csv)
        return result_of(run, tally, following.rejects)


def check_options(
    options: RunOptions, report_timeout: float | None = None, shard: tuple[int, int] | None = None
) -> None:
    """Refuse options that make no sense (UsageError)."""
    if options.prevalence is not None and not 0 < options.prevalence < 1:
        raise UsageError(f"prevalence {options.prevalence} is not between 0 and 1 (0.005 is 0.5 %)")
    if options.screen not in SCREENS:
        known = ", ".join(SCREENS)
        raise UsageError(f"screen {options.screen!r} is not one of {known}{meant(options.screen, SCREENS, '')}")
    if not 0 <= options.audit_fraction <= 1:
        raise UsageError(f"audit fraction {options.audit_fraction} is not between 0 and 1 (0.001 reads one of 1,000)")
    if options.date_order not in ("", *ORDERS):
        raise UsageError(f"date order {options.date_order!r} is not one of {', '.join(ORDERS)} (day or month first)")
    if report_timeout is not None and report_timeout <= 0:
        raise UsageError(f"report timeout {report_timeout} is not above 0 seconds")
    if shard and not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"shard {shard[0]}/{shard[1]} makes no sense; with 4 shards they are 1/4, 2/4, 3/4 and 4/4")


def model_note(model: CaseModel | None, file: str, prevalence: float | None) -> dict[str, Any] | None:
    """What the manifest says of the model; nothing where there is none."""
    if model is None:
        return None
    return {
        "name": model.card.get("name", Path(file).stem),
        "sha256": file_hash(Path(file)),
        "learned_from": model.card.get("note", ""),
        "learned_on": list(model.card.get("data", {}).get("inputs", ())),
        "trained_with_rules": model.ruleset_hash,
        "threshold": model.threshold,
        "threshold_chosen": chosen_for(model.card),
        "trained_at_prevalence": model.prevalence,
        "probabilities_at_prevalence": model.prevalence if prevalence is None else prevalence,
    }


def result_of(run: RunFolder, tally: Tally, first_rejects: Sequence[Reject]) -> RunResult:
    """The result of a finished run."""
    return RunResult(
        folder=run.folder,
        rows=tally.rows,
        reports=run.total("reports"),
        rejects=run.total("rejects"),
        mentions=run.total("mentions"),
        likely=run.total("likely"),
        set_aside=run.counts["case|set aside"],
        aside=run.aside,
        chosen=tally.chosen,
        left_out=tally.left_out,
        first_rejects=first_rejects,
        lacking=tally.lacking,
    )


@dataclass(slots=True)
class Part:
    """A stretch of the input, every row of it: the reports with their place, and the rows that are rejects."""

    number: int
    reports: list[tuple[str, int, Report]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows of the input it holds."""
        return len(self.reports) + len(self.rejects)


def _parts(
    paths: Sequence[tuple[Place, str]], options: RunOptions, strict: bool, tally: Tally, run: RunFolder
) -> Iterator[Part]:
    """The parts of the input; every row is in exactly one, and a run without rows has one empty part."""
    part, size = Part(0), run.manifest["part_rows"]
    reading = Options(options.columns, options.encoding, options.delimiter, options.source, options.date_order)
    for name, number, made in read_rows(paths, reading, tally, strict, run.folder):
        if part.rows >= size:
            yield part
            part = Part(part.number + 1)
        if isinstance(made, Report):
            part.reports.append((name, number, made))
        else:
            part.rejects.append(made)
    yield part


class _Following:
    """Follows a run for `on_progress`, between the fractions of the input at which a part begins and ends."""

    def __init__(
        self, run: RunFolder, tally: Tally, tell: Callable[[Progress], None] | None, warning: str = ""
    ) -> None:
        self._run, self._tally, self._tell, self._warning = run, tally, tell, warning
        self._from = self._to = 0.0
        self._done = 0
        self.rejects: list[Reject] = []

    def begin(self, part: Part) -> None:
        """A part was read; it is processed next, unless an earlier call has committed it."""
        self._from, self._to = self._to, self._tally.fraction
        self.note(part.rejects)
        self.tick(0.0)

    def note(self, rejects: Sequence[Reject]) -> None:
        """Keep the first rejects, for a message."""
        self.rejects += rejects[: MAX_SHOWN - len(self.rejects)]

    def committed(self, reports: int) -> None:
        """The part is committed, with this many reports."""
        self._done += reports
        self.tick(1.0)

    def tick(self, share: float, reports: int = 0, rejects: int = 0, likely: int = 0) -> None:
        """A share of the part, 0 to 1, is processed, with these counts that are not committed yet."""
        if self._tell:
            self._tell(
                Progress(
                    reports=self._run.total("reports") + reports,
                    rejects=self._run.total("rejects") + rejects,
                    likely=self._run.total("likely") + likely,
                    done=self._done + reports,
                    fraction=self._from + share * (self._to - self._from),
                    chosen=self._tally.chosen,
                    lacking=self._tally.lacking,
                    warning=self._warning,
                )
            )


def _commit(run: RunFolder, part: Part, work: Work, strict: bool, following: _Following, fraction: float) -> None:
    """Process a part and commit it."""
    made = Made(run.total("cards"), part.rejects)
    for k, (place, rows) in enumerate(zip(part.reports, work([r for _, _, r in part.reports]), strict=True), 1):
        made.add(*place, rows)
        if strict and len(made.rejects) > len(part.rejects):
            raise StrictError(f"{place[0]}:{place[1]}: {rows['quarantined']}; stopped because of --strict")
        if k % TICK == 0:
            following.tick(k / len(part.reports), len(made.reports), len(made.rejects), made.counts["likely"])
    following.note(made.rejects[len(part.rejects) :])
    run.commit(part.number, made.tables(), {**made.notes(), "fraction": round(fraction, 6)})
    following.committed(len(made.reports))


class Made:
    """What was made of a part so far: rows of the tables, rejects, cards and counts."""

    def __init__(self, cards_before: int, rejects: Sequence[Reject]) -> None:
        self.reports: list[dict[str, Any]] = []
        self.mentions: list[dict[str, Any]] = []
        self.rejects: list[Reject] = list(rejects)
        self.counts: Counter[str] = Counter()
        self._cards: list[dict[str, Any]] = []
        self._aside: list[dict[str, Any]] = []
        self._room = MAX_CARDS - cards_before
        self._inputs: dict[str, list[int]] = {}
        for reject in rejects:
            self._count(reject.source, 1)

    def _count(self, source: str, rejected: int) -> None:
        self._inputs.setdefault(source, [0, 0])[rejected] += 1

    def add(self, source: str, row: int, report: Report, rows: Mapping[str, Any]) -> None:
        """Add what a worker made of one report."""
        reason = rows.get("quarantined")
        self._count(source, int(bool(reason)))
        if reason:
            self.rejects.append(Reject(source, row, reason, shown_id(report.report_id)))
            return
        self.reports.append(rows["report"])
        self.mentions += rows["mentions"]
        count(rows, self.counts)
        self.counts["likely"] += rows["report"]["likely_case"]
        if rows["set_aside"]:
            self.counts["case|set aside"] += 1
            self._aside.append({key: rows["report"][key] for key in SUMMED} | {"card": rows["card"]})
        elif rows["card"] and len(self._cards) < self._room:
            self._cards.append(rows["card"])

    def tables(self) -> dict[str, bytes]:
        """The tables of the part, as Parquet files."""
        return {
            "reports": parquet_bytes(self.reports, REPORT_COLUMNS),
            "mentions": parquet_bytes(self.mentions, MENTION_COLUMNS),
        }

    def notes(self) -> dict[str, Any]:
        """What is kept beside the tables of the part."""
        return {
            "reports": len(self.reports),
            "rejects": len(self.rejects),
            "mentions": len(self.mentions),
            "likely": self.counts["likely"],
            "counts": dict(sorted(bounded(self.counts).items())),
            "inputs": self._inputs,
            "rejected": [asdict(r) for r in self.rejects],
            "cards": self._cards,
            "aside": first_by_probability(self._aside),
        }


def new_manifest(
    paths: Sequence[tuple[Place, str]],
    options: RunOptions,
    rules: RuleSet,
    model: dict[str, Any] | None,
    no_model: str,
    command: Sequence[str],
    shard: tuple[int, int] | None,
) -> dict[str, Any]:
    """The manifest that a run begins with."""
    shared = {"shard": list(shard)} if shard else {}
    files, chosen = [_input(path, name) for path, name in paths], asdict(options)
    return {
        "calcitrace": version("calcitrace"),
        "status": RUNNING,
        "started": now(),
        "finished": None,
        "command": list(command),
        "ruleset_hash": rules.hash,
        "rules_changed": rule_changes(options.patterns),
        "case": options.case,
        "likely_status": sorted(rules.cases[options.case].likely),
        "model": model,
        **({"no_model": no_model} if no_model else {}),
        "inputs": files,
        "options": chosen,
        "fingerprint": {
            "inputs": [[f["name"], f["sha256"]] for f in files],
            "rules": rules.hash,
            "options": {k: v for k, v in chosen.items() if k not in ("patterns", "model")},
            "model": model and model["sha256"],
            "calcitrace": version("calcitrace"),
            **shared,
        },
        **shared,
        "part_rows": PART_ROWS,
        "versions": {p: version(p) for p in ("spacy", "medspacy", "scikit-learn", "pandas", "pyarrow")},
        "python": platform.python_version(),
        "parts": [],
    }


def _input(path: Place, name: str) -> dict[str, Any]:
    if isinstance(path, Query):
        return {"name": name, **path.described()}
    try:
        return {"name": name, "path": str(path), "bytes": path.stat().st_size, "sha256": file_hash(path)}
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from None
