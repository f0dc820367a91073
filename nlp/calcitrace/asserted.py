"""The cues that reach a hit, and its section -> its assertion."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from functools import cache

from calcitrace.model import Assertion, Cue, Section
from calcitrace.ruleset import RuleSet, SectionRule
from calcitrace.sites import CueHit, Hit, HitsOf, Sentence
from calcitrace.targets import Target, standing
from calcitrace.words import Words


class Asserter:
    """Settles how hits are asserted, by the axes of one rule set."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._hedges = rules.words["hedges"]

    def __call__(self, hit: Hit, cues: Sequence[CueHit], words: Words, text: str, section: Section) -> Assertion:
        """Cues -> one value an axis by its declared precedence; the section speaks where no cue does."""
        claims = _claims(cues)
        values, deciding = {}, []
        for name, dimension in self._rules.axes.items():
            value = next((v for v in dimension.precedence if v in claims.get(name, {})), "")
            if value:
                deciding += claims[name][value]
            values[name] = value or dimension.default
        if values["presence"] == "present" and not self._hedges.isdisjoint(words.forms[hit.i : hit.j]):
            values["presence"] = "possible"
        if any(hit.name in c.group.opinion_on for c in deciding) and values["temporality"] == "historical":
            _make_opinion(values)
        rule = self._rules.sections.get(section.name)
        if rule:
            _apply_section(rule, hit.name, values, claims)
        deciding += [c for c in cues if c.group.past_if_denied]
        shown = sorted({(c.i, c.j, c.term.rule_id) for c in deciding})
        places = [(words.starts[i], words.ends[j - 1], rule_id) for i, j, rule_id in shown]
        cue_list = tuple(Cue(sys.intern(text[start:end]), start, end, rule_id) for start, end, rule_id in places)
        if values["temporality"] == "hypothetical" or (values["presence"] == "absent") != (
            values["change"] == "resolved"
        ):
            values["change"] = "none"
        return _assertion(values["presence"], values["temporality"], values["experiencer"], values["change"], cue_list)

    def stated_hits(self, names: Container[str], denials: Container[str]) -> HitsOf:
        """What picks the hits of a sentence, if one is of these findings: cues, which take long, are for those alone.

        Left out are those that are denied and no more, whatever section and report the sentence stands in, unless they
        are of a finding in `denials`.
        """

        def stated(sentence: Sentence) -> Sequence[Hit]:
            if not any(hit.name in names for hit in sentence.hits):
                return ()
            targets = sentence.judged.targets
            return [hit for hit, cues in targets if hit.name in denials or not self._is_denied(hit, cues, targets)]

        return stated

    def _is_denied(self, hit: Hit, cues: Sequence[CueHit], targets: Sequence[Target]) -> bool:
        """Whether the cues surely make the hit absent, and not resolved.

        Not sure are cues that could go to another target, and other readings of the same words with cues of their own.
        """
        others = (own for other, own in targets if other.name == hit.name and other.i < hit.j and hit.i < other.j)
        if any(c.group.subject for c in cues) or any(not set(own) <= set(cues) for own in others):
            return False
        claims = _claims(cues)
        presence = next((v for v in self._rules.axes["presence"].precedence if v in claims.get("presence", ())), "")
        return presence == "absent" and "resolved" not in claims.get("change", ())


def _claims(cues: Sequence[CueHit]) -> dict[str, dict[str, list[CueHit]]]:
    """By axis and value, the cues that count for it."""
    claims: dict[str, dict[str, list[CueHit]]] = {}
    for cue in standing(cues):
        for axis, value in cue.group.sets.items():
            claims.setdefault(axis, {}).setdefault(value, []).append(cue)
    return claims


def _assertion(presence: str, temporality: str, experiencer: str, change: str, cues: tuple[Cue, ...]) -> Assertion:
    """The assertion; without cues, one for all that are equal, since many sentences keep them."""
    if cues:
        return Assertion(presence, temporality, experiencer, change, cues)
    return _without_cues(presence, temporality, experiencer, change)


_without_cues = cache(Assertion)


def _apply_section(
    rule: SectionRule, finding: str, values: dict[str, str], claims: Mapping[str, Mapping[str, object]]
) -> None:
    if finding in rule.never or (rule.keeps_denials and values["presence"] == "absent"):
        return
    for axis, value in rule.sets.items():
        if axis not in claims:
            values[axis] = value


def _make_opinion(values: dict[str, str]) -> None:
    """What another reader took it for: one of the possibilities, unless it was denied."""
    values["temporality"] = "current"
    if values["presence"] == "present":
        values["presence"] = "possible"
