"""A patient over time: reports in order, counted once, in episodes, with index date, outcome and what came before.

The rules are those of the annotation guideline; what they ask of findings stands in the criteria, none is named here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calcitrace.criteria import Criteria
from calcitrace.healing import NORMAL, has_word
from calcitrace.model import Assessment
from calcitrace.sites import one_side
from calcitrace.studydate import MISSING, StudyDate

STATUSES = ("no", "possible", "probable", "definite")
CURRENT = frozenset({"present", "possible", "absent"})
REQUEST = frozenset({"indication", "comparison", "technique", "prior_report", "past_history"})
COUNTED, VERSION, DUPLICATE, COPIED = "counted", "merged_version", "duplicate", "copied_forward"
FEWEST_COPIED = 3  # mentions in the same words at the same places, below which two reports are not taken for one text
Mentions = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Entry:
    """One report in a patient's history: what the tables say of it, and whether it `counted` or why not."""

    report_id: str
    patient_id: str = ""
    site: str = ""
    run: int = 0
    place: int = 0
    study: str = ""
    written_date: str = ""
    date: StudyDate = MISSING
    modality: str = ""
    kind: str = ""
    body_part: str = ""
    region: str = ""  # of the body, as body part or title tell it; the body part as it is written where they do not
    sex: str = ""
    age: float | None = None
    status: str = "no"
    likely: bool = False
    probability: float | None = None
    migration_type: str = "none"
    tendon: str = "none"
    bone: str = "none"
    laterality: str = "none"
    size_mm: float | None = None
    evidence: tuple[str, ...] = ()
    whole: Assessment | None = None  # of an addendum, together with the texts before it
    screened: bool = False
    adjudicated: str = ""
    unreviewed: str = "no"  # the case status that it had before it was adjudicated
    by_reviewer: tuple[str, ...] = ()
    mentions: list[Mapping[str, Any]] = field(default_factory=list)
    counted: str = COUNTED
    merged_into: str = ""
    episode: int = 0


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By date, time of day and place in the input; a partial date by its first day, no date last."""
    return sorted(entries, key=lambda e: (e.date.first, e.date.time, e.run, e.place))


def count_once(entries: Sequence[Entry], criteria: Criteria) -> list[Entry]:
    """The reports that count, in order; the others are marked with the report that they are merged into.

    Later versions of one report (addenda, amended texts) make one with it, of the earliest day: the last that speaks
    of the bone decides, and what it does not speak of (findings, tendon, bone, side, size) stands as the others said;
    an addendum that denies nothing of the bone is read together with the texts before it.
    Of equal texts on one day one counts; a text copied forward to a later day tells nothing new and does not count.
    """
    studies: dict[tuple[int, str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: (e.run, e.place)):
        studies.setdefault((entry.run, entry.study or entry.report_id), []).append(entry)
    kept = in_order(_merged(versions, criteria) for versions in studies.values())
    return _without_copies(kept, criteria)


def _merged(versions: Sequence[Entry], criteria: Criteria) -> Entry:
    telling = criteria.findings["bone"].union(*criteria.first_diagnosis.values())
    speaks = [v for v in versions if any(m["finding"] in telling and m["assertion"] == "present" for m in v.mentions)]
    denies = [v for v in versions if any(m["finding"] in criteria.findings["bone"] for m in v.mentions)]
    decides = max((*speaks, *denies), key=lambda v: v.place, default=versions[-1])
    _raise_to_whole(decides, versions, criteria)
    said = {m["finding"] for m in decides.mentions}
    for other in reversed(versions):
        if other is not decides:
            other.counted, other.merged_into = VERSION, decides.report_id
            own = [m for m in other.mentions if m["finding"] not in said]
            decides.mentions = [*decides.mentions, *own]
            said |= {m["finding"] for m in own}
            _complete(decides, other)
    decides.date = min((v.date for v in versions if v.date.day), key=lambda d: (d.first, d.time), default=decides.date)
    return decides


def _raise_to_whole(entry: Entry, versions: Sequence[Entry], criteria: Criteria) -> None:
    """Give the version that decides the case status of all texts together, where an addendum denies nothing of bone."""
    last = next((v for v in reversed(versions) if v.whole), None)
    if last is None or last.whole is None or any(v.adjudicated for v in versions):
        return
    denies = any(m["finding"] in criteria.findings["bone"] and m["assertion"] == "absent" for m in last.mentions)
    status = str(last.whole.case_status)
    if not denies and STATUSES.index(status) > STATUSES.index(entry.status):
        entry.status = entry.unreviewed = status
        entry.migration_type = last.whole.migration_type
        entry.evidence = tuple(dict.fromkeys(e for v in versions for e in v.evidence))
        entry.likely = any(v.likely for v in versions)


def _complete(entry: Entry, other: Entry) -> None:
    """Let stand as another version told it what a version leaves open; of details, what a reviewer told goes before."""
    for name in ("migration_type",) * (entry.status != "no") + ("tendon", "laterality"):
        told = name in other.by_reviewer and name not in entry.by_reviewer
        if told or getattr(entry, name) == "none":
            setattr(entry, name, getattr(other, name))
            entry.by_reviewer += (name,) * told
    entry.bone = other.bone if entry.bone == "none" else entry.bone
    if entry.size_mm is None and (entry.tendon, entry.laterality) == (other.tendon, other.laterality):
        entry.size_mm = other.size_mm
    for name in ("modality", "kind", "body_part", "sex", "age"):
        setattr(entry, name, getattr(entry, name) or getattr(other, name))


def _without_copies(entries: Sequence[Entry], criteria: Criteria) -> list[Entry]:
    seen: dict[Any, Entry] = {}
    kept = []
    for entry in entries:
        signature = _signature(entry, criteria)
        first = seen.get(signature) if signature else None
        if first is None:
            seen.setdefault(signature, entry)
            kept.append(entry)
        else:
            same_day = entry.date.day is not None and entry.date.day == first.date.day
            entry.counted, entry.merged_into = DUPLICATE if same_day else COPIED, first.report_id
    return kept


def _signature(entry: Entry, criteria: Criteria) -> tuple[Any, ...] | None:
    """The mentions with their words and places, where they are enough to tell one text from another."""
    own = [m for m in entry.mentions if m.get("start") is not None]
    positive = any(m["assertion"] == "present" and m["finding"] in _involved(criteria) for m in own)
    if len(own) < FEWEST_COPIED or not positive:
        return None
    return entry.modality, entry.size_mm, *((m["finding"], m["start"], m["text"], m["assertion"]) for m in own)


def _involved(criteria: Criteria) -> frozenset[str]:
    return criteria.findings["deposit"] | criteria.findings["bone"]


def same_place(bone: str, side: str, other_bone: str, other_side: str) -> bool:
    """Whether two places can be one: bone and side are equal, or one of them is not said; bilateral is either side."""
    bones = bone == other_bone or "none" in (bone, other_bone) or "bone" in (bone, other_bone)
    return bones and (side == other_side or bool({"none", "bilateral"} & {side, other_side}))


def episodes(cases: Sequence[Entry]) -> list[list[Entry]]:
    """The case reports grouped by bone and side, in order of their first report; each gets its number, from 1."""
    groups: list[list[Entry]] = []
    for entry in cases:
        group = next((g for g in groups if all(_together(entry, e) for e in g)), None)
        if group is None:
            groups.append(group := [])
        group.append(entry)
        entry.episode = groups.index(group) + 1
    return groups


def _together(entry: Entry, other: Entry) -> bool:
    return same_place(entry.bone, entry.laterality, other.bone, other.laterality)


def deepest(cases: Iterable[Entry], criteria: Criteria) -> str:
    """The deepest migration type of the reports."""
    return max((e.migration_type for e in cases), key=criteria.depths.index, default="none")


def usual(values: Iterable[str]) -> str:
    """The most frequent value that is not none (the first of equals), or none."""
    counts = Counter(v for v in values if v != "none")
    return counts.most_common(1)[0][0] if counts else "none"


def sides_of(entries: Iterable[Entry]) -> str:
    """The side of the reports: left, right, bilateral where it is on both, or none."""
    return one_side(e.laterality for e in entries if e.laterality != "none")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode is: bone, side, and the landmarks that its reports name."""

    bone: str
    side: str
    landmarks: frozenset[str]

    def has(self, mention: Mapping[str, Any]) -> bool:
        """Whether a mention can be of this place."""
        return same_place(mention["bone"], mention["laterality"], self.bone, self.side)


def place_of(episode: Sequence[Entry], criteria: Criteria) -> Place:
    """The place of an episode."""
    named = {m.get("landmark", "none") for e in episode for m in e.mentions if m["finding"] in _involved(criteria)}
    return Place(usual(e.bone for e in episode), sides_of(episode), frozenset(named - {"none"}))


def bone_state(entry: Entry, criteria: Criteria, place: Place | None = None) -> str:
    """What a report says of the bone now, at a place: involved, possible, cyst, gone, absent, normal, or "".

    Gone is what the report itself says to have resolved; absent is only said not to be there. A bone that is called
    normal counts where the words are of the place: its landmark, or its cortex in a report of that bone.
    """
    own = [m for m in entry.mentions if m["assertion"] in CURRENT and m["section"] not in REQUEST]
    own = [m for m in own if place is None or place.has(m)]
    of_bone = [m for m in own if m["finding"] in criteria.findings["bone"] and not _denies_another(m, criteria, place)]
    bone = [m["assertion"] for m in of_bone]
    cyst = [m["assertion"] for m in own if m["finding"] in criteria.findings["cyst"]]
    if "present" in bone:
        return "involved"
    if "present" in cyst:
        return "cyst"
    if "possible" in bone:
        return "possible"
    if "absent" in bone:
        return "gone" if any(m["change"] == "resolved" for m in of_bone) else "absent"
    normal = place is not None and any(_is_normal(m, entry, place) for m in own if m["finding"] == NORMAL)
    return "normal" if normal else ""


def _denies_another(m: Mapping[str, Any], criteria: Criteria, place: Place | None) -> bool:
    """Whether a mention denies no more than what is new, of others or at the other part: "no new erosion"."""
    if m["assertion"] != "absent" or m["change"] == "resolved":
        return False
    landmarks = place.landmarks if place else frozenset()
    kind = m["landmark"].rpartition("_")[2]  # the lesser tuberosity, of a case at the greater one
    apart = m["landmark"] not in landmarks and any(kind == known.rpartition("_")[2] for known in landmarks)
    beside = has_word(m.get("before", ())[-3:], criteria.normal_bone["others"])
    return apart or beside or "elsewhere" in m.get("after", ())[:2]


def _is_normal(m: Mapping[str, Any], entry: Entry, place: Place) -> bool:
    if m["landmark"] != "none":
        return m["landmark"] in place.landmarks
    named = m["bone"] not in ("none", "bone")
    return (bool(m["sure"]) and named) or entry.bone == place.bone


OUTCOMES = {"involved": "persistent", "cyst": "residual_cyst"}
OUTCOMES |= dict.fromkeys(("gone", "absent", "normal"), "resolved")


def outcome(episode: Sequence[Entry], entries: Sequence[Entry], index: StudyDate, criteria: Criteria) -> str:
    """What became of the bone involvement, by the last report after the index date that says so of the same place.

    resolved: said to be gone, or not to be there, or the bone is healed or normal; residual_cyst; persistent: still
    there; unknown: no such report. What the rules read as still there, in a report that they took for a case and a
    reviewer called none, does not count.
    """
    place = place_of(episode, criteria)
    later = [e for e in entries if e.date.known and e.date.first > index.last]
    told = ((e, OUTCOMES.get(bone_state(e, criteria, place))) for e in later)
    states = [said for e, said in told if said and not (said == "persistent" and _is_overruled(e))]
    return states[-1] if states else "unknown"


def _is_overruled(entry: Entry) -> bool:
    """Whether a reviewer called a report no case that the case definition takes for one, be it a possible one."""
    return entry.adjudicated == "no" and entry.unreviewed != "no"


def sees_deposit(entry: Entry, criteria: Criteria) -> bool:
    """Whether the report tells of a deposit that is or was there, so that its tendon and side are the deposit's."""
    return any(
        m["finding"] in criteria.findings["deposit"]
        and (m["assertion"] in ("present", "possible", "historical") or m["change"] == "resolved")
        for m in entry.mentions
    )


def deposit_state(entry: Entry, criteria: Criteria, place: Place | None = None) -> str:
    """What a report says of the deposit now, at a place: gone, smaller, present, possible, absent, or ""."""
    own = _deposits(entry, criteria, place)
    now = {m["assertion"] for m in own if m["section"] not in REQUEST}
    if vanishes(entry, criteria, place):
        return "smaller" if "present" in now else "gone"
    return next((a for a in ("present", "possible", "absent") if a in now), "")


def _deposits(entry: Entry, criteria: Criteria, place: Place | None) -> list[Mapping[str, Any]]:
    """A report's mentions of a deposit; where it has none, what came of one there, if its tendon is told.

    "A 14 mm deposit, which has migrated into the tuberosity" is one mention, of calcium in bone.
    """
    own = _of_deposit(entry, criteria.findings["deposit"], place)
    moved = _of_deposit(entry, criteria.findings["moved"], place)
    return own or [m for m in moved if m["assertion"] == "present" and m["tendon"] != "none"]


def _of_deposit(entry: Entry, findings: Collection[str], place: Place | None) -> list[Mapping[str, Any]]:
    """A report's mentions of these findings that can be of a place."""
    return [m for m in entry.mentions if m["finding"] in findings and (place is None or place.has(m))]


def vanishes(entry: Entry, criteria: Criteria, place: Place | None = None) -> bool:
    """Whether the report states that an earlier deposit, at a place, has gone or shrunk."""
    return any(
        m["change"] == "resolved" or (m["change"] == "decreased" and m["assertion"] == "present")
        for m in _of_deposit(entry, criteria.findings["vanishing"], place)
    )


def vanished_between(entries: Sequence[Entry], criteria: Criteria, place: Place | None = None) -> bool:
    """Whether a deposit that one report sees is said not to be there by a later one, at the same tendon and side.

    Where one of them tells no tendon, or a general one ("the cuff"), both are of one bone, or their reports of one part
    of the body.
    """
    seen: list[tuple[Mapping[str, Any], Entry]] = []
    for entry in entries:
        own = _deposits(entry, criteria, place)
        for m in own:
            if m["assertion"] == "absent" and any(_same_deposit(m, entry, *before) for before in seen):
                return True
        seen += [(m, entry) for m in own if m["assertion"] == "present" and m["section"] not in REQUEST]
    return False


def _same_deposit(m: Mapping[str, Any], entry: Entry, other: Mapping[str, Any], before: Entry) -> bool:
    if m["laterality"] != other["laterality"] or m["laterality"] == "none":
        return False
    if "none" not in (m["tendon"], other["tendon"]) and not (m.get("general") or other.get("general")):
        return bool(m["tendon"] == other["tendon"])
    if "none" not in (m["bone"], other["bone"]):
        return bool(m["bone"] == other["bone"])
    return bool(entry.region) and entry.region == before.region


def first_diagnosis(episode: Sequence[Entry], before: Sequence[Entry], criteria: Criteria) -> str:
    """What reports before the index report read the same place as, before it was read as a case; none where nothing."""
    place = place_of(episode, criteria)
    for wanted in ("present", "possible"):
        for entry in before:
            for name, findings in criteria.first_diagnosis.items():
                if any(
                    m["finding"] in findings
                    and m["assertion"] == wanted
                    and m["section"] not in REQUEST
                    and place.has(m)
                    for m in entry.mentions
                ):
                    return name
    return "none"
