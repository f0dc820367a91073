"""Numbers under keys, in a temporary file rather than in memory: what a pass over an archive must remember exactly."""

from __future__ import annotations

import errno
import io
import os
from array import array
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

from calcitrace.errors import RunError

NUMBER, ENTRY = 8, 16  # bytes of a number, and of a key with its number
PAGE = 256  # entries
KEPT = 1 << 20  # bytes before there is a file
BITS = 64  # of a key


class Seen:
    """A context that keeps numbers of 64 bits under keys of 8 random bytes: 23 bytes a key on disk, 0.1 in memory.

    Extendible hashing (Fagin and others 1979): the first bits of a key tell its page by a table in memory, and a full
    page becomes two by one bit more. A look is one read, a new key one write. The file has no name (on Windows it is
    deleted when it closes), so a process that is killed leaves nothing of it.

    Args:
        folder: where the file is made when there is one; by default where temporary files go.

    Raises:
        RunError: the file cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] = io.BytesIO()
        self._kept = True
        self._bits = 0
        self._pages = array("I", [0])  # by the first bits of a key
        self._used = array("H", [0])  # by page: its entries
        self._depth = array("B", [0])  # by page: the bits that its keys share

    def __enter__(self) -> Seen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        tables = sum(a.itemsize * len(a) for a in (self._pages, self._used, self._depth))
        return tables + (PAGE * ENTRY * len(self._used) if self._kept else 0)

    def get(self, key: bytes) -> int | None:
        """The number under a key, None where there is none."""
        entries = self._read(self._pages[self._place(key)])
        at = _find(entries, key)
        return None if at < 0 else int.from_bytes(entries[at + NUMBER : at + ENTRY])

    def add(self, key: bytes, number: int) -> int | None:
        """The number that is under a key already; where there is none, None, and this one is kept."""
        page = self._pages[self._place(key)]
        entries = self._read(page)
        at = _find(entries, key)
        if at >= 0:
            return int.from_bytes(entries[at + NUMBER : at + ENTRY])
        while self._used[page] == PAGE:
            self._split(key)
            page = self._pages[self._place(key)]
        self._used[page] += 1
        self._write(page, (self._used[page] - 1) * ENTRY, key + number.to_bytes(NUMBER))
        return None

    def change(self, key: bytes, number: int) -> None:
        """Keep another number under a key that is there."""
        page = self._pages[self._place(key)]
        self._write(page, _find(self._read(page), key), key + number.to_bytes(NUMBER))

    def _place(self, key: bytes) -> int:
        return int.from_bytes(key) >> (BITS - self._bits)

    def _split(self, key: bytes) -> None:
        """Make two of the page that holds a key: entries with the next bit set go to a new one."""
        page, new = self._pages[self._place(key)], len(self._used)
        entries, depth = self._read(page), self._depth[page]
        if depth == self._bits:
            self._pages = array("I", (p for p in self._pages for _ in range(2)))
            self._bits += 1
        halves: tuple[list[bytes], list[bytes]] = ([], [])
        for at in range(0, len(entries), ENTRY):
            halves[entries[at + depth // 8] >> (7 - depth % 8) & 1].append(entries[at : at + ENTRY])
        self._used[page], self._depth[page] = len(halves[0]), depth + 1
        self._used.append(len(halves[1]))
        self._depth.append(depth + 1)
        self._write(page, 0, b"".join(halves[0]))
        self._write(new, 0, b"".join(halves[1]))
        span = 1 << (self._bits - depth - 1)  # how many places of the table point to each half
        first = self._place(key) // (2 * span) * 2 * span
        self._pages[first + span : first + 2 * span] = array("I", [new]) * span

    def _read(self, page: int) -> bytes:
        self._file.seek(page * PAGE * ENTRY)
        return self._file.read(self._used[page] * ENTRY)

    def _write(self, page: int, at: int, data: bytes) -> None:
        try:
            self._file.seek(page * PAGE * ENTRY + at)
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._kept and self._file.tell() > KEPT:
                self._to_disk()
        except OSError as error:
            where = self._folder or "the folder of temporary files"
            raise RunError(
                f"{where}: no file can be written there ({error.strerror}); free space or rights, then run again"
            ) from None

    def _to_disk(self) -> None:
        """Go on in a file."""
        data = self._file.getvalue()  # type: ignore[attr-defined]
        file: IO[bytes] = TemporaryFile(buffering=0, dir=self._folder, prefix=".seen-")  # noqa: SIM115 - see __exit__
        self._file, self._kept = file, False
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _find(entries: bytes, key: bytes) -> int:
    """Where the entry of a key begins, -1 where there is none."""
    at = entries.find(key)
    while at % ENTRY:  # what looks like the key lies across two numbers, or is one; -1 leaves the remainder 15
        if at < 0:
            return -1
        at = entries.find(key, at + 1)
    return at
