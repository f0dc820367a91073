"""FHIR DiagnosticReport: wherever a server puts text, patient, date and status, they are found; nothing is fetched."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calcitrace.errors import SourceError
from calcitrace.sources import Options, read_reports

TEXT = "FINDINGS: Deposit.\nIMPRESSION: No mass."
Json = dict[str, Any]


def form(text: str | bytes, kind: str = "text/plain", **more: Any) -> Json:
    """An attachment."""
    data = text.encode() if isinstance(text, str) else text
    return {"contentType": kind, "data": base64.b64encode(data).decode(), **more}


def report(number: str = "r1", **more: Any) -> Json:
    """A DiagnosticReport; it has TEXT where `more` does not say otherwise."""
    given = {"resourceType": "DiagnosticReport", "id": number, "status": "final", "presentedForm": [form(TEXT)], **more}
    return {key: value for key, value in given.items() if value is not None}


@pytest.fixture
def bulk(tmp_path: Path, read: Any) -> Callable[..., Any]:
    """Read resources as a bulk file, one a line."""

    def call(*resources: Json | str, name: str = "DiagnosticReport.ndjson", **options: Any) -> Any:
        lines = [r if isinstance(r, str) else json.dumps(r) for r in resources]
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return read(tmp_path / name, **options)

    return call


def bundle(*resources: Json, **addresses: str) -> Json:
    """A Bundle; `addresses` are full URLs by id."""
    entries = [{"fullUrl": addresses.get(r.get("id", ""), ""), "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


# Files


def test_bulk_ndjson_is_told_by_its_first_record(bulk: Any) -> None:
    """A first line with a resourceType makes it FHIR, whatever its other keys."""
    assert bulk(report()).texts == [("r1", TEXT)]


def test_other_ndjson_is_read_as_before(bulk: Any) -> None:
    """Lines without a resourceType are rows with columns."""
    assert bulk({"id": "1", "text": "one"}).texts == [("1", "one")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_gzip_byte_order_marks_and_windows_line_ends(mark: bytes, read: Any, tmp_path: Path) -> None:
    """None of them is part of a record."""
    path = tmp_path / "reports.ndjson.gz"
    path.write_bytes(gzip.compress(mark + f"{json.dumps(report())}\r\n\r\n{json.dumps(report('r2'))}\r\n".encode()))
    assert read(path).texts == [("r1", TEXT), ("r2", TEXT)]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bundle_in_a_json_file(indent: int | None, read: Any, tmp_path: Path) -> None:
    """A JSON file holds a Bundle, on one line or on many; rows are its entries."""
    path = tmp_path / "search.json"
    path.write_text(json.dumps(bundle(report("a"), report("b", presentedForm=None)), indent=indent))
    got = read(path, source="fhir")
    assert (got.texts, got.reasons) == ([("a", TEXT)], [(2, "empty text")])


def test_one_resource_in_a_json_file(read: Any, tmp_path: Path) -> None:
    """A JSON file may hold a single report."""
    path = tmp_path / "one.json"
    path.write_text(json.dumps(report(), indent=2))
    assert read(path, source="fhir").texts == [("r1", TEXT)]


def test_ndjson_in_a_json_file(read: Any, tmp_path: Path) -> None:
    """Some exports call NDJSON .json."""
    path = tmp_path / "all.json"
    path.write_text(f"{json.dumps(report())}\n{json.dumps(report('r2'))}\n")
    assert read(path, source="fhir").texts == [("r1", TEXT), ("r2", TEXT)]


def test_a_json_file_that_is_broken(read: Any, tmp_path: Path) -> None:
    """One broken file is one error, not one for each of its lines."""
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(bundle(report()), indent=2)[:-20])
    with pytest.raises(SourceError, match=r"cut\.json: not valid JSON"):
        read(path, source="fhir")


def test_bundles_in_lines(bulk: Any) -> None:
    """A line may be a Bundle."""
    assert bulk(bundle(report("a"), report("b")), report("c")).texts == [("a", TEXT), ("b", TEXT), ("c", TEXT)]


def test_bad_records_are_rejects_and_the_rest_is_read(bulk: Any) -> None:
    """Broken JSON, a list, an object that is no resource, a key twice: each is rejected with its line."""
    got = bulk(report("a"), '{"resourceType": "Diagn', "[1]", {"id": "x"}, '{"id": "1", "id": "2"}', report("b"))
    assert got.texts == [("a", TEXT), ("b", TEXT)]
    assert got.reasons == [
        (2, "not valid JSON"),
        (3, "not a JSON object"),
        (4, "no FHIR resource (no resourceType)"),
        (5, "a key stands twice in the JSON object"),
    ]


def test_other_resources_are_no_rows_and_are_told(bulk: Any) -> None:
    """A mixed export holds what is no report; how much of it is told, known kinds by name."""
    got = bulk(report(), {"resourceType": "Observation"}, {"resourceType": "Encounter"}, {"resourceType": "Xyz"})
    assert (got.texts, got.rejects) == ([("r1", TEXT)], [])
    assert "passed over Encounter 1, Observation 1, other 1" in got.told


def test_columns_make_no_sense(bulk: Any) -> None:
    """Only the id can be chosen."""
    with pytest.raises(SourceError, match="FHIR has no columns to choose but --id-column id, accession, identifier"):
        bulk(report(), columns={"text": "conclusion"})


# Text


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", "TEXT/PLAIN", ""])
def test_plain_text_is_taken_as_it_is(kind: str, bulk: Any) -> None:
    """An attachment without a content type is tried as text."""
    assert bulk(report(presentedForm=[form(TEXT, kind)])).texts == [("r1", TEXT)]


def test_the_plainest_form_counts(bulk: Any) -> None:
    """HTML and plain text are the same report in two forms; a PDF beside them does not matter."""
    forms = [form("%PDF-1", "application/pdf"), form("<p>Other</p>", "text/html"), form(TEXT)]
    assert bulk(report(presentedForm=forms)).texts == [("r1", TEXT)]


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One.</p><p>Two.</p>", "One.\n\nTwo."),
        ("One<br>two<br/>three", "One\ntwo\nthree"),
        ("a &lt; b &amp; c&#8217;s", "a < b & c\u2019s"),
        ("<html><head><title>X</title><style>p {}</style></head><body>One<script>if (a < b) x</script></body>", "One"),
        ("<table><tr><td>Size</td><td>8 mm</td></tr><tr><td>Side</td></tr></table>", "Size 8 mm\n\nSide"),
        ("One\n   long\n line", "One long line"),
        ("<pre>One\n  two</pre>", "One\n  two"),
        ("<ul><li>One</li><li>Two</li></ul>", "One\n\nTwo"),
        ("no <b>mark</b>up, 3 < 5", "no markup, 3 < 5"),
        ("<p>Unclosed <div>One", "Unclosed\nOne"),
    ],
)
def test_html_is_read_as_a_browser_shows_it(html: str, text: str, bulk: Any) -> None:
    """Blocks end lines, entities are characters, scripts and styles are unseen."""
    assert bulk(report(presentedForm=[form(html, "text/html; charset=utf-8")])).texts == [("r1", text)]


def test_rtf_is_read(bulk: Any) -> None:
    """RTF is what many dictation systems send."""
    forms = [form(r"{\rtf1\ansi\ansicpg1252 Caf\'e9.\par No mass.}", "application/rtf")]
    assert bulk(report(presentedForm=forms)).texts == [("r1", "Caf\u00e9.\nNo mass.")]


def test_rtf_without_its_library_is_a_reject(bulk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what to install."""
    monkeypatch.setitem(sys.modules, "striprtf.striprtf", None)
    got = bulk(report(presentedForm=[form(r"{\rtf1 x}", "text/rtf")]))
    assert got.reasons == [(1, 'an RTF text, which needs striprtf: pip install "calcitrace[sources]"')]


@pytest.mark.parametrize("charset", ["iso-8859-1", '"ISO-8859-1"', "windows-1252"])
def test_the_charset_of_an_attachment(charset: str, bulk: Any) -> None:
    """The content type may name the character set."""
    forms = [form("caf\u00e9".encode("latin-1"), f"text/plain; charset={charset}")]
    assert bulk(report(presentedForm=forms)).texts == [("r1", "caf\u00e9")]


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        (form(b"%PDF-1", "application/pdf"), "an attachment that is no plain text, HTML or RTF"),
        (form(b"%PDF-1", "text/plain"), "an attachment that is no plain text, HTML or RTF"),
        ({"contentType": "text/plain", "data": "*not base64*"}, "an attachment that is not valid base64 text"),
        (form("x", "text/plain; charset=nonsense"), "an attachment that is not valid base64 text"),
        ({"contentType": "text/plain", "url": "Binary/1"}, "its text is only at a URL, and nothing is fetched"),
        ({"contentType": "text/plain"}, "empty text"),
    ],
)
def test_an_attachment_that_cannot_be_read_is_a_reject(attachment: Json, reason: str, bulk: Any) -> None:
    """The reason says what it is, with the report's id; the next report is read."""
    got = bulk(report(presentedForm=[attachment]), report("r2"))
    assert got.texts == [("r2", TEXT)]
    assert [(r.row, r.reason[: len(reason)], r.report_id) for r in got.rejects] == [(1, reason, "r1")]


def test_a_hyphen_begins_no_sentence(bulk: Any) -> None:
    """What is *non-erosive* does not say *erosive*; a line of a list does."""
    texts = ("Non-erosive change.", "Seen:\n- Erosive change.")
    got = [
        bulk(report(presentedForm=[form(t.encode(), "text/plain")], conclusion="Erosive change.")).texts for t in texts
    ]
    assert got == [[("r1", f"{texts[0]}\n\nIMPRESSION:\nErosive change.")], [("r1", texts[1])]]


def test_the_conclusion_counts_where_the_attachment_cannot_be_read(bulk: Any) -> None:
    """What is left is read, and that an attachment was not is told."""
    got = bulk(report(presentedForm=[form(b"%PDF-1", "application/pdf")], conclusion="Deposit."))
    assert got.texts == [("r1", "IMPRESSION:\nDeposit.")]
    assert "not read attachments 1" in got.told


@pytest.mark.parametrize(
    ("conclusion", "text"),
    [
        ("no  mass.", TEXT),
        ("Biopsy.", f"{TEXT}\n\nIMPRESSION:\nBiopsy."),
        ("Impression: X", f"{TEXT}\n\nImpression: X"),
        ("Mass.", f"{TEXT}\n\nIMPRESSION:\nMass."),
    ],
)
def test_the_conclusion_is_added_unless_the_text_holds_it(conclusion: str, text: str, bulk: Any) -> None:
    """Most servers repeat the impression as conclusion; case and spaces aside, it is told once. Words of a
    sentence that denies them are none of it."""
    assert bulk(report(conclusion=conclusion)).texts == [("r1", text)]


def test_an_addendum_is_appended(bulk: Any) -> None:
    """Forms of one kind follow each other, and one that is called addendum stands under that heading."""
    forms = [form(TEXT), form("Erosion seen too.", title="Addendum"), form(TEXT)]
    assert bulk(report(presentedForm=forms)).texts == [("r1", f"{TEXT}\n\nADDENDUM:\nErosion seen too.")]


def observation(number: str, told: str, **code: Any) -> Json:
    """An Observation with a text."""
    return {"resourceType": "Observation", "id": number, "status": "final", "code": code, "valueString": told}


def test_contained_observations_are_the_text(bulk: Any) -> None:
    """A server that took HL7 v2 in keeps its OBX segments as observations, under the names of their sections."""
    contained = [
        observation("o1", "Erosion.", text="Findings"),
        observation("o2", "Deposit.", coding=[{"system": "http://loinc.org", "code": "19005-8"}]),
        {**observation("o3", "Gone.", text="x"), "status": "entered-in-error"},
    ]
    result = [{"reference": f"#{o['id']}"} for o in contained] + [{"reference": "#o4"}, {"display": "x"}]
    got = bulk(report(presentedForm=None, contained=contained, result=result))
    assert got.texts == [("r1", "FINDINGS:\nErosion.\n\nIMPRESSION:\nDeposit.")]


def test_observations_of_the_same_bundle(bulk: Any) -> None:
    """A relative reference is found in the Bundle, by type and id or by its full URL."""
    result = [{"reference": "Observation/o1"}, {"reference": "urn:uuid:5"}]
    parts = [observation("o1", "One.", text="x"), observation("o2", "Two.", text="y")]
    got = bulk(bundle(report(presentedForm=None, result=result), *parts, o2="urn:uuid:5"))
    assert got.texts == [("r1", "One.\nTwo.")]


def test_the_narrative_is_the_last_resort(bulk: Any) -> None:
    """Where there is neither form nor observation, what the resource shows to people is its text."""
    told = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Deposit.</p></div>'}
    assert bulk(report(presentedForm=None, text=told)).texts == [("r1", "Deposit.")]
    assert bulk(report(presentedForm=None, text={**told, "status": "empty"})).reasons == [(1, "empty text")]


# Status and versions


def test_a_report_that_was_amended_is_a_version(bulk: Any) -> None:
    """A later text under one id keeps both; an equal one is a repeat."""
    amended = [report(), report(status="amended", presentedForm=[form("Other.")]), report(status="corrected")]
    got = bulk(*amended)
    assert [(r.report_id, r.version_of) for r in got.reports] == [("r1", ""), ("r1~v2", "r1")]
    assert got.reasons == [(3, "repeated: same report id and same text as an earlier row")]


def test_a_report_entered_in_error_takes_back_what_was_sent_before(bulk: Any) -> None:
    """Such a report may be another patient's."""
    got = bulk(report(), report("r2"), report(status="entered-in-error"))
    assert got.texts == [("r2", TEXT)]
    assert got.reasons == [(1, "withdrawn by a later row"), (3, "withdrawn: entered in error")]


def test_a_cancelled_report_is_a_reject(bulk: Any) -> None:
    """The study did not take place."""
    assert bulk(report(status="cancelled"), report("r2")).reasons == [(1, "cancelled")]


@pytest.mark.parametrize("status", ["registered", "partial", "preliminary", "appended", "unknown", "modified"])
def test_reports_of_every_other_status_are_read(status: str, bulk: Any) -> None:
    """A text is a text; how many had which status is told."""
    got = bulk(report(status=status))
    assert got.texts == [("r1", TEXT)]
    assert f"status {status} 1" in got.told


@pytest.mark.parametrize("status", [None, "weird", 7])
def test_a_status_that_is_none_is_told_as_such(status: Any, bulk: Any) -> None:
    """A missing or made-up status does not cost a report."""
    assert "status not told 1" in bulk(report(status=status)).told


@pytest.mark.parametrize("kind", ["addendumOf", "replaces", "extends"])
def test_a_report_may_say_whose_version_it_is(kind: str, bulk: Any) -> None:
    """R4's extensions name the earlier report."""
    url = f"http://hl7.org/fhir/StructureDefinition/diagnosticReport-{kind}"
    link = {"url": url, "valueReference": {"reference": "https://x.org/fhir/DiagnosticReport/r1/_history/2"}}
    got = bulk(report(), report("r9", presentedForm=[form("Other.")], extension=[{"url": "x"}, link]))
    assert [(r.report_id, r.version_of) for r in got.reports] == [("r1", ""), ("r9", "r1")]


# Fields


def test_all_fields_are_mapped(bulk: Any) -> None:
    """Patient, date, modality, procedure."""
    got = bulk(
        report(
            subject={"reference": "Patient/p1"},
            effectiveDateTime="2019-03-02T10:30:00+01:00",
            category=[{"coding": [{"code": "LP29684-5"}, {"code": "CT"}]}],
            code={"text": "Shoulder right", "coding": [{"code": "7", "display": "MR"}]},
        )
    ).only
    assert (got.patient_id, got.study_date) == ("p1", "2019-03-02T10:30:00+01:00")
    assert (got.modality, got.body_part) == ("CT", "Shoulder right")


@pytest.mark.parametrize(
    ("subject", "patient"),
    [
        ({"reference": "Patient/p1"}, "p1"),
        ({"reference": "https://x.org/fhir/Patient/p1"}, "p1"),
        ({"reference": "Patient/p1/_history/3"}, "p1"),
        ({"reference": "urn:uuid:0c3151bd"}, "0c3151bd"),
        ({"identifier": {"value": "MRN7"}}, "MRN7"),
        ({"display": "Jane Doe"}, ""),
        (None, ""),
    ],
)
def test_the_patient_of_a_reference(subject: Json | None, patient: str, bulk: Any) -> None:
    """Relative, absolute, of one version, a URN or a logical reference; a name is no id."""
    assert bulk(report(subject=subject)).only.patient_id == patient


def person(number: str, birth: str = "1960-05-05", **more: Any) -> Json:
    """A Patient."""
    return {"resourceType": "Patient", "id": number, "gender": "female", "birthDate": birth, **more}


def told(got: Any) -> tuple[str, str, str]:
    """Patient, sex and age of the one report."""
    return got.only.patient_id, got.only.sex, got.only.age


STUDY: Json = {"effectiveDateTime": "2019-03-02"}


def test_a_contained_patient_is_known_by_the_record_number(bulk: Any) -> None:
    """Its local id means nothing outside; the identifier of type MR does."""
    identifiers = [{"value": "1"}, {"type": {"coding": [{"code": "MR"}]}, "value": "77"}]
    contained = [person("p", identifier=identifiers)]
    assert told(bulk(report(contained=contained, subject={"reference": "#p"}, **STUDY))) == ("77", "female", "58")


def test_patients_of_the_same_bundle(bulk: Any) -> None:
    """A Patient that is referred to by its full URL has the id of its own."""
    got = bulk(bundle(report(subject={"reference": "urn:uuid:1"}, **STUDY), person("p1"), p1="urn:uuid:1"))
    assert told(got) == ("p1", "female", "58")


@pytest.mark.parametrize("name", ["Patient.ndjson", "A.Patient.ndjson"])
def test_patients_of_another_file(name: str, bulk: Any, read: Any, tmp_path: Path) -> None:
    """A bulk export keeps patients apart, in a file that is read before or after; they are no rows."""
    bulk(report(subject={"reference": "Patient/p1"}, **STUDY))
    (tmp_path / name).write_text(json.dumps(person("p1")) + "\n" + json.dumps(person("p2", birth="1970")))
    assert told(read(tmp_path)) == ("p1", "female", "58")


@pytest.mark.parametrize(
    ("dates", "date"),
    [
        ({"effectiveDateTime": "2019-03", "issued": "2020-01-01T00:00:00Z"}, "2019-03"),
        ({"effectivePeriod": {"start": "2019-03-02", "end": "2019-03-03"}}, "2019-03-02"),
        ({"effectivePeriod": {"end": "2019-03-03"}}, "2019-03-03"),
        ({"issued": "2020-01-01T00:00:00Z"}, "2020-01-01T00:00:00Z"),
        ({}, ""),
    ],
)
def test_the_date_of_the_study(dates: Json, date: str, bulk: Any) -> None:
    """When the study was made, by its time or the start of its period; only without both, when it was issued."""
    assert bulk(report(**dates)).only.study_date == date


ACCESSION = {"type": {"coding": [{"code": "ACSN"}]}, "value": "ACC1"}


@pytest.mark.parametrize(
    ("asked", "number", "identifiers", "report_id"),
    [
        ("", "r1", [ACCESSION], "r1"),
        ("accession", "r1", [{"value": "X"}, ACCESSION], "ACC1"),
        ("identifier", "r1", [{"value": "X"}, ACCESSION], "X"),
        ("", None, [{"value": "X"}, ACCESSION], "ACC1"),
        ("", None, [{"value": "X"}], "X"),
    ],
)
def test_the_id_of_a_report(asked: str, number: str | None, identifiers: list[Json], report_id: str, bulk: Any) -> None:
    """The resource's own, or as asked the accession number or the first identifier."""
    got = bulk({**report(id=number), "identifier": identifiers}, columns={"report_id": asked} if asked else {})
    assert got.only.report_id == report_id


@pytest.mark.parametrize("asked", ["", "accession"])
def test_a_report_without_the_id_is_a_reject(asked: str, bulk: Any) -> None:
    """An id is not made up where the format has a place for it."""
    got = bulk(report(id=None if not asked else "r1"), columns={"report_id": asked} if asked else {})
    assert got.reasons == [(1, "no report id in this row")]


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=3)
KEYS = "id status identifier subject effectiveDateTime effectivePeriod category code presentedForm conclusion".split()
OTHER_KEYS = ["contained", "result", "extension", "text", "issued"]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*KEYS, *OTHER_KEYS]), VALUES | st.dictionaries(st.text(), VALUES)))
def test_values_of_a_wrong_kind_break_nothing(tmp_path_factory: pytest.TempPathFactory, wrong: Json) -> None:
    """Whatever a field holds, the record is a report or a reject, and the next one is read."""
    path = tmp_path_factory.mktemp("fhir") / "r.ndjson"
    path.write_text(json.dumps({**report(), **wrong}) + "\n" + json.dumps(report("last")))
    assert [r.report_id for r in read_reports(path, Options())][-1] == "last"
