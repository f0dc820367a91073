"""Table 1: who the members are, in all and by case status; and the counts of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from calcitrace.phrases import by, many
from calcitrace.selection import NO_LATER, NOT_TOLD
from calcitrace.timeline import STATUSES

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = ("resolved", "residual_cyst", "persistent", NOT_TOLD, NO_LATER)
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
TOLD = ("tendon", "bone", "laterality", "migration_type")  # of these, none is what no report tells
NOT_KNOWN = "not known"
LAST = ("not told", "no later report", NOT_KNOWN)  # in this order, behind the other values
SEX_WORDS = {  # of codes (ISO 5218) and of languages that archives are kept in
    NOT_KNOWN: "0 9 u un unk unknown not_known n/a",
    "female": "2 f fem female femenino feminin feminino femme femminile frau girl k kvinde kvinna kvinne lady mujer v "
    "vrouw w weib weiblich wm woman",
    "male": "1 boy h hombre homme m maennlich male man mand mann mannelijk masc masculin masculino maschile männlich",
    "other": "d divers diverse i intersex nb non-binary nonbinary o other x",
}
SEXES = {w.replace("_", " "): sex for sex, words in SEX_WORDS.items() for w in words.split()} | {"": NOT_KNOWN}
LONGEST_SEX = 12  # letters of a word that is shown
MOST_SHOWN = 5  # unknown words of sex
FOLLOW_UP = "Follow-up, days (a report after the index date)"
Row = tuple[str, ...]


def table_one(members: pd.DataFrame) -> tuple[Row, list[Row]]:
    """The heads and rows of Table 1: a characteristic, its value, then one cell for all members and each case status.

    Where all members have one case status, its column alone stands: that of all would say the same.
    Numbers are the median with the first and third quartile (a single one is itself) and of how many it is known;
    categories are n and percent of the column's members, with what is not known as a row of its own.
    """
    members = members.assign(outcome=outcomes_shown(members))
    groups = [members, *(members[members["case_status"] == s] for s in STATUSES[::-1])]
    names = ["All", *STATUSES[::-1]]
    kept = [(n, g) for n, g in zip(names, groups, strict=True) if n == "All" or len(g)]
    kept = kept[1:] if len(kept) == 2 else kept
    heads = ("Characteristic", "Value", *(f"{n.capitalize()} (n = {len(g):,})" for n, g in kept))
    return heads, list(_rows([g for _, g in kept]))


def _rows(groups: Sequence[pd.DataFrame]) -> Iterator[Row]:
    yield _numbers("Age, years", [g["age"].dropna().tolist() for g in groups])
    yield _numbers("Reports for each patient", [g["n_reports"].tolist() for g in groups])
    yield _numbers(FOLLOW_UP, [[d for d in days_after(g) if d > 0] for g in groups])
    yield _numbers("Size of the deposit, mm", [g["size_mm"].dropna().tolist() for g in groups])
    for title, column in SHOWN:
        says = sex_in_words if column == "sex" else _told if column in TOLD else _said
        values = groups[0][column].map(says).value_counts()
        if column == "site" and list(values.index) == ["not known"]:
            continue
        for value in sorted(values.index, key=lambda v: (LAST.index(v) if v in LAST else -1, -values[v], v)):
            yield (title, value, *(_share(int((g[column].map(says) == value).sum()), len(g)) for g in groups))


def days_after(members: pd.DataFrame) -> list[int]:
    """The days from the index date of each member to the last report with a full date; 0 where there is none later."""
    pairs = zip(members["index_date"], members["last_date"], strict=True)
    return [
        (date.fromisoformat(last) - date.fromisoformat(index)).days if index and last else 0 for index, last in pairs
    ]


def outcomes_shown(members: pd.DataFrame) -> list[str]:
    """The outcome of each member, an unknown one by its reason: no report after the index date, or none that tells."""
    why = (NOT_TOLD if days > 0 else NO_LATER for days in days_after(members))
    return [reason if said == "unknown" else said for said, reason in zip(members["outcome"], why, strict=True)]


def _said(value: object) -> str:
    if value is None or value != value or not str(value).strip():
        return "not known"
    return {"True": "yes", "False": "no"}.get(str(value), str(value).replace("_", " "))


def _told(value: object) -> str:
    return "not told" if value == "none" else _said(value)


def sex_in_words(value: object) -> str:
    """The sex in one word; anything that is none of the usual codes is other."""
    return SEXES.get(_said(value).casefold(), "other")


def tell_sexes(said: Counter[str]) -> Iterator[str]:
    """What to tell of words of sex that are not known, by how many patients of the cohort have them."""
    if unknown := Counter({w: n for w, n in said.items() if w and n and w.strip().casefold() not in SEXES}):
        words = [w for w in unknown if len(w) <= LONGEST_SEX and w.isalpha()]
        shown = f" ({', '.join(map(repr, words[:MOST_SHOWN]))})" if words else ""
        n = unknown.total()
        yield (
            f"the sex of {many(n, 'patient')} of the cohort is told by words that are not known{shown}: "
            f"{by(n, 'it is', 'they are')} *other* in Table 1 and in exports; write F, M or U in the source"
        )


def _numbers(title: str, groups: Sequence[Sequence[float]]) -> Row:
    return (title, "median (quartiles), n known", *(_median(g) for g in groups))


def _median(values: Sequence[float]) -> str:
    import numpy as np

    if not len(values):
        return "not known"
    if len(values) == 1:
        return f"{values[0]:g}, n = 1"
    low, middle, high = np.quantile(np.asarray(values, dtype=float), [0.25, 0.5, 0.75])
    return f"{middle:g} ({low:g} to {high:g}), n = {len(values):,}"


def _share(n: int, of: int) -> str:
    """A number with its percent of `of`, halves up: 5 of 8 are 63 %."""
    return f"{n:,} ({(200 * n + of) // (2 * of)} %)" if of else "0"


def outcomes(members: pd.DataFrame) -> dict[str, int]:
    """How many members had which outcome, as it is shown."""
    shown = outcomes_shown(members)
    return {name: shown.count(name) for name in OUTCOMES}
