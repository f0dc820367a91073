"""Report -> AnnotatedReport: medspaCy finds the mentions and the cues; the only module that imports it."""

from __future__ import annotations

import bisect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, overload

from calcitrace.fast import Contexts, PhraseTable, RegexTable, TokenTable
from calcitrace.link import Hit, Linker, Sides
from calcitrace.model import AnnotatedReport, Assertion, Cue, Mention, Report, Section
from calcitrace.rules import load_rules
from calcitrace.ruleset import CueGroup, RuleSet, SectionRule, Term
from calcitrace.sections import Sectioner
from calcitrace.sentences import split_sentences, wrap_width
from calcitrace.words import Words, split_words

UNLABELLED = "caller"


@dataclass(frozen=True, slots=True)
class CueHit:
    """A context rule that reaches a target: its group, its term and its words `i:j` of the sentence."""

    group: CueGroup
    term: Term
    i: int
    j: int


@dataclass(frozen=True, slots=True)
class Judged:
    """All that the rules say of one sentence, in word positions: targets with their cues, and anatomy."""

    targets: tuple[tuple[Hit, tuple[CueHit, ...]], ...]
    sites: tuple[Hit, ...]
    sides: tuple[Hit, ...]


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
        cues = self._cues(doc, kept)
        return Judged(
            tuple(zip(kept, cues, strict=True)),
            *(tuple(h for h in hits if h.what == what) for what in ("site", "side")),
        )

    def _doc(self, forms: Sequence[str]) -> Any:
        size = len(forms)
        return self._spacy.tokens.Doc(
            self._nlp.vocab, words=list(forms), spaces=[True] * size, sent_starts=[True] + [False] * (size - 1)
        )

    def _cues(self, doc: Any, targets: Sequence[Hit]) -> list[tuple[CueHit, ...]]:
        """For each target the context rules that modify it, in order of their words."""
        if not targets:
            return []
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
    """Judges single sentences as `MedspacyJudge` does, by the fast path; equal sentences are judged once."""

    def __init__(self, rules: RuleSet, remember: int = 20_000) -> None:
        self._rules = rules
        self._matcher: dict[Term, Any] = {}
        self._owners = owners_of(rules)
        terms = [(n, own[0][2]) for n, own in enumerate(self._owners)]
        self._phrases = PhraseTable((t.phrase, n) for n, t in terms if t.phrase)
        self._regexes = RegexTable((n, t) for n, t in terms if t.regex)
        self._tokens = TokenTable([(n, t) for n, t in terms if t.tokens], self._match_tokens)
        self._contexts = Contexts(rules, self._match_tokens, lambda g: never_modified(g, rules))
        self._judged = lru_cache(remember)(self._judge)

    def __call__(self, forms: Sequence[str], brought: Sequence[tuple[int, int]] = ()) -> Judged:
        """Judge the sentence with these standard words; `brought` are targets that the caller names itself."""
        if brought:
            kept = [Hit("finding", UNLABELLED, _CALLER, i, j) for i, j in brought]
            return Judged(tuple(zip(kept, self._cues(forms, kept), strict=True)), (), ())
        return self._judged(tuple(forms))

    def _judge(self, forms: tuple[str, ...]) -> Judged:
        found = self._tokens.find(forms) + self._phrases.find(forms) + self._regexes.find(forms)
        hits = [Hit(what, name, term, i, j) for n, i, j in found for what, name, term in self._owners[n]]
        hits.sort(key=lambda h: (h.i, -h.j))
        kept = prune(hits, self._rules)
        return Judged(
            tuple(zip(kept, self._cues(forms, kept), strict=True)),
            tuple(h for h in hits if h.what == "site"),
            tuple(h for h in hits if h.what == "side"),
        )

    def _cues(self, forms: Sequence[str], targets: Sequence[Hit]) -> list[tuple[CueHit, ...]]:
        if not targets:
            return []
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


Owner = tuple[str, str, Term]


def target_terms(rules: RuleSet) -> Iterator[Owner]:
    """Every term that is looked for as a target: (what, name, term), in a fixed order."""
    for finding in (*rules.findings.values(), *rules.conditions.values()):
        yield from (("finding", finding.name, t) for t in finding.terms)
        yield from (("not", finding.name, t) for t in finding.nots)
    for name, terms in rules.sides.items():
        yield from (("side", name, t) for t in terms)
    for site in rules.sites.values():
        yield from (("site", site.name, t) for t in site.terms)


def owners_of(rules: RuleSet) -> list[list[Owner]]:
    """The target terms grouped by what they match, each group once, in a fixed order.

    One rule for each distinct phrase: spaCy's PhraseMatcher loses some of the keys that share a phrase, and a span's
    extensions are shared by all spans of the same extent.
    """
    owners: dict[str, list[Owner]] = {}
    for owner in target_terms(rules):
        owners.setdefault(_literal(owner[2]), []).append(owner)
    return list(owners.values())


def never_modified(group: CueGroup, rules: RuleSet) -> set[str]:
    """What a group's cues never modify; a cue for the nearest target passes over conditions."""
    return {*group.never, *(rules.conditions if group.max_targets else ())}


def prune(hits: Sequence[Hit], rules: RuleSet) -> list[Hit]:
    """The finding hits that are mentions: no confusers, the longest of each finding, none that another covers."""
    nots = [h for h in hits if h.what == "not"]
    found = [h for h in hits if h.what == "finding"]
    found = [h for h in found if not any(_confuses(n, h) for n in nots)]
    longest: list[Hit] = []
    for hit in sorted(found, key=lambda h: (-h.size, h.i, h.term.rule_id)):
        rivals = (k for k in longest if k.i < hit.j and hit.i < k.j and _same_claim(k, hit))
        if not any(True for _ in rivals):
            longest.append(hit)
    longest = [h for h in longest if not h.term.after or _follows(h, longest)]
    kept = [h for h in longest if not any(_covers(k, h, rules) for k in longest)]
    return sorted(kept, key=lambda h: (h.i, h.j, h.name))


def _confuses(confuser: Hit, hit: Hit) -> bool:
    """Whether a confuser's words take a hit away: they are as long, or hold the word that the hit begins with."""
    if confuser.name != hit.name or confuser.j <= hit.i or hit.j <= confuser.i:
        return False
    return confuser.size >= hit.size or confuser.i <= hit.i


def _follows(hit: Hit, kept: Sequence[Hit]) -> bool:
    """Whether the nearest mention before the hit is of a finding that its term asks for."""
    before = [k for k in kept if k.j <= hit.i and not k.term.after]
    return bool(before) and max(before, key=lambda k: k.j).name in hit.term.after


def _same_claim(one: Hit, other: Hit) -> bool:
    """Whether two overlapping hits of one finding compete (a conditional term does not drive out a plain one)."""
    return one.name == other.name and not (one.i == other.i and one.j == other.j and one.term.at != other.term.at)


def _covers(longer: Hit, hit: Hit, rules: RuleSet) -> bool:
    return (
        hit.name in (rules.findings.get(longer.name) or rules.conditions[longer.name]).covers
        and longer.i <= hit.i
        and hit.j <= longer.j
        and not (longer.term.at and longer.size == hit.size)
    )


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


class Annotator:
    """Finds and asserts the mentions of reports with one rule set.

    Args:
        rules: the rule set; by default the one that ships with calcitrace.
        engine: "fast", or "medspacy" for the reference path (stock medspaCy components, the same answers).
    """

    def __init__(self, rules: RuleSet | None = None, engine: str = "fast") -> None:
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
        self.rules = rules or load_rules()
        self._judge = ENGINES[engine](self.rules)
        self._linker = Linker(self.rules)
        self._sectioner = Sectioner(self.rules.sections, self._linker.names_structure)

    @overload
    def annotate(self, reports: Report) -> AnnotatedReport: ...
    @overload
    def annotate(self, reports: Iterable[Report]) -> Iterator[AnnotatedReport]: ...
    def annotate(self, reports: Report | Iterable[Report]) -> AnnotatedReport | Iterator[AnnotatedReport]:
        """The annotated report; for an iterable of reports, an iterator of annotated reports in the same order."""
        if isinstance(reports, Report):
            return self._annotate(reports)
        return (self._annotate(r) for r in reports)

    def assertions(self, text: str, spans: Sequence[tuple[int, int]]) -> list[Assertion]:
        """The assertion of each span (start, end) of `text` that the caller brings, in the order given.

        Raises:
            ValueError: a span is empty or reaches outside the text.
        """
        for start, end in spans:
            if not 0 <= start < end <= len(text):
                raise ValueError(f"span ({start}, {end}) does not lie in the text of {len(text)} characters")
        sections, sentences = self._layout(text)
        found: list[Assertion] = [Assertion()] * len(spans)
        begins = [s for s, _, _ in sentences]
        for number, (start, end) in enumerate(spans):
            place = max(bisect.bisect_right(begins, start) - 1, 0)
            if not sentences:
                continue
            begin, stop, section = sentences[place]
            words = split_words(text, self.rules.spelling, begin, max(stop, end))
            i, j = word_range(words, start, end)
            if i == j:
                continue
            ((hit, cues),) = self._judge(words.forms, [(i, j)]).targets
            found[number] = self._assert(hit, cues, words, text, sections[section])
        return found

    def _layout(self, text: str) -> tuple[tuple[Section, ...], list[tuple[int, int, int]]]:
        """Sections, and sentences as (start, end, index of section)."""
        sections = self._sectioner.split(text)
        width = wrap_width(text)
        sentences = [
            (start, end, number)
            for number, section in enumerate(sections)
            for start, end in split_sentences(text, section.body, section.end, width)
        ]
        return sections, sentences

    def _annotate(self, report: Report) -> AnnotatedReport:
        text = report.text
        sections, sentences = self._layout(text)
        session = self._linker.session(report)
        mentions: list[Mention] = []
        homeless: set[int] = set()
        conditions: list[Mention] = []
        for number, (start, end, place) in enumerate(sentences):
            words = split_words(text, self.rules.spelling, start, end)
            if not words.forms:
                continue
            judged = self._judge(words.forms)
            section = sections[place]
            sided = session.sentence(words, judged.sites, judged.sides, [h for h, _ in judged.targets], section)
            seen: set[tuple[str, int, int]] = set()
            for hit, cues in judged.targets:
                if sided.allows(hit) and (hit.name, hit.i, hit.j) not in seen:
                    seen.add((hit.name, hit.i, hit.j))
                    asserted = self._assert(hit, cues, words, text, section)
                    mention = _mention(hit, words, text, section, asserted, number, sided)
                    if hit.name in self.rules.conditions:
                        conditions.append(mention)
                        continue
                    if self.rules.findings[hit.name].local and not sided.sited(hit):
                        homeless.add(len(mentions))
                    mentions.append(mention)
        if session.elsewhere():
            mentions = [m for k, m in enumerate(mentions) if k not in homeless]
        numbered = tuple(_numbered(report.report_id, mentions))
        linked = session.finish(numbered)
        return AnnotatedReport(report, sections, tuple((s, e) for s, e, _ in sentences), linked, tuple(conditions))

    def _assert(self, hit: Hit, cues: Sequence[CueHit], words: Words, text: str, section: Section) -> Assertion:
        """Cues -> one value an axis by its declared precedence; the section speaks where no cue does."""
        claims: dict[str, dict[str, list[CueHit]]] = {}
        for cue in cues:
            for axis, value in cue.group.sets.items():
                claims.setdefault(axis, {}).setdefault(value, []).append(cue)
        values, deciding = {}, []
        for name, dimension in self.rules.axes.items():
            value = next((v for v in dimension.precedence if v in claims.get(name, {})), "")
            if value:
                deciding += claims[name][value]
            values[name] = value or dimension.default
        rule = self.rules.sections.get(section.name)
        if rule:
            _apply_section(rule, hit.name, values, claims)
        shown = sorted({(c.i, c.j, c.term.rule_id) for c in deciding})
        cue_list = tuple(
            Cue(text[words.starts[i] : words.ends[j - 1]], words.starts[i], words.ends[j - 1], rule_id)
            for i, j, rule_id in shown
        )
        if (values["presence"] != "absent" and values["change"] == "resolved") or values[
            "temporality"
        ] == "hypothetical":
            values["change"] = "none"
        return Assertion(values["presence"], values["temporality"], values["experiencer"], values["change"], cue_list)


def _apply_section(
    rule: SectionRule, finding: str, values: dict[str, str], claims: Mapping[str, Mapping[str, object]]
) -> None:
    if finding in rule.never or (rule.keeps_denials and values["presence"] == "absent"):
        return
    for axis, value in rule.sets.items():
        if axis not in claims:
            values[axis] = value


def word_range(words: Words, start: int, end: int) -> tuple[int, int]:
    """The words `i:j` that share a character with `start:end`; empty where none does."""
    i = bisect.bisect_right(words.ends, start)
    j = bisect.bisect_left(words.starts, end)
    return i, max(i, j)


def _mention(
    hit: Hit, words: Words, text: str, section: Section, asserted: Assertion, sentence: int, sided: Sides
) -> Mention:
    start, end = words.starts[hit.i], words.ends[hit.j - 1]
    link = sided.link(hit)
    if asserted.change == "none" and link.change != "none" and asserted.assertion in ("present", "possible"):
        asserted = replace(asserted, change=link.change)
    return Mention(
        mention_id="",
        finding=hit.name,
        start=start,
        end=end,
        text=text[start:end],
        section=section.name,
        rule_id=hit.term.rule_id,
        asserted=asserted,
        sentence=sentence,
        tendon=link.tendon,
        bone=link.bone,
        landmark=link.landmark,
        laterality=link.laterality,
        size_mm=link.size_mm,
    )


def _numbered(report_id: str, mentions: Sequence[Mention]) -> Iterator[Mention]:
    for number, mention in enumerate(sorted(mentions, key=lambda m: (m.start, m.end, m.finding))):
        yield replace(mention, mention_id=f"{report_id}#{number}")
