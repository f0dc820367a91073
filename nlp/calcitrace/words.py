"""Report text -> words in standard form, each with its place in the original text.

Rules and reports pass through the same preparation, so a term matches across case, hyphens, line breaks,
no-break spaces, spelling variants and the other accidents of text, while offsets index the original.
"""

from __future__ import annotations

import bisect
import re
import string
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

PREFIXES = ("sub", "intra", "inter", "juxta", "peri", "trans", "supra", "infra", "retro", "para")
INVISIBLE = "\x00\u00ad\u200b\u200c\u200d\u2060\ufeff"
PLACEHOLDER = "\u25a1"
MOST_IN_A_BYTE = 255
_HYPHENS = "-\u2010\u2011\u2012\u00ad"
_IN = f"[{INVISIBLE}]*"
_PLACEHOLDERS = (
    r"\[\*\*[^\[\]\n]{0,80}\*\*\]",  # [**2019-03-02**]
    r"<[A-Z][A-Z0-9 _-]{1,20}>",  # <DATE>
    r"\[[A-Z]{3,12}\]",  # [DATE]
    r"\*\*[A-Z]+(?:\[[A-Z]+\])?",  # **NAME[AAA]
    r"_{2,}",
    r"\bX{3,}\b",
)
_SHORTHAND = (
    r"\b(?:s/p|r/o|w/o|h/o|c/o|f/u|c/w|n/a|d/t|b/l|y/o)\b",
    r"\bw/(?=\s|\d|[a-z]{2})",
    r"\([-\u2013\u2212+]\)",
    r"\+/-",
    r"\b(?:s\.p\.|r\.o\.)",
)
_WORD = re.compile(
    rf"""
    (?P<placeholder>{"|".join(_PLACEHOLDERS)})
  | (?P<short>(?i:{"|".join(_SHORTHAND)}))
  | (?P<leader>(?:\.{{2,}}|\u2026|(?<=[ ])\.(?=[ ]))(?:[ \t]*:)?)
  | (?P<times>[xX\u00d7](?=\s?\d))
  | (?P<number>\d+(?:[.,]\d+)*)
  | (?P<prefixed>(?i:{"|".join(PREFIXES)})(?:[{_HYPHENS}][ ]?\n?[ ]*|[ ])
      (?!(?i:and|or|to|in|of|the)\b)[^\W\d_]{{4,}})
  | (?P<word>[^\W\d_](?:{_IN}[^\W_]|[\u0300-\u036f])*(?:['\u2019](?:t|s|re|ve|ll)\b)?)
  | (?P<mark>[^\s{INVISIBLE}])
    """,
    re.VERBOSE,
)
# what a stretch of plain words, numbers and marks is made of, so that no other alternative of _WORD can match in it
_PLAIN_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:'(?:t|s|re|ve|ll)\b)?|\d+(?:[.,]\d+)*|[^\sA-Za-z0-9-]")
_PLAIN = (string.ascii_letters + string.digits + " \n\t\r" + ",.;:()%?!\"'=>&#@-").encode()
_MORE = ("..", " .", "s.p", "r.o", "xxx")
_LOOSE = re.compile(r"-(?:(?![A-Za-z0-9])|(?<![A-Za-z0-9]-))")
_TIMES = re.compile(r"x\s?\d")
_ALL_PREFIXES = frozenset(PREFIXES)
_HYPHEN = re.compile(rf"[{_HYPHENS}\s]+")
_FIXED = {"placeholder": PLACEHOLDER, "leader": ":"}  # "Fracture ..... none" reads as "Fracture: none"
_DASHES = "\u2013\u2014\u2212"
_LETTERS = bytes(c if chr(c).islower() else ord(" ") for c in bytes(range(128)).lower() + b" " * 128)
FOLD = str.maketrans({"\u2019": "'", "\u00e6": "e", "\u0153": "e", "\u00d7": "x", "\u0131": "i"})


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a stretch of text: standard `forms` and their `starts`/`ends` as character offsets."""

    forms: tuple[str, ...]
    starts: Sequence[int]
    ends: Sequence[int]

    def moved(self, by: int) -> Words:
        """The same words where they begin `by` characters later."""
        return Words(self.forms, _offsets([s + by for s in self.starts]), _offsets([e + by for e in self.ends]))


def letters(text: str) -> bytes:
    """The letters of a text as small ones, a blank for anything else, before the first and after the last; no nulls."""
    return b" %b " % text.encode("ascii", "replace").translate(_LETTERS, b"\0")


def standard_form(word: str, spelling: Mapping[str, str]) -> str:
    """The form under which a word is matched: lower case, plain letters, standard spelling."""
    if not word.isascii():
        word = unicodedata.normalize("NFKC", word.encode("utf-8", "ignore").decode("utf-8"))
        word = "".join(c for c in word if c not in INVISIBLE)
        word = word.lower().translate(FOLD)
        word = "".join(
            c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c) and not c.isspace()
        )
        word = word or PLACEHOLDER
    word = word.lower().replace("\x00", "")
    return spelling.get(word, word)


def says(forms: Sequence[str], phrases: tuple[tuple[str, ...], ...]) -> bool:
    """Whether one of the phrases stands in a row in the words; a word that ends in * is the beginning of one."""
    return bool(phrases) and _any_of(phrases).search(f" {' '.join(forms)} ") is not None


@lru_cache(maxsize=512)
def _any_of(phrases: tuple[tuple[str, ...], ...]) -> re.Pattern[str]:
    written = (" ".join(re.escape(w[:-1]) + "[^ ]*" if w[-1:] == "*" else re.escape(w) for w in p) for p in phrases)
    return re.compile(f"(?<= )(?:{'|'.join(written)})(?= )")


def split_words(text: str, spelling: Mapping[str, str], start: int = 0, end: int | None = None) -> Words:
    """The words of `text[start:end]` in standard form with offsets into `text`.

    A hyphen between two letters or digits joins nothing and is left out ("soft-tissue" = "soft tissue"), but a prefix
    of anatomy is one word with what follows ("sub-cortical" = "subcortical", "supra spinatus" = "supraspinatus");
    a de-identification placeholder is one neutral word.
    """
    end = len(text) if end is None else end
    return _usual_words(text, spelling, start, end) or _any_words(text, spelling, start, end)


def phrase_forms(phrase: str, spelling: Mapping[str, str]) -> tuple[str, ...]:
    """The standard words of a phrase, as `split_words` has them; those of plain words in a fraction of its time."""
    lowered = phrase.lower()
    words = lowered.split(" ")
    if lowered.isascii() and all(map(str.isalpha, words)) and _ALL_PREFIXES.isdisjoint(words) and "xxx" not in lowered:
        return tuple([sys.intern(spelling.get(word, word)) for word in words])
    return split_words(phrase, spelling).forms


def _usual_words(text: str, spelling: Mapping[str, str], start: int, end: int) -> Words | None:
    """The words of a stretch of plain words, numbers and marks: most sentences; None of one that may hold more."""
    piece = text[start:end]
    lowered = piece.lower()
    if not piece.isascii() or piece.encode().translate(None, _PLAIN) or any(map(lowered.__contains__, _MORE)):
        return None
    if piece[:1] == "." or ("-" in piece and _LOOSE.search(piece)) or ("x" in lowered and _TIMES.search(lowered)):
        return None
    spans = [found.span() for found in _PLAIN_WORD.finditer(piece)]
    words = [lowered[i:j] for i, j in spans]
    if not _ALL_PREFIXES.isdisjoint(words):
        return None
    forms = tuple([sys.intern(spelling.get(word, word)) for word in words])
    return Words(forms, _offsets([start + i for i, _ in spans]), _offsets([start + j for _, j in spans]))


def _any_words(text: str, spelling: Mapping[str, str], start: int, end: int) -> Words:
    forms: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for found in _WORD.finditer(text, start, end):
        raw = found.group()
        if found.lastgroup == "mark" and _silent(text, found.start(), end):
            continue
        if found.lastgroup == "prefixed":  # "sub-cortical", "supra spinatus"
            raw = _HYPHEN.sub("", raw)
        form = _FIXED.get(found.lastgroup or "") or standard_form(raw, spelling)
        forms.append("-" if form in _DASHES else sys.intern(form))
        starts.append(found.start())
        ends.append(found.end())
    return Words(tuple(forms), _offsets(starts), _offsets(ends))


def _offsets(rising: Sequence[int]) -> Sequence[int]:
    """Rising offsets in the fewest bytes: those of usual sentences take one each."""
    return bytes(rising) if not rising or rising[-1] <= MOST_IN_A_BYTE else tuple(rising)


def word_range(words: Words, start: int, end: int) -> tuple[int, int]:
    """The words `i:j` that share a character with `start:end`; empty where none does."""
    i = bisect.bisect_right(words.ends, start)
    j = bisect.bisect_left(words.starts, end)
    return i, max(i, j)


def _silent(text: str, at: int, end: int) -> bool:
    """Whether the mark at `at` is a hyphen inside a word, or one that a line break cut."""
    if text[at] not in _HYPHENS or at == 0 or not text[at - 1].isalnum():
        return False
    after = text[at + 1 : min(end, at + 40)].lstrip(INVISIBLE)
    return bool(after) and (after[0].isalnum() or bool(re.match(r"[ \t\r]*\n\s*[a-z]", after)))
