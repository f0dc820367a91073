"""FHIR R4: patients, reports, what was read in them, and where each statement comes from."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calcitrace.exports.variables import Row, Variable, as_text

if TYPE_CHECKING:
    from calcitrace.exports.extract import Extract, LeftOut

Resource = dict[str, Any]
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
DERIVED_FROM = "http://hl7.org/fhir/StructureDefinition/derivation-reference"
NAMES = "urn:calcitrace"  # of identifiers and of codes that calcitrace gave
DEVICE = "calcitrace"
CONDITION = "Intraosseous migration of intratendinous calcification"
CLINICAL = {"resolved": "resolved", "persistent": "active"}
PLACES = ("tendon", "bone", "landmark", "laterality")
IDS = ("patient_id", "report_id", "mention_id", "text", "words")
BY_MACHINE = {"system": f"{TERMINOLOGY}/v3-ObservationValue", "code": "AIAST"}  # asserted by artificial intelligence


def write_fhir(extract: Extract, folder: Path) -> list[LeftOut]:
    """FHIR R4: Patient, DiagnosticReport, Observation, Condition, Provenance and Device as NDJSON, one file a type.

    A DiagnosticReport stands for each report and names its observations as results. Each mention is an Observation
    (present, possible or absent) that names the report, and its characters there, in the extension
    derivation-reference; the assessment of a report and that of a patient are Observations with one component a
    variable. A Condition stands for each patient who is a case, with the reports as evidence; it is provisional until
    a reviewer has confirmed it. Provenance tells from which reports calcitrace made what. Resource ids are always
    pseudonyms; identifiers are as chosen. The codes are calcitrace's own names; map them to a terminology of yours.
    """
    written: dict[str, list[Resource]] = {}
    for resource in _resources(extract):
        written.setdefault(resource["resourceType"], []).append(resource)
    for name, resources in written.items():
        with (folder / f"{name}.ndjson").open("w", encoding="utf-8", newline="\n") as handle:
            handle.writelines(json.dumps(resource, ensure_ascii=False) + "\n" for resource in resources)
    return []


def _resources(extract: Extract) -> Iterator[Resource]:
    reports, mentions = extract.reports_of(), extract.mentions_of()
    name, _, version = extract.system.partition(" ")
    yield _resource("Device", DEVICE, deviceName=[{"name": name, "type": "model-name"}], version=[{"value": version}])
    for patient in extract.patients:
        own = reports.get(patient["key"], [])
        yield _resource("Patient", patient["key"], identifier=_identifier("patient", patient["patient_id"]))
        yield from _of_patient(extract, patient, own)
        for report in own:
            yield from _of_report(extract, report, mentions.get(report["key"], []))


def _resource(kind: str, name: str, **fields: Any) -> Resource:
    """A resource without the elements that would be empty, which FHIR does not allow."""
    held = {key: value for key, value in fields.items() if value not in (None, [], {}, "")}
    return {"resourceType": kind, "id": name, **held}


def _identifier(what: str, value: str | None) -> list[Resource]:
    return [{"system": f"{NAMES}:{what}", "value": value}] if value else []


def _reference(kind: str, name: str) -> Resource:
    return {"reference": f"{kind}/{name}"}


def _coded(text: str, what: str = "variable") -> Resource:
    return {"coding": [{"system": f"{NAMES}:{what}", "code": text}], "text": text}


def _concept(name: str, code: str) -> Resource:
    return {"coding": [{"system": f"{TERMINOLOGY}/{name}", "code": code}]}


def _of_patient(extract: Extract, patient: Row, reports: Sequence[Row]) -> Iterator[Resource]:
    """What was found of a patient: an assessment, the condition of a case, and where they come from."""
    key, sources = patient["key"], [_reference("DiagnosticReport", r["key"]) for r in reports]
    name = f"{key}-assessment"
    yield _observation(
        name,
        key,
        "patient_assessment",
        component=_components(extract.variables["patients"], patient),
        effectiveDateTime=as_text(patient["index_date"] or "") or None,
        extension=[_derived(source) for source in sources],
    )
    made = [_reference("Observation", name)]
    if patient["is_case"]:
        yield _condition(patient, reports)
        made.append(_reference("Condition", f"{key}-condition"))
    yield _provenance(f"{key}-provenance", extract, made, sources)


def _of_report(extract: Extract, report: Row, mentions: Sequence[Row]) -> Iterator[Resource]:
    """A report, its assessment, its mentions, and where they come from."""
    key, source = report["key"], _reference("DiagnosticReport", report["key"])
    when = _when(report)
    name = f"{key}-assessment"
    found = [
        _observation(
            name,
            report["patient"],
            "report_assessment",
            component=_components(extract.variables["reports"], report),
            effectiveDateTime=when,
            extension=[_derived(source)],
        ),
        *(_mention(extract, report, m, when) for m in mentions),
    ]
    made = [_reference("Observation", f["id"]) for f in found]
    yield _report(report, when, made)
    yield from found
    yield _provenance(f"{key}-provenance", extract, made, [source])


def _when(report: Row) -> str | None:
    return as_text(report["study_date"] or report["study_date_partial"] or "") or None


def _report(report: Row, when: str | None, results: Sequence[Resource]) -> Resource:
    text = report.get("text")
    form = {"contentType": "text/plain; charset=utf-8", "data": b64encode((text or "").encode("utf-8")).decode("ascii")}
    return _resource(
        "DiagnosticReport",
        report["key"],
        identifier=_identifier("report", report["report_id"]),
        status="unknown",  # the archive's own status is not kept
        category=[_concept("v2-0074", "RAD")],
        code={"text": "Radiology report"},
        subject=_reference("Patient", report["patient"]),
        effectiveDateTime=when,
        result=results,
        presentedForm=[form] if text else [],
    )


def _observation(name: str, patient: str, code: str, **fields: Any) -> Resource:
    subject = _reference("Patient", patient)
    common = {"status": "preliminary", "code": _coded(code, "finding"), "subject": subject}
    return _resource(
        "Observation",
        name,
        meta={"security": [BY_MACHINE]},
        **common,
        device=_reference("Device", DEVICE),
        **fields,
    )


def _mention(extract: Extract, report: Row, mention: Row, when: str | None) -> Resource:
    """A mention: its finding, whether it is there, its place, and the characters that name it."""
    place = [str(mention[p]) for p in PLACES if mention[p] not in (None, "none")]
    source = _reference("DiagnosticReport", report["key"])
    first, end = mention["first_char"], mention["end_char"]
    return _observation(
        mention["key"],
        report["patient"],
        mention["finding"],
        identifier=_identifier("mention", mention["mention_id"]),
        effectiveDateTime=when,
        valueCodeableConcept=_coded(mention["assertion"], "assertion"),
        bodySite={"text": ", ".join(place)} if place else None,
        component=_components(extract.variables["mentions"], mention),
        extension=[_derived(source, first, end - first)],
        note=[{"text": mention["words"]}] if mention.get("words") else [],
    )


def _derived(source: Resource, offset: int | None = None, length: int | None = None) -> Resource:
    """The report that a statement was read in, and its characters there (HL7's extension derivation-reference)."""
    said: list[Resource] = [{"url": "reference", "valueReference": source}]
    if offset is not None:
        said += [{"url": "offset", "valueInteger": offset}, {"url": "length", "valueInteger": length}]
    return {"url": DERIVED_FROM, "extension": said}


def _components(variables: Sequence[Variable], row: Row) -> list[Resource]:
    """One component for each variable that is known, but for ids and text, which have elements of their own."""
    own = [v for v in variables if v.name not in IDS]
    return [{"code": _coded(v.name), **_value(v, row[v.name])} for v in own if row[v.name] is not None]


def _value(variable: Variable, value: Any) -> Resource:
    if variable.kind == "category":
        concept = _coded(value, variable.name)
        return {"valueCodeableConcept": concept | {"text": variable.values[value]}}
    if variable.kind == "number":
        return {"valueQuantity": {"value": value}}
    kinds = {"flag": "valueBoolean", "integer": "valueInteger", "date": "valueDateTime"}
    kind = kinds.get(variable.kind, "valueString")
    return {kind: value if kind in ("valueBoolean", "valueInteger") else as_text(value)}


def _condition(patient: Row, reports: Sequence[Row]) -> Resource:
    """The condition of a patient who is a case, with the reports that show it as evidence."""
    key = patient["key"]
    telling = [r for r in reports if r["case_status"] not in (None, "no")]
    confirmed = any(r["adjudicated"] for r in telling)
    clinical = CLINICAL.get(patient["outcome"])
    evidence = [_reference("Observation", f"{key}-assessment")]
    evidence += [_reference("DiagnosticReport", r["key"]) for r in telling]
    depth, day = patient["migration_type"], patient["index_date"]
    place = [{"text": patient[p]} for p in ("bone", "tendon") if patient[p] not in (None, "none")]
    return _resource(
        "Condition",
        f"{key}-condition",
        clinicalStatus=_concept("condition-clinical", clinical) if clinical else None,
        verificationStatus=_concept("condition-ver-status", "confirmed" if confirmed else "provisional"),
        code={"text": CONDITION},
        bodySite=place,
        subject=_reference("Patient", key),
        recordedDate=as_text(day) if day else None,
        stage=[{"summary": _coded(depth, "migration_type")}] if depth not in (None, "none") else [],
        evidence=[{"detail": evidence}],
    )


def _provenance(name: str, extract: Extract, made: Sequence[Resource], sources: Sequence[Resource]) -> Resource:
    """Who made what from which reports."""
    entities: list[Mapping[str, Any]] = [{"role": "source", "what": source} for source in sources]
    return _resource(
        "Provenance",
        name,
        target=made,
        recorded=extract.made,
        activity=_concept("v3-DataOperation", "CREATE"),
        agent=[{"who": _reference("Device", DEVICE)}],
        entity=entities,
    )
