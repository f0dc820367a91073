"""The tables of a run folder: their columns, types and meaning, in one place."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

from calcitrace.model import Assessment, Mention, Report

READ, UNREAD, OUT = "read", "no_term", "screened_out"
REPORT_COLUMNS: dict[str, tuple[str, str]] = {
    "report_id": ("string", "id as given; later versions of one id end in ~v2, ~v3 ..."),
    "patient_id": ("string", "as given"),
    "study_date": ("string", "as given"),
    "modality": ("string", "as given"),
    "body_part": ("string", "as given"),
    "case_status": ("string", "definite, probable, possible or no, under the case definition"),
    "case_probability": ("double", "calibrated probability of a case, to six digits; null without a model"),
    "likely_case": ("bool", "definite or probable; with a model, probability at or above its threshold"),
    "migration_type": ("string", "cortical_erosion, subcortical, intramedullary or none"),
    "tendon": ("string", "tendon of the main deposit, or none"),
    "bone": ("string", "bone of the main deposit, or none"),
    "laterality": ("string", "side of the case, else of the deposit: left, right, bilateral or none"),
    "absence_of_mass": ("bool", "the report asserts that there is no mass, and reports none"),
    "n_mentions": ("int32", "number of mentions"),
    "evidence": ("list<string>", "ids of the mentions that led to case_status"),
    "ruleset_hash": ("string", "SHA-256 of the rule files"),
    "status": ("string", "read; no_term: no rule could fire; screened_out: no tier of the case could be met"),
    "version_of": ("string", "the id as given, where this row is a later version of it"),
    "sex": ("string", "as given"),
    "age": ("string", "as given"),
    "reasons": ("list<string>", "the constituents of the case definition that were met"),
    "size_mm": ("double", "largest stated dimension of the main deposit in millimetres"),
    "flags": ("list<string>", "side conflicts, contradictions, slips; in pandas `['flags']` (`.flags` is its own)"),
    "phase": ("string", "resorptive, formative, resting, post_calcific, as stated of the deposit, or none"),
    "case_score": ("double", "order by the case definition alone: tier 0 to 3, moved within it by what else is said"),
    "contributions": (
        "list<struct<feature:string,log_odds:double,mentions:list<string>>>",
        "of a likely case, what made its probability, the strongest first",
    ),
}
MENTION_COLUMNS: dict[str, tuple[str, str]] = {
    "report_id": ("string", "id of the report"),
    "mention_id": ("string", "report id, #, number in order of appearance"),
    "finding": ("string", "one of the findings of the rule set"),
    "start": ("int32", "first character in the original text (from 0)"),
    "end": ("int32", "one past the last character"),
    "text": ("string", "the words of the mention"),
    "section": ("string", "kind of section"),
    "presence": ("string", "present, possible or absent"),
    "temporality": ("string", "current, historical or hypothetical"),
    "experiencer": ("string", "patient or other"),
    "assertion": ("string", "one value: hypothetical, historical, absent, possible or present"),
    "change": ("string", "new, increased, decreased, unchanged, resolved or none"),
    "tendon": ("string", "tendon, or none"),
    "bone": ("string", "bone, or none"),
    "laterality": ("string", "left, right, bilateral or none"),
    "size_mm": ("double", "largest stated dimension in millimetres"),
    "rule_id": ("string", "finding:term that matched"),
    "cues": ("list<struct<text:string,start:int32,end:int32,rule_id:string>>", "words that decided the assertion"),
    "landmark": ("string", "part of the bone, or none"),
    "change_since": ("string", "date of the earlier study that the change is told against, ISO if clear; or empty"),
}


def clean(text: str) -> str:
    """`text` with what UTF-8 cannot hold (lone surrogates) replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


_GIVEN = ("report_id", "patient_id", "study_date", "modality", "body_part", "version_of", "sex", "age")
_given_of = attrgetter(*_GIVEN)


def report_row(
    report: Report,
    assessment: Assessment,
    n_mentions: int,
    rules: str,
    flags: Sequence[str] = (),
    status: str = READ,
) -> dict[str, Any]:
    """One row of the table `reports`."""
    row = {
        **_given(report),
        "case_status": str(assessment.case_status),
        "case_probability": six_digits(assessment.case_probability),
        "likely_case": assessment.likely_case,
        "migration_type": assessment.migration_type,
        "tendon": assessment.tendon,
        "bone": assessment.bone,
        "laterality": assessment.laterality,
        "absence_of_mass": assessment.absence_of_mass,
        "n_mentions": n_mentions,
        "evidence": [clean(e) for e in assessment.evidence],
        "ruleset_hash": rules,
        "status": status,
        "reasons": list(assessment.reasons),
        "size_mm": assessment.size_mm,
        "flags": list(flags),
        "phase": assessment.phase,
        "case_score": assessment.case_score,
        "contributions": [
            {"feature": clean(c.feature), "log_odds": c.log_odds, "mentions": list(map(clean, c.mentions))}
            for c in assessment.contributions
        ],
    }
    return {name: row[name] for name in REPORT_COLUMNS}


def six_digits(value: float | None) -> float | None:
    """A number to six significant digits: small probabilities keep their order, which decimals would level."""
    return None if value is None else float(f"{value:.6g}")


def passed_over_row(report: Report, rules: str) -> dict[str, Any]:
    """The row of a report that the case screen passed over: as one that says nothing, without a probability."""
    return {**_says_nothing(rules), **_given(report)}


@lru_cache(maxsize=2)
def _says_nothing(rules: str) -> dict[str, Any]:
    return report_row(Report("", ""), Assessment(""), 0, rules, status=OUT)


def _given(report: Report) -> dict[str, str]:
    """What a row says of a report as its source does."""
    values = _given_of(report)
    return dict(zip(_GIVEN, values if "".join(values).isascii() else map(clean, values), strict=True))


def mention_row(report_id: str, mention: Mention) -> dict[str, Any]:
    """One row of the table `mentions`."""
    said = mention.asserted
    return {
        "report_id": clean(report_id),
        "mention_id": clean(mention.mention_id),
        "finding": mention.finding,
        "start": mention.start,
        "end": mention.end,
        "text": clean(mention.text),
        "section": mention.section,
        "presence": str(said.presence),
        "temporality": str(said.temporality),
        "experiencer": str(said.experiencer),
        "assertion": str(said.assertion),
        "change": str(said.change),
        "tendon": mention.tendon,
        "bone": mention.bone,
        "laterality": mention.laterality,
        "size_mm": mention.size_mm,
        "rule_id": mention.rule_id,
        "cues": [{"text": clean(c.text), "start": c.start, "end": c.end, "rule_id": c.rule_id} for c in said.cues],
        "landmark": mention.landmark,
        "change_since": clean(mention.change_since),
    }


def schema(columns: Mapping[str, tuple[str, str]]) -> Any:
    """The pyarrow schema of a table."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    cue = pa.struct([("text", text), ("start", pa.int32()), ("end", pa.int32()), ("rule_id", text)])
    contribution = pa.struct([("feature", text), ("log_odds", pa.float64()), ("mentions", texts)])
    types = {
        "string": text,
        "double": pa.float64(),
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "list<string>": texts,
        "list<struct<text:string,start:int32,end:int32,rule_id:string>>": pa.list_(cue),
        "list<struct<feature:string,log_odds:double,mentions:list<string>>>": pa.list_(contribution),
    }
    return pa.schema([pa.field(name, types[kind]) for name, (kind, _) in columns.items()])


def parquet_bytes(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]) -> bytes:
    """The rows as one Parquet file; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=schema(columns))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def safe_cell(value: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula: text that could start one gets a leading apostrophe.

    The characters are those of the OWASP page on CSV injection; leading blanks are looked through, plain numbers
    stay as they are. Lists become JSON.
    """
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and _FORMULA.match(value.lstrip(" \xa0\0")) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_csv(parts: Sequence[Path], target: IO[str]) -> None:
    """Join Parquet parts into one CSV (LF, all text quoted so that no other delimiter can split it)."""
    import pyarrow.parquet as pq

    writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    for number, part in enumerate(parts):
        table = pq.read_table(part)
        if number == 0:
            writer.writerow(table.column_names)
        for row in table.to_pylist():
            writer.writerow(["" if v is None else safe_cell(v) for v in row.values()])
