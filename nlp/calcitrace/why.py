"""Why a report is read as it is: every rule and cue of each sentence, what became of it, and what decided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from calcitrace.annotate import Annotator
from calcitrace.assess import constituents, taken_back
from calcitrace.engine import FastJudge, fate
from calcitrace.fast import Modifier
from calcitrace.modality import modality_of
from calcitrace.model import AnnotatedReport, Mention
from calcitrace.ruleset import CaseDefinition, Constituent, RuleSet
from calcitrace.sites import CueHit, Hit
from calcitrace.targets import named_just, named_so_far
from calcitrace.words import Words, split_words

Row = dict[str, str | int]
TAKEN_BACK = "is taken back by the addendum"


@dataclass(frozen=True, slots=True)
class SentenceWhy:
    """One sentence: its place (characters), section, the rules and cues that matched, and how each mention came to be.

    `rules` rows: finding, rule, words, start, end, fate. `cues` rows: cue, group, sets, reaches, start, end, fate.
    `mentions` rows: mention_id, finding, words, and one row an axis with its value, precedence and what decided.
    """

    start: int
    end: int
    section: str
    rules: tuple[Row, ...]
    cues: tuple[Row, ...]
    mentions: tuple[Row, ...]


class _Elsewhere(NamedTuple):
    """What the report says beside a sentence: what another body region leaves out, and the findings named so far."""

    left_out: list[tuple[str, int, int]]
    named: set[str]


class TierWhy(NamedTuple):
    """A tier of the case definition: its constituents that were found, that are lacking and that bar it.

    What is found or bars is followed by its words, what is lacking by mentions that do not count for it, and why.
    `waiting` are those of what is lacking, with their words, that would count if another of the tier were there.
    `mentions` are those of what is found and of what bars it.
    """

    tier: str
    found: list[str]
    lacking: list[str]
    barred_by: list[str]
    waiting: list[str]
    mentions: list[Mention]

    def fits(self) -> bool:
        """Whether the report has all that the tier asks for, and nothing that bars it."""
        return not self.lacking and not self.barred_by

    def row(self) -> Row:
        """The same as plain texts."""
        shown = {"found": self.found, "lacking": self.lacking, "barred_by": self.barred_by}
        return {"tier": self.tier, **{what: "; ".join(told) for what, told in shown.items()}}


def why(annotated: AnnotatedReport, annotator: Annotator) -> list[SentenceWhy]:
    """The sentences in which a finding's rule matched, each with every rule and cue that fired or was pruned."""
    judge = FastJudge(annotator.rules)
    left_out = annotator.left_out(annotated.report)
    found = []
    for number, (start, end) in enumerate(annotated.sentences):
        words = split_words(annotated.report.text, annotator.rules.spelling, start, end)
        hits = judge.hits(words.forms)
        if any(h.what in ("finding", "not") for h in hits):
            told = (*annotated.mentions, *annotated.conditions)
            own, named = (
                [m for m in told if m.sentence == number],
                named_so_far(m for m in told if m.sentence <= number),
            )
            before = sorted((m for m in told if m.sentence < number), key=lambda m: m.start, reverse=True)
            named |= named_just(((m.sentence, m) for m in before), number)
            section = next((s for s in annotated.sections if s.start <= start < s.end), None)
            found.append(
                SentenceWhy(
                    start,
                    end,
                    (section.name + (f" ({section.subhead})" if section.subhead else "")) if section else "",
                    tuple(
                        _rule_rows(
                            hits, own, _Elsewhere(left_out, named), words, annotated.report.text, annotator.rules
                        )
                    ),
                    tuple(_cue_rows(judge, own, words, annotated.report.text)),
                    tuple(r for m in own for r in _mention_rows(m, judge, words, annotator.rules)),
                )
            )
    return found


def why_tier(annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> list[TierWhy]:
    """The tiers of the case definition down to the one that fits, each with what was found, lacking and in its way."""
    counting, told = constituents(annotated, rules, case), list[TierWhy]()
    modality = modality_of(annotated.report, rules)
    for tier in case.tiers:
        found = [f"{n}: {_quoted(counting[n])}" for n in tier.needs if counting[n]]
        lacking = [_lack(n, case.constituents[n], annotated, modality) for n in tier.needs if not counting[n]]
        barred = [f"{n}: {_quoted(counting[n])}" for n in tier.bars if counting[n]]
        away = [n for n in tier.needs if not counting[n]]
        held = ((n, _held_back(case.constituents[n], away, annotated, modality)) for n in away)
        waiting = [f"{n}: {_quoted(own)}" for n, own in held if own]
        own = list(dict.fromkeys(m for n in (*tier.needs, *tier.bars) for m in counting[n]))
        told.append(TierWhy(tier.tier, found, lacking, barred, waiting, own))
        if told[-1].fits():
            break
    return told


def deciding(tiers: Sequence[TierWhy]) -> TierWhy:
    """The tier that fits, or where none does the nearest.

    The nearest tier is that with the fewest conditions unmet; of these the one with the most found, then the one of
    whose lacking constituents the report speaks, then the first.
    """
    return tiers[-1] if tiers[-1].fits() else min(tiers, key=_distance)


def why_case(tiers: Sequence[TierWhy], case: CaseDefinition) -> str:
    """Why a report is a case or none, in a sentence: the tier that fits and its evidence, or what the nearest lacks."""
    near = deciding(tiers)
    if near.fits():
        return f"This report is a {near.tier} case: it has {_listed(near.found)}, and nothing that bars this tier."
    if not any(t.found or t.waiting for t in tiers):
        return "This report is no case: it has nothing of what the tiers ask for."
    found = f"has {_listed(near.found)} but " if near.found else ""
    why_not = (("lacks", _unmet(near, case)), ("is barred by", near.barred_by))
    told = " and ".join(f"{verb} {_listed(names)}" for verb, names in why_not if names)
    told += f", so that {_listed(near.waiting)} does not count" if near.waiting else ""
    return f"This report is no case, since no tier fits. The nearest is {near.tier}: the report {found}{told}."


def _distance(told: TierWhy) -> tuple[int, int, int]:
    """How far a report is from a tier: conditions unmet, then what speaks for it and what is spoken of."""
    unmet = len(told.lacking) - len(told.waiting) + len(told.barred_by)
    return unmet, -len(told.found) - len(told.waiting), -sum("(" in name for name in told.lacking)


def _unmet(told: TierWhy, case: CaseDefinition) -> list[str]:
    """What a tier lacks and nothing else would mend, with what the report would have to speak of."""
    waiting = {name.partition(":")[0] for name in told.waiting}
    lacking = [name for name in told.lacking if name.partition(" ")[0] not in waiting]
    return [name if "(" in name else f"{name} (no mention of {_sought(case.constituents[name])})" for name in lacking]


def _sought(wanted: Constituent) -> str:
    return " or ".join(name.replace("_", " ") for name in sorted(wanted.findings))


def _held_back(wanted: Constituent, away: Sequence[str], annotated: AnnotatedReport, modality: str) -> list[Mention]:
    """The mentions that would count for a constituent if one of those that are `away` were there, at their place."""
    if not set(wanted.near) & set(away) or wanted.with_words or wanted.with_findings or wanted.final:
        return []
    alone = replace(wanted, near=())
    return [m for m in _standing(wanted, annotated) if not _not_counted(m, alone, modality)]


def _standing(wanted: Constituent, annotated: AnnotatedReport) -> list[Mention]:
    """The mentions of a constituent's findings without those that an addendum takes back."""
    own = _of(wanted, annotated)
    return [m for m in own if not taken_back(m, own)]


def _of(wanted: Constituent, annotated: AnnotatedReport) -> list[Mention]:
    """The mentions of a constituent's findings, whatever is said of them."""
    return [m for m in (*annotated.mentions, *annotated.conditions) if m.finding in wanted.findings]


def _listed(told: Sequence[str]) -> str:
    """Constituents in a sentence, each with its words in brackets."""
    bracketed = (re.sub(r"^(\w+): (.+)$", r"\1 (\2)", t) for t in told)
    return " and ".join(re.sub(r"^\w+", lambda name: name[0].replace("_", " "), t) for t in bracketed)


def _quoted(mentions: Sequence[Mention]) -> str:
    return ", ".join(dict.fromkeys(repr(" ".join(m.text.split())) for m in mentions))


def _lack(name: str, wanted: Constituent, annotated: AnnotatedReport, modality: str) -> str:
    """A constituent that is not there, with each mention of its findings and why it does not count."""
    own = _of(wanted, annotated)
    told = dict.fromkeys(
        f"{_quoted([m])} {TAKEN_BACK if taken_back(m, own) else _not_counted(m, wanted, modality)}" for m in own
    )
    return name + (f" ({', '.join(told)})" if told else "")


def _not_counted(mention: Mention, wanted: Constituent, modality: str) -> str:
    """Why a mention does not count for a constituent; empty where nothing is in its way."""
    if mention.assertion not in wanted.assertions:
        return f"is {mention.assertion}"
    if wanted.changes and mention.asserted.change not in wanted.changes:
        return f"has the change {mention.asserted.change}"
    if modality in wanted.not_on:
        return f"does not count on {modality}"
    conditions = {
        "in the conclusion": wanted.final,
        "with words of its own in the sentence": wanted.with_words,
        "beside certain findings": wanted.with_findings,
        f"at the place of {' or '.join(wanted.near)}": wanted.near,
        f"not on the other side than {' or '.join(wanted.side_of)}": wanted.side_of,
    }
    asked = [said for said, condition in conditions.items() if condition]
    return f"counts only {' and '.join(asked)}" if asked else ""


def _rule_rows(
    hits: list[Hit], mentions: list[Mention], elsewhere: _Elsewhere, words: Words, text: str, rules: RuleSet
) -> list[Row]:
    """Each match of a finding's rule with what became of it."""
    rows = []
    for hit in dict.fromkeys(h for h in hits if h.what == "finding"):
        start, end = words.starts[hit.i], words.ends[hit.j - 1]
        said, by = fate(hit, hits, rules)
        if any(m.finding == hit.name and m.start == start and m.end == end for m in mentions):
            said, by = "is the mention", None
        elif said == "counts":
            said = _place_fate(hit, mentions, elsewhere, start, end)
        if by is not None:
            said += f" {' '.join(words.forms[by.i : by.j])!r} ({by.term.rule_id})"
        rows.append(_row(hit.name, hit.term.rule_id, hit.term.where, text[start:end], start, end, said))
    return rows


def _place_fate(hit: Hit, mentions: list[Mention], elsewhere: _Elsewhere, start: int, end: int) -> str:
    """Why a match that no other pruned is no mention after all: its conditions."""
    if any(name == hit.name and low < end and start < high for name, low, high in elsewhere.left_out):
        return "the report is of another region, and this is at no bone, tendon, bursa or joint"
    if any(m.finding == hit.name and m.start < end and start < m.end for m in mentions):
        return "part of a longer mention"
    if any(m.start <= start and end <= m.end for m in mentions):
        return "taken in by a mention of another finding"
    if hit.term.alone and any(m.finding == hit.name for m in mentions):
        return "doubtful, and the sentence has another mention of the finding"
    asks = hit.term.asks | hit.term.after
    if asks and not asks & elsewhere.named:
        asked = " or ".join(sorted(hit.term.told | hit.term.after)).replace("_", " ")
        when = "where the sentence before begins with" if hit.term.just else "once the report has named"
        return f"counts only {when} {asked}"
    needs = " or ".join(sorted(hit.term.at)) or ", ".join(f"no {kind}" for kind in sorted(hit.term.not_at))
    return f"not at a place where it counts (needs {needs})" if needs else "another reading of its words counts"


def _row(finding: str, rule: str, where: str, shown: str, start: int, end: int, said: str) -> Row:
    return {
        "finding": finding,
        "rule": rule,
        "where": where,
        "words": " ".join(shown.split()),
        "start": start,
        "end": end,
        "fate": said,
    }


def _cue_rows(judge: FastJudge, mentions: list[Mention], words: Words, text: str) -> list[Row]:
    """Each match of a context rule: what it sets, how far it reaches, and what became of it."""
    counting, pruned = judge.modifiers(words.forms)
    deciding = {(c.start, c.end) for m in mentions for c in m.asserted.cues}
    rows: list[Row] = []
    for modifier, counts in [*((m, True) for m in counting), *((m, False) for m in pruned)]:
        start, end = words.starts[modifier.i], words.ends[modifier.j - 1]
        said = "decides" if (start, end) in deciding else _idle(modifier, mentions, words)
        if not counts:
            said = "part of a longer cue"
        elif not modifier.group.sets:
            said = "ends the reach of others" if modifier.group.direction == "pseudo" else said
        rows.append(
            {
                "cue": " ".join(text[start:end].split()),
                "group": modifier.group.name,
                "sets": ", ".join(f"{k}: {v}" for k, v in modifier.group.sets.items()),
                "reaches": _reach(modifier, words) if counts else "",
                "rule": modifier.term.rule_id,
                "where": modifier.term.where,
                "start": start,
                "end": end,
                "fate": said,
            }
        )
    return sorted(rows, key=lambda r: (int(r["start"]), int(r["end"])))


def _idle(modifier: Modifier, mentions: list[Mention], words: Words) -> str:
    """Why a cue that counts changes nothing."""
    if modifier.low < modifier.high:
        low, high = words.starts[modifier.low], words.ends[modifier.high - 1]
        if any(low <= m.start and m.end <= high for m in mentions):
            return "changes nothing: another cue decides, or it says nothing of this finding"
    return "changes nothing: no mention in its reach"


def _reach(modifier: Modifier, words: Words) -> str:
    """The scope as character offsets, "" for a cue that reaches nothing itself."""
    if modifier.group.direction == "pseudo" or modifier.low >= modifier.high:
        return ""
    return f"{words.starts[modifier.low]}-{words.ends[modifier.high - 1]}"


def _mention_rows(mention: Mention, judge: FastJudge, words: Words, rules: RuleSet) -> list[Row]:
    """One row an axis: the value, the precedence of values, and the cues that reached the mention and said so."""
    cues = next((own for hit, own in judge(words.forms).targets if _is(mention, hit, words)), tuple[CueHit, ...]())
    said = mention.asserted
    values: Mapping[str, str] = {
        "presence": said.presence,
        "temporality": said.temporality,
        "experiencer": said.experiencer,
        "change": said.change,
    }
    return [
        {
            "mention_id": mention.mention_id,
            "finding": mention.finding,
            "words": " ".join(mention.text.split()),
            "axis": axis,
            "value": str(value),
            "precedence": " > ".join(rules.axes[axis].precedence),
            "because": _because(axis, str(value), cues, mention, words, rules),
        }
        for axis, value in values.items()
    ]


def _is(mention: Mention, hit: Hit, words: Words) -> bool:
    return (mention.finding, mention.start, mention.end) == (hit.name, words.starts[hit.i], words.ends[hit.j - 1])


def _because(axis: str, value: str, cues: tuple[CueHit, ...], mention: Mention, words: Words, rules: RuleSet) -> str:
    claims = [c for c in cues if axis in c.group.sets]
    if not claims:
        section = rules.sections.get(mention.section)
        if section and section.sets.get(axis) == value:
            return f"section {mention.section}"
        return "default" if value == rules.axes[axis].default else "the rest of the report, or sizes"
    told = (f"{' '.join(words.forms[c.i : c.j])!r} says {c.group.sets[axis]} ({c.group.name})" for c in claims)
    return "; ".join(told)
