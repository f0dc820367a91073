"""The usual names of columns: forms of words that stand for one another, written out.

A form such as `{study}_{begin}_{date}` is every name with one word of each list: Exam Begin Dttm, study_start_date. The
forms of a field stand in the order in which they are preferred. A name is known as a whole or not at all, so that
the date of an order, a birth or a dictation is never taken for that of the study.
"""

from __future__ import annotations

import re
from itertools import product

WORDS = {
    "adds": ("", "report", "rpt", "result", "exam", "radiology", "rad"),  # before the name of a piece
    "rad": ("", "radiology", "rad", "imaging"),
    "report": ("report", "rpt", "note", "result"),
    "text": ("text", "txt", "body", "content", "contents"),
    "or text": ("", "text", "txt"),
    "number": ("number", "num", "no", "nbr", "nr"),
    "patient": ("patient", "pat", "pt", "person", "subject"),
    "or patient": ("", "patient", "pat", "pt", "person", "subject"),
    "exam": ("study", "exam", "examination"),
    "study": ("study", "exam", "examination", "imaging", "scan", "acquisition"),
    "service": ("procedure", "proc", "service"),
    "date": ("date", "datetime", "dttm", "dt", "timestamp"),
    "begin": ("begin", "begun", "start", "started"),
    "end": ("completed", "performed", "end", "ended", "finished", "complete", "done"),
    "performed": ("performed", "completed"),
    "final": ("final", "finalized", "finalised", "verified", "signed"),
    "procedure": ("procedure", "proc", "exam", "examination", "study", "order"),
    "description": ("description", "desc"),
    "medical": ("medical", "med"),
    "information": ("information", "info", "indication", "indications", "data", "details", "question", "history", "hx"),
}
FORMS = {
    "report_id": "report_id {rad}_accession_{number} {rad}_accession accession_id note_id {report}_{number} exam_id"
    " study_id id {exam}_{number} rpt_id acc_{number} acc order_{number} order_id order_proc_id"
    " untersuchungsnummer befundnummer auftragsnummer auftragsnr untersuchungsnr befundnr",
    "text": "text report report_text note_text {rad}_report {rad}_{report}_{text} full_text {rad}_rpt full_report"
    " full_report_{text} report_full_text body body_text content_text content {adds}_narrative_{or text}",
    "patient_id": "patient_id mrn {patient}_id patient {patient}_mrn {patient}_mrn_id {or patient}_mrn_{number}"
    " {or patient}_{medical}_record_{number} {patient}_{number} ur_{number} urn ur uhid"
    " nhi nhi_{number} ip_{number} op_{number}"
    " hse_mrn hosp_{number} hospital_{number} patienten_id patientennummer patienten_nr pat_nr",
    "study_date": "{rad}_{study}_{date} {date}_of_{study} {study}_{begin}_{date} {begin}_{study}_{date}"
    " {study}_{date}_{begin} {study}_{end}_{date} {end}_{study}_{date} {study}_{date}_{end} {study}_{end}_on"
    " untersuchungsdatum {service}_{date} {date}_of_{service} {service}_{begin}_{date} {service}_{end}_{date}"
    " {performed}_{date} {date}_{performed} note_date report_date date datetime {report}_{date} result_time"
    " {report}_{final}_{date} {final}_{report}_{date} {exam}_{final}_{date} {final}_{date} {date}_{final}"
    " befunddatum datum",
    "modality": "modality {study}_modality modality_code modality_cd mod modalität modalitaet",
    "body_part": "body_part body_part_examined procedure procedure_name exam {procedure}_{description} exam_name"
    " exam_title exam_procedure order_procedure procedure_title order_title proc_name order_name"
    " note_title report_title body_region body_site"
    " körperregion koerperregion untersuchungsart untersuchung",
    "sex": "{or patient}_sex {or patient}_gender legal_sex administrative_sex birth_sex sex_at_birth m_f geschlecht",
    "age": "{or patient}_age {or patient}_age_years {or patient}_age_in_years {or patient}_age_at_{study} alter"
    " patientenalter",
    "birth_date": "{or patient}_birth_{date} {or patient}_date_of_birth {or patient}_dob geburtsdatum gebdatum",
}
OF_PIECES = {  # as archives adorn them, too: with a word of `adds` before and one of `or text` after
    "indication": "indication indications clinical_{information} clin_{information} history reason_for_{procedure}"
    " {procedure}_reason"
    " {procedure}_indication klinische_angaben fragestellung indikation anamnese",
    "technique": "technique technik untersuchungstechnik",
    "comparison": "comparison voruntersuchung voruntersuchungen",
    "findings": "findings finding befund befunde befundtext narrative",
    "impression": "impression impr conclusion concl opinion beurteilung",
    "recommendation": "recommendation recommendations empfehlung",
    "addendum": "addendum nachtrag",
}
_LIST = re.compile(r"\{(.+?)\}")
_LIKE_DATE = re.compile(r"(?:date|dttm|time|datum)|(?:^|[\W_])(?:dt|timestamp)(?:$|[\W_])", re.IGNORECASE)
_LIKE_TEXT = re.compile(r"text|narrative|comment|kommentar|befund|(?:report|content|body)$", re.IGNORECASE)
_LIKE_SITE = re.compile(
    r"(?:^|[\W_])(?:site|facility|hospital|campus|institution|haus|klinik|standort)(?:$|[\W_])", re.IGNORECASE
)
_BIRTH = re.compile(r"birth|geb|dob|update", re.IGNORECASE)


def plain(column: str) -> str:
    """A column name without case, spaces and marks: `Report-ID`, `report.id` and `ReportID` are one."""
    return "".join(c for c in column.lower() if c.isalnum())


def written_out(forms: str) -> tuple[str, ...]:
    """Every name of these forms, in their order, without marks."""
    found = [
        plain("".join(words))
        for form in re.split(r" (?![^{]*\})", forms)
        for words in product(*(WORDS[part] if n % 2 else (part,) for n, part in enumerate(_LIST.split(form))))
    ]
    return tuple(dict.fromkeys(found))


def _adorned(forms: str) -> str:
    """Forms of pieces with what may stand around them; those without more come first."""
    around = product(WORDS["adds"], WORDS["or text"])
    return " ".join(f"{before}_{form}_{after}" for before, after in around for form in forms.split())


FIELDS = {name: written_out(forms) for name, forms in FORMS.items()}
PIECES = {name: written_out(_adorned(forms)) for name, forms in OF_PIECES.items()}


def like_date(column: str) -> bool:
    """Whether a column by its name may hold a date, but not one of birth."""
    return bool(_LIKE_DATE.search(column)) and not _BIRTH.search(column)


def like_site(column: str) -> bool:
    """Whether a column by its name may hold the hospital that a report comes from."""
    return bool(_LIKE_SITE.search(column))


def like_text(column: str) -> bool:
    """Whether a column by its name may hold report text."""
    return bool(_LIKE_TEXT.search(column)) and not like_date(column)
