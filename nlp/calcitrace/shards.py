"""The shares of a run that several machines did, joined into the one run that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calcitrace.errors import RunError
from calcitrace.runfolder import RunFolder, read_manifest


def merge(shards: Sequence[str | Path], out: str | Path, also_csv: bool = False, overwrite: bool = False) -> RunFolder:
    """Join the run folders of all shards of one archive into `out`, which is then as if it had been one run.

    Raises:
        RunError: a shard is missing, unfinished, given twice, or of another run.
    """
    folders = [Path(s) for s in shards]
    manifests = [read_manifest(f) for f in folders]
    _check_shards(folders, manifests)
    first = manifests[0]
    whole = {k: v for k, v in first.items() if k not in ("shard", "parts", "status", "finished")}
    whole |= {"status": "running", "finished": None, "parts": []}
    whole["fingerprint"] = {k: v for k, v in first["fingerprint"].items() if k != "shard"}
    with RunFolder(Path(out), whole, overwrite) as run:
        for folder in folders:
            run.take_parts(folder)
        chosen = {f["path"]: f["chosen"] for f in first["inputs"]}
        run.finish(first["rows"], chosen, first["left_out"], also_csv)
    return run


def _check_shards(folders: Sequence[Path], manifests: Sequence[Mapping[str, Any]]) -> None:
    said = [tuple(m.get("shard") or ()) for m in manifests]
    for folder, manifest, shard in zip(folders, manifests, said, strict=True):
        if not shard:
            raise RunError(f"{folder}: is no shard; give the folders of `process --shard 1/N` to `N/N`")
        if manifest.get("status") != "complete":
            raise RunError(f"{folder}: shard {shard[0]}/{shard[1]} has not finished; give its command again")
        other = [
            k for k, v in manifest["fingerprint"].items() if k != "shard" and manifests[0]["fingerprint"].get(k) != v
        ]
        if other or shard[1] != said[0][1]:
            raise RunError(f"{folder}: is of another run than {folders[0]} ({', '.join(other) or 'number of shards'})")
    missing = sorted(set(range(1, said[0][1] + 1)) - {s[0] for s in said})
    if missing or len(said) != said[0][1]:
        what = f"shard {missing[0]}/{said[0][1]} is missing" if missing else "a shard is given twice"
        raise RunError(f"{what}; give the folders of all {said[0][1]} shards")
