"""Runs the notebooks, each in an empty folder and without a kernel, and stores what they print and show.

    python evaluation/notebooks/execute.py               # all of them
    python evaluation/notebooks/execute.py classifier    # one

Do so after a change of rules, and look at what changed before you commit it.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent
Output = dict[str, Any]


def outputs(notebook: dict[str, Any], name: str) -> list[list[Output]]:
    """What each code cell prints and what its last line shows, run in the current folder from first to last."""
    sys.modules.pop("shared", None)  # as in a new kernel
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return [_run("".join(cell["source"]), f"{name}, cell {k}", names, k) for k, cell in enumerate(cells, 1)]


def _run(source: str, where: str, names: dict[str, Any], number: int) -> list[Output]:
    tree = ast.parse(source, where)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as said, threadpool_limits(1):  # small sums: threads would only wait
        exec(compile(tree, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names) if isinstance(last, ast.Expr) else None
    found: list[Output] = []
    if said.getvalue():
        found.append({"name": "stdout", "output_type": "stream", "text": _lines(said.getvalue())})
    if value is not None:
        shown = {"data": _data(value), "execution_count": number, "metadata": {}, "output_type": "execute_result"}
        found.append(shown)
    return found


def _data(value: Any) -> dict[str, Any]:
    """A value as Jupyter shows it."""
    if hasattr(value, "_repr_png_"):
        return {"image/png": base64.b64encode(value._repr_png_()).decode()}
    for kind, how in (("image/svg+xml", "_repr_svg_"), ("text/html", "_repr_html_")):
        if hasattr(value, how):
            return {kind: _lines(getattr(value, how)())}
    return {"text/plain": _lines(repr(value))}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def store(path: Path) -> None:
    """Run a notebook in an empty folder and write its outputs into it."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            found = iter(outputs(notebook, path.name))
        finally:
            os.chdir(here)
    for number, cell in enumerate((c for c in notebook["cells"] if c["cell_type"] == "code"), 1):
        cell["execution_count"], cell["outputs"] = number, next(found)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run and store those that are named, or all."""
    sys.path.insert(0, str(HERE))  # as in Jupyter, where a notebook's folder is on the path
    for path in [HERE / f"{Path(n).stem}.ipynb" for n in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        store(path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
