"""An archive of synthetic reports, as large as wanted, for benchmarks, fault campaigns and simulations.

    python evaluation/archive.py --reports 100000 --in-scope 0.03 --out archive.parquet

Each report is one of the gold standard (train and everyday parts) with its sizes and dates changed, an accession
number, and the sentences about normal structures that fill real reports (normal_sentences.txt). In scope are reports of
the train parts that speak of a calcification. Of the others `TRICKY` come from the everyday parts, which were written
to mislead, and the rest say little but that all is normal. The same seed gives the same archive.

Lengths and words are those that the targets of speed were set with, in a study of 25,000 synthetic reports of the
chest, abdomen, head and joints: of a mixed archive 1,432 characters (611 to 2,500) and 24 sentences a report, with
"calcif" in 37 % of the reports, "edema" in 33 % and "mass" in 35 %; of one in which all are in scope 1,804 characters.
Shorter reports would make much of what is paid for each report, longer ones of what is paid for each sentence.
Sentences repeat as they do in an archive; how much real ones repeat is not known here, so benchmarks say it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

GOLD = Path(__file__).parent / "gold"
TRAIN = ("train", "train2", "train3", "train4", "train5", "train6", "train7")
EVERYDAY = ("everyday", "everyday2")
BATCH = 10_000
NORMAL = Path(__file__).with_name("normal_sentences.txt")
ORDINARY = (
    "Mild scattered degenerative change, commensurate with age.",
    "No acute fracture or dislocation is identified.",
    "There is a small hiatal hernia.",
    "No evidence of acute infection.",
    "Mild bibasilar atelectasis.",
    "A simple cyst is noted incidentally, of no clinical significance.",
    "Mild soft tissue swelling.",
    "There is no suspicious mass.",
    "Stable appearance compared with the previous examination.",
    "Trace joint fluid, within physiologic limits.",
)
CONCLUSIONS = (
    "No acute abnormality.",
    "Normal examination.",
    "No significant change since the previous examination.",
    "Unremarkable study.",
    "No finding to explain the symptoms.",
)
BODY = frozenset(
    "chest abdomen breast pelvis head neck brain dental temporal_bone obstetric orbit orbits aorta jaw cardiac heart"
    " scrotum sinus sinuses liver thyroid kidney renal adrenal face mandible urogram mrcp kub whole_body".split()
)
ADDED = {"MR": (570, 1240), "CT": (900, 1880)}  # characters
ADDED_ELSE = (500, 1680)
LONGEST = 2500
PARAGRAPH = (3, 8)  # sentences
TAILS = (
    *[""] * 5,
    " on the images provided",
    " as far as can be assessed",
    " at the levels that were imaged",
    " within the limits of this technique",
    " on the present examination",
    " as on the previous examination",
)
TRICKY = 0.6
_CONCLUSION = re.compile(r"(?im)^\W*(?:impression|conclusions?|opinion|comment|summary)\b")
_SIZE = re.compile(r"(?<![\d.,])(\d{1,2})(?= ?(?:x \d|mm\b|cm\b))")
_YEAR = re.compile(r"\b(19|20)(\d\d)\b")


@dataclass(frozen=True, slots=True)
class Made:
    """A report of the archive, with the case status of the one it was made from."""

    report_id: str
    patient_id: str
    study_date: str
    modality: str
    body_part: str
    text: str
    case: str
    origin: str


def make_archive(reports: int, in_scope: float, seed: int = 0, cases: float | None = None) -> Iterator[Made]:
    """The reports of an archive, in order.

    Args:
        reports: how many.
        in_scope: share of reports about a calcification, 0 to 1.
        seed: the same seed gives the same archive.
        cases: share of the reports that are cases (definite or probable); by default as in the gold standard.
    """
    draw = random.Random(seed)  # noqa: S311 - no secret
    scope, others = _gold(TRAIN), _gold(EVERYDAY)
    scope = [g for g in scope if re.search(r"(?i)calci|hydroxyapatite|hadd", g["text"])]
    sick = [g for g in scope if g["case"] in ("definite", "probable")]
    well = [g for g in scope if g["case"] == "no"]
    for number in range(reports):
        chance = draw.random()
        if cases is not None and chance < cases:
            origin = draw.choice(sick)
        elif chance < in_scope:
            origin = draw.choice(scope if cases is None else well)
        else:
            origin = draw.choice(others) if draw.random() < TRICKY else _ordinary(draw.choice(others), draw)
        yield _changed(origin, number, draw)


def _gold(parts: Sequence[str]) -> list[dict[str, str]]:
    return [json.loads(line) for p in parts for line in (GOLD / f"{p}.jsonl").read_text(encoding="utf-8").splitlines()]


def _ordinary(origin: dict[str, str], draw: random.Random) -> dict[str, str]:
    """A report of the same kind that says no more than its title and one finding of no matter."""
    title = origin["text"].split("\n")[0][:80]
    return {**origin, "text": f"{title}\n\n{draw.choice(ORDINARY)}\n\nIMPRESSION: {draw.choice(CONCLUSIONS)}"}


def _changed(origin: dict[str, str], number: int, draw: random.Random) -> Made:
    """A gold report with other sizes and years, an accession number, and normal sentences in its findings."""
    shift, factor = draw.randint(-6, 6), draw.choice((0.8, 0.9, 1.0, 1.1, 1.2))
    text = _YEAR.sub(lambda m: str(min(int(m.group()) + shift, 2025)), origin["text"])
    text = _SIZE.sub(lambda m: str(max(round(int(m[1]) * factor), 1)), text)
    room = min(draw.randint(*ADDED.get(origin["modality"], ADDED_ELSE)), LONGEST - len(text))
    text = _filled(text, _fill(normal(origin["body_part"]), room, draw))
    accession = f"{draw.randint(10**7, 10**8 - 1)}"
    year = 2005 + draw.randrange(20)
    return Made(
        report_id=f"A{number:09d}",
        patient_id=f"P{draw.randrange(10**7):07d}",
        study_date=f"{year}-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
        modality=origin["modality"],
        body_part=origin["body_part"],
        text=f"{text}\nAccession: {accession}",
        case=origin["case"],
        origin=origin["report_id"],
    )


@cache
def normal(body_part: str) -> tuple[str, ...]:
    """The sentences of normal reports of a body part."""
    kinds = ("body",) if body_part in BODY else ("joint", "shoulder") if body_part == "shoulder" else ("joint",)
    listed = {part.split("]")[0]: part.split("\n")[1:] for part in NORMAL.read_text(encoding="utf-8").split("\n[")}
    return tuple(sentence for kind in kinds for sentence in listed[kind] if sentence)


def _fill(normal: Sequence[str], room: int, draw: random.Random) -> str:
    """Paragraphs of sentences about normal structures, of this many characters at most."""
    fill, left = "", draw.randint(*PARAGRAPH)
    for plain in draw.sample(normal, len(normal)):
        sentence = f"{plain[:-1]}{draw.choice(TAILS)}."
        if len(fill) + len(sentence) > room:
            break
        left -= 1
        fill += sentence + (" " if left else "\n")
        left = left or draw.randint(*PARAGRAPH)
    return fill.rstrip()


def _filled(text: str, normal: str) -> str:
    """The report with paragraphs about normal structures before its conclusion."""
    conclusion = _CONCLUSION.search(text)
    at = conclusion.start() if conclusion else len(text)
    return f"{text[:at].rstrip()}\n{normal}\n\n{text[at:]}".rstrip()


def write_archive(archive: Iterator[Made], out: Path) -> int:
    """Write an archive as Parquet or CSV, by the ending; how many reports."""
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    names = Made.__slots__
    schema = pa.schema([(name, pa.string()) for name in names])
    options = pc.WriteOptions(quoting_style="all_valid")
    writer = (
        pq.ParquetWriter(out, schema, compression="zstd")
        if out.suffix == ".parquet"
        else pc.CSVWriter(out, schema, write_options=options)
    )
    count, batch = 0, list[Made]()
    with writer:
        for made in archive:
            batch.append(made)
            count += 1
            if len(batch) == BATCH:
                _write(writer, batch, schema)
        _write(writer, batch, schema)
    return count


def _write(writer: Any, batch: list[Made], schema: Any) -> None:
    import pyarrow as pa

    writer.write(pa.table([[getattr(m, name) for m in batch] for name in schema.names], schema=schema))
    batch.clear()


def main() -> None:
    """Write an archive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=10_000)
    parser.add_argument("--in-scope", type=float, default=0.03, help="share of reports about a calcification")
    parser.add_argument("--cases", type=float, help="share of cases; by default as among the gold reports in scope")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help=".parquet or .csv")
    arguments = parser.parse_args()
    made = make_archive(arguments.reports, arguments.in_scope, arguments.seed, arguments.cases)
    print(f"wrote {write_archive(made, arguments.out):,} reports to {arguments.out}")


if __name__ == "__main__":
    main()
