"""The same reading on Spark: a DataFrame of reports in, a DataFrame of assessments with their mentions out.

Rules and model travel as text inside the job, so that the cluster's machines need the package and nothing else; each
Python worker builds its pipeline once. Needs the extra `spark` (PySpark 4, Java 17).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from calcitrace.corpus import RunOptions
from calcitrace.errors import UsageError
from calcitrace.model import Reject
from calcitrace.rules import load_rules, patterns_folder
from calcitrace.sources import choose_columns, report_of
from calcitrace.sources.columns import Columns
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS, schema
from calcitrace.workers import Setup, Worker, case_of, model_for

if TYPE_CHECKING:
    import pandas as pd

    DataFrame = Any  # pyspark.sql.DataFrame; PySpark brings no types that strict checking takes
SOURCE = "spark"


@dataclass(frozen=True, slots=True)
class _Pack:
    """All that a worker needs, as text: the rule files by their path, the model file, and the setup."""

    rules: tuple[tuple[str, str], ...]
    model: str
    setup: Setup


def process(reports: DataFrame, options: RunOptions | None = None) -> DataFrame:
    """What is said of each report of a Spark DataFrame, in one row a report.

    Args:
        reports: columns are recognised as those of a file are, or named in `options.columns`; all are text, dates too.
        options: rules, case definition, model, prevalence and screen.

    Returns:
        The columns of `calcitrace.tables.REPORT_COLUMNS`, `mentions` (an array of structs with the columns of
        `MENTION_COLUMNS`), and `reject_reason`: a row that is no report, or that could not be read, has only that
        and its id. Unlike `calcitrace process`, repeats and versions of one report id are not told apart, since no
        worker sees all rows.

    Raises:
        UsageError, RuleError, ModelError, SourceError: see `calcitrace.errors`.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    options = options or RunOptions()
    if options.encoding != "auto" or options.delimiter != "auto":
        raise UsageError("encoding and delimiter are Spark's to know; leave them out")
    columns = choose_columns(reports.columns, options.columns)
    pack = _packed(options)
    chosen = reports.select(*[reports[name].cast("string").alias(name) for name in columns.names])
    return chosen.mapInPandas(_reader(pack, columns), from_arrow_schema(_output()))


def _packed(options: RunOptions) -> _Pack:
    rules = load_rules(options.patterns or None)
    _, model = model_for(options.model, rules, case_of(rules, options.case))
    root = Path(options.patterns) if options.patterns else patterns_folder()
    files = sorted(root.rglob("*.yml"))
    texts = tuple((p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in files)
    setup = Setup("", rules.hash, options.case, "", options.prevalence, options.screen, options.audit_fraction)
    return _Pack(texts, Path(model).read_text(encoding="utf-8") if model else "", setup)


def _output() -> Any:
    """The Arrow schema of the result."""
    import pyarrow as pa

    mention = pa.struct(list(schema(MENTION_COLUMNS)))
    extra = [pa.field("mentions", pa.list_(mention)), pa.field("reject_reason", pa.string())]
    return pa.schema([*schema(REPORT_COLUMNS), *extra])


def _reader(pack: _Pack, columns: Columns) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    """The function that Spark runs over the batches of a partition."""

    def read(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        worker, names = _worker(pack), _output().names
        for batch in batches:
            rows = [_row(worker, columns.row(cast("dict[str, Any]", record))) for record in batch.to_dict("records")]
            yield pd.DataFrame([[row.get(n) for n in names] for row in rows], columns=names, dtype=object)

    return read


def _row(worker: Worker, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one row."""
    made = report_of({k: v for k, v in fields.items() if isinstance(v, str)}, SOURCE, 0)
    if isinstance(made, Reject):
        return {"report_id": made.report_id, "reject_reason": made.reason}
    rows = worker(made)
    if "quarantined" in rows:
        return {"report_id": made.report_id, "reject_reason": rows["quarantined"]}
    return {**rows["report"], "mentions": rows["mentions"]}


@lru_cache(maxsize=1)
def _worker(pack: _Pack) -> Worker:
    """The worker of this process: the rules and the model are put into files, read, and the files removed."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in pack.rules:
            path = Path(folder, "patterns", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        model = Path(folder, "model.json")
        model.write_text(pack.model, encoding="utf-8")
        setup = pack.setup
        return Worker(
            Setup(
                str(Path(folder, "patterns")),
                setup.ruleset_hash,
                setup.case,
                str(model) if pack.model else "",
                setup.prevalence,
                setup.screen,
                setup.audit,
            )
        )
