"""What the notebooks share: where the shipped data lie, runs over samples of them, and pictures that are small.

All shipped reports are synthetic. The test part of the gold standard is never read here; its figures are taken from
the dated files in evaluation/results.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
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
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b7280"
DPI, COLOURS = 90, 64

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
        Image.open(drawn).convert("RGB").quantize(COLOURS).save(out, "png", optimize=True)
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
