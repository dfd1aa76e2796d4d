"""Messages to Kafka, as fast as it takes them or at the pace at which they were published."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from types import TracebackType
from typing import Any

from kafka.errors import KafkaError

from streams.errors import BrokerError, InputError
from streams.ingest.marks import FeedMarker
from streams.ingest.pace import Pace
from streams.ingest.producer import DELIVERY_TIMEOUT_S, Delivery, Producer, epoch_ms, kafka_producer
from streams.records import FEED_MARK_KEY, Message, encode

__all__ = ["MAX_IN_FLIGHT", "Delivery", "Producer", "PublishReport", "Publisher", "check", "kafka_producer"]

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 10_000
"""Messages sent and not yet acknowledged. kafka-python 3 bounds neither their number nor their bytes."""

_PROGRESS_EVERY = 200
_LATEST_AFTER_NOW = timedelta(days=1)
LONGEST_WAIT_S = 1.0
"""A long wait is cut up into waits of this, so that whoever watches sees the time go by."""
_SPEAK_EVERY_S = 2.0
"""Where records have their own times: below any sensible `worker.idle_after_s`, as a worker that starts in the middle
cannot tell such a feed from a live one before it has seen a mark."""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What came of a run.

    Args:
        read: messages that were read and are good.
        sent: those that Kafka has acknowledged.
        bad: rows that were no messages.
        backwards: messages older than the one before.
        first: least `published_at`; None if there was no message.
        last: greatest `published_at`.
        seconds: how long it took.
    """

    read: int
    sent: int
    bad: int
    backwards: int
    first: datetime | None
    last: datetime | None
    seconds: float


class Publisher:
    """Sends messages to one topic, keyed by source, and makes sure that each arrived.

    Use it as a context manager, or call `close`.

    Args:
        options: kafka-python client options; ignored with a producer of one's own.
        topic: where to, usually `squall.messages`.
        producer: instead of one made of `options`.
        clock: seconds that only go forward.
        sleep: waits for so many seconds.
        max_in_flight: messages sent and not yet acknowledged.
        own_times: records carry the event time of their messages to Kafka instead of the time of sending. The topic
            must let them (`message.timestamp.type=CreateTime`) and must not delete them for it.

    Raises:
        BrokerError: Kafka cannot be reached.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        topic: str,
        producer: Producer | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        max_in_flight: int = MAX_IN_FLIGHT,
        own_times: bool = False,
    ) -> None:
        if max_in_flight < 1:
            msg = f"max_in_flight must be at least 1, it is {max_in_flight}"
            raise ValueError(msg)
        self._producer = kafka_producer(options) if producer is None else producer
        self._topic = topic
        self._clock = clock
        self._sleep = sleep
        self._max_in_flight = max_in_flight
        self._own_times = own_times
        self._marked_s = clock()
        self._waiting: deque[tuple[Message | None, Delivery]] = deque()
        self._acknowledged = 0

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the producer; what is not acknowledged after ten seconds is given up."""
        try:
            self._producer.close(timeout=10.0)
        except KafkaError as error:
            # Everything that was reported as sent is acknowledged already, so there is nothing left to lose.
            log.warning("the producer did not close cleanly: %s", error)

    def publish(
        self,
        messages: Iterable[Message | InputError],
        *,
        speed: float | None = None,
        paced_from: datetime | None = None,
        on_progress: Callable[[int, datetime], None] | None = None,
        on_bad: Callable[[InputError], None] | None = None,
    ) -> PublishReport:
        """Send all messages and wait until Kafka has them.

        Feed marks go along on every partition, so that no worker takes a partition on which nothing has come yet for
        one on which nothing will come.

        Messages need not be in order of time; one that is older than the message before is sent without waiting, is
        counted, and the first one is warned of.

        Args:
            messages: messages, and in the place of a bad row its error.
            speed: 1.0 is the pace at which they were published, 60.0 an hour a minute; None as fast as possible.
            paced_from: what was published before is sent as fast as possible.
            on_progress: told from time to time how many were handed over, and the event time reached.
            on_bad: told each error; without it the first one is raised.

        Raises:
            BrokerError: a message was not delivered. Those before it were or may be; sending the whole again is
                safe, since repeats count once.
            InputError: the reading broke off, such as at the end of a cut file; it says how many were sent before.
            ValueError: a speed that is not greater than 0.
        """
        if speed is not None and not speed > 0:
            msg = f"speed must be greater than 0, it is {speed:g}"
            raise ValueError(msg)
        started = self._clock()
        acknowledged_before = self._acknowledged
        pace = Pace(speed, started)
        tally = _Tally(on_bad)
        marker = FeedMarker()
        latest = datetime.now(UTC) + _LATEST_AFTER_NOW
        longest_s = LONGEST_WAIT_S if self._own_times else float("inf")
        good = self._until_broken_off(tally.good(messages), acknowledged_before)
        first = list(islice(good, 1)) if self._own_times else []
        self._mark(marker.begin(), first[0].published_at if first else None)
        self._finish()  # no message may be there before every partition knows that some are to come
        try:
            for message in chain(first, good):
                waited = False
                if paced_from is None or message.published_at >= paced_from:
                    for now in pace.waits(message.published_at, self._clock, self._sleep, longest_s=longest_s):
                        waited = True
                        if on_progress is not None:
                            on_progress(tally.count - 1, now)
                        self._speak(marker, now)
                self._send(message)
                # A time that a worker will refuse says nothing of how far the feed has come.
                due = marker.passed(message.published_at) if message.published_at <= latest else None
                if due is not None:
                    self._mark(due, message.published_at)
                elif message.published_at <= latest:
                    self._speak(marker, message.published_at)
                if on_progress is not None and (tally.count % _PROGRESS_EVERY == 0 or waited):
                    on_progress(tally.count, message.published_at)
        except KeyboardInterrupt:
            self._mark(marker.end(), marker.reached)  # whoever reads it need not wait for more
            self._finish()
            raise
        self._mark(marker.end(), marker.reached)
        self._finish()
        if on_progress is not None and tally.last is not None:
            on_progress(tally.count, tally.last)
        return tally.report(sent=self._acknowledged - acknowledged_before, seconds=self._clock() - started)

    def _speak(self, marker: FeedMarker, reached: datetime) -> None:
        """Send a mark if there was none for a while."""
        if self._own_times and self._clock() - self._marked_s >= _SPEAK_EVERY_S:
            self._mark(marker.waiting(reached), reached)

    def _until_broken_off(self, messages: Iterator[Message], acknowledged_before: int) -> Iterator[Message]:
        """Pass messages on; where the reading breaks off, see those before it delivered and say how many they are."""
        try:
            yield from messages
        except InputError as error:
            self._finish()
            sent = self._acknowledged - acknowledged_before
            if not sent:
                raise
            were = "1 message was" if sent == 1 else f"{sent:,} messages were"
            raise InputError(f"{error}. {were} sent before that; publishing again is safe") from error

    def _send(self, message: Message) -> None:
        # What is done is looked at soon, so that a failure shows at the next message, not 10,000 later.
        while self._waiting and (self._waiting[0][1].is_done or len(self._waiting) >= self._max_in_flight):
            self._await_oldest()
        try:
            delivery = self._producer.send(
                self._topic,
                value=encode(message),
                key=message.source.encode(),
                timestamp_ms=self._timestamp_ms(message.published_at),
            )
        except KafkaError as error:
            raise self._not_delivered(message, error) from error
        self._waiting.append((message, delivery))

    def _timestamp_ms(self, at: datetime | None) -> int | None:
        if at is None or not self._own_times:
            return None
        return epoch_ms(min(at, datetime.now(UTC)))  # Kafka refuses records of the future

    def _mark(self, mark: bytes, at: datetime | None) -> None:
        self._marked_s = self._clock()
        stamp = self._timestamp_ms(at)
        try:
            partitions = self._producer.partitions_for(self._topic)
            for partition in sorted(partitions):
                delivery = self._producer.send(
                    self._topic, value=mark, key=FEED_MARK_KEY, partition=partition, timestamp_ms=stamp
                )
                self._waiting.append((None, delivery))
        except KafkaError as error:
            raise self._not_delivered(None, error) from error

    def _finish(self) -> None:
        try:
            self._producer.flush(timeout=DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            if not self._waiting:
                raise BrokerError(f"{self._topic}: {error}") from error
            raise self._not_delivered(self._waiting[0][0], error) from error
        while self._waiting:
            self._await_oldest()

    def _await_oldest(self) -> None:
        message, delivery = self._waiting.popleft()
        try:
            delivery.get(timeout=DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            raise self._not_delivered(message, error) from error
        self._acknowledged += message is not None

    def _not_delivered(self, message: Message | None, error: KafkaError) -> BrokerError:
        what = "a feed mark" if message is None else f"message {message.id!r} of {message.source!r}"
        return BrokerError(
            f"{self._topic}: {what} was not delivered: {str(error).rstrip('.')}. "
            f"{self._acknowledged} before it were; publishing all of them again is safe. If the topic is missing: "
            "`squall topics create`"
        )


def check(
    messages: Iterable[Message | InputError],
    *,
    on_progress: Callable[[int, datetime], None] | None = None,
    on_bad: Callable[[InputError], None] | None = None,
) -> PublishReport:
    """Go through messages as `Publisher.publish` does, and send nothing; `sent` is then 0.

    Raises:
        InputError: the first bad row, without `on_bad`.
    """
    tally = _Tally(on_bad)
    for message in tally.good(messages):
        if on_progress is not None and tally.count % _PROGRESS_EVERY == 0:
            on_progress(tally.count, message.published_at)
    if on_progress is not None and tally.last is not None:
        on_progress(tally.count, tally.last)
    return tally.report(sent=0, seconds=0.0)


class _Tally:
    """Counts what goes by, and takes the errors out."""

    def __init__(self, on_bad: Callable[[InputError], None] | None) -> None:
        self._on_bad = on_bad
        self.count = 0
        self.bad = 0
        self.backwards = 0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def good(self, messages: Iterable[Message | InputError]) -> Iterator[Message]:
        """The messages, each counted."""
        before: Message | None = None
        for item in messages:
            if isinstance(item, InputError):
                self.bad += 1
                if self._on_bad is None:
                    raise item
                self._on_bad(item)
                continue
            if before is not None and item.published_at < before.published_at:
                self._step_back(before, item)
            before = item
            self.count += 1
            self.first = item.published_at if self.first is None else min(self.first, item.published_at)
            self.last = item.published_at if self.last is None else max(self.last, item.published_at)
            yield item

    def _step_back(self, before: Message, message: Message) -> None:
        self.backwards += 1
        if self.backwards == 1:
            log.warning(
                "times go backwards: message %s of %s is from %s and comes after one from %s",
                message.id,
                message.source,
                message.published_at.isoformat(),
                before.published_at.isoformat(),
            )

    def report(self, *, sent: int, seconds: float) -> PublishReport:
        """What was counted."""
        return PublishReport(
            read=self.count,
            sent=sent,
            bad=self.bad,
            backwards=self.backwards,
            first=self.first,
            last=self.last,
            seconds=seconds,
        )
