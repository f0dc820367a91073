"""patterns/ -> RuleSet: the rules as data, validated, with errors located at path:line."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from calcitrace.errors import RuleError, UsageError
from calcitrace.strictyaml import Row, Table, Text, read_yaml
from calcitrace.words import split_words

STATUSES = ("draft", "reviewed", "retired")
DIRECTIONS = ("forward", "backward", "bidirectional", "pseudo")
ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
KINDS = ("bone", "tendon", "bursa", "joint", "soft_tissue", "cartilage", "organ", "bone_interior")
MAX_COMBINED = 5000
LINK_WORDS = ("joiner", "lies_in", "shows", "clause_break")


@dataclass(frozen=True, slots=True)
class Term:
    """One way of saying something: a phrase in standard words, or a medspaCy token or regex pattern.

    `at` / `not_at` are the anatomy kinds at which alone / never the words count; `after` the findings of which one
    must be the nearest before it in the sentence.
    """

    rule_id: str
    phrase: tuple[str, ...] = ()
    tokens: tuple[Mapping[str, Any], ...] | None = None
    regex: str | None = None
    at: frozenset[str] = frozenset()
    not_at: frozenset[str] = frozenset()
    after: frozenset[str] = frozenset()
    where: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence of a rule file with what it must give; `start:end` is the marked mention, if any."""

    text: str
    expected: str
    start: int
    end: int
    where: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is sought: its terms, its confusers (`nots`) and its examples.

    In a report of another body region a `local` finding counts only at a bone, tendon, bursa or joint.
    """

    name: str
    title: str
    status: str
    terms: tuple[Term, ...]
    nots: tuple[Term, ...]
    covers: frozenset[str]
    examples: tuple[Example, ...]
    references: tuple[str, ...]
    path: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class CueGroup:
    """Context rules of one behaviour: what they set, which way they reach, and which groups end their reach."""

    name: str
    axis: str
    sets: Mapping[str, str]
    direction: str
    ends_at: frozenset[str]
    terms: tuple[Term, ...]
    only: frozenset[str]
    never: frozenset[str]
    max_scope: int | None
    max_targets: int | None
    where: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of an assertion: its values, strongest first, and the value where nothing is said."""

    name: str
    default: str
    precedence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """An anatomical structure: its kind, its terms, and what it says of bone, landmark, side and region."""

    name: str
    kind: str
    terms: tuple[Term, ...]
    bone: str = ""
    landmark: str = ""
    region: str = ""
    generic: bool = False


@dataclass(frozen=True, slots=True)
class SectionRule:
    """A kind of section: its headings and what standing in it does to a mention."""

    name: str
    headings: tuple[str, ...]
    sets: Mapping[str, str]
    never: frozenset[str]
    keeps_denials: bool = False


@dataclass(frozen=True, slots=True)
class Constituent:
    """A set of mentions that a case definition asks for; `near` names constituents that must share bone and side.

    `with_words`: one of these must stand in its sentence (a word that ends in * is a beginning), `with_findings`: a
    present mention of one of these too; `final`: it must
    stand in the conclusion, or anywhere but the history where the report has no conclusion.
    """

    findings: frozenset[str]
    assertions: frozenset[str]
    changes: frozenset[str] = frozenset()
    near: tuple[str, ...] = ()
    with_words: tuple[tuple[str, ...], ...] = ()
    with_findings: frozenset[str] = frozenset()
    final: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier and the constituents that must (`needs`) and must not (`bars`) be there."""

    tier: str
    needs: tuple[str, ...]
    bars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Depth:
    """A migration type and the constituents (and words in them) that show it; the deepest stands first."""

    type: str
    of: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class CaseDefinition:
    """Who is a case: constituents, tiers in order (the first that fits counts), migration types by depth."""

    name: str
    title: str
    likely: frozenset[str]
    constituents: Mapping[str, Constituent]
    tiers: tuple[Tier, ...]
    types: tuple[Depth, ...]
    site: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules of one patterns folder; `hash` is the SHA-256 of its files."""

    findings: Mapping[str, Finding]
    axes: Mapping[str, Axis]
    cues: tuple[CueGroup, ...]
    sites: Mapping[str, Site]
    sides: Mapping[str, tuple[Term, ...]]
    sections: Mapping[str, SectionRule]
    spelling: Mapping[str, str]
    conditions: Mapping[str, Finding]
    cases: Mapping[str, CaseDefinition]
    words: Mapping[str, frozenset[str]]
    hash: str
    root: str
    context_examples: tuple[Example, ...] = field(default=())


def patterns_folder() -> Path:
    """The rules that ship with the package, or those of the checkout."""
    shipped = Path(__file__).parent / "patterns"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "patterns"


@lru_cache(maxsize=8)
def load_rules(patterns: Path | str | None = None) -> RuleSet:
    """Read and validate a patterns folder (by default the one that ships with calcitrace).

    Raises:
        UsageError: the folder does not exist.
        RuleError: a file is wrong, with its path:line.
    """
    root = Path(patterns) if patterns else patterns_folder()
    if not root.is_dir():
        raise UsageError(f"no patterns folder at {root}; give a folder that holds findings/ and context/")
    spelling = _spelling(root)
    reader = _Reader(root, spelling)
    findings = {f.name: f for f in map(reader.finding, reader.files("findings"))}
    if not findings:
        raise RuleError(f"{root.name}/findings", 1, "no finding files (*.yml) here")
    rules = RuleSet(
        findings=findings,
        axes=dict(reader.axis(p) for p in reader.files("context")),
        cues=tuple(g for p in reader.files("context") for g in reader.cue_groups(p)),
        sites={s.name: s for p in reader.files("anatomy") for s in reader.sites(p)},
        sides=reader.sides(),
        sections=reader.sections(),
        spelling=spelling,
        conditions={f.name: f for f in map(reader.finding, reader.files("conditions"))},
        cases={p.stem: reader.case(p) for p in reader.files("cases")},
        words=reader.words(),
        hash=_hash(root),
        root=str(root),
        context_examples=tuple(e for p in reader.files("context") for e in reader.context_examples(p)),
    )
    _check_names(rules)
    return rules


def _hash(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.yml"), key=lambda p: p.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def _spelling(root: Path) -> dict[str, str]:
    path = root / "spelling.yml"
    if not path.exists():
        return {}
    table = read_yaml(path, f"{root.name}/spelling.yml")
    found: dict[str, str] = {}
    for standard in table:
        for variant in table.texts(standard):
            if found.setdefault(str(variant), str(standard)) != standard:
                raise table.fail(f"{str(variant)!r} has two standard spellings", variant)
    return found


class _Reader:
    """Reads the files of one patterns folder; holds what every one of them needs."""

    def __init__(self, root: Path, spelling: Mapping[str, str]) -> None:
        self.root, self.spelling = root, spelling
        self._lists = {name: _alternatives(words) for name, words in self.words().items() if words}

    def files(self, folder: str) -> list[Path]:
        return sorted((self.root / folder).glob("*.yml"))

    def read(self, path: Path) -> Table:
        return read_yaml(path, f"{self.root.name}/{path.relative_to(self.root).as_posix()}")

    def finding(self, path: Path) -> Finding:
        t = self.read(path).only(
            "title",
            "status",
            "codes",
            "references",
            "terms",
            "not",
            "examples",
            "at",
            "not_at",
            "covers",
            "local",
            "notes",
        )
        status = t.text("status", "draft")
        if status not in STATUSES:
            raise t.fail(f"status {str(status)!r} is not one of {', '.join(STATUSES)}", status)
        at, not_at = self._kinds(t, "at"), self._kinds(t, "not_at")
        terms = () if status == "retired" else self.terms(t, "terms", path.stem, at, not_at)
        if not terms and status != "retired":
            raise t.fail("a finding needs at least one term")
        return Finding(
            name=path.stem,
            title=str(t.text("title")),
            status=str(status),
            terms=terms,
            nots=self.terms(t, "not", f"not {path.stem}"),
            covers=frozenset(map(str, t.texts("covers"))),
            examples=tuple(self.examples(t)),
            references=tuple(map(str, t.texts("references"))),
            path=t.path,
            local=t.text("local", "") == "yes",
        )

    def _kinds(self, t: Table, key: str) -> frozenset[str]:
        for kind in t.texts(key):
            if kind not in KINDS:
                raise t.fail(f"{str(kind)!r} is not an anatomy kind ({', '.join(KINDS)})", kind)
        return frozenset(map(str, t.texts(key)))

    def terms(
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
                item.only("term", "combine", "tokens", "regex", "id", "at", "not_at", "after")
                own_at, own_not = self._kinds(item, "at") or at, self._kinds(item, "not_at") or not_at
                found += self._mapped(item, owner, own_at, own_not, where)
            elif isinstance(item, Text):
                found += self._phrases(t, item, owner, at, not_at, where)
            else:
                raise t.fail("a term is a phrase or a mapping", item)
        return tuple(found)

    def _mapped(
        self, item: Table, owner: str, at: frozenset[str], not_at: frozenset[str], where: str
    ) -> Iterator[Term]:
        if Text("combine") in item:
            for phrase in _combined(item):
                yield from self._phrases(item, phrase, owner, at, not_at, where)
        elif Text("term") in item:
            yield from self._phrases(item, item.text("term"), owner, at, not_at, where)
        elif Text("tokens") in item:
            tokens = tuple(_token(item, token) for token in item.items_of("tokens"))
            name = json.dumps(tokens, separators=(",", ":"))
            yield Term(f"{owner}:{name}", tokens=tokens, at=at, not_at=not_at, where=where)
        elif Text("regex") in item:
            after = frozenset(map(str, item.texts("after")))
            regex = self._regex(item, item.text("regex"))
            rule_id = f"{owner}:{item.text('id', f'line {item.line}')}"
            yield Term(rule_id, regex=regex, at=at, not_at=not_at, after=after, where=where)
        else:
            raise item.fail("a term mapping needs one of: term, combine, tokens, regex")

    def _regex(self, item: Table, regex: Text) -> str:
        """The regular expression with each `<name>` replaced by its list of `words.yml`."""
        missing = [name for name in _NAMED.findall(regex) if name not in self._lists]
        if missing:
            raise item.fail(f"<{missing[0]}> is no list of words.yml ({', '.join(self._lists)})", regex)
        written = _NAMED.sub(lambda m: self._lists[m[1]], regex)
        try:
            re.compile(written)
        except re.error as error:
            raise item.fail(f"regex does not compile: {error}", regex) from None
        return written

    def words(self) -> dict[str, frozenset[str]]:
        """The named lists of words.yml, in standard words; those that linking needs are there, if only empty."""
        path = self.root / "words.yml"
        t = self.read(path) if path.exists() else Table()
        found = {str(n): frozenset(" ".join(split_words(w, self.spelling).forms) for w in t.texts(n)) for n in t}
        return {**dict.fromkeys(LINK_WORDS, frozenset()), **found}

    def _phrases(
        self, t: Table, text: str, owner: str, at: frozenset[str], not_at: frozenset[str], where: str
    ) -> Iterator[Term]:
        forms = split_words(text, self.spelling).forms
        if not forms:
            raise t.fail("a term has no words", text)
        rule_id = f"{owner}:{' '.join(forms)}"
        yield Term(rule_id, phrase=forms, at=at, not_at=not_at, where=where)
        many = plural(forms[-1])
        if many and not owner.startswith(("context", "side", "site")):
            yield Term(rule_id, phrase=(*forms[:-1], many), at=at, not_at=not_at, where=where)

    def examples(self, t: Table) -> Iterator[Example]:
        for row in t.items_of("examples"):
            if not isinstance(row, Row) or len(row) not in (2, 3) or not all(isinstance(v, Text) for v in row):
                raise t.fail("an example is [sentence, expected] or [sentence, expected, change]", row)
            yield _example(t, row)

    def axis(self, path: Path) -> tuple[str, Axis]:
        t = self.read(path).only("axis", "default", "precedence", "groups", "references", "notes", "examples")
        values = tuple(map(str, t.texts("precedence")))
        default = str(t.text("default"))
        if default not in values:
            raise t.fail(f"default {default!r} is not in precedence")
        return str(t.text("axis")), Axis(str(t.text("axis")), default, values)

    def context_examples(self, path: Path) -> Iterator[Example]:
        yield from self.examples(self.read(path))

    def cue_groups(self, path: Path) -> Iterator[CueGroup]:
        t = self.read(path)
        axis = str(t.text("axis"))
        for name, g in t.tables("groups"):
            g.only("sets", "direction", "ends_at", "only", "never", "max_scope", "max_targets", "terms", "notes")
            direction = g.text("direction", "forward")
            if direction not in DIRECTIONS:
                raise g.fail(f"direction {str(direction)!r} is not one of {', '.join(DIRECTIONS)}", direction)
            yield CueGroup(
                name=str(name),
                axis=axis,
                sets={str(k): str(v) for k, v in g.table("sets").items()},
                direction=str(direction),
                ends_at=frozenset(map(str, g.texts("ends_at"))),
                terms=self.terms(g, "terms", f"context {name}"),
                only=frozenset(map(str, g.texts("only"))),
                never=frozenset(map(str, g.texts("never"))),
                max_scope=g.whole("max_scope"),
                max_targets=g.whole("max_targets"),
                where=f"{g.path}:{name.line}",
            )

    def sites(self, path: Path) -> Iterator[Site]:
        t = self.read(path)
        if Text("kind") not in t:
            return
        t.only("kind", "entries", "references", "notes")
        kind = t.text("kind")
        if kind not in KINDS:
            raise t.fail(f"kind {str(kind)!r} is not one of {', '.join(KINDS)}", kind)
        for name, e in t.tables("entries"):
            e.only("terms", "bone", "landmark", "region", "generic")
            yield Site(
                name=str(name),
                kind=str(kind),
                terms=self.terms(e, "terms", f"site {name}"),
                bone=str(e.text("bone", "")),
                landmark=str(e.text("landmark", "")),
                region=str(e.text("region", "")),
                generic=e.text("generic", "") == "yes",
            )

    def sides(self) -> dict[str, tuple[Term, ...]]:
        path = self.root / "anatomy" / "sides.yml"
        if not path.exists():
            return {}
        t = self.read(path).only("sides", "notes")
        return {str(name): self.terms(e.only("terms"), "terms", f"side {name}") for name, e in t.tables("sides")}

    def sections(self) -> dict[str, SectionRule]:
        path = self.root / "sections.yml"
        if not path.exists():
            raise RuleError(f"{self.root.name}/sections.yml", 1, "missing; it names the headings of sections")
        t = self.read(path).only("sections", "notes")
        found = {}
        for name, s in t.tables("sections"):
            s.only("headings", "sets", "never", "denials", "notes")
            found[str(name)] = SectionRule(
                str(name),
                tuple(map(str, s.texts("headings"))),
                {str(k): str(v) for k, v in s.table("sets").items()},
                frozenset(map(str, s.texts("never"))),
                s.text("denials", "") == "kept",
            )
        return found

    def case(self, path: Path) -> CaseDefinition:
        t = self.read(path).only(
            "title", "status", "references", "notes", "likely", "constituents", "tiers", "types", "site"
        )
        constituents = {str(name): self.constituent(c) for name, c in t.tables("constituents")}
        for constituent in constituents.values():
            _known(t, constituent.near, constituents, "constituent")
        tiers = tuple(self.tier(t, row, constituents) for row in t.items_of("tiers"))
        types = tuple(self.depth(t, row, constituents) for row in t.items_of("types"))
        _known(t, t.texts("site"), constituents, "constituent")
        return CaseDefinition(
            name=path.stem,
            title=str(t.text("title")),
            likely=frozenset(map(str, t.texts("likely"))),
            constituents=constituents,
            tiers=tiers,
            types=types,
            site=tuple(map(str, t.texts("site"))),
            path=t.path,
        )

    def constituent(self, c: Table) -> Constituent:
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

    def tier(self, t: Table, row: Any, constituents: Mapping[str, Constituent]) -> Tier:
        if not isinstance(row, Table):
            raise t.fail("a tier is a mapping with tier, all, none", row)
        row.only("tier", "all", "none")
        _known(row, [row.text("tier")], ("definite", "probable", "possible"), "tier")
        _known(row, row.texts("all") + row.texts("none"), constituents, "constituent")
        return Tier(str(row.text("tier")), tuple(map(str, row.texts("all"))), tuple(map(str, row.texts("none"))))

    def depth(self, t: Table, row: Any, constituents: Mapping[str, Constituent]) -> Depth:
        if not isinstance(row, Table):
            raise t.fail("a type is a mapping with type, of, words", row)
        row.only("type", "of", "words")
        _known(row, row.texts("of"), constituents, "constituent")
        words = tuple(split_words(w, self.spelling).forms for w in row.texts("words"))
        return Depth(str(row.text("type")), tuple(map(str, row.texts("of"))), words)


def _known(t: Table, names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise t.fail(f"{str(name)!r} is no {what} ({', '.join(known)})", name)


def plural(word: str) -> str:
    """The regular English plural of a noun, or "" where the word has none (numbers, marks, plurals, short words)."""
    if not word.isalpha() or len(word) < 3 or word.endswith("s"):
        return ""
    if word.endswith(("x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _combined(item: Table) -> Iterator[Text]:
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


_NAMED = re.compile(r"<([a-z_]+)>")


def _alternatives(forms: Iterable[str]) -> str:
    """A group that matches any of the words, the longest first."""
    return "(?:" + "|".join(sorted(map(re.escape, forms), key=lambda w: (-len(w), w))) + ")"


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


_BRACES = re.compile(r"\{([^{}]*)\}")


def _example(t: Table, row: Row) -> Example:
    marked, expected = row[0], str(row[1])
    if expected not in (*ASSERTIONS, "none"):
        raise t.fail(f"expected {expected!r} is not one of {', '.join((*ASSERTIONS, 'none'))}", row[1])
    text = _BRACES.sub(r"\1", marked)
    found = _BRACES.search(marked)
    if not found and expected != "none":
        raise t.fail("an example needs one mention in {braces}, unless it expects none", marked)
    start, end = (found.start(), found.end() - 2) if found else (0, len(text))
    return Example(text, expected, start, end, f"{t.path}:{marked.line}", str(row[2]) if len(row) > 2 else "")


def _check_names(rules: RuleSet) -> None:
    """Names used across files must exist: cue groups, axes and their values, findings."""
    groups = {g.name for g in rules.cues}
    for g in rules.cues:
        path, _, line = g.where.rpartition(":")
        for name in g.ends_at - groups:
            raise RuleError(path, int(line), f"ends_at names {name!r}, which is no group")
        for name in (g.only | g.never) - set(rules.findings):
            raise RuleError(path, int(line), f"{name!r} is no finding")
        for axis, value in g.sets.items():
            if axis not in rules.axes:
                raise RuleError(path, int(line), f"sets names {axis!r}, which is no axis")
            if value not in rules.axes[axis].precedence:
                raise RuleError(path, int(line), f"{value!r} is not a value of {axis}")
    named = {**rules.findings, **rules.conditions}
    for case in rules.cases.values():
        for constituent in case.constituents.values():
            for name in constituent.findings - set(named):
                raise RuleError(case.path, 1, f"{name!r} is no finding or condition")
    for finding in named.values():
        for name in finding.covers - set(named):
            raise RuleError(finding.path, 1, f"covers names {name!r}, which is no finding")
