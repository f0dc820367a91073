"""The summary page of a run: one self-contained offline HTML page; everything from a report is escaped."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from calcitrace.casemodel import moved
from calcitrace.modality import unknown_said
from calcitrace.phrases import by, many
from calcitrace.sources import shown_id
from calcitrace.studydate import study_date

ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
STATUSES = ("definite", "probable", "possible", "no")
MAX_INPUTS = 40
MAX_UNKNOWN = 20
OF_REPORTS = ("case", "status", "modality")  # what is counted of reports; the rest are findings
MOST_ASIDE = 50
SUMMED = (  # what the page tells of a report that the model sets aside
    "report_id",
    "study_date",
    "modality",
    "case_probability",
    "case_status",
    "migration_type",
    "tendon",
    "laterality",
)
_TILES = (
    ("rows read", "rows"),
    ("reports", "reports"),
    ("rejected rows", "rejects"),
    ("mentions", "mentions"),
    ("likely cases", "likely"),
)
_OPTION = re.compile(r"--[a-z][a-z-]*(?: [\d.]+\d)?")  # with its number, if any
LEFT, WIDTH, ROW = 190, 620, 24


def write_summary(
    manifest: Mapping[str, Any], cards: Sequence[Mapping[str, Any]], aside: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The HTML page of a finished run; `cards` are its likely cases with their text, `aside` what the model sets aside.

    Both are shown by probability, the highest first; rows of `aside` may have a `card` with their text.
    """
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    environment.filters["options"] = lambda said: Markup(_OPTION.sub(r"<code>\g<0></code>", escape(said)))  # noqa: S704
    counts = counts_of(manifest)
    order = manifest.get("options", {}).get("date_order", "")
    environment.filters["day"] = lambda written: _day(written, order)
    findings = by_finding(counts)
    return environment.get_template("summary.html.j2").render(
        manifest=manifest,
        case=manifest["case"].replace("_", " "),
        threshold=threshold_said(manifest),
        tiles=[(name, manifest[key]) for name, key in _TILES],
        inputs=manifest["inputs"][:MAX_INPUTS],
        more_inputs=len(manifest["inputs"]) - MAX_INPUTS,
        status=[(s, counts[f"case|{s}"]) for s in STATUSES],
        set_aside=counts["case|set aside"],
        aside=[{**row, "card": _card(row["card"]) if row.get("card") else None} for row in first_by_probability(aside)],
        by_definition=by_definition_said(manifest),
        likely_status=manifest.get("likely_status", ()),
        unknown=unknown_modalities_said(counts),
        assertions=ASSERTIONS,
        findings=findings,
        plot=Markup(bars(findings)),  # noqa: S704 - built from escaped finding names and numbers only
        cards=[_card(card) for card in sorted(cards, key=lambda c: _rank(c["report"]))],
    )


def count(rows: Mapping[str, Any], counts: Counter[str]) -> None:
    """Count a report by the rows that a worker made of it: its mentions, statuses and unknown modality."""
    report = rows["report"]
    counts[f"case|{report['case_status']}"] += 1
    counts[f"status|{report['status']}"] += 1
    for mention in rows["mentions"]:
        counts[f"{mention['finding']}|{mention['assertion']}"] += 1
    if said := rows["unknown_modality"]:
        counts[f"modality|{shown_id(said)}"] += 1


def bounded(counts: Counter[str]) -> Counter[str]:
    """The counts with the commonest unknown modalities by name: another column taken for it may hold a name a row."""
    kept = Counter(counts)
    named = (key for key in counts if key.startswith("modality|") and key != "modality|")
    for key in sorted(named, key=lambda k: (-counts[k], k))[MAX_UNKNOWN:]:
        kept["modality|"] += kept.pop(key)
    return kept


def counts_of(manifest: Mapping[str, Any]) -> Counter[str]:
    """The counts of all parts of a run together."""
    counts: Counter[str] = Counter()
    for part in manifest["parts"]:
        counts.update(part["counts"])
    return counts


def _day(written: str | None, order: str) -> str:
    """The day of a study date, without the time; as it is written where that means no one day."""
    found = study_date(written or "", order).day
    return found.isoformat() if found else written or ""


def unknown_modalities_said(counts: Counter[str]) -> str:
    """What to tell of the modalities that the rules of a run do not know."""
    return unknown_said(Counter({k.partition("|")[2]: n for k, n in counts.items() if k.startswith("modality|")}))


MANY_OF, LEAST_MANY = 4, 5  # of so many one, and no fewer
MANY_ASIDE = (
    " So many are more than a model that fits the archive sets aside: go by case_status, as cohorts and reviews do, or "
    "train a model on labels of your own."
)


def by_definition_said(manifest: Mapping[str, Any]) -> str:
    """How many reports the case definition alone takes for cases, where these are not the likely cases; else ""."""
    counts, likely = counts_of(manifest), manifest["likely"]
    status, aside = manifest.get("likely_status", ()), counts["case|set aside"]
    taken = sum(counts[f"case|{s}"] for s in status)
    if not status or (taken == likely and not aside):
        return ""
    both = taken - aside
    of_these = f"all {likely:,}" if both == likely else f"{both:,} of the {likely:,}"
    named = [f"{of_these} likely cases"] * bool(both) + [f"{aside:,} that the model sets aside"] * bool(aside)
    told = f"{many(taken, 'report')} {by(taken, 'is', 'are')} {' or '.join(status)} by the case definition alone"
    advice = MANY_ASIDE if aside >= LEAST_MANY and MANY_OF * aside >= taken else ""
    return f"{told}{': ' * bool(named)}{' and '.join(named)}.{advice}"


def threshold_of(manifest: Mapping[str, Any]) -> float | None:
    """The threshold of a run's model on the scale of the run's probabilities; None without a model."""
    model = manifest.get("model")
    if not model:
        return None
    return moved(model["threshold"], model["trained_at_prevalence"], model["probabilities_at_prevalence"])


def threshold_said(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What the threshold is, at which prevalence the probabilities hold, and what changes either; () without a model.

    In sentences for a reader of reports, not of models.
    """
    least = threshold_of(manifest)
    if least is None:
        return ()
    model = manifest["model"]
    here, trained = (100 * model[f"{at}_at_prevalence"] for at in ("probabilities", "trained"))
    recalibrated = (
        f"Probabilities were recalibrated for an archive in which {here:.3g} % of the reports are cases; of those that "
        f"the model learned from, {trained:.3g} % were."
    )
    said = model.get("threshold_chosen", "")
    chosen = f" (chosen {said}" + (", and moved as the probabilities were)" if here != trained else ")") if said else ""
    as_trained = (
        f"Probabilities were not recalibrated: they hold where {here:.3g} % of the reports are cases, as among those "
        "that the model learned from, and are too high where cases are rarer; --prevalence 0.005 recalibrates them for "
        "0.5 %."
    )
    return (
        f"Threshold: a report is a likely case if its probability is {least:.3g} or more{chosen}.",
        *_much_marked(manifest),
        as_trained if here == trained else recalibrated,
        "--prevalence never changes which reports are likely cases; for more or fewer of them, see calcitrace "
        "threshold --help.",
    )


def _much_marked(manifest: Mapping[str, Any]) -> Iterator[str]:
    """That a model of one's own marks more than half of the reports."""
    likely, reports = manifest["likely"], manifest["reports"]
    if manifest["options"]["model"] and 2 * likely > reports:
        yield (
            f"It marks {likely:,} of {reports:,} reports, more than half. Unless so many are cases, a label may be "
            "wrong: a report labelled a case by mistake pulls the threshold down, and calcitrace train names such."
        )


def first_by_probability(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The first `MOST_ASIDE` rows of reports, the highest probability first, ties by id."""
    return [dict(row) for row in nsmallest(MOST_ASIDE, reports, key=_rank)]


def _rank(report: Mapping[str, Any]) -> tuple[float, str]:
    return -(report["case_probability"] or 0), report["report_id"]


def _card(card: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a likely case: the text in pieces, and the words of each mention."""
    words = {m["mention_id"]: " ".join(card["text"][m["start"] : m["end"]].split()) for m in card["mentions"]}
    return {**card, "words": words, "pieces": list(pieces(card["text"], card["mentions"], card["report"]["evidence"]))}


def by_finding(counts: Mapping[str, int]) -> dict[str, list[int]]:
    """The number of mentions by finding, for each of `ASSERTIONS` in order; the most frequent finding first."""
    names = {key.split("|")[0] for key in counts if "|" in key} - {*OF_REPORTS}
    found = {name: [counts.get(f"{name}|{a}", 0) for a in ASSERTIONS] for name in names}
    return dict(sorted(found.items(), key=lambda item: (-sum(item[1]), item[0])))


def pieces(text: str, mentions: Sequence[Mapping[str, Any]], evidence: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The text cut wherever a mention starts or ends, in order, each piece with all mentions that cover it.

    A piece has `text`, `mentions` (none for plain text; evidence and the longest first) and `evidence` (whether one
    of them is). The texts of all pieces joined are the whole text.
    """
    led = set(evidence)
    ranked = sorted(mentions, key=lambda m: (m["mention_id"] not in led, m["start"] - m["end"]))
    cuts = sorted({0, len(text), *(edge for m in mentions for edge in (m["start"], m["end"]))})
    covering: dict[int, list[Mapping[str, Any]]] = {}
    for m in ranked:
        for cut in cuts[bisect_left(cuts, m["start"]) : bisect_left(cuts, m["end"])]:
            covering.setdefault(cut, []).append(m)
    for start, end in pairwise(cuts):
        found = covering.get(start, [])
        yield {"text": text[start:end], "mentions": found, "evidence": any(m["mention_id"] in led for m in found)}


def bars(findings: Mapping[str, Sequence[int]]) -> str:
    """A stacked horizontal bar chart (SVG) of mentions by finding and assertion."""
    widest = max(map(sum, findings.values()), default=0)
    if not widest:
        return "<p>No mentions.</p>"
    out = [
        f'<svg viewBox="0 0 {LEFT + WIDTH + 70} {ROW * len(findings) + 4}" role="img" width="100%" '
        'aria-label="Mentions by finding and assertion">'
    ]
    for k, (finding, numbers) in enumerate(findings.items()):
        out += _bar(k * ROW, finding, numbers, WIDTH / widest)
    return "".join(out) + "</svg>"


def _bar(y: int, finding: str, numbers: Sequence[int], scale: float) -> Iterator[str]:
    name, x = escape(finding.replace("_", " ")), float(LEFT)
    yield f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end">{name}</text>'
    for assertion, n in zip(ASSERTIONS, numbers, strict=True):
        if n:
            yield (
                f'<rect class="{assertion}" x="{x:.1f}" y="{y + 3}" width="{n * scale:.1f}" height="{ROW - 7}">'
                f"<title>{name}, {assertion}: {n:,}</title></rect>"
            )
            x += n * scale
    yield f'<text class="axis" x="{x + 6:.1f}" y="{y + 16}">{sum(numbers):,}</text>'
