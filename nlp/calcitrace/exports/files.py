"""Plain tables: CSV, Parquet, Stata and SPSS, each with a data dictionary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.errors import UsageError
from calcitrace.exports.variables import DICTIONARY, TABLES, Variable, dictionary
from calcitrace.tables import safe_cell

if TYPE_CHECKING:
    import pandas as pd

    from calcitrace.exports.extract import Extract, LeftOut

LONGEST_SPSS = 32767  # bytes of a text in a .sav file


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV in UTF-8 with LF: every text is quoted, nothing else is, and None is an empty cell.

    Python's own writer leaves some line breaks unquoted and cannot tell None from an empty text.
    """
    with path.open("w", encoding="utf-8", newline="") as handle:
        for row in chain([header], rows):
            handle.write(",".join(map(_cell, row)) + "\n")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else str(value)


def write_dictionary(extract: Extract, folder: Path) -> None:
    """Write data_dictionary.csv: the variables with their labels, kinds and codes."""
    write_table(folder / "data_dictionary.csv", DICTIONARY, (row.values() for row in dictionary(extract.variables)))


def write_csv(extract: Extract, folder: Path) -> list[LeftOut]:
    """CSV: patients.csv, reports.csv and mentions.csv with values as words, and data_dictionary.csv.

    UTF-8, ISO dates, True and False, lists as JSON, empty cells for what is not known. A text that a spreadsheet could
    take for a formula gets a leading apostrophe.
    """
    write_dictionary(extract, folder)
    for table in TABLES:
        names = [v.name for v in extract.variables[table]]
        rows = ([safe_cell(row[name]) for name in names] for row in extract.rows(table))
        write_table(folder / f"{table}.csv", names, rows)
    return []


def write_parquet(extract: Extract, folder: Path) -> list[LeftOut]:
    """Parquet: patients.parquet, reports.parquet and mentions.parquet with true types, and data_dictionary.csv.

    Each column's metadata hold its label and, for categories, the labels of its values.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"list": pa.list_(pa.string()), "date": pa.date32(), "integer": pa.int64(), "number": pa.float64()}
    types |= {"flag": pa.bool_()}
    write_dictionary(extract, folder)
    for table in TABLES:
        fields = []
        for v in extract.variables[table]:
            told = {"label": v.label} | ({"values": json.dumps(dict(v.values))} if v.values else {})
            fields.append(pa.field(v.name, types.get(v.kind, pa.string()), metadata=told))
        names = [v.name for v in extract.variables[table]]
        rows = [{name: row[name] for name in names} for row in extract.rows(table)]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), folder / f"{table}.parquet", compression="zstd")
    return []


def write_stata(extract: Extract, folder: Path) -> list[LeftOut]:
    """Stata: patients.dta, reports.dta and mentions.dta (Stata 14 and later) with labels, and data_dictionary.csv.

    Categories and yes/no are numbers with value labels, dates are Stata dates, lists are JSON text.
    """
    write_dictionary(extract, folder)
    for table in TABLES:
        variables = extract.variables[table]
        _frame(extract, table).to_stata(
            folder / f"{table}.dta",
            write_index=False,
            version=118,
            convert_dates={v.name: "td" for v in variables if v.kind == "date"},
            convert_strl=[v.name for v in variables if v.free_text],
            variable_labels={v.name: v.label[:80] for v in variables},
            value_labels=_value_labels(variables),
        )
    return []


def write_spss(extract: Extract, folder: Path) -> list[LeftOut]:
    """SPSS: patients.sav, reports.sav and mentions.sav with labels, and data_dictionary.csv.

    As for Stata. SPSS holds texts of up to 32,767 bytes, without blanks at their end; a longer one is left out and told
    in left_out.csv. Needs pyreadstat, which the extra `exports` installs.
    """
    try:
        import pyreadstat
    except ImportError:
        raise UsageError('SPSS files need pyreadstat: pip install "calcitrace[exports]"') from None
    write_dictionary(extract, folder)
    left_out: list[LeftOut] = []
    for table in TABLES:
        variables = extract.variables[table]
        frame = _frame(extract, table)
        left_out += _cut_long(frame, table, variables)
        pyreadstat.write_sav(
            frame,
            str(folder / f"{table}.sav"),
            column_labels={v.name: v.label for v in variables},
            variable_value_labels=_value_labels(variables),
            variable_format={v.name: "DATE11" for v in variables if v.kind == "date"},
            variable_measure={
                v.name: "scale" if v.kind in ("integer", "number", "date") else "nominal" for v in variables
            },
        )
    return left_out


def _value_labels(variables: Iterable[Variable]) -> dict[str, Any]:
    return {v.name: v.labels for v in variables if v.labels}


def _frame(extract: Extract, table: str) -> pd.DataFrame:
    """The rows of a table as numbers, texts and dates; a missing text is empty, since neither format knows null."""
    import pandas as pd

    rows = extract.rows(table)
    return pd.DataFrame({v.name: _column(v, [row[v.name] for row in rows]) for v in extract.variables[table]})


def _column(variable: Variable, values: list[Any]) -> Any:
    import pandas as pd

    if variable.kind == "date":  # in nanoseconds, since SPSS files come out wrong from any other unit
        return pd.to_datetime(pd.Series(values, dtype="object")).astype("datetime64[ns]")
    if variable.kind in ("text", "list"):
        return pd.Series(["" if v is None else variable.code(v) for v in values], dtype="object")
    return pd.Series([variable.code(v) for v in values], dtype="float64")


def _cut_long(frame: pd.DataFrame, table: str, variables: Sequence[Variable]) -> list[LeftOut]:
    left_out = []
    for v in variables:
        if v.kind in ("text", "list"):
            for place, value in enumerate(frame[v.name]):
                if len(value.encode("utf-8")) > LONGEST_SPSS:
                    frame.loc[place, v.name] = ""
                    left_out.append((table, str(frame.iloc[place, 0]), f"{v.name} is longer than SPSS can hold"))
    return left_out
