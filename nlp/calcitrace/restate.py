"""What only the whole report can tell of an assertion: whether what it says of the past still holds.

A comparison "showed calcification", and the findings describe it: it is there now. A request is for "known calcific
tendinitis", and the findings see none: it is past (annotation guideline, rulings on hard cases).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from calcitrace.model import Mention
from calcitrace.ruleset import CueGroup, RuleSet
from calcitrace.sites import same_place


def settle(mentions: Sequence[Mention], rules: RuleSet) -> tuple[Mention, ...]:
    """The mentions, with those of the past made current where restated and those denied now made historical."""
    past = [m for m in mentions if _tells_of_before(m, rules)]
    if not past:
        return tuple(mentions)
    body = _two_of_each(m for m in mentions if not _of_the_past(m.section, rules))
    now = {m.mention_id: _now(m, body, rules) for m in past}
    denied = {m.sentence for m in past if m.assertion == "present" and _denied(now[m.mention_id])}
    return tuple(_settled(m, now[m.mention_id], denied, rules) if m.mention_id in now else m for m in mentions)


def _two_of_each(mentions: Iterable[Mention]) -> list[Mention]:
    """Of mentions that say the same of the same place the first two, which tell as much to any other or one of them."""
    kinds: dict[tuple[str, ...], list[Mention]] = {}
    for m in mentions:
        same = kinds.setdefault((m.finding, m.bone, m.laterality, m.assertion), [])
        if len(same) < 2:
            same.append(m)
    return [m for same in kinds.values() for m in same]


def _tells_of_before(mention: Mention, rules: RuleSet) -> bool:
    """Whether what the rest of the report says of the finding bears on the mention."""
    if mention.assertion == "present":
        return _by(mention, rules, "past_if_denied")
    if mention.assertion != "historical" or mention.asserted.experiencer != "patient":
        return False
    firm = [g for g in _groups(mention, rules) if "temporality" in g.sets and not g.unless_restated]
    return not firm and _by(mention, rules, "unless_restated")


def _by(mention: Mention, rules: RuleSet, attribute: str) -> bool:
    section = rules.sections.get(mention.section)
    groups = _groups(mention, rules)
    return any(getattr(g, attribute) for g in groups) or (section is not None and getattr(section, attribute))


def _settled(mention: Mention, now: set[str], denied: set[int], rules: RuleSet) -> Mention:
    """A mention of before, in the light of what the report says `now`; `denied` sentences hold one that is denied.

    "Follow up of calcific tendinitis with intraosseous extension": where the deposit is gone, all that is past.
    """
    said = mention.asserted
    if mention.assertion == "historical" and "present" in now:
        return replace(mention, asserted=replace(said, temporality="current"))
    beside = mention.sentence in denied and rules.findings[mention.finding].local and not now
    if mention.assertion == "present" and (_denied(now) or beside):
        return replace(mention, asserted=replace(said, temporality="historical"))
    return mention


def _denied(now: set[str]) -> bool:
    return "absent" in now and not now & {"present", "possible"}


def _now(mention: Mention, body: Sequence[Mention], rules: RuleSet) -> set[str]:
    """What the findings and the impression assert of the same finding, or of its kin, at the same place.

    Where they say nothing of it, that they deny what it takes in: without calcium there is none in bone.
    """
    finding = rules.findings[mention.finding]
    others = [m for m in body if m is not mention and same_place(m, mention)]
    said = {m.assertion for m in others if m.finding in finding.kin or m.finding == mention.finding}
    taken_in = {m.assertion for m in others if finding.tells_tendon and m.finding in finding.covers}
    return taken_in if not said and _denied(taken_in) else said


def _of_the_past(section: str, rules: RuleSet) -> bool:
    """Whether a section tells of before or of the request, rather than of this study."""
    rule = rules.sections.get(section)
    return rule is not None and (rule.unless_restated or rule.past_if_denied or "temporality" in rule.sets)


def _groups(mention: Mention, rules: RuleSet) -> list[CueGroup]:
    """The groups of the context rules whose cues decided."""
    if not mention.asserted.cues:
        return []
    names = {_group_of(cue.rule_id) for cue in mention.asserted.cues}
    return [g for g in rules.cues if g.name in names]


@lru_cache(maxsize=20_000)
def _group_of(rule_id: str) -> str:
    """The name of the group of a context rule."""
    return rule_id.split(":")[0].removeprefix("context ")
