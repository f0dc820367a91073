"""patterns/cases/<case>.yml -> CaseDefinition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calcitrace.ruleset import ASSERTIONS, CaseDefinition, Constituent, Depth, Tier
from calcitrace.strictyaml import Table, Text, meant
from calcitrace.words import split_words

KEYS = (
    "title",
    "status",
    "references",
    "notes",
    "extends",
    "likely",
    "constituents",
    "tiers",
    "types",
    "site",
    "sized",
    "raises",
    "lowers",
    "phases",
    "phased",
)
Phrases = tuple[tuple[str, ...], ...]


def read_cases(files: Mapping[str, Table], spelling: Mapping[str, str]) -> dict[str, CaseDefinition]:
    """The case definitions of a folder; a file that `extends` another takes from it every key that it lacks itself."""
    return {name: _case(name, _whole(t, files), spelling) for name, t in files.items()}


def _whole(t: Table, files: Mapping[str, Table]) -> Table:
    t.only(*KEYS)
    if Text("extends") not in t:
        return t
    other = t.text("extends")
    if other not in files or files[other] is t or Text("extends") in files[other]:
        raise t.fail(f"extends names {str(other)!r}, which is no case file that stands for itself", other)
    whole = Table({**files[other], **t})
    whole.path, whole.line = t.path, t.line
    own = Table({**files[other].table("constituents"), **t.table("constituents")})
    own.path, own.line = t.path, t.line
    whole[Text("constituents")] = own
    return whole


def _case(name: str, t: Table, spelling: Mapping[str, str]) -> CaseDefinition:
    constituents = {str(name): _constituent(c) for name, c in t.tables("constituents")}
    for constituent in constituents.values():
        _known(t, (*constituent.near, *constituent.side_of), constituents, "constituent")
    named = [t.texts(key) for key in ("site", "sized", "phased")]
    _known(t, [n for names in named for n in names], constituents, "constituent")
    site, sized, phased = (tuple(map(str, names)) for names in named)
    phases = t.table("phases")
    return CaseDefinition(
        name=name,
        title=str(t.text("title")),
        likely=frozenset(map(str, t.texts("likely"))),
        constituents=constituents,
        tiers=tuple(_tier(t, row, constituents) for row in t.items_of("tiers")),
        types=tuple(_depth(t, row, constituents, spelling) for row in t.items_of("types")),
        site=site,
        sized=sized,
        raises=tuple(_together(t, row, constituents) for row in t.items_of("raises")),
        lowers=tuple(_together(t, row, constituents) for row in t.items_of("lowers")),
        phases={str(n): _phrases(phases.texts(n), spelling) for n in phases},
        phased=phased,
        path=t.path,
    )


def _constituent(c: Table) -> Constituent:
    c.only(*"findings assertions changes near side_of with_words with_findings final not_on notes".split())
    _known(c, c.texts("assertions"), ASSERTIONS, "assertion")
    return Constituent(
        findings=frozenset(map(str, c.texts("findings"))),
        assertions=frozenset(map(str, c.texts("assertions"))),
        changes=frozenset(map(str, c.texts("changes"))),
        near=tuple(map(str, c.texts("near"))),
        side_of=tuple(map(str, c.texts("side_of"))),
        with_words=tuple(tuple(str(w).lower().split()) for w in c.texts("with_words")),
        with_findings=frozenset(map(str, c.texts("with_findings"))),
        final=c.text("final", "") == "yes",
        not_on=frozenset(map(str, c.texts("not_on"))),
    )


def _tier(t: Table, row: Any, constituents: Mapping[str, Constituent]) -> Tier:
    if not isinstance(row, Table):
        raise t.fail("a tier is a mapping with tier, all, none", row)
    row.only("tier", "all", "none")
    _known(row, [row.text("tier")], ("definite", "probable", "possible"), "tier")
    _known(row, row.texts("all") + row.texts("none"), constituents, "constituent")
    return Tier(str(row.text("tier")), tuple(map(str, row.texts("all"))), tuple(map(str, row.texts("none"))))


def _together(t: Table, row: Any, constituents: Mapping[str, Constituent]) -> tuple[str, ...]:
    if not isinstance(row, list):
        raise t.fail("raises and lowers hold lists of constituents that are there together", row)
    _known(t, row, constituents, "constituent")
    return tuple(map(str, row))


def _depth(t: Table, row: Any, constituents: Mapping[str, Constituent], spelling: Mapping[str, str]) -> Depth:
    if not isinstance(row, Table):
        raise t.fail("a type is a mapping with type, of, words, with_words", row)
    row.only("type", "of", "words", "with_words")
    _known(row, row.texts("of"), constituents, "constituent")
    words, around = (_phrases(row.texts(key), spelling) for key in ("words", "with_words"))
    return Depth(str(row.text("type")), tuple(map(str, row.texts("of"))), words, around)


def _phrases(written: Iterable[str], spelling: Mapping[str, str]) -> Phrases:
    return tuple(tuple(split_words(w, spelling).forms) for w in written)


def _known(t: Table, names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise t.fail(f"{str(name)!r} is no {what} ({', '.join(known)}){meant(name, known, '')}", name)
