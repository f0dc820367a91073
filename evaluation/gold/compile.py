"""Turn marked-up gold reports (*.gold.txt) into JSON lines, checking every mark.

Usage: python evaluation/gold/compile.py FILE.gold.txt [...] [--out FILE.jsonl]

The marked-up form is what annotators read and edit:

    ##### id=X-001 patient=X-P01 date=2019-03-02 modality=MR body_part=shoulder
    # case=probable migration=cortical_erosion tendon=supraspinatus bone=humerus side=left size_mm=9 absence_of_mass=yes
    FINDINGS: A 9 mm {{calcific deposit|calcification|present}} ... no {{mass|mass|absent}}.

A mark is {{text|finding|assertion}} or {{text|finding|assertion|change}}. Problems are printed with the
report id; the exit code is 1 when there is any error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

FINDINGS = frozenset(
    "calcification calcific_tendinopathy intraosseous_calcium cortical_erosion osteolysis sclerosis "
    "subcortical_cyst bone_marrow_edema soft_tissue_edema hypointensity enhancement joint_effusion bursitis "
    "periosteal_reaction fracture mass neoplasm infection pain trauma".split()
)
ASSERTIONS = frozenset("present absent possible historical hypothetical".split())
CHANGES = frozenset("none new increased decreased unchanged resolved".split())
CASES = frozenset("definite probable possible no".split())
MIGRATIONS = frozenset("cortical_erosion subcortical intramedullary none".split())
SIDES = frozenset("left right bilateral none".split())
MARK = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
HEAD = re.compile(r"^##### ", re.MULTILINE)
REQUIRED = ("id", "patient", "date", "modality", "body_part")
LABELS = ("case", "migration", "tendon", "bone", "side", "size_mm", "absence_of_mass")


def pairs(line: str) -> dict[str, str]:
    """The key=value words of a header line."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def unmark(marked: str) -> tuple[str, list[dict[str, Any]], list[str]]:
    """Plain text, its mentions with character offsets, and the errors found in the marks."""
    text, mentions, errors, last = "", [], [], 0
    for mark in MARK.finditer(marked):
        text += marked[last : mark.start()]
        last = mark.end()
        parts = mark.group(1).split("|")
        if len(parts) not in (3, 4):
            errors.append(f"mark needs 3 or 4 parts: {mark.group(0)!r}")
            continue
        span, label, assertion, change = (*parts, "none")[:4]
        for value, allowed in ((label, FINDINGS), (assertion, ASSERTIONS), (change, CHANGES)):
            if value not in allowed:
                errors.append(f"{value!r} is not allowed in {mark.group(0)!r}")
        if change == "resolved" and assertion != "absent":
            errors.append(f"resolved goes with absent: {mark.group(0)!r}")
        mentions.append(
            {"start": len(text), "end": len(text) + len(span), "label": label, "text": span,
             "assertion": assertion, "change": change}
        )  # fmt: skip
        text += span
    return text + marked[last:], mentions, errors


def check(record: dict[str, Any]) -> list[str]:
    """Errors in the report-level labels of one record."""
    errors = []
    for key, allowed in (("case", CASES), ("migration_type", MIGRATIONS), ("laterality", SIDES)):
        if record[key] not in allowed:
            errors.append(f"{key}={record[key]!r} is not one of {sorted(allowed)}")
    if record["case"] == "no" and record["migration_type"] != "none":
        errors.append("case=no needs migration=none")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", record["study_date"]):
        errors.append(f"date {record['study_date']!r} is not YYYY-MM-DD")
    return errors


def parse(block: str) -> tuple[dict[str, Any], list[str]]:
    """One record from its block, with the errors found."""
    head, labels, body = (block.split("\n", 2) + ["", ""])[:3]
    first, second = pairs(head), pairs(labels)
    missing = [k for k in REQUIRED if k not in first] + [k for k in LABELS if k not in second]
    if missing:
        return {"report_id": first.get("id", "?")}, [f"header lacks {', '.join(missing)}"]
    text, mentions, errors = unmark(body.strip("\n"))
    if "{{" in text or "}}" in text:
        errors.append("unbalanced braces")
    size = second["size_mm"]
    record = {
        "report_id": first["id"], "patient_id": first["patient"], "study_date": first["date"],
        "modality": first["modality"], "body_part": first["body_part"], "case": second["case"],
        "migration_type": second["migration"], "tendon": second["tendon"], "bone": second["bone"],
        "laterality": second["side"], "size_mm": None if size == "none" else float(size),
        "absence_of_mass": second["absence_of_mass"] == "yes", "text": text, "mentions": mentions,
    }  # fmt: skip
    return record, errors + check(record)


def unmarked(records: list[dict[str, Any]]) -> list[str]:
    """Places where words that are marked elsewhere in the file stand unmarked: places to look at, not errors."""
    words = Counter(m["text"].lower() for r in records for m in r["mentions"])
    usual = [w for w, n in words.items() if n >= 2 and len(w) > 3]
    if not usual:
        return []
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, sorted(usual, key=len, reverse=True))) + r")\b", re.I)
    notes = []
    for r in records:
        for hit in pattern.finditer(r["text"]):
            if not any(m["start"] < hit.end() and hit.start() < m["end"] for m in r["mentions"]):
                around = r["text"][max(0, hit.start() - 40) : hit.end() + 30].replace("\n", " ")
                notes.append(f"{r['report_id']}: unmarked {hit.group(0)!r} in ...{around}...")
    return notes


def main() -> int:
    """Compile the files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--notes", action="store_true", help="also list words left unmarked")
    args = parser.parse_args()
    records: list[dict[str, Any]] = []
    errors: list[str] = []
    for path in args.files:
        for block in HEAD.split(path.read_text(encoding="utf-8"))[1:]:
            record, found = parse(block)
            errors += [f"{path.name}: {record['report_id']}: {e}" for e in found]
            if "text" in record:
                records.append(record)
    doubled = [i for i, n in Counter(r["report_id"] for r in records).items() if n > 1]
    errors += [f"report id {i} is used twice" for i in doubled]
    print("\n".join(errors))
    if args.notes:
        print("\n".join(unmarked(records)))
    print(f"{len(records)} reports, {sum(len(r['mentions']) for r in records)} mentions, "
          f"{dict(Counter(r['case'] for r in records))}, {len(errors)} errors")  # fmt: skip
    if args.out and not errors:
        with args.out.open("w", encoding="utf-8", newline="\n") as handle:
            handle.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in records)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
