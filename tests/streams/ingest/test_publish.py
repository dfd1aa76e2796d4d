"""Messages go to Kafka at the pace asked for, and what was not delivered is told."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from kafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.errors import BrokerError, InputError
from streams.ingest.publish import Publisher, check
from streams.records import FEED_MARK_KEY, FeedMark, Message, decode_feed_mark, decode_message

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


class Ack:
    """A delivery in the hands of the test."""

    def __init__(self, error: Exception | None = None, *, done: bool = True) -> None:
        self.error = error
        self.is_done = done
        self.waited = False

    def get(self, timeout: float | None = None) -> object:
        self.waited = True
        if self.error is not None:
            raise self.error
        return None


class MemoryProducer:
    """Keeps what it is sent in a list; the double of KafkaProducer."""

    def __init__(self, *, fail_at: int | None = None, error: Exception | None = None, done: bool = True) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []
        self.marks: list[tuple[int, int, FeedMark]] = []
        """After how many messages, on which partition, which mark."""
        self.stamps: list[int | None] = []
        """Kafka's time of each record, marks included; None is the time of sending."""
        self.acks: list[Ack] = []
        self.most_unawaited = 0
        self.flushed = self.closed = False
        self._fail_at = fail_at
        self._error = error
        self._done = done

    def partitions_for(self, topic: str) -> set[int]:
        return {0, 1}

    def send(
        self, topic: str, value: bytes, key: bytes | None, partition: int | None = None, timestamp_ms: int | None = None
    ) -> Ack:
        self.stamps.append(timestamp_ms)
        assert key is not None
        if partition is not None:
            assert key == FEED_MARK_KEY
            self.marks.append((len(self.sent), partition, decode_feed_mark(value)))
            return Ack()
        self.sent.append((topic, value, key))
        self.acks.append(Ack(self._error if len(self.sent) == self._fail_at else None, done=self._done))
        self.most_unawaited = max(self.most_unawaited, sum(not ack.waited for ack in self.acks))
        return self.acks[-1]

    def flush(self, timeout: float | None = None) -> None:
        self.flushed = True

    def close(self, timeout: float | None = None) -> None:
        self.closed = True


class Clock:
    """A clock that moves only when someone sleeps by it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def messages(*offsets_s: float) -> Iterator[Message]:
    for number, offset_s in enumerate(offsets_s):
        at = START + timedelta(seconds=offset_s)
        yield Message(id=str(number), source="wire", published_at=at, text=f"Acme {number}")


def publisher(producer: MemoryProducer, clock: Clock | None = None, max_in_flight: int = 100) -> Publisher:
    clock = clock or Clock()
    return Publisher(
        {}, topic="squall.messages", producer=producer, clock=clock, sleep=clock.sleep, max_in_flight=max_in_flight
    )


def test_every_partition_learns_of_the_feed_before_its_first_message_and_after_its_last() -> None:
    producer = MemoryProducer()
    publisher(producer).publish(messages(*range(501)))
    assert [(after, partition) for after, partition, _ in producer.marks] == [
        (0, 0), (0, 1), (500, 0), (500, 1), (501, 0), (501, 1)
    ]  # fmt: skip
    first, middle, last = (producer.marks[at][2] for at in (0, 2, 4))
    assert (first.event_time, first.done) == (None, False)
    assert (middle.event_time, middle.done) == (START + timedelta(seconds=499), False)
    assert (last.event_time, last.done) == (START + timedelta(seconds=500), True)
    assert len({mark.feed for _, _, mark in producer.marks}) == 1


def test_a_time_of_the_far_future_says_nothing_of_how_far_the_feed_has_come() -> None:
    producer = MemoryProducer()
    century = timedelta(days=36_500).total_seconds()
    publisher(producer).publish(messages(0, century, 60))
    assert producer.marks[-1][2].event_time == START + timedelta(seconds=60)


def test_every_message_is_sent_in_order_keyed_by_its_source() -> None:
    producer = MemoryProducer()
    with publisher(producer) as sender:
        report = sender.publish(messages(0, 60, 3_600))
    assert [topic for topic, _, _ in producer.sent] == ["squall.messages"] * 3
    assert [decode_message(value).id for _, value, _ in producer.sent] == ["0", "1", "2"]
    assert {key for _, _, key in producer.sent} == {b"wire"}
    assert (report.read, report.sent, report.bad, report.backwards) == (3, 3, 0, 0)
    assert (report.first, report.last) == (START, START + timedelta(hours=1))
    assert producer.flushed
    assert producer.closed


def own_times(producer: MemoryProducer, clock: Clock) -> Publisher:
    return Publisher(
        {}, topic="replay.messages", producer=producer, clock=clock, sleep=clock.sleep, own_times=True
    )  # fmt: skip


def test_records_carry_the_time_of_sending_unless_they_are_to_have_their_own() -> None:
    producer = MemoryProducer()
    publisher(producer).publish(messages(0, 60))
    assert set(producer.stamps) == {None}
    producer, first_ms = MemoryProducer(), round(START.timestamp() * 1_000)
    own_times(producer, Clock()).publish(messages(0, 60))
    # Two marks before, one message and then the other, two marks after: no mark has another time than its feed.
    assert producer.stamps == [first_ms] * 3 + [first_ms + 60_000] * 3


def test_while_it_waits_a_feed_with_its_own_times_says_that_it_lives_and_how_late_it_is() -> None:
    producer, clock = MemoryProducer(), Clock()
    own_times(producer, clock).publish(messages(0, 3_600), speed=60.0)
    assert clock.now == pytest.approx(1_060)
    assert max(clock.slept) == 1.0
    waiting = [mark.event_time for after, partition, mark in producer.marks if after == 1 and partition == 0]
    assert len(waiting) == 29
    assert all(time == START + timedelta(minutes=2 * n) for n, time in enumerate(waiting, 1))


def test_what_comes_before_the_range_is_not_waited_for() -> None:
    clock = Clock()
    report = own_times(MemoryProducer(), clock).publish(
        messages(0, 86_400, 90_000, 90_002), speed=1.0, paced_from=START + timedelta(seconds=90_000)
    )
    assert report.sent == 4
    assert clock.now == pytest.approx(1_002)


def test_a_feed_that_is_stopped_has_ended() -> None:
    producer, clock = MemoryProducer(), Clock()

    def stopped(seconds: float) -> None:
        raise KeyboardInterrupt

    sender = Publisher({}, topic="replay.messages", producer=producer, clock=clock, sleep=stopped, own_times=True)
    with pytest.raises(KeyboardInterrupt):
        sender.publish(messages(0, 60), speed=1.0)
    assert len(producer.sent) == 1
    assert [(after, mark.done) for after, _, mark in producer.marks[-2:]] == [(1, True), (1, True)]
    assert producer.flushed
    assert set(producer.stamps) == {round(START.timestamp() * 1_000)}  # not that of the message that was waited for


def test_as_fast_as_possible_never_waits() -> None:
    clock = Clock()
    report = publisher(MemoryProducer(), clock).publish(messages(0, 60, 3_600))
    assert clock.slept == []
    assert report.seconds == 0


@pytest.mark.parametrize(("speed", "slept"), [(1.0, [60, 240]), (60.0, [1, 4]), (0.5, [120, 480])])
def test_the_original_pace_is_kept_or_multiplied(speed: float, slept: list[float]) -> None:
    clock = Clock()
    report = publisher(MemoryProducer(), clock).publish(messages(0, 60, 60, 300), speed=speed)
    assert clock.slept == pytest.approx(slept)
    assert report.seconds == pytest.approx(300 / speed)


def test_time_lost_in_sending_is_made_up_for() -> None:
    clock = Clock()

    def slow() -> Iterator[Message]:
        for message in messages(0, 10, 20):
            clock.now += 4
            yield message

    publisher(MemoryProducer(), clock).publish(slow(), speed=1.0)
    assert clock.slept == [6, 6]


def test_times_that_go_backwards_are_sent_at_once_counted_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    with caplog.at_level(logging.WARNING):
        report = publisher(MemoryProducer(), clock).publish(messages(0, 60, 30, 90, 10), speed=1.0)
    assert clock.slept == [60, 30]
    assert (report.sent, report.backwards) == (5, 2)
    assert (report.first, report.last) == (START, START + timedelta(seconds=90))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["times go backwards"]


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be greater than 0"):
        publisher(MemoryProducer()).publish(messages(0), speed=speed)


def test_a_bad_row_is_told_and_the_others_are_sent() -> None:
    bad = InputError("line 3: no text")
    told: list[InputError] = []
    producer = MemoryProducer()
    report = publisher(producer).publish([*messages(0), bad, *messages(5)], on_bad=told.append)
    assert told == [bad]
    assert (report.sent, report.bad) == (2, 1)


def test_without_anyone_to_tell_a_bad_row_ends_the_run() -> None:
    with pytest.raises(InputError, match="line 3"):
        publisher(MemoryProducer()).publish([InputError("line 3: no text")])


@pytest.mark.parametrize(("count", "words"), [(1, "1 message was sent"), (2, "2 messages were sent")])
def test_a_reading_that_breaks_off_says_how_many_were_sent(count: int, words: str) -> None:
    def cut() -> Iterator[Message]:
        yield from messages(*range(count))
        raise InputError("a.csv.gz: breaks off")

    producer = MemoryProducer(done=False)
    with pytest.raises(InputError) as caught:
        publisher(producer).publish(cut(), on_bad=lambda error: None)
    assert str(caught.value) == f"a.csv.gz: breaks off. {words} before that; publishing again is safe"
    assert all(ack.waited for ack in producer.acks)


def test_a_file_that_cannot_be_read_at_all_says_nothing_of_messages() -> None:
    def none() -> Iterator[Message]:
        raise InputError("gone.csv: no such file")
        yield

    with pytest.raises(InputError, match=r"no such file$"):
        publisher(MemoryProducer()).publish(none())


def test_no_more_messages_wait_for_an_answer_than_allowed() -> None:
    producer = MemoryProducer(done=False)
    report = publisher(producer, max_in_flight=5).publish(messages(*range(50)))
    assert report.sent == 50
    assert producer.most_unawaited == 5


def test_a_message_that_was_not_delivered_ends_the_run_and_is_named() -> None:
    producer = MemoryProducer(fail_at=3, error=KafkaTimeoutError("no answer"))
    with pytest.raises(BrokerError, match=r"squall\.messages: message '2' of 'wire' was not delivered: .*no answer"):
        publisher(producer).publish(messages(*range(10)))
    assert len(producer.sent) == 3  # it shows at the next message, not at the end


def test_a_failure_after_the_last_message_shows_too() -> None:
    producer = MemoryProducer(fail_at=10, error=UnknownTopicOrPartitionError(), done=False)
    with pytest.raises(BrokerError, match=r"9 before it were; .*`squall topics create`"):
        publisher(producer).publish(messages(*range(10)))


def test_progress_is_told_with_the_event_time_reached() -> None:
    told: list[tuple[int, datetime]] = []
    publisher(MemoryProducer()).publish(messages(*range(450)), on_progress=lambda count, at: told.append((count, at)))
    assert told == [(count, START + timedelta(seconds=count - 1)) for count in (200, 400, 450)]


def test_nothing_to_send_is_no_error() -> None:
    report = publisher(MemoryProducer()).publish([])
    assert (report.sent, report.first, report.last) == (0, None, None)


def test_a_check_counts_as_a_run_does_and_sends_nothing() -> None:
    report = check([*messages(0, 60), InputError("line 4: no text")], on_bad=lambda error: None)
    assert (report.read, report.sent, report.bad, report.last) == (2, 0, 1, START + timedelta(seconds=60))


def test_a_broker_that_is_not_there_is_named_with_what_to_do() -> None:
    # In a process of its own: kafka-python 3.0 leaves the sockets of a failed start open until its end.
    program = """
from streams.errors import BrokerError
from streams.ingest.publish import Publisher
try:
    Publisher({"bootstrap_servers": ["127.0.0.1:1"], "bootstrap_timeout_ms": 300}, topic="squall.messages")
except BrokerError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.startswith("Kafka at 127.0.0.1:1 cannot be reached: ")
    assert "`squall broker status`" in run.stdout
