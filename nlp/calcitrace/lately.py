"""What was made of texts, kept within so many bytes: that of texts that came again longer than that of others."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

AGAIN = 0.8  # of all bytes


class _OfText(Protocol):
    @property
    def text(self) -> str: ...


Made = TypeVar("Made", bound=_OfText)


class Lately(Generic[Made]):
    """Makes something of a text, or gives what was made of it before.

    Texts that were asked for again have most of the room and make way for each other; those asked for once make room
    first (segmented LRU: Karedla, Love and Wherry 1994, Computer 27(3):38). A third of the sentences of an archive
    come once.

    Args:
        make: what to make of a text, which it keeps as `text`.
        cost: about how many bytes what was made takes, as it is now.
        most: bytes of all together.
    """

    def __init__(self, make: Callable[[str], Made], cost: Callable[[Made], int], most: int) -> None:
        self._make, self._cost, self._most = make, cost, most
        self._once, self._again = OrderedDict[str, Made](), OrderedDict[str, Made]()
        self.size = self._of_again = 0

    def __call__(self, text: str) -> Made:
        """What is made of the text."""
        found = self._again.get(text)
        if found is not None:
            self._again.move_to_end(text)
            return found
        found = self._once.pop(text, None)
        if found is not None:
            self._asked_again(found)
            return found
        made = self._once[text] = self._make(text)
        self._count(self._cost(made))
        return made

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def grew(self, made: Made, by: int) -> None:
        """Note that what was made takes so many bytes more, if it is still kept."""
        if self._again.get(made.text) is made:
            self._of_again += by
            self._count(by)
        elif self._once.get(made.text) is made:
            self._count(by)

    def _asked_again(self, made: Made) -> None:
        self._again[made.text] = made
        self._of_again += self._cost(made)
        while self._of_again > AGAIN * self._most:
            text, last = self._again.popitem(last=False)
            self._of_again -= self._cost(last)
            self._once[text] = last

    def _count(self, more: int) -> None:
        self.size += more
        while self.size > self._most:
            if self._once:
                gone = self._once.popitem(last=False)[1]
            else:
                gone = self._again.popitem(last=False)[1]
                self._of_again -= self._cost(gone)
            self.size -= self._cost(gone)
