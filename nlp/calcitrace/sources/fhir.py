"""FHIR DiagnosticReport (R4, R4B, R5): bulk NDJSON, or JSON with a Bundle or one resource; a row is one report.

Own reader: a FHIR model library reads some 5,000 resources a second and refuses much of what real servers send.
Nothing is fetched: a text that is only at a URL is a bad row.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from calcitrace.errors import SourceError
from calcitrace.sources.jsonlines import json_object, json_objects
from calcitrace.sources.reading import (
    Bad,
    LongLineError,
    Numbered,
    Options,
    Person,
    Row,
    Tally,
    TextFile,
    Withdrawn,
    binary,
    guarded,
)
from calcitrace.sources.standards import (
    AttachmentError,
    attachment_text,
    html_text,
    in_pieces,
    modality_in,
    piece_of,
)
from calcitrace.studydate import age_at

REPORT_IDS = ("id", "accession", "identifier")
_STATUSES = frozenset("registered partial preliminary modified final amended corrected appended unknown".split())
_OTHERS = frozenset(
    "Binary Condition DocumentReference Encounter ImagingStudy Location Media Observation OperationOutcome Organization"
    " Practitioner PractitionerRole Procedure Provenance ServiceRequest".split()
)
_EARLIER = re.compile(r".*/diagnosticReport-(?:addendumOf|replaces|extends)")
_KINDS = ("plain", "html", "rtf", "")
Resource = Mapping[str, Any]
_Found = tuple[int, Resource | Bad, Mapping[str, Resource]]


def read_fhir(path: Path, options: Options, tally: Tally) -> Numbered:
    """The reports of a file, numbered by line, or in a JSON file by entry; patients come as `Person`."""
    for name, column in options.columns.items():
        if column and (name != "report_id" or column not in REPORT_IDS):
            raise SourceError(f"FHIR has no columns to choose but --id-column {', '.join(REPORT_IDS)}")
    reading = _Reading(options.columns.get("report_id", ""))
    yield from guarded(reading.rows(_resources(path, options, tally)))
    tally.say(path, *reading.told())


def is_fhir(path: Path) -> bool:
    """Whether the first line of a file is a FHIR resource."""
    try:
        with binary(path) as handle:
            head = handle.readline(1 << 20)
    except (OSError, EOFError, zlib.error):
        return False
    return bool(re.match(rb"\s*(?:\xef\xbb\xbf)?\s*\{", head) and re.search(rb'"resourceType"\s*:', head))


def _resources(path: Path, options: Options, tally: Tally) -> Iterator[_Found]:
    """The resources of a file with the number of each, and those it may refer to (of the same Bundle)."""
    whole = _whole(path, options, tally) if ".json" in (s.lower() for s in path.suffixes) else None
    if whole is not None:
        index = _index(whole)
        yield from ((number, resource, index) for number, resource in enumerate(_inside(whole), 1))
        return
    with TextFile(path, options, tally) as file:
        for number, found in json_objects(file):
            if isinstance(found, Bad):
                yield number, found, {}
            else:
                index = _index(found)
                yield from ((number, resource, index) for resource in _inside(found))


def _whole(path: Path, options: Options, tally: Tally) -> Resource | None:
    """The one JSON object of a file; None where it has one a line after all.

    Raises:
        SourceError: too large, or no JSON object.
    """
    with TextFile(path, options, Tally()) as file:
        try:
            text = file.whole()
        except LongLineError:
            raise SourceError("a JSON file too large to read at once; save it as NDJSON") from None
    found = json_object(text)
    if not isinstance(found, Bad):
        tally.say(path, "one JSON object")
        return found
    if isinstance(json_object(text.lstrip().split("\n", 1)[0]), Bad):
        raise SourceError(found.reason)
    return None


def _inside(resource: Resource) -> Iterator[Resource]:
    """The resources of a Bundle, or the one resource that it is."""
    if resource.get("resourceType") != "Bundle":
        yield resource
    else:
        yield from (_map(entry.get("resource")) for entry in _maps(resource.get("entry")))


def _index(resource: Resource) -> dict[str, Resource]:
    """The resources of a Bundle by their address and by type and id."""
    index: dict[str, Resource] = {}
    for entry in _maps(resource.get("entry")) if resource.get("resourceType") == "Bundle" else ():
        inner = _map(entry.get("resource"))
        index[f"{inner.get('resourceType')}/{inner.get('id')}"] = index[_str(entry.get("fullUrl"))] = inner
    return index


class _Reading:
    """Makes rows of resources and counts what they were."""

    def __init__(self, report_id: str) -> None:
        self._report_id = report_id
        self._statuses: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()

    def told(self) -> list[str]:
        """What there was, in words."""
        counts = (("status", self._statuses), ("passed over", self._passed), ("not read", self._unread))
        return [f"{what} " + ", ".join(f"{k} {n}" for k, n in sorted(found.items())) for what, found in counts if found]

    def rows(self, resources: Iterable[_Found]) -> Numbered:
        """The rows of the reports; a resource of another kind is no row."""
        for number, resource, index in resources:
            kind = resource.get("resourceType") if not isinstance(resource, Bad) else None
            if isinstance(resource, Bad):
                yield number, resource
            elif kind == "DiagnosticReport":
                yield number, self._row(_Report(resource, index))
            elif kind == "Patient":
                yield (
                    number,
                    Person(*map(_str, (resource.get("id"), resource.get("gender"), resource.get("birthDate")))),
                )
            elif isinstance(kind, str) and kind:
                self._passed[kind if kind in _OTHERS else "other"] += 1
            else:
                yield number, Bad("no FHIR resource (no resourceType)")

    def _row(self, report: _Report) -> Row | Bad:
        status = _str(report.resource.get("status"))
        report_id = report.report_id(self._report_id)
        if status == "entered-in-error":
            return Withdrawn("withdrawn: entered in error", report_id)
        if status == "cancelled":
            return Bad("cancelled", report_id)
        self._statuses[status if status in _STATUSES else "not told"] += 1
        text, problem = report.text()
        if problem and not text.strip():
            return Bad(problem, report_id)
        self._unread["attachments"] += bool(problem)
        return {**report.fields(), "report_id": report_id, "text": text}


class _Report:
    """One DiagnosticReport with the resources that it may refer to."""

    def __init__(self, resource: Resource, index: Mapping[str, Resource]) -> None:
        self.resource, self._index = resource, index
        self._contained = {f"#{_str(r.get('id'))}": r for r in _maps(resource.get("contained"))}

    def report_id(self, asked: str) -> str:
        """The id of the resource, its accession number or its first identifier; the first of them that it has."""
        identifiers = _maps(self.resource.get("identifier"))
        accession = next((i for i in identifiers if "ACSN" in _codes(i.get("type"))), {})
        first = next((i for i in identifiers if i.get("value")), {})
        ids = dict(zip(REPORT_IDS, (self.resource.get("id"), accession.get("value"), first.get("value")), strict=True))
        return _str(ids[asked]) if asked else next(filter(None, map(_str, ids.values())), "")

    def fields(self) -> dict[str, str]:
        """The fields of the report but its id and text."""
        resource = self.resource
        period = _map(resource.get("effectivePeriod"))
        dates = (resource.get("effectiveDateTime"), period.get("start"), period.get("end"), resource.get("issued"))
        date = next(filter(None, map(_str, dates)), "")
        code = _map(resource.get("code"))
        procedure = next(filter(None, [_str(code.get("text")), *_displays(code), *_codes(code)]), "")
        codes = [c for category in _maps(resource.get("category")) for c in _codes(category)]
        patient_id, patient = self._patient()
        return {
            "patient_id": patient_id,
            "study_date": date,
            "modality": modality_in([c for c in codes if re.fullmatch("[A-Z]{2,4}", c)], procedure),
            "body_part": procedure,
            "sex": _str(patient.get("gender")),
            "age": age_at(_str(patient.get("birthDate")), date),
            "version_of": self._version_of(),
        }

    def _patient(self) -> tuple[str, Resource]:
        """The patient's id and, where the report carries it, the Patient."""
        subject = _map(self.resource.get("subject"))
        reference = _str(subject.get("reference"))
        patient = self._resolved(reference)
        if reference.startswith("#"):
            return _record_number(patient) or reference[1:], patient
        return _str(patient.get("id")) or _tail(reference) or _str(
            _map(subject.get("identifier")).get("value")
        ), patient

    def _resolved(self, reference: str) -> Resource:
        """The resource that a reference means, where it is contained or in the same Bundle."""
        short = "/".join(reference.split("/_history/")[0].split("/")[-2:])
        return self._contained.get(reference) or self._index.get(reference) or self._index.get(short) or {}

    def _version_of(self) -> str:
        """The id of the report that this one replaces, extends or is an addendum of, where an extension says so."""
        for extension in _maps(self.resource.get("extension")):
            if _EARLIER.fullmatch(_str(extension.get("url"))):
                return _tail(_str(_map(extension.get("valueReference")).get("reference")))
        return ""

    def text(self) -> tuple[str, str]:
        """The presented form, else the observations, else the narrative; and the conclusion if they do not hold it.

        The second value says why no presented form could be read, where there is one.
        """
        text, problem = self._presented()
        text = text or self._observed() or self._narrative()
        conclusion = _str(self.resource.get("conclusion"))
        if not _holds(text, conclusion):
            text = in_pieces([("", text), ("impression", conclusion)])
        return text, problem

    def _presented(self) -> tuple[str, str]:
        """The attachments of the plainest kind that can be read, one after the other; or why there is none."""
        problem = ""
        for kind in _KINDS:
            parts: list[tuple[str, str]] = []
            for form in _maps(self.resource.get("presentedForm")):
                if kind == _kind(form):
                    try:
                        parts.append((piece_of(_str(form.get("title"))), _attached(form)))
                    except AttachmentError as error:
                        problem = str(error)
            if any(text.strip() for _, text in parts):
                return "\n\n".join(in_pieces([part]) for part in dict.fromkeys(parts)), ""
        return "", problem

    def _observed(self) -> str:
        """The texts of the observations that the report carries, under the headings that their codes stand for."""
        parts = []
        for reference in _maps(self.resource.get("result")):
            found = self._resolved(_str(reference.get("reference")))
            code, value = _map(found.get("code")), _map(found.get("valueCodeableConcept"))
            text = _str(found.get("valueString")) or _str(value.get("text"))
            if text and found.get("status") not in ("entered-in-error", "cancelled"):
                parts.append((piece_of(*_codes(code), _str(code.get("text")), *_displays(code)), text))
        return in_pieces(parts)

    def _narrative(self) -> str:
        narrative = _map(self.resource.get("text"))
        return html_text(_str(narrative.get("div"))) if narrative.get("status") != "empty" else ""


def _kind(form: Resource) -> str:
    """The kind of an attachment, as in `_KINDS`; one that is none of them is tried last."""
    said = _str(form.get("contentType")).lower()
    return next((kind for kind in _KINDS if kind and kind in said), "")


def _attached(form: Resource) -> str:
    kind, *parameters = _str(form.get("contentType")).split(";")
    charset = next((p.partition("=")[2].strip(' "') for p in parameters if p.strip().lower().startswith("charset")), "")
    if form.get("data"):
        return attachment_text(_str(form.get("data")), kind.strip(), charset)
    if form.get("url"):
        raise AttachmentError("its text is only at a URL, and nothing is fetched")
    return ""


def _record_number(patient: Resource) -> str:
    """The medical record number of a Patient, else the first identifier."""
    identifiers = [i for i in _maps(patient.get("identifier")) if i.get("value")]
    best = sorted(identifiers, key=lambda i: "MR" not in _codes(i.get("type")))
    return _str(best[0].get("value")) if best else ""


def _tail(reference: str) -> str:
    """The id in a reference, whether relative, absolute, of one version, or a URN."""
    return reference.split("/_history/")[0].rpartition("/")[2].removeprefix("urn:uuid:").removeprefix("urn:oid:")


def _holds(text: str, conclusion: str) -> bool:
    """Whether a text says a conclusion in sentences of its own, and not as a part of one ("no erosion")."""
    words = conclusion.lower().rstrip(". \n").split()
    said = r"\s+".join(map(re.escape, words))
    return (
        not words
        or re.search(rf"(?:^|\n|[.:;?!)*\u2022]|(?:^|\s)-)\s*{said}\s*(?:$|[.;?!\n])", text.lower()) is not None
    )


def _codes(concept: Any) -> list[str]:
    return [_str(coding.get("code")) for coding in _maps(_map(concept).get("coding"))]


def _displays(concept: Any) -> list[str]:
    return [_str(coding.get("display")) for coding in _maps(_map(concept).get("coding"))]


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _map(value: Any) -> Resource:
    return value if isinstance(value, dict) else {}


def _maps(value: Any) -> list[Resource]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
