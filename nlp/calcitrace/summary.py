"""The summary page of a run: one self-contained offline HTML page; everything from a report is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ASSERTIONS = ("present", "possible", "absent", "historical", "hypothetical")
STATUSES = ("definite", "probable", "possible", "no")
MAX_INPUTS = 40


def write_summary(manifest: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> str:
    """The HTML page of a finished run; `cards` are its likely cases with their text."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    counts: Counter[str] = Counter()
    for part in manifest["parts"]:
        counts.update(part["counts"])
    return environment.get_template("summary.html.j2").render(
        case=manifest["case"].replace("_", " "),
        rules=manifest["ruleset_hash"],
        version=manifest["calcitrace"],
        finished=manifest["finished"],
        tiles=[(name, manifest[key]) for name, key in _TILES],
        inputs=manifest["inputs"][:MAX_INPUTS],
        more_inputs=len(manifest["inputs"]) - MAX_INPUTS,
        reasons=Counter(manifest.get("reject_reasons", {})).most_common(),
        status=[(s, counts[f"case|{s}"]) for s in STATUSES],
        assertions=ASSERTIONS,
        plot=Markup(bars(counts)),  # noqa: S704 - built from finding names of the rules and numbers only
        likely=manifest["likely"],
        shown=len(cards),
        cards=[{**c, "pieces": list(pieces(c))} for c in cards],
    )


_TILES = (
    ("rows read", "rows"),
    ("reports", "reports"),
    ("rejected rows", "rejects"),
    ("mentions", "mentions"),
    ("likely cases", "likely"),
)


def pieces(card: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The report text cut into plain and marked stretches, in order; overlapping mentions show the first."""
    text, at = card["text"], 0
    evidence = set(card["report"]["evidence"])
    for m in sorted(card["mentions"], key=lambda m: (m["start"], -m["end"])):
        if m["start"] < at:
            continue
        yield {"text": text[at : m["start"]], "finding": ""}
        marked = {"text": text[m["start"] : m["end"]], "finding": m["finding"].replace("_", " ")}
        yield {**marked, "assertion": m["assertion"], "evidence": m["mention_id"] in evidence}
        at = m["end"]
    yield {"text": text[at:], "finding": ""}


def bars(counts: Mapping[str, int]) -> str:
    """A stacked horizontal bar chart (SVG) of mentions by finding and assertion."""
    from html import escape

    findings = sorted({k.split("|")[0] for k in counts if "|" in k} - {"case"})
    totals = {f: sum(counts.get(f"{f}|{a}", 0) for a in ASSERTIONS) for f in findings}
    findings.sort(key=lambda f: -totals[f])
    widest = max(totals.values(), default=0)
    if not widest:
        return "<p>No mentions.</p>"
    left, width, row = 190, 620, 24
    out = [
        f'<svg viewBox="0 0 {left + width + 70} {row * len(findings) + 10}" role="img" width="100%" '
        'aria-label="Mentions by finding and assertion">'
    ]
    for k, finding in enumerate(findings):
        y, x = k * row, float(left)
        out.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(finding.replace("_", " "))}</text>')
        for assertion in ASSERTIONS:
            n = counts.get(f"{finding}|{assertion}", 0)
            if n:
                size = width * n / widest
                out.append(
                    f'<rect class="{assertion}" x="{x:.1f}" y="{y + 3}" width="{size:.1f}" height="{row - 7}">'
                    f"<title>{escape(finding)} {assertion}: {n}</title></rect>"
                )
                x += size
        out.append(f'<text class="axis" x="{x + 6:.1f}" y="{y + 16}">{totals[finding]}</text>')
    return "".join(out) + "</svg>"
