"""The sample corpus that ships with calcitrace: synthetic reports, said so in corpora_samples/README.md."""

from __future__ import annotations

from pathlib import Path


def sample_corpus() -> Path:
    """The CSV file of the sample corpus, in the installed package or the checkout."""
    shipped = Path(__file__).parent / "corpora_samples" / "synthetic_msk.csv"
    return shipped if shipped.exists() else Path(__file__).parents[2] / "corpora_samples" / "synthetic_msk.csv"
