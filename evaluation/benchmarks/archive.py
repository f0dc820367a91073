"""The speed of `calcitrace process` over whole archives, from a Parquet or CSV file to committed parts.

    python evaluation/benchmarks/archive.py

Beside it, on reports of the same archive and in the same process: the plain medspaCy chain (see vs_medspacy.py), and
the reference path of calcitrace (its own preparation and linking over stock medspaCy components). Archives are made by
evaluation/archive.py: all reports in scope, 3 % (also as CSV) and 0.3 %. Their sentences repeat, which helps
calcitrace (it judges a sentence once); how much they do is part of the result. Everything runs on one core, in turns;
the chain and the reference path on a few reports, since they are slow. Every run of calcitrace begins as a new process
does, but for the imports: rules are read and every cache is empty; the archives of ten times as many reports show what
is left of that start, with the case screen alone. "screened chain" is the plain chain behind the case screen of raw
text, so that the screen does not take the credit of the rest.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE), str(Path(__file__).parent)]

from archive import Made, make_archive, write_archive  # type: ignore[attr-defined]  # noqa: E402
from loguru import logger  # noqa: E402
from vs_medspacy import chain, one_core  # noqa: E402

from calcitrace import Annotator, Report, RunOptions, load_rules, process  # noqa: E402
from calcitrace.corpus import DEFAULT_CASE  # noqa: E402
from calcitrace.sieve import Screen  # noqa: E402
from calcitrace.workers import _worker_of  # noqa: E402

SCREENS = ("rules", "case")
ARCHIVES = {  # share in scope, form, how many reports in relation to the mixed ones, and screens
    "all in scope": (1.0, "parquet", 0.2, SCREENS),
    "3 % in scope": (0.03, "parquet", 1.0, SCREENS),
    "3 % in scope, CSV": (0.03, "csv", 1.0, SCREENS),
    "0.3 % in scope": (0.003, "parquet", 1.0, SCREENS),
    "3 % in scope, ten times as many": (0.03, "parquet", 10.0, ("case",)),
    "3 % in scope, CSV, ten times as many": (0.03, "csv", 10.0, ("case",)),
    "0.3 % in scope, ten times as many": (0.003, "parquet", 10.0, ("case",)),
}
LOOKED = 5000


def per_report(job: Callable[[], object], reports: int) -> float:
    """CPU milliseconds a report."""
    began = time.process_time()
    job()
    return 1000 * (time.process_time() - began) / reports


def forget() -> None:
    """Drop what this process has prepared and read."""
    load_rules.cache_clear()
    _worker_of.cache_clear()


class Archive:
    """An archive in a file, its first reports, and how many reports and characters it has; the rest is not kept."""

    def __init__(self, reports: int, share: float, source: Path) -> None:
        self.source, self.first, self.reports, self.characters = source, list[Made](), 0, 0
        write_archive(self._passing(make_archive(reports, share)), source)

    def _passing(self, archive: Iterator[Made]) -> Iterator[Made]:
        for made in archive:
            self.reports += 1
            self.characters += len(made.text)
            if len(self.first) < LOOKED:
                self.first.append(made)
            yield made


def measured(
    archive: Archive,
    few: Sequence[Report],
    rounds: int,
    screens: Sequence[str],
    nlp: Any,
    reference: Annotator,
) -> dict[str, Any]:
    """The milliseconds a report of each way, for each round."""
    found: dict[str, list[float]] = {name: [] for name in ("chain", "reference", "screened chain", *screens)}
    screen = Screen(reference.rules, reference.rules.cases[DEFAULT_CASE])
    looked_at = [m.text for m in archive.first]
    for number in range(rounds):
        found["chain"].append(per_report(lambda: [nlp(r.text) for r in few], len(few)))
        slow = Annotator(reference.rules, engine="medspacy")  # one that remembers nothing
        found["reference"].append(per_report(lambda slow=slow: list(slow.annotate(few)), len(few)))
        looked = per_report(lambda: list(map(screen, looked_at)), len(looked_at))
        share = sum(map(screen, looked_at)) / len(looked_at)
        found["screened chain"].append(looked + share * found["chain"][-1])
        for name in screens:
            out, options = archive.source.parent / f"{name}{number}", RunOptions(screen=name)
            forget()
            found[name].append(
                per_report(lambda out=out, options=options: process(archive.source, out, options), archive.reports)
            )
    return found


def summary(found: dict[str, list[float]]) -> dict[str, Any]:
    """Milliseconds a report, and how many times longer the chain and the reference path take, round by round."""
    ratios = {
        f"{slow} / {fast}": [a / b for a, b in zip(found[slow], found[fast], strict=True)]
        for slow in ("chain", "reference", "screened chain")
        for fast in SCREENS
        if fast in found
    }
    return {
        "ms_per_report": {k: round(statistics.median(v), 3) for k, v in found.items()},
        "ratio": {k: {"median": statistics.median(v), "low": min(v), "high": max(v)} for k, v in ratios.items()},
    }


def repetition(annotator: Annotator, made: Sequence[Made]) -> float:
    """The share of sentences that differ from all before."""
    seen = [s for m in made for s in annotator.sentences(m.text)]
    return len(set(seen)) / len(seen)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=100_000, help="reports of a mixed archive")
    parser.add_argument("--few", type=int, default=200, help="reports that the slow ways read")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=ARCHIVES, nargs="+", default=list(ARCHIVES), help="these archives alone")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the JSON file")
    arguments = parser.parse_args()
    logger.disable("PyRuSH")
    pinned, rules = one_core(), load_rules()
    nlp, reference, fast = chain(rules), Annotator(rules, engine="medspacy"), Annotator(rules)
    how: dict[str, Any] = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{p: version(p) for p in ("calcitrace", "medspacy", "spacy")},
        },
        "one_core": pinned,
        "rounds": arguments.rounds,
    }
    result: dict[str, Any] = {"ruleset_hash": rules.hash, "archives": {}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"{how['measured'][:10]}_archive_{rules.hash[:8]}.json"
    if path.exists():  # archives measured earlier in the day stay, save those measured again
        result["archives"] = json.loads(path.read_text(encoding="utf-8"))["archives"]
    for name in arguments.only:
        share, form, size, screens = ARCHIVES[name]
        with tempfile.TemporaryDirectory() as folder:
            archive = Archive(round(arguments.reports * size), share, Path(folder) / f"archive.{form}")
            first = archive.first[: arguments.few]
            few = [Report(m.report_id, m.text, modality=m.modality, body_part=m.body_part) for m in first]
            found = summary(measured(archive, few, arguments.rounds, screens, nlp, reference))
        found["reports"] = archive.reports
        found["characters"] = round(archive.characters / archive.reports)
        found["distinct_sentences"] = round(repetition(fast, archive.first[:2000]), 3)
        result["archives"][name] = {**how, **found}
        print(name, json.dumps(found), flush=True)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
