"""A patient's timeline as a picture (inline SVG): reports by time from the index date, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

LEFT, RIGHT, WIDTH = 92, 30, 760
LANES = {"deposit": 34, "bone_involvement": 66}
NAMES = {"deposit": "Deposit", "bone_involvement": "Bone"}
AXIS, HEIGHT, APART = 96, 128, 44
DAYS_OF_MONTH, DAYS_OF_YEAR = 30.44, 365.25


def picture(rows: Sequence[Mapping[str, Any]], label: str) -> str:
    """The reports of one patient (rows of `timeline` that count) as SVG; only states, modalities and days are shown."""
    dated = [r for r in rows if r["days_from_index"] is not None]
    places = _places([int(r["days_from_index"]) for r in dated])
    out = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">']
    for lane, y in LANES.items():
        out.append(f'<text x="{LEFT - 16}" y="{y + 4}" text-anchor="end">{NAMES[lane]}</text>')
        out.append(f'<line class="lane" x1="{LEFT - 8}" y1="{y}" x2="{WIDTH - RIGHT + 8}" y2="{y}"/>')
    before = float(-APART)
    for row, x in zip(dated, places, strict=True):
        named = x - before >= APART - 4
        out += _report(row, x, named)
        before = x if named else before
    return "".join(out) + "</svg>"


def _places(days: Sequence[int]) -> list[float]:
    """Where the reports stand across: by time, and moved apart where they would lie on each other."""
    if not days:
        return []
    width = WIDTH - LEFT - RIGHT
    span = max(days) - min(days)
    found = [LEFT + (width * (d - min(days)) / span if span else width / 2) for d in days]
    apart = min(APART, width / max(len(days) - 1, 1))
    for k in range(1, len(found)):
        found[k] = max(found[k], found[k - 1] + apart)
    for k in range(len(found) - 1, -1, -1):
        found[k] = min(found[k], WIDTH - RIGHT - apart * (len(found) - 1 - k))
    return found


def _report(row: Mapping[str, Any], x: float, named: bool) -> list[str]:
    when = since(int(row["days_from_index"]))
    kind = "index" if row["is_index"] else "report"
    modality = row["modality_kind"] or "?"
    out = [f'<line class="{kind}" x1="{x:.1f}" y1="16" x2="{x:.1f}" y2="{AXIS - 8}"/>']
    for lane, y in LANES.items():
        state = row[lane] or "unsaid"
        said = f"{when}, {modality}: {NAMES[lane].lower()} {row[lane] or 'not said'}"
        out.append(
            f'<circle class="{escape(state)}" cx="{x:.1f}" cy="{y}" r="7"><title>{escape(said)}</title></circle>'
        )
    if not named:
        return out
    out.append(f'<text class="axis" x="{x:.1f}" y="{AXIS + 4}" text-anchor="middle">{escape(modality)}</text>')
    out.append(f'<text class="axis" x="{x:.1f}" y="{AXIS + 22}" text-anchor="middle">{when}</text>')
    return out


def since(days: int) -> str:
    """Days from the index date in short words: index, -3 d, +6 w, +14 mo, +3 y."""
    if not days:
        return "index"
    size = abs(days)
    for most, unit, of in ((14, "d", 1.0), (60, "w", 7.0), (900, "mo", DAYS_OF_MONTH)):
        if size <= most:
            return f"{'-' if days < 0 else '+'}{size / of:.0f} {unit}"
    return f"{'-' if days < 0 else '+'}{size / DAYS_OF_YEAR:.0f} y"
