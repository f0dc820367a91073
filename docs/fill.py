"""Writes what the code tells of itself into the pages of docs/: `python docs/fill.py`, and a test says when.

Between `<!-- generated: name -->` and `<!-- end -->` stands what `registries.PARTS` makes under that name, so that a
page is whole as a file, too. It is made of the code alone: who changes it there changes the code, and runs this.
"""

from __future__ import annotations

import re
from pathlib import Path

import registries

DOCS = Path(__file__).parent
BLOCK = re.compile(r"^(<!-- generated: (\w+) -->\n).*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL)


def filled(page: str) -> str:
    """A page with each of its generated parts as the code makes it now.

    Raises:
        KeyError: a part that there is not.
    """

    def made(found: re.Match[str]) -> str:
        part = re.sub(r"\n{3,}", "\n\n", registries.PARTS[found[2]]().strip())
        return f"{found[1]}\n{part}\n\n{found[3]}"

    return BLOCK.sub(made, page)


def main() -> None:
    """Fill every page, and name those that changed."""
    for path in sorted(DOCS.rglob("*.md")):
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"filled {path.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
