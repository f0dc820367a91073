"""What the pages tell of the code, read from the code: commands, sources, findings, columns, exports, names, figures.

Each function that `PARTS` names gives Markdown, which `fill.py` puts where a page has `<!-- generated: name -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from inspect import cleandoc, unwrap
from pathlib import Path
from typing import Any, get_args, get_type_hints

import calcitrace
from calcitrace import errors, load_rules, tables
from calcitrace.cohort import PATIENT_COLUMNS, TIMELINE_COLUMNS
from calcitrace.decisions import choices
from calcitrace.exports import EXPORTS
from calcitrace.exports.variables import read_variables
from calcitrace.ruleset import CueGroup, Example, Finding, Term
from calcitrace.sources.formats import ENDINGS, SOURCES
from calcitrace.sources.names import FORMS, OF_PIECES, WORDS

ROOT = Path(__file__).parents[1]
MARKUP = re.compile(r"([\\*_\[\]|])")
OPTION = re.compile(r"(?<![\w`-])(--[a-z][a-z-]+)(?![\w`-])")
EXAMPLE = re.compile(r"^Example(?: \((.+?)\))?: (calcitrace .+)$", re.MULTILINE)


def plain(text: str) -> str:
    """Words of the code as Markdown that says the same: what is no code in backticks loses its special signs."""
    pieces = re.split(r"(`[^`]*`)", OPTION.sub(r"`\1`", text))
    return "".join(
        p.replace("|", "\\|") if p.startswith("`") else MARKUP.sub(r"\\\1", escape(p, quote=False)) for p in pieces
    )


def code(text: object) -> str:
    """Something as code, empty where there is nothing."""
    said = str(text)
    if re.search(r"[`|,]", said):
        return f"<code>{escape(said, quote=False).replace('|', '&#124;').replace(',', ',<wbr>')}</code>"
    return f"`{said}`" if said else ""


def codes(texts: Iterable[object]) -> str:
    """Several as code, with commas between."""
    return ", ".join(map(code, texts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown of one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in line) + " |" for line in lines) + "\n"


# Commands


def leaves(command: Any, name: str = "calcitrace") -> Iterator[tuple[str, Any]]:
    """Every command below this one, with its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
    for key in inner or ():
        yield from leaves(inner[key], f"{name} {key}")


def all_commands() -> list[tuple[str, Any]]:
    """Every command of the program, with its whole name, in the order of `--help`."""
    import typer

    from calcitrace.cli import app

    return list(leaves(typer.main.get_command(app)))


def commands() -> str:
    """Each command: what it does, its arguments and its options."""
    return "\n".join(_command(name, command) for name, command in all_commands())


def told(command: Any) -> str:
    """The help of a command, with its epilogue."""
    return "\n\n".join(filter(None, (command.help or "", command.epilog or "")))


def _command(name: str, command: Any) -> str:
    help_ = told(command)
    said, of_formats, _ = help_.partition("\n\n--to ")
    said += "\n\nEach format: see EXPORTS." if of_formats else ""
    parts = [f"## {name}", plain(re.sub(r"\[/?bold\]", "", EXAMPLE.sub("", cleandoc(said)))).strip()]
    parts[-1] = parts[-1].replace("EXPORTS", "[Exports](exports.md)")
    parts += [f"{when and f'For {when}:'}\n\n```sh\n{line}\n```" for when, line in EXAMPLE.findall(help_)]
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    types = get_type_hints(unwrap(command.callback))
    if shown:
        parts.append(table(("", "takes", "by default", "means"), (_parameter(p, types[p.name]) for p in shown)))
    return "\n\n".join(parts) + "\n"


KINDS = {Path: "a path", str: "text", int: "a whole number", float: "a number"}


def _parameter(param: Any, kind: Any) -> tuple[str, str, str, str]:
    argument = param.param_type_name == "argument"
    names = [param.name.upper()] if argument else [*param.opts, *param.secondary_opts]
    several = "list[" in str(kind)
    takes = next((said for one, said in KINDS.items() if one is kind or one in _within(kind)), "")
    default = "needed" if param.required else "" if param.default in (None, "", False, ()) else code(param.default)
    return codes(names), takes + ", or several" * several, default, plain(param.help or "")


def _within(kind: Any) -> set[Any]:
    """The types of which one is composed (`list[Path] | None`)."""
    return {inner for part in get_args(kind) for inner in ({part} | _within(part))}


def exit_codes() -> str:
    """Each exit code, what it means by the program's own help, and the errors that end with it."""
    from calcitrace.cli import app

    said = re.sub(r"\s*\(.*?\)", "", str(app.info.epilog)).removeprefix("Exit codes: ").rstrip(".")
    meaning = dict(part.split(" ", 1) for part in said.split(", "))
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.CalcitraceError)]
    rows = []
    for number in errors.ExitCode:
        told = [f"`{k.__name__}`: {plain(cleandoc(k.__doc__ or '').splitlines()[0])}" for k in kinds]
        these = [t for k, t in zip(kinds, told, strict=True) if k.exit_code == number and number]
        rows.append((str(int(number)), meaning[str(int(number))], "<br>".join(these)))
    return table(("code", "means", "errors in Python that end with it"), rows)


# Sources and columns


def sources() -> str:
    """Each format that is read."""
    endings = {name: [f".{e}" for e, n in ENDINGS.items() if n == name] for name in SOURCES}
    rows = [
        (code(name), codes(endings[name]) or "by `--from` or its content", plain(_first(reader)))
        for name, reader in SOURCES.items()
    ]
    return table(("`--from`", "files that end in", "reads"), rows)


def _first(thing: Any) -> str:
    return cleandoc(thing.__doc__ or "").split("\n\n")[0]


def column_names() -> str:
    """The names of columns that are recognised, and the words that stand for one another in them."""
    kinds = (("field", FORMS), ("piece of the text", OF_PIECES))
    forms = [
        table((kind, "recognised as"), ((code(f), codes(re.split(r" (?![^{]*})", n))) for f, n in names.items()))
        for kind, names in kinds
    ]
    words = table(
        ("in braces", "is any of"),
        ((code(f"{{{w}}}"), ", ".join(code(n) or "nothing" for n in those)) for w, those in WORDS.items()),
    )
    return "\n".join((*forms, words))


def columns_of(which: Mapping[str, tuple[str, str]]) -> Callable[[], str]:
    """A maker of the table of columns with their types and meanings."""
    return lambda: table(
        ("column", "type", "holds"), ((code(name), code(kind), plain(told)) for name, (kind, told) in which.items())
    )


# Rules


def count(terms: Iterable[Term]) -> int:
    """How many ways of saying something these terms are, with each `combine` written out."""
    return len({t.rule_id for t in terms})


def findings() -> str:
    """The findings in one table, then each with what its file says."""
    rules = load_rules()
    return _overview(rules.findings) + "\n" + "\n".join(map(_finding, rules.findings.values()))


def conditions() -> str:
    """The conditions, as `findings`."""
    rules = load_rules()
    return _overview(rules.conditions) + "\n" + "\n".join(map(_finding, rules.conditions.values()))


def _overview(found: Mapping[str, Finding]) -> str:
    rows = [
        (f"[`{f.name}`](#{f.name})", f.title, f"{count(f.terms):,}", f"{len(f.terms):,}", str(len(f.examples)))
        for f in found.values()
    ]
    return table(("id", "means", "terms", "with plurals", "examples"), rows)


def _finding(f: Finding) -> str:
    said = [f"{f.title}: `{f.path}`, {f.status}. Sources: {'; '.join(f.references)}."]
    said += [f"Confusers (`not`): {count(f.nots):,}."] if f.nots else []
    for names, what in ((f.covers, "Takes in mentions of"), (f.kin, "The same by another name:")):
        said += [f"{what} {', '.join(f'[`{n}`](#{n})' for n in sorted(names))}."] if names else []
    said += ["In reports of other body regions it counts at a bone, tendon, bursa or joint alone."] if f.local else []
    rows = [(_marked(e), ", ".join(filter(None, (e.expected, e.change)))) for e in f.examples]
    return f"### {f.name}\n\n{' '.join(said)}\n\n{table(('example', 'read as'), rows)}"


def _marked(e: Example) -> str:
    if e.expected == "none":
        return plain(e.text)
    return f"{plain(e.text[: e.start])}<mark>{plain(e.text[e.start : e.end])}</mark>{plain(e.text[e.end :])}"


def axes() -> str:
    """The axes of an assertion, their values by precedence and the value where nothing is said."""
    rows = [(f"[`{a.name}`](#{a.name})", " > ".join(map(code, a.precedence)), code(a.default)) for a in _axes()]
    return table(("axis", "values, the strongest first", "where nothing is said"), rows)


def _axes() -> list[Any]:
    return list(load_rules().axes.values())


def cue_groups() -> str:
    """The groups of cues by axis: what they say, of which side, and what ends their reach."""
    groups = load_rules().cues
    parts = []
    for axis in _axes():
        rows = [_group(g) for g in groups if g.axis == axis.name]
        parts.append(f"### {axis.name.capitalize()}\n\n" + table(GROUP, rows))
    return "\n".join(parts)


GROUP = ("group", "says", "reaches", "cues", "such as")
REACHES = {"forward": "what follows", "backward": "what comes before", "bidirectional": "both", "pseudo": "nothing"}


def _group(g: CueGroup) -> tuple[str, ...]:
    phrases = list(dict.fromkeys(" ".join(t.phrase) for t in g.terms if t.phrase))[:3]
    return (
        f"`{g.name}`",
        codes(g.sets.values()) or "nothing; it ends the reach of others, or hides a cue within it",
        REACHES[g.direction] + (f", up to {codes(sorted(g.ends_at))}" if g.ends_at else ""),
        f"{len(g.terms):,}",
        ", ".join(f"“{plain(p)}”" for p in phrases) or "patterns",
    )


def sections() -> str:
    """The kinds of section, their headings, and what standing there does to a mention."""
    rows = [
        (code(s.name), f"{len(s.headings)}: " + ", ".join(s.headings[:5]), codes(s.sets.values()) or "as it is said")
        for s in load_rules().sections.values()
    ]
    return table(("section", "headings", "a mention there is"), rows)


def structures() -> str:
    """The anatomy that mentions are linked to, by kind."""
    kinds: dict[str, list[str]] = {}
    for site in load_rules().sites.values():
        kinds.setdefault(site.kind, []).append(site.name.replace("_", " "))
    return table(("kind", "structures"), ((k.replace("_", " "), ", ".join(v)) for k, v in kinds.items()))


def decision_words() -> str:
    """The words of a decision's details, as the review page offers them and the import takes them."""
    rules = load_rules()
    words = choices(rules, rules.cases["intraosseous_migration"])
    return table(("column", "words"), ((code(name), ", ".join(map(code, w))) for name, w in words.items()))


# Exports, names, figures, citation


def exports() -> str:
    """Each export with the manual that its writer is."""
    return "\n".join(f"### {name}\n\n{plain(_manual(e.write))}\n" for name, e in EXPORTS.items())


def _manual(writer: Any) -> str:
    return cleandoc(writer.__doc__ or "")


def variables() -> str:
    """The variables of the exports, a table each."""
    head = ("variable", "label", "kind", "values")
    parts = []
    for name, found in read_variables(free_text=True).items():
        rows = [(code(v.name), plain(v.label), _kind(v), _values(v)) for v in found]
        parts.append(f"### Variables of {name}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _kind(v: Any) -> str:
    marks = ["can name a patient"] * v.identifier + ["with `--with-text` alone"] * v.free_text
    return ", ".join([v.kind, *marks])


def _values(v: Any) -> str:
    return ", ".join(f"{number} {code(value)}" for value, number in v.codes.items())


def api() -> str:
    """The public names, as mkdocstrings shows them."""
    return "\n\n".join(f"::: calcitrace.{calcitrace._HOMES[name]}.{name}" for name in calcitrace.__all__)


def names() -> str:
    """The public names with their first sentence."""
    rows = [(code(name), plain(_first(getattr(calcitrace, name)).replace("\n", " "))) for name in calcitrace.__all__]
    return table(("name", "is"), rows)


FIGURES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "auroc": "AUROC",
    "ppv_at_prevalence": "predictive value at 0.5 %",
    "mention_f1": "F1 of mentions",
    "mention_f1_assertion": "with the right assertion",
}


def results() -> str:
    """The latest kept figures on the test part, beside the baselines."""
    latest = sorted((ROOT / "evaluation" / "results").glob("*_baselines_test_*.json"), key=_measured)[-1]
    kept = json.loads(latest.read_bytes())
    systems = kept["systems"]
    settings = next(iter(systems.values()))["settings"]
    rows = [(name, *(_figure(s["figures"].get(f)) for f in FIGURES)) for name, s in systems.items()]
    about = (
        f"Measured {kept['measured'][:10]} with version {kept['versions']['calcitrace']} and the rules "
        f"`{kept['ruleset_hash'][:8]}` on the test part: {settings['reports']} synthetic reports of "
        f"{settings['patients']} patients (`evaluation/results/{latest.name}`). Below each figure its 95 % interval by "
        "patients, or the exact one of the reports where all were right.\n\n"
    )
    return about + table(("", *FIGURES.values()), rows)


def _measured(path: Path) -> str:
    return str(json.loads(path.read_bytes())["measured"])


def _figure(said: Any) -> str:
    if not said or said.get("value") is None:
        return ""
    limits = [said[name] for name in ("patients", "exact") if said.get(name)]
    shown = next((told for low, high in limits if (told := f"{low:.3f}–{high:.3f}") != f"{low:.3f}–{low:.3f}"), "")
    return f"{said['value']:.3f}" + (f"<br><small>{shown}</small>" if shown else "")


def citation() -> str:
    """How to cite, as text and as BibTeX, from CITATION.cff."""
    import yaml

    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    who = " and ".join(a["name"] for a in cff["authors"])
    bibtex = f"@software{{calcitrace,\n  author  = {{{{{who}}}}},\n  title   = {{{cff['title']}}},\n"
    bibtex += f"  version = {{{cff['version']}}},\n  note    = {{{cff['license']} licence}}\n}}"
    return f"{cff['message']}\n\n> {who}. *{cff['title']}*. Version {cff['version']}.\n\n```bibtex\n{bibtex}\n```\n"


def criteria_file() -> str:
    """The criteria that hold where no file is given."""
    from calcitrace.criteria import BUILT_IN

    return f"```yaml\n{BUILT_IN.read_text(encoding='utf-8')}```\n"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "exit_codes": exit_codes,
    "sources": sources,
    "column_names": column_names,
    "reports": columns_of(tables.REPORT_COLUMNS),
    "mentions": columns_of(tables.MENTION_COLUMNS),
    "patients": columns_of(PATIENT_COLUMNS),
    "timeline": columns_of(TIMELINE_COLUMNS),
    "findings": findings,
    "conditions": conditions,
    "axes": axes,
    "cue_groups": cue_groups,
    "sections": sections,
    "structures": structures,
    "decision_words": decision_words,
    "exports": exports,
    "variables": variables,
    "names": names,
    "results": results,
    "citation": citation,
    "criteria_file": criteria_file,
}
