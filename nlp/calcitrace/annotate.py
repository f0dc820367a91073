"""Report -> AnnotatedReport: layout, sentences, the judged sentences, their links and assertions."""

from __future__ import annotations

import bisect
import re
import sys
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, compress
from operator import attrgetter
from typing import Any, NamedTuple, overload

from calcitrace.asserted import Asserter
from calcitrace.circumstances import Outcomes
from calcitrace.dates import change_since, only_date
from calcitrace.engine import ENGINES
from calcitrace.flags import Flagger
from calcitrace.lately import Lately
from calcitrace.link import Session
from calcitrace.measures import may_measure, measurements, size_change
from calcitrace.memory import one
from calcitrace.model import AnnotatedReport, Assertion, Mention, Report, Section
from calcitrace.restate import settle
from calcitrace.rules import load_rules
from calcitrace.ruleset import RuleSet
from calcitrace.sections import Sectioner
from calcitrace.sentences import split_sentences, wrap_width
from calcitrace.sides import Sides
from calcitrace.sites import NOTHING_JUDGED, Claim, Hit, HitsOf, Linker, Sentence
from calcitrace.targets import counting, founded, named_just, named_so_far, spoken_of
from calcitrace.words import Words, split_words, word_range

REMEMBERED = 17_000_000  # bytes of sentences, by what follows: some 13,000
SENTENCE, LETTER, HIT, SITE, STEP = 450, 4, 300, 110, 350  # bytes, as measured
MOST_LETTERS = 400
MOST_CUTS = 3
MARK = 13  # characters; a full stop further on does not end the mark of a list item
NOWHERE = Report("", "")
_LINE_END = re.compile("\n")
_NOTHING: frozenset[str] = frozenset()
Enough = Callable[[frozenset[str]], bool]  # whether these findings and conditions are
ALL_HITS: HitsOf = attrgetter("hits")
_NEVER = Outcomes[Any]()  # filled: it is for hits, and shared by all sentences that have none


class _Step(NamedTuple):
    """What came of a sentence: its mentions, whether each is at no bone, tendon, bursa or joint, and what it changed.

    Places are counted from its start; `asked` are findings of which each asks for one, `changed` names before values.
    """

    mentions: tuple[Mention, ...]
    homeless: tuple[bool, ...]
    asked: tuple[frozenset[str], ...]
    changed: tuple[Any, ...]


@dataclass(slots=True)
class _Found:
    """A mention with places from the start of its sentence, which starts at `start` and is the one of this number."""

    mention: Mention
    homeless: bool
    asked: frozenset[str]
    start: int
    number: int


class Annotator:
    """Finds and asserts the mentions of reports with one rule set.

    Args:
        rules: the rule set; by default the one that ships with calcitrace.
        engine: "fast", or "medspacy" for the reference path (stock medspaCy components, the same answers).
        remembered: about how many bytes of sentences are kept, since they come again.
    """

    def __init__(self, rules: RuleSet | None = None, engine: str = "fast", remembered: int = REMEMBERED) -> None:
        if engine not in ENGINES:
            raise ValueError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
        self.rules = rules or load_rules()
        self._judge = ENGINES[engine](self.rules)
        self.linker = Linker(self.rules)
        self._flagger = Flagger(self.rules, self.linker)
        self._assert = Asserter(self.rules)
        self.stated_hits = self._assert.stated_hits
        self._compared = frozenset(s.name for s in self.rules.sections.values() if s.unless_restated)
        self._read = Lately(self._judged, _cost, remembered)
        self._layout = lru_cache(2)(self._laid_out)
        self._sectioner = Sectioner(self.rules.sections, self.linker.names_structure)

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

    def claims_in(self, stretch: str, tells: Callable[[str], bool], hits: HitsOf = ALL_HITS) -> frozenset[Claim] | None:
        """What those sentences of a stretch that `tells` picks could mention wherever they stand; None: that is open.

        A heading in it may be one or not, a line may end a sentence or not, and the mark at its beginning (that of a
        list) may be a sentence or not: all ways to cut it are taken together.
        """
        if not _is_plain(stretch):
            return None
        heads = self._sectioner.possible_heads(stretch)
        lines = [found.start() for found in _LINE_END.finditer(stretch)]
        mark = stretch.find(".", 0, MARK) + 1
        if len(heads) + len(lines) + bool(mark) > MOST_CUTS:
            return None
        begins = {0, mark, *lines, *(place for head in heads for place in head)}
        ends = {mark or len(stretch), len(stretch), *lines, *(start for start, _ in heads)}
        ways = ((begin, end) for begin in begins for end in ends if begin < end)
        one_line = stretch.replace("\n", " ")
        parts = {stretch[a:b] for way in ways for a, b in split_sentences(one_line, *way, width=0)}
        return self._claims_of(filter(tells, parts), hits)

    def claims_laid_out(self, report: Report, tells: Callable[[str], bool], hits: HitsOf) -> frozenset[Claim]:
        """What the sentences of a report that `tells` picks could mention wherever they stood (see `claims_in`)."""
        sentences = (report.text[start:end] for start, end, _ in self._layout(report.text)[1])
        return self._claims_of(filter(tells, sentences), hits)

    def _claims_of(self, sentences: Iterable[str], hits: HitsOf) -> frozenset[Claim]:
        """What sentences could mention wherever they stand."""
        anywhere = Session(self.linker, NOWHERE).claims_anywhere
        read = ((sentence, hits(sentence)) for sentence in map(self._read, sentences))
        return frozenset(claim for sentence, own in read if own for claim in anywhere(sentence, own))

    def counts_elsewhere(self, claim: Claim) -> bool:
        """Whether a claim counts in a report of another body region, too."""
        name, _, sited = claim
        return sited or not self._is_local(name)

    def surely_elsewhere(self, report: Report) -> bool:
        """Whether body part or title say that a report is of another body region."""
        session = Session(self.linker, report)
        return session.region_is_sure and session.elsewhere()

    def could_mention(
        self, report: Report, hits: HitsOf = ALL_HITS, enough: Enough = lambda _: False
    ) -> frozenset[str]:
        """The findings and conditions that have a hit at a place where it counts: all that a mention can be of.

        No more of the report is read once these are `enough`, and it is surely not of another body region.
        """
        sections, sentences = self._layout(report.text)
        session, section = Session(self.linker, report), -1
        here, claims = session.region_is_sure and not session.elsewhere(), set[Claim]()
        for start, end, place in sentences:
            sentence = self._read(report.text[start:end])
            if place != section and sentence.words.forms:
                section = place
                session.open(sections[place])
            if sentence.hits:
                known = len(sentence.claims_in)
                before = len(claims)
                claims |= session.claims(sentence, start, hits)
                self._read.grew(sentence, STEP * (len(sentence.claims_in) - known))
                if here and len(claims) > before and enough(named := self._named(claims, False)):
                    return named
            session.pass_by(sentence)
        return self._named(claims, session.elsewhere())

    def _named(self, claims: Collection[Claim], elsewhere: bool) -> frozenset[str]:
        """The findings of claims; of a report `elsewhere` those of the local findings that are sited."""
        if elsewhere:
            claims = list(filter(self.counts_elsewhere, claims))
        named = {name for name, told, _ in claims if not told}
        while more := {name for name, told, _ in claims if name not in named and not named.isdisjoint(told)}:
            named |= more
        return frozenset(named)

    def _is_local(self, name: str) -> bool:
        finding = self.rules.findings.get(name)
        return finding is not None and finding.local

    def sentences(self, text: str) -> Iterator[tuple[str, ...]]:
        """The sentences of a text as the rules see them: standard words."""
        for start, end, _ in self._layout(text)[1]:
            forms = split_words(text, self.rules.spelling, start, end).forms
            if forms:
                yield forms

    def _judged(self, text: str) -> Sentence:
        """What a sentence says by itself; equal sentences are judged once."""
        words = split_words(text, self.rules.spelling)
        forms = words.forms
        judged = self._judge(forms)
        sides = tuple(self.linker.sides_in(forms))
        measures = bool(forms) and may_measure(forms)
        if not judged.hits:
            own = judged if judged.sites or judged.sides else NOTHING_JUDGED
            words = Words(forms, (), ())
            return Sentence(text, words, own, (), sides, _NOTHING, measures, None, (), _NEVER, _NEVER)
        hits = judged.hits
        placed = {h.name for h in hits if h.term.known or h.term.at or h.term.not_at}
        asks = placed.union(*(h.term.asks for h in hits))
        return Sentence(text, words, judged, hits, sides, one(frozenset(asks)), measures)

    def _laid_out(self, text: str) -> tuple[tuple[Section, ...], list[tuple[int, int, int]]]:
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
        session = Session(self.linker, report)
        read = [self._read(text[start:end]) for start, end, _ in sentences]
        found = self._found(session, sections, sentences, read)
        if session.elsewhere():
            found = [f for f in found if not f.homeless]
        found = list(compress(found, founded([f.mention for f in found], [f.asked for f in found])))
        mentions, conditions = self._placed(report.report_id, found)
        linked = self._dated(settle(session.finish(mentions), self.rules), text, sections, sentences)
        places, forms = tuple((s, e) for s, e, _ in sentences), tuple(s.words.forms for s in read)
        annotated = AnnotatedReport(report, sections, places, forms, linked, conditions)
        return replace(annotated, flags=self._flagger.flags(annotated, read))

    def left_out(self, report: Report) -> list[tuple[str, int, int]]:
        """Finding and place of what would be a mention if the report were not of another body region."""
        sections, sentences = self._layout(report.text)
        session = Session(self.linker, report)
        read = [self._read(report.text[start:end]) for start, end, _ in sentences]
        found = [f for f in self._found(session, sections, sentences, read) if f.homeless]
        own = [f.mention.placed(f.start, f.number, "") for f in found] if session.elsewhere() else []
        return [(m.finding, m.start, m.end) for m in own]

    def _found(
        self,
        session: Session,
        sections: Sequence[Section],
        sentences: Sequence[tuple[int, int, int]],
        read: Sequence[Sentence],
    ) -> list[_Found]:
        """What the sentences of a report mention, read from top to bottom, whatever its region is."""
        found: list[_Found] = []
        named: set[str] = set()
        section = -1
        for number, ((start, _, place), sentence) in enumerate(zip(sentences, read, strict=True)):
            if not sentence.words.forms:
                continue
            if place != section:
                section = place
                session.open(sections[place])
            if not sentence.hits:
                session.pass_by(sentence)
                if sentence.measures and found:
                    _measure_last(found, sentence.words.forms, number, self.rules)
                continue
            session.enter(start)
            just = named_just(((f.number, f.mention) for f in reversed(found)), number)
            step = self._step(sentence, sections[place], session, named | just)
            named |= named_so_far(step.mentions)
            found += [_Found(*made, start, number) for made in zip(*step[:3], strict=True)]
        return found

    def _step(self, sentence: Sentence, section: Section, session: Session, named: set[str]) -> _Step:
        """What comes of one sentence; kept with it, for when it stands in the same circumstances again."""
        besides = section.name, (sentence.asks & named) or _NOTHING
        step: _Step | None = sentence.read_in.find(session, *besides)
        if step is None:
            sided, observed = session.sides(sentence)
            made = list(self._mentions(sentence, section, sided, named))
            mentions, homeless, asked = tuple([m for m, _, _ in made]), [h for _, h, _ in made], [a for _, _, a in made]
            changed = one(tuple(chain(*observed.changed.items())))
            step = _Step(mentions, one(tuple(homeless)), one(tuple(asked)), changed)
            if sentence.read_in.keep(step, observed.asked, session, *besides):
                self._read.grew(sentence, STEP)
        session.remember(sentence, step.changed)
        return step

    def _mentions(
        self, sentence: Sentence, section: Section, sided: Sides, named: Container[str]
    ) -> Iterator[tuple[Mention, bool, frozenset[str]]]:
        words = sentence.words
        counted = list(counting(sentence.judged.targets, sided, named, self.rules))
        for hit, cues in spoken_of(counted, words.forms, self.rules):
            asserted = self._assert(hit, cues, words, sentence.text, section)
            homeless = self._is_local(hit.name) and not sided.sited(hit)
            mention = _mention(hit, words, sentence.text, section, asserted, sided)
            yield mention, homeless, hit.term.told | hit.term.after

    def _placed(self, report_id: str, found: Sequence[_Found]) -> tuple[tuple[Mention, ...], tuple[Mention, ...]]:
        """The mentions, numbered in order of appearance, and those of conditions, where they stand in the text."""
        mentions: list[Mention] = []
        conditions: list[Mention] = []
        for f in found:
            if f.mention.finding in self.rules.conditions:
                conditions.append(f.mention.placed(f.start, f.number, ""))
            else:
                mentions.append(f.mention.placed(f.start, f.number, f"{report_id}#{len(mentions)}"))
        return tuple(mentions), tuple(conditions)

    def _dated(
        self,
        mentions: Sequence[Mention],
        text: str,
        sections: Sequence[Section],
        sentences: Sequence[tuple[int, int, int]],
    ) -> tuple[Mention, ...]:
        """The mentions, those with a change with the date of the study that it is told against."""
        if all(m.asserted.change == "none" for m in mentions):
            return tuple(mentions)
        compared = only_date(text, sections, self._compared)
        return tuple(
            replace(m, change_since=change_since(text, m, sentences[m.sentence][:2], compared))
            if m.asserted.change != "none"
            else m
            for m in mentions
        )


def _cost(sentence: Sentence) -> int:
    """About how many bytes a remembered sentence takes."""
    steps = len(sentence.read_in) + len(sentence.claims_in)
    found = HIT * len(sentence.hits) + SITE * len(sentence.judged.sites)
    return SENTENCE + LETTER * len(sentence.text) + found + STEP * steps


def _measure_last(found: Sequence[_Found], forms: Sequence[str], sentence: int, rules: RuleSet) -> None:
    """What a sentence without mentions of its own measures: "It measures 14 mm.", "In 2010 it was 5 mm."

    A size of now goes to the last mention of the sentence before, if that has none; one of before tells its change.
    """
    place = next((f for f in reversed(found) if f.mention.finding in rules.findings), None)
    if place is None or place.number != sentence - 1:
        return
    last, lists = place.mention, rules.words
    now = [m.size_mm for m in measurements(forms, lists)]
    before = [m.size_mm for m in measurements(forms, lists, earlier=True)]
    if now and last.size_mm is None:
        last = replace(last, size_mm=max(now))
    if before and last.size_mm and last.asserted.change == "none" and last.assertion in ("present", "possible"):
        last = replace(last, asserted=replace(last.asserted, change=size_change(last.size_mm, before[0])))
    place.mention = last


def _is_plain(stretch: str) -> bool:
    """Whether a stretch is of usual length and letters."""
    return stretch.isascii() and len(stretch) <= MOST_LETTERS and "\f" not in stretch


def _mention(hit: Hit, words: Words, text: str, section: Section, asserted: Assertion, sided: Sides) -> Mention:
    start, end = words.starts[hit.i], words.ends[hit.j - 1]
    link = sided.link(hit)
    if asserted.change == "none" and link.change != "none" and asserted.assertion in ("present", "possible"):
        asserted = replace(asserted, change=link.change)
    return Mention(
        mention_id="",
        finding=hit.name,
        start=start,
        end=end,
        text=sys.intern(text[start:end]),
        section=section.name,
        rule_id=hit.term.rule_id,
        asserted=asserted,
        tendon=link.tendon,
        bone=link.bone,
        landmark=link.landmark,
        laterality=link.laterality,
        size_mm=link.size_mm,
    )
