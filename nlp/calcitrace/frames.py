"""A run folder as pandas frames."""

from __future__ import annotations

from collections.abc import Iterator
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
    manifest = _finished(folder)
    return _frame(folder, manifest, "reports", REPORT_COLUMNS), _frame(folder, manifest, "mentions", MENTION_COLUMNS)


def report_ids(folder: str | Path) -> Iterator[str]:
    """The ids of the reports of a finished run, in order; those of one part are held at a time.

    Raises:
        RunError: as `read_run`.
    """
    for table in _parts(Path(folder), _finished(Path(folder)), "reports", ["report_id"]):
        yield from table["report_id"].to_pylist()


def _finished(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    if manifest.get("status") != "complete":
        raise RunError(f"{folder}: the run has not finished; give the same `calcitrace process` command again")
    return manifest


def _parts(folder: Path, manifest: dict[str, Any], table: str, columns: list[str] | None = None) -> Iterator[Any]:
    """The parts of a table, with these columns or all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for part in manifest["parts"]:
            yield pq.read_table(folder / f"{table}/part-{part['number']:05d}.parquet", columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{folder}: a table is missing or damaged ({type(error).__name__}); give the same command again"
        ) from None


def _frame(folder: Path, manifest: dict[str, Any], table: str, columns: dict[str, tuple[str, str]]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    from calcitrace.tables import schema

    tables = list(_parts(folder, manifest, table))
    joined = pa.concat_tables(tables) if tables else schema(columns).empty_table()
    return pd.DataFrame(joined.to_pandas())
