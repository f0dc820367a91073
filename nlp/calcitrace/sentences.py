"""Section text -> sentences, as radiologists type and dictate them.

Handles numbered and bulleted lists, hard line wraps, all-caps text, decimals, abbreviations, placeholders and
run-ons. Works on positions only; the text is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Sentence = tuple[int, int]

STOP = "."  # what is left out between two pieces
_BLANK_LINE, _BLANK_LINES = "\n\n", re.compile(r"\n(?<=\n\n)")
_LINES = re.compile(r"\n(?:(?<=\n\n)|(?<=:\n)(?=[A-Z]))")
_BREAK = re.compile(r"(?P<line>[ \t\r\f\v]*\n\s*)|(?P<stop>[.!?]+[\"')\]]*)(?=\s|[^\W\d_]|\[|$)|\f|\u2022")
_BULLET = re.compile(r"(?:[-*\u2022\u25aa\u00b7>+o](?=\s)|\(?\d{1,2}[.)](?=\s|[A-Z])|\(?[a-h][.)]\s|[ivx]{1,4}[.)]\s)")
_ABBREVIATIONS = frozenset(
    (
        "dr mr mrs ms prof st no nos vs approx ca cf eg e.g i.e ie etc fig figs ref resp max min vol ser im img acc "
        "al ed esp incl est tel ext inj hx sig b.i.d p.o temp med lat ant post sup inf"
    ).split()
)
_NEEDS_NUMBER = frozenset({"no", "nos", "fig", "figs", "ser", "im", "img", "vol", "acc", "max", "min"})
_NEEDS_LOWER = frozenset(
    {"etc", "med", "lat", "ant", "post", "sup", "inf", "resp", "inj", "ed", "temp", "ext", "sig", "hx", "a.m", "p.m"}
)


def _after_a_word() -> str:
    """A pattern of what stands before a full stop that ends a sentence: a long word, or a short one in full."""
    ways = [r"(?<=[a-z]{5}\.)"]
    for size in (4, 3, 2):
        unsure = [*sorted(w for w in _ABBREVIATIONS if len(w) == size and w.isalpha()), f"[ivx]{{{size}}}"]
        ways.append(rf"(?<=\s[a-z]{{{size}}}\.)" + "".join(rf"(?<!{word}\.)" for word in unsure))
    return f"(?:{'|'.join(ways)})"


# after a word and before a capital: the common case; it always ends
_WHOLE = re.compile(rf"\.(?=\s[A-Z]){_after_a_word()}")
_WHOLE_OR_LINE = re.compile(rf"\.(?:(?=\s[A-Z]){_after_a_word()}|(?=\s*\n)(?<=[^:\n]\.))")
# these begin with one set of characters, which is looked for many times faster than alternatives are
_WHOLE_OR_MAYBE = re.compile(rf"[\n.!?\f\u2022](?:(?<=\.)(?=\s[A-Z]){_after_a_word()}(?P<whole>))?")
_MAYBE = re.compile(r"[\n.!?\f\u2022](?:(?<!\.)|(?!\d))")
LISTS = b"the following"  # words without which no list is announced
_LEAD = re.compile(
    r"\b(?:none of the following|no evidence of(?: any)?(?: of)? the following|negative for the following)\b", re.I
)
_ANSWER = re.compile(
    r"[ \t]+(?:no|none|nil|negative|not (?:seen|identified|demonstrated|shown|present|found))(?=[.;,]|$)", re.I
)  # of the question before it
_LAST_WORD = re.compile(r"[^\s(\[,;:]*$")
MIN_WRAP = 45
MAX_SENTENCE = 1000
SHOUTED_LINE = 30


def split_sentences(text: str, start: int = 0, end: int | None = None, width: int | None = None) -> list[Sentence]:
    """Character offsets of the sentences of `text[start:end]`, without surrounding white space.

    `width` is the column at which the report is hard-wrapped (`wrap_width`), measured here if not given.
    """
    end = len(text) if end is None else end
    width = wrap_width(text) if width is None else width
    sentences: list[Sentence] = []
    begin, maybe = start, True  # it may begin with white space
    for found in _WHOLE_OR_MAYBE.finditer(text, start, end):
        stop = found.start()
        if not found.lastgroup:
            maybe = maybe or stop >= begin
            continue
        if maybe or stop - begin >= MAX_SENTENCE:
            for cut in (*_cuts(text, begin, stop, (start, end), width), stop + 1):
                _add(sentences, text, begin, cut)
                begin = cut
        else:
            sentences.append((begin, stop + 1))
        begin, maybe = stop + 2, False  # white space, and the capital
    for cut in (*_cuts(text, begin, end, (start, end), width), end):
        _add(sentences, text, begin, cut)
        begin = cut
    return sentences


def _cuts(text: str, begin: int, until: int, of: Sentence, width: int) -> Iterable[int]:
    """The same as `_breaks`; most stretches hold nothing that may end a sentence but white space around them."""
    said = text[begin:until].strip()
    last = len(said) - (until == of[1])  # a stop that ends a section ends no more than that
    return _breaks(text, begin, until, of, width) if _MAYBE.search(said, 0, last) else ()


def pieces(text: str) -> list[str]:
    """A text in pieces that hold whole sentences each, whatever its sections and its width; equal ones say the same.

    A sentence always ends at a full stop of the common case, and at one that ends a line unless it announces a list.
    The stop is left out, and white space before the first word; what comes after the last one ends in a blank line.
    """
    stop = _WHOLE if _announces(text) else _WHOLE_OR_LINE
    *whole, last = map(str.lstrip, stop.split(f"{text}{_BLANK_LINE}"))
    return [*whole, last] if last else whole


def pieces_at(text: str, places: Iterable[int], lists: bool = True) -> list[str]:
    """The pieces of a text in which these places lie, letters of words, in order; `lists`: it may announce one."""
    stop, text = _WHOLE if lists and _announces(text) else _WHOLE_OR_LINE, f"{text}{_BLANK_LINE}"
    found, begin, end = list[str](), 0, -1
    for place in places:
        if place < end:
            continue
        begin, before = end + 1, text.rfind(STOP, end + 1, place)
        while before >= 0:
            if stop.match(text, before):
                begin = before + 1
                break
            before = text.rfind(STOP, begin, before)
        after = stop.search(text, place)
        end = after.start() if after else len(text)
        found.append(text[begin:end].lstrip())
    return found


def stretches(text: str) -> Iterator[str]:
    """The same in smaller stretches, which have their stops: all of the text but white space."""
    return (stretch for piece in pieces(text) for stretch in stretches_of(piece))


def stretches_of(piece: str) -> list[str]:
    """The stretches of a piece.

    A sentence always ends at a blank line, and where a line ends in a colon, unless it announces a list.
    """
    said = piece if piece.endswith(_BLANK_LINE) else f"{piece}{STOP}"
    if "\n" not in piece:
        return [said.strip()]
    cut = (_BLANK_LINES if _announces(piece) else _LINES).split(said)
    return [stretch for stretch in map(str.strip, cut) if stretch]


def _announces(text: str) -> bool:
    """Whether a text announces a list, which goes on where other sentences end."""
    return LISTS.decode() in text.lower() and _LEAD.search(text) is not None


def _breaks(text: str, begin: int, until: int, of: Sentence, width: int) -> Iterator[int]:
    """Where sentences end between two full stops of the common case, in a section that extends from and to `of`."""
    start, end = of
    for found in _BREAK.finditer(text, begin, until):
        cut = found.end() if found.lastgroup == "stop" else found.start()
        if cut <= begin or not _ends(text, begin, found, start, end, width):
            continue
        if found.lastgroup == "line" and _leads(text, begin, cut) and "\n\n" not in found.group():
            continue
        yield cut
        begin = cut


def _leads(text: str, begin: int, cut: int) -> bool:
    """Whether the sentence announces a list that stands on the lines below it."""
    return _LEAD.search(text, begin, min(cut, begin + 120)) is not None


def _add(sentences: list[Sentence], text: str, begin: int, end: int) -> None:
    """Add the sentence without surrounding white space; where nothing ended it for long, cut at white space."""
    while end - begin > MAX_SENTENCE:
        cut = max(text.rfind(blank, begin, begin + MAX_SENTENCE) for blank in " \n\t")
        cut = cut if cut > begin else begin + MAX_SENTENCE
        _add(sentences, text, begin, cut)
        begin = cut
    while begin < end and text[begin].isspace():
        begin += 1
    while end > begin and text[end - 1].isspace():
        end -= 1
    if end > begin:
        sentences.append((begin, end))


def _ends(text: str, begin: int, found: re.Match[str], start: int, end: int, width: int) -> bool:
    if found.lastgroup == "stop":
        return _stop_ends(text, begin, found.start(), found.end(), end)
    if found.lastgroup == "line":
        return _line_ends(text, start, found.start(), found.end(), end, width)
    return True


def _stop_ends(text: str, begin: int, at: int, after: int, end: int) -> bool:
    """Whether the full stop at `at` ends a sentence that began at `begin`."""
    rest = text[after : min(end, after + 40)]
    following = rest.lstrip()[:1]
    if not following:
        return True
    word = _LAST_WORD.search(text, max(begin, at - 30), at)
    last = word.group().lower().strip("\"'*") if word else ""
    if not rest[:1].isspace():
        return "." not in last and _runs_on(text[at - len(last) : at], rest)
    if text[at : at + 2] == "..":
        return False
    if text[at] == "?" and (at == begin or text[at - 1] in " \t\n,;:/(-" or _ANSWER.match(text, after, end)):
        return False
    if at - begin < 12 and _is_marker(text, begin, at):
        return False
    if text[at] != ".":
        return True
    if last == "neg" and rest.lstrip()[:3].lower() == "for":
        return False
    if last in _NEEDS_NUMBER:
        return not following.isdigit()
    if last in _NEEDS_LOWER:
        return not following.islower()
    if last in ("r", "l") and following.islower():
        return False
    if len(last) == 1 and last.isalpha() and following.isupper():
        return not _initial(text, at)
    return last not in _ABBREVIATIONS


def _runs_on(last: str, rest: str) -> bool:
    """Whether a new sentence begins without a space after `last` and its full stop."""
    if last[-1:].islower():
        return len(last) > 2 and rest[:1].isupper()
    if last[-1:].isdigit():
        return last[:1].isalpha() and rest[:1].isupper() and rest[1:2].islower()
    return len(last) > 3 and last.isupper() and rest[:2].isupper()


def _initial(text: str, at: int) -> bool:
    """Whether the single letter before `at` is a person's initial rather than a last word."""
    return text[at - 1].isupper() and text[max(0, at - 4) : at - 1].strip().lower() in ("dr", "", "r.", "mr")


def _is_marker(text: str, begin: int, at: int) -> bool:
    """Whether all that stands before the stop is the number of a list item ("1.", "2a.")."""
    return re.fullmatch(r"[\s\-*\u2022(]*(?:\d{1,2}[a-z]?|[ivx]{1,4}|[a-hA-H])?", text[begin:at]) is not None


def _line_ends(text: str, start: int, at: int, after: int, end: int, width: int) -> bool:
    """Whether the line break between `at` and `after` ends a sentence, or is a hard wrap inside one."""
    if after >= end or text.count("\n", at, after) > 1:
        return True
    line_start = max(text.rfind("\n", start, at) + 1, start)
    line = text[line_start:at].strip()
    rest = text[after : min(end, after + 200)]
    if _BULLET.match(rest):
        return True
    if line[-1:] in ".!?;:":
        return line[-1:] != ":" or not rest[:1].islower()
    if line[-1:] in ",/&" or line.lower().split(" ")[-1] in (
        "and",
        "or",
        "of",
        "the",
        "with",
        "no",
        "a",
        "in",
        "without",
    ):
        return False
    if rest[:1].islower() or (len(line) >= SHOUTED_LINE and line.isupper() and rest[:60].split("\n")[0].isupper()):
        return False
    word = re.match(r"\S+", rest)
    fits = len(line) + 1 + (len(word.group()) if word else 0) <= width
    return fits or width < MIN_WRAP


def wrap_width(text: str) -> int:
    """The column at which the text is hard-wrapped: its longest line, if several lines come near it, else 0."""
    lengths = sorted((len(line.strip()) for line in text.split("\n")), reverse=True)
    if len(lengths) < 2 or lengths[0] > 130:
        return 0
    near = [n for n in lengths if n >= lengths[0] - 14]
    return lengths[0] if len(near) >= 2 else 0
