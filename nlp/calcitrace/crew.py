"""Worker processes that may hang or die: the report that did it is found and named, and the rest goes on.

Work is handed out in chunks and comes back in order. Each worker counts what it has done, so that one that gets no
further is seen. A chunk whose worker died, or hung at a report, is tried again report by report by a new worker; a
report that fails alone is the culprit.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
CHUNK = 50
POLL = 0.5
HANGS = "took longer than {:g} s to read (--report-timeout)"
DIES = "its worker process ended while reading it (out of memory, or a crash in a library)"


@dataclass(slots=True)
class _Chunk(Generic[Item, Made]):
    """Some items on their way: waiting, with a worker, or done."""

    items: Sequence[Item]
    made: list[Made] | None = None
    left: list[_Chunk[Item, Made]] = field(default_factory=list)


class _Hand:
    """One worker process and the line to it."""

    def __init__(self, start: Callable[[], Callable[..., Any]]) -> None:
        context = get_context("spawn")
        self.line, theirs = context.Pipe()
        self._done = context.RawValue("Q", 0)
        self.process = context.Process(target=_labour, args=(theirs, start, self._done), daemon=True)
        self.process.start()
        theirs.close()
        self.chunk: Any = None
        self._seen, self._since = 0, 0.0

    def give(self, chunk: Any) -> None:
        self.chunk, self._seen, self._since = chunk, self._done.value, time.monotonic()
        self.line.send(chunk.items)

    def stands_still(self) -> float:
        """For how many seconds it has finished no item."""
        if self._seen != self._done.value:
            self._seen, self._since = self._done.value, time.monotonic()
        return time.monotonic() - self._since

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


def _labour(line: Connection, start: Callable[[], Callable[..., Any]], done: Any) -> None:
    """A worker's life: build what it needs, then turn items into results until the line closes; Ctrl-C is not its.

    It ends without a word where an item raises (a traceback may show report text) or the run has ended.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task = start()
    with suppress(EOFError, OSError):
        line.send(None)
        while True:
            items, made = line.recv(), []
            for item in items:
                try:
                    made.append(task(item))
                except Exception:
                    return
                done.value += 1
            line.send(made)


class Crew(Generic[Item, Made]):
    """A context of `size` workers; `work(items)` yields what `task` makes of each, in order.

    Args:
        size: how many processes.
        start: called once in each process (it must be picklable), gives the task: an item -> its result.
        failed: makes the result of an item that its worker could not finish, from the reason.
        timeout: seconds that one item may take; None for no limit.
    """

    def __init__(
        self,
        size: int,
        start: Callable[[], Callable[..., Any]],
        failed: Callable[[Item, str], Made],
        timeout: float | None = None,
    ) -> None:
        self._size, self._start, self._failed, self._timeout = size, start, failed, timeout
        self._hands: list[_Hand] = []
        self._idle: list[_Hand] = []

    def __enter__(self) -> Crew[Item, Made]:
        self._hands = [_Hand(self._start) for _ in range(self._size)]
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self._hands:
            hand.end()

    def work(self, items: Sequence[Item]) -> Iterator[Made]:
        """What is made of the items, in order."""
        waiting: deque[_Chunk[Item, Made]] = deque(_Chunk(items[i : i + CHUNK]) for i in range(0, len(items), CHUNK))
        ordered = list(waiting)
        for chunk in ordered:
            while not _done(chunk):
                self._hand_out(waiting)
                self._collect(waiting)
            yield from _results(chunk)
            chunk.made, chunk.left = [], []

    def _hand_out(self, waiting: deque[_Chunk[Item, Made]]) -> None:
        while waiting and self._idle:
            self._idle.pop().give(waiting.popleft())

    def _collect(self, waiting: deque[_Chunk[Item, Made]]) -> None:
        """Take what has come, and deal with workers that died or hang."""
        lines = {hand.line: hand for hand in self._hands if hand not in self._idle}
        for line in wait(list(lines), POLL):
            hand = lines[line]  # type: ignore[index]
            try:
                made = hand.line.recv()
            except (EOFError, OSError):
                self._replace(hand, waiting, DIES)
                continue
            if hand.chunk is not None:
                hand.chunk.made, hand.chunk = made, None
            self._idle.append(hand)
        for hand in list(self._hands):
            if hand.chunk is not None and self._late(hand):
                self._replace(hand, waiting, HANGS.format(self._timeout))

    def _late(self, hand: _Hand) -> bool:
        return self._timeout is not None and hand.stands_still() > self._timeout

    def _replace(self, hand: _Hand, waiting: deque[_Chunk[Item, Made]], reason: str) -> None:
        """A new worker in place of one that failed; its chunk is tried one by one, or its only item is the culprit."""
        chunk = hand.chunk
        hand.end()
        self._hands[self._hands.index(hand)] = _Hand(self._start)
        if chunk is None:
            raise ChildProcessError
        if len(chunk.items) == 1:
            chunk.made = [self._failed(chunk.items[0], reason)]
            return
        chunk.left = [_Chunk([item]) for item in chunk.items]
        waiting.extendleft(reversed(chunk.left))


def _done(chunk: _Chunk[Any, Any]) -> bool:
    return all(map(_done, chunk.left)) if chunk.left else chunk.made is not None


def _results(chunk: _Chunk[Any, Any]) -> Iterator[Any]:
    for part in chunk.left or [chunk]:
        yield from part.made or ()
