"""What was made of texts, kept for those that came last, within so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Lately(Generic[Made]):
    """Makes something of a text, or gives what was made of it before; those asked for longest ago make room.

    Args:
        make: what to make of a text.
        cost: about how many bytes what was made takes, as it is now.
        most: bytes of all together.
    """

    def __init__(self, make: Callable[[str], Made], cost: Callable[[Made], int], most: int) -> None:
        self._make, self._cost, self._most = make, cost, most
        self._kept: OrderedDict[str, Made] = OrderedDict()
        self.size = 0

    def __call__(self, text: str) -> Made:
        """What is made of the text."""
        found = self._kept.get(text)
        if found is not None:
            self._kept.move_to_end(text)
            return found
        made = self._kept[text] = self._make(text)
        self._count(self._cost(made))
        return made

    def __len__(self) -> int:
        return len(self._kept)

    def grew(self, text: str, made: Made, by: int) -> None:
        """Note that what was made of a text takes so many bytes more, if it is still kept."""
        if self._kept.get(text) is made:
            self._count(by)

    def _count(self, more: int) -> None:
        self.size += more
        while self.size > self._most:
            self.size -= self._cost(self._kept.popitem(last=False)[1])
