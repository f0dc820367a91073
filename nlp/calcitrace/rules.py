"""patterns/ -> RuleSet: the rules as data, validated, with errors located at path:line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from calcitrace.casefile import read_cases
from calcitrace.errors import RuleError, UsageError
from calcitrace.kept import keep, recall
from calcitrace.measures import LISTS
from calcitrace.ruleset import (
    ASSERTIONS,
    KINDS,
    Axis,
    CueGroup,
    Example,
    Finding,
    RuleSet,
    SectionRule,
    Site,
    Term,
)
from calcitrace.strictyaml import Faults, Row, Table, Text, read_yaml
from calcitrace.terms import TermReader, combined, inflected
from calcitrace.words import split_words

Read = TypeVar("Read")
STATUSES = ("draft", "reviewed", "retired")
DIRECTIONS = ("forward", "backward", "bidirectional", "pseudo")
FINDING_KEYS = tuple(
    "title status codes references terms not examples at not_at covers local tells_tendon describes kin notes".split()
)
GROUP_KEYS = tuple(
    "sets direction ends_at only never max_scope max_targets turns overrules subject unless_restated past_if_denied"
    " opinion_on terms notes".split()
)
# medspaCy overlooks what ends a scope where that reaches further than the scope on both sides; a cue that only ends
# others therefore reaches next to nothing itself.
PSEUDO_SCOPE = 1
NEEDED_LISTS = (
    "hedges",
    "joiner",
    "stop",
    "lies_in",
    "shows",
    "clause_break",
    "definite",
    "coordinates",
    "inside",
    "within",
    "free_of",
    "holds",
    "attachment",
    "adjective",
    "lies",
    "relates",
    "finite",
    "plural",
    "joins_sides",
    "between_sides",
    "healthy",
    "compares",
    "none_there",
    *LISTS,
)


def patterns_folder() -> Path:
    """The rules that ship with the package, or those of the checkout."""
    shipped = Path(__file__).parent / "patterns"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "patterns"


@lru_cache(maxsize=8)
def load_rules(patterns: Path | str | None = None) -> RuleSet:
    """Read and validate a patterns folder (by default the one that ships with calcitrace).

    Raises:
        UsageError: the folder does not exist.
        RuleError: a file is wrong, with its path:line; of several wrong files, the first fault of each.
    """
    root = Path(patterns) if patterns else patterns_folder()
    if not root.is_dir():
        raise UsageError(f"no patterns folder at {root}; give a folder that holds findings/ and context/")
    spelling, ruleset_hash = _spelling(root), _hash(root)
    checked = recall("checked", ruleset_hash) is True
    reader = _Reader(root, spelling, checked)
    if not reader.files("findings"):
        raise RuleError(f"{root.name}/findings", 0, "no finding files (*.yml) here")
    rules = RuleSet(
        findings={f.name: f for f in reader.each(reader.finding, "findings")},
        axes=dict(reader.each(reader.axis, "context")),
        cues=tuple(g for groups in reader.each(reader.cue_groups, "context") for g in groups),
        sites={s.name: s for sites in reader.each(reader.sites, "anatomy") for s in sites},
        sides=reader.sides(),
        sections=reader.sections(),
        spelling=spelling,
        conditions={f.name: f for f in reader.each(reader.finding, "conditions")},
        cases=read_cases({p.stem: reader.read(p) for p in reader.files("cases")}, spelling),
        words=reader.words(),
        hash=ruleset_hash,
        root=str(root),
        slips=reader.slips(),
        modalities=reader.modalities(),
        context_examples=tuple(e for own in reader.each(reader.context_examples, "context") for e in own),
    )
    reader.faults.check()
    _check_names(rules)
    if not checked:
        keep("checked", ruleset_hash, True)
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

    def __init__(self, root: Path, spelling: Mapping[str, str], checked: bool) -> None:
        self.root, self.spelling = root, spelling
        terms = TermReader(spelling, self.words(), checked)
        self.terms, self.kinds = terms.read, terms.kinds
        self.faults = Faults()

    def files(self, folder: str) -> list[Path]:
        return sorted((self.root / folder).glob("*.yml"))

    def each(self, read: Callable[[Path], Read], folder: str) -> list[Read]:
        """What the files of a folder hold; a fault is kept in `faults`, so that one does not hide another."""
        found = []
        for path in self.files(folder):
            with self.faults.kept():
                found.append(read(path))
        return found

    def read(self, path: Path) -> Table:
        return read_yaml(path, f"{self.root.name}/{path.relative_to(self.root).as_posix()}")

    def finding(self, path: Path) -> Finding:
        t = self.read(path).only(*FINDING_KEYS)
        status = t.text("status", "draft")
        if status not in STATUSES:
            raise t.fail(f"status {str(status)!r} is not one of {', '.join(STATUSES)}", status)
        at, not_at = self.kinds(t, "at"), self.kinds(t, "not_at")
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
            tells_tendon=t.text("tells_tendon", "") == "yes",
            describes=t.text("describes", "") == "yes",
            kin=frozenset(map(str, t.texts("kin"))),
        )

    def words(self) -> dict[str, frozenset[str]]:
        """The named lists of words.yml, in standard words; those that linking needs are there, if only empty."""
        path = self.root / "words.yml"
        t = self.read(path) if path.exists() else Table()
        found = {str(n): frozenset(" ".join(split_words(w, self.spelling).forms) for w in _written(t, n)) for n in t}
        return {**dict.fromkeys(NEEDED_LISTS, frozenset()), **found}

    def slips(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """What dictation leaves in a text, by name: first word ("" where none is fixed) and regular expression."""
        path = self.root / "dictation.yml"
        if not path.exists():
            return {}
        t = self.read(path).only("slips", "notes")
        return {str(name): _slip(s.only("phrases", "regex", "notes")) for name, s in t.tables("slips")}

    def modalities(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """What each modality is called, in standard words."""
        path = self.root / "modalities.yml"
        if not path.exists():
            return {}
        t = self.read(path).only("modalities", "notes").table("modalities")
        return {str(n): tuple(tuple(split_words(w, self.spelling).forms) for w in t.texts(n)) for n in t}

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

    def context_examples(self, path: Path) -> list[Example]:
        return list(self.examples(self.read(path)))

    def cue_groups(self, path: Path) -> list[CueGroup]:
        t = self.read(path)
        return list(self._groups(t, str(t.text("axis"))))

    def _groups(self, t: Table, axis: str) -> Iterator[CueGroup]:
        for name, g in t.tables("groups"):
            g.only(*GROUP_KEYS)
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
                max_scope=g.whole("max_scope") or (PSEUDO_SCOPE if direction == "pseudo" else None),
                max_targets=g.whole("max_targets"),
                where=f"{g.path}:{name.line}",
                turns=frozenset(map(str, g.texts("turns"))),
                overrules=frozenset(map(str, g.texts("overrules"))),
                unless_restated=g.text("unless_restated", "") == "yes",
                opinion_on=frozenset(map(str, g.texts("opinion_on"))),
                past_if_denied=g.text("past_if_denied", "") == "yes",
                subject=g.text("subject", "") == "yes",
            )

    def sites(self, path: Path) -> list[Site]:
        t = self.read(path)
        return list(self._entries(t)) if Text("kind") in t else []

    def _entries(self, t: Table) -> Iterator[Site]:
        t.only("kind", "entries", "references", "notes")
        kind = t.text("kind")
        if kind not in KINDS:
            raise t.fail(f"kind {str(kind)!r} is not one of {', '.join(KINDS)}", kind)
        for name, e in t.tables("entries"):
            e.only("terms", "bone", "landmark", "region", "generic", "weak", "title_only")
            yield Site(
                name=str(name),
                kind=str(kind),
                terms=self.terms(e, "terms", f"site {name}"),
                bone=str(e.text("bone", "")),
                landmark=str(e.text("landmark", "")),
                region=str(e.text("region", "")),
                generic=e.text("generic", "") == "yes",
                weak=e.text("weak", "") == "yes",
                title_only=e.text("title_only", "") == "yes",
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
            raise RuleError(f"{self.root.name}/sections.yml", 0, "missing; it names the headings of sections")
        t = self.read(path).only("sections", "notes")
        found = {}
        for name, s in t.tables("sections"):
            s.only("headings", "sets", "never", "denials", "unless_restated", "past_if_denied", "notes")
            found[str(name)] = SectionRule(
                str(name),
                tuple(map(str, s.texts("headings"))),
                {str(k): str(v) for k, v in s.table("sets").items()},
                frozenset(map(str, s.texts("never"))),
                s.text("denials", "") == "kept",
                s.text("unless_restated", "") == "yes",
                s.text("past_if_denied", "") == "yes",
            )
        return found


def _written(t: Table, key: str) -> Iterator[Text]:
    """The phrases of a list: each as it stands, and those that a `combine` writes out."""
    for item in t.items_of(key):
        if isinstance(item, Text):
            yield item
        elif isinstance(item, Table):
            item.only("combine", "verbs")
            yield from combined(item) if Text("combine") in item else _inflected(item)
        else:
            raise t.fail(f"{key} holds phrases, and mappings with combine", item)


def _inflected(item: Table) -> Iterator[Text]:
    for verb in item.texts("verbs"):
        for form in inflected(verb):
            text = Text(form)
            text.line = verb.line
            yield text


def _slip(t: Table) -> tuple[tuple[str, str], ...]:
    """The ways of a slip: a first word with the regex of all phrases that begin with it, and each written regex."""
    rests: dict[str, list[str]] = {}
    for phrase in _written(t, "phrases"):
        first, *rest = phrase.lower().split()
        rests.setdefault(first, []).append("".join(rf"\s+{re.escape(word)}" for word in rest))
    ways = [(first, rf"\b{re.escape(first)}(?:{'|'.join(own)})\b") for first, own in rests.items()]
    for regex in t.texts("regex"):
        try:
            re.compile(regex)
        except re.error as error:
            raise t.fail(f"regex does not compile: {error}", regex) from None
        ways.append(("", regex))
    if not ways:
        raise t.fail("a slip needs phrases or regex")
    return tuple(ways)


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
    for axis in ("presence", "temporality", "experiencer", "change"):
        if axis not in rules.axes:
            raise RuleError(f"{Path(rules.root).name}/context", 0, f"no file here describes the axis {axis!r}")
    for g in rules.cues:
        path, _, line = g.where.rpartition(":")
        for key in ("ends_at", "turns", "overrules"):
            for name in sorted(getattr(g, key) - groups):
                raise RuleError(path, int(line), f"{key} names {name!r}, which is no group")
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
            for name in constituent.not_on - set(rules.modalities):
                raise RuleError(case.path, 1, f"not_on names {name!r}, which is no modality of modalities.yml")
            for name in constituent.findings - set(named):
                raise RuleError(case.path, 1, f"{name!r} is no finding or condition")
    for finding in named.values():
        for key in ("covers", "kin"):
            for name in sorted(getattr(finding, key) - set(named)):
                raise RuleError(finding.path, 1, f"{key} names {name!r}, which is no finding")
