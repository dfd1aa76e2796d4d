"""How far each partition of `squall.messages` has come, and which of them may be waited for no longer.

The monitor closes no bin before every partition has passed it. A partition on which nothing waits and nothing has
come for a while is declared idle, so that it holds nobody up; in a live feed its time then goes on with the clock. A
partition inside a historical feed (`FeedMark`) is not idle before the feed says that it has ended.

Companies on a watch list, whose messages are taken ahead while others wait, have a clock of their own (`AheadClock`).

Pure: the clock, and what waits on Kafka, are arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from streams.records import AheadProgress, FeedMark, Progress

LIVE_WITHIN = timedelta(minutes=10)
"""A message that arrived this soon after it was published is of a live feed."""
ABANDONED_AFTER = 12
"""A feed that has not been heard of for this many idle times is taken to have died without an end."""


@dataclass(slots=True)
class _Partition:
    high: datetime | None = None
    """Highest event time seen or promised."""
    told: datetime | None = None
    """Highest event time that the monitors were told."""
    idle: bool = False
    inherited: bool = False
    """Another process watched it before, and may have told the monitors that it is idle."""
    quiet_since_s: float | None = None
    live: bool = False
    feeds: dict[str, None] | None = None
    """Historical feeds that have begun here and not ended."""
    ended: bool = False
    """The last thing heard was that a historical feed has ended, and no other goes on."""


_snapshots = msgspec.json.Decoder(dict[int, _Partition])


class FeedClock:
    """Watches the message partitions that this process reads.

    Args:
        partitions: how many partitions `squall.messages` has.
        idle_after_s: silence after which a partition that is read to its end is idle.
        lateness_s: the monitor's allowed lateness, for which nobody need wait once a historical feed has ended. It is
            let go of and no more: the minute in which the feed ended stays open, as its continuation may begin in it.
    """

    def __init__(self, *, partitions: int, idle_after_s: float, lateness_s: float = 0.0) -> None:
        self._count = partitions
        self._idle_after_s = idle_after_s
        self._lateness = timedelta(seconds=lateness_s)
        self._partitions: dict[int, _Partition] = {}

    def assign(self, partitions: set[int], *, inherited: bool = False) -> None:
        """Take note of which partitions are this process's to watch now.

        Args:
            partitions: their numbers.
            inherited: others may have watched the new ones before. Whether these count as idle is then not known, and
                the monitors are told that they are not before anything of them, or past them, is delivered.
        """
        known = self._partitions
        self._partitions = {p: known.get(p) or _Partition(inherited=inherited) for p in sorted(partitions)}

    def snapshot(self) -> bytes:
        """Return all that it knows of its partitions, as JSON for `restore`."""
        return msgspec.json.encode(self._partitions)

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot. Raises msgspec.MsgspecError for bytes that are none."""
        self._partitions = _snapshots.decode(snapshot)

    @property
    def has_idle(self) -> bool:
        """Whether any partition is idle, or may count as idle with the monitors."""
        return any(partition.idle or partition.inherited for partition in self._partitions.values())

    def wake(self, waiting: set[int]) -> list[Progress]:
        """Before a batch is delivered: the idle partitions on which something waits are idle no more.

        Args:
            waiting: partitions that are in the batch, or hold records that have not been read.
        """
        woken = []
        for number in sorted(waiting & self._partitions.keys()):
            partition = self._partitions[number]
            partition.quiet_since_s = None
            if partition.idle or partition.inherited:
                partition.idle = partition.inherited = False
                woken.append(self._progress(number, partition))
        return woken

    def seen(self, partition: int, published_at: datetime, received_at: datetime) -> None:
        """Take one message into account."""
        state = self._partitions.setdefault(partition, _Partition())
        state.quiet_since_s = None
        # History that is played with its own times has arrived on time too, and its clock is not the wall's.
        state.live = state.feeds is None and received_at - published_at <= LIVE_WITHIN
        state.ended = False
        self._advance(state, published_at)

    def marked(self, partition: int, mark: FeedMark) -> None:
        """Take one feed mark into account."""
        state = self._partitions.setdefault(partition, _Partition())
        state.quiet_since_s = None
        state.live = False
        feeds = state.feeds if state.feeds is not None else {}
        if mark.done:
            feeds.pop(mark.feed, None)
        else:
            feeds[mark.feed] = None
        state.feeds = feeds or None
        state.ended = mark.done and state.feeds is None
        if mark.event_time is not None:
            self._advance(state, mark.event_time.astimezone(UTC))

    def advanced(self) -> list[Progress]:
        """After a batch was delivered: what the monitors do not know yet, at most one record per minute of event time.

        A bin is a minute, so finer steps would close nothing.
        """
        news = []
        for number, partition in self._partitions.items():
            if partition.high is None or partition.idle:
                continue
            if _minute(partition.high) != _minute(partition.told):
                news.append(self._progress(number, partition))
        return news

    def tick(self, now: datetime, now_s: float, waiting: set[int]) -> list[Progress]:
        """Once in a while: declare partitions idle, and let the time of idle live ones go on.

        Args:
            now: the wall clock, UTC.
            now_s: a clock that only goes forward, seconds.
            waiting: partitions that hold records which are not done.
        """
        news = self.wake(waiting)
        for number, partition in self._partitions.items():
            if number in waiting:
                continue
            if partition.quiet_since_s is None:
                partition.quiet_since_s = now_s
            quiet_s = now_s - partition.quiet_since_s
            if quiet_s >= ABANDONED_AFTER * self._idle_after_s:
                partition.feeds = None  # a feed that still lives will speak again
            if partition.feeds is not None or quiet_s < self._idle_after_s:
                continue
            was_idle, partition.idle = partition.idle, True
            partition.inherited = False  # it is told below, as it was not idle here
            if partition.live:
                self._advance(partition, now)
            elif partition.ended and partition.high is not None:
                partition.ended = False
                self._advance(partition, partition.high + self._lateness)
            if not was_idle or (partition.high is not None and _minute(partition.high) != _minute(partition.told)):
                news.append(self._progress(number, partition))
        return news

    @staticmethod
    def _advance(partition: _Partition, time: datetime) -> None:
        if partition.high is None or time > partition.high:
            partition.high = time

    def _progress(self, number: int, partition: _Partition) -> Progress:
        partition.told = partition.high
        return Progress(partition=number, partitions=self._count, event_time=partition.high, idle=partition.idle)


class AheadClock:
    """Remembers how far each partition was read ahead of its turn, and what of it the monitors were told."""

    def __init__(self) -> None:
        self._high: dict[int, datetime] = {}
        self._told: dict[int, datetime] = {}

    def read(self, ahead_to: Mapping[int, datetime]) -> None:
        """Take what was read into account, when what it holds of watched companies is delivered.

        Args:
            ahead_to: by partition, the highest event time.
        """
        for partition, at in ahead_to.items():
            self._high[partition] = max(at, self._high.get(partition, at))

    def news(self, held: Collection[int]) -> list[AheadProgress]:
        """Return what the monitors do not know yet, at most one record per partition and minute of event time.

        Args:
            held: partitions of which a message about a watched company is under way in its turn: what is told of
                them waits until it is delivered, or it would come late.
        """
        news = []
        for partition, at in sorted(self._high.items()):
            if partition not in held and _minute(at) != _minute(self._told.get(partition)):
                self._told[partition] = at
                news.append(AheadProgress(partition=partition, event_time=at))
        return news

    def keep(self, partitions: Collection[int]) -> None:
        """Forget other partitions: they are another process's now."""
        self._high = {number: at for number, at in self._high.items() if number in partitions}
        self._told = {number: at for number, at in self._told.items() if number in partitions}


def _minute(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(second=0, microsecond=0)
