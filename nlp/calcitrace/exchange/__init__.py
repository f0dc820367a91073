"""Decisions and queue out to other tools and in from them: CSV, Label Studio JSON, doccano JSON lines."""

from calcitrace.exchange.incoming import Imported, holds_decisions, import_decisions, is_store, read_adjudications
from calcitrace.exchange.outgoing import FORMS, cohort_rows, export_decisions

__all__ = [
    "FORMS",
    "Imported",
    "cohort_rows",
    "export_decisions",
    "holds_decisions",
    "import_decisions",
    "is_store",
    "read_adjudications",
]
