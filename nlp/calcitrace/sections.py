"""Report text -> sections, by radiology's own layout.

Headings are known from `sections.yml` (any case, with or without colon, on a line of their own or before the
text) or recognised by their form; an unknown heading opens a section `other`, so that nothing bleeds into its
neighbour, unless it names a structure inside the findings ("Supraspinatus: ..."), which is a subhead.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from calcitrace.model import Section
from calcitrace.ruleset import SectionRule
from calcitrace.sentences import wrap_width

TITLE, INDICATION, FINDINGS, IMPRESSION, OTHER = "title", "indication", "findings", "impression", "other"
SHORT_SECTIONS = frozenset({"indication", "comparison", "technique", "exam", "prior_report"})
_LEFT_BY_SUBHEAD = {TITLE, OTHER, "comparison", "technique", "exam"}
_LINE = re.compile(r"[^\n]*\n?")
_COLON_HEAD = re.compile(
    r"[ \t>*#_]*(?P<head>[^\W\d_](?:[^\n:.;?!|]|\.(?=\S)){0,60}?(?:\[\*\*[^\]\n]*\*\*\])?)[ \t*_]*:(?!\d)[*_]*",
    re.UNICODE,
)
_BARE_HEAD = re.compile(r"[ \t>*#_=-]*(?P<head>[^\W\d_][^\n:;]{0,50}?)[ \t*_=.-]*\r?\n?$")
_RULED = re.compile(r"[ \t]*[-=*_#~]{2,}[ \t]*(?P<head>[^\W\d_][^\n]{0,100}?)[ \t:]*[-=*_#~]{2,}[ \t]*\r?\n?$")
_RULES = frozenset("-=*_#~")
_END = re.compile(r"end\b", re.I)
_DECORATION, LONGEST_BARE = " \t>*#_=.-\r\n", 51
_CAPITALS, _SMALL = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_SHOUTED = re.compile("[A-Z]{2}")
_SHOUTED_AFTER = re.compile(r"[.;)\]!?] [ \t]*[A-Z][ \t]*[A-Z]")
_LETTERS = re.compile(r"[^\W\d_]+")
_QUALIFIERS = re.compile(
    r"\[\*\*.*?\*\*\]|<[A-Z]+>|\(.*?\)|\b(?:\d|dated|by|on|\d{1,2}[ /.-][A-Za-z\d]{1,9}[ /.-]\d{2,4})\b.*$|[\d/_.-]+"
)
_OF_EARLIER = re.compile(  # "conclusion of the earlier MRI"
    r"\b(?:conclusions?|impression|report|findings?|text|wording|opinion|results?) (?:of|from|on) "
    r"(?:(?:the|an?|his|her) )?(?:earlier|previous|prior|outside|last|old|first|initial)\b"
    r"|\breport (?:of|from|dated) [\d./-]+ (?:reads?|said|says|stated|states)\b"
    r"|^\W*(?:prior|previous|earlier|outside|old|last) (?:[a-z]+ ){0,2}?"
    r"(?:impression|conclusions?|report|opinion|text)\b",
    re.IGNORECASE,
)
_PARTS = re.compile(r"[ \t]*(?:/|&|\+|,|\band\b)[ \t]*", re.I)
_IN_BRACKETS = re.compile(r"\(.*?\)")
_STOP = ". "
_ENDS_A_SENTENCE = frozenset({"now", "today", "current"})  # as well as it heads a section: "Left hip erosion now"
MAX_HEAD_WORDS = 7
REMEMBERED = 1200  # lines repeat


class _Head(NamedTuple):
    """A heading found in the text: its section name ("" for a subhead), its words and its extent."""

    name: str
    words: str
    start: int
    body: int
    known: bool

    def moved(self, by: int) -> _Head:
        """The same where the line begins `by` characters later."""
        return _Head(self.name, self.words, self.start + by, self.body + by, self.known)


class Sectioner:
    """Splits report text into sections; `is_structure` says whether a heading names anatomy or a finding."""

    def __init__(self, rules: Mapping[str, SectionRule], is_structure: Callable[[str], bool]) -> None:
        self._names = {" ".join(_plain(h)): r.name for r in rules.values() for h in r.headings}
        self._is_structure = is_structure
        known = sorted(self._names, key=len, reverse=True)
        alternatives = "|".join(re.escape(h).replace(r"\ ", r"[ \t]+") for h in known)
        shouted = "|".join(re.escape(h.upper()).replace(r"\ ", r"[ \t]+") for h in known if h.isascii())
        self._inline_caps = re.compile(rf"(?<=[.;)\]!?] )[ \t]*(?P<head>{shouted})(?=[ \t]+[A-Z\d])")
        self._dashed = re.compile(rf"[ \t]*(?P<head>{alternatives})[ \t]+[-\u2013][ \t]+(?=\S)", re.I)
        self._inline = re.compile(rf"(?:(?<=[.;:)\]!?])|(?<=\s\s)|(?<=\. ))[ \t]*(?P<head>{alternatives})[ \t]*:", re.I)
        self._stopped = re.compile(rf"[ \t]*(?P<head>{shouted})\.(?=[ \t]+\S)")
        self._first_words = {h.split(" ", 1)[0] for h in known}
        self._opening = re.compile(rf"[ \t]*(?P<head>{alternatives})(?=[ \t]+[-\u2013]?[ \t]*[A-Z0-9\[(])", re.I)

        self._line_heads = lru_cache(REMEMBERED)(self._of_line)
        self._known = lru_cache(REMEMBERED)(self._named)
        self._is_title = lru_cache(REMEMBERED)(lambda line: _is_title(line, is_structure))

    def split(self, text: str) -> tuple[Section, ...]:
        """Sections that together cover `text` from 0 to its end, in order."""
        heads = list(self._heads(text))
        sections: list[Section] = []
        current = Section(FINDINGS, "", 0, 0, len(text))
        ends = [h.start for h in heads[1:]] + [len(text)]
        has_findings = any(h.name == FINDINGS and text[h.body : e].strip() for h, e in zip(heads, ends, strict=False))
        for head in heads:
            sections += self._closed(current, head.start, text, has_findings)
            name = head.name or (FINDINGS if _left_by_subhead(current, text, head.start) else current.name)
            subhead = "" if head.name else head.words
            body = head.body if head.name else head.start
            current = Section(name, head.words, head.start, body, len(text), subhead)
        sections += self._closed(current, len(text), text, has_findings)
        return tuple(self._titled(sections, text))

    def _heads(self, text: str) -> Iterator[_Head]:
        name, shouts = FINDINGS, _shouts(text)
        start = 0
        for line in text.split("\n"):
            if line and not line.isspace():
                for head in self._line_heads(line, start == 0, name, shouts):
                    name = head.name or name
                    yield head.moved(start)
            start += len(line) + 1

    def _of_line(self, line: str, first: bool, current: str, shouts: bool) -> tuple[_Head, ...]:
        """The headings of a line, in places from its beginning; `first` of a text, which may be one that `shouts`."""
        opens = self._line_start(line, first or shouts, current)
        since = opens.body if opens else 0
        inside = list(self._inline.finditer(line, 0, line.rfind(":") + 1))
        if not shouts and _SHOUTED_AFTER.search(line):
            inside += (m for m in self._inline_caps.finditer(line) if _opens(m["head"], line[m.end() :]))
        heads = [self._head(m) for m in sorted(inside, key=lambda m: m.start("head")) if m.start("head") >= since]
        return (opens, *heads) if opens else tuple(heads)

    def possible_heads(self, stretch: str) -> set[tuple[int, int]]:
        """Where headings may stand in a stretch of text, (start, body) of each, whatever report it is of."""
        found, begins = set[tuple[int, int]](), 0
        for line in stretch.split("\n"):
            if ":" in line or _SHOUTED.search(line) or (line and not line.isspace() and self._begins_known(line)):
                found |= {(h.start + begins, h.body + begins) for h in self._possible(line)}
            begins += len(line) + 1
        return found

    def _possible(self, line: str) -> Iterator[_Head]:
        """The headings that may be in what is a line, or what comes in one after a full stop."""
        yield from (h for first in (True, False) for h in self._of_line(line, first, FINDINGS, False))
        yield from (h.moved(-len(_STOP)) for h in self._of_line(_STOP + line, False, FINDINGS, False))

    def _head(self, found: re.Match[str]) -> _Head:
        """A known heading where it was found."""
        name = self._names[" ".join(_plain(found["head"]))]
        return _Head(name, found["head"], found.start("head"), found.end(), True)

    def _line_start(self, line: str, plain: bool, current: str) -> _Head | None:
        """The heading that a line begins with; in a `plain` line capitals mark none."""
        ruled = _RULED.match(line) if line.rstrip()[-1:] in _RULES else None
        if ruled and (name := FINDINGS if _END.match(ruled["head"]) else self._known(ruled["head"])):
            return _Head(name, ruled["head"], 0, len(line), True)
        colon = _COLON_HEAD.match(line) if ":" in line else None
        if colon:
            return self._colon_head(colon, current)
        begins = self._begins_known(line)
        set_off = (self._dashed.match(line) or self._stopped.match(line)) if begins else None
        if set_off:
            return self._head(set_off)
        bare = _BARE_HEAD.match(line) if len(line.strip(_DECORATION)) <= LONGEST_BARE else None
        if bare and len(bare["head"].split()) <= MAX_HEAD_WORDS:
            start, end = bare.span("head")
            told = line.rstrip().endswith(".") or not _ENDS_A_SENTENCE.isdisjoint(_plain(bare["head"])[-1:])
            name = "" if _STOP in bare["head"] else self._known(bare["head"], whole=told)
            if name:
                return _Head(name, bare["head"].strip(), start, end, True)
            if not plain and _is_caps(bare["head"]) and line.strip()[-1] not in ".,;" and ". " not in line:
                return self._unknown(bare["head"], start, end, current)
        opening = self._opening.match(line) if begins else None
        if opening and _opens(opening["head"], line[opening.end() :]):
            return self._head(opening)
        return None

    def _begins_known(self, line: str) -> bool:
        """Whether the first word of a line is one that a known heading begins with."""
        return not line.isascii() or line.split(None, 1)[0].rstrip(".").lower() in self._first_words

    def _colon_head(self, colon: re.Match[str], current: str) -> _Head | None:
        words = colon["head"].strip()
        if len(words.split()) > MAX_HEAD_WORDS:
            return None
        name = self._known(words)
        if name:
            return _Head(name, words, colon.start("head"), colon.end(), True)
        return self._unknown(words, colon.start("head"), colon.end(), current)

    def _unknown(self, words: str, start: int, body: int, current: str) -> _Head | None:
        if self._is_structure(words):
            return _Head("", words, start, body, False)
        looks_like_one = _is_caps(words) or words[:1].isupper()
        if not looks_like_one or len(words.split()) > 5:
            return None
        return _Head(OTHER if _is_caps(words) or current != FINDINGS else "", words, start, body, False)

    def _named(self, words: str, whole: bool = False) -> str:
        """The section that a heading of these words opens, or ""; by its last words too, unless `whole`."""
        plain = _plain(words)
        exact = self._names.get(" ".join(plain)) or self._names.get(" ".join(_plain(_QUALIFIERS.sub(" ", words))))
        if exact:
            return exact
        if whole:
            return ""
        parts = [self._names.get(" ".join(_plain(part)), "") for part in _PARTS.split(words)]
        if all(parts) or IMPRESSION in parts:
            return IMPRESSION if IMPRESSION in parts else parts[0]
        if _OF_EARLIER.search(words):
            return "prior_report"
        first = self._names.get(" ".join(_plain(_QUALIFIERS.sub(" ", _PARTS.split(words)[0]))), "")
        if first and _TITLE_WORDS.search(words):  # "Previous report (copied), CT shoulder"
            return first
        if len(plain) <= 4 and (_is_caps(words) or words[:1].isupper()):
            for cut in range(1, len(plain)):
                found = self._names.get(" ".join(plain[cut:]))
                if found:
                    return found
        return ""

    def _closed(self, section: Section, end: int, text: str, has_findings: bool) -> Iterator[Section]:
        """The section cut at `end`; a short section's prose is findings where none are headed.

        It begins after a blank line or with a list, or where lines are not wrapped after the line of the heading; in a
        request with the name of the study; in a comparison after a first line that does no more than name dated
        studies, else after the first sentence.
        """
        section = _extent(section, end=end)
        if section.name in SHORT_SECTIONS and not has_findings:
            blank = _BLANK.search(text, section.body, end) or _THEN_LISTED.match(text, section.body, end)
            if not blank and not wrap_width(text):
                blank = _LINE_OF_ITS_OWN.match(text, section.body, end)
            if not blank and section.name == "indication":
                blank = _THEN_STUDY.search(text, section.body, end)
            if not blank and section.name == "comparison":
                blank = _LISTED.match(text, section.body, end) or _FIRST_SENTENCE.match(text, section.body, end)
            if blank:
                cut = _past_quotation(text, section.body, blank.end(), end)
                yield _extent(section, end=cut)
                if cut < end:
                    yield Section(FINDINGS, "", cut, cut, end)
                return
        if section.end > section.start:
            yield section

    def _titled(self, sections: list[Section], text: str) -> Iterator[Section]:
        """The sections, with the opening lines of the report split off as its title where they look like one."""
        if not sections or sections[0].heading:
            yield from sections
            return
        first = sections[0]
        cut = first.start
        for line in _LINE.finditer(text, first.start, first.end):
            if line.group().strip() and not self._is_title(line.group()):
                break
            cut = line.end()
        if cut > first.start and text[first.start : cut].strip():
            yield first._replace(name=TITLE, end=cut, body=first.start)
        if cut < first.end:
            yield Section(first.name, first.heading, cut, cut, first.end, first.subhead)
        yield from sections[1:]


def _past_quotation(text: str, start: int, cut: int, end: int) -> int:
    """The end of a quotation that is open at `cut`, where it ends; else `cut`."""
    for opens, closes in ('""', "\u201c\u201d"):
        quoted = text[start:cut]
        is_open = quoted.count(opens) % 2 if opens == closes else quoted.count(opens) > quoted.count(closes)
        if is_open:
            return text.find(closes, cut, end) + 1 or cut
    return cut


_BLANK = re.compile(r"\S[^\S\n]*\n[ \t\r]*\n(?=\s*\S)")
_LINE_OF_ITS_OWN = re.compile(r"[ \t]*\S[^\n]*[.?!)\w\d][ \t\r]*\n(?=[ \t]*[A-Z\d][^\n]{40})")
_THEN_LISTED = re.compile(r"(?:[ \t]*\S[^\n]*\n)+?(?=[ \t]*(?:1[.)]|[-*\u2022])[ \t]+\S)")
_STUDY = r"(?:XR|X-?rays?|MRI?|CT|US|ultrasound|radiographs?)"
_THEN_STUDY = re.compile(  # "Indication: fall? Left shoulder: no fracture."
    rf"[.?!][ \t]+(?=(?:{_STUDY}(?: of(?: the)?)? )?(?:left|right|lt|rt|L|R)\.? "
    rf"(?:shoulder|hip|knee|elbow|wrist|ankle|foot|thigh|arm|heel)(?: {_STUDY})?[:.])",
    re.IGNORECASE,
)
_FIRST_SENTENCE = re.compile(r"[^\n.]*(?:(?:\.(?=\d)|\n(?!\s*\n))[^\n.]*)*\.\s+(?=\S)")
_LISTED = re.compile(
    r"[ \t]*(?:(?:and|of|from|MRI?|CT|XR|US|x-?rays?|films?|radiographs?|ultrasound|study|exam|dated|none|available"
    r"|prior|previous|left|right|shoulder|hip|knee|[A-Z][a-z]{2,8}|[A-Z]{3,9})[ ,]+|\d(?:[\d/-]|\.(?=\d))*+[ ,]*+){1,8}"
    r"\.\s*\n(?=\s*\S)",
    re.IGNORECASE,
)


def _extent(section: Section, end: int) -> Section:
    """The section with another end."""
    return Section(section.name, section.heading, section.start, section.body, end, section.subhead)


def _left_by_subhead(current: Section, text: str, at: int) -> bool:
    """Whether a structure's own line ends a section: a request, too, once it has been made, or after a blank line."""
    if current.name == "past_history":
        return text[:at].rstrip(" \t\r").endswith(("\n\n", "\n\r\n"))
    return current.name in _LEFT_BY_SUBHEAD or (current.name == INDICATION and bool(text[current.body : at].strip()))


def _plain(words: str) -> list[str]:
    return [w.lower() for w in _LETTERS.findall(words)]


def _is_caps(words: str) -> bool:
    letters = [c for c in _IN_BRACKETS.sub("", words) if c.isalpha()]
    return len(letters) > 1 and all(c.isupper() for c in letters)


def _shouts(text: str) -> bool:
    """Whether the report is typed in capitals, so that capitals mark no headings."""
    if text.isascii():
        letters = text.encode()
        return len(letters.translate(None, _CAPITALS)) < len(letters.translate(None, _SMALL))
    return sum(map(str.isupper, text)) > sum(map(str.islower, text))


def _opens(head: str, rest: str) -> bool:
    """Whether a known heading without colon opens the line: it stands out from what follows by its case."""
    following = rest.lstrip(" \t-\u2013")
    return _is_caps(head) and not _is_caps(following.split("\n")[0][:20]) and not following[:1].islower()


def _is_title(line: str, is_structure: Callable[[str], bool]) -> bool:
    words = line.split()
    if len(words) > 12 or line.rstrip().endswith((".", ";", ",")):
        return False
    return _TITLE_WORDS.search(line) is not None or (_is_caps(line) and len(words) <= 6 and is_structure(line))


_TITLE_WORDS = re.compile(
    r"\b(?:MRI?|CT|XR|X-?rays?|US|ultrasound|radiographs?|sonogra\w+|plain films?|views?|series|exam(?:ination)?|study"
    r"|scan|\d[vV])\b",
    re.IGNORECASE,
)
