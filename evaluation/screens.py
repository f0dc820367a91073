"""Holds the case screen against reading everything, on many altered copies of reports that are a case.

    python evaluation/screens.py --reports 10000

Each copy is a report of the gold standard (train parts) with a tier above no, altered as archives alter text: case,
hyphens, hard wraps, blanks, Unicode, spelling, injected words. Both ways must give the same case status; a report that
the screen passes over although reading gives it a tier is lost. Writes a dated JSON file with the hash of the rules.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from calcitrace import Report, load_rules
from calcitrace.corpus import DEFAULT_CASE
from calcitrace.workers import Setup, Worker

HERE = Path(__file__).parent
PARTS = tuple(f"train{n}" for n in ("", *range(2, 15)))
INJECTED = ("please", "apparently", "image 4", "(see below)", "left", "new", "[DATE]", "***")
Draw = random.Random


def _wrapped(text: str, draw: Draw) -> str:
    width = draw.randint(40, 100)
    return "\n".join(textwrap.fill(line, width) for line in text.split("\n"))


def _injected(text: str, draw: Draw) -> str:
    words = text.split(" ")
    for _ in range(draw.randint(1, 6)):
        words.insert(draw.randrange(len(words) + 1), draw.choice(INJECTED))
    return " ".join(words)


def _misspelt(text: str, draw: Draw) -> str:
    """A few letters left out or doubled, anywhere."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(text))
        text = text[:at] + text[at + 1 :] if draw.random() < 0.5 else text[:at] + text[at] + text[at:]
    return text


def _full_width(text: str, draw: Draw) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalpha() and draw.random() < 0.05 else c for c in text)


def _accented(text: str, draw: Draw) -> str:
    return "".join(c + "\u0301" if c in "aeiou" and draw.random() < 0.05 else c for c in text)


ALTERED: tuple[Callable[[str, Draw], str], ...] = (
    lambda t, _: t.upper(),
    lambda t, _: t.lower(),
    lambda t, _: re.sub(r"\b(sub|intra|peri|supra|infra)(?=[a-z]{4})", r"\1-", t),
    lambda t, _: re.sub(r"\b(sub|supra|infra)(?=[a-z]{4})", r"\1 ", t),
    lambda t, _: t.replace(" ", "\u00a0"),
    lambda t, _: t.replace("e", "e\u200b"),
    lambda t, _: t.replace("tumor", "tumour").replace("edema", "oedema").replace("calcified", "calcifed"),
    _wrapped,
    _injected,
    _misspelt,
    _full_width,
    _accented,
    lambda t, _: re.sub(r"[ \t]+", "  ", t),
    lambda t, _: t.replace(". ", ".\r\n\r\n"),
    lambda t, _: t.replace("\n", " "),
)


def positives() -> list[str]:
    """The texts of the train parts that have a tier above no."""
    lines = (line for p in PARTS for line in (HERE / "gold" / f"{p}.jsonl").read_text(encoding="utf-8").splitlines())
    return [r["text"] for r in map(json.loads, lines) if r["case"] != "no"]


def main() -> None:
    """Alter, compare, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    given = parser.parse_args()
    rules, draw, texts = load_rules(), random.Random(given.seed), positives()
    whole, screened = (Worker(Setup("", rules.hash, DEFAULT_CASE, screen=s)) for s in ("none", "case"))
    tiers: Counter[str] = Counter()
    lost = passed_over = 0
    for number in range(given.reports):
        text = texts[number % len(texts)]
        for alter in draw.sample(ALTERED, draw.randint(1, 3)):
            text = alter(text, draw)
        report = Report(f"m{number}", text)
        read, looked = (w(report)["report"] for w in (whole, screened))
        tiers[read["case_status"]] += 1
        passed_over += looked["status"] != "read"
        lost += read["case_status"] != looked["case_status"]
    result = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "ruleset_hash": rules.hash,
        "reports": given.reports,
        "case status when all is read": dict(tiers),
        "passed over by the screen": passed_over,
        "case status differs": lost,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"{result['measured'][:10]}_screens_{rules.hash[:8]}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result))
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
