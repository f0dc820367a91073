"""README.txt in the folder of every export: what it holds, what is to be done with it, and what may name somebody."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from inspect import cleandoc
from typing import TYPE_CHECKING

from calcitrace.exports.variables import INDIRECT
from calcitrace.phrases import many

if TYPE_CHECKING:
    from calcitrace.exports import Export
    from calcitrace.exports.extract import Extract

README, WIDTH = "README.txt", 100


def readme(how: Export, extract: Extract, left_out: int) -> str:
    """The text of README.txt, by paragraphs; it holds no id and no word of a report.

    Args:
        how: the export that was made.
        left_out: how many rows could not be exported.
    """
    manual = cleandoc(how.write.__doc__ or "")
    told = [_holds(extract, how.tables), _status(extract, how), extract.probabilities * ("reports" in how.tables)]
    told += [manual, *how.notes, _how(extract), _may_name(extract, how), _files(left_out), _methods(extract)]
    paragraphs = (" ".join(part.split()) for text in told if text for part in text.split("\n\n"))
    filled = (textwrap.fill(p, WIDTH, break_on_hyphens=False, break_long_words=False) for p in paragraphs)
    return f"An export of {extract.system}\n\n" + "\n\n".join(filled) + "\n"


def _holds(extract: Extract, tables: Sequence[str]) -> str:
    """What the data are: how many of each, from where, and where Methods tell how they were made."""
    held = [many(len(extract.rows(table)), table.removesuffix("s")) for table in tables]
    of = "every patient that was read" if extract.choice.all_patients else "the members of a cohort"
    return (
        f"It holds {', '.join(held)}: {of}, with what rules read in the radiology reports, and what reviewers decided "
        "where they did. Whoever made it has the Methods (source, rules, case definition, review, criteria): "
        "methods.md in the folder of the cohort; and the file of the case definition."
    )


def _status(extract: Extract, how: Export) -> str:
    """What the values of the case status mean, and how far reviewers decided it."""
    decided = sum(row["adjudicated"] is not None for row in extract.reports)
    column = next(
        (how.field("reports", v) for v in extract.variables.get("reports", ()) if v.name == "adjudicated"), ""
    )
    who = (
        f"Reviewers decided it for {many(decided, 'report')}, in place of the rules (yes is Definite, unsure Possible, "
        f"no No){f'; {column} tells their decision and is empty for all other reports' * bool(column)}."
        if decided
        else f"No reviewer decided it for any of the reports{f', so that {column} is empty' * bool(column)}."
    )
    return (
        "The case status of a report is the tier of the case definition that it meets: Definite, Probable or Possible, "
        f"the surest first, or No where it meets none. {who} That of a patient is the highest of the reports."
    )


def _how(extract: Extract) -> str:
    """How ids, dates and words stand in it."""
    choice = extract.choice
    ids = "as the archive gives them" if choice.original_ids else "pseudonyms, the same as long as the key is the same"
    dates = (
        "moved by the same number of days for all of one patient, so that intervals stay; limits in the criteria are "
        "of the true ones"
        if choice.shift_dates
        else "the true ones (calcitrace export --shift-dates moves them)"
    )
    words = "Words of reports are in it." if choice.with_text else "No word of a report is in it."
    return f"Ids are {ids}. Dates are {dates}. {words}"


def _may_name(extract: Extract, how: Export) -> str:
    """What an ethics office may take for identifying, by table: ids, words of reports and dates before the others."""
    found = dict[str, list[str]]()
    for table in how.tables:
        variables = sorted(filter(lambda v: v.may_name, extract.variables[table]), key=lambda v: v.name in INDIRECT)
        own = how.own if table == "patients" else ()
        found[table] = [*own, *(name for name in (how.field(table, v) for v in variables) if name)]
    told = "; ".join(f"of {table} {', '.join(names)}" for table, names in found.items() if names)
    return (
        f"An ethics or data protection office may take for identifying: {told}. Ages above 89, a rare tendon or bone "
        "and a small hospital can point to one person, too. Look at them before you send this folder. The key of the "
        "pseudonyms is not in it; do not send it along."
    )


def _methods(extract: Extract) -> str:
    """The cohort's Methods, with what their counts are of."""
    counts = (
        "The rest is from the Methods of the cohort; counts in it are of all that was read, not of this folder alone."
    )
    return f"{counts}\n\n{extract.methods}" if extract.methods else ""


def _files(left_out: int) -> str:
    rows = f" left_out.csv tells of {many(left_out, 'row')} that could not be exported, and why." if left_out else ""
    return (
        "export.json tells how this export was made; two exports whose key_check is the same have the same key, and so "
        f"the same pseudonyms.{rows}"
    )
