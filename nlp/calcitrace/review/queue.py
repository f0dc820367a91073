"""The queue of a run: candidates in the order of the ranking, with a stratified random audit sample mixed in blind.

Strata, fixed when the store is made: `candidate` (all of them are read), `near_miss` (the highest ranked of the
others), `read` (the rest with a reading), `unread` (no rule could fire, or screened out). The audit draws at random
from the last three; what it finds there is the basis of `calcitrace recall`.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.adjudication import Store
from calcitrace.casemodel import log_odds, shift
from calcitrace.decisions import Item, choices
from calcitrace.errors import ConflictError, RunError, StoreError, UsageError
from calcitrace.rerun import Rerun
from calcitrace.runfolder import read_manifest, run_mark
from calcitrace.studydate import study_date
from calcitrace.tables import READ

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("report_id", "patient_id", "version_of", "study_date", "case_status", "case_probability", "case_score"),
    *("likely_case", "status"),
)
CANDIDATE, NEAR, REST, UNREAD = "candidate", "near_miss", "read", "unread"
AUDITED = (NEAR, REST, UNREAD)
NEAR_SHARE = 1 / 3  # of the audit, for the near misses
LEAST_NEAR = 200
EVERY_UNSURE = 10  # each tenth place of the ranking goes to the candidate nearest to the threshold
SEED = 20240229
LOWEST = 1e-9


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """How the queue of a new store is made.

    Attributes:
        candidates: how many reports, the highest ranked; by default the likely cases and all with a case status. The
            other versions of these reports are read with them.
        audit: how many reports are drawn at random from the others.
        double: share of the patients that every reader reads, 0 to 1; the others are read by one reader.
        calibration: so many patients at the start of the queue are read by every reader in any case.
        batch: patients a batch; within one the order is random for each reader, so that place tells little.
        seed: of the draw and of the orders.
    """

    candidates: int | None = None
    audit: int = 300
    double: float = 1.0
    calibration: int = 20
    batch: int = 50
    seed: int = SEED

    def __post_init__(self) -> None:
        if not 0 <= self.double <= 1:
            raise UsageError(f"a share of {self.double} to read twice is not between 0 and 1")
        if min(self.audit, self.calibration, self.candidates or 0) < 0 or self.batch < 1:
            raise UsageError(
                "numbers of candidates, audit and calibration reports are not below 0, a batch is not below 1"
            )


def check_run(run: str | Path) -> None:
    """Refuse a run that cannot be reviewed, before a store is made for it.

    Raises:
        RunError: no finished run, damaged or without a report, or its inputs or rules have changed since.
    """
    source = Rerun(Path(run))
    _reports(source.folder, source.manifest)
    source.inputs()


def make_queue(run: str | Path, store: Store, options: QueueOptions | None = None) -> dict[str, Any]:
    """The settings of the store's queue; where the store is new, draw the queue from a finished run first.

    Args:
        run: run folder.
        store: a new one, or one that was made from this run.
        options: for a new store; for another they must be None or those it was made with.

    Raises:
        StoreError: the store is of another run, or was made with other options.
        RunError: no finished run.
    """
    folder = Path(run)
    manifest = read_manifest(folder)
    mark = run_mark(manifest)
    if not store.about():
        made = options or QueueOptions()
        order = manifest["options"].get("date_order", "")
        strata, items = drawn(_reports(folder, manifest), made, threshold_of(manifest), order)
        with suppress(ConflictError):  # another process was quicker: its queue counts
            store.fill({"run": mark, "options": asdict(made)}, strata, items)
    about = store.about()
    if about["run"] != mark:
        raise StoreError(f"{store.path}: was made from another run than {folder}; choose another --store")
    if options is not None and about["options"] != asdict(options):
        raise StoreError(
            f"{store.path}: was made with other options for the queue, which is drawn once; leave them out, or use a "
            "new --store"
        )
    if "choices" not in about:
        source = Rerun(folder)
        store.offer(choices(source.rules, source.case))
    return dict(about["options"])


def _reports(folder: Path, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The columns that the draw needs, of every report of a finished run."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if manifest.get("status") != "complete":
        raise RunError(f"{folder}: the run has not finished; give the same `calcitrace process` command again")
    try:
        names = [folder / f"reports/part-{part['number']:05d}.parquet" for part in manifest["parts"]]
        tables = [pq.read_table(name, columns=list(COLUMNS)) for name in names]
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{folder}: a table is missing or damaged ({type(error).__name__}); process again") from None
    if not sum(len(t) for t in tables):
        raise RunError(f"{folder}: holds no report to review")
    return pd.DataFrame(pa.concat_tables(tables).to_pandas())


def threshold_of(manifest: Mapping[str, Any]) -> float | None:
    """The run's threshold as log odds at the prevalence of its probabilities; None without a model."""
    model = manifest.get("model")
    if not model:
        return None
    moved = shift(model["trained_at_prevalence"], model["probabilities_at_prevalence"])
    return log_odds(model["threshold"]) + moved


def drawn(
    reports: pd.DataFrame, options: QueueOptions, threshold: float | None = None, date_order: str = ""
) -> tuple[dict[str, tuple[int, int]], list[Item]]:
    """The strata (reports, drawn) and the items of a run's reports; the same seed draws the same.

    Args:
        reports: table of a run with report_id, patient_id, version_of, study_date, case_status, case_probability,
            case_score, likely_case and status.
        options: see there.
        threshold: of a likely case, in log odds, for the uncertain ones.
        date_order: of day and month, where a study date does not tell (see `study_date`).
    """
    table = reports.reset_index(drop=True)
    table["score"] = _scores(table)
    ranked = table.sort_values(["score", "report_id"], ascending=[False, True], kind="stable")
    wanted = int((table["likely_case"] | (table["case_status"] != "no")).sum())
    ranked, cut = _with_versions(ranked, min(wanted if options.candidates is None else options.candidates, len(ranked)))
    strata = _strata(ranked, cut)
    draw = random.Random(options.seed)
    counts = _allocated({n: len(s) for n, s in strata.items()}, options.audit)
    chosen = {name: sorted(draw.sample(range(len(rows)), counts[name])) for name, rows in strata.items()}
    audit = {name: strata[name].iloc[chosen[name]] for name in strata}
    rows = [(r, CANDIDATE) for r in _records(ranked.iloc[:cut])]
    extra = [(r, name) for name, sample in audit.items() for r in _records(sample)]
    found = {CANDIDATE: (cut, cut)} | {name: (len(strata[name]), counts[name]) for name in strata}
    for record, _ in (*rows, *extra):
        record["date"] = study_date(record["study_date"] or "", date_order)
    return found, _placed(rows, extra, options, threshold, draw)


def _with_versions(ranked: pd.DataFrame, cut: int) -> tuple[pd.DataFrame, int]:
    """The table with the other versions of the candidates (its first `cut` rows) among them, and how many they are.

    Only one version of a report decides, which need not be the one that made it a candidate.
    """
    later = ranked["version_of"].fillna("")
    if not later.any():
        return ranked, cut
    studies = later.where(later != "", ranked["report_id"])
    own = studies.isin({*studies.iloc[:cut]})
    order = ranked.assign(first=own).sort_values("first", ascending=False, kind="stable").drop(columns="first")
    return order, int(own.sum())


def _scores(table: pd.DataFrame) -> list[float]:
    """The probability; without a model the case score, as a number between 0 and 1 in the same order."""
    if table["case_probability"].notna().any():
        return [0.0 if math.isnan(p) else p for p in table["case_probability"].astype(float)]
    return [min(max((s + 0.5) / 4, LOWEST), 1 - LOWEST) for s in table["case_score"].fillna(0.0).astype(float)]


def _strata(ranked: pd.DataFrame, cut: int) -> dict[str, pd.DataFrame]:
    others = ranked.iloc[cut:]
    was_read = others["status"] == READ
    near = others[was_read].iloc[: max(cut, LEAST_NEAR)]
    return {NEAR: near, REST: others[was_read].iloc[len(near) :], UNREAD: others[~was_read]}


def _allocated(sizes: Mapping[str, int], audit: int) -> dict[str, int]:
    """How many are drawn of each stratum: a third from the near misses, the rest by size, at least one where any is."""
    counts = {NEAR: min(sizes[NEAR], round(audit * NEAR_SHARE))}
    left, rest = audit - counts[NEAR], sizes[REST] + sizes[UNREAD]
    share = sizes[REST] / rest if rest else 0.0
    least = int(bool(sizes[REST]) and left > 1)
    counts[REST] = min(sizes[REST], max(round(left * share), least))
    counts[UNREAD] = min(sizes[UNREAD], left - counts[REST])
    counts[NEAR] = min(sizes[NEAR], audit - counts[REST] - counts[UNREAD])  # more of them where the others run out
    return counts


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    names = ["report_id", "patient_id", "version_of", "study_date", "score"]
    return [dict(zip(names, row, strict=True)) for row in table[names].itertuples(index=False)]


def unit_of(report_id: str, patient_id: str, version_of: str) -> str:
    """What is read together: the patient, or, without one, a report with its later versions."""
    return f"patient {patient_id}" if patient_id else f"report {version_of or report_id}"


Row = tuple[dict[str, Any], str]


def _placed(
    candidates: Sequence[Row], audit: Sequence[Row], options: QueueOptions, threshold: float | None, draw: random.Random
) -> list[Item]:
    """The items in order: units by their best report, uncertain ones and audit units spread evenly among them."""
    units: dict[str, list[Row]] = {}
    for row in (*candidates, *audit):
        units.setdefault(unit_of(row[0]["report_id"], row[0]["patient_id"], row[0]["version_of"]), []).append(row)
    own = [u for u, rows in units.items() if any(s == CANDIDATE for _, s in rows)]
    best = {u: max(r["score"] for r, _ in units[u]) for u in units}
    mixed = [u for u in units if u not in set(own)]
    draw.shuffle(mixed)
    order = spread(by_priority(own, best, threshold), mixed)
    twice = set(order[: options.calibration]) | {u for u in order if draw.random() < options.double}
    rows = [(u, r, s) for u in order for r, s in sorted(units[u], key=lambda x: (x[0]["date"], x[0]["report_id"]))]
    return [
        Item(r["report_id"], r["patient_id"], u, s, k, float(r["score"]), u in twice)
        for k, (u, r, s) in enumerate(rows)
    ]


def by_priority(units: Sequence[str], best: Mapping[str, float], threshold: float | None) -> list[str]:
    """Units by their probability, the highest first; each tenth place goes to the one nearest to the threshold."""
    ranked = sorted(units, key=lambda u: (-best[u], u))
    if threshold is None:
        return ranked
    near = iter(sorted(ranked, key=lambda u: (abs(log_odds(min(max(best[u], LOWEST), 1 - LOWEST)) - threshold), u)))
    rest, taken, order = iter(ranked), set[str](), list[str]()
    while len(order) < len(ranked):
        source = near if len(order) % EVERY_UNSURE == EVERY_UNSURE - 1 else rest
        unit = next(u for u in source if u not in taken)
        taken.add(unit)
        order.append(unit)
    return order


def ordered(items: Sequence[Item], chances: Mapping[str, float], threshold: float) -> list[str]:
    """The units of a queue ranked anew by the probability of each report; the audit stays spread among them."""
    best: dict[str, float] = {}
    ranked: dict[str, None] = {}
    for item in items:
        best[item.unit] = max(best.get(item.unit, 0.0), chances[item.report_id])
        if item.stratum == CANDIDATE:
            ranked[item.unit] = None
    mixed = [u for u in best if u not in ranked]
    return spread(by_priority(list(ranked), best, log_odds(threshold)), mixed)


def spread(ranked: Sequence[str], mixed: Sequence[str]) -> list[str]:
    """The ranked units with the others, in their order, evenly among them."""
    places = [((k + 0.5) / len(ranked), 0, u) for k, u in enumerate(ranked)]
    places += [((k + 0.5) / len(mixed), 1, u) for k, u in enumerate(mixed)]
    return [u for _, _, u in sorted(places)]


def shuffled(units: Sequence[str], batch: int, seed: int, reviewer: str) -> list[str]:
    """The units, batch by batch, each in a random order of the reviewer's own."""

    def key(unit: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{reviewer}\0{unit}".encode("utf-8", "replace")).digest()

    return [u for k in range(0, len(units), batch) for u in sorted(units[k : k + batch], key=key)]
