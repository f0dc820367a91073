"""Plain medspaCy: its own tokenizer, PyRuSH, TargetMatcher with our terms, its default ConText rules and sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loguru import logger
from terms import CONFUSER, Entry, entries, teach_spelling

from calcitrace.model import Assertion, Mention
from calcitrace.rules import RuleSet

logger.disable("PyRuSH")  # it logs every token, report text included


def build(rules: RuleSet) -> Any:
    """The pipeline: medspaCy's defaults, our terms and confusers (the longest of overlapping matches counts)."""
    import medspacy
    from medspacy.target_matcher import TargetRule

    nlp = medspacy.load(
        medspacy_enable=["medspacy_tokenizer", "medspacy_pyrush", "medspacy_context", "medspacy_sectionizer"]
    )
    teach_spelling(nlp.vocab, rules)
    matcher = nlp.add_pipe("medspacy_target_matcher", before="medspacy_context", config={"phrase_matcher_attr": "NORM"})
    matcher.add([TargetRule(e.literal, e.label, pattern=_pattern(e)) for e in entries(rules)])
    return nlp


def _pattern(entry: Entry) -> Any:
    return [dict(t) for t in entry.term.tokens] if entry.term.tokens else entry.term.regex


def mentions(nlp: Any, texts: Iterable[str]) -> Iterator[tuple[tuple[Mention, ...], tuple[tuple[int, int], ...]]]:
    """For each text its mentions and its sentences (character offsets)."""
    for doc in nlp.pipe(texts):
        sentences = tuple((s.start_char, s.end_char) for s in doc.sents)
        starts = {s.start: number for number, s in enumerate(doc.sents)}
        yield (
            tuple(_mention(e, k, starts[e.sent.start]) for k, e in enumerate(doc.ents) if e.label_ != CONFUSER),
            sentences,
        )


def _mention(ent: Any, number: int, sentence: int) -> Mention:
    said = ent._
    return Mention(
        mention_id=f"#{number}",
        finding=ent.label_,
        start=ent.start_char,
        end=ent.end_char,
        text=ent.text,
        section="",
        rule_id="",
        asserted=Assertion(
            presence="absent" if said.is_negated else "possible" if said.is_uncertain else "present",
            temporality="hypothetical" if said.is_hypothetical else "historical" if said.is_historical else "current",
            experiencer="other" if said.is_family else "patient",
        ),
        sentence=sentence,
    )
