"""How a term of a rule file is read: a phrase, every phrase of a combination, a token pattern or a regex."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from calcitrace.ruleset import KINDS, Term
from calcitrace.strictyaml import Row, Table, Text
from calcitrace.words import phrase_forms

MAX_COMBINED = 5000
TERM_KEYS = tuple("term combine tokens regex id at not_at after told alone known just".split())


class TermReader:
    """Reads terms with one spelling table and the named word lists that regex terms may call."""

    def __init__(self, spelling: Mapping[str, str], words: Mapping[str, Iterable[str]], checked: bool = False) -> None:
        self.spelling = spelling
        self._checked = checked  # these very files were read before, so that every regex is known to compile
        self._lists = {name: _alternatives(_with_plurals(forms)) for name, forms in words.items() if forms}

    def kinds(self, t: Table, key: str) -> frozenset[str]:
        """The anatomy kinds under `key`, checked."""
        for kind in t.texts(key):
            if kind not in KINDS:
                raise t.fail(f"{str(kind)!r} is not an anatomy kind ({', '.join(KINDS)})", kind)
        return frozenset(map(str, t.texts(key)))

    def read(
        self,
        t: Table,
        key: str,
        owner: str,
        at: frozenset[str] = frozenset(),
        not_at: frozenset[str] = frozenset(),
    ) -> tuple[Term, ...]:
        """All terms under `key`, phrases with their plurals; a term's own at/not_at replace the file's."""
        found: list[Term] = []
        for item in t.items_of(key):
            where = f"{t.path}:{getattr(item, 'line', t.line)}"
            if isinstance(item, Table):
                item.only(*TERM_KEYS)
                found += self._mapped(item, owner, self._conditions(item, at, not_at, where))
            elif isinstance(item, Text):
                found += self._phrases(t, item, owner, Term("", at=at, not_at=not_at, where=where))
            else:
                raise t.fail("a term is a phrase or a mapping", item)
        return tuple(found)

    def _conditions(self, item: Table, at: frozenset[str], not_at: frozenset[str], where: str) -> Term:
        """A term without words that has the conditions of a mapping."""
        if Text("just") in item and Text("told") not in item:
            raise item.fail("just needs told: the findings of which the sentence before must begin with one")
        return Term(
            "",
            at=self.kinds(item, "at") or at,
            not_at=self.kinds(item, "not_at") or not_at,
            after=frozenset(map(str, item.texts("after"))),
            told=frozenset(map(str, item.texts("told"))),
            alone=item.text("alone", "") == "yes",
            known=item.text("known", "") == "yes",
            just=item.text("just", "") == "yes",
            where=where,
        )

    def _mapped(self, item: Table, owner: str, made: Term) -> Iterator[Term]:
        """The terms of a mapping; `made` has their conditions."""
        if Text("combine") in item:
            for phrase in combined(item):
                yield from self._phrases(item, phrase, owner, made)
        elif Text("term") in item:
            yield from self._phrases(item, item.text("term"), owner, made)
        elif Text("tokens") in item:
            tokens = tuple(_token(item, token) for token in item.items_of("tokens"))
            name = json.dumps(tokens, separators=(",", ":"))
            yield replace(made, rule_id=f"{owner}:{name}", tokens=tokens)
        elif Text("regex") in item:
            rule_id = f"{owner}:{item.text('id', f'line {item.line}')}"
            yield replace(made, rule_id=rule_id, regex=self._regex(item, item.text("regex")))
        else:
            raise item.fail("a term mapping needs one of: term, combine, tokens, regex")

    def _regex(self, item: Table, regex: Text) -> str:
        """The regular expression with each `<name>` replaced by its list of `words.yml`."""
        missing = [name for name in _NAMED.findall(regex) if name not in self._lists]
        if missing:
            raise item.fail(f"<{missing[0]}> is no list of words.yml ({', '.join(self._lists)})", regex)
        written = _NAMED.sub(lambda m: self._lists[m[1]], regex)
        try:
            if not self._checked:
                re.compile(written, re.IGNORECASE)
        except re.error as error:
            raise item.fail(f"regex does not compile: {error}", regex) from None
        return written

    def _phrases(self, t: Table, text: str, owner: str, made: Term) -> Iterator[Term]:
        forms = phrase_forms(text, self.spelling)
        if not forms:
            raise t.fail("a term has no words", text)
        rule_id = f"{owner}:{' '.join(forms)}"
        yield made.worded(rule_id, forms)
        many = plural(forms[-1])
        if many and not owner.startswith(("context", "side", "site")):
            yield made.worded(rule_id, (*forms[:-1], many))


def inflected(verb: str) -> tuple[str, ...]:
    """The forms of a regular English verb: "track", "tracks", "tracked", "tracking"."""
    if verb.endswith("e"):
        return verb, verb + "s", verb + "d", verb[:-1] + "ing"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb, verb[:-1] + "ies", verb[:-1] + "ied", verb + "ing"
    stem = verb + verb[-1] if _DOUBLES.fullmatch(verb) else verb
    ending = "es" if verb.endswith(("s", "x", "z", "ch", "sh")) else "s"
    return verb, verb + ending, stem + "ed", stem + "ing"


def plural(word: str) -> str:
    """The regular English plural of a noun, or "" where the word has none (numbers, marks, plurals, short words)."""
    if not word.isalpha() or len(word) < 3 or (word.endswith("s") and not word.endswith("ss")):
        return ""
    if word.endswith(("x", "ch", "sh", "ss")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def combined(item: Table) -> Iterator[Text]:
    """Every phrase that takes one choice from each column of `combine` ("" for nothing)."""
    columns = item.items_of("combine")
    if not columns or not all(isinstance(c, Row) and c for c in columns):
        raise item.fail("combine needs columns: a list of lists of words")
    count = 1
    for column in columns:
        count *= len(column)
    if count > MAX_COMBINED:
        raise item.fail(f"combine writes out {count} phrases; the limit is {MAX_COMBINED}")
    for choice in itertools.product(*columns):
        phrase = Text(" ".join(part for part in choice if part))
        phrase.line = item.line
        yield phrase


_DOUBLES = re.compile(r"[^aeiou]*[aeiou][bdgklmnprt]")
_NAMED = re.compile(r"<([a-z_]+)>")


def _with_plurals(forms: Iterable[str]) -> Iterator[str]:
    """The forms of a list, each with its plural, as for terms."""
    for form in forms:
        yield form
        *before, last = form.split()
        if many := plural(last):
            yield " ".join((*before, many))


def _alternatives(forms: Iterable[str]) -> str:
    """A group that matches any of the words, the longest first; beginnings that words share are tried only once."""
    tree: dict[str, Any] = {}
    for form in forms:
        node = tree
        for letter in form:
            node = node.setdefault(letter, {})
        node[""] = {}
    return f"(?:{_branches(tree)})"


def _branches(tree: Mapping[str, Any]) -> str:
    ways = [re.escape(letter) + _branches(rest) for letter, rest in sorted(tree.items()) if letter]
    if "" in tree:
        return f"(?:{'|'.join(ways)})?" if ways else ""
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


_OPERATORS = re.compile(r"[?*+!]|\{\d*,?\d*\}")


def _token(item: Table, token: Any) -> dict[str, Any]:
    """A medspaCy (spaCy Matcher) token from its strings-only YAML form."""
    if isinstance(token, Text):
        return {"LOWER": str(token)}
    if not isinstance(token, Table):
        raise item.fail("a token is a word or a mapping of spaCy token attributes", token)
    plain: dict[str, Any] = {}
    for key, value in token.items():
        if key == "OP":
            if not _OPERATORS.fullmatch(value):
                raise token.fail(f"OP {str(value)!r} is not an operator of the token matcher", value)
            plain["OP"] = str(value)
        elif isinstance(value, Table):
            plain[str(key)] = {str(k): [str(x) for x in v] if isinstance(v, list) else str(v) for k, v in value.items()}
        else:
            plain[str(key)] = {"yes": True, "true": True}.get(str(value).lower(), str(value))
    return plain
