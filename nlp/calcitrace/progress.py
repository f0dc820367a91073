"""How far a run has come, read from its folder while another process writes it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from calcitrace.runfolder import COMPLETE, TOTALS, at_work, lost_tables, part_notes, read_manifest

AGAIN = "give the same `calcitrace process` command again"
STILL = 300  # seconds without a new part after which a run is called still


def how_far(folder: Path) -> Iterator[tuple[str, str]]:
    """What there is to say of a run, as (name, value).

    Raises:
        RunError: no run folder.
    """
    manifest = read_manifest(folder)
    parts = [_side(p) for p in part_notes(folder)]
    totals: Counter[str] = Counter()
    for part in filter(None, parts):
        totals.update({key: part[key] for key in TOTALS} | {"rejected rows": len(part["rejected"])})
    complete = manifest.get("status") == COMPLETE
    yield "status", _whole(folder, manifest) if complete else _unfinished(folder)
    if manifest.get("shard"):
        yield "shard", "{}/{}".format(*manifest["shard"])
    yield from ((name, f"{totals[name]:,}") for name in TOTALS)
    if complete:
        yield from _took(manifest, totals["reports"])
    elif parts:
        yield from _pace(folder, manifest, [p for p in parts if p], totals["reports"])


def _side(path: Path) -> dict[str, Any] | None:
    """The notes of a part; None where they are being written."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (ValueError, OSError):
        return None
    return found


def _whole(folder: Path, manifest: dict[str, Any]) -> str:
    lost = lost_tables(folder, manifest)
    if not lost:
        return "complete"
    return f"damaged: tables are gone ({len(lost):,}, first {lost[0]}); {AGAIN} to make them anew"


def _unfinished(folder: Path) -> str:
    """Running or stopped, by the lock that a run holds; where the system has no locks, by how long it was silent."""
    newest = max((p.stat().st_mtime for p in part_notes(folder)), default=None)
    working = at_work(folder)
    if working is False:
        return f"stopped{' before its first part' if newest is None else ''}; {AGAIN} to go on"
    if newest is None:
        return "running, no part finished yet"
    silent = time.time() - newest
    return (
        "running"
        if working or silent < STILL
        else f"no new part for {timedelta(seconds=round(silent))}; was it stopped?"
    )


def _took(manifest: dict[str, Any], reports: int) -> Iterator[tuple[str, str]]:
    """How long a finished run took, with the time in which it may have stood still, and the rate over that."""
    started, finished = (datetime.fromisoformat(manifest[k]) for k in ("started", "finished"))
    yield "took", f"{finished - started} from its first start to its end"
    if finished > started:
        yield "rate", f"{_rate(reports / (finished - started).total_seconds())} over that time"


def _rate(rate: float) -> str:
    return f"{rate:,.0f} reports/s" if rate >= 10 else f"{rate:.2g} reports/s"


def _pace(
    folder: Path, manifest: dict[str, Any], parts: list[dict[str, Any]], reports: int
) -> Iterator[tuple[str, str]]:
    """Share of the input that is done, rate and time left, by when the first and the last part were written."""
    done = max(p.get("fraction", 0.0) for p in parts)
    yield "done", f"{100 * done:.1f} % of the input"
    times = [p.stat().st_mtime for p in part_notes(folder)]
    spent = max(times) - datetime.fromisoformat(manifest["started"]).timestamp()
    if spent > 0 and done > 0:
        yield "rate", _rate(reports / spent)
        yield "time left", str(timedelta(seconds=round(spent * (1 - done) / done)))
