"""negspaCy: spaCy's EntityRuler with our phrases, its sentencizer, and NegEx with the clinical term set.

Regular expressions cannot be given to an EntityRuler and are left out. negspaCy knows negation only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from terms import CONFUSER, entries, teach_spelling

from calcitrace.model import Assertion, Mention
from calcitrace.rules import RuleSet


def build(rules: RuleSet) -> Any:
    """The pipeline: blank English, sentencizer, EntityRuler, negex."""
    import spacy
    from negspacy.negation import Negex  # noqa: F401 - registers the component

    nlp = spacy.blank("en")
    teach_spelling(nlp.vocab, rules)
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler", config={"phrase_matcher_attr": "NORM"})
    ruler.add_patterns(
        [
            {"label": e.label, "pattern": [dict(t) for t in e.term.tokens] if e.term.tokens else e.literal}
            for e in entries(rules)
            if not e.term.regex
        ]
    )
    nlp.add_pipe("negex")
    return nlp


def mentions(nlp: Any, texts: Iterable[str]) -> Iterator[tuple[Mention, ...]]:
    """For each text its mentions, present or absent."""
    for doc in nlp.pipe(texts):
        yield tuple(
            Mention(
                mention_id=f"#{number}",
                finding=ent.label_,
                start=ent.start_char,
                end=ent.end_char,
                text=ent.text,
                section="",
                rule_id="",
                asserted=Assertion(presence="absent" if ent._.negex else "present"),
            )
            for number, ent in enumerate(doc.ents)
            if ent.label_ != CONFUSER
        )
