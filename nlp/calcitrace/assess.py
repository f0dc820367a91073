"""The case definition over a report's mentions -> Assessment: one row a report, with the mentions that led there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from calcitrace.modality import modality_of
from calcitrace.model import AnnotatedReport, Assessment, Mention
from calcitrace.ruleset import CaseDefinition, Constituent, Depth, RuleSet, Tier
from calcitrace.sites import one_side, same_place
from calcitrace.words import says, split_words

ADDENDUM = "addendum"
CONCLUSIONS = frozenset({"impression", ADDENDUM})
BODY = frozenset({"findings", "other", "recommendation", "title"})
Found = Mapping[str, Sequence[Mention]]
TIERS = ("no", "possible", "probable", "definite")


def assess(annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> Assessment:
    """What the report, read alone, supports under `case`.

    The first tier whose constituents are all there, and none of its bars, counts (annotation guideline, report
    labels). Evidence are the ids of the mentions that fill the tier's constituents.
    """
    return of_constituents(constituents(annotated, rules, case), annotated, rules, case)


def of_constituents(found: Found, annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> Assessment:
    """The assessment of a report whose constituents are `found`."""
    tier = next((t for t in case.tiers if all(found[n] for n in t.needs) and not any(found[b] for b in t.bars)), None)
    side = _side(found, case, tier)
    sited = {name: [m for m in found[name] if {m.laterality, side} != {"left", "right"}] for name in case.site}
    first = _main_mention(sited, case, rules) or _main_mention(found, case, rules)
    main = first and (_of_the_bone_involved(first, sited, _involved(found, case, tier), case, rules) or first)
    status = tier.tier if tier else "no"
    evidence = [m for n in tier.needs for m in found[n]] if tier else []
    return Assessment(
        report_id=annotated.report.report_id,
        case_status=status,
        migration_type=_depth(found, case, annotated, rules) if tier else "none",
        tendon=main.tendon if main else "none",
        bone=main.bone if main else "none",
        laterality=side if main else "none",
        absence_of_mass=absence_of_mass(annotated),
        evidence=tuple(dict.fromkeys(m.mention_id for m in sorted(evidence, key=lambda m: m.start))),
        reasons=tuple(f"{n}: {', '.join(sorted({m.finding for m in found[n]}))}" for n in tier.needs) if tier else (),
        size_mm=_main_size(main, side, found, case, rules),
        phase=_phase(found, case, annotated),
        case_score=_score(status, found, case),
        likely_case=status in case.likely,
    )


def _score(status: str, found: Found, case: CaseDefinition) -> float:
    """The tier (0 to 3), moved by less than half by what raises and lowers the order within a tier."""
    up, down = (sum(all(found[n] for n in names) for names in moves) for moves in (case.raises, case.lowers))
    return TIERS.index(status) + (up - down) / (2 * (len(case.raises) + len(case.lowers)) + 1)


def _phase(found: Found, case: CaseDefinition, annotated: AnnotatedReport) -> str:
    """The phase that a sentence about the deposit names, "none" where none does."""
    mentions = [m for name in case.phased for m in found[name]]
    return next(
        (p for p, said in case.phases.items() if any(says(annotated.forms[m.sentence], said) for m in mentions)),
        "none",
    )


def absence_of_mass(annotated: AnnotatedReport) -> bool:
    """Whether the report asserts that there is no mass, and reports none that is present or possible."""
    said = any(c.finding == "absence_of_mass" and c.assertion == "present" for c in annotated.conditions)
    masses = Counter(m.assertion for m in annotated.mentions if m.finding == "mass")
    return bool(said or masses["absent"]) and not masses["present"] and not masses["possible"]


def constituents(annotated: AnnotatedReport, rules: RuleSet, case: CaseDefinition) -> Found:
    """The mentions that fill each constituent of the case definition."""
    everything = (*annotated.mentions, *annotated.conditions)
    said: dict[tuple[str, str], list[Mention]] = {}
    for mention in everything:
        said.setdefault((mention.finding, mention.assertion), []).append(mention)
    findings, added = {finding for finding, _ in said}, [m for m in everything if m.section == ADDENDUM]
    conclusions = {s.name for s in annotated.sections} & CONCLUSIONS or BODY
    modality = modality_of(annotated.report, rules) if everything else ""
    found: dict[str, list[Mention]] = {}
    for name, constituent in case.constituents.items():
        if findings.isdisjoint(constituent.findings) or modality in constituent.not_on:
            found[name] = []
            continue
        own = [m for m in _filling(constituent, said) if not (_answered(m, said, rules) or taken_back(m, added))]
        if constituent.final:
            own = [m for m in own if m.section in conclusions]
        if constituent.with_words:
            own = [m for m in own if says(annotated.forms[m.sentence], constituent.with_words)]
        if constituent.with_findings:
            beside = {
                m.sentence for m in everything if m.finding in constituent.with_findings and m.assertion == "present"
            }
            own = [m for m in own if m.sentence in beside]
        found[name] = own
    for name, constituent in case.constituents.items():
        if constituent.near:
            anchors = [a for other in constituent.near for a in found[other]]
            found[name] = [m for m in found[name] if any(same_place(m, a) for a in anchors)]
        sides = {a.laterality for other in constituent.side_of for a in found[other]} - {"none"}
        if len(sides) == 1:
            found[name] = [m for m in found[name] if {m.laterality, *sides} != {"left", "right"}]
    return found


def _filling(constituent: Constituent, said: Mapping[tuple[str, str], list[Mention]]) -> list[Mention]:
    """The mentions with a finding, assertion and change that the constituent takes, in order."""
    kinds = [k for k in said if k[0] in constituent.findings and k[1] in constituent.assertions]
    own = [m for k in kinds for m in said[k] if not constituent.changes or m.asserted.change in constituent.changes]
    return sorted(own, key=_in_order) if len(kinds) > 1 else own


def _answered(mention: Mention, said: Mapping[tuple[str, str], list[Mention]], rules: RuleSet) -> bool:
    """Whether the request only asks for it ("migration into bone?") and the report says that it is not there.

    Without calcium there is none in bone: that all of it is denied answers, too.
    """
    if mention.assertion != "possible" or not _before(mention, rules):
        return False

    def told(name: str, *assertions: str) -> bool:
        return any(not _before(m, rules) for a in assertions for m in said.get((name, a), ()))

    finding = rules.findings.get(mention.finding)
    taken_in = finding.covers if finding and finding.tells_tendon else ()
    if any(told(name, "present", "possible") for name in taken_in):
        taken_in = ()
    return any(told(name, "absent") for name in (mention.finding, *taken_in))


def taken_back(mention: Mention, mentions: Sequence[Mention]) -> bool:
    """Whether an addendum in the report denies, at the same place, what the text before it stated."""
    if mention.assertion not in ("present", "possible") or mention.section == ADDENDUM:
        return False
    added = [m for m in mentions if m.section == ADDENDUM and m.finding == mention.finding]
    denied = any(m.assertion == "absent" and same_place(m, mention) for m in added)
    return denied and not any(m.assertion == "present" for m in added)


def _in_order(mention: Mention) -> tuple[bool, int, int, str]:
    """Mentions of findings first, then those of conditions, each in order of appearance."""
    return not mention.mention_id, mention.start, mention.end, mention.finding


def _depth(found: Found, case: CaseDefinition, annotated: AnnotatedReport, rules: RuleSet) -> str:
    """The deepest migration type that any mention shows, "none" where none does."""
    return next((d.type for d in case.types if _shows(d, found, annotated, rules)), "none")


def _shows(depth: Depth, found: Found, annotated: AnnotatedReport, rules: RuleSet) -> bool:
    mentions = [m for name in depth.of for m in found[name]]
    if not depth.words:
        return bool(mentions)
    return any(
        says(split_words(m.text, rules.spelling).forms, depth.words)
        or says(annotated.forms[m.sentence], depth.with_words)
        for m in mentions
    )


def _main_size(main: Mention | None, side: str, found: Found, case: CaseDefinition, rules: RuleSet) -> float | None:
    """The largest size (mm) of the main deposit now, of the first constituent of `sized` that has one there.

    That of a deposit on the other side than that of the case is none of it.
    """
    if main is None:
        return None
    for name in case.sized:
        own = [m for m in found[name] if m.tendon == main.tendon or not _is_own(m.tendon, rules)]
        own = [m for m in own if not _before(m, rules) and {m.laterality, side} != {"left", "right"}]
        sizes = [m.size_mm for m in own if m.size_mm is not None]
        if sizes:
            return max(sizes)
    return None


def _before(mention: Mention, rules: RuleSet) -> bool:
    """Whether the section tells of an earlier study or of the request."""
    rule = rules.sections.get(mention.section)
    return rule is not None and (rule.unless_restated or rule.past_if_denied)


def _side(found: Found, case: CaseDefinition, tier: Tier | None) -> str:
    """The side of what makes the tier a case of its site: of what shows a migration type, or lies at another's place.

    Where there is no tier, or that tells no side, it is the side of the first constituent of `site` that is there.
    Bilateral is what is on both sides.
    """
    involved = _involved(found, case, tier)
    first = next((found[name] for name in case.site if found[name]), [])
    sides = (one_side(m.laterality for m in own) for own in (involved, first))
    return next((side for side in sides if side != "none"), "none")


def _involved(found: Found, case: CaseDefinition, tier: Tier | None) -> list[Mention]:
    """The mentions of a tier that show a migration type, or lie at the place of another constituent."""
    telling = {n for d in case.types for n in d.of} | {n for n, c in case.constituents.items() if c.near}
    return [m for name in (tier.needs if tier else ()) if name in telling for m in found[name]]


def _of_the_bone_involved(
    first: Mention, sited: Found, involved: Sequence[Mention], case: CaseDefinition, rules: RuleSet
) -> Mention | None:
    """The mention of another tendon than the `first` named that gives the report its site, None where the first does.

    It is that of the tendon that a migration names or, where the first is at another bone or another part of it, of
    one at the place involved. An erosion tells its bone, and its tendon only by what was named before it.
    """
    telling = {m.tendon for m in involved if m.finding in rules.findings and rules.findings[m.finding].tells_tendon}
    bones, parts = ({getattr(m, name) for m in involved} - {"none"} for name in ("bone", "landmark"))
    elsewhere = bones and first.bone not in (*bones, "none")
    beside = parts and _landmark(first.tendon, rules) not in (*parts, "")

    def there(m: Mention) -> bool:
        return bool(elsewhere and m.bone in bones) or bool(beside and _landmark(m.tendon, rules) in parts)

    def other(m: Mention) -> bool:
        own = m.tendon != first.tendon and _is_own(m.tendon, rules)
        return own and (m.tendon in telling if telling else there(m))

    if first.tendon in telling:
        return None
    return _main_mention({name: list(filter(other, own)) for name, own in sited.items()}, case, rules)


def _main_mention(found: Found, case: CaseDefinition, rules: RuleSet) -> Mention | None:
    """The mention that gives the report its site: of the first constituent with a tendon of a name of its own.

    Within it the tendon that is named first; where no tendon has a name of its own, a general one ("cuff").
    """
    deposits = [m for name in case.site for m in found[name]]
    if not deposits:
        return None
    for named in (True, False):
        first = next((m for m in deposits if _is_named(m.tendon, rules) >= named), None)
        if first:
            own = [m for m in deposits if m.tendon == first.tendon]
            return next((m for m in own if m.laterality != "none"), own[0])
    return next((m for m in deposits if m.bone != "none"), deposits[0])


def _landmark(tendon: str, rules: RuleSet) -> str:
    """The part of a bone where a tendon inserts, "" where that is not known."""
    return rules.sites[tendon].landmark if tendon in rules.sites else ""


def _is_own(tendon: str, rules: RuleSet) -> bool:
    return _is_named(tendon, rules) > 0


def _is_named(tendon: str, rules: RuleSet) -> int:
    """1 for a tendon with a name of its own, 0 for a general one, -1 for none."""
    return -1 if tendon == "none" else int(not rules.sites[tendon].generic)
