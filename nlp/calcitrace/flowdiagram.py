"""The flow diagram, in the manner of CONSORT and STROBE, from the counts: one layout, drawn as SVG and as PNG."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from calcitrace.flow import REPORT_BOXES, Flow
from calcitrace.phrases import many
from calcitrace.selection import ADDED, REMOVED
from calcitrace.timeline import COUNTED

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

WIDTH, MARGIN, GAP = 860, 24, 26
MAIN, SIDE = (MARGIN, 340), (MARGIN + 416, 396)  # left edge and width of the two columns
LINE, PADDING, SIZE = 20, 12, 14
CHARACTERS = {MAIN: 44, SIDE: 52}
COUNT, NO_BREAK = re.compile(r"\(n = [\d,]+\)"), "\N{NO-BREAK SPACE}"
SCALE = 2  # pixels of the PNG for one of the SVG
INK, SPREAD = "#1c2430", 1.5  # colour of text, and pixels between bold letters of the PNG


@dataclass(frozen=True, slots=True)
class Box:
    """A box at a place, with its lines of text; the first is set in bold."""

    x: int
    y: int
    width: int
    lines: tuple[str, ...]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return LINE * len(self.lines) + 2 * PADDING


Line = tuple[int, int, int, int]


def _counts(title: str, n: int, boxes: Iterable[tuple[str, int]] = ()) -> list[str]:
    return [f"{title} (n = {n:,})", *(f"{name} (n = {k:,})" for name, k in boxes)]


def contents(flow: Flow, outcomes: Mapping[str, int]) -> list[tuple[list[str], list[str]]]:
    """What the boxes say, from top to bottom: the main box, and the box beside the arrow to the next one."""
    rejects = [(reason, n) for reason, n in flow.rejects.items()]
    merged = [(REPORT_BOXES[name], n) for name, n in flow.reports.items() if name != COUNTED and n]
    left = sum(n for _, n in (*rejects, *merged))
    no_case = [(name, flow.patients[name]) for name in flow.no_case]
    excluded = [(flow.shown(name), flow.patients[name]) for name in flow.excluded]
    counted = [f"Reports that count (n = {flow.counted:,})", f"of patients (n = {flow.all_patients:,})"]
    members = [
        f"{many(flow.members, 'patient')} in the cohort",
        f"their reports that count (n = {flow.reports_of_members:,})",
    ]
    follow_up = [
        "Bone involvement at last follow-up",
        *(f"{k.replace('_', ' ')} (n = {n:,})" for k, n in outcomes.items()),
    ]
    return [
        (_counts("Rows read", flow.rows), _counts("Not counted", left, (*rejects, *merged))),
        (
            counted,
            _counts("Patients without a case report", sum(n for _, n in no_case), (*no_case, *flow.reviewed(REMOVED))),
        ),
        (
            _counts("Patients with a case report", flow.cases, flow.reviewed(ADDED)),
            _counts("Excluded", sum(n for _, n in excluded), excluded),
        ),
        (members, []),
        (follow_up, []),
    ]


def layout(flow: Flow, outcomes: Mapping[str, int]) -> tuple[list[Box], list[Line], int]:
    """The boxes, the arrows between them (x1, y1, x2, y2), and the height of the whole."""
    boxes, arrows, y = [], [], MARGIN
    middle = MAIN[0] + MAIN[1] // 2
    rows = contents(flow, outcomes)
    for number, (main, beside) in enumerate(rows):
        box = Box(MAIN[0], y, MAIN[1], tuple(_wrapped(main, MAIN)))
        boxes.append(box)
        y += box.height + GAP
        if beside:
            side = Box(SIDE[0], y, SIDE[1], tuple(_wrapped(beside, SIDE)))
            boxes.append(side)
            arrows.append((middle, y + side.height // 2, SIDE[0], y + side.height // 2))
            y += side.height + GAP
        if number < len(rows) - 1:
            arrows.append((middle, box.y + box.height, middle, y))
    return boxes, arrows, y - GAP + MARGIN


def _wrapped(lines: Iterable[str], column: tuple[int, int]) -> Iterator[str]:
    for line in lines:
        whole = COUNT.sub(lambda found: found.group().replace(" ", NO_BREAK), line)  # a count stays in one line
        wrapped = textwrap.wrap(whole, CHARACTERS[column], subsequent_indent="   ") or [""]
        yield from (part.replace(NO_BREAK, " ") for part in wrapped)


def flow_svg(flow: Flow, outcomes: Mapping[str, int]) -> str:
    """The flow diagram as SVG; every text is escaped."""
    boxes, arrows, height = layout(flow, outcomes)
    said = f"{flow.rows} rows read, {flow.all_patients} patients, {flow.cases} cases, {flow.members} in the cohort"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Flow diagram" font-family="sans-serif" font-size="{SIZE}">',
        f"<title>Flow diagram</title><desc>{escape(said)}</desc>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for x1, y1, x2, y2 in arrows:
        out.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#33415c"/>')
        points = " ".join(f"{x},{y}" for x, y in _head(x1, y1, x2, y2))
        out.append(f'<polygon points="{points}" fill="#33415c"/>')
    for box in boxes:
        place = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
        out.append(f'<rect {place} rx="4" fill="#f5f7fa" stroke="#33415c"/>')
        for k, line in enumerate(box.lines):
            weight = ' font-weight="bold"' if k == 0 else ""
            y = box.y + PADDING + LINE * k + SIZE
            out.append(
                f'<text x="{box.x + PADDING}" y="{y}" fill="{INK}" xml:space="preserve"{weight}>{escape(line)}</text>'
            )
    return "\n".join([*out, "</svg>"])


def _head(x1: int, y1: int, x2: int, y2: int) -> tuple[tuple[int, int], ...]:
    """The three corners of an arrow's head, which points down or to the right."""
    if x1 == x2:
        return (x2, y2), (x2 - 5, y2 - 9), (x2 + 5, y2 - 9)
    return (x2, y2), (x2 - 9, y2 - 5), (x2 - 9, y2 + 5)


def flow_png(flow: Flow, outcomes: Mapping[str, int]) -> bytes:
    """The flow diagram as PNG (twice the size of the SVG), drawn with Pillow.

    Raises:
        ImportError: Pillow is not installed.
    """
    from PIL import Image, ImageDraw
    from PIL.ImageFont import load_default

    boxes, arrows, height = layout(flow, outcomes)
    image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), "#ffffff")
    draw, font = ImageDraw.Draw(image), load_default(SIZE * SCALE)
    for arrow in arrows:
        x1, y1, x2, y2 = (SCALE * v for v in arrow)
        draw.line((x1, y1, x2, y2), fill="#33415c", width=SCALE)
        draw.polygon([(SCALE * x, SCALE * y) for x, y in _head(*arrow)], fill="#33415c")
    for box in boxes:
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        draw.rounded_rectangle([SCALE * v for v in corners], 4 * SCALE, fill="#f5f7fa", outline="#33415c", width=SCALE)
        for k, line in enumerate(box.lines):
            place = (SCALE * (box.x + PADDING), SCALE * (box.y + PADDING + LINE * k))
            if k == 0:
                _bold(draw, place, line, font)
            else:
                draw.text(place, line, fill=INK, font=font)
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def _bold(draw: ImageDraw, place: tuple[int, int], line: str, font: FreeTypeFont | ImageFont) -> None:
    """Draw a line in bold, of which Pillow has no font: each letter is widened to the right, and has more room."""
    for k, letter in enumerate(line):
        x = place[0] + font.getlength(line[:k]) + SPREAD * k
        for wider in range(SCALE + 1):
            draw.text((x + wider, place[1]), letter, fill=INK, font=font)
