"""Which messages are under way, and which were taken before their turn: so that each is scored once. Pure.

Messages are prepared in the order of their partitions, in turn. Under overload some are taken ahead of it, from further
on in the partition; when their turn comes, nothing is left to do for them.
"""

from __future__ import annotations

from collections.abc import Collection


class Turns:
    """What was taken, in turn and ahead of it."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._ahead: dict[int, set[int]] = {}
        self._under_way: dict[str, tuple[int, int]] = {}
        self._watched: dict[str, int] = {}

    @property
    def next_offsets(self) -> dict[int, int]:
        """By partition, the offset whose turn is next; partitions of which nothing was read are not in it."""
        return dict(self._next)

    @property
    def ahead(self) -> int:
        """Messages that were taken ahead and whose turn has not come."""
        return sum(len(offsets) for offsets in self._ahead.values())

    def in_turn(self, partition: int, offset: int) -> bool:
        """Note that a record's turn has come, and return whether it was taken ahead of it."""
        self._next[partition] = offset + 1
        taken = self._ahead.get(partition)
        if taken is None or offset not in taken:
            return False
        taken.discard(offset)
        return True

    def is_to_come(self, partition: int, offset: int) -> bool:
        """Whether a record's turn has not come yet, and it was not taken ahead of it."""
        following = self._next.get(partition)
        return following is not None and offset >= following and offset not in self._ahead.get(partition, ())

    def take_ahead(self, partition: int, offset: int) -> None:
        """Take a record before its turn."""
        self._ahead.setdefault(partition, set()).add(offset)

    def keep(self, partitions: Collection[int]) -> None:
        """Forget where other partitions stand: they are another process's now."""
        self._next = {number: offset for number, offset in self._next.items() if number in partitions}
        self._ahead = {number: offsets for number, offsets in self._ahead.items() if number in partitions}

    def begin(self, message_id: str, partition: int, offset: int, *, watched: bool = False) -> None:
        """Note that a message is under way: prepared, and what follows from it not delivered yet.

        Args:
            message_id: of the message.
            partition: where it stands.
            offset: where it stands.
            watched: it speaks of a company on a watch list.
        """
        self._under_way[message_id] = (partition, offset)
        if watched:
            self._watched[message_id] = partition

    def watched_under_way(self) -> set[int]:
        """Return the partitions of which a message about a watched company is under way."""
        return set(self._watched.values())

    def is_under_way(self, message_id: str, partition: int, offset: int) -> bool:
        """Whether a message is under way from another place than this one.

        The same place is read again when a batch was not delivered, and then the message is no repeat.
        """
        return self._under_way.get(message_id, (partition, offset)) != (partition, offset)

    def is_open(self, message_id: str) -> bool:
        """Whether a message is under way, from whichever place."""
        return message_id in self._under_way

    def end(self, message_id: str) -> None:
        """Note that a message is under way no more."""
        self._under_way.pop(message_id, None)
        self._watched.pop(message_id, None)
