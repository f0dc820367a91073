"""What the notebooks share: where the shipped data lie, runs over samples of them, and pictures that are small.

All shipped reports are synthetic. The test part of the gold standard is never read here; its figures are taken from
the dated files in evaluation/results.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calcitrace import RunOptions, process

EVALUATION = Path(__file__).resolve().parents[1]
GOLD, RESULTS = EVALUATION / "gold", EVALUATION / "results"
TRAIN = ("train", "train2", "train3", "train4", "train5", "train6", "train7")
EVERYDAY = ("everyday", "everyday2")
# Okabe and Ito's colours, told apart by all kinds of colour vision
BLUE, ORANGE, GREEN, PINK, YELLOW, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#F0E442", "#6b7280"
LOCAL = {  # what the made-up hospital of new_hospital.ipynb calls things
    r"(?m)^(?:FINDINGS|Findings|Report|Observations)(?=:)": "What we see",
    r"(?m)^(?:IMPRESSION|Impression|Conclusion|Comment|Opinion)(?=:)": "Take home",
    r"(?m)^(?:HISTORY|History|Clinical|Clinical Notes|Clinical profile|INDICATION|Indication)(?=:)": "Why we scan",
    r"\b[Cc]alcification\b": "CaDep",
    r"\b(?:[Cc]ortical )?[Ee]rosion\b": "CoEr",
    r"\b[Ee]ffusion\b": "Eff",
}
COLUMNS = ("report_id", "patient_id", "study_date", "modality", "body_part", "text")
DPI, COLOURS = 90, 128

for folder in (EVALUATION, EVALUATION / "baselines"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # archive.py, compare.py and their neighbours


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as the last value of a cell: shown as a small PNG."""

    figure: Figure

    def _repr_png_(self) -> bytes:
        from PIL import Image

        drawn, out = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, dpi=DPI, format="png", facecolor="white")
        Image.open(drawn).convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE).save(out, "png", optimize=True)
        return out.getvalue()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing (SVG) as the last value of a cell."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of HTML as the last value of a cell."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def plots(n: int = 1, width: float = 7.0, height: float = 3.6, **given: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `n` plots side by side, sizes in inches; no window, no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    found = figure.subplots(1, n, squeeze=False, **given)[0]
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure, list(found)


def spaced(name: str) -> str:
    """A name without underscores."""
    return name.replace("_", " ")


def records(parts: Sequence[str], every: int = 1) -> list[dict[str, Any]]:
    """Every n-th report of these parts of the gold standard, with its labels."""
    if any(part not in (*TRAIN, *EVERYDAY) for part in parts):
        raise ValueError("the notebooks read the train and everyday parts only")
    lines = [line for p in parts for line in (GOLD / f"{p}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [json.loads(line) for line in lines[::every]]


def run_over(rows: Sequence[dict[str, Any]], folder: Path, **options: Any) -> Path:
    """A finished run over gold reports, in `folder`/run, with the gold standard beside its tables (gold.jsonl)."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "gold.jsonl"
    source.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
    process(source, folder / "run", RunOptions(**options))
    shutil.copy(source, folder / "run" / "gold.jsonl")
    return folder / "run"


def newest(what: str) -> dict[str, Any]:
    """The newest dated file of evaluation/results of this kind, such as `baselines_test`."""
    return dict(json.loads(max(RESULTS.glob(f"*_{what}_*.json"), key=_measured).read_text(encoding="utf-8")))


def _measured(path: Path) -> tuple[str, str]:
    return path.name[:10], json.loads(path.read_text(encoding="utf-8")).get("measured", "")


def new_hospital(out: Path) -> Path:
    """Reports of a made-up hospital as CSV: some of the train parts with headings and abbreviations of its own."""
    rows = [{k: r[k] for k in COLUMNS} for r in records(("train4", "train5"), every=4)]
    for row in rows:
        for pattern, local in LOCAL.items():
            row["text"] = re.sub(pattern, local, row["text"])
    write_csv(rows, out)
    return out


def write_csv(rows: Sequence[dict[str, Any]], out: Path) -> None:
    """Reports as CSV."""
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def study_archive(out: Path, filler: int = 280, seed: int = 0) -> Path:
    """An archive of synthetic reports as CSV: patients of the train parts with several reports, among ordinary ones.

    Sex and age are drawn at random, and so is which report has an addendum, comes twice or is empty.
    """
    from archive import make_archive

    draw = random.Random(seed)
    gold = records(TRAIN)
    several = {p for p, n in Counter(r["patient_id"] for r in gold).items() if n > 1}
    rows = [{k: r[k] for k in COLUMNS} for r in gold if r["patient_id"] in several]
    rows += [{k: getattr(made, k) for k in COLUMNS} for made in make_archive(filler, 0.05, seed)]
    draw.shuffle(rows)
    born = {r["patient_id"]: (int(r["study_date"][:4]) - draw.randint(16, 82), draw.choice("FM")) for r in rows}
    for row in rows:
        year, row["sex"] = born[row["patient_id"]]
        row["age"] = max(int(row["study_date"][:4]) - year, 1)
    cases = {r["report_id"] for r in gold if r["case"] == "definite"}
    first, *others = [r for r in rows if r["report_id"] in cases][:4]
    rows += [{**row, "report_id": f"{row['report_id']}-copy"} for row in others]
    rows.append({**first, "text": f"{first['text']}\nADDENDUM: No further finding."})
    rows.append({**first, "report_id": "E1", "text": ""})
    write_csv(rows, out)
    return out


TIMELINE_STYLE = f"""<style>
.timelines text {{ font: 13px sans-serif; }} .timelines text.axis {{ font-size: 11px; fill: {GREY}; }}
.timelines line.lane {{ stroke: #d8dee6; }} .timelines line.report {{ stroke: #9aa4b2; stroke-dasharray: 2 3; }}
.timelines line.index {{ stroke: #1c2430; stroke-width: 2; }}
.timelines circle {{ stroke: #1c2430; fill: #ffffff; }} .timelines circle.unsaid {{ stroke: #b8c0cc; }}
.timelines .present, .timelines .involved {{ fill: {ORANGE}; }}
.timelines .smaller, .timelines .possible {{ fill: {YELLOW}; }}
.timelines .gone, .timelines .absent, .timelines .normal {{ fill: {BLUE}; }} .timelines .cyst {{ fill: {PINK}; }}
</style>"""
TIMELINE_KEY = {"present": "present, involved", "smaller": "smaller, possible", "cyst": "cyst"}
TIMELINE_KEY |= {"gone": "gone, absent, normal", "unsaid": "not said"}


def timelines(pictures: Sequence[str]) -> Drawing:
    """Pictures of patients (`calcitrace.patientpicture.picture`) one above the other, with a key to the colours."""
    height = 132 * len(pictures) + 30
    size = f'viewBox="0 0 760 {height}" width="760" height="{height}"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" class="timelines" {size}>']
    out.append(TIMELINE_STYLE)
    for k, (kind, said) in enumerate(TIMELINE_KEY.items()):
        out.append(
            f'<circle class="{kind}" cx="{20 + 152 * k}" cy="14" r="7"/><text x="{32 + 152 * k}" y="18">{said}</text>'
        )
    for k, drawn in enumerate(pictures):
        out.append(drawn.replace("<svg ", f'<svg y="{132 * k + 30}" width="760" height="128" ', 1))
    return Drawing("\n".join([*out, "</svg>"]))
