"""OMOP CDM v5.4: the tables NOTE and NOTE_NLP as CSV files that load under the official constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.errors import SourceError, UsageError
from calcitrace.exports.files import write_table
from calcitrace.sources import read_list

if TYPE_CHECKING:
    from calcitrace.exports.extract import Extract, LeftOut

NOTE = (
    *("note_id", "person_id", "note_date", "note_datetime", "note_type_concept_id", "note_class_concept_id"),
    *("note_title", "note_text", "encoding_concept_id", "language_concept_id", "provider_id", "visit_occurrence_id"),
    *("visit_detail_id", "note_source_value", "note_event_id", "note_event_field_concept_id"),
)
NOTE_NLP = (
    *("note_nlp_id", "note_id", "section_concept_id", "snippet", "offset", "lexical_variant", "note_nlp_concept_id"),
    *("note_nlp_source_concept_id", "nlp_system", "nlp_date", "nlp_datetime", "term_exists", "term_temporal"),
    "term_modifiers",
)
UTF_8 = 32678  # the concept of this encoding
NO_CONCEPT = 0  # "No matching concept"
LARGEST = 2**31 - 1  # ids are integers of 32 bits
SHORT, LONG, LONGEST = 50, 250, 2000  # characters that the varchar columns hold
NO_TEXT = "(report text not exported)"
REPORT_FACTS = ("case_status", "migration_type", "tendon", "bone", "laterality", "case_probability")
MENTION_FACTS = ("finding", "change", "tendon", "bone", "landmark", "laterality", "size_mm")
UNCERTAIN = {"possible": "moderate"}


def write_omop(extract: Extract, folder: Path) -> list[LeftOut]:
    """OMOP CDM v5.4: note.csv and note_nlp.csv with the columns of the CDM; source_person.csv and source_note.csv.

    NOTE has a row for each report. NOTE_NLP has a row for each mention, and one for the case status of each report.
    person_id and note_id count from 1 and are told in source_person.csv and source_note.csv, with all else that is
    known of patients and reports; with --original-ids, ids that are whole numbers are kept. Without --with-text,
    note_text says that it was not exported, snippet is empty, and lexical_variant is the finding. A report without the
    day of its study is left out, since note_date must not be empty, and told in left_out.csv.

    term_exists is N for what is absent, hypothetical or of another person, else Y. term_temporal is past for what is
    historical, empty for what is hypothetical, else present. term_modifiers is one text of key=value pairs joined by
    semicolons: negation, subject, conditional (to be looked for, warned of or conditional), uncertain (none or
    moderate), then what is known of finding, change, tendon, bone, landmark, laterality and size_mm; of a case status,
    case_status, migration_type, tendon, bone, laterality and case_probability. offset counts characters of the text
    from 0.

    Concept ids are 0, but for the encoding (32678, UTF-8), until --concepts FILE gives yours: a CSV with the columns
    name and concept_id, where name is note_type, note_class, language, encoding, case_status, section:NAME or
    finding:NAME.
    """
    persons = _ids(extract.patients, "patient_id", extract.choice.original_ids)
    dated = [row for row in extract.reports if row["study_date"]]
    notes = _ids(dated, "report_id", extract.choice.original_ids)
    write_table(folder / "note.csv", NOTE, (_cells(_note(extract, r, persons, notes), NOTE) for r in dated))
    rows = enumerate(_note_nlp(extract, dated, notes), 1)
    write_table(folder / "note_nlp.csv", NOTE_NLP, (_cells({"note_nlp_id": n, **row}, NOTE_NLP) for n, row in rows))
    _write_source(extract, folder / "source_person.csv", "patients", "person_id", persons)
    _write_source(extract, folder / "source_note.csv", "reports", "note_id", notes)
    undated = [row for row in extract.reports if not row["study_date"]]
    return [("reports", row["report_id"], "NOTE needs the day of the study, which is not known") for row in undated]


def read_concepts(path: Path) -> dict[str, int]:
    """The concept ids of a hospital: a CSV with the columns name and concept_id.

    Raises:
        UsageError: the file cannot be read, or a line is no name and whole number (path:line).
    """
    found: dict[str, int] = {}
    try:
        for line, row in read_list(path, ("name", "concept_id")):
            number = row["concept_id"]
            if not row["name"] or not (number.isascii() and number.isdigit() and int(number) <= LARGEST):
                raise UsageError(f"{path}:{line}: give a name and a concept_id that is a whole number")
            found[row["name"]] = int(number)
    except SourceError as error:
        raise UsageError(str(error)) from None
    return found


def _ids(rows: Sequence[Mapping[str, Any]], column: str, keep: bool) -> dict[str, int]:
    """A number for each row by its key: its own id where all are whole numbers and are to be kept, else 1, 2, 3 ..."""
    given = [str(row[column] or "") for row in rows]
    usable = all(g.isascii() and g.isdigit() and not g.startswith("0") and int(g) <= LARGEST for g in given)
    numbers = map(int, given) if keep and usable and len({*given}) == len(given) else range(1, len(given) + 1)
    return dict(zip((row["key"] for row in rows), numbers, strict=True))


def _cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[Any]:
    return [row.get(column) for column in columns]


def _note(
    extract: Extract, row: Mapping[str, Any], persons: Mapping[str, int], notes: Mapping[str, int]
) -> Mapping[str, Any]:
    concepts = extract.choice.concepts
    title = " ".join(filter(None, (row["modality"], row["body_part"])))
    fits = len(row["report_id"]) <= SHORT
    return {
        "note_id": notes[row["key"]],
        "person_id": persons[row["patient"]],
        "note_date": row["study_date"],
        "note_type_concept_id": concepts.get("note_type", NO_CONCEPT),
        "note_class_concept_id": concepts.get("note_class", NO_CONCEPT),
        "note_title": title[:LONG] or None,
        "note_text": row.get("text") or NO_TEXT,
        "encoding_concept_id": concepts.get("encoding", UTF_8),
        "language_concept_id": concepts.get("language", NO_CONCEPT),
        "note_source_value": row["report_id"] if fits else None,
    }


def _note_nlp(
    extract: Extract, reports: Sequence[Mapping[str, Any]], notes: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    mentions = extract.mentions_of()
    made = {"nlp_system": extract.system[:LONG], "nlp_date": extract.made[:10]}
    for report in reports:
        note = {"note_id": notes[report["key"]], **made}
        yield note | _of_report(report, extract.choice.concepts)
        for mention in mentions.get(report["key"], []):
            yield note | _of_mention(mention, report.get("text"), extract.choice.concepts)


def _of_report(report: Mapping[str, Any], concepts: Mapping[str, int]) -> dict[str, Any]:
    """The case status of a report; `no` is a case that does not exist."""
    status = report["case_status"]
    return {
        "lexical_variant": "case_status",
        "note_nlp_concept_id": concepts.get("case_status", NO_CONCEPT),
        "note_nlp_source_concept_id": NO_CONCEPT,
        "term_exists": "N" if status in (None, "no") else "Y",
        "term_temporal": "present",
        "term_modifiers": _modifiers({}, report, REPORT_FACTS),
    }


def _of_mention(mention: Mapping[str, Any], text: str | None, concepts: Mapping[str, int]) -> dict[str, Any]:
    presence, when, who = (mention[name] for name in ("presence", "temporality", "experiencer"))
    hypothetical, other = when == "hypothetical", who == "other"
    said = {
        "negation": _truth(presence == "absent"),
        "subject": "other" if other else "patient",
        "conditional": _truth(hypothetical),
        "uncertain": UNCERTAIN.get(presence, "none"),
    }
    return {
        "section_concept_id": concepts.get(f"section:{mention['section']}", NO_CONCEPT),
        "snippet": _snippet(mention, text),
        "offset": str(mention["first_char"]),
        "lexical_variant": (mention.get("words") or mention["finding"])[:LONG],
        "note_nlp_concept_id": concepts.get(f"finding:{mention['finding']}", NO_CONCEPT),
        "note_nlp_source_concept_id": NO_CONCEPT,
        "term_exists": "N" if presence == "absent" or hypothetical or other else "Y",
        "term_temporal": {"hypothetical": None, "historical": "past"}.get(when, "present"),
        "term_modifiers": _modifiers(said, mention, MENTION_FACTS),
    }


def _truth(said: bool) -> str:
    return "true" if said else "false"


def _modifiers(said: Mapping[str, str], row: Mapping[str, Any], facts: Sequence[str]) -> str:
    known = {name: str(row[name]) for name in facts if row[name] not in (None, "none")}
    return ";".join(f"{key}={value}" for key, value in {**said, **known}.items())[:LONGEST]


def _snippet(mention: Mapping[str, Any], text: str | None) -> str | None:
    """The words of the report around a mention, where the text is exported."""
    if not text:
        return None
    start, end = mention["first_char"], mention["end_char"]
    before = max(0, (LONG - (end - start)) // 2)
    first = max(0, start - before)
    return text[first : first + LONG]


def _write_source(extract: Extract, path: Path, table: str, column: str, ids: Mapping[str, int]) -> None:
    """What the numbers of a CDM table stand for, with all that is known of each."""
    variables = [v for v in extract.variables[table] if not v.free_text]
    rows = ([ids.get(r["key"]), *(v.spelled(r[v.name]) for v in variables)] for r in extract.rows(table))
    write_table(path, [column, *(v.name for v in variables)], rows)
