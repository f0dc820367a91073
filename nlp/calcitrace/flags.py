"""What a registry should look at twice: sides that conflict, conclusions that contradict, dictation slips."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from calcitrace.model import AnnotatedReport, Mention
from calcitrace.ruleset import RuleSet
from calcitrace.sites import Linker

CONCLUSIONS = ("impression",)


class Flagger:
    """Flags reports with one rule set."""

    def __init__(self, rules: RuleSet, linker: Linker) -> None:
        self._linker = linker
        self._slips = {name: re.compile(regex, re.IGNORECASE) for name, regex in rules.slips.items()}

    def flags(self, annotated: AnnotatedReport) -> tuple[str, ...]:
        """The flags of one report, in a fixed order; none says anything of what the report means.

        `side_conflict:title/findings` (and other pairs): two parts name one side each, and not the same;
        `contradiction:<finding>`: asserted present in the findings and absent in the conclusion at the same bone, or
        the other way round; `dictation:<slip>`: a slip of `dictation.yml` stands in the text.
        """
        slips = (f"dictation:{name}" for name, slip in self._slips.items() if slip.search(annotated.report.text))
        return (*_side_conflicts(annotated, self._linker), *_contradictions(annotated), *slips)


def _side_conflicts(annotated: AnnotatedReport, linker: Linker) -> Iterator[str]:
    sides = _sides(annotated, linker)
    parts = [p for p in ("title", "findings", "impression") if sides.get(p) in ("left", "right")]
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            if sides[part] != sides[other]:
                yield f"side_conflict:{part}/{other}"


def _sides(annotated: AnnotatedReport, linker: Linker) -> Mapping[str, str]:
    """The one side that each kind of section names."""
    texts: dict[str, str] = {}
    for section in annotated.sections:
        texts[section.name] = texts.get(section.name, "") + " " + annotated.report.text[section.start : section.end]
    texts.setdefault("title", annotated.report.body_part)
    return {name: linker.side_of(text) for name, text in texts.items()}


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
