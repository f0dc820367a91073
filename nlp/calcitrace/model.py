"""The records that travel through calcitrace; nothing here imports anything of ours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import NamedTuple


class Presence(StrEnum):
    """Whether the report says that the finding is there."""

    PRESENT = "present"
    POSSIBLE = "possible"
    ABSENT = "absent"


class Temporality(StrEnum):
    """When the finding is said to be there."""

    CURRENT = "current"
    HISTORICAL = "historical"
    HYPOTHETICAL = "hypothetical"


class Experiencer(StrEnum):
    """Whose finding it is."""

    PATIENT = "patient"
    OTHER = "other"


class Change(StrEnum):
    """How the finding has changed since an earlier study, where the report says so."""

    NONE = "none"
    NEW = "new"
    INCREASED = "increased"
    DECREASED = "decreased"
    UNCHANGED = "unchanged"
    RESOLVED = "resolved"


class CaseStatus(StrEnum):
    """The tier of a report under a case definition."""

    DEFINITE = "definite"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    NO = "no"


class Report(NamedTuple):
    """One radiology report as it was read; `text` is never changed, ids are strings exactly as given."""

    report_id: str
    text: str
    patient_id: str = ""
    study_date: str = ""
    modality: str = ""
    body_part: str = ""
    sex: str = ""
    age: str = ""
    version_of: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that did not become a report: where it stood and why, never what it said."""

    source: str
    row: int
    reason: str
    report_id: str = ""


class Section(NamedTuple):
    """A stretch of a report under one heading; `start:end` are character offsets of its whole extent."""

    name: str
    heading: str
    start: int
    body: int
    end: int
    subhead: str = ""


@dataclass(frozen=True, slots=True)
class Cue:
    """The words that decided an assertion or a change: where they stand and by which context rule."""

    text: str
    start: int
    end: int
    rule_id: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is asserted of a mention: `presence` x `temporality` x `experiencer`, with `change` and the cues."""

    presence: str = Presence.PRESENT
    temporality: str = Temporality.CURRENT
    experiencer: str = Experiencer.PATIENT
    change: str = Change.NONE
    cues: tuple[Cue, ...] = ()

    def moved(self, by: int) -> Assertion:
        """The same assertion by cues that stand `by` characters later."""
        if not self.cues:
            return self
        cues = tuple(Cue(c.text, c.start + by, c.end + by, c.rule_id) for c in self.cues)
        return Assertion(self.presence, self.temporality, self.experiencer, self.change, cues)

    @property
    def assertion(self) -> str:
        """The guideline's one value, by precedence: hypothetical, of another person or historical, absent, possible.

        What is denied of the past is absent.
        """
        return _one_value(self.presence, self.temporality, self.experiencer)


@cache
def _one_value(presence: str, temporality: str, experiencer: str) -> str:
    if temporality == Temporality.HYPOTHETICAL:
        return "hypothetical"
    past = temporality == Temporality.HISTORICAL and presence != "absent"
    return "historical" if past or experiencer == Experiencer.OTHER else presence


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of report text that names one finding; `start:end` index the original text."""

    mention_id: str
    finding: str
    start: int
    end: int
    text: str
    section: str
    rule_id: str
    asserted: Assertion
    sentence: int = 0
    tendon: str = "none"
    bone: str = "none"
    landmark: str = "none"
    laterality: str = "none"
    size_mm: float | None = None
    change_since: str = ""

    @property
    def assertion(self) -> str:
        """The guideline's one value of this mention's assertion."""
        return self.asserted.assertion

    def placed(self, by: int, sentence: int, mention_id: str) -> Mention:
        """The same mention, `by` characters later, in the sentence of this number."""
        return Mention(
            mention_id,
            self.finding,
            self.start + by,
            self.end + by,
            self.text,
            self.section,
            self.rule_id,
            self.asserted.moved(by),
            sentence,
            self.tendon,
            self.bone,
            self.landmark,
            self.laterality,
            self.size_mm,
            self.change_since,
        )

    @property
    def current(self) -> bool:
        """Whether the mention speaks of this patient now (present, possible or absent)."""
        return self.assertion in ("present", "possible", "absent")


@dataclass(frozen=True, slots=True)
class AnnotatedReport:
    """A report with its sections, sentences (character offsets, and standard words) and mentions in order.

    `conditions` are mentions of what is no finding but bears on a case (arthritis, surgery, biopsy ...); `flags` name
    what to look at twice (side conflicts, contradictions, dictation slips).
    """

    report: Report
    sections: tuple[Section, ...]
    sentences: tuple[tuple[int, int], ...]
    forms: tuple[tuple[str, ...], ...]
    mentions: tuple[Mention, ...]
    conditions: tuple[Mention, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds to the log odds of a case, and the mentions behind it."""

    feature: str
    log_odds: float
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one report, read alone, supports under a case definition; with a model, its probability and reasons."""

    report_id: str
    case_status: str = CaseStatus.NO
    migration_type: str = "none"
    tendon: str = "none"
    bone: str = "none"
    laterality: str = "none"
    absence_of_mass: bool = False
    evidence: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    case_probability: float | None = None
    size_mm: float | None = None
    phase: str = "none"
    case_score: float = 0.0
    likely_case: bool = False
    contributions: tuple[Contribution, ...] = ()
