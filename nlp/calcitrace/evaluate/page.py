"""The evaluation as rows of a table and as one self-contained offline HTML page; all report text is escaped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.errors import UsageError
from calcitrace.evaluate.cases import TIERS
from calcitrace.evaluate.discrepancies import Discrepancy
from calcitrace.evaluate.intervals import Figure, Interval
from calcitrace.evaluate.labelled import LabelledMention
from calcitrace.evaluate.mentions import Pair
from calcitrace.evaluate.plots import curve_plots, finding_bars

if TYPE_CHECKING:
    from calcitrace.evaluate import Evaluation

NO_SPREAD = "none"
WHY_NONE = f"{NO_SPREAD}: the same figure in every draw, as where no error was seen; they cannot tell how unsure it is"
TITLES = {
    "mention_precision": "mention precision",
    "mention_recall": "mention recall",
    "mention_f1": "mention F1",
    "mention_f1_assertion": "mention F1 with assertion",
    "change_macro_f1": "change macro-F1",
    "deposit_tendon": "main deposit: tendon",
    "deposit_bone": "main deposit: bone",
    "deposit_laterality": "main deposit: side",
    "deposit_size_mm": "main deposit: size",
    "deposit_all": "main deposit: all of these",
    "absence_of_mass": "absence of a mass",
    "sensitivity": "sensitivity of likely case",
    "specificity": "specificity of likely case",
    "ppv": "PPV, as observed",
    "npv": "NPV, as observed",
    "ppv_at_prevalence": "PPV at {prevalence:.3g} prevalence",
    "npv_at_prevalence": "NPV at {prevalence:.3g} prevalence",
    "auroc": "AUROC (probability)",
    "auprc": "AUPRC (probability)",
    "auroc_by_tier": "AUROC (tier)",
    "auprc_by_tier": "AUPRC (tier)",
    "brier": "Brier score",
    "calibration_error": "expected calibration error",
    "tier_kappa": "tiers, quadratic kappa",
    "migration_type": "migration type, among cases",
}


def table_rows(found: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """The figures that could be computed: title, value, interval over reports, interval over patients, n."""
    rows = []
    for name, title in TITLES.items():
        f = found.figures[name]
        if f.value is not None:
            said = title.format(**found.settings)
            rows.append((said, number(f.value), interval(f.wilson), interval(f.patients), _counted(f)))
        if f.value is not None and name == "specificity":
            rows.append(("specificity, exact interval", number(f.value), interval(f.exact), "-", _counted(f)))
    return rows


def number(value: float | None) -> str:
    """A figure with three decimals, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def interval(limits: Interval | None) -> str:
    """Limits with three decimals, a dash where there are none; "none" where they are one (see `NO_SPREAD`)."""
    if limits is None:
        return "-"
    return NO_SPREAD if limits[0] == limits[1] else f"{limits[0]:.3f}-{limits[1]:.3f}"


def _counted(figure: Figure) -> str:
    return f"{figure.n} {figure.unit}" if figure.right is None else f"{figure.right}/{figure.n} {figure.unit}"


def write_page(found: Evaluation) -> str:
    """The HTML page: figures, plots, confusion table, findings, and each error linked to its text."""
    from markupsafe import Markup

    page: str = _template("evaluation.html.j2").render(
        settings=found.settings,
        rows=table_rows(found),
        why_none=WHY_NONE,
        tiers=TIERS[::-1],
        curves=found.curves,
        findings=[(name, s, number, interval) for name, s in found.findings.items()],
        bars=Markup(finding_bars(found.findings)) if found.findings else "",  # noqa: S704 - finding names are escaped
        plots=[(title, Markup(svg)) for title, svg in curve_plots(found.curves)],  # noqa: S704 - numbers only
        errors=list(_error_rows(found)),
        articles=list(_articles(found)),
    )
    return page


def report_html(found: Evaluation, report_id: str) -> str:
    """One report that has errors as a piece of HTML, such as a notebook shows: gold, found and wrong words marked.

    Raises:
        UsageError: no error was listed for this report, or the gold standard does not hold its text.
    """
    for article in _articles(found):
        if article["gold"].report_id == report_id:
            return str(_template("marked_report.html.j2").render(a=article, alone=True))
    raise UsageError(f"{report_id!r} has no listed error, or the gold standard does not hold its text")


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader

    templates = Path(__file__).parents[1] / "templates"
    return Environment(loader=FileSystemLoader(templates), autoescape=True).get_template(name)


def _error_rows(found: Evaluation) -> Iterator[dict[str, Any]]:
    texts = {g.report_id: g.text for g, _ in found.pairs}
    places = {g.report_id: k for k, (g, _) in enumerate(found.pairs)}
    for k, d in enumerate(found.discrepancies):
        text = texts[d.report_id]
        words = text[d.start : d.end] if text is not None and d.start >= 0 else ""
        link = "" if text is None else f"e{k}" if words else f"r{places[d.report_id]}"
        yield {"error": d, "words": words, "link": link}


def _articles(found: Evaluation) -> Iterator[dict[str, Any]]:
    """The text of each report that has an error, cut into marked and plain stretches."""
    own: dict[str, list[tuple[int, Discrepancy]]] = {}
    for k, d in enumerate(found.discrepancies):
        own.setdefault(d.report_id, []).append((k, d))
    for k, (gold, predicted) in enumerate(found.pairs):
        if gold.report_id in own and gold.text is not None:
            errors = own[gold.report_id]
            yield {
                "place": f"r{k}",
                "gold": gold,
                "predicted": predicted,
                "pieces": list(_pieces((gold, predicted), errors)),
            }


def _pieces(pair: Pair, errors: Sequence[tuple[int, Discrepancy]]) -> Iterator[dict[str, Any]]:
    """Stretches of the text between all borders of gold and predicted mentions, with what lies over each."""
    gold, predicted = pair
    text = gold.text or ""
    marks = [*gold.mentions, *predicted.mentions]
    borders = sorted({0, len(text), *(m.start for m in marks), *(m.end for m in marks)})
    for start, end in itertools.pairwise(borders):
        over = [[m for m in r.mentions if m.start < end and start < m.end] for r in pair]
        wrong = [d for _, d in errors if d.start < end and start < d.end]
        yield {
            "text": text[start:end],
            "gold": bool(over[0]),
            "found": bool(over[1]),
            "wrong": bool(wrong),
            "title": _said("gold", over[0]) + _said("; found", over[1]),
            "anchors": [f"e{k}" for k, d in errors if d.start == start],
        }


def _said(who: str, mentions: Sequence[LabelledMention]) -> str:
    said = [f"{m.finding} {m.assertion}{'' if m.change == 'none' else ' ' + m.change}" for m in mentions]
    return f"{who}: {', '.join(said) or 'nothing'}"
