"""What HL7 and FHIR share: codes of sections and modalities, and texts that come as HTML, RTF or base64."""

from __future__ import annotations

import base64
import binascii
import re
from html.parser import HTMLParser

from calcitrace.sources.columns import joined
from calcitrace.sources.names import PIECES
from calcitrace.sources.reading import decode

# LOINC codes of the sections of an imaging report (DICOM PS3.20), and HL7 v2 suffixes of an observation id (chapter 7)
_CODES = {
    "18785-6": "indication",
    "55111-9": "technique",
    "18834-2": "comparison",
    "59776-5": "findings",
    "19005-8": "impression",
    "18783-1": "recommendation",
    "55107-7": "addendum",
    "GDT": "findings",
    "IMP": "impression",
    "REC": "recommendation",
    "ADT": "addendum",
}
_NAMES = {alias: piece for piece, aliases in PIECES.items() for alias in aliases}
# HL7 table 0074 beside the names of DICOM
_MODALITIES = {m: m for m in "XR CR DX DR RF US CT CTA MR MRI MRA NM PT MG XA".split()}
_MODALITIES |= {"NMR": "MR", "RUS": "US", "VUS": "US", "RX": "XR", "XRC": "XR"}


def piece_of(*words: str) -> str:
    """The piece of a report (findings, impression ...) that a code or a name stands for; empty for any other."""
    for word in words:
        found = _CODES.get(word.strip()) or _NAMES.get("".join(c for c in word.lower() if c.isalnum()))
        if found:
            return found
    return ""


def in_pieces(parts: list[tuple[str, str]]) -> str:
    """One text of the parts (piece or "", text) in their order; parts of one piece that follow each other are one."""
    runs: list[tuple[str, list[str]]] = []
    for piece, text in parts:
        if not runs or runs[-1][0] != piece:
            runs.append((piece, []))
        runs[-1][1].append(text)
    blocks = [(piece, "\n".join(texts)) for piece, texts in runs]
    return "\n\n".join(joined([block]) if block[0] else block[1] for block in blocks if block[1].strip())


def modality_in(codes: list[str], procedure: str) -> str:
    """The modality: the first code that is one, else the first word of the procedure that is, else the first code."""
    words = re.findall(r"[A-Z]+", procedure.upper())
    return next((_MODALITIES[w] for w in (*codes, *words) if w in _MODALITIES), codes[0] if codes else "")


_BREAKS = frozenset(
    "address article blockquote br dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p pre section table tr ul".split()
)
_UNSEEN = frozenset(("head", "script", "style", "title"))


class _Html(HTMLParser):
    """Collects what a browser would show."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown = [""]
        self._unseen = self._kept = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in _UNSEEN
        self._kept += tag == "pre"
        self._show("\n" if tag in _BREAKS else " " if tag in ("td", "th") else "")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self._show("\n" if tag in _BREAKS else "")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN and self._unseen > 0
        self._kept -= tag == "pre" and self._kept > 0
        self._show("\n" if tag in _BREAKS and tag != "br" else "")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._show(data if self._kept else re.sub(r"[ \t\r\n]+", " ", data))

    def _show(self, text: str) -> None:
        """Add to what is shown; a line begins with a space only where that is kept."""
        text = text if self._kept or self.shown[-1][-1:].strip(" \n") else text.lstrip(" ")
        if text:
            self.shown.append(text)


def html_text(html: str) -> str:
    """The text that a page of HTML shows, with a line end after each block."""
    page = _Html()
    page.feed(html)
    page.close()
    lines = [line.rstrip(" \r") for line in "".join(page.shown).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


class AttachmentError(ValueError):
    """An attachment that holds no text that can be read; `str()` says why and nothing of it."""


_NO_TEXT = "an attachment that is no plain text, HTML or RTF (a PDF, say); convert it first"
_KINDS = ("plain", "html", "rtf", "richtext")


def attachment_text(data: str, kind: str, charset: str = "") -> str:
    """The text of an attachment in base64, by its content type (text/plain, text/html, text/rtf).

    Raises:
        AttachmentError: not base64, or of a kind that holds no plain text (PDF, an image).
    """
    kind = kind.lower()
    if kind and not any(word in kind for word in _KINDS):
        raise AttachmentError(_NO_TEXT)
    try:
        raw = base64.b64decode(re.sub(r"\s+", "", data), validate=True)
        text = raw.decode(charset) if charset else decode(raw)
    except (binascii.Error, ValueError, LookupError):
        raise AttachmentError("an attachment that is not valid base64 text") from None
    if raw.startswith(b"%PDF-"):
        raise AttachmentError(_NO_TEXT)
    if raw.startswith(b"{\\rtf"):
        return _rtf_text(text)
    return html_text(text) if "html" in kind else text.replace("\r\n", "\n")


def _rtf_text(rtf: str) -> str:
    try:
        from striprtf.striprtf import rtf_to_text
    except ImportError:
        raise AttachmentError('an RTF text, which needs striprtf: pip install "calcitrace[sources]"') from None
    text: str = rtf_to_text(rtf, errors="replace")
    return text.strip("\n")
