"""Every key of a criteria file, with what it means, its values and its default: what is read, and what is told of it.

`criteria.py` accepts these keys and no others; `calcitrace cohort --criteria-help` and docs/criteria.md show them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from calcitrace.studydate import ORDERS

TIERS = ("definite", "probable", "possible")
SIDES = ("left", "right", "bilateral", "none")
WHEN = ("ever", "before")
ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
KNOWN = ("present", "historical")
LEAVE_OUT, OWN = "leave_out", "own"
YES_NO = ("no", "yes", "false", "true")
NAMES = "a list of findings or conditions"
DAY, WORDS = "a day such as 2015-01-31", "a list of words; * stands for any end"
COLUMN = "the name of a column"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a criteria file: its meaning, its values, its default in words, and the keys of the mapping under it."""

    meaning: str
    values: str
    default: str = ""
    keys: Mapping[str, Key] = field(default_factory=dict)


EXCLUSION: Mapping[str, Key] = {
    "name": Key("the reason, as the flow diagram tells it", "a text, different in each exclusion", "must be given"),
    "mention": Key(
        "leaves out who has a report that mentions one of these (calcitrace rules list names them)",
        f"a finding or condition, or {NAMES}",
    ),
    "assertions": Key("which mentions count", f"a list of {', '.join(ASSERTIONS)}", f"[{', '.join(KNOWN)}]"),
    "when": Key(
        "when the report was made or the code given: at any time, or on or before the index date",
        " or ".join(WHEN),
        WHEN[0],
    ),
    "codes": Key(
        "in place of mention: leaves out who has one of these codes in a table",
        "one code or a list, in any case; M05* is every code that begins with M05",
    ),
    "table": Key(
        "the file of codes, one row a code; CSV or TSV, any delimiter", "a path, from the criteria file's folder"
    ),
    "patient": Key("the table's column of patient ids, written as in the reports", COLUMN, "patient_id"),
    "code": Key("the table's column of codes", COLUMN, "code"),
    "date": Key("the table's column of the day of the code; needed for when: before", COLUMN, "none"),
    "site": Key("the table's column of sites, where two sites share ids", COLUMN, "none: a code is of every site"),
}
CRITERIA: Mapping[str, Key] = {
    "title": Key("what the cohort is called on its page and in the Methods", "a text", "no title"),
    "tiers": Key("a report makes a case if its case status is one of these", f"a list of {', '.join(TIERS)}"),
    "likely_case": Key(
        "and if it is a likely case: at or above the threshold of the model of its run, which a decision of a reviewer "
        "overrules (in a run without a model: definite or probable)",
        " or ".join(YES_NO[:2]),
        YES_NO[0],
    ),
    "probability": Key(
        "and if its case_probability is at least this; that stands at the --prevalence of its run, and the run's "
        "summary page tells the threshold on the same scale",
        "a number from 0 to 1",
        "not asked for",
    ),
    "adjudicated_only": Key("and if a reviewer has decided on it", " or ".join(YES_NO[:2]), YES_NO[0]),
    "modalities": Key(
        "and if its modality is one of these",
        "a list of kinds (XR, US, CT, MR as patterns/modalities.yml has them; other), or of the archive's own names",
        "every modality",
    ),
    "sites": Key("and if it comes from one of these sites", "a list of names of run_sites", "every site"),
    "sides": Key("and if its side is one of these", f"a list of {', '.join(SIDES)}", "every side"),
    "dates": Key(
        "span of the index date; other patients are left out",
        "a mapping",
        "any date",
        {"from": Key("the first day", DAY, "no limit"), "to": Key("the last day", DAY, "no limit")},
    ),
    "ages": Key(
        "span of the age at the index report; others, and who has no known age, are left out",
        "a mapping",
        "any age",
        {"from": Key("least years", "a number", "no limit"), "to": Key("most years", "a number", "no limit")},
    ),
    "lookback_days": Key(
        "leaves out who has no report at least so long before the index date", "a number of days", "0"
    ),
    "washout_days": Key(
        "leaves out who has an earlier report of the tiers so shortly before the index date: of any modality, site, "
        "side and probability, decided by a reviewer or not",
        "a whole number of days",
        "0",
    ),
    "exclude": Key(
        "further reasons to leave out a patient; each patient is counted once, at the first that applies",
        "a list of mappings",
        "nobody",
        EXCLUSION,
    ),
    "date_order": Key(
        "how to read dates in which day and month could be either way (03/04/2019, 03.04.2019)",
        f"{ORDERS[0]} (day first) or {ORDERS[1]} (month first)",
        "that of the runs (`process --date-order`), else not given: such a date counts as unclear, and no day is "
        "guessed",
    ),
    "without_patient_id": Key(
        "what becomes of reports without a patient id: left out, or each a patient of its own",
        f"{LEAVE_OUT} or {OWN}",
        LEAVE_OUT,
    ),
    "run_sites": Key(
        "the site (hospital, archive) of each run, in the order of the runs: a table of several is split first, a file "
        "and a run for each, since two hospitals may give the same ids",
        "a list of as many names as there are runs",
        "none: equal patient ids are one patient",
    ),
    "findings": Key(
        "which findings tell the history",
        "a mapping; a key that is given takes the place of the built-in one",
        "",
        {
            "deposit": Key("what lies in the tendon", NAMES),
            "vanishing": Key("what can be said to have gone or shrunk", NAMES),
            "moved": Key("what comes of a deposit; a report that names no other tells of one by it", NAMES),
            "bone": Key("what makes the bone involvement", NAMES),
            "cyst": Key("what can be left of it", NAMES),
            "biopsy": Key("what names a biopsy", NAMES),
        },
    ),
    "depths": Key("migration types, the deepest last", "a list of the case definition's types, and none"),
    "first_diagnosis": Key(
        "what the case was first read as, with the findings that say so; the first that fits counts",
        f"a mapping of names of your choice, each to {NAMES}; yours come after the built-in ones",
    ),
    "biopsy": Key(
        "words around the mention of a biopsy, asked for in this order; where none of them stands there, it was done",
        "a mapping",
        "",
        {
            "not_before": Key("among the three words before: not wanted", WORDS),
            "not_after": Key("among the four words after: not wanted", WORDS),
            "to_come": Key("among the two words after: still to come, so only advised", WORDS),
            "done_before": Key("among the three words before: it was done, but for *prior to*", WORDS),
            "done": Key("in its sentence: it was done", WORDS),
            "advised": Key("in its sentence: it was only advised", WORDS),
        },
    ),
    "normal_bone": Key(
        "words of a sentence that calls a bone healed or normal",
        "a mapping",
        "",
        {
            "healed": Key("the bone is healed", WORDS),
            "normal": Key("the bone is normal", WORDS),
            "not": Key("a sentence with one of these says nothing", WORDS),
            "others": Key("among the three words before what is denied: that of others is, not the known one", WORDS),
        },
    ),
}


def told(keys: Mapping[str, Key], defaults: Mapping[Any, object], depth: int = 0) -> Iterator[str]:
    """A line of Markdown for each key, those of a mapping under it; a default of the built-in criteria before words."""
    for name, key in keys.items():
        built_in = defaults.get(name)
        default = written(built_in) if built_in is not None and not key.keys else key.default
        end = f" Default: {default}." if default else ""
        yield f"{'  ' * depth}- `{name}`: {key.meaning}. Value: {key.values}.{end}"
        yield from told(key.keys, built_in if isinstance(built_in, Mapping) else {}, depth + 1)


def written(value: object) -> str:
    """A value as a criteria file writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
