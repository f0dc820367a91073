"""The tables of a cohort folder, and the runs behind them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.frames import read_run
from calcitrace.methods import CONSTITUENTS, probabilities
from calcitrace.runfolder import MANIFEST

METHODS = "methods.md"
SUBJECTS = ("Extraction", "Criteria", "Case definition", "Review", "Index date and outcome")
Row = Mapping[str, Any]


class CohortFolder:
    """A cohort folder that `calcitrace cohort` wrote.

    Raises:
        UsageError: it is a run folder.
        SourceError: it is none, or its manifest cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if (folder / MANIFEST).is_file() and (folder / "parts").is_dir():
            raise UsageError(f"{folder}: a run, and no cohort yet; `calcitrace cohort {folder} --out COHORT` makes one")
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            self.runs = [Path(run["folder"]) for run in manifest["runs"]]
            self.probabilities = probabilities(manifest["runs"])
            rules = sorted({run["ruleset_hash"][:12] for run in manifest["runs"]})
            self.system = f"calcitrace {manifest['version']} rules:{'+'.join(rules)}"
            self.made = str(manifest["finished"])
        except (OSError, ValueError, KeyError, TypeError):
            raise SourceError(f"{folder}: no cohort folder; `calcitrace cohort RUN --out COHORT` makes one") from None

    def patients(self, all_patients: bool) -> list[dict[str, Any]]:
        """The members of the cohort, or every patient that was read."""
        return self._rows("patients" if all_patients else "members")

    def methods(self) -> str:
        """What the cohort's Methods say of `SUBJECTS`, which data cannot be read without; empty where they are gone.

        The constituents of the case definition come after them, each with what it is.
        """
        try:
            text = (self.folder / METHODS).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""
        found = dict(re.findall(r"^\*\*(.+?)\.\*\* (.+)$", text, re.MULTILINE))
        below = text.partition(f"{CONSTITUENTS}\n\n")[2].partition("\n# ")[0]
        read, _, table = below.partition("\n\n")
        defined = (f'"{name}": {said}.' for name, said in re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[2:])
        return "\n\n".join(filter(None, [*(found.get(subject) for subject in SUBJECTS), read, *defined]))

    def reports(self) -> list[dict[str, Any]]:
        """The reports of the patients."""
        return self._rows("timeline")

    def mentions(self, reports: Sequence[Row]) -> Iterator[dict[str, Any]]:
        """The mentions of these reports, each with the site of its report."""
        for number, run in enumerate(self.runs, 1):
            wanted = {r["report_id"]: r.get("site") for r in reports if r["run"] == number}
            if wanted:
                found = read_run(run)[1]
                for row in found[found["report_id"].isin(wanted.keys())].to_dict("records"):
                    yield {**{str(k): v for k, v in row.items()}, "site": wanted[row["report_id"]]}

    def texts(self, reports: Sequence[Row]) -> dict[tuple[int | None, str], str]:
        """The texts of these reports, read again from the inputs of their runs.

        Raises:
            RunError: an input is gone or has changed.
        """
        from calcitrace.rerun import Rerun

        found: dict[tuple[int | None, str], str] = {}
        for number, run in enumerate(self.runs, 1):
            wanted = {r["report_id"] for r in reports if r["run"] == number}
            if wanted:
                for report in Rerun(run).reports():
                    if report.report_id in wanted:
                        found[number, report.report_id] = report.text
        return found

    def _rows(self, table: str) -> list[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.folder / f"{table}.parquet"
        try:
            return list(pq.read_table(path).to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise SourceError(
                f"{path}: missing or damaged ({type(error).__name__}); make the cohort again with `calcitrace cohort`"
            ) from None
