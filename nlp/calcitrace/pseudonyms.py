"""Pseudonyms by a keyed hash, and a shift of dates per patient; the key is the hospital's and stays there."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from calcitrace.errors import UsageError

SHORTEST_KEY = 16  # bytes
CHECK = "pseudonyms.json"
ADVICE = (
    "put it there, name it with --key (the same as `calcitrace cohort` was given, if it was), or give --new-key: "
    "pseudonyms then match no earlier page or export"
)
FARTHEST = 365  # days that a patient's dates are moved by at most, either way


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes names that do not tell the id, the same for the same id as long as the key is the same (HMAC-SHA256).

    Nobody can find the id of a pseudonym, or test a guess, without the key. `site` is the hospital or archive that an
    id belongs to, empty where there is one only.
    """

    key: bytes

    def patient(self, site: str, patient_id: str) -> str:
        """The pseudonym of a patient: P and 20 hexadecimal digits."""
        return f"P{self._digest('patient', site, patient_id)[:20]}"

    def report(self, site: str, report_id: str) -> str:
        """The pseudonym of a report: R and 20 hexadecimal digits."""
        return f"R{self._digest('report', site, report_id)[:20]}"

    @property
    def check(self) -> str:
        """What tells this key from another, and nothing of the key."""
        return self._digest("check")[:20]

    def days(self, site: str, patient_id: str) -> int:
        """By how many days the dates of a patient are moved: -365 to 365, never 0."""
        drawn = int(self._digest("days", site, patient_id), 16) % (2 * FARTHEST) - FARTHEST
        return drawn if drawn < 0 else drawn + 1

    def _digest(self, *parts: str) -> str:
        said = "".join(f"{len(part)}:{part}" for part in parts)
        return hmac.new(self.key, said.encode("utf-8", "surrogatepass"), sha256).hexdigest()


def pseudonyms(folder: Path, key_file: Path | None = None, new_key: bool = False) -> Pseudonyms:
    """The pseudonyms of a cohort folder by the key in `key_file`, or in FOLDER.key beside it, which is made at first.

    The folder keeps a check of the key beside it (`pseudonyms.json`, which tells nothing of the key), so that a key
    that is gone, or another one, is seen; a `key_file` is taken as it is. `new_key` goes on with the key that is there
    now, or makes one.

    Raises:
        UsageError: a key that cannot be read or made, that is too short to protect anything, or that is not the one
            by which the pseudonyms of this cohort were made.
    """
    path, check = key_file or key_beside(folder), folder / CHECK
    known = "" if key_file or new_key else _known(check)
    try:
        if known and not path.exists():
            raise UsageError(f"{path}: the key of this cohort's pseudonyms is not there; {ADVICE}")
        if key_file is None and not path.exists():
            _make_key(path)
        names = Pseudonyms(path.read_bytes().strip())
        if len(names.key) < SHORTEST_KEY:
            raise UsageError(f"{path}: a key needs at least {SHORTEST_KEY} characters, drawn at random")
        if known and known != names.check:
            raise UsageError(f"{path}: is not the key by which this cohort's pseudonyms were made; {ADVICE}")
        if key_file is None and not known:
            note_key(folder, names)
    except OSError as error:
        raise UsageError(f"{path}: the key for pseudonyms cannot be read or made ({error.strerror})") from None
    return names


def of_another_key(folder: Path, names: Pseudonyms) -> bool:
    """Whether a cohort folder's pseudonyms are by another key than these."""
    return _known(folder / CHECK) not in ("", names.check)


def note_key(folder: Path, names: Pseudonyms) -> None:
    """Keep in a cohort folder the check of the key that its pseudonyms were made by."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CHECK).write_text(json.dumps({"key_check": names.check}) + "\n", encoding="ascii")


def _known(check: Path) -> str:
    """The check of the key that the pseudonyms of a folder were made by, empty where there are none."""
    try:
        return str(json.loads(check.read_bytes())["key_check"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{check}: cannot be read or is damaged; {ADVICE}") from None


def key_beside(folder: Path) -> Path:
    """Where the key of a cohort folder is kept: beside it, so that the folder can be sent along."""
    whole = folder.resolve()
    return whole.with_name(f"{whole.name}.key")


@dataclass(frozen=True, slots=True)
class KeyBefore:
    """How it stood with the key of a cohort folder before a cohort was written: was one there, and which was used."""

    there: bool
    check: str

    @classmethod
    def of(cls, folder: Path) -> KeyBefore:
        """As it stands now."""
        try:
            return cls(key_beside(folder).exists(), _known(folder / CHECK))
        except UsageError:  # only --new-key goes on from here, and then no name is as it was
            return cls(key_beside(folder).exists(), "damaged")

    def told(self, folder: Path) -> str:
        """What became of it, and what there is to do."""
        said = f"{{}}: {key_beside(folder)}"
        if self.check not in ("", _known(folder / CHECK)):
            return said.format("the key of the pseudonyms is another than before") + (
                "\n  pseudonyms match no earlier page or export; keep the key, apart from the cohort"
            )
        if self.there:
            return said.format("the key of the pseudonyms is that of before") + (
                "\n  the same patient has the same pseudonym; there is nothing to do"
            )
        return said.format("the key of the pseudonyms is new") + (
            "\n  keep it, apart from the cohort: exports of the cohort need it"
            "\n  another --out draws another key, unless --key names this one: then pseudonyms match"
        )


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
