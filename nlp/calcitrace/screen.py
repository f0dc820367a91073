"""The necessary words of a rule set, derived from the rules themselves.

Every rule yields a set of strings of which at least one must stand in any text that the rule can match. The fast
path skips rules by them, and the archive screen skips reports; a rule author need not know of either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from calcitrace.kept import keep, recall
from calcitrace.ruleset import RuleSet, Term

MOST_STRINGS = 400
WORD_BEGINS = (op.AT, op.AT_BOUNDARY)
LETTERS = (op.RANGE, (ord("a"), ord("z")))
BEHIND = -1  # the direction of a look at what stands before
LONG = 5
MOST_LETTERS = 6  # more do not make a string rarer
MOST_CHARACTERS = 4  # of one place
KEPT = "necessary"
Sets = list[frozenset[str]]
Needs = tuple[Sets, list[Sets], Sets]
_KNOWN: dict[str, Needs] = {}


def necessary(term: Term) -> frozenset[str] | None:
    """Strings of which at least one stands in every sentence (standard words, between spaces) the term matches.

    None where nothing can be said, so that the rule must always be tried.
    """
    return next(iter(all_necessary(term)), None)


def all_necessary(term: Term) -> list[frozenset[str]]:
    """Every set of strings of which one must stand in a sentence that the term matches, the best first."""
    if term.phrase:
        return [frozenset({word}) for word in sorted(set(term.phrase), key=lambda w: (-len(w), w))]
    if term.tokens is not None:
        return sorted(_of_tokens(term.tokens), key=_worth, reverse=True)
    return _needs_of(term.regex or "")[0]


def nearby_too(term: Term) -> Sets:
    """The same of a regular expression, with what it asks for before and after its match, and of single characters.

    These are often common words: they tell which of the rules to try on a sentence, and little of a whole report.
    """
    return _needs_of(term.regex or "")[2]


def alternatives(term: Term) -> list[Sets]:
    """The same for each alternative of a regular expression that is nothing but alternatives."""
    return (_needs_of(term.regex)[1] if term.regex else []) or [all_necessary(term)]


def prepare(rules: RuleSet) -> None:
    """Get ready what is needed of all regular expressions of a rule set, as it was kept by an earlier run if it was."""
    findings = (*rules.findings.values(), *rules.conditions.values())
    terms = chain(*(f.terms for f in findings), *(f.nots for f in findings), *(g.terms for g in rules.cues))
    regexes = {t.regex for t in terms}
    missing = sorted(r for r in regexes if r and r not in _KNOWN)
    if not missing:
        return
    before = recall(KEPT, rules.hash)
    before = before if isinstance(before, dict) else {}
    for regex in missing:
        if regex in before:
            whole, each, more = before[regex]
            _KNOWN[regex] = _sets(whole), list(map(_sets, each)), _sets(more)
    if not before.keys() >= set(missing):
        made = {regex: _needs_of(regex) for regex in missing}
        listed = {r: [_listed(w), list(map(_listed, each)), _listed(more)] for r, (w, each, more) in made.items()}
        keep(KEPT, rules.hash, listed)


def forget() -> None:
    """Let go of what is needed of regular expressions: a worker that has begun asks for it no more."""
    _KNOWN.clear()


def _sets(listed: Iterable[list[str]]) -> Sets:
    return [frozenset(strings) for strings in listed]


def _listed(sets: Iterable[frozenset[str]]) -> list[list[str]]:
    return [sorted(strings) for strings in sets]


def _needs_of(regex: str) -> Needs:
    """The sets that a regular expression needs, and those of each of its alternatives if it is nothing but these."""
    if regex not in _KNOWN:
        parsed = list(parser.parse(regex, re.IGNORECASE))
        whole, more = _best_first(_of_sequence(parsed)), _best_first(_of_sequence(parsed, nearby=True))
        split = bool(parsed) and parsed[-1][0] is op.BRANCH and all(code is op.AT for code, _ in parsed[:-1])
        ways = parsed[-1][1][1] if split else ()
        _KNOWN[regex] = whole, [_best_first(_of_sequence(way)) for way in ways], more
    return _KNOWN[regex]


def _best_first(found: Iterable[frozenset[str]]) -> Sets:
    """The sets in small letters, those that let the fewest texts through before the others."""
    return sorted((frozenset(s.lower() for s in strings) for strings in found), key=_worth, reverse=True)


def _of_tokens(tokens: Sequence[Mapping[str, Any]]) -> list[frozenset[str]]:
    found: list[frozenset[str]] = []
    for token in tokens:
        value = token.get("LOWER")
        if token.get("OP", "1") not in ("1", "+"):
            continue
        words = {value} if isinstance(value, str) else set(value.get("IN", ())) if isinstance(value, Mapping) else set()
        if words:
            found.append(frozenset(words))
    return found


def of_regex(regex: str) -> list[frozenset[str]]:
    """Sets of strings; of each set one stands in every text that the regular expression matches."""
    return _needs_of(regex)[0]


def may_match(regex: str) -> Callable[[str], bool]:
    """A quick test of a text in small letters: false where the regular expression surely does not match in it."""
    sets = {frozenset(map(str.strip, strings)) for strings in of_regex(regex)}
    fewest = [[s for s in strings if not any(o in s for o in strings if o != s)] for strings in sets if all(strings)]
    return lambda lowered: all(any(s in lowered for s in strings) for strings in fewest)


def _of_sequence(items: Any, nearby: bool = False) -> list[frozenset[str]]:
    """The necessary sets of the parts of a sequence: how what begins at each place must begin, and what is within.

    A string that begins with a blank begins a word. `nearby`: see `nearby_too`.
    """
    found: list[frozenset[str]] = []
    items = list(items)
    for k, (code, argument) in enumerate(items):
        if code is op.LITERAL and k and items[k - 1][0] is op.LITERAL:
            continue
        strings, _ = _beginnings(items[k:])
        if all(strings):
            found.append(frozenset(map(_begun, strings)) if k and _begins_word(items[k - 1]) else strings)
        if nearby or code is not op.BRANCH or min(map(len, strings)) < LONG:
            found += _of_item(code, argument, nearby)
    return found


def _begun(string: str) -> str:
    """A string that begins a word, with the blank before it."""
    return f" {string}" if string[0].isalnum() else string


def _begins_word(item: Any) -> bool:
    """Whether what comes after an item begins a word: after `\\b`, or where no letter may stand before."""
    if item == WORD_BEGINS:
        return True
    code, argument = item
    if code is not op.ASSERT_NOT or argument[0] != BEHIND:
        return False
    inner = argument[1]
    return len(inner) == 1 and inner[0][0] is op.IN and LETTERS in inner[0][1] and inner[0][1][0][0] is not op.NEGATE


def _beginnings(items: Any) -> tuple[frozenset[str], bool]:
    """How every text that a sequence matches must begin, as strings, and whether they are all of the match."""
    strings = frozenset({""})
    for code, argument in items:
        if code in (op.AT, op.ASSERT, op.ASSERT_NOT):
            continue
        following, whole = _begins(code, argument)
        if len(strings) * len(following) > MOST_STRINGS:
            return strings, False
        strings = frozenset(a + b for a in strings for b in following)
        if not whole:
            return strings, False
    return strings, True


def _begins(code: Any, argument: Any) -> tuple[frozenset[str], bool]:
    """The same of one part; where nothing can be said, the empty string."""
    if code is op.LITERAL:
        return frozenset({chr(argument)}), True
    if code is op.SUBPATTERN:
        return _beginnings(argument[-1])
    if code is op.BRANCH:
        parts = [_beginnings(branch) for branch in argument[1]]
        return frozenset().union(*(strings for strings, _ in parts)), all(whole for _, whole in parts)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT) and argument[0] >= 1:
        strings, whole = _beginnings(argument[2])
        return strings, whole and argument[:2] == (1, 1)
    return frozenset({""}), False


def _of_item(code: Any, argument: Any, nearby: bool) -> list[frozenset[str]]:
    """The necessary sets within one part."""
    if code is op.SUBPATTERN:
        return _of_sequence(argument[-1], nearby)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT):
        least, _, inner = argument
        return _of_sequence(inner, nearby) if least else []
    if code is op.ASSERT and nearby:  # it looks at what stands in the same sentence
        return _of_sequence(argument[1], nearby)
    if (
        code is op.IN
        and nearby
        and len(argument) <= MOST_CHARACTERS
        and all(kind is op.LITERAL for kind, _ in argument)
    ):
        return [frozenset(chr(character) for _, character in argument)]
    if code is op.BRANCH:
        together = _of_branches(argument[1], nearby)
        return [together] if together else []
    return []


def _of_branches(branches: Sequence[Any], nearby: bool) -> frozenset[str] | None:
    """All branches together, if each of them needs something."""
    together: set[str] = set()
    for branch in branches:
        needed = _of_sequence(branch, nearby)
        if not needed:
            return None
        together |= sorted(needed, key=_worth)[-1]
    return frozenset(together) if len(together) <= MOST_STRINGS else None


def _worth(strings: frozenset[str]) -> tuple[int, int, int]:
    """How few texts a set lets through: longer words are better, then fewer of them, then beginnings of words."""
    begun = sum(string.startswith(" ") for string in strings)
    return min(min(map(len, map(longest_word, strings))), MOST_LETTERS), -len(strings), begun


def longest_word(string: str) -> str:
    """The longest piece of a necessary string that lies within one word."""
    return max(string.split(" "), key=len)
