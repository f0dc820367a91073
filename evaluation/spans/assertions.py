"""How often `Annotator.assertions` says the right thing of spans that the caller brings.

    python evaluation/spans/assertions.py cases.tsv negex.jsonl

A .tsv file has the columns sentence, target and expected (an assertion); the span is the first place of the target.
A .jsonl file has text, start, end, negation (Affirmed or Negated) and temporality, as the NegEx test kit.
No text is printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from pathlib import Path

from calcitrace import Annotator, load_rules
from calcitrace.model import Assertion


def main() -> None:
    """Print the figures of each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="cases (.tsv) or NegEx sentences (.jsonl)")
    rules = load_rules()
    annotator = Annotator(rules)
    print("rules", rules.hash[:8])
    for path in parser.parse_args().files:
        figures = cases(annotator, path) if path.suffix == ".tsv" else negex(annotator, path)
        print(f"{path.name}: {figures}")


def cases(annotator: Annotator, path: Path) -> str:
    """How many sentences have the expected assertion."""
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    right = sum(_said_of(annotator, *_first_place(r)).assertion == r["expected"] for r in rows)
    return f"{right} of {len(rows)} as expected"


def negex(annotator: Annotator, path: Path) -> str:
    """F of negation and of history."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    said = [_said_of(annotator, r["text"], r["start"], r["end"]) for r in rows]
    negated = [(r["negation"].lower() == "negated", s.presence == "absent") for r, s in zip(rows, said, strict=True)]
    past = [
        (r["temporality"].lower() == "historical", s.temporality == "historical")
        for r, s in zip(rows, said, strict=True)
    ]
    return f"{len(rows)} sentences, negation F {f_measure(negated):.3f}, historical F {f_measure(past):.3f}"


def f_measure(pairs: list[tuple[bool, bool]]) -> float:
    """F1 of (true, predicted) pairs; 0 where nothing was found or was there to be found."""
    hits = sum(truth and found for truth, found in pairs)
    return 2 * hits / (sum(t for t, _ in pairs) + sum(p for _, p in pairs) or 1)


def _said_of(annotator: Annotator, text: str, start: int, end: int) -> Assertion:
    return annotator.assertions(text, [(start, end)])[0]


def _first_place(row: dict[str, str]) -> tuple[str, int, int]:
    text = row["sentence"].replace("\\n", "\n")
    spaced = r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", row["target"])))
    found = re.search(spaced, text, re.IGNORECASE)
    if found is None:
        raise SystemExit(f"a target is not in its sentence (group {row.get('group', '')})")
    return text, found.start(), found.end()


if __name__ == "__main__":
    main()
