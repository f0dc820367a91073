"""What MkDocs does with each page: put in what stands elsewhere already, so that it is written once.

A line that is a link to a document of the checkout, `[FILE: Heading](...)`, becomes that section of it (without a
heading, all of it); as a file, the page leads there. `<!-- site: api -->` becomes what mkdocstrings reads. What the
code tells of itself stands in the pages already (`fill.py`). Links lead to the page that holds what they name; what no
page holds is named by its path.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

import registries
from mkdocs.exceptions import PluginError

ROOT = Path(__file__).parents[1]
HOMES = {  # the page that holds a document of the checkout, or a section of one
    "README.md": "index.md",
    "README.md#cohorts": "cohort.md",
    "README.md#chart-review": "review.md",
    "README.md#registries-and-warehouses": "sources.md#registries-and-warehouses",
    "CONTRIBUTING.md": "writing-rules.md",
    "CONTRIBUTING.md#an-export": "contributing.md#an-export",
    "GLOSSARY.md": "glossary.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "cite.md",
    "evaluation/README.md": "evaluation.md",
    "evaluation/results": "evaluation.md#results",
}
INCLUDE = re.compile(r"^\[([\w./]+\.md)(?:: (.+?))?\]\(\S+\)$", re.MULTILINE)
API = "<!-- site: api -->"
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page with all that it takes from elsewhere."""
    try:
        return expanded(markdown, page.file.src_uri)
    except (KeyError, OSError) as error:
        raise PluginError(f"{page.file.src_uri}: nothing to include: {error}") from error


def expanded(markdown: str, page: str) -> str:
    """The text of the page at this place under docs/, whole.

    Raises:
        KeyError: a heading that a document has not.
        OSError: a document that cannot be read.
    """
    folder, parts, at = normpath(f"docs/{dirname(page)}"), list[str](), 0
    for found in INCLUDE.finditer(markdown):
        name, heading = found[1], found[2] or ""
        parts.append(relinked(markdown[at : found.start()], folder, "", page))
        parts.append(relinked(section((ROOT / name).read_text(encoding="utf-8"), heading), dirname(name), name, page))
        at = found.end()
    return "".join((*parts, relinked(markdown[at:], folder, "", page))).replace(API, registries.api())


def section(text: str, heading: str) -> str:
    """What stands under a heading of a document, without it; of the first, up to the next; of none, all below it.

    Raises:
        KeyError: no such heading.
    """
    pieces = re.split(r"^(#+) (.+)$", FENCED.sub(lambda f: f[0].replace("\n#", "\n\0"), text), flags=re.MULTILINE)
    levels, names, bodies = pieces[1::3], pieces[2::3], pieces[3::3]
    place = names.index(heading) if heading in names else 0
    if heading and names[place] != heading:
        raise KeyError(heading)
    taken = [bodies[place]]
    for level, name, body in zip(levels[place + 1 :], names[place + 1 :], bodies[place + 1 :], strict=True):
        if heading and (len(level) <= len(levels[place]) or place == 0):
            break
        taken.append(f"{level} {name}{body}")
    return "".join(taken).replace("\0", "#").strip() + "\n"


def relinked(text: str, folder: str, name: str, page: str) -> str:
    """A text of `folder` (and of the document `name`) with links that hold on the page.

    Raises:
        KeyError: a picture that is not under docs/.
    """

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if re.match(r"https?:|mailto:", target) or (target.startswith("#") and not name):
            return found[0]
        path = name + target if target.startswith("#") else normpath(join(folder, target))
        home = HOMES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else "")
        if picture and not home:
            raise KeyError(f"the picture {path}")
        if home:
            return f"{picture}[{words}]({relpath(home, dirname(page) or '.')})"
        plain = path.split("#")[0]
        return f"`{plain}`" if words.strip("`/") in plain else f"{words} (`{plain}`)"

    return "".join(p if p.startswith("```") else LINK.sub(link, p) for p in FENCED.split(text))
