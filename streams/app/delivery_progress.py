"""How far the delivery of one partition has come, in the words of a commit: an offset, and what lies beyond it. Pure.

Lanes finish in any order, so what is done is not all before one offset. The offset says how far everything is done; the
text beside it, which Kafka keeps with every commit, says which of the next records are not. A process that takes over
then tells nobody twice what was told and committed, also if one alert has been stuck for hours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_VERSION = "1"
_MOST_CHARS = 3_500
"""Kafka takes 4,096 bytes."""


class Progress:
    """Which offsets of one partition are done."""

    def __init__(self) -> None:
        self._open: dict[int, None] = {}  # in the order of the partition
        self._next = 0

    def goes_back_at(self, offset: int) -> bool:
        """Whether a record lies before what was read already: the partition has begun anew."""
        return offset < self._next

    def take(self, offset: int) -> None:
        """A record was read."""
        self._open[offset] = None
        self._next = offset + 1

    def settle(self, offset: int) -> None:
        """A record is done."""
        self._open.pop(offset, None)

    @property
    def position(self) -> int:
        """The first offset that is not done."""
        return next(iter(self._open), self._next)

    @property
    def commit(self) -> tuple[int, str]:
        """What is committed: the position, and what is known beyond it; see `Beyond`."""
        position = self.position
        if not self._open:
            return position, ""
        steps: list[str] = []
        length, upto, last = 0, self._next, position
        for offset in self._open:
            step = f"{offset - last:x}"
            length += len(step) + 1
            if length > _MOST_CHARS:
                upto = offset
                break
            steps.append(step)
            last = offset
        return position, f"{_VERSION};{upto - position:x};{','.join(steps)}"


@dataclass(frozen=True, slots=True)
class Beyond:
    """What an earlier process has done beyond the offset that it committed."""

    position: int = 0
    """The offset that was committed. What comes before it was done, or is of a partition that has begun anew since."""
    upto: int = 0
    """Offsets from here on were not read by it."""
    left: frozenset[int] = field(default_factory=frozenset)
    """Offsets before `upto` that it had read, but not done."""

    @classmethod
    def read(cls, position: int, metadata: str) -> Beyond:
        """Read the text of a commit; what is none of ours says nothing.

        Args:
            position: the offset that was committed.
            metadata: the text beside it.
        """
        version, _, rest = metadata.partition(";")
        if version != _VERSION:
            return cls(position)
        length, _, steps = rest.partition(";")
        try:
            upto, at, left = position + int(length, 16), position, set()
            for step in steps.split(","):
                at += int(step, 16)
                left.add(at)
        except ValueError:
            return cls(position)
        return cls(position, upto, frozenset(left))

    def is_done(self, offset: int) -> bool:
        """Whether a record at or after the committed offset was done all the same."""
        return self.position <= offset < self.upto and offset not in self.left
