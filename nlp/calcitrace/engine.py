"""The engine: judges one sentence, by stock medspaCy components (the reference) or by the fast path.

The only module that imports medspaCy.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from calcitrace.compiled import compile_all
from calcitrace.fast import Contexts, Modifier, PhraseTable, RegexTable, TokenTable
from calcitrace.ruleset import CueGroup, RuleSet, Term
from calcitrace.screen import prepare
from calcitrace.sites import CueHit, Hit, Judged, Looking, no_cues

UNLABELLED = "caller"


class MedspacyJudge:
    """Judges single sentences with stock medspaCy components (TargetMatcher, ConText): the reference path."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._spacy, self._nlp = _blank(rules)
        self._owners = owners_of(rules)
        self._targets = self._matcher()
        self._context = self._contexter()

    def __call__(self, forms: Sequence[str], brought: Sequence[tuple[int, int]] = ()) -> Judged:
        """Judge the sentence with these standard words; `brought` are targets that the caller names itself."""
        doc = self._doc(forms)
        hits = [
            Hit(what, name, term, span.start, span.end)
            for span in self._targets(doc)
            for what, name, term in self._owners[int(span.label_)]
        ]
        hits.sort(key=lambda h: (h.i, -h.j))
        kept = prune(hits, self._rules)
        if brought:
            kept = [Hit("finding", UNLABELLED, _CALLER, i, j) for i, j in brought]
        cues = per_extent(kept, partial(self._cues, doc))  # now: a document is large
        return _judged(kept, hits, lambda _: cues)

    def _doc(self, forms: Sequence[str]) -> Any:
        size = len(forms)
        return self._spacy.tokens.Doc(
            self._nlp.vocab, words=list(forms), spaces=[True] * size, sent_starts=[True] + [False] * (size - 1)
        )

    def _cues(self, doc: Any, targets: Sequence[Hit]) -> list[tuple[CueHit, ...]]:
        """For each target the context rules that modify it, in order of their words."""
        spans = [self._spacy.tokens.Span(doc, h.i, h.j, label=h.name) for h in targets]
        doc.spans["targets"] = spans
        self._context(doc)
        found: dict[tuple[int, int, str], list[CueHit]] = {}
        for target, modifier in doc._.context_graph.edges:
            group, term = modifier.rule.metadata
            hit = CueHit(group, term, *modifier.modifier_span)
            if hit.i < target.end and target.start < hit.j:
                continue  # medspaCy lets a cue inside a target modify it
            found.setdefault((target.start, target.end, target.label_), []).append(hit)
        return [tuple(sorted(found.get((h.i, h.j, h.name), ()), key=lambda c: (c.i, c.j))) for h in targets]

    def _matcher(self) -> Any:
        from medspacy.target_matcher import TargetMatcher, TargetRule

        matcher = TargetMatcher(self._nlp, result_type=None, prune=False)
        matcher.add(
            [
                TargetRule(_literal(own[0][2]), str(number), pattern=_pattern(own[0][2]))
                for number, own in enumerate(self._owners)
            ]
        )
        return matcher

    def _contexter(self) -> Any:
        from medspacy.context import ConText, ConTextRule

        context = ConText(self._nlp, rules=None, input_span_type="group", span_group_name="targets", span_attrs=None)
        context.add(
            [
                ConTextRule(
                    _literal(term),
                    group.name,
                    pattern=_pattern(term),
                    direction=group.direction,
                    allowed_types=set(group.only) or None,
                    excluded_types=None if group.only else never_modified(group, self._rules) or None,
                    max_scope=group.max_scope,
                    max_targets=group.max_targets,
                    terminated_by=set(group.ends_at),
                    metadata=(group, term),
                )
                for group in self._rules.cues
                for term in group.terms
            ]
        )
        return context


_CALLER = Term(UNLABELLED)


class FastJudge:
    """Judges single sentences as `MedspacyJudge` does, by the fast path."""

    def __init__(self, rules: RuleSet) -> None:
        prepare(rules)
        self._rules = rules
        self._matcher: dict[Term, Any] = {}
        self._owners = owners_of(rules)
        terms = [(n, own[0][2]) for n, own in enumerate(self._owners)]
        cues = (t for group in rules.cues for t in group.terms)
        compile_all(rules.hash, [t.regex for t in (*(t for _, t in terms), *cues) if t.regex])
        self._phrases = PhraseTable((t.phrase, n) for n, t in terms if t.phrase)
        self._regexes = RegexTable((n, t) for n, t in terms if t.regex)
        self._tokens = TokenTable([(n, t) for n, t in terms if t.tokens], self._match_tokens)
        self._contexts = Contexts(rules, self._match_tokens, lambda g: never_modified(g, rules))

    def __call__(self, forms: Sequence[str], brought: Sequence[tuple[int, int]] = ()) -> Judged:
        """Judge the sentence with these standard words; `brought` are targets that the caller names itself."""
        hits = [] if brought else self.hits(forms)
        kept = [Hit("finding", UNLABELLED, _CALLER, i, j) for i, j in brought] or prune(hits, self._rules)
        return _judged(kept, hits, partial(self._cues, forms))

    def hits(self, forms: Sequence[str]) -> list[Hit]:
        """Every target rule that matches, before any is pruned, in order of the words."""
        found = self._tokens.find(forms) + self._phrases.find(forms) + self._regexes.find(forms)
        hits = [Hit(what, name, term, i, j) for number, i, j in found for what, name, term in self._owners[number]]
        return sorted(hits, key=lambda h: (h.i, -h.j))

    def modifiers(self, forms: Sequence[str]) -> tuple[list[Modifier], list[Modifier]]:
        """The context rules that match: those that count, with the scope that is left to them, and those pruned."""
        return self._contexts.read(forms)

    def _cues(self, forms: Sequence[str], targets: Sequence[Hit]) -> Sequence[tuple[CueHit, ...]]:
        """For each target the context rules that modify it, in order of their words."""
        return per_extent(targets, partial(self._cues_of_each, forms))

    def _cues_of_each(self, forms: Sequence[str], targets: Sequence[Hit]) -> list[tuple[CueHit, ...]]:
        edges = self._contexts.edges(forms, targets)
        return [
            tuple(
                sorted(
                    (CueHit(m.group, m.term, m.i, m.j) for m in own if not (m.i < t.j and t.i < m.j)),
                    key=lambda c: (c.i, c.j),
                )
            )
            for t, own in zip(targets, edges, strict=True)
        ]

    def _match_tokens(self, forms: Sequence[str], terms: Sequence[tuple[int, Term]]) -> list[tuple[int, int, int]]:
        """Matches of token patterns by spaCy's own matcher (only rule sets with such patterns come here)."""
        spacy, nlp = self._spacy()
        matcher = spacy.matcher.Matcher(nlp.vocab)
        for number, term in terms:
            matcher.add(str(number), [[dict(t) for t in term.tokens or ()]])
        doc = spacy.tokens.Doc(nlp.vocab, words=list(forms))
        return [(int(nlp.vocab.strings[key]), i, j) for key, i, j in matcher(doc)]

    def _spacy(self) -> tuple[Any, Any]:
        if not self._matcher:
            self._matcher[_CALLER] = _blank(self._rules)
        pair: tuple[Any, Any] = self._matcher[_CALLER]
        return pair


def _judged(kept: Sequence[Hit], hits: Sequence[Hit], look: Looking) -> Judged:
    """A sentence's targets that are kept, and its anatomy."""
    sites, sides = (tuple(h for h in hits if h.what == what) for what in ("site", "side"))
    return Judged(tuple(kept), sites, sides, look if kept else no_cues)


Owner = tuple[str, str, Term]


def target_terms(rules: RuleSet) -> Iterator[Owner]:
    """Every term that is looked for as a target: (what, name, term), in a fixed order."""
    for finding in (*rules.findings.values(), *rules.conditions.values()):
        yield from (("finding", finding.name, t) for t in finding.terms)
        yield from (("not", finding.name, t) for t in finding.nots)
    for name, terms in rules.sides.items():
        yield from (("side", name, t) for t in terms)
    for site in rules.sites.values():
        if not site.title_only:
            yield from (("site", site.name, t) for t in site.terms)


def owners_of(rules: RuleSet) -> list[list[Owner]]:
    """The target terms grouped by what they match, each group once, in a fixed order.

    One rule for each distinct phrase: spaCy's PhraseMatcher loses some of the keys that share a phrase, and a span's
    extensions are shared by all spans of the same extent.
    """
    owners: dict[tuple[str, ...] | str, list[Owner]] = {}
    for owner in target_terms(rules):
        owners.setdefault(owner[2].phrase or owner[2].rule_id, []).append(owner)
    return list(owners.values())


def never_modified(group: CueGroup, rules: RuleSet) -> set[str]:
    """What a group's cues never modify; a cue for the nearest target passes over conditions."""
    return {*group.never, *(rules.conditions if group.max_targets else ())}


def per_extent(targets: Sequence[Hit], cues_of: Looking) -> Sequence[tuple[CueHit, ...]]:
    """The cues of each target, where targets of the same words (edema of bone or of soft tissue) count as one."""
    first: dict[tuple[int, int], Hit] = {}
    for target in targets:
        first.setdefault((target.i, target.j), target)
    if not first:
        return []
    found = dict(zip(first, cues_of(list(first.values())), strict=True))
    return [found[t.i, t.j] for t in targets]


def fate(hit: Hit, hits: Sequence[Hit], rules: RuleSet) -> tuple[str, Hit | None]:
    """Why `prune` keeps or drops a finding's hit, and the hit that is the reason: the same steps, told."""
    confuser = next((n for n in hits if n.what == "not" and _confuses(n, hit)), None)
    if confuser:
        return "confused by", confuser
    rivals = (h for h in hits if h.what == "finding" and h != hit and _same_claim(h, hit))
    kept = prune(hits, rules)
    if hit in kept:
        return "counts", None
    plain = [h for h in hits if h.what == "finding" and not h.term.after]
    if hit.term.after and not _follows(hit, plain):
        return "follows no mention that it asks for", None
    longer = next((r for r in rivals if r.i < hit.j and hit.i < r.j and r.size > hit.size), None)
    if longer:
        return "part of", longer
    return "covered by", next((k for k in kept if k.i < hit.j and hit.i < k.j and k != hit), None)


def prune(hits: Sequence[Hit], rules: RuleSet) -> list[Hit]:
    """The finding hits that are mentions: no confusers, the longest of each finding, none that another covers."""
    nots = [h for h in hits if h.what == "not"]
    found = [h for h in hits if h.what == "finding"]
    found = [h for h in found if not any(_confuses(n, h) for n in nots)]
    plain = _longest([h for h in found if not h.term.after])
    longest = _longest([h for h in found if not h.term.after or _follows(h, plain)])
    kept = [h for h in longest if not any(_covers(k, h, rules) for k in longest)]
    return sorted(kept, key=lambda h: (h.i, h.j, h.name))


def _longest(hits: Sequence[Hit]) -> list[Hit]:
    """Of hits that overlap and make the same claim the longest, and before those that ask to be known the others."""
    longest: list[Hit] = []
    for hit in sorted(hits, key=lambda h: (-h.size, h.i, h.term.known, h.term.rule_id)):
        if not any(k.i < hit.j and hit.i < k.j and _same_claim(k, hit) for k in longest):
            longest.append(hit)
    return longest


def _confuses(confuser: Hit, hit: Hit) -> bool:
    """Whether a confuser's words take a hit away: they are as long, or hold the word that the hit begins with."""
    if confuser.name != hit.name or confuser.j <= hit.i or hit.j <= confuser.i:
        return False
    return confuser.size >= hit.size or confuser.i <= hit.i


def _follows(hit: Hit, kept: Sequence[Hit]) -> bool:
    """Whether the nearest mention before the hit is of a finding that its term asks for."""
    before = [k for k in kept if k.j <= hit.i]
    return bool(before) and max(before, key=lambda k: k.j).name in hit.term.after


def _same_claim(one: Hit, other: Hit) -> bool:
    """Whether two overlapping hits of one finding compete; where conditions differ, the place decides later."""
    mine, its = one.term, other.term
    return one.name == other.name and (mine.at, mine.not_at, mine.told) == (its.at, its.not_at, its.told)


def _covers(longer: Hit, hit: Hit, rules: RuleSet) -> bool:
    """Whether a hit's words are taken in by a hit that counts whatever the place; the others are asked for later."""
    return not (longer.term.at or longer.term.known or longer.term.told) and covers(longer, hit, rules)


def covers(longer: Hit, hit: Hit, rules: RuleSet) -> bool:
    """Whether a hit's words stand within those of a hit whose finding takes mentions of its finding in."""
    named = rules.findings.get(longer.name) or rules.conditions[longer.name]
    return hit.name in named.covers and longer.holds(hit)


def _literal(term: Term) -> str:
    return " ".join(term.phrase) or term.rule_id


def _pattern(term: Term) -> Any:
    return [dict(t) for t in term.tokens] if term.tokens else term.regex


def _blank(rules: RuleSet) -> tuple[Any, Any]:
    """spaCy, and a blank pipeline whose tokenizer cuts rule phrases as reports are cut."""
    from loguru import logger

    logger.disable("PyRuSH")
    warnings.filterwarnings("ignore", message=r"\[W036\]")  # a matcher without token patterns is no fault
    import medspacy.context  # noqa: F401
    import spacy

    nlp = spacy.blank("en")

    def tokenizer(text: str) -> Any:
        return spacy.tokens.Doc(nlp.vocab, words=text.split(" "))

    nlp.tokenizer = tokenizer
    return spacy, nlp


ENGINES: dict[str, Callable[[RuleSet], FastJudge | MedspacyJudge]] = {"fast": FastJudge, "medspacy": MedspacyJudge}
