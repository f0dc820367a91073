"""Exports of a cohort for registries, warehouses and statistics programs; each is told of in `EXPORTS`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from calcitrace.errors import UsageError
from calcitrace.exports.extract import Choice, Extract, LeftOut, extract
from calcitrace.exports.fhir import write_fhir
from calcitrace.exports.files import write_csv, write_parquet, write_spss, write_stata, write_table
from calcitrace.exports.omop import read_concepts, write_omop
from calcitrace.exports.readme import README, readme
from calcitrace.exports.redcap import NOTES, RECORD_ID, field_name, write_redcap
from calcitrace.exports.variables import TABLES, Variable

__all__ = ["EXPORTS", "Choice", "Export", "Exported", "Extract", "LeftOut", "export", "read_concepts"]


@dataclass(frozen=True, slots=True)
class Export:
    """A format that a cohort is written in: its writer, and what it holds, by which it is used and tested.

    Args:
        write: puts its files into an empty folder and returns what it had to leave out. Its docstring is its manual:
            the command prints it.
        tables: which of patients, reports and mentions it holds.
        lists: whether it holds lists, such as the ids of the mentions that are evidence; if not, its writer gets none.
        text: whether it can hold report text and the words of mentions, where they are asked for.
        exact: whether every value can be read back as it was; if not, each row is there, with its ids but for blanks.
        then: what is to be done with its files, for the terminal.
        notes: what README.txt in its folder tells besides the manual, a paragraph each.
        field: how it calls a variable of a table; "" where it does not hold it.
        own: fields of patients that it has beside the variables, and that may name somebody.
    """

    write: Callable[[Extract, Path], list[LeftOut]]
    tables: Sequence[str] = TABLES
    lists: bool = True
    text: bool = True
    exact: bool = True
    then: str = ""
    notes: Sequence[str] = ()
    field: Callable[[str, Variable], str] = lambda _, variable: variable.name
    own: Sequence[str] = ()


# To add an export, write such a function and name it here; nothing else knows the names.
EXPORTS: Mapping[str, Export] = {
    "redcap": Export(
        write_redcap,
        tables=("patients", "reports"),
        lists=False,
        then="in a new REDCap project: upload data_dictionary.csv, enable imaging_report as a repeating instrument, "
        "then import import.csv with dates as Y-M-D; README.txt tells more",
        notes=NOTES,
        field=field_name,
        own=(RECORD_ID,),
    ),
    "omop": Export(write_omop),
    "fhir": Export(write_fhir),
    "csv": Export(write_csv),
    "parquet": Export(write_parquet),
    "stata": Export(write_stata),
    "spss": Export(write_spss),
}
RECORD, LEFT_OUT = "export.json", "left_out.csv"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: how many rows of each table (0 of one that it does not hold), and what it left out.

    The reports that do not count (versions, duplicates, copies) are exported too, with the reason in `counted`.
    `other_key` says that its pseudonyms are by another key than those of the cohort's own page.
    """

    patients: int
    reports: int
    mentions: int
    left_out: tuple[LeftOut, ...]
    counted: int = 0
    other_key: bool = False


def export(
    cohort: str | Path,
    out: str | Path,
    to: str,
    choice: Choice | None = None,
    key_file: str | Path | None = None,
    new_key: bool = False,
) -> Exported:
    """Write a cohort as one of `EXPORTS`.

    Args:
        cohort: the folder that `calcitrace cohort` wrote.
        out: the folder to write; it is there whole or not at all.
        to: the name of the export.
        choice: what it may hold; by default members only, under pseudonyms, without report text.
        key_file: the key for pseudonyms; by default COHORT.key beside the cohort folder, which is made at first.
        new_key: make another key where that one is gone; the pseudonyms then match no earlier page or export.

    Raises:
        UsageError: an unknown name, a folder that is not empty, a key that cannot be used, a library that is missing,
            text that is asked for in a format that holds none.
        SourceError: no cohort folder, or tables that are missing or damaged.
        RunError: a run or an input behind the cohort is needed, and gone or changed.
    """
    import shutil

    from calcitrace.exports.cohortfolder import CohortFolder
    from calcitrace.pseudonyms import of_another_key, pseudonyms
    from calcitrace.strictyaml import meant
    from calcitrace.timeline import COUNTED

    if to not in EXPORTS:
        raise UsageError(f"no export is called {to!r}{meant(to, EXPORTS)} there are {', '.join(EXPORTS)}")
    target, choice, how = Path(out), choice or Choice(), EXPORTS[to]
    if choice.with_text and not how.text:
        raise UsageError(f"{to} holds no report text; leave out --with-text")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target}: not empty; choose another --out")
    folder = CohortFolder(Path(cohort))
    names = pseudonyms(folder.folder, Path(key_file) if key_file else None, new_key)
    found = extract(folder, names, choice)
    other_key = not choice.original_ids and of_another_key(folder.folder, names)
    found = (found if how.lists else found.without_lists()).of(how.tables)
    work = _work_folder(target)
    try:
        left_out = how.write(found, work)
        sizes = {table: len(found.rows(table)) if table in how.tables else 0 for table in TABLES}
        counted = sum(row["counted"] == COUNTED for row in found.reports) if sizes["reports"] else 0
        result = Exported(**sizes, left_out=tuple(left_out), counted=counted, other_key=other_key)
        _record(work, to, found, result, names.check)
        if target.exists():
            target.rmdir()
        os.replace(work, target)
    except OSError as error:
        raise UsageError(
            f"{target}: cannot be written ({error.strerror}); free space or rights, then try again"
        ) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return result


def _work_folder(target: Path) -> Path:
    """A folder beside the target, readable to its owner alone."""
    from tempfile import mkdtemp

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise UsageError(f"{target}: cannot be made ({error.strerror}); choose another --out") from None


def _record(work: Path, to: str, found: Extract, result: Exported, key_check: str) -> None:
    """Write README.txt, how the export was made, without any id, and what was left out.

    Equal checks of the key tell that two exports were made by the same one; nothing of the key is in it.
    """
    how, left_out = EXPORTS[to], result.left_out
    said = readme(how, found, len(left_out))
    (work / README).write_text(said, encoding="utf-8")
    choice = {key: value for key, value in asdict(found.choice).items() if key != "concepts"}
    counts = {"patients": result.patients, "reports": result.reports, "reports_that_count": result.counted}
    counts["mentions"] = result.mentions
    told = {"to": to, "system": found.system, "cohort_made": found.made, **choice, "key_check": key_check, **counts}
    told["left_out"] = len(left_out)
    (work / RECORD).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if left_out:
        write_table(work / LEFT_OUT, ("table", "id", "reason"), left_out)
