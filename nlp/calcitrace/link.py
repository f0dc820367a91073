"""Ties each mention to its tendon, bone, landmark, side and size, from the words around it.

Anatomy is data (patterns/anatomy/); this module only weighs where it stands: within the mention, after a
preposition, right before, elsewhere in the clause, in the subhead, in the sentence before, in the title.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from calcitrace.measures import Measure, measurements, size_changes
from calcitrace.model import Mention, Report, Section
from calcitrace.ruleset import Site
from calcitrace.sites import Hit, Judged, Link, Linker, one_side
from calcitrace.subjects import subject
from calcitrace.words import Words

_FAR = 100.0
MAX_ABBREVIATION = 5
TITLE_LINES = 4
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
class Sentence:
    """What a sentence's text says by itself, whatever report it stands in; equal sentences share one.

    `words` are counted from the sentence's beginning; `sides` are the sides it names, `slips` those of dictation;
    `asks` are the findings of which it matters whether the report has named them.
    """

    text: str
    words: Words
    judged: Judged
    hits: list[Hit]
    sides: Sequence[str]
    slips: frozenset[str]
    asks: frozenset[str]
    sites_in: dict[str, list[tuple[Hit, Site]]] = field(default_factory=dict)
    read_in: dict[object, Any] = field(default_factory=dict)


class Session:
    """What is known while one report is read from top to bottom: its region, its side, the last site."""

    def __init__(self, linker: Linker, report: Report) -> None:
        self.linker = linker
        self._text = report.text
        self._line_end = 0
        self._on_line = False
        head = report.text[:1000].strip().split("\n")
        title = head[0][:200]
        named = linker.region_of(report.body_part) or linker.region_of(title) or ("", False)
        self.region, self.region_is_sure = named
        self.side = linker.side_of(title)
        if self.side == "none":
            self.side = linker.side_of(report.body_part)
        if self.side == "none":
            self.side = one_side(linker.side_of(line[:200]) for line in head[1:TITLE_LINES])
        self.subhead = ""
        self.subsites: tuple[Site, ...] = ()
        self.subside = "none"
        self.last_site: Site | None = None
        self.last_tendon: Site | None = None
        self.last_side = "none"
        self._kinds: Counter[str] = Counter()

    def elsewhere(self) -> bool:
        """Whether the report is of another body region: by its body part or title, else by what it speaks of."""
        if self.region and self.region_is_sure:
            return self.region in self.linker.elsewhere
        skeletal = sum(self._kinds[k] for k in ("bone", "joint", "bursa"))
        return not self._kinds["tendon"] and self._kinds["organ"] >= max(skeletal, 1)

    def enter(self, section: Section, start: int) -> tuple[object, ...]:
        """Go on to a sentence that starts there; all that its links will depend on, besides its own words."""
        self._enter(section)
        self._on_line = start < self._line_end
        return (
            self.region,
            self.side,
            self.subside,
            self.subsites,
            self.last_site,
            self.last_tendon,
            self.last_side,
            self._on_line,
        )

    def remember(self, sentence: Sentence, last_tendon: Site | None, last_side: str) -> None:
        """A sentence was read before under the same circumstances, and this is what came of it."""
        self._remember(self._sites(sentence))
        self.last_tendon, self.last_side = last_tendon, last_side

    def pass_by(self, sentence: Sentence) -> None:
        """A sentence without a target only becomes the memory for the next."""
        self._remember(self._sites(sentence))

    def _remember(self, sites: Sequence[tuple[Hit, Site]]) -> None:
        for _, site in sites:
            if not site.weak:
                self._kinds[site.kind] += 1
            if site.kind in ("bone", "tendon"):
                self.last_site = site

    def _sites(self, sentence: Sentence) -> list[tuple[Hit, Site]]:
        """The structures that the sentence names in a report of this region."""
        found = sentence.sites_in.get(self.region)
        if found is None:
            found = [(h, self.linker.sites[h.name]) for h in self._unambiguous(sentence.judged.sites)]
            sentence.sites_in[self.region] = found
        return found

    def sentence(self, sentence: Sentence) -> Sides:
        """The links of one sentence, which also becomes the memory for the next."""
        resolved, targets = self._sites(sentence), sentence.hits
        found = Sides(self, sentence.words, resolved, sentence.judged.sides, targets)
        self._remember(resolved)
        telling = [t for t in targets if t.name in self.linker.tells_tendon]
        for target in telling or targets:
            near = found.near(target, "tendon")
            if near and (telling or not self.last_tendon):
                self.last_tendon = near
        return found

    def finish(self, mentions: tuple[Mention, ...]) -> tuple[Mention, ...]:
        """The mentions with what only the whole report can tell: an unsaid side or tendon is that of all the others."""
        tendons = {m.tendon for m in mentions if m.finding in self.linker.tells_tendon} - {"none"}
        if len(tendons) == 1:
            tendon = self.linker.sites[next(iter(tendons))]
            mentions = tuple(self._with_tendon(m, tendon) for m in mentions)
        if self.side != "none":
            return mentions
        named = Counter(m.laterality for m in mentions if m.laterality in ("left", "right"))
        if len(named) != 1:
            return mentions
        side = next(iter(named))
        return tuple(replace(m, laterality=side) if m.laterality == "none" else m for m in mentions)

    def _with_tendon(self, mention: Mention, tendon: Site) -> Mention:
        """The mention with the report's only tendon, if it tells of one and has none."""
        if mention.tendon != "none" or mention.finding not in self.linker.tells_tendon:
            return mention
        bone = tendon.bone if mention.bone == "none" and tendon.bone else mention.bone
        return replace(mention, tendon=tendon.name, bone=bone)

    @property
    def on_heading_line(self) -> bool:
        """Whether the sentence stands on the line of its subhead, or that stands on a line of its own."""
        return self._on_line

    def _enter(self, section: Section) -> None:
        key = f"{section.start}"
        if key == self.subhead:
            return
        self.subhead = key
        self._line_end = _end_of_line(self._text, section)
        self.subsites = self.linker.sites_of(section.heading)
        side = self.linker.side_of(section.heading)
        if side != "none":
            self.subside = side
        elif section.name != "findings" or not section.subhead:
            self.subside = "none"

    def _unambiguous(self, hits: Sequence[Hit]) -> list[Hit]:
        """The longest anatomy hits; where words fit several structures, the one of the report's region.

        A structure named right before an organ is part of its name ("metatarsal artery").
        """
        kept: list[Hit] = []
        for hit in sorted(hits, key=lambda h: (-h.size, self._foreign(h), h.i)):
            short = len(" ".join(hit.term.phrase)) <= MAX_ABBREVIATION
            if short and self._foreign(hit):
                continue
            if not any(k.i < hit.j and hit.i < k.j for k in kept):
                kept.append(hit)
        organs = {k.i for k in kept if self.linker.sites[k.name].kind == "organ"}
        return sorted((k for k in kept if k.j not in organs), key=lambda h: h.i)

    def _foreign(self, hit: Hit) -> bool:
        region = self.linker.sites[hit.name].region
        return bool(region and self.region and region != self.region)


def _end_of_line(text: str, section: Section) -> int:
    """Where the line of a section's heading ends, or the section where the heading has its line to itself."""
    end = text.find("\n", section.start, section.end)
    alone = text[section.start : end].strip(" \t:*_-") == section.heading
    return section.end if end < 0 or alone else end


class Sides:
    """The links of the mentions of one sentence."""

    def __init__(
        self,
        session: Session,
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
