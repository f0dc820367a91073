"""Compares a cohort's patients with a gold file of patients, field by field; converts a series file to reports.

    python evaluation/patients.py convert evaluation/gold/series/series_a.txt --out reports.jsonl
    calcitrace process reports.jsonl --out run && calcitrace cohort run --out cohort
    python evaluation/patients.py score cohort evaluation/gold/series/series_a.txt [--errors]

A gold file is a series file (reports, and after a patient's reports a line `##### patient=... is_case=...`) or JSONL
with one patient a line. Only ids and values are printed, never the text of a report.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

HEAD = re.compile(r"^##### ", re.M)
FIELDS = ("is_case", "index_date", "migration_type", "tendon", "laterality", "outcome", "vanished_deposit")
MORE = ("first_diagnosis", "biopsy")
BINARY = {"is_case", "vanished_deposit"}
OF_CASES = {"index_date", "migration_type", "outcome", "first_diagnosis", "biopsy"}


def pairs(line: str) -> dict[str, str]:
    """The key=value pairs of a header line."""
    return dict(p.split("=", 1) for p in line.split() if "=" in p)


def reports_of(path: Path) -> list[dict[str, str]]:
    """The reports of a series file as records that `calcitrace process` reads."""
    found = []
    for block in HEAD.split(path.read_text(encoding="utf-8"))[1:]:
        head, _, rest = block.partition("\n")
        said = pairs(head)
        if "id" in said:
            body = "\n".join(line for line in rest.split("\n") if not line.startswith("# case="))
            names = {"report_id": "id", "patient_id": "patient", "study_date": "date"}
            names |= {k: k for k in ("modality", "body_part")}
            found.append({**{k: said.get(v, "") for k, v in names.items()}, "text": body.strip("\n")})
    return found


def patients_of(path: Path) -> dict[str, dict[str, Any]]:
    """The patients of a gold file by id, as plain strings (yes/no; none where there is no value)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        rows = [pairs(block.partition("\n")[0]) for block in HEAD.split(text)[1:]]
        rows = [{**r, "patient_id": r["patient"]} for r in rows if "is_case" in r]
    return {r["patient_id"]: {k: plain(r[k]) for k in (*FIELDS, *MORE) if k in r} for r in rows}


def plain(value: Any) -> str:
    """A value of either side as one string."""
    if value is None or value != value:
        return "none"
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def score(cohort: Path, gold: dict[str, dict[str, Any]], errors: bool) -> list[str]:
    """One line a field with right/all, and each error where asked for."""
    import pandas as pd

    rows = pd.read_parquet(cohort / "patients.parquet").to_dict("records")
    found = {r["patient_id"]: {k: plain(r[k]) for k in (*FIELDS, *MORE)} for r in rows if r["patient_id"] in gold}
    lines = [f"{len(gold)} patients, {len(gold) - len(found)} not in the cohort's table"]
    for field in (*FIELDS, *MORE):
        scored = [p for p, g in gold.items() if field in g and (field not in OF_CASES or g["is_case"] == "yes")]
        wrong = [p for p in scored if found.get(p, {}).get(field) != gold[p][field]]
        if scored:
            who = "cases" if field in OF_CASES else "patients"
            right = len(scored) - len(wrong)
            lines.append(f"{field:18} {right}/{len(scored)} {who} ({right / len(scored):.3f})")
        if errors:
            lines += [f"    {p}: gold {gold[p][field]}, found {found.get(p, {}).get(field)}" for p in wrong]
    return lines


def main() -> int:
    """Convert or score, as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert")
    convert.add_argument("series", nargs="+", type=Path)
    convert.add_argument("--out", required=True, type=Path)
    scoring = commands.add_parser("score")
    scoring.add_argument("cohort", type=Path)
    scoring.add_argument("gold", nargs="+", type=Path)
    scoring.add_argument("--errors", action="store_true", help="name each wrong patient")
    args = parser.parse_args()
    if args.command == "convert":
        rows = [r for path in args.series for r in reports_of(path)]
        args.out.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")
        print(f"{len(rows)} reports")
    else:
        gold = {p: g for path in args.gold for p, g in patients_of(path).items()}
        print("\n".join(score(args.cohort, gold, args.errors)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
