"""Table 1: who the members are, in all and by case status; and the counts of outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from calcitrace.timeline import STATUSES

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = ("resolved", "residual_cyst", "persistent", "unknown")
SHOWN = (
    ("Sex", "sex"),
    ("Modality of the index report", "index_modality"),
    ("Site", "site"),
    ("Tendon", "tendon"),
    ("Bone", "bone"),
    ("Side", "laterality"),
    ("Migration type", "migration_type"),
    ("Outcome", "outcome"),
    ("Vanished or shrunken deposit", "vanished_deposit"),
    ("First read as", "first_diagnosis"),
    ("Biopsy", "biopsy"),
)
NOT_KNOWN = "not known"
SEXES = {"not known": "not known", "u": "not known", "unknown": "not known"}
SEXES |= dict.fromkeys(("f", "female", "woman", "w"), "female") | dict.fromkeys(("m", "male", "man"), "male")
Row = tuple[str, ...]


def table_one(members: pd.DataFrame) -> tuple[Row, list[Row]]:
    """The heads and rows of Table 1: a characteristic, its value, then one cell for all members and each case status.

    Numbers are the median with the first and third quartile and of how many it is known; categories are n and percent
    of the column's members, with what is not known as a row of its own.
    """
    groups = [members, *(members[members["case_status"] == s] for s in STATUSES[::-1])]
    names = ["All", *STATUSES[::-1]]
    kept = [(n, g) for n, g in zip(names, groups, strict=True) if n == "All" or len(g)]
    heads = ("Characteristic", "Value", *(f"{n.capitalize()} (n = {len(g):,})" for n, g in kept))
    return heads, list(_rows([g for _, g in kept]))


def _rows(groups: Sequence[pd.DataFrame]) -> Iterator[Row]:
    yield _numbers("Age, years", [g["age"].dropna().tolist() for g in groups])
    yield _numbers("Reports for each patient", [g["n_reports"].tolist() for g in groups])
    yield _numbers("Follow-up, days (2 or more reports)", [_follow_up(g) for g in groups])
    for title, column in SHOWN:
        says = sex_in_words if column == "sex" else _said
        values = groups[0][column].map(says).value_counts()
        if column == "site" and list(values.index) == ["not known"]:
            continue
        for value in sorted(values.index, key=lambda v: (v == "not known", -values[v], v)):
            yield (title, value, *(_share(int((g[column].map(says) == value).sum()), len(g)) for g in groups))


def _follow_up(group: pd.DataFrame) -> list[float]:
    seen_again = group[group["n_reports"] >= 2]
    pairs = zip(seen_again["index_date"], seen_again["last_date"], strict=True)
    return [(date.fromisoformat(last) - date.fromisoformat(index)).days for index, last in pairs if index and last]


def _said(value: object) -> str:
    if value is None or value != value or not str(value).strip():
        return "not known"
    return {"True": "yes", "False": "no"}.get(str(value), str(value).replace("_", " "))


def sex_in_words(value: object) -> str:
    """The sex in one word; anything that is none of the usual codes is other."""
    return SEXES.get(_said(value).casefold(), "other")


def _numbers(title: str, groups: Sequence[Sequence[float]]) -> Row:
    return (title, "median (quartiles), n known", *(_median(g) for g in groups))


def _median(values: Sequence[float]) -> str:
    import numpy as np

    if not len(values):
        return "not known"
    low, middle, high = np.quantile(np.asarray(values, dtype=float), [0.25, 0.5, 0.75])
    return f"{middle:g} ({low:g} to {high:g}), n = {len(values):,}"


def _share(n: int, of: int) -> str:
    """A number with its percent of `of`, halves up: 5 of 8 are 63 %."""
    return f"{n:,} ({(200 * n + of) // (2 * of)} %)" if of else "0"


def outcomes(members: pd.DataFrame) -> dict[str, int]:
    """How many members had which outcome."""
    return {name: int((members["outcome"] == name).sum()) for name in OUTCOMES}
