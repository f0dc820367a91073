"""What a change of rules changes: mentions and assessments of a corpus under two rule sets, and by which rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from calcitrace.annotate import Annotator
from calcitrace.assess import assess
from calcitrace.errors import UsageError
from calcitrace.model import Mention, Report
from calcitrace.ruleset import RuleSet

SEEN = ("assertion", "change", "tendon", "bone", "laterality", "size_mm", "span")


@dataclass(frozen=True, slots=True)
class Difference:
    """One mention (or case status) of one report that the two rule sets read differently.

    `kind` is added, removed, changed, case, or span longer, shorter or moved: a mention of other words that overlap.
    `before` and `after` say what each reads ("" where it reads nothing), `rule` names the target rule and cues of the
    new reading, or of the old one where a mention is gone; what has no name but its line, with its file. `case_before`
    and `case_after` are the case status of the report, whatever differs.
    """

    report_id: str
    kind: str
    finding: str
    start: int
    end: int
    before: str
    after: str
    rule: str
    case_before: str
    case_after: str


def differences(
    old: RuleSet, new: RuleSet, reports: Iterable[Report], case: str, on_report: Callable[[], None] | None = None
) -> Iterator[Difference]:
    """Every difference between two rule sets over the reports, in order of report and place; no report text.

    Raises:
        UsageError: one of the rule sets has no case definition of that name.
    """
    for rules in (old, new):
        if case not in rules.cases:
            raise UsageError(f"no case definition {case!r} in {rules.root}; name another with --case")
    places = [_places(rules) for rules in (old, new)]
    readers = [(Annotator(r), r, r.cases[case]) for r in (old, new)]
    for report in reports:
        (before, was), (after, now) = (
            (found := a.annotate(report), str(assess(found, r, c).case_status)) for a, r, c in readers
        )
        for told in _mentions(before.mentions, after.mentions, places):
            yield Difference(report.report_id, *told, was, now)
        if was != now:
            yield Difference(report.report_id, "case", "", 0, len(report.text), was, now, "case definition", was, now)
        if on_report:
            on_report()


def _places(rules: RuleSet) -> dict[str, str]:
    """The rules that are called by their line, each with its file."""
    findings = [t for f in (*rules.findings.values(), *rules.conditions.values()) for t in f.terms]
    terms = [*findings, *(t for group in rules.cues for t in group.terms)]
    return {t.rule_id: f"{t.rule_id} of {t.where.rpartition(':')[0]}" for t in terms if ":line " in t.rule_id}


def _mentions(
    before: Iterable[Mention], after: Iterable[Mention], places: Sequence[Mapping[str, str]]
) -> Iterator[tuple[str, str, int, int, str, str, str]]:
    """What differs of each mention, in order: kind, finding, start, end, before, after, rule."""
    pairs = sorted(_pairs(before, after), key=lambda pair: _key(pair[1] or pair[0]))
    for old, new in pairs:
        was, now = (_said(old) if old else ""), (_said(new) if new else "")
        if was != now:
            kind = "added" if not old else "removed" if not new else _kind(old, new)
            told = _rules(new, places[1]) if new else _rules(old, places[0])
            start, end, finding = _key(new or old)
            yield kind, finding, start, end, *_only_changed(was, now), told


Pair = tuple[Mention | None, Mention | None]


def _pairs(before: Iterable[Mention], after: Iterable[Mention]) -> Iterator[Pair]:
    """The mentions that are the same under both rule sets: of the same words, or else of words that overlap."""
    olds, news = {_key(m): m for m in before}, {_key(m): m for m in after}
    yield from ((olds.pop(key), news.pop(key)) for key in olds.keys() & news.keys())
    for new in sorted(news.values(), key=_key):
        same = next((k for k, m in sorted(olds.items()) if _overlap(m, new)), None)
        yield olds.pop(same) if same else None, new
    yield from ((old, None) for old in olds.values())


def _key(mention: Mention | None) -> tuple[int, int, str]:
    assert mention is not None
    return mention.start, mention.end, mention.finding


def _overlap(old: Mention, new: Mention) -> bool:
    return old.finding == new.finding and old.start < new.end and new.start < old.end


def _kind(old: Mention, new: Mention) -> str:
    """How a mention differs whose words are the same or overlap."""
    if (old.start, old.end) == (new.start, new.end):
        return "changed"
    longer, shorter = (new.start <= old.start and old.end <= new.end, old.start <= new.start and new.end <= old.end)
    return "span longer" if longer else "span shorter" if shorter else "span moved"


def _said(mention: Mention) -> str:
    said = mention.asserted
    place = (mention.tendon, mention.bone, mention.laterality, mention.size_mm, f"{mention.start}-{mention.end}")
    values = (said.assertion, said.change, *place)
    return " ".join(f"{k}={v}" for k, v in zip(SEEN, values, strict=True))


def _only_changed(was: str, now: str) -> tuple[str, str]:
    """What differs only; a mention that is new or gone in full is told by its assertion."""
    old, new = was.split(), now.split()
    if not old or not new:
        return (old or [""])[0], (new or [""])[0]
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    return " ".join(a for a, _ in pairs), " ".join(b for _, b in pairs)


def _rules(mention: Mention | None, places: Mapping[str, str]) -> str:
    if mention is None:
        return ""
    ids = (mention.rule_id, *(c.rule_id for c in mention.asserted.cues))
    return "; ".join(dict.fromkeys(places.get(i, i) for i in ids))


def counts(found: Iterable[Difference]) -> Counter[tuple[str, str, str]]:
    """How often each rule stands behind a kind of difference: (kind, finding, target rule)."""
    return Counter((d.kind, d.finding, d.rule.split("; ")[0]) for d in found)
