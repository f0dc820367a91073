"""The links of the mentions of one sentence: tendon, bone, landmark, side and size, from the words around them.

Anatomy is data (patterns/anatomy/); this module only weighs where it stands: within the mention, after a
preposition, right before, elsewhere in the clause, in the subhead, in the sentence before, in the title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calcitrace.measures import Measure, measurements, size_changes
from calcitrace.ruleset import Site
from calcitrace.sites import Hit, Link, Linker
from calcitrace.subjects import subject
from calcitrace.words import Words

_FAR = 100.0
_CLOSE = 2.5
_NEAR = 7.0
_VAGUE = 8.0
_SAME_MATTER = 12.0
_SKELETAL = frozenset({"bone", "bone_interior", "tendon", "bursa", "joint"})
_ONE_CLAIM = 2
_LISTED = frozenset({"and", "or", ",", "/", "no", "nor"})
_SIZED_NOUN = 5  # words within which a measured noun follows its size
_BONE = ("bone", "bone_interior")
_HELD = 5  # words between "the cyst" and what it holds or is free of
_INVERTED = 9  # words between "in the patella" and what is there
_OPENS = frozenset({",", ";", ":", ".", "and"})
_ONLY_CLOSE = frozenset({"organ", "cartilage", "bone_interior"})


@dataclass(slots=True)
class Circumstances:
    """What a sentence stands in, as far as the links of its mentions depend on it.

    `side` is that of the whole report, `subside` and `subsites` those of the heading above; the last site, tendon and
    side are those that the sentences before have named.
    """

    linker: Linker
    region: str = ""
    side: str = "none"
    subside: str = "none"
    subsites: tuple[Site, ...] = ()
    last_site: Site | None = None
    last_tendon: Site | None = None
    last_side: str = "none"
    on_heading_line: bool = False  # it stands on the line of its subhead, or that stands on a line of its own

    def as_key(self) -> tuple[object, ...]:
        """All of it, to be looked up by."""
        return (
            self.region,
            self.side,
            self.subside,
            self.subsites,
            self.last_site,
            self.last_tendon,
            self.last_side,
            self.on_heading_line,
        )


class Sides:
    """The links of the mentions of one sentence."""

    def __init__(
        self,
        session: Circumstances,
        words: Words,
        sites: Sequence[tuple[Hit, Site]],
        sides: Sequence[Hit],
        targets: Sequence[Hit],
    ) -> None:
        self._session, self._words, self._sites, self._targets = session, words, sites, targets
        self._on_line = session.on_heading_line
        self._known_costs: dict[tuple[int, int], list[tuple[float, Site]]] = {}
        self._targets = [t for t in targets if self.allows(t)]
        self._sides = _named_sides(sides, words.forms, sites)
        self._measures = list(measurements(words.forms, session.linker.words)) if self._targets else []
        self._whole = self._longest()
        self._taken = self._sizes()
        self._changes = self._size_changes()

    def allows(self, hit: Hit) -> bool:
        """Whether the place of the mention is one where its words count (`at`, `not_at` of its term)."""
        term = hit.term
        if term.known:
            return False
        if not term.at and not term.not_at:
            return True
        kind = self.kind(hit)
        kinds = {kind, "bone"} if kind == "bone_interior" else {kind}
        if "bone_interior" in term.at and self._contained(hit):
            kinds.add("bone_interior")
        return (not term.at or bool(kinds & term.at)) and kind not in term.not_at

    def _contained(self, hit: Hit) -> bool:
        """Whether the words say that it lies in a bone: "calcium in the tuberosity", "in the patella, a fleck"."""
        return any(s.kind in _BONE and self._contains(hit, h) for h, s in self._sites)

    def _contains(self, hit: Hit, bone: Hit) -> bool:
        """Whether a bone holds the mention: "calcium in it", "in it, a fleck of calcium", "it contains calcium"."""
        forms, words = self._words.forms, self._session.linker.words
        lead = bone.i - 1
        while lead >= 0 and forms[lead] in words["adjective"]:
            lead -= 1
        own = forms[bone.i] in words["within"]  # "beneath the cortex", "within the bone" bring their own word
        if own:
            lead = bone.i
        before = forms[lead] if lead >= 0 else "."
        if before not in words["relates"] and self._held(hit, bone):
            return True
        around = (*forms[bone.i : bone.j], *forms[bone.j : bone.j + 1])
        if not (own or before in words["inside"]) or not words["attachment"].isdisjoint(around):
            return False
        if hit.j <= lead:
            return all(w in words["lies"] or w.isdigit() for w in forms[hit.j : lead])
        return (lead <= 1 or forms[lead - 1] in _OPENS) and self._follows(hit, bone)

    def _held(self, hit: Hit, bone: Hit) -> bool:
        """Whether the words say that the bone holds the mention, or is free of it."""
        forms, words = self._words.forms, self._session.linker.words
        if bone.j <= hit.i <= bone.j + 1 and forms[hit.i] in words["holds"]:
            return True
        between = forms[bone.j : hit.i]
        said = words["free_of"].intersection(between) or words["holds"].intersection(between)
        return bool(said) and len(between) <= _HELD and "," not in between

    def _follows(self, hit: Hit, bone: Hit) -> bool:
        """Whether the mention follows its place: "in the marrow at this level there is a fleck"."""
        words, between = self._session.linker.words, self._words.forms[bone.j : hit.i]
        if "there" in between:
            between = between[between.index("there") + 1 :]
        others = words["finite"] | words["relates"]
        return bone.j <= hit.i and len(between) <= _INVERTED and not others.intersection(between[1:])

    def known(self, hit: Hit, placed: Sequence[Hit]) -> bool:
        """Whether it is spoken of as known ("the defect", "this erosion"), and nothing that is placed has its words."""
        definite = hit.i > 0 and self._words.forms[hit.i - 1] in self._session.linker.definite
        return definite and not any(p.i < hit.j and hit.i < p.j for p in placed)

    def same_claim(self, one: Hit, other: Hit) -> bool:
        """Whether two mentions stand so close that they tell of one thing, and are not two items of a list."""
        between = self._words.forms[min(one.j, other.j) : max(one.i, other.i)]
        listed = any(w != "," for w in between) and all(w in _LISTED for w in between)
        return len(between) <= _ONE_CLAIM and not listed

    def sited(self, hit: Hit) -> bool:
        """Whether the mention sits at a bone, tendon, bursa or joint of this sentence rather than at an organ.

        A word like "bony" within the mention itself does not tell of which region it is.
        """
        costs = ((c, s) for c, s in self._costs(hit) if not s.weak)
        near = min(((c, s.kind) for c, s in costs if not (c < 0 and s.generic)), default=(_FAR, ""))
        inside = near[0] < 0 and near[1] == "soft_tissue"
        return inside or (near[0] < _NEAR and near[1] in _SKELETAL)

    def kind(self, hit: Hit) -> str:
        """The anatomy kind at which the mention sits, or "" where nothing tells."""
        near = sorted((c, s.kind) for c, s in self._costs(hit))
        for cost, kind in near:
            if cost <= _CLOSE or kind not in _ONLY_CLOSE:
                return kind
            if kind == "bone_interior":
                return "bone"
        if near and near[0][0] <= _SAME_MATTER:  # the sentence speaks of nothing but organs or cartilage
            return near[0][1]
        if self._session.subsites and (self._on_line or self._session.subsites[0].kind not in _ONLY_CLOSE):
            return self._session.subsites[0].kind
        return self._session.last_site.kind if self._session.last_site else ""

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

    def _costs(self, hit: Hit) -> list[tuple[float, Site]]:
        """How far each structure of the sentence is from a mention."""
        key = hit.i, hit.j
        if key not in self._known_costs:
            self._known_costs[key] = [(self._cost(hit, h), s) for h, s in self._sites]
        return self._known_costs[key]

    def _cost(self, hit: Hit, site: Hit) -> float:
        """How far a structure is from a mention, in words weighted by what stands between."""
        if site.i < hit.j and hit.i < site.j:
            return -1.0
        linker = self._session.linker
        after = site.i >= hit.j
        if (site.i - hit.j if after else hit.i - site.j) > _FAR:
            return _FAR - 1
        between = self._words.forms[hit.j : site.i] if after else self._words.forms[site.j : hit.i]
        if after and all(w in linker.lies or w.isdigit() for w in between):
            if (
                not between
            ):  # "no lytic lesion, atherosclerotic calcification": what follows at once may be another claim
                return _CLOSE + 1.0 if linker.sites[site.name].kind in _ONLY_CLOSE else 1.0
            return 0.2 * len(between)
        if not after and all(w in linker.verbs or w.isdigit() for w in between):
            return 0.1 + 0.25 * len(between)
        cost = 2.0 + len(between)
        cost += sum(8.0 for w in between if w in linker.breaks) + sum(1.0 for w in between if w in (",", "and", "or"))
        return min(cost, _FAR - 1)

    def _side(self, hit: Hit) -> str:
        if self._sides:
            near = min(self._sides, key=lambda s: min(abs(s.i - hit.j), abs(hit.i - s.j)))
            self._session.last_side = near.name
            return near.name
        session = self._session
        if session.subside != "none":
            return session.subside
        if session.side == "bilateral" and session.last_side != "none":
            return session.last_side
        return session.side

    def _size_changes(self) -> dict[Hit, str]:
        """What two measurements of one thing say: "5 mm, previously 13 mm" is a decrease of what they speak of."""
        found: dict[Hit, str] = {}
        if not self._whole:
            return found
        for at, change in size_changes(self._words.forms):
            said_of = [t for t in self._whole if at < t.i <= at + _SIZED_NOUN]
            said_of = said_of or subject(self._whole, self._words.forms, at, at, self._session.linker.words)
            for hit in said_of[:1] or self._whole[:1]:
                found[hit] = change
        return found

    def _longest(self) -> list[Hit]:
        """The hits whose words are not those of another of their finding, nor part of them."""
        kept: list[Hit] = []
        for hit in sorted(self._targets, key=lambda t: (t.term.alone, -t.size, t.i)):
            if not any(hit in k and hit.name == k.name for k in kept):
                kept.append(hit)
        return sorted(kept, key=lambda t: (t.i, t.j))

    def _sizes(self) -> dict[Hit, float]:
        """Each measurement goes to the mention that it stands by; a mention keeps the one that stands closest."""
        found: dict[Hit, tuple[float, float]] = {}
        for measure in self._measures:
            if not self._whole:
                break
            spoken_of = subject(self._whole, self._words.forms, measure.i, measure.i, self._session.linker.words)
            costs = ((self._size_cost(t, measure, t in spoken_of), t) for t in self._whole)
            cost, near = min(costs, key=lambda c: (c[0], c[1].i))
            found[near] = min(found.get(near, (_FAR, 0.0)), (cost, -measure.size_mm))
        return {hit: -size for hit, (_, size) in found.items()}

    def _size_cost(self, hit: Hit, measure: Measure, spoken_of: bool) -> float:
        """How far a measurement is from a mention: "a 9 mm dense deposit", "the deposit ... measures 9 mm"."""
        after = hit.i >= measure.j
        between = self._words.forms[measure.j : hit.i] if after else self._words.forms[hit.j : measure.i]
        linker = self._session.linker
        cost = len(between) + sum(6.0 for w in between if w in linker.breaks or w in (",", "and"))
        if after and not any(w in linker.joiners or w in linker.verbs or w in (",", "(") for w in between):
            return 0.1 * len(between)
        if not after and any(w in linker.words["present_size"] or w in (",", ":", "(") for w in between):
            return 0.5 if spoken_of else 0.5 + 0.3 * cost
        return 1.0 + cost


_LETTERS = {"l": "left", "r": "right"}


def _named_sides(sides: Sequence[Hit], forms: Sequence[str], sites: Sequence[tuple[Hit, Site]]) -> list[Hit]:
    """The side words of a sentence: the longest, without those that name none ("right under"), and "L ilium"."""
    kept: list[Hit] = []
    for hit in sorted(sides, key=lambda h: (-h.size, h.i)):
        if not any(k.i < hit.j and hit.i < k.j for k in kept):
            kept.append(hit)
    letters = [
        Hit("side", _LETTERS[forms[h.i - 1]], h.term, h.i - 1, h.i)
        for h, _ in sites
        if h.i and forms[h.i - 1] in _LETTERS
    ]
    return [h for h in kept if h.name != "none"] + letters
