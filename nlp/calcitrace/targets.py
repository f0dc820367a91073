"""Which of the targets that the rules find in a sentence are mentions, and which cues count for each."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise, takewhile

from calcitrace.engine import covers
from calcitrace.model import Change, Mention, Presence
from calcitrace.ruleset import JUST, RuleSet
from calcitrace.sides import Sides
from calcitrace.sites import CueHit, Hit
from calcitrace.subjects import subject

_WHERE = frozenset({"in", "within", "both", "throughout"})
_RELATIVE = frozenset({"that", "which"})
Target = tuple[Hit, tuple[CueHit, ...]]


def counting(targets: Sequence[Target], sided: Sides, named: Container[str], rules: RuleSet) -> Iterator[Target]:
    """The targets of a sentence that are mentions: where their words count, the longest of a finding, none covered.

    A doubtful term (`alone`) counts only without another mention of its finding close by; `named` are the findings
    that the report has mentioned and not only denied, so that "the defect" needs no place.
    """
    targets = [t for t in targets if not t[0].term.told or _told(t[0], targets, named)]
    allowed = [(h, cues) for h, cues in targets if sided.allows(h)]
    placed = [h for h, _ in allowed]
    allowed += [(h, cues) for h, cues in targets if h not in placed and h.name in named and sided.known(h, placed)]
    kept: list[Target] = []
    for hit, cues in sorted(allowed, key=lambda t: (t[0].term.alone, -t[0].size, t[0].i)):
        rivals = [k for k, _ in kept if k.name == hit.name]
        if any(k.i < hit.j and hit.i < k.j for k in rivals):
            continue
        if hit.term.alone and any(sided.same_claim(hit, k) for k in rivals):
            continue
        kept.append((hit, cues))
    for hit, cues in sorted(kept, key=lambda t: (t[0].i, t[0].j, t[0].name)):
        if not any(covers(k, hit, rules) for k, _ in kept):
            yield hit, _shared(hit, cues, targets)


def _told(hit: Hit, targets: Sequence[Target], named: Container[str]) -> bool:
    """Whether a finding that the hit's term asks for was named, earlier in the report or in the sentence."""
    if any(n in named for n in hit.term.asks):
        return True
    return not hit.term.just and any(h.name in hit.term.told and h.j <= hit.i for h, _ in targets)


def named_just(mentions: Iterable[tuple[int, Mention]], number: int) -> set[str]:
    """What a sentence is about that speaks of "it": the first mention of the sentence before, as terms ask for it.

    Args:
        mentions: those found so far with the number of their sentence, the last first.
        number: of the sentence.
    """
    before = [m for _, m in takewhile(lambda found: found[0] == number - 1, mentions)]
    return {f"{JUST}{before[-1].finding}"} if before and not _is_denied(before[-1]) else set()


def named_so_far(mentions: Iterable[Mention]) -> set[str]:
    """The findings of mentions not only denied: *No deposit. It extends into the bone* is of something else."""
    return {m.finding for m in mentions if not _is_denied(m)}


def founded(mentions: Sequence[Mention], asked: Sequence[frozenset[str]]) -> list[bool]:
    """Which of a report's mentions are denied, or of what it names: a "focus" that enters a bone may be anything.

    Args:
        mentions: all of the report.
        asked: of each the findings of which its term asks for one, told by whatever words.
    """
    named: set[str] = set()
    stated = [(m.finding, ask) for m, ask in zip(mentions, asked, strict=True) if not _is_denied(m)]
    while more := {f for f, ask in stated if f not in named and not (ask and named.isdisjoint(ask))}:
        named |= more
    return [not ask or not named.isdisjoint(ask) or _is_denied(m) for m, ask in zip(mentions, asked, strict=True)]


def _is_denied(mention: Mention) -> bool:
    said = mention.asserted
    return said.presence == Presence.ABSENT and said.change != Change.RESOLVED


def _shared(hit: Hit, cues: tuple[CueHit, ...], targets: Sequence[Target]) -> tuple[CueHit, ...]:
    """The cues of a mention and of the other readings of its words, of which it took the place."""
    kept = {(c.i, c.j, c.term.rule_id): c for c in cues}
    for other, own in targets:
        if other.name == hit.name and other.i < hit.j and hit.i < other.j:
            for cue in own:
                if not (cue.i < hit.j and hit.i < cue.j):
                    kept.setdefault((cue.i, cue.j, cue.term.rule_id), cue)
    return tuple(kept.values())


def spoken_of(targets: Sequence[Target], forms: Sequence[str], rules: RuleSet) -> Sequence[Target]:
    """The targets of a sentence, each without the cues that speak of another one as their subject."""
    reached: dict[tuple[int, int, str], tuple[CueHit, list[Hit]]] = {}
    for hit, cues in targets:
        for cue in cues:
            if cue.group.subject:
                reached.setdefault(_key(cue), (cue, []))[1].append(hit)
    if not reached:
        return targets
    of = _places_of([hit for hit, _ in targets], forms)
    speaks = {
        k: subject(_things([h for h in hits if h not in of], rules), forms, cue.i, cue.j, rules.words)
        for k, (cue, hits) in reached.items()
    }
    return [
        (hit, tuple(c for c in cues if _key(c) not in speaks or of.get(hit, hit) in speaks[_key(c)]))
        for hit, cues in targets
    ]


def _places_of(hits: Sequence[Hit], forms: Sequence[str]) -> dict[Hit, Hit]:
    """Hits that tell where the one before them is, too, each with that one.

    "Calcification in tendon and bone", "the calcium that was in the bone".
    """
    found = {}
    for before, h in pairwise(sorted(hits, key=lambda h: h.i)):
        same = h.name == before.name and forms[h.i - 1] in _RELATIVE
        if before.j <= h.i and (forms[h.i] in _WHERE or same):
            found[h] = before
    return found


def _things(hits: Sequence[Hit], rules: RuleSet) -> list[Hit]:
    """The hits without those that describe one before them: "a deposit, dark on T2, has shrunk"."""
    named = {**rules.conditions, **rules.findings}
    things = [h for h in hits if not (h.name in named and named[h.name].describes)]
    return [h for h in hits if h in things or not any(t.j <= h.i for t in things)]


def _key(cue: CueHit) -> tuple[int, int, str]:
    return cue.i, cue.j, cue.term.rule_id


def standing(cues: Sequence[CueHit]) -> list[CueHit]:
    """The cues that count: one that turns or overrules others takes their place; a turn falls where there are none."""
    there = {cue.group.name for cue in cues}
    standing = [c for c in cues if not c.group.turns or c.group.turns & there]
    gone = {name for cue in standing for name in cue.group.turns | cue.group.overrules}
    return [c for c in standing if c.group.name not in gone]
