"""What a registry should look at twice: sides that conflict, conclusions that contradict, dictation slips."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from calcitrace.model import AnnotatedReport, Mention
from calcitrace.ruleset import RuleSet
from calcitrace.screen import may_match
from calcitrace.sites import Linker, Sentence, one_side

CONCLUSIONS = ("impression",)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_NONE: frozenset[str] = frozenset()  # one for all sentences


class Flagger:
    """Flags reports with one rule set."""

    def __init__(self, rules: RuleSet, linker: Linker) -> None:
        self._linker = linker
        self._slips = tuple(rules.slips)
        self._by_first: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        self._others: list[tuple[str, re.Pattern[str], Callable[[str], bool]]] = []
        for name, ways in rules.slips.items():
            for first, regex in ways:
                way = re.compile(regex, re.IGNORECASE)
                if first:
                    self._by_first.setdefault(first, []).append((name, way))
                else:
                    self._others.append((name, way, may_match(regex)))

    def flags(self, annotated: AnnotatedReport, sentences: Sequence[Sentence]) -> tuple[str, ...]:
        """The flags of one report, in a fixed order; none says anything of what the report means.

        `side_conflict:title/findings` (and other pairs): two parts name one side each, and not the same;
        `contradiction:<finding>`: asserted present in the findings and absent in the conclusion at the same bone, or
        the other way round; `dictation:<slip>`: a slip of `dictation.yml` stands in a sentence. A report that mentions
        nothing has none.
        """
        if not annotated.mentions and not annotated.conditions:
            return ()
        slipped = {slip for s in sentences for slip in self._slips_of(s)}
        slips = (f"dictation:{name}" for name in self._slips if name in slipped)
        return (*_side_conflicts(annotated, sentences, self._linker), *_contradictions(annotated), *slips)

    def _slips_of(self, sentence: Sentence) -> frozenset[str]:
        """The slips that stand in a sentence, looked for when they are first asked for: few reports have flags."""
        if sentence.slips is None:
            sentence.slips = self.slips(sentence.text)
        return sentence.slips

    def slips(self, sentence: str) -> frozenset[str]:
        """The slips that stand in the text of a sentence."""
        lowered = sentence.lower()
        begun = self._by_first.keys() & _WORD.findall(lowered)
        found = {name for first in begun for name, way in self._by_first[first] if way.search(sentence)}
        found.update(name for name, way, may in self._others if may(lowered) and way.search(sentence))
        return frozenset(found) if found else _NONE


def _side_conflicts(annotated: AnnotatedReport, sentences: Sequence[Sentence], linker: Linker) -> Iterator[str]:
    named, stated = (_sides(annotated, sentences, linker, denied) for denied in (True, False))
    parts = [p for p in ("title", "findings", "impression") if stated.get(p) in ("left", "right")]
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            if stated[part] != stated[other] and (named[part], named[other]) == (stated[part], stated[other]):
                yield f"side_conflict:{part}/{other}"


def _sides(
    annotated: AnnotatedReport, sentences: Sequence[Sentence], linker: Linker, denied: bool
) -> Mapping[str, str]:
    """The one side that each kind of section names, in its headings or its sentences.

    Without `denied` not in sentences that only deny: *none on the left* may be of the other side.
    """
    sides: dict[str, list[str]] = {}
    places, place = annotated.sentences, 0
    claims: dict[int, set[str]] = {}
    for mention in () if denied else annotated.mentions:
        claims.setdefault(mention.sentence, set()).add(mention.assertion)
    for section in annotated.sections:
        said = sides.setdefault(section.name, [linker.side_of(section.heading)])
        while place < len(places) and places[place][0] < section.end:
            said += () if claims.get(place) == {"absent"} else sentences[place].sides
            place += 1
    sides.setdefault("title", [linker.side_of(annotated.report.body_part)])
    return {name: one_side(said) for name, said in sides.items()}


def _contradictions(annotated: AnnotatedReport) -> Iterator[str]:
    body = _said(annotated, ("findings", "other"))
    end = _said(annotated, CONCLUSIONS)
    clashes = {
        finding
        for (finding, place), assertions in body.items()
        if (finding, place) in end and assertions.isdisjoint(end[finding, place])
    }
    yield from (f"contradiction:{finding}" for finding in sorted(clashes))


def _said(annotated: AnnotatedReport, sections: tuple[str, ...]) -> dict[tuple[str, tuple[str, str]], set[str]]:
    """What the sections assert (present or absent) of each finding at each bone and side."""
    said: dict[tuple[str, tuple[str, str]], set[str]] = {}
    for mention in annotated.mentions:
        if mention.section in sections and mention.assertion in ("present", "absent"):
            said.setdefault((mention.finding, _place(mention)), set()).add(mention.assertion)
    return said


def _place(mention: Mention) -> tuple[str, str]:
    return mention.bone, mention.laterality
