"""A bounded memory of message ids, so that a message that comes twice is scored once.

It only saves work. What makes repeats harmless is the monitor, which counts a message id once per company whatever
this memory has forgotten; and so it may be one per process, lost at a restart, and limited.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from hashlib import blake2b


class SeenMessages:
    """Message ids of the last `horizon` of event time, at most `max_entries` of them.

    An id is remembered by its 16-byte hash, about 250 bytes of memory in all. The hash is a cryptographic one, so
    that no publisher can make up an id that hides another's message.

    Args:
        horizon: how long an id is remembered, in event time behind the newest message remembered.
        max_entries: beyond this, what was remembered first is forgotten first.

    Raises:
        ValueError: if the horizon is negative or there is room for no entry.
    """

    def __init__(self, horizon: timedelta = timedelta(days=1), max_entries: int = 1_000_000) -> None:
        if horizon < timedelta(0):
            msg = f"horizon must not be negative, it is {horizon}"
            raise ValueError(msg)
        if max_entries < 1:
            msg = f"max_entries must be at least 1, it is {max_entries}"
            raise ValueError(msg)
        self._horizon_s = horizon.total_seconds()
        self._max_entries = max_entries
        # Not a dict: taking the first entry of one walks over every entry deleted before it.
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._newest = float("-inf")

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, message_id: str) -> bool:
        seen_at = self._seen.get(_digest(message_id))
        return seen_at is not None and seen_at >= self._newest - self._horizon_s

    def remember(self, message_id: str, event_time: datetime) -> None:
        """Remember that a message is done.

        Call it when what follows from the message is delivered, not before: a batch that fails is read again by the
        same process, and must not find itself remembered.

        Args:
            message_id: unique over all sources (`streams.ingest.decode.message_id`).
            event_time: the message's `published_at`, with an offset.
        """
        time = event_time.timestamp()
        self._newest = max(self._newest, time)
        key = _digest(message_id)
        time = max(time, self._seen.pop(key, time))
        self._seen[key] = time
        self._forget()

    def _forget(self) -> None:
        # In order of remembering, which is event time but for some disorder: an entry that outlives its time behind
        # a younger one is no longer found (`__contains__`), and goes when that one goes.
        oldest = self._newest - self._horizon_s
        while self._seen:
            first = next(iter(self._seen))
            if len(self._seen) <= self._max_entries and self._seen[first] >= oldest:
                return
            del self._seen[first]


def _digest(message_id: str) -> bytes:
    return blake2b(message_id.encode(errors="surrogatepass"), digest_size=16).digest()
