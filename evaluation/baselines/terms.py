"""The finding terms of the rule set, as other tools can take them.

A phrase belongs to one finding: where several claim it, to the first that claims it without a condition on anatomy
(other tools know no such conditions), else to the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from calcitrace.rules import RuleSet, Term

CONFUSER = "confuser"


@dataclass(frozen=True, slots=True)
class Entry:
    """A phrase or pattern of one label: a finding, a condition or CONFUSER."""

    label: str
    term: Term

    @property
    def literal(self) -> str:
        """The words of a phrase; the id of a pattern."""
        return " ".join(self.term.phrase) or self.term.rule_id


def entries(rules: RuleSet) -> list[Entry]:
    """Every distinct term and confuser; a confuser that is a term elsewhere is left out."""
    named = [*rules.findings.values(), *rules.conditions.values()]
    claims = [Entry(f.name, t) for f in named for t in f.terms]
    claims.sort(key=lambda e: bool(e.term.at))  # stable: unconditional claims first
    owner: dict[str, Entry] = {}
    for entry in [*claims, *(Entry(CONFUSER, t) for f in named for t in f.nots)]:
        owner.setdefault(entry.literal, entry)
    return list(owner.values())


def variants(rules: RuleSet) -> Iterator[tuple[str, str]]:
    """(a spelling as it may stand in a report, the standard spelling) in lower, title and upper case."""
    for variant, standard in rules.spelling.items():
        for cased in (variant, variant.title(), variant.upper()):
            yield cased, standard


def teach_spelling(vocab: Mapping[str, object], rules: RuleSet) -> None:
    """Give every variant the standard spelling as its norm in a spaCy vocabulary, for matchers on NORM."""
    for cased, standard in variants(rules):
        vocab[cased].norm_ = standard  # type: ignore[attr-defined]
