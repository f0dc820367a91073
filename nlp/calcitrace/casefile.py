"""patterns/cases/<case>.yml -> CaseDefinition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calcitrace.ruleset import ASSERTIONS, CaseDefinition, Constituent, Depth, Tier
from calcitrace.strictyaml import Table
from calcitrace.words import split_words


def read_case(name: str, t: Table, spelling: Mapping[str, str]) -> CaseDefinition:
    """The case definition of one file `patterns/cases/<name>.yml`."""
    t.only("title", "status", "references", "notes", "likely", "constituents", "tiers", "types", "site", "sized")
    constituents = {str(name): _constituent(c) for name, c in t.tables("constituents")}
    for constituent in constituents.values():
        _known(t, constituent.near, constituents, "constituent")
    tiers = tuple(_tier(t, row, constituents) for row in t.items_of("tiers"))
    types = tuple(_depth(t, row, constituents, spelling) for row in t.items_of("types"))
    _known(t, t.texts("site") + t.texts("sized"), constituents, "constituent")
    return CaseDefinition(
        name=name,
        title=str(t.text("title")),
        likely=frozenset(map(str, t.texts("likely"))),
        constituents=constituents,
        tiers=tiers,
        types=types,
        site=tuple(map(str, t.texts("site"))),
        sized=tuple(map(str, t.texts("sized"))),
        path=t.path,
    )


def _constituent(c: Table) -> Constituent:
    c.only("findings", "assertions", "changes", "near", "with_words", "with_findings", "final", "notes")
    _known(c, c.texts("assertions"), ASSERTIONS, "assertion")
    return Constituent(
        findings=frozenset(map(str, c.texts("findings"))),
        assertions=frozenset(map(str, c.texts("assertions"))),
        changes=frozenset(map(str, c.texts("changes"))),
        near=tuple(map(str, c.texts("near"))),
        with_words=tuple(tuple(str(w).lower().split()) for w in c.texts("with_words")),
        with_findings=frozenset(map(str, c.texts("with_findings"))),
        final=c.text("final", "") == "yes",
    )


def _tier(t: Table, row: Any, constituents: Mapping[str, Constituent]) -> Tier:
    if not isinstance(row, Table):
        raise t.fail("a tier is a mapping with tier, all, none", row)
    row.only("tier", "all", "none")
    _known(row, [row.text("tier")], ("definite", "probable", "possible"), "tier")
    _known(row, row.texts("all") + row.texts("none"), constituents, "constituent")
    return Tier(str(row.text("tier")), tuple(map(str, row.texts("all"))), tuple(map(str, row.texts("none"))))


def _depth(t: Table, row: Any, constituents: Mapping[str, Constituent], spelling: Mapping[str, str]) -> Depth:
    if not isinstance(row, Table):
        raise t.fail("a type is a mapping with type, of, words", row)
    row.only("type", "of", "words")
    _known(row, row.texts("of"), constituents, "constituent")
    words = tuple(split_words(w, spelling).forms for w in row.texts("words"))
    return Depth(str(row.text("type")), tuple(map(str, row.texts("of"))), words)


def _known(t: Table, names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise t.fail(f"{str(name)!r} is no {what} ({', '.join(known)})", name)
