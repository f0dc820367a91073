"""HL7 v2 results: whatever separators, line ends, escapes and statuses a feed uses, each report comes out once."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from calcitrace.errors import SourceError, UsageError
from calcitrace.model import Report
from calcitrace.runfolder import read_manifest

HEAD = r"MSH|^~\&|RIS|HOSPITAL|||20190302||ORU^R01|M1|P|2.3"
PATIENT = "PID|1||77^^^HOSPITAL^MR||DOE^JANE||19600505|F"
ORDER = "OBR|1|P1|A1^RIS|73030^XR SHOULDER RIGHT|||20190302"


@pytest.fixture
def feed(tmp_path: Path, read: Any) -> Callable[..., Any]:
    """Read segments as a file of messages: `feed(segment, ...)`; `end` stands after each segment."""

    def call(*segments: str, end: str = "\r", data: bytes | None = None, **options: object) -> Any:
        path = tmp_path / "feed.hl7"
        path.write_bytes("".join(s + end for s in segments).encode("utf-8") if data is None else data)
        return read(path, **options)

    return call


def obx(text: str, kind: str = "TX", observation: str = "", status: str = "F") -> str:
    """An OBX segment with a text and its status."""
    return f"OBX|1|{kind}|{observation}||{text}||||||{status}"


def message(*texts: str, number: str = "M1", accession: str = "A1", status: str = "F", order: str = "") -> list[str]:
    """A message with one line of text for each of `texts`, all with this result status (OBX-11)."""
    head = HEAD.replace("M1", number)
    return [head, PATIENT, f"OBR|1||{accession}|||||{order}", *[obx(t, status=status) for t in texts]]


# Framing


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\r"])
def test_every_line_end_is_a_segment_end(end: str, feed: Any) -> None:
    """CR is the standard's; LF, CRLF and doubled ends are what files have after a transfer."""
    assert feed(HEAD, PATIENT, ORDER, obx("one"), obx("two"), end=end).texts == [("A1", "one\ntwo")]


def test_line_ends_may_be_mixed(feed: Any) -> None:
    """Segments of one message may end in different ways."""
    data = f"{HEAD}\r{PATIENT}\n{ORDER}\r\n{obx('one')}\r{obx('two')}"
    assert feed(data=data.encode()).texts == [("A1", "one\ntwo")]


@pytest.mark.parametrize("between", ["\x1c\r\x0b", "\x1c\x0b", "\x1c\r\n\x0b"])
def test_mllp_framing_bytes_are_no_text(between: str, feed: Any) -> None:
    """The bytes 0B and 1C of a captured stream frame messages, with or without a CR between them."""
    one, two = ("\r".join(message(t, accession=t)) for t in ("one", "two"))
    assert feed(data=f"\x0b{one}\r{between}{two}\r\x1c\r".encode()).texts == [("one", "one"), ("two", "two")]


def test_byte_order_marks_are_no_text(feed: Any) -> None:
    """A mark may stand at the start of the file and, where files were joined, before any message."""
    one, two = ("\r".join(message(t, accession=t)) + "\r" for t in ("one", "two"))
    assert feed(data=f"\ufeff{one}\ufeff{two}".encode()).texts == [("one", "one"), ("two", "two")]


def test_a_batch_file_is_read_without_its_envelope(feed: Any) -> None:
    """FHS, BHS, BTS and FTS are no messages and end the one before."""
    envelope = [r"FHS|^~\&|RIS", r"BHS|^~\&|RIS", *message("one"), *message("two", accession="A2"), "BTS|2", "FTS|1"]
    got = feed(*envelope)
    assert (got.texts, got.rejects) == ([("A1", "one"), ("A2", "two")], [])


def test_a_batch_that_lacks_messages_is_told(feed: Any) -> None:
    """A trailer that tells another number than was read is a reject: the file is not whole."""
    got = feed(r"BHS|^~\&|RIS", *message("one"), "BTS|3")
    assert got.texts == [("A1", "one")]
    assert got.reasons == [(6, "the batch tells 3 messages, 1 were read")]


def test_text_outside_of_messages_is_one_reject(feed: Any) -> None:
    """A stretch of lines that belongs to no message is rejected once, and the next message is read."""
    got = feed("Exported by night job", "for research", *message("one"))
    assert got.texts == [("A1", "one")]
    assert got.reasons == [(1, "text outside of any message (a message starts with MSH)")]


def test_a_message_that_breaks_off_is_read_as_far_as_it_goes(feed: Any) -> None:
    """A file that ends within a segment gives what it holds."""
    assert feed(data="\r".join([HEAD, PATIENT, ORDER, "OBX|1|TX|||one"]).encode()).texts == [("A1", "one")]


def test_a_gzipped_file(read: Any, tmp_path: Path) -> None:
    """.hl7.gz is read as .hl7 is."""
    path = tmp_path / "feed.hl7.gz"
    path.write_bytes(gzip.compress("\r".join(message("one")).encode()))
    assert read(path).texts == [("A1", "one")]


def test_an_empty_file_has_no_rows(feed: Any) -> None:
    """No message, no row."""
    got = feed(data=b"")
    assert (got.reports, got.rejects) == ([], [])


def test_a_message_beyond_all_measure_is_a_reject(feed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is taken for a report, whether one line is too long or all of them; the next message is read."""
    for module in ("reading", "hl7"):
        monkeypatch.setattr(f"calcitrace.sources.{module}.MAX_TEXT", 1000)
    got = feed(*message("x" * 2000), *message("one", accession="A2"), *message(*["x" * 400] * 4))
    assert got.texts == [("A2", "one")]
    assert [reason.partition(" of ")[2] for _, reason in got.reasons] == ["more than 1,000 characters"] * 2


# Separators and escapes


def test_separators_are_those_that_the_message_names(feed: Any) -> None:
    """MSH-1 and MSH-2 say what separates; the usual marks are then text."""
    head = "MSH#*+!%#RIS#H###2019##ORU*R01#M1"
    got = feed(head, "PID###77***H*MR", "OBR#1##A1*RIS#7*XR SHOULDER", "OBX#1#TX###5|6^7 !F!8+next##########")
    assert got.texts == [("A1", "5|6^7 #8\nnext")]
    assert (got.only.patient_id, got.only.body_part) == ("77", "XR SHOULDER")


def test_a_message_without_an_escape_mark_has_no_escapes(feed: Any) -> None:
    """Where MSH-2 names three marks, backslashes are text."""
    head = HEAD.replace(r"^~\&", "^~&")
    assert feed(head, ORDER, obx(r"a \F\ b")).only.text == r"a \F\ b"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"a \F\ b", "a | b"),
        (r"a \S\ b", "a ^ b"),
        (r"a \T\ b", "a & b"),
        (r"a \R\ b", "a ~ b"),
        (r"a \E\ b", "a \\ b"),
        (r"a\.br\b", "a\nb"),
        (r"a\.BR\b", "a\nb"),
        (r"a\.sp2\b", "a\n\nb"),
        (r"a\.ce\b", "a\nb"),
        (r"a\.sk3\b", "a   b"),
        (r"a\.in+4\b\.nf\c", "abc"),
        (r"a \H\loud\N\ b", "a loud b"),
        (r"a\X0D\b", "a\nb"),
        (r"a\X0D0A\b", "a\nb"),
        (r"caf\XC3A9\ ", "caf\u00e9 "),
        (r"\E\.br\E\ ", r"\.br\ "),
        (r"\Zlocal\ kept", r"\Zlocal\ kept"),
        (r"supra\infraspinatus\teres", r"supra\infraspinatus\teres"),
        ("a & b ^ c", "a & b ^ c"),
    ],
)
def test_escapes(sent: str, meant: str, feed: Any) -> None:
    """Escapes of the standard are resolved, once; anything else that looks like one is text."""
    assert feed(HEAD, ORDER, obx(sent)).only.text == meant


def test_repetitions_are_lines(feed: Any) -> None:
    """`~` parts the lines of a text; an escaped one does not."""
    assert feed(HEAD, ORDER, obx(r"one~two~~three \R\ four")).only.text == "one\ntwo\n\nthree ~ four"


# Text


def test_empty_lines_between_lines_are_kept(feed: Any) -> None:
    """OBX segments without a value part paragraphs."""
    assert feed(HEAD, ORDER, obx("one"), obx(""), obx("two")).only.text == "one\n\ntwo"


def test_the_null_value_is_no_text(feed: Any) -> None:
    """Two quotes mean that the value is empty."""
    assert feed(HEAD, ORDER, obx("one"), obx('""'), obx("two")).only.text == "one\n\ntwo"


def test_wrapped_text_belongs_to_its_segment(feed: Any) -> None:
    """Lines that are no segments continue the one before, blank lines between them too."""
    got = feed(HEAD, ORDER, "OBX|1|TX|||one", "two", "", "three", "MRI of the shoulder||||||F", end="\n")
    assert got.only.text == "one\ntwo\n\nthree\nMRI of the shoulder"


def test_a_continued_segment_is_joined(feed: Any) -> None:
    """ADD carries on a field that was too long, within a word too."""
    assert feed(HEAD, ORDER, "OBX|1|TX|||supra", "ADD|spinatus||||||F").only.text == "supraspinatus"


@pytest.mark.parametrize("observation", ["73030&GDT^XR", "59776-5^Procedure findings^LN", "X^FINDINGS"])
def test_sections_are_told_by_suffix_code_and_name(observation: str, feed: Any) -> None:
    """The observation id says what section its text is of; each section stands under its heading, once."""
    rest = [obx("Erosion.", observation=observation), obx("No mass.", observation=observation)]
    got = feed(HEAD, ORDER, obx("XR SHOULDER"), *rest, obx("Deposit.", observation="73030&IMP"))
    assert got.only.text == "XR SHOULDER\n\nFINDINGS:\nErosion.\nNo mass.\n\nIMPRESSION:\nDeposit."


def test_a_section_that_brings_its_heading_gets_no_other(feed: Any) -> None:
    """The heading is added only where the text lacks it."""
    assert feed(HEAD, ORDER, obx("Impression: Deposit.", observation="1&IMP")).only.text == "Impression: Deposit."


def test_an_addendum_stands_under_its_heading(feed: Any) -> None:
    """The suffix ADT marks an addendum, which overwrites nothing."""
    got = feed(HEAD, ORDER, obx("Deposit."), obx("Erosion seen too.", observation="1&ADT"))
    assert got.only.text == "Deposit.\n\nADDENDUM:\nErosion seen too."


def test_notes_under_a_result_are_read(feed: Any) -> None:
    """NTE segments under OBR and OBX are text; those of the patient are not."""
    got = feed(HEAD, PATIENT, "NTE|1||deaf", ORDER, "NTE|1||Compared: none.", obx("Deposit."), "NTE|1||Dr told.")
    assert got.only.text == "Compared: none.\nDeposit.\nDr told."


def test_values_that_are_no_text_are_left_out(feed: Any) -> None:
    """Numbers, dates, pointers and ids among the results are not the report."""
    others = [obx("12", "NM"), obx("20190302", "DT"), obx("1.2.840", "HD"), obx("^\\\\server", "RP"), obx("1", "ZZ")]
    assert feed(HEAD, ORDER, *others, obx("Deposit."), obx("x", "CE")).only.text == "Deposit."


def test_a_coded_impression_is_read_by_its_name(feed: Any) -> None:
    """A coded value of a section gives its text."""
    assert feed(HEAD, ORDER, obx("M65^Deposit^I10", "CE", "1&IMP")).only.text == "IMPRESSION:\nDeposit"


RTF = r"{\rtf1\ansi Deposit.\par No mass.}"


@pytest.mark.parametrize(
    ("kind", "raw", "text"),
    [
        ("^TEXT^PLAIN^Base64^", b"Deposit.\r\nNo mass.", "Deposit.\nNo mass."),
        ("^TEXT^HTML^Base64^", b"<p>Deposit.</p><p>No&nbsp;mass.</p>", "Deposit.\n\nNo\u00a0mass."),
        ("^Application^RTF^Base64^", RTF.encode(), "Deposit.\nNo mass."),
        ("^^^Base64^", b"Deposit.", "Deposit."),
    ],
)
def test_encapsulated_texts(kind: str, raw: bytes, text: str, feed: Any) -> None:
    """An ED value holds a text in base64: plain, HTML or RTF."""
    assert feed(HEAD, ORDER, obx(kind + base64.b64encode(raw).decode(), "ED")).only.text == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("^Application^PDF^Base64^JVBERi0x", "an attachment that is no plain text, HTML or RTF (a PDF, say)"),
        ("^^^Base64^JVBERi0x", "an attachment that is no plain text, HTML or RTF (a PDF, say)"),
        ("^TEXT^PLAIN^Base64^Not base64!", "an attachment that is not valid base64 text"),
    ],
)
def test_encapsulated_data_that_cannot_be_read(value: str, reason: str, feed: Any) -> None:
    """A PDF, also one that is not called so, and broken base64 are rejects with their reason."""
    got = feed(HEAD, ORDER, obx(value, "ED"), *message("one", accession="A2"))
    assert got.texts == [("A2", "one")]
    assert [(row, said[: len(reason)]) for row, said in got.reasons] == [(2, reason)]


# Groups


def test_several_orders_in_one_message_are_several_reports(feed: Any) -> None:
    """Each OBR with its own number is a report, with the row of its OBR, and the patient is that of all."""
    got = feed(HEAD, PATIENT, "OBR|1||A1|^XR", obx("one"), "OBR|2||A2|^CT", obx("two"))
    assert got.texts == [("A1", "one"), ("A2", "two")]
    assert [r.patient_id for r in got.reports] == ["77", "77"]
    assert [r.modality for r in got.reports] == ["XR", "CT"]


def test_orders_that_share_a_number_are_one_report(feed: Any) -> None:
    """Linked orders under one accession number give one text."""
    assert feed(HEAD, "OBR|1||A1", obx("one"), "OBR|2||A1", obx("two")).texts == [("A1", "one\ntwo")]


def test_an_order_without_text_is_a_reject_beside_the_others(feed: Any) -> None:
    """An order that was reported under another one has no text of its own."""
    got = feed(HEAD, "OBR|1||A1", obx("one"), "OBR|2||A2")
    assert got.texts == [("A1", "one")]
    assert [(r.row, r.reason, r.report_id) for r in got.rejects] == [(4, "no text in its OBX segments", "A2")]


def test_two_patients_in_one_message_stay_apart(feed: Any) -> None:
    """A second PID begins another patient."""
    got = feed(HEAD, PATIENT, "OBR|1||A1", obx("one"), "PID|2||88", "OBR|1||A2", obx("two"))
    assert [(r.report_id, r.patient_id) for r in got.reports] == [("A1", "77"), ("A2", "88")]


def test_a_message_without_a_patient_is_a_report_without_one(feed: Any) -> None:
    """What to do with a report of nobody is the cohort's to say."""
    assert feed(HEAD, ORDER, obx("one")).only.patient_id == ""


def test_a_message_without_an_order_has_the_id_of_the_message(feed: Any) -> None:
    """OBX without OBR is text all the same."""
    assert feed(HEAD, PATIENT, obx("one")).texts == [("M1", "one")]


def test_a_message_without_results_is_a_reject(feed: Any) -> None:
    """Neither OBR nor OBX: nothing to read."""
    assert feed(HEAD, PATIENT).reasons == [(1, "a result message without OBR and OBX segments")]


@pytest.mark.parametrize(("kind", "said"), [("ADT^A08", " but ADT"), ("some words", "")])
def test_other_messages_are_rejects(kind: str, said: str, feed: Any) -> None:
    """A feed may hold admissions; the reason names their type where it is one."""
    got = feed(HEAD.replace("ORU^R01", kind), PATIENT, *message("one"))
    assert (got.texts, got.reasons) == ([("A1", "one")], [(1, f"not a result message (ORU){said}")])


def test_lines_behind_the_text_of_a_result_are_told(feed: Any) -> None:
    """They are no part of a report; text that is wrapped within its field is."""
    got = feed(*message("one"), "no segment at all", *message("two", accession="A2"))
    assert got.texts == [("A1", "one"), ("A2", "two")]
    assert "1 line behind the text of a result (OBX-5) is no segment" in " ".join(got.tally.chosen.values())


# Status and versions


def test_a_final_report_follows_its_preliminary_one_as_a_version(feed: Any) -> None:
    """P, then F, then C under one accession number: three texts, three versions in their order."""
    sent = [*message("wet read", status="P"), *message("final", status="F"), *message("corrected", status="C")]
    got = feed(*sent)
    assert got.texts == [("A1", "wet read"), ("A1~v2", "final"), ("A1~v3", "corrected")]
    assert [r.version_of for r in got.reports] == ["", "A1", "A1"]


def test_a_message_that_is_sent_twice_counts_once(feed: Any) -> None:
    """The same text under the same number is a repeat, whatever its status."""
    got = feed(*message("one", status="P"), *message("one", status="F"))
    assert got.texts == [("A1", "one")]
    assert got.reasons == [(7, "repeated: same report id and same text as an earlier row")]


@pytest.mark.parametrize(("status", "why"), [("W", "sent for the wrong patient"), ("D", "deleted")])
def test_a_withdrawn_report_takes_back_what_was_sent_before(status: str, why: str, feed: Any) -> None:
    """W and D withdraw all earlier versions; a text that is sent again afterwards counts."""
    sent = [*message("draft"), *message("final"), *message("final", status=status), *message("right one")]
    got = feed(*sent, *message("other", accession="A2"))
    assert got.texts == [("A1", "right one"), ("A2", "other")]
    earlier = "withdrawn by a later row"
    assert got.reasons == [(3, earlier), (7, earlier), (11, f"withdrawn: {why} (result status {status})")]


def test_a_report_is_withdrawn_across_files(read: Any, tmp_path: Path) -> None:
    """One message a file is how many archives keep them; later is by the order of their names."""
    for name, status in (("1.hl7", "F"), ("2.hl7", "W")):
        (tmp_path / name).write_text("\r".join(message("one", status=status)), newline="")
    got = read(tmp_path)
    assert [(r.source, r.reason) for r in got.rejects] == [
        ("1.hl7", "withdrawn by a later row"),
        ("2.hl7", "withdrawn: sent for the wrong patient (result status W)"),
    ]


def test_deleted_lines_are_left_out_of_a_report(feed: Any) -> None:
    """Where only some lines are deleted, the others are the report."""
    assert feed(HEAD, ORDER, obx("one"), obx("gone", status="D"), obx("two")).only.text == "one\ntwo"


def test_a_cancelled_order_is_a_reject_and_withdraws_nothing(feed: Any) -> None:
    """OBR-25 X says that there is no result; an earlier report stands."""
    cancelled = [HEAD, f"OBR|1||A1{'|' * 22}X", obx("not done")]
    got = feed(*message("one"), *cancelled)
    assert (got.texts, got.reasons) == ([("A1", "one")], [(6, "cancelled (result status X)")])


def test_a_change_of_status_without_text_is_a_reject(feed: Any) -> None:
    """U tells that a result is final now and brings no text."""
    assert feed(*message("one", status="P"), *message("", status="U")).reasons == [(7, "no text in its OBX segments")]


def test_statuses_are_counted(feed: Any) -> None:
    """What was chosen for the file tells how many results had which status."""
    final, none = f"OBR|1||A1{'|' * 22}F", "OBR|1||A2"
    assert "result status F 1, not told 1" in feed(HEAD, final, obx("one"), HEAD, none, obx("two")).told


# Fields


def fields(report: Report) -> Sequence[str]:
    """What is told beside id and text."""
    return report.patient_id, report.study_date, report.modality, report.body_part, report.sex, report.age


def test_all_fields_come_from_their_segments(feed: Any) -> None:
    """Patient id, study date, modality, procedure, sex, and the age at the study."""
    order = f"OBR|1|P1|A1^RIS|73221^MR SHOULDER RIGHT^L|||201903021030{'|' * 17}NMR"
    report = feed(HEAD, PATIENT, order, obx("one")).only
    assert fields(report) == ("77", "2019-03-02T10:30:00", "MR", "MR SHOULDER RIGHT", "F", "58")


@pytest.mark.parametrize(
    ("pid", "patient"),
    [
        ("PID|||77^^^A^PI~88^^^B^MR~99", "88"),
        ("PID|||77^^^A^PI~99^^^B^SS", "77"),
        ("PID|||^^^A^MR~99", "99"),
        ('PID|55||""', "55"),
        ("PID||55", "55"),
        (r"PID|||7\T\7", "7&7"),
    ],
)
def test_the_patient_id_is_the_record_number(pid: str, patient: str, feed: Any) -> None:
    """Of the repetitions of PID-3 the one of type MR counts, else the first with a value, else PID-2."""
    pid = pid.replace("PID|55||", "PID||55|")
    assert feed(HEAD, pid, ORDER, obx("one")).only.patient_id == patient


@pytest.mark.parametrize(
    ("time", "iso"),
    [
        ("2019", "2019"),
        ("201903", "2019-03"),
        ("20190302", "2019-03-02"),
        ("20190302000000", "2019-03-02"),
        ("201903021030", "2019-03-02T10:30:00"),
        ("20190302103015.1234+0100", "2019-03-02T10:30:15+01:00"),
        ("02.03.2019", "02.03.2019"),
    ],
)
def test_times_are_iso_as_far_as_they_are_told(time: str, iso: str, feed: Any) -> None:
    """Precision and zone are kept, and what is no HL7 time stays as it is."""
    assert feed(HEAD, f"OBR|1||A1||||{time}", obx("one")).only.study_date == iso


def test_the_time_of_the_report_stands_in_for_that_of_the_study(feed: Any) -> None:
    """OBR-22 is taken where OBR-7 is empty."""
    assert feed(HEAD, f"OBR|1||A1{'|' * 19}20190304", obx("one")).only.study_date == "2019-03-04"


@pytest.mark.parametrize(
    ("section", "procedure", "modality"),
    [("RUS", "", "US"), ("RX", "", "XR"), ("CT", "^MR", "CT"), ("RAD", "^MRI SHOULDER", "MRI"), ("RAD", "^X", "RAD")],
)
def test_the_modality_is_that_of_the_section_or_the_procedure(
    section: str, procedure: str, modality: str, feed: Any
) -> None:
    """OBR-24 in the words of table 0074; where it says no more than radiology, the procedure does."""
    assert feed(HEAD, f"OBR|1||A1|{procedure}{'|' * 20}{section}", obx("one")).only.modality == modality


@pytest.mark.parametrize(("birth", "age"), [("196003", "58"), ("1960", ""), ("", ""), ("20200101", "")])
def test_an_age_is_told_only_where_the_dates_leave_no_doubt(birth: str, age: str, feed: Any) -> None:
    """Born in March 1960 and seen on 1 March 2019, one is 58 or 59; born in 1960, too; not before one's birth."""
    order = ORDER.replace("20190302", "20190228")
    assert feed(HEAD, f"PID|||77||||{birth}", order, obx("one")).only.age == age


def test_the_report_id_may_be_another_field(feed: Any) -> None:
    """Some sites keep the accession number in OBR-18; the filler's number is the default, then the placer's."""
    order = f"OBR|1|P1|A1{'|' * 15}ACC^X"
    assert feed(HEAD, order, obx("one"), columns={"report_id": "OBR-18"}).only.report_id == "ACC"
    assert feed(HEAD, order, obx("one"), columns={"report_id": "OBR-18.2"}).only.report_id == "X"
    assert feed(HEAD, "OBR|1|P1", obx("one")).only.report_id == "P1"


@pytest.mark.parametrize("columns", [{"report_id": "accession"}, {"text": "OBX-5"}])
def test_a_field_is_named_by_its_address(columns: dict[str, str], feed: Any) -> None:
    """A name of a column makes no sense in a message, and the text cannot be another field."""
    with pytest.raises(SourceError, match="a field is named as in OBR-18"):
        feed(HEAD, columns=columns)


# Character sets


@pytest.mark.parametrize(
    ("named", "codec", "text"),
    [
        ("8859/1", "latin-1", "caf\u00e9"),
        ("8859/2", "iso-8859-2", "\u0142okie\u0107"),
        ("", "windows-1252", "\u201eSehne\u201c"),
        ("nonsense", "windows-1252", "caf\u00e9"),
        ("8859/2", "utf-8", "caf\u00e9"),
    ],
)
def test_the_character_set_is_the_messages_own(named: str, codec: str, text: str, feed: Any) -> None:
    """MSH-18 says it, else it is Windows-1252; what is valid UTF-8 is UTF-8, whatever the message says."""
    data = "\r".join([f"{HEAD}{'|' * 6}{named}", ORDER, obx(text)]).encode(codec)
    assert feed(data=data).only.text == text


def test_character_sets_that_were_used_are_told(feed: Any) -> None:
    """What was not in the encoding of the file is said, with the number of messages."""
    data = "\r".join([*message("caf\u00e9"), *message("one", accession="A2")]).encode("latin-1")
    assert "messages read as cp1252 1" in feed(data=data).told


def test_wrong_bytes_are_a_reject_where_the_encoding_was_asked_for(feed: Any) -> None:
    """With --encoding nothing is guessed."""
    data = "\r".join([*message("caf\u00e9"), *message("one", accession="A2")]).encode("latin-1")
    got = feed(data=data, encoding="utf-8")
    assert (got.texts, got.reasons) == ([("A2", "one")], [(1, "bytes that are not valid in this encoding")])


def test_a_file_in_utf_16(feed: Any) -> None:
    """A Windows export may be UTF-16; a withdrawal in it is seen too."""
    data = "\r\n".join([*message("one"), *message("one", status="W")]).encode("utf-16")
    assert [reason for _, reason in feed(data=data).reasons][0] == "withdrawn by a later row"


# Where they are


def test_any_files_are_read_as_asked(read: Any, tmp_path: Path) -> None:
    """With `--from hl7` the names of the files do not matter."""
    for name in ("feed.dat", "feed", "feed.txt"):
        (tmp_path / name).write_text("\r".join(message("one", accession=name)), newline="")
    assert [r.report_id for r in read(tmp_path, source="hl7").reports] == ["feed", "feed.dat", "feed.txt"]


def test_the_command_line_takes_the_source(command: Any, tmp_path: Path) -> None:
    """As a flag or in the configuration; a bad message is a reject with its line, and the rest is processed."""
    (tmp_path / "feed.dat").write_text("\r".join(["junk", *message("Normal.")]), newline="")
    (tmp_path / "c.toml").write_text('from = "hl7"\n')
    for k, words in enumerate((["--from", "hl7"], ["--config", tmp_path / "c.toml"])):
        ended = command("process", tmp_path / "feed.dat", *words, "-o", tmp_path / f"run{k}")
        assert ended.code == 3
        assert "rejected feed.dat:1: text outside of any message" in ended.err
        assert read_manifest(tmp_path / f"run{k}")["reports"] == 1


def test_a_source_that_is_not_known(read: Any, tmp_path: Path) -> None:
    """The error names those that are."""
    with pytest.raises(UsageError, match="known are csv, tsv, .*hl7, fhir, omop"):
        read(tmp_path, source="hl8")
