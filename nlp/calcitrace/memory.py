"""Memory that a long run has done with goes back to the system, so that the size of an archive does not show in it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

Same = TypeVar("Same")
MOST_EQUAL = 4000
SELDOM_BACK = 8  # calls
SELDOM = (20_000, 20, 20)  # objects, and generations, before what is unreachable in a circle is looked for


@contextmanager
def level_memory() -> Iterator[Callable[[], None]]:
    """A context in which Arrow takes memory from the system itself; call what it gives for each part of the work.

    Arrow's own allocator keeps what was freed: after a million reports 40 MB more than are in use. Memory goes back to
    the system at some calls only, since a page that has gone back costs time when it is asked for again.
    """
    import pyarrow as pa

    before, pool, calls = pa.default_memory_pool(), pa.system_memory_pool(), count(1)

    def give_back() -> None:
        if next(calls) % SELDOM_BACK == 0:
            pool.release_unused()

    pa.set_memory_pool(pool)
    try:
        yield give_back
    finally:
        pa.set_memory_pool(before)


def one(value: Same) -> Same:
    """One for all equal sets or tuples (of the same types), since many sentences of an archive keep them."""
    found: Same = _one(value)
    return found


@lru_cache(MOST_EQUAL, typed=True)
def _one(value: Any) -> Any:
    return value


def collect_seldom() -> None:
    """Look for circles of unreachable objects seldom, from now on.

    What is made of a report holds none, and what is remembered makes each look longer: a tenth of a run's time.
    """
    gc.set_threshold(*SELDOM)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """A context in which circles of unreachable objects are looked for seldom."""
    before = gc.get_threshold()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
