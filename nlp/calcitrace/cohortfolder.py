"""A cohort on disk: its tables with ids as given; its pages and pictures with pseudonyms, and no report text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.cohort import PATIENT_COLUMNS, TIMELINE_COLUMNS
from calcitrace.errors import RunError
from calcitrace.flowdiagram import flow_png, flow_svg
from calcitrace.methods import READ, definitions, methods, paragraphs
from calcitrace.patientpicture import picture
from calcitrace.pseudonyms import CHECK, KeyBefore, Pseudonyms, note_key, pseudonyms
from calcitrace.runfolder import MANIFEST, commit_file, now
from calcitrace.tableone import outcomes, outcomes_shown, table_one
from calcitrace.tables import safe_cell, schema
from calcitrace.timeline import COUNTED

if TYPE_CHECKING:
    import pandas as pd

    from calcitrace.cohort import Cohort
    from calcitrace.flow import Flow

MOST_PICTURES = 500
BEGUN = f"{MANIFEST}.tmp"  # there from the first file to the last, the manifest, whose writing takes it away


def write_cohort(
    cohort: Cohort,
    out: str | Path,
    key: str | Path | None = None,
    show_ids: bool = False,
    overwrite: bool = False,
    new_key: bool = False,
) -> str:
    """Write a cohort to the folder `out`; gives what there is to say of the key of its pseudonyms, if it has one.

    Args:
        cohort: as `build_cohort` made it.
        out: the folder: patients, members and timeline (Parquet and CSV, ids as given), flow.svg, flow.png (with
            Pillow), table1.csv, methods.md, cohort.html, manifest.json.
        key: file with the key for the pseudonyms; by default one beside the folder, made where there is none.
        show_ids: show ids as given on the page, instead of pseudonyms.
        overwrite: write over an earlier cohort.
        new_key: go on with other pseudonyms where the key of an earlier cohort in the folder is gone.

    Raises:
        UsageError: a key that cannot be used, or is not that of the cohort in the folder.
        RunError: the folder holds something else, or cannot be written.
    """
    folder = Path(out)
    check_folder(folder, overwrite)
    before = KeyBefore.of(folder)
    names = None if show_ids else pseudonyms(folder, Path(key) if key else None, new_key)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGUN).touch()
    (folder / MANIFEST).unlink(missing_ok=True)
    tables = {"patients": (cohort.patients, PATIENT_COLUMNS), "members": (cohort.members, PATIENT_COLUMNS)}
    for name, (frame, columns) in {**tables, "timeline": (cohort.timeline, TIMELINE_COLUMNS)}.items():
        commit_file(folder / f"{name}.parquet", _parquet(frame, columns))
        commit_file(folder / f"{name}.csv", _csv(list(columns), frame.to_numpy().tolist()))
    counts = outcomes(cohort.members)
    pictures = _pictures(folder, cohort.flow, counts)
    heads, rows = table_one(cohort.members)
    commit_file(folder / "table1.csv", _csv(heads, rows))
    commit_file(folder / "methods.md", methods(cohort, pictures).encode("utf-8"))
    commit_file(folder / "cohort.html", _page(cohort, names, counts).encode("utf-8"))
    commit_file(folder / MANIFEST, _manifest(cohort).encode("utf-8"))
    if names and key:
        note_key(folder, names)
        return f"pseudonyms are by {key}; give the same --key to calcitrace export, for the same pseudonyms"
    return before.told(folder) if names else ""


def _pictures(folder: Path, flow: Flow, counts: Mapping[str, int]) -> list[str]:
    """Draw the flow diagram; gives the names of the pictures, without PNG where Pillow is not installed."""
    commit_file(folder / "flow.svg", flow_svg(flow, counts).encode("utf-8"))
    try:
        commit_file(folder / "flow.png", flow_png(flow, counts))
    except ImportError:
        (folder / "flow.png").unlink(missing_ok=True)
        return ["flow.svg"]
    return ["flow.svg", "flow.png"]


def check_folder(folder: Path, overwrite: bool) -> None:
    """Check, before a cohort is built, that it can be written to a folder; one that was begun there may be begun anew.

    Raises:
        RunError: the folder holds a cohort that is not to be written over, or something else.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file; choose another --out")
    if (folder / MANIFEST).exists():
        if not overwrite:
            raise RunError(
                f"{folder}: holds a cohort; choose another --out, or --overwrite (patients keep their pseudonyms)"
            )
    elif folder.exists() and not (folder / BEGUN).exists() and any(p.name != CHECK for p in folder.iterdir()):
        raise RunError(f"{folder}: not empty and no cohort; choose another --out")


def _parquet(frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, schema=schema(columns), preserve_index=False)
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def _csv(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(heads)
    for row in rows:
        writer.writerow([_cell(v) for v in row])
    return target.getvalue().encode("utf-8")


def _cell(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return "" if value is None or value != value else safe_cell(value)


def _manifest(cohort: Cohort) -> str:
    flow, criteria = cohort.flow, cohort.criteria
    told = ("calcitrace", "ruleset_hash", "case", "model", "rows", "reports", "rejects", "started", "finished")
    found = {
        "version": version("calcitrace"),
        "finished": now(),
        "criteria": {"title": criteria.title, "file": criteria.file, "sha256": criteria.sha256},
        "runs": [
            {
                "folder": str(folder.resolve()),
                **{k: m.get(k) for k in told},
                "inputs": [{"name": i["name"]} for i in m["inputs"]],
            }
            for folder, m in zip(cohort.folders, cohort.manifests, strict=True)
        ],
        "rows": flow.rows,
        "rejects": dict(flow.rejects),
        "reports": dict(flow.reports),
        "patients": dict(flow.patients),
        "reports_of": dict(flow.reports_of),
        "cases": flow.cases,
        "members": flow.members,
        "by_review": dict(flow.by_review),
        "notes": list(cohort.notes),
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _page(cohort: Cohort, names: Pseudonyms | None, counts: Mapping[str, int]) -> str:
    """The offline page: flow, Table 1, methods, and a picture of each member's timeline."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    heads, rows = table_one(cohort.members)
    return environment.get_template("cohort.html.j2").render(
        title=cohort.criteria.title,
        version=version("calcitrace"),
        flow=cohort.flow,
        diagram=Markup(flow_svg(cohort.flow, counts)),  # noqa: S704 - its texts are escaped
        heads=heads,
        rows=rows,
        methods=paragraphs(cohort),
        read=READ,
        definitions=definitions(cohort),
        cards=list(_cards(cohort, names)),
        more=max(0, len(cohort.members) - MOST_PICTURES),
        shown=names is None,
    )


def _cards(cohort: Cohort, names: Pseudonyms | None) -> Iterator[dict[str, Any]]:
    from markupsafe import Markup

    shown, of_patient = cohort.members.head(MOST_PICTURES), ["site", "patient_id"]
    own = cohort.timeline[cohort.timeline["counted"] == COUNTED].merge(shown[of_patient])
    reports = {who: group.to_dict("records") for who, group in own.groupby(of_patient, sort=False)}
    for member in shown.assign(outcome=outcomes_shown(shown)).to_dict("records"):
        who = (member["site"], member["patient_id"])
        name = names.patient(*who) if names else member["patient_id"]
        rows = [
            {**{str(k): v for k, v in r.items()}, "days_from_index": _whole(r["days_from_index"])} for r in reports[who]
        ]
        yield {
            "name": name,
            "member": member,
            "undated": sum(r["days_from_index"] is None for r in rows),
            "picture": Markup(picture(rows, f"Timeline of {name}")),  # noqa: S704 - its texts are escaped
        }


def _whole(value: Any) -> int | None:
    return None if value is None or value != value else int(value)
