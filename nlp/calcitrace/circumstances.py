"""What a sentence stands in, and what came of it where it stood in the same before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import cache
from itertools import chain
from typing import Any, Generic, TypeVar

from calcitrace.memory import one
from calcitrace.ruleset import Site

Came = TypeVar("Came")
MOST_CIRCUMSTANCES = 32  # in which a sentence is remembered


@dataclass(slots=True)
class Circumstances:
    """What a sentence stands in, as far as the links of its mentions depend on it.

    `side` is that of the whole report, `subside` and `subsites` those of the heading above; the last site, tendon and
    side are those that the sentences before have named.
    """

    region: str = ""
    side: str = "none"
    subside: str = "none"
    subsites: tuple[Site, ...] = ()
    last_site: Site | None = None
    last_tendon: Site | None = None
    last_side: str = "none"
    on_heading_line: bool = False  # it stands on the line of its subhead, or that stands on a line of its own


_NAMES = frozenset(f.name for f in fields(Circumstances))


class Observed(Circumstances):
    """A copy of circumstances that notes which of them are `asked` for, and those that are `changed`.

    What came of a sentence holds wherever those that it asked for are the same: the way there went by nothing else.
    """

    asked: set[str]
    changed: dict[str, Any]

    def __init__(self, of: Circumstances) -> None:
        object.__setattr__(self, "asked", set())
        object.__setattr__(self, "changed", {})
        for name in _NAMES:
            object.__setattr__(self, name, getattr(of, name))

    def __getattribute__(self, name: str) -> Any:
        if name in _NAMES:
            self.asked.add(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.changed[name] = value
        object.__setattr__(self, name, value)


class Outcomes(Generic[Came]):
    """What came of a sentence under the circumstances that it has stood in so far, by those that it asked for."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: tuple[Any, ...] = ()  # of each: the names that it asked for, their values, and what came

    def __len__(self) -> int:
        return len(self._known) // 3

    def find(self, now: Circumstances, *besides: object) -> Came | None:
        """What came of it before, where what it asked for, and what is given `besides`, was the same."""
        asked: tuple[str, ...] | None = None
        here: tuple[object, ...] = ()
        known = self._known
        for k in range(0, len(known), 3):
            if known[k] is not asked:
                asked = known[k]
                here = (*besides, *[getattr(now, name) for name in known[k]])
            if here == known[k + 1]:
                came: Came = known[k + 2]
                return came
        return None

    def keep(self, came: Came, asked: Collection[str], before: Circumstances, *besides: object) -> bool:
        """Keep what came of it where these were `asked` of the circumstances `before`, if there is room."""
        if len(self) == MOST_CIRCUMSTANCES:
            return False
        known: list[Any] = [self._known[k : k + 3] for k in range(0, len(self._known), 3)]
        came = next((other for _, _, other in known if other == came), came)  # one of equal ones
        names = _in_order(frozenset(asked))
        there = one((*besides, *[getattr(before, name) for name in names]))
        together = sorted((*known, (names, there, came)), key=lambda of_one: of_one[0])
        self._known = tuple(chain.from_iterable(together))
        return True


@cache
def _in_order(names: frozenset[str]) -> tuple[str, ...]:
    """The names as a tuple, the same one each time."""
    return tuple(sorted(names))
