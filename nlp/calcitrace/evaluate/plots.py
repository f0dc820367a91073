"""The plots of the evaluation page as inline SVG; built from finding names and numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from calcitrace.evaluate.cases import Curves
from calcitrace.evaluate.intervals import Figure
from calcitrace.evaluate.mentions import FindingScore

Point = tuple[float, float]
SIDE, MARGIN = 300, 48
LEFT, WIDTH, ROW = 190, 520, 34


def finding_bars(findings: Mapping[str, FindingScore]) -> str:
    """Two horizontal bars a finding, F1 and F1 with assertion, each with its interval."""
    height = ROW * len(findings) + 24
    out = [_open(LEFT + WIDTH + 120, height, "F1 and F1 with assertion by finding")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = LEFT + WIDTH * tick
        out.append(f'<line class="grid" x1="{x}" y1="0" x2="{x}" y2="{height - 18}"/>')
        out.append(f'<text class="axis" x="{x}" y="{height - 4}" text-anchor="middle">{tick:g}</text>')
    for k, (name, score) in enumerate(findings.items()):
        y = k * ROW
        out.append(f'<text x="{LEFT - 8}" y="{y + 19}" text-anchor="end">{escape(name.replace("_", " "))}</text>')
        out.append(_bar(score.f1, "f1", y + 4))
        out.append(_bar(score.f1_assertion, "asserted", y + 17))
        out.append(f'<text class="axis" x="{LEFT + WIDTH + 10}" y="{y + 19}">{score.gold} gold</text>')
    return "".join(out) + "</svg>"


def _bar(figure: Figure, kind: str, y: int) -> str:
    if figure.value is None:
        return ""
    bar = f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{WIDTH * figure.value:.1f}" height="11">'
    bar += f"<title>{figure.value:.3f}</title></rect>"
    if figure.patients is None:
        return bar
    low, high = (LEFT + WIDTH * v for v in figure.patients)
    return bar + f'<line class="whisker" x1="{low:.1f}" y1="{y + 5.5}" x2="{high:.1f}" y2="{y + 5.5}"/>'


def curve_plots(curves: Curves) -> list[tuple[str, str]]:
    """The plots that apply, as (title, SVG): calibration, ROC, precision-recall, workload."""
    found = []
    if curves.calibration:
        found.append(("Calibration", _calibration(curves)))
    if curves.roc:
        found.append(("ROC", _unit_plot("1 - specificity", "sensitivity", curves.roc)))
    if curves.pr:
        found.append(("Precision and recall", _unit_plot("recall", "precision", curves.pr)))
    if curves.workload:
        found.append(("Reading workload", _workload(curves.workload)))
    return found


def _calibration(curves: Curves) -> str:
    dots = [_open(SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, "Calibration"), _frame("probability", "observed share")]
    dots.append(_line([(0, 0), (1, 1)], "ideal"))
    for b in curves.calibration:
        x, y = _at((b["mean"], b["observed"]))
        low, high = (_at((0, v))[1] for v in b["wilson"])
        dots.append(f'<line class="whisker" x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>')
        said = f"{b['n']} reports, mean probability {b['mean']:.2f}, observed {b['observed']:.2f}"
        dots.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{said}</title></circle>')
    return "".join(dots) + "</svg>"


def _unit_plot(across: str, up: str, points: Sequence[Point]) -> str:
    size = SIDE + 2 * MARGIN
    return _open(size, size, f"{up} against {across}") + _frame(across, up) + _line(points, "curve") + "</svg>"


def _workload(points: Sequence[tuple[int, int]]) -> str:
    reads, cases = points[-1]
    scaled = [(0.0, 0.0), *((r / reads, c / cases) for r, c in points)]
    size = SIDE + 2 * MARGIN
    frame = _frame("reports read", "cases found", reads, cases)
    ideal = _line([(0, 0), (cases / reads, 1), (1, 1)], "ideal")
    return _open(size, size, "Cases found against reports read") + frame + ideal + _line(scaled, "curve") + "</svg>"


def _open(width: float, height: float, label: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'


def _at(point: Point) -> Point:
    return MARGIN + SIDE * point[0], MARGIN + SIDE * (1 - point[1])


def _line(points: Sequence[Point], kind: str) -> str:
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_at, points))
    return f'<polyline class="{kind}" points="{places}"/>'


def _frame(across: str, up: str, most_across: float = 1, most_up: float = 1) -> str:
    end = MARGIN + SIDE
    out = [f'<rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}"/>']
    for tick in (0.0, 0.5, 1.0):
        x, y = _at((tick, tick))
        out.append(f'<text class="axis" x="{x}" y="{end + 16}" text-anchor="middle">{_tick(most_across, tick)}</text>')
        out.append(f'<text class="axis" x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{_tick(most_up, tick)}</text>')
    middle = MARGIN + SIDE / 2
    out.append(f'<text x="{middle}" y="{end + 36}" text-anchor="middle">{escape(across)}</text>')
    out.append(f'<text x="{MARGIN}" y="{MARGIN - 12}">{escape(up)}</text>')
    return "".join(out)


def _tick(most: float, share: float) -> str:
    """The label of a tick; counts have whole ticks only."""
    value = most * share
    return "" if most > 1 and value != int(value) else f"{value:g}"
