"""Where the mentions of one sentence sit: at which kind of structure, by the words around them.

Anatomy is data (patterns/anatomy/); this module only weighs where it stands: within the mention, after a
preposition, right before, elsewhere in the clause, in the subhead, in the sentence before, in the title.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calcitrace.circumstances import Circumstances
from calcitrace.ruleset import KINDS, Site, Term
from calcitrace.sites import Hit, Linker
from calcitrace.words import Words

FAR = 100.0
_CLOSE = 2.5
_NEAR = 7.0
_SAME_MATTER = 12.0
_SKELETAL = frozenset({"bone", "bone_interior", "tendon", "bursa", "joint"})
_ONE_CLAIM = 2
_JOINS = frozenset({",", "and", "or"})
_LISTED = frozenset({"and", "or", ",", "/", "no", "nor"})
_BONE = ("bone", "bone_interior")
_HELD = 5  # words between "the cyst" and what it holds or is free of
_INVERTED = 9  # words between "in the patella" and what is there
_OPENS = frozenset({",", ";", ":", ".", "and"})
_ONLY_CLOSE = frozenset({"organ", "cartilage", "bone_interior"})


class Places:
    """Where the mentions of one sentence sit."""

    def __init__(self, linker: Linker, session: Circumstances, words: Words, sites: Sequence[tuple[Hit, Site]]) -> None:
        self._linker, self._session, self._words, self._sites = linker, session, words, sites
        self._known_costs: dict[tuple[int, int], list[tuple[float, Site]]] = {}

    def allows(self, hit: Hit) -> bool:
        """Whether the place of the mention is one where its words count (`at`, `not_at` of its term)."""
        return self._counts_at(hit, lambda: [self.kind(hit)])

    def allows_somewhere(self, hit: Hit) -> bool:
        """Whether there are a heading and a sentence before at which the place would be one where its words count."""
        return self._counts_at(hit, lambda: [own] if (own := self._own_kind(hit)) else ["", *KINDS])

    def _counts_at(self, hit: Hit, kinds: Callable[[], Sequence[str]]) -> bool:
        """Whether its words count at one of these kinds of structure, which are asked for only where it matters."""
        term = hit.term
        if term.known:
            return False
        if not term.at and not term.not_at:
            return True
        contained = {"bone_interior"} if "bone_interior" in term.at and self._contained(hit) else set()
        return any(kind not in term.not_at and self._is_at(term, kind, contained) for kind in kinds())

    def _is_at(self, term: Term, kind: str, contained: set[str]) -> bool:
        """Whether words that sit at this kind of structure, and are contained in these, are where the term asks for."""
        there = {kind, "bone"} if kind == "bone_interior" else {kind}
        return not term.at or bool((there | contained) & term.at)

    def kind(self, hit: Hit) -> str:
        """The anatomy kind at which the mention sits, or "" where nothing tells."""
        own = self._own_kind(hit)
        if own:
            return own
        if self._session.subsites and (
            self._session.on_heading_line or self._session.subsites[0].kind not in _ONLY_CLOSE
        ):
            return self._session.subsites[0].kind
        return self._session.last_site.kind if self._session.last_site else ""

    def _own_kind(self, hit: Hit) -> str:
        """The same by the mention's own sentence alone."""
        near = sorted((c, s.kind) for c, s in self._costs(hit))
        for cost, kind in near:
            if cost <= _CLOSE or kind not in _ONLY_CLOSE:
                return kind
            if kind == "bone_interior":
                return "bone"
        if near and near[0][0] <= _SAME_MATTER:  # the sentence speaks of nothing but organs or cartilage
            return near[0][1]
        return ""

    def _contained(self, hit: Hit) -> bool:
        """Whether the words say that it lies in a bone: "calcium in the tuberosity", "in the patella, a fleck"."""
        return any(s.kind in _BONE and self._contains(hit, h) for h, s in self._sites)

    def _contains(self, hit: Hit, bone: Hit) -> bool:
        """Whether a bone holds the mention: "calcium in it", "in it, a fleck of calcium", "it contains calcium"."""
        forms, words = self._words.forms, self._linker.words
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
        forms, words = self._words.forms, self._linker.words
        if bone.j <= hit.i <= bone.j + 1 and forms[hit.i] in words["holds"]:
            return True
        between = forms[bone.j : hit.i]
        said = words["free_of"].intersection(between) or words["holds"].intersection(between)
        return bool(said) and len(between) <= _HELD and "," not in between

    def _follows(self, hit: Hit, bone: Hit) -> bool:
        """Whether the mention follows its place: "in the marrow at this level there is a fleck"."""
        words, between = self._linker.words, self._words.forms[bone.j : hit.i]
        if "there" in between:
            between = between[between.index("there") + 1 :]
        others = words["finite"] | words["relates"]
        return bone.j <= hit.i and len(between) <= _INVERTED and not others.intersection(between[1:])

    def known(self, hit: Hit, placed: Sequence[Hit]) -> bool:
        """Whether it is spoken of as known ("the defect", "this erosion"), and nothing that is placed has its words."""
        definite = hit.i > 0 and self._words.forms[hit.i - 1] in self._linker.definite
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
        near = min(((c, s.kind) for c, s in costs if not (c < 0 and s.generic)), default=(FAR, ""))
        inside = near[0] < 0 and near[1] == "soft_tissue"
        return inside or (near[0] < _NEAR and near[1] in _SKELETAL)

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
        linker = self._linker
        after = site.i >= hit.j
        if (site.i - hit.j if after else hit.i - site.j) > FAR:
            return FAR - 1
        between = self._words.forms[hit.j : site.i] if after else self._words.forms[site.j : hit.i]
        if after and _only(between, linker.lies):
            if not between:  # "no lytic lesion, atherosclerotic calcification": what follows may be another claim
                return _CLOSE + 1.0 if linker.sites[site.name].kind in _ONLY_CLOSE else 1.0
            return 0.2 * len(between)
        if not after and _only(between, linker.verbs):
            return 0.1 + 0.25 * len(between)
        cost = 2.0 + len(between)
        if not linker.breaks.isdisjoint(between):
            cost += sum(8.0 for w in between if w in linker.breaks)
        if not _JOINS.isdisjoint(between):
            cost += sum(1.0 for w in between if w in _JOINS)
        return min(cost, FAR - 1)


def _only(between: Sequence[str], words: frozenset[str]) -> bool:
    """Whether nothing but these words and numbers stands between."""
    return words.issuperset(between) or all(w in words or w.isdigit() for w in between)
