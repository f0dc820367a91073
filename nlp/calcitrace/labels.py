"""A file of labels, as read by `train` and `cohort`: report ids with yes, no or a case status.

Errors name the line (path:line), never what a report says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calcitrace.errors import ModelError, SourceError
from calcitrace.sources import ListError, listed, read_list, shown_id
from calcitrace.strictyaml import meant

CASE = frozenset({"1", "yes", "true", "case", "definite", "probable"})
NO_CASE = frozenset({"0", "no", "false", "none"})
LEFT_OUT = frozenset({"possible", "unsure", ""})
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
MOST_FAULTS = 10  # in a message
NAME_IDS = "; --id-column names the column of report ids"


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody decided of a report; `group` (by default the patient) is kept together in cross-validation."""

    is_case: bool
    group: str = ""


class NoIdsError(ModelError):
    """A file of labels without the column of report ids."""


def labels_of_run(path: Path, asked: str, of_run: str) -> tuple[dict[str, Label], int, str]:
    """As `read_labels`, and the column of ids that was taken from the run, if any.

    Args:
        path: the file of labels.
        asked: the column of ids that is asked for; no other is tried.
        of_run: the column that the run's own ids came from, for labels whose ids have no usual name.
    """
    try:
        return *read_labels(path, asked), ""
    except NoIdsError as error:
        if asked or not of_run:
            raise
        with suppress(NoIdsError):
            return *read_labels(path, of_run), of_run
        raise error from None


def read_labels(path: Path, id_column: str = "") -> tuple[dict[str, Label], int]:
    """The labels of a file by report id, and how many rows say neither yes nor no (possible).

    Raises:
        ModelError: the file cannot be read, lacks a column, labels are unknown or ids given twice (path:line, the first
            ten), or all labels are the same.
    """
    found: dict[str, Label] = {}
    lines: dict[str, int] = {}
    left_out, faults = 0, list[str]()
    for line, row in label_rows(path, id_column, NAME_IDS):
        report_id, word = row.get("report_id", ""), row.get("label", "").strip()
        said = word.lower()
        if not report_id:
            faults.append(f"{path}:{line}: no report_id; give the columns report_id and label")
        elif report_id in lines:
            faults.append(
                f"{path}:{line}: report id {shown_id(report_id)!r} was labelled before (line {lines[report_id]})"
            )
        elif said in LEFT_OUT:
            left_out += 1
        elif said in CASE | NO_CASE:
            found[report_id] = Label(said in CASE, row.get("group", ""))
        else:
            known = sorted(CASE | NO_CASE | LEFT_OUT - {""})
            what = f"{path}:{line}: the label{quoted(word)} is not one of {', '.join(known)}"
            faults.append(f"{what}{meant(said, known, '')}")
        lines.setdefault(report_id, line)
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS:,} more"] if len(faults) > MOST_FAULTS else []
        raise ModelError("\n".join([*faults[:MOST_FAULTS], *more]))
    check_both_kinds(found, path)
    return found, left_out


def quoted(label: str) -> str:
    """A label for a message, in quotes after a blank; nothing where it is prose."""
    return f" {label!r}" if shown_id(label) else ""


def check_both_kinds(labels: Mapping[str, Label], path: Path) -> None:
    """Check that there are cases among the labels, and reports that are none.

    Raises:
        ModelError: there are not.
    """
    cases = sum(label.is_case for label in labels.values())
    if not cases or cases == len(labels):
        kind = "no case" if not cases else "only cases"
        raise ModelError(
            f"{path}: {len(labels)} usable labels, {kind}; a model needs both cases and reports that are none"
        )


def label_rows(path: Path, id_column: str = "", advice: str = "") -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file of labels (CSV, or JSONL by its ending or first brace) with their lines: id, label, group.

    `id_column` is the column of report ids, where it has no usual name; `advice` ends the error where it is missing.

    Raises:
        ModelError: the file cannot be read, or a line is no label (path:line).
    """
    if path.suffix.lower() in JSON_ENDINGS or _begins_with_brace(path):
        yield from _json_labels(path, id_column or "report_id", advice)
        return
    ids = id_column or "report_id"
    try:
        for line, row in read_list(path, (ids, "label")):
            yield line, {"report_id": row[ids], "label": row["label"], "group": row.get("group", "")}
    except SourceError as error:
        lacks_ids = isinstance(error, ListError) and ids in error.missing
        kind = NoIdsError if lacks_ids else ModelError
        raise kind(f"{error}{advice if lacks_ids else ''}") from None


def _begins_with_brace(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as handle:  # a fault is told where the file is read
        return handle.read(100).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    return False


def _json_labels(path: Path, ids: str, advice: str) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ModelError(f"{path}: not UTF-8; save the labels as UTF-8") from None
    for line, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw)
        except (ValueError, RecursionError):
            table = "; a table (CSV) needs another ending, such as .csv" if raw.lstrip()[0] not in "{[" else ""
            raise ModelError(f"{path}:{line}: not valid JSON; each line is one JSON object{table}") from None
        if not isinstance(row, dict) or not isinstance(row.get(ids), str):
            seen = f"; {listed(list(row), (ids, 'label'))}{advice}" if isinstance(row, dict) and ids not in row else ""
            kind = NoIdsError if seen else ModelError
            raise kind(f"{path}:{line}: needs {ids} (a text in quotes) and label{seen}")
        label = row.get("label", row.get("case", row.get("case_status", "")))
        said = str(int(label)) if isinstance(label, bool) else str(label)
        yield line, {"report_id": row[ids], "label": said, "group": str(row.get("group", ""))}
