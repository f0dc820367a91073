"""The same reading on Spark: a DataFrame of reports in, a DataFrame of assessments with their mentions out.

Rules and model travel as text inside the job, so that the cluster's machines need the package and nothing else; each
Python worker builds its pipeline once. Needs the extra `spark` (PySpark 4, Java 17).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from calcitrace.corpus import RunOptions, check_options
from calcitrace.errors import SourceError, UsageError
from calcitrace.model import Reject, Report
from calcitrace.rules import load_rules, patterns_folder
from calcitrace.sources import choose_columns, report_of, shown_id
from calcitrace.sources.seen import Seen
from calcitrace.sources.versions import VERSION_MARK, Versions
from calcitrace.sparkinput import as_text
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, schema
from calcitrace.workers import Setup, Worker, case_of, model_for

if TYPE_CHECKING:
    import pandas as pd

    DataFrame = Any  # pyspark.sql.DataFrame; PySpark brings no types that strict checking takes
SOURCE = "spark"
ROW = "_row"
_VERSIONS = rf"({VERSION_MARK}[0-9]+)+\z"


@dataclass(frozen=True, slots=True)
class Pack:
    """All that a worker needs, as text: the rule files by their path, the model file, the setup, the order of dates."""

    rules: tuple[tuple[str, str], ...]
    model: str
    setup: Setup
    date_order: str = ""


def process(
    reports: DataFrame, rules: str | Path = "", model: str | Path = "", options: RunOptions | None = None
) -> DataFrame:
    """What is said of each report of a Spark DataFrame, in one row a report.

    Args:
        reports: columns are recognised as those of a file are, or named in `options.columns`; there must be one of
            report ids.
        rules: a folder of rules; those that ship where it is empty.
        model: a model file, or "none"; the starter model where it is empty.
        options: case definition, columns, prevalence and screen.

    Returns:
        The columns of `calcitrace.tables.REPORT_COLUMNS`, `mentions` (an array of structs with the columns of
        `MENTION_COLUMNS`), and `reject_reason`: a row that is no report (empty, repeated), or that could not be read,
        has only that and its id. Of several texts under one id the later ones, in the order of the DataFrame, are
        versions (`~v2`), as in a run.

    Raises:
        UsageError, RuleError, ModelError, SourceError: see `calcitrace.errors`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    options = options or RunOptions()
    options = replace(options, patterns=str(rules) or options.patterns, model=str(model) or options.model)
    columns = choose_columns(reports.columns, options.columns)
    if "report_id" not in columns.chosen:
        raise SourceError("no column of report ids; name it in RunOptions(columns={'report_id': ...})")
    pack = shared(reports.sparkSession, packed(options))
    rows = as_text(reports, columns).withColumn(ROW, F.monotonically_increasing_id())
    return together(rows, ROW).mapInPandas(_reader(pack), from_arrow_schema(_output()))


def packed(options: RunOptions) -> Pack:
    """The rules, the model and the setup of a run with these options.

    Raises:
        UsageError, RuleError, ModelError: see `calcitrace.errors`.
    """
    check_options(options)
    if (options.encoding, options.delimiter, options.source) != ("auto", "auto", "auto"):
        raise UsageError("encoding, delimiter and format are Spark's to know; leave them out")
    rules = load_rules(options.patterns or None)
    _, model = model_for(options.model, rules, case_of(rules, options.case))
    root = Path(options.patterns) if options.patterns else patterns_folder()
    files = sorted(root.rglob("*.yml"))
    texts = tuple((p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in files)
    setup = Setup("", rules.hash, options.case, "", options.prevalence, options.screen, options.audit_fraction)
    return Pack(texts, Path(model).read_text(encoding="utf-8") if model else "", setup, options.date_order)


def shared(session: Any, pack: Pack) -> Callable[[], Pack]:
    """What gives the pack on any machine of the cluster: it is broadcast, or goes with each task on Spark Connect."""
    from pyspark.errors import PySparkAttributeError

    try:
        sent = session.sparkContext.broadcast(pack)
    except PySparkAttributeError:
        return lambda: pack
    return lambda: cast("Pack", sent.value)


def together(rows: DataFrame, *order: str, parts: int = 0) -> DataFrame:
    """The rows with all that share a report id in one partition, each in the order of these columns.

    So one worker sees every version of a report. Ids that end in ~v2 and the like stand beside the id before that.
    """
    from pyspark.sql import functions as F

    alike = F.regexp_replace("report_id", _VERSIONS, "")
    spread = rows.repartition(parts, alike) if parts else rows.repartition(alike)
    return spread.sortWithinPartitions(*order)


def records(batch: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a batch, by column."""
    return cast("list[dict[str, Any]]", batch.to_dict("records"))


def made_of(row: Mapping[str, Any], source: str, versions: Versions, date_order: str = "") -> Report | Reject:
    """The report that a row of text is, or why it is none."""
    made = report_of({k: v for k, v in row.items() if k[0] != "_" and isinstance(v, str)}, source, 0, date_order)
    return made if isinstance(made, Reject) else versions.settle(made, source, 0, shown_id)


def _output() -> Any:
    """The Arrow schema of the result."""
    import pyarrow as pa

    mention = pa.struct(list(schema(MENTION_COLUMNS)))
    extra = [pa.field("mentions", pa.list_(mention)), pa.field("reject_reason", pa.string())]
    return pa.schema([*schema(REPORT_COLUMNS), *extra])


def _reader(pack: Callable[[], Pack]) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """The function that Spark runs over the batches of a partition."""

    def read(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        sent, names = pack(), _output().names
        worker = worker_of(sent)
        with Seen() as seen:
            versions = Versions(seen)
            for batch in batches:
                found = [_row(worker, made_of(row, SOURCE, versions, sent.date_order)) for row in records(batch)]
                yield pd.DataFrame([[row.get(n) for n in names] for row in found], columns=names, dtype=object)

    return read


def _row(worker: Worker, made: Report | Reject) -> dict[str, Any]:
    """What is said of one row."""
    if isinstance(made, Reject):
        return {"report_id": made.report_id, "reject_reason": made.reason}
    rows = worker(made)
    if "quarantined" in rows:
        return {"report_id": made.report_id, "reject_reason": rows["quarantined"]}
    return {**rows["report"], "mentions": rows["mentions"]}


@lru_cache(maxsize=1)
def worker_of(pack: Pack) -> Worker:
    """The worker of this process: the rules and the model are put into files, read, and the files removed."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in pack.rules:
            path = Path(folder, "patterns", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        model = Path(folder, "model.json")
        model.write_text(pack.model, encoding="utf-8")
        used = str(model) if pack.model else ""
        return Worker(replace(pack.setup, patterns=str(Path(folder, "patterns")), model=used))
