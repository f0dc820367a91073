"""What a reviewer says of a report, and the rows in which it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from calcitrace.errors import UsageError
from calcitrace.ruleset import CaseDefinition, RuleSet

DECISIONS = ("yes", "no", "unsure")
SIDES = ("left", "right", "bilateral", "none")
READER, ADJUDICATOR = "reader", "adjudicator"
DETAILS = ("migration_type", "tendon", "laterality")
UNDO = "undo"
MAX_COMMENT, MAX_WORD = 4_000, 200
FEW = 6  # words that are all told where none of them was meant


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a reviewer says of a report; type, tendon and side are "none" where the decision is not yes or not told."""

    report_id: str
    decision: str
    migration_type: str = "none"
    tendon: str = "none"
    laterality: str = "none"
    comment: str = ""
    flag: bool = False


@dataclass(frozen=True, slots=True)
class Decision(Opinion):
    """A row of the store: an opinion with who gave it, when (UTC) and how.

    Attributes:
        id: place in the order in which decisions were saved, over all reviewers.
        role: reader or adjudicator.
        seconds: for which the report was shown; None where it is not known.
        informed: whether the reviewer had seen the reasons and the probability of the report before.
        undoes: the id of the decision that this row takes back; then `decision` is "undo".
    """

    patient_id: str = ""
    reviewer: str = ""
    role: str = READER
    at: str = ""
    id: int = 0
    seconds: float | None = None
    informed: bool = False
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A report of the queue: its unit (a patient), stratum, place in the ranking and whether every reader reads it."""

    report_id: str
    patient_id: str
    unit: str
    stratum: str
    place: int
    probability: float
    double: bool = True


def choices(rules: RuleSet, case: CaseDefinition) -> dict[str, list[str]]:
    """The words that can be chosen of each of `DETAILS`: types (the least deep first), tendons, sides; "none" last."""
    tendons = sorted(s.name for s in rules.sites.values() if s.kind == "tendon" and s.name != "other")
    types = reversed([t.type for t in case.types])
    return {"migration_type": [*types, "none"], "tendon": [*tendons, "none"], "laterality": list(SIDES)}


def check_opinion(opinion: Opinion, choices: Mapping[str, Sequence[str]]) -> None:
    """Check the parts of an opinion, those of `DETAILS` by the words that can be chosen.

    Raises:
        UsageError: one that makes no sense; the message repeats nothing of it.
    """
    if faults := list(faults_of(opinion, choices)):
        raise UsageError("; ".join(faults))


def faults_of(opinion: Opinion, choices: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What makes no sense in an opinion."""
    if opinion.decision not in DECISIONS:
        yield f"the decision is not one of {', '.join(DECISIONS)}"
    for name, words in choices.items():
        if getattr(opinion, name) not in words:
            said = getattr(opinion, name)[:MAX_WORD]
            near = dict.fromkeys((*(w for w in words if said and said in w), *get_close_matches(said, words)))
            near = near if len(words) > FEW else {}
            known = f"known; near words are: {', '.join(near)}" if near else f"one of {', '.join(words)}"
            yield f"the {name} is not {known}"
    if len(opinion.comment) > MAX_COMMENT:
        yield f"the comment has more than {MAX_COMMENT:,} characters"
    if max(len(opinion.migration_type), len(opinion.tendon)) > MAX_WORD:
        yield "migration type or tendon is too long"


def check_reviewer(name: str) -> None:
    """Check the name of a reviewer.

    Raises:
        UsageError: empty, too long or with control characters.
    """
    if not name.strip() or len(name) > MAX_WORD or not name.isprintable():
        raise UsageError("a reviewer needs a name (initials will do) of printable characters: --reviewer NAME")
