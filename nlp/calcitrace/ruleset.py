"""The records of a rule set: what the files in patterns/ say, once read and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
KINDS = ("bone", "tendon", "bursa", "joint", "soft_tissue", "cartilage", "organ", "bone_interior", "lesion")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a rule file; `str()` is `path:line: severity: message`."""

    where: str
    severity: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message}"


JUST = "just "  # before the name of what the sentence before begins with


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One way of saying something: a phrase in standard words, or a medspaCy token or regex pattern.

    `at` / `not_at` are the anatomy kinds at which alone / never the words count; `after` the findings of which one
    must be the nearest before it in the sentence; `told` those of which the report must have named one before, and
    with `just` the sentence before it must begin with it ("It extends into the bone"); an
    `alone` term counts only in a sentence that has no other mention of its finding ("BURSA: thickened", but not
    "thickened, with bursal fluid"); a `known` one only where the report has named the finding and speaks of it as
    known ("the focus").
    """

    rule_id: str
    phrase: tuple[str, ...] = ()
    tokens: tuple[Mapping[str, Any], ...] | None = None
    regex: str | None = None
    at: frozenset[str] = frozenset()
    not_at: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    alone: bool = False
    known: bool = False
    just: bool = False
    where: str = ""

    @property
    def asks(self) -> frozenset[str]:
        """What must have been named before, as `targets.named_so_far` and `targets.named_just` tell it."""
        return frozenset(f"{JUST}{name}" for name in self.told) if self.just else self.told

    def worded(self, rule_id: str, phrase: tuple[str, ...]) -> Term:
        """A phrase under the same conditions (`replace` takes eight times as long; there are 38,000)."""
        conditions = self.at, self.not_at, self.after, self.told, self.alone, self.known, self.just
        return Term(rule_id, phrase, None, None, *conditions, self.where)


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence of a rule file with what it must give; `start:end` is the marked mention, if any."""

    text: str
    expected: str
    start: int
    end: int
    where: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is sought: its terms, its confusers (`nots`) and its examples.

    In a report of another body region a `local` finding counts only at a bone, tendon, bursa or joint. The tendon of
    one that `tells_tendon` is that of what follows without a tendon of its own. What is said of its `kin` is said of
    it too (calcific tendinitis in the history, "the deposit" in the findings). Of one that `describes`, what is said
    later in the clause is said of the mention before it ("a deposit, dark on T2, has shrunk").
    """

    name: str
    title: str
    status: str
    terms: tuple[Term, ...]
    nots: tuple[Term, ...]
    covers: frozenset[str]
    examples: tuple[Example, ...]
    references: tuple[str, ...]
    path: str
    local: bool = False
    tells_tendon: bool = False
    describes: bool = False
    kin: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class CueGroup:
    """Context rules of one behaviour: what they set, which way they reach, and which groups end their reach.

    A cue of a group that `turns` others counts only where a cue of one of those reaches the same mention, and then in
    its place ("most of the deposit is gone"); one of a group that `overrules` others takes the place of any that reach
    the same mention ("not well seen, erosion cannot be excluded"). What a cue `unless_restated` makes historical is
    current where the report goes on to state it as there; one of `past_if_denied` is historical where it is denied.
    What it tells of diseases in `opinion_on` is an opinion: possible, not past ("read elsewhere as sarcoma").
    A cue with `subject` speaks of the subject of its clause alone (module `subjects`).
    """

    name: str
    axis: str
    sets: Mapping[str, str]
    direction: str
    ends_at: frozenset[str]
    terms: tuple[Term, ...]
    only: frozenset[str]
    never: frozenset[str]
    max_scope: int | None
    max_targets: int | None
    where: str
    turns: frozenset[str] = frozenset()
    overrules: frozenset[str] = frozenset()
    unless_restated: bool = False
    past_if_denied: bool = False
    subject: bool = False
    opinion_on: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of an assertion: its values, strongest first, and the value where nothing is said."""

    name: str
    default: str
    precedence: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """An anatomical structure: its kind, its terms, and what it says of bone, landmark, side and region.

    A `generic` one gives way to a named one; a `weak` one (a cortex may be of the kidney) does not show by itself
    that a report is of bones; a `title_only` one ("head") counts in the title or body part alone.
    """

    name: str
    kind: str
    terms: tuple[Term, ...]
    bone: str = ""
    landmark: str = ""
    region: str = ""
    generic: bool = False
    weak: bool = False
    title_only: bool = False


@dataclass(frozen=True, slots=True)
class SectionRule:
    """A kind of section: its headings and what standing in it does to a mention.

    `unless_restated` and `past_if_denied` are those of `CueGroup`.
    """

    name: str
    headings: tuple[str, ...]
    sets: Mapping[str, str]
    never: frozenset[str]
    keeps_denials: bool = False
    unless_restated: bool = False
    past_if_denied: bool = False


@dataclass(frozen=True, slots=True)
class Constituent:
    """A set of mentions that a case definition asks for; `near` names constituents that must share bone and side,
    `side_of` constituents of which one must not be on the other side alone, where one is there.

    `with_words`: one of these must stand in its sentence (a word that ends in * is a beginning), `with_findings`: a
    present mention of one of these too; `final`: it must
    stand in the conclusion, or anywhere but the history where the report has no conclusion; `not_on`: modalities that
    cannot show it.
    """

    findings: frozenset[str]
    assertions: frozenset[str]
    changes: frozenset[str] = frozenset()
    near: tuple[str, ...] = ()
    side_of: tuple[str, ...] = ()
    with_words: tuple[tuple[str, ...], ...] = ()
    with_findings: frozenset[str] = frozenset()
    final: bool = False
    not_on: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier and the constituents that must (`needs`) and must not (`bars`) be there."""

    tier: str
    needs: tuple[str, ...]
    bars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Depth:
    """A migration type and the constituents that show it, by words in them or in their sentence; the deepest first."""

    type: str
    of: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]
    with_words: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class CaseDefinition:
    """Who is a case: constituents, tiers in order (the first that fits counts), migration types by depth.

    `site` and `sized` name the constituents whose mentions give a report its site and its size, the first first.
    `raises` and `lowers` are sets of constituents that move a report up or down among those of its tier, and never
    into another. `phases` are named by words in a sentence with a mention of `phased`.
    """

    name: str
    title: str
    likely: frozenset[str]
    constituents: Mapping[str, Constituent]
    tiers: tuple[Tier, ...]
    types: tuple[Depth, ...]
    site: tuple[str, ...]
    sized: tuple[str, ...]
    raises: tuple[tuple[str, ...], ...]
    lowers: tuple[tuple[str, ...], ...]
    phases: Mapping[str, tuple[tuple[str, ...], ...]]
    phased: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """All rules of one patterns folder; `hash` is the SHA-256 of its files."""

    findings: Mapping[str, Finding]
    axes: Mapping[str, Axis]
    cues: tuple[CueGroup, ...]
    sites: Mapping[str, Site]
    sides: Mapping[str, tuple[Term, ...]]
    sections: Mapping[str, SectionRule]
    spelling: Mapping[str, str]
    conditions: Mapping[str, Finding]
    cases: Mapping[str, CaseDefinition]
    words: Mapping[str, frozenset[str]]
    slips: Mapping[str, tuple[tuple[str, str], ...]]
    modalities: Mapping[str, tuple[tuple[str, ...], ...]]
    hash: str
    root: str
    context_examples: tuple[Example, ...] = field(default=())
