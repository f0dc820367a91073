"""What is known while a report is read from top to bottom, and what the whole report tells of its mentions' places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from calcitrace.circumstances import Circumstances, Observed
from calcitrace.laterality import OPPOSITE, corrected_side
from calcitrace.memory import one
from calcitrace.model import Mention, Report, Section
from calcitrace.places import Places
from calcitrace.ruleset import Site
from calcitrace.sides import Sides
from calcitrace.sites import NOTHING_NAMED, Claim, Hit, HitsOf, Linker, Named, Sentence, one_side

MAX_ABBREVIATION = 5
TITLE_LINES, LONGEST_TITLE = 4, 60
NO_REGION = "-"  # one of which no structure is
_STOP = re.compile(r"(?<!\bMr)(?<!\bDr)(?<!\bMs)(?<!\bMrs)(?<!\b[A-Z])\. ")  # "radiographs of Mr. B. of the left hip"


class Session(Circumstances):
    """What is known while one report is read from top to bottom: its region, its side, the last site."""

    def __init__(self, linker: Linker, report: Report) -> None:
        super().__init__()
        self.linker = linker
        self._text = report.text
        self._line_end = 0
        head = report.text[:1000].strip().split("\n")
        title = head[0][:200]
        named = linker.region_of(report.body_part) or linker.region_of(title) or ("", False)
        self.region, self.region_is_sure = named
        self._head = (title, report.body_part, *(line[:200] for line in head[1:TITLE_LINES]))
        self._named: list[Named] = []
        self._begun = False

    def _begin(self) -> None:
        """Note the side that the title names, or the body part, or the lines below the title."""
        title, body_part, *below = self._head
        told = [corrected_side(self._text), *map(self.linker.side_of, (_opening(title), title, body_part))]
        named = (s for s in told if s not in ("", "none"))
        self.side = next(named, "") or one_side(map(self.linker.side_of, _titles(below)))
        self._begun = True

    def side_of_report(self) -> str:
        """The side of the whole report, as far as its beginning tells."""
        if not self._begun:
            self._begin()
        return self.side

    def elsewhere(self) -> bool:
        """Whether the report is of another body region: by its body part or title, else by what it speaks of."""
        if self.region and self.region_is_sure:
            return self.region in self.linker.elsewhere
        kinds = Counter(k for named in self._named for k in named.kinds)
        skeletal = sum(kinds[k] for k in ("bone", "joint", "bursa"))
        return not kinds["tendon"] and kinds["organ"] >= max(skeletal, 1)

    def enter(self, start: int) -> None:
        """Go on to a sentence with targets, which starts there."""
        if not self._begun:
            self._begin()
        self.on_heading_line = start < self._line_end

    def remember(self, sentence: Sentence, changed: Sequence[Any]) -> None:
        """A sentence with targets has been read: these circumstances it has changed, each name before its value."""
        self._remember(self._sites(sentence))
        for k in range(0, len(changed), 2):
            setattr(self, changed[k], changed[k + 1])

    def pass_by(self, sentence: Sentence) -> None:
        """A sentence without a target only becomes the memory for the next."""
        if sentence.judged.sites:
            self._remember(self._sites(sentence))

    def claims(self, sentence: Sentence, start: int, hits: HitsOf) -> frozenset[Claim]:
        """What the sentence, which starts there, could mention, by the place of those of its `hits`."""
        self.on_heading_line = start < self._line_end
        found = sentence.claims_in.find(self, hits)
        if found is None:
            observed = self._observed(sentence)
            places = Places(self.linker, observed, sentence.words, self._sites(sentence).sites)
            allowed = [h for h in hits(sentence) if places.allows(h)]
            found = one(frozenset((h.name, h.term.told, places.sited(h)) for h in allowed))
            sentence.claims_in.keep(found, observed.asked, self, hits)
        return found

    def claims_anywhere(self, sentence: Sentence, hits: Sequence[Hit]) -> Iterator[Claim]:
        """What of these hits the sentence could mention in any report, under any heading, after any other sentence."""
        looked: list[Sequence[tuple[Hit, Site]]] = []
        for region in {"", NO_REGION, *(self.linker.sites[h.name].region for h in sentence.judged.sites)}:
            self.region = region
            sites = self._sites(sentence).sites
            if sites not in looked:
                looked.append(sites)
                places = Places(self.linker, self, sentence.words, sites)
                allowed = filter(places.allows_somewhere, hits)
                yield from ((h.name, h.term.told, places.sited(h)) for h in allowed)

    def _remember(self, named: Named) -> None:
        self._named.append(named)
        self.last_site = named.last or self.last_site

    def _sites(self, sentence: Sentence) -> Named:
        """The structures that the sentence names in a report of this region."""
        if not sentence.judged.sites:
            return NOTHING_NAMED
        for region, known in sentence.sites_in:
            if region == self.region:
                return known
        sites = tuple((h, self.linker.sites[h.name]) for h in self._unambiguous(sentence.judged.sites))
        last = next((s for _, s in reversed(sites) if s.kind in ("bone", "tendon")), None)
        kinds = one(tuple(s.kind for _, s in sites if not s.weak))
        if sentence.hits:
            made = Named(sites, kinds, last)
            named = next((known for _, known in sentence.sites_in if known == made), made)  # regions often agree
        else:  # where they stand, it is the targets that ask for
            named = one(Named((), kinds, last))
        sentence.sites_in = (*sentence.sites_in, (self.region, named))
        return named

    def sides(self, sentence: Sentence) -> tuple[Sides, Observed]:
        """The links of a sentence's mentions, and the circumstances as they are observed while these are worked out."""
        observed, targets, named = self._observed(sentence), sentence.hits, self._sites(sentence)
        found = Sides(self.linker, observed, sentence.words, named.sites, sentence.judged.sides, targets)
        if named.last:
            observed.last_site = named.last
        telling = [t for t in targets if t.name in self.linker.tells_tendon]
        for target in telling or targets:
            near = found.near(target, "tendon")
            if near and (telling or not observed.last_tendon):
                observed.last_tendon = near
        return found, observed

    def _observed(self, sentence: Sentence) -> Observed:
        """The circumstances, to be observed; which structures a sentence names may hang on the region."""
        observed = Observed(self)
        if any(self.linker.sites[h.name].region for h in sentence.judged.sites):
            observed.asked.add("region")
        return observed

    def finish(self, mentions: tuple[Mention, ...]) -> tuple[Mention, ...]:
        """The mentions with what only the whole report can tell: an unsaid side or tendon is that of all the others.

        An addendum may correct the side of all.
        """
        side = corrected_side(self._text) if mentions else ""
        if side and {m.laterality for m in mentions} <= {"none", OPPOSITE[side]}:
            mentions = tuple(replace(m, laterality=side) for m in mentions)
        tendons = {m.tendon for m in mentions if m.finding in self.linker.tells_tendon} - {"none"}
        if len(tendons) == 1:
            tendon = self.linker.sites[next(iter(tendons))]
            mentions = tuple(self._with_tendon(m, tendon) for m in mentions)
        if self.side != "none":
            return mentions
        named = Counter(m.laterality for m in mentions if m.laterality in ("left", "right"))
        if len(named) != 1:
            return mentions
        side = next(iter(named))
        return tuple(replace(m, laterality=side) if m.laterality == "none" else m for m in mentions)

    def _with_tendon(self, mention: Mention, tendon: Site) -> Mention:
        """The mention with the report's only tendon, if it tells of one and has none."""
        if mention.tendon != "none" or mention.finding not in self.linker.tells_tendon:
            return mention
        bone = tendon.bone if mention.bone == "none" and tendon.bone else mention.bone
        return replace(mention, tendon=tendon.name, bone=bone)

    def open(self, section: Section) -> None:
        """Go on to a section, or to what stands under a subhead."""
        self._line_end = _end_of_line(self._text, section)
        self.subsites = self.linker.sites_of(section.heading)
        side = self.linker.side_of(section.heading)
        if side != "none":
            self.subside = side
        elif section.name != "findings" or not section.subhead:
            self.subside = "none"

    def _unambiguous(self, hits: Sequence[Hit]) -> list[Hit]:
        """The longest anatomy hits; where words fit several structures, the one of the report's region.

        A structure named right before an organ is part of its name ("metatarsal artery").
        """
        kept: list[Hit] = []
        for hit in sorted(hits, key=lambda h: (-h.size, self._foreign(h), h.i)):
            short = len(" ".join(hit.term.phrase)) <= MAX_ABBREVIATION
            if short and self._foreign(hit):
                continue
            if not any(k.i < hit.j and hit.i < k.j for k in kept):
                kept.append(hit)
        organs = {k.i for k in kept if self.linker.sites[k.name].kind == "organ"}
        return sorted((k for k in kept if k.j not in organs), key=lambda h: h.i)

    def _foreign(self, hit: Hit) -> bool:
        region = self.linker.sites[hit.name].region
        return bool(region and self.region and region != self.region)


def _opening(line: str) -> str:
    """A line that is no longer than a title, or the first sentence of it."""
    return line if len(line) <= LONGEST_TITLE else _STOP.split(line, maxsplit=1)[0]


def _titles(lines: Sequence[str]) -> Sequence[str]:
    """The openings of lines, up to the first that is longer than a title."""
    long = next((k for k, line in enumerate(lines) if len(line) > LONGEST_TITLE), len(lines))
    return [_opening(line) for line in lines[: long + 1]]


def _end_of_line(text: str, section: Section) -> int:
    """Where the line of a section's heading ends, or the section where the heading has its line to itself."""
    end = text.find("\n", section.start, section.end)
    alone = text[section.start : end].strip(" \t:*_-") == section.heading
    return section.end if end < 0 or alone else end
