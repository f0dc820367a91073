"""A run folder as pandas frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.errors import RunError
from calcitrace.runfolder import read_manifest
from calcitrace.tables import MENTION_COLUMNS, REPORT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd


def read_run(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables `reports` and `mentions` of a finished run, as pandas frames.

    Columns and their meaning are `calcitrace.tables.REPORT_COLUMNS` and `MENTION_COLUMNS`.

    Raises:
        RunError: no run folder, a run that has not finished, or tables that are missing or damaged.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest.get("status") != "complete":
        raise RunError(f"{folder}: the run has not finished; give the same `calcitrace process` command again")
    return _frame(folder, manifest, "reports", REPORT_COLUMNS), _frame(folder, manifest, "mentions", MENTION_COLUMNS)


def _frame(folder: Path, manifest: dict[str, Any], table: str, columns: dict[str, tuple[str, str]]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from calcitrace.tables import schema

    names = [f"{table}/part-{p['number']:05d}.parquet" for p in manifest["parts"]]
    try:
        tables = [pq.read_table(folder / name) for name in names]
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{folder}: a table is missing or damaged ({type(error).__name__}); give the same command again"
        ) from None
    joined = pa.concat_tables(tables) if tables else schema(columns).empty_table()
    return pd.DataFrame(joined.to_pandas())
