"""Pseudonyms: a keyed hash (HMAC-SHA256) of an id, the same for the same key; the key is the site's own."""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from calcitrace.errors import RunError

LEAST = 16  # characters of a key
LENGTH = (
    10  # base-32 characters of a pseudonym: 50 bits, so that two of a million patients are equal in 1 of 2,000 cases
)


def key_of(path: Path) -> bytes:
    """The key in a file, without blanks at its ends.

    Raises:
        RunError: it cannot be read or is shorter than 16 characters.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise RunError(f"{path}: the key cannot be read ({error.strerror})") from None
    if len(key) < LEAST:
        raise RunError(f"{path}: a key needs at least {LEAST} characters; make one with: openssl rand -hex 32")
    return key


def key_beside(cohort: Path) -> tuple[bytes, Path]:
    """The key kept beside a cohort folder (COHORT.key, readable by its owner alone), made where there is none.

    Raises:
        RunError: it cannot be read or written.
    """
    path = cohort.resolve().with_name(cohort.resolve().name + ".key")
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        except OSError as error:
            raise RunError(f"{path}: the key cannot be written ({error.strerror}); give --key FILE") from None
    return key_of(path), path


def pseudonym(key: bytes, *parts: str, kind: str = "P") -> str:
    """The pseudonym of an id (with its site): `kind`, a hyphen and ten letters or digits."""
    told = "\x1f".join((kind, *parts)).encode("utf-8", "replace")
    digest = hmac.new(key, told, "sha256").digest()
    return f"{kind}-{base64.b32encode(digest).decode('ascii')[:LENGTH]}"
