"""The links of the mentions of one sentence: tendon, bone, landmark, side and size, from the words around them.

Anatomy is data (patterns/anatomy/); this module only weighs where it stands: within the mention, after a
preposition, right before, elsewhere in the clause, in the subhead, in the sentence before, in the title.
"""

from __future__ import annotations

from collections.abc import Sequence

from calcitrace.circumstances import Circumstances
from calcitrace.laterality import OPPOSITE, NamedSides
from calcitrace.measures import Measure, measurements, size_changes
from calcitrace.places import FAR, Places
from calcitrace.ruleset import Site
from calcitrace.sites import LETTERS, OTHER_SIDE, Hit, Link, Linker
from calcitrace.subjects import subject
from calcitrace.words import Words

_VAGUE = 8.0
_AT_ONCE = 1  # words between "a deposit" and "of 9 mm"
_SIZED_NOUN = 5  # words within which a measured noun follows its size

_VERBAL = ("ing", "odes", "ches")  # that a deposit is doing
_LIKELIER_BEFORE = 0.6  # than what stands in the same clause before the size


class Sides(Places):
    """The links of the mentions of one sentence."""

    def __init__(
        self,
        linker: Linker,
        session: Circumstances,
        words: Words,
        sites: Sequence[tuple[Hit, Site]],
        sides: Sequence[Hit],
        targets: Sequence[Hit],
    ) -> None:
        super().__init__(linker, session, words, sites)
        self._targets = [t for t in targets if self.allows(t)]
        self._measures = list(measurements(words.forms, linker.words)) if self._targets else []
        named = sides or not LETTERS.keys().isdisjoint(words.forms)  # "L ilium"
        self._sides = NamedSides(linker, words.forms, sides, sites, self._targets, self._measures) if named else None
        self._whole = self._longest()
        self._taken = self._sizes()
        self._changes = self._size_changes()

    def link(self, hit: Hit) -> Link:
        """Tendon, bone, landmark, side and size of one mention."""
        tendon, bone = self._nearest(hit, "tendon"), self._nearest(hit, "bone")
        if bone and bone.generic:  # "bone" alone tells less than the tendon's insertion
            bone = None
        landmark = bone.name if bone else tendon.landmark if tendon else ""
        bone_name = (bone.bone or bone.name) if bone else tendon.bone if tendon else ""
        joint = None if bone_name else self.near(hit, "joint")
        bone_name = bone_name or (joint.bone if joint else "")
        return Link(
            tendon=tendon.name if tendon else "none",
            bone=bone_name or "none",
            landmark=landmark or "none",
            laterality=self._side(hit),
            size_mm=self._taken.get(hit),
            kind=self.kind(hit),
            change=self._changes.get(hit, "none"),
        )

    def near(self, hit: Hit, kind: str) -> Site | None:
        """The structure of a kind that this sentence ties to the mention, if any."""
        here = [(c + _VAGUE * s.generic, s) for c, s in self._costs(hit) if s.kind == kind]
        return min(here, key=lambda c: c[0])[1] if here else None

    def _nearest(self, hit: Hit, kind: str) -> Site | None:
        here = self.near(hit, kind)
        if here:
            return here
        for site in self._session.subsites:
            if site.kind == kind:
                return site
        last = self._session.last_tendon if kind == "tendon" else self._session.last_site
        return last if last and last.kind == kind else None

    def _side(self, hit: Hit) -> str:
        session = self._session
        if self._sides and (named := self._named(self._sides, hit)):
            session.last_side = named
            return named
        if session.subside != "none":
            return session.subside
        if session.side == "bilateral" and session.last_side != "none":
            return session.last_side
        return session.side

    def _named(self, sides: NamedSides, hit: Hit) -> str:
        """The side that this sentence names for a mention, "" where it names none.

        The other side is that which the report is not of, or that was not spoken of last.
        """
        named, session = sides.of(hit), self._session
        if named == OTHER_SIDE:
            return OPPOSITE.get(session.side) or OPPOSITE.get(session.last_side, "")
        if not named and session.side not in OPPOSITE:
            return OPPOSITE.get(sides.healthy(), "")
        return named

    def _size_changes(self) -> dict[Hit, str]:
        """What two measurements of one thing say: "5 mm, previously 13 mm" is a decrease of what they speak of."""
        found: dict[Hit, str] = {}
        if not self._whole:
            return found
        for at, change in size_changes(self._words.forms):
            said_of = [t for t in self._whole if at < t.i <= at + _SIZED_NOUN]
            said_of = said_of or subject(self._whole, self._words.forms, at, at, self._linker.words)
            for hit in said_of[:1] or self._whole[:1]:
                found[hit] = change
        return found

    def _longest(self) -> list[Hit]:
        """The hits that share no word with a longer one of their finding."""
        kept: list[Hit] = []
        for hit in sorted(self._targets, key=lambda t: (t.term.alone, -t.size, t.i)):
            if not any(hit.name == k.name and k.i < hit.j and hit.i < k.j for k in kept):
                kept.append(hit)
        return sorted(kept, key=lambda t: (t.i, t.j))

    def _sizes(self) -> dict[Hit, float]:
        """Each measurement goes to the mention that it stands by; a mention keeps the one that stands closest.

        That of a quality is also of the deposit it is taken for: "a 9 mm focus, dark on T2, in keeping with calcium".
        """
        found: dict[Hit, tuple[float, float]] = {}
        for measure in self._measures:
            if not self._whole:
                break
            spoken_of = subject(self._whole, self._words.forms, measure.i, measure.i, self._linker.words)
            costs = ((self._size_cost(t, measure, t in spoken_of), t) for t in self._whole)
            cost, near = min(costs, key=lambda c: (c[0], c[1].i))
            found[near] = min(found.get(near, (FAR, 0.0)), (cost, -measure.size_mm))
        sizes = {hit: -size for hit, (_, size) in found.items()}
        for quality in (h for h in sizes.copy() if h.name in self._linker.describes):
            named = [h for h in self._whole if h.i >= quality.j and h.name in self._linker.tells_tendon]
            if named and named[0] not in sizes:
                sizes[named[0]] = sizes[quality]
        return sizes

    def _is_aside(self, measure: Measure) -> bool:
        """Whether a size stands alone in brackets: it is of what stands before them."""
        forms = self._words.forms
        return measure.i > 0 and forms[measure.i - 1] == "(" and forms[measure.j : measure.j + 1] == (")",)

    def _size_cost(self, hit: Hit, measure: Measure, spoken_of: bool) -> float:
        """How far a measurement is from a mention: "a 9 mm dense deposit", "the deposit ... measures 9 mm"."""
        after = hit.i >= measure.j
        between = self._words.forms[measure.j : hit.i] if after else self._words.forms[hit.j : measure.i]
        linker = self._linker
        cost = len(between) + sum(6.0 for w in between if w in linker.breaks or w in (",", "and"))
        if after and (self._is_aside(measure) or self._words.forms[hit.i].endswith(_VERBAL)):
            return _LIKELIER_BEFORE + cost  # "a deposit (9 mm) breaching the cortex", "a deposit of 9 mm eroding it"
        if after and not any(w in linker.joiners or w in linker.verbs or w in (",", "(") for w in between):
            return 0.1 * len(between)
        if not after and len(between) <= _AT_ONCE and not any(w in linker.breaks or w in (",", "and") for w in between):
            return 0.3
        if not after and any(w in linker.words["present_size"] or w in (",", ":", "(") for w in between):
            return 0.5 if spoken_of else 0.5 + 0.3 * cost
        return 1.0 + cost
