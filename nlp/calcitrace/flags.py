"""What a registry should look at twice: sides that conflict, conclusions that contradict, dictation slips."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from calcitrace.model import AnnotatedReport, Mention
from calcitrace.sites import Linker

CONCLUSIONS = ("impression",)
_DOUBLED = re.compile(r"\b(?!had\b|that\b|is\b|no\b)([a-z]{2,})[ \t]+\1\b", re.IGNORECASE)


def flags(annotated: AnnotatedReport, linker: Linker) -> tuple[str, ...]:
    """The flags of one report, in a fixed order; none says anything of what the report means.

    `side_conflict:title/findings` (and other pairs): two parts name one side each, and not the same;
    `contradiction:<finding>`: asserted present in the findings and absent in the conclusion at the same bone, or the
    other way round; `dictation:repeated_word`: a word stands twice in a row.
    """
    found = [*_side_conflicts(annotated, linker), *_contradictions(annotated)]
    if _DOUBLED.search(annotated.report.text):
        found.append("dictation:repeated_word")
    return tuple(found)


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
