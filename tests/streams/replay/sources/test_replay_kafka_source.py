"""Kafka as a source, on a real broker: ranges, order, what is past retention; the live system feels nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.config import Settings
from streams.errors import BrokerError, InputError, TopicError
from streams.records import FEED_MARK_KEY, FeedMark, Mention, Message, ModelVersion, Origin, Progress, encode
from streams.replay.sources import topic_reader
from streams.replay.sources.kafka_source import KafkaMentions, KafkaMessages
from streams.replay.sources.open_source import open_mentions, open_messages
from streams.replay.sources.options import Window
from streams.replay.sources.source import BadRecord, MentionSource, MessageSource, Numbered
from streams.scoring import RawRecord
from streams.topics import admin_client

pytestmark = pytest.mark.broker

AT = datetime(2026, 3, 2, 14, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Sent = tuple[int, bytes | None, bytes | None, datetime]
"""Partition, key, value, arrival."""


def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def message(number: int, at: datetime = AT) -> bytes:
    return encode(Message(id=f"n{number}", source="wire", published_at=at, text=f"Ostermere opens plant {number}"))


def mention(number: int, at: datetime, partition: int = 0) -> Mention:
    return Mention(
        message_id=f"wire:n{number}",
        entity="OSTMB",
        relevance=1.0,
        source="wire",
        published_at=at,
        received_at=at,
        scored_at=at,
        text=f"Ostermere opens plant {number}",
        negative=0.1,
        neutral=0.9,
        positive=0.0,
        topic="company-news",
        topics={},
        model=ModelVersion(name="given", version="1"),
        origin=Origin(partition=partition, offset=number),
    )


@pytest.fixture
def send(settings: Settings) -> Callable[[str, Sequence[Sent]], None]:
    """Put records on a topic, of two partitions unless it is there, with times of arrival of one's own."""

    def put(topic: str, records: Sequence[Sent]) -> None:
        with admin_client(settings.kafka) as admin:
            if topic not in admin.list_topics():
                made = {topic: {"num_partitions": 2, "replication_factor": 1, "configs": {"retention.ms": "-1"}}}
                admin.create_topics(made)
                admin.wait_for_topics([topic], timeout_ms=30_000)
        producer = KafkaProducer(**settings.kafka.client_options(), linger_ms=50)
        for partition, key, value, at in records:
            producer.send(topic, key=key, value=value, partition=partition, timestamp_ms=ms(at))
        producer.flush()
        producer.close()

    return put


def messages(source: MessageSource, *, skip: int = 0) -> list[RawRecord]:
    bad: list[BadRecord] = []
    records = list(source.records(skip=skip, on_bad=bad.append))
    assert bad == []
    return records


def read(source: MentionSource, partition: int = 0, *, after: int = -1) -> tuple[list[Numbered], list[BadRecord]]:
    bad: list[BadRecord] = []
    return list(source.records(partition, after=after, on_bad=bad.append)), bad


def places(records: Sequence[RawRecord]) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in records]


def opened(settings: Settings, text: str = "kafka:", **window: datetime) -> MessageSource:
    return open_messages([text], settings, window=Window(**window))


def test_messages_of_all_partitions_come_in_the_order_of_their_arrival(settings: Settings, send: Any) -> None:
    mark = encode(FeedMark(feed="history", event_time=AT))
    send(
        settings.topics.messages,
        [
            (1, b"wire", message(0), AT),
            (0, b"wire", message(1), AT),
            (0, b"wire", b"no message", AT + 2 * MINUTE),
            (1, FEED_MARK_KEY, mark, AT + MINUTE),
            (1, b"wire", None, AT + 3 * MINUTE),
            (0, b"wire", message(2), AT + 4 * MINUTE),
        ],
    )
    source = opened(settings)
    assert isinstance(source, KafkaMessages)
    assert source.partitions == [0, 1]
    assert source.total == 6
    records = messages(source)
    assert places(records) == [(0, 0), (1, 0), (1, 1), (0, 1), (1, 2), (0, 2)]
    assert records[0] == RawRecord(partition=0, offset=0, key=b"wire", value=message(1), received_at=AT)
    assert [record.value for record in records[2:5]] == [mark, b"no message", None]
    assert records[2].key == FEED_MARK_KEY
    for skip in range(7):
        assert messages(source, skip=skip) == records[skip:]


def test_partitions_are_read_in_turns_and_the_order_stays(
    settings: Settings, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reader, "_LEAST_RECORDS", 20)
    monkeypatch.setattr(topic_reader, "_AHEAD_RECORDS", 80)
    monkeypatch.setattr(topic_reader, "_POLL_RECORDS", 16)
    early = [(0, b"wire", message(number), AT + number * timedelta(seconds=1)) for number in range(1_000)]
    late = [(1, b"wire", message(number), AT + number * 500 * timedelta(seconds=1)) for number in range(5)]
    send(settings.topics.messages, [*early, *late])
    records = messages(opened(settings))
    order = [(record.received_at, record.partition, record.offset) for record in records]
    assert order == sorted(order)
    assert len(order) == 1_005


def test_an_interrupted_merge_leaves_no_connection(settings: Settings, send: Any) -> None:
    send(settings.topics.messages, [(number % 2, b"wire", message(number), AT) for number in range(50)])
    reading = opened(settings).records(on_bad=lambda bad: None)
    assert next(reading).offset == 0
    reading.close()
    assert len(messages(opened(settings))) == 50


def test_a_range_by_arrival_holds_both_its_ends(settings: Settings, send: Any) -> None:
    send(
        settings.topics.messages,
        [(number % 2, b"wire", message(number), AT + number * MINUTE) for number in range(10)],
    )
    text = f"kafka:{settings.topics.messages}?from={iso(AT + 3 * MINUTE)}&to={iso(AT + 6 * MINUTE)}"
    source = opened(settings, text)
    assert source.total == 4
    assert [record.received_at for record in messages(source)] == [AT + number * MINUTE for number in (3, 4, 5, 6)]
    assert source.facts.text == text
    assert source.facts.parts == (
        {"topic": settings.topics.messages, "partition": 0, "start": 2, "end": 4},
        {"topic": settings.topics.messages, "partition": 1, "start": 1, "end": 3},
    )


def test_a_range_by_offset_reads_the_partitions_that_it_names(settings: Settings, send: Any) -> None:
    send(settings.topics.messages, [(number % 2, b"wire", message(number), AT) for number in range(10)])
    source = opened(settings, "kafka:?offsets=1:2-3")
    assert source.partitions == [1]
    assert places(messages(source)) == [(1, 2), (1, 3)]


def test_the_window_is_of_event_time_and_what_is_no_message_goes_to_the_stage(settings: Settings, send: Any) -> None:
    mark = encode(FeedMark(feed="history", event_time=AT))
    send(
        settings.topics.messages,
        [
            (0, b"wire", message(0, AT - MINUTE), AT),
            (0, b"wire", message(1, AT), AT),
            (0, b"wire", b"{", AT),
            (0, FEED_MARK_KEY, mark, AT),
            (0, b"wire", message(2, AT + MINUTE), AT),
            (0, b"wire", message(3, AT + 2 * MINUTE), AT),
            (0, b"wire", message(4, AT), AT + 9 * MINUTE),
        ],
    )
    source = opened(settings, since=AT, until=AT + MINUTE, known_at=AT + 5 * MINUTE)
    assert [offset for _, offset in places(messages(source))] == [1, 2, 3, 4]


def test_mentions_come_as_they_were_with_their_own_clock(settings: Settings, send: Any) -> None:
    begin = Progress(partition=0, partitions=1, event_time=None, idle=False)
    values = [begin, mention(1, AT), b"{", None, mention(2, AT + MINUTE)]
    send(
        settings.topics.mentions,
        [(0, b"OSTMB", encode(value) if isinstance(value, Mention | Progress) else value, AT) for value in values],
    )
    source = open_mentions(["kafka:"], settings)
    assert isinstance(source, KafkaMentions)
    records, bad = read(source)
    assert records == [Numbered(0, begin), Numbered(1, mention(1, AT)), Numbered(4, mention(2, AT + MINUTE))]
    where = f"{settings.topics.mentions}[0]"
    assert [(item.where, item.reason) for item in bad] == [(f"{where}@2", "not_json"), (f"{where}@3", "tombstone")]
    assert read(source, after=1) == (records[2:], bad)
    assert read(source, after=4) == ([], [])
    assert read(source, 1) == ([], [])


def test_a_mention_from_outside_the_window_moves_the_clock_and_does_no_more(settings: Settings, send: Any) -> None:
    values = [mention(1, AT), mention(2, AT + 9 * MINUTE, partition=3), mention(3, AT + MINUTE)]
    send(settings.topics.mentions, [(0, None, encode(value), AT) for value in values])
    source = open_mentions(["kafka:"], settings, window=Window(until=AT + 5 * MINUTE))
    step = Progress(partition=3, partitions=0, event_time=AT + 9 * MINUTE, idle=False)
    assert read(source)[0] == [Numbered(0, values[0]), Numbered(1, step), Numbered(2, values[2])]


def test_what_was_not_on_kafka_by_then_was_not_known(settings: Settings, send: Any) -> None:
    values = [(0, None, encode(mention(number, AT)), AT + number * MINUTE) for number in range(5)]
    send(settings.topics.mentions, values)
    source = open_mentions(["kafka:"], settings, window=Window(known_at=AT + 2 * MINUTE))
    assert [item.offset for item in read(source)[0]] == [0, 1, 2]


def test_what_was_not_known_is_left_unread_where_the_broker_keeps_the_time(
    settings_with_topics: Settings, send: Any
) -> None:
    settings = settings_with_topics
    send(settings.topics.mentions, [(0, None, encode(mention(number, AT)), AT) for number in range(5)])
    assert read(open_mentions(["kafka:"], settings, window=Window(known_at=AT)))[0] == []
    assert len(read(open_mentions(["kafka:"], settings, window=Window(known_at=datetime.now(UTC))))[0]) == 5


def test_a_run_goes_on_with_the_offsets_that_it_began_with(settings: Settings, send: Any) -> None:
    topic = settings.topics.messages
    send(topic, [(0, b"wire", message(number), AT) for number in range(3)])
    began = opened(settings).facts
    send(topic, [(0, b"wire", message(3), AT), (1, b"wire", message(4), AT)])
    new = opened(settings)
    assert new.facts.identity != began.identity
    assert len(messages(new)) == 5
    again = open_messages(["kafka:"], settings, resume=began)
    assert again.facts == began
    assert len(messages(again)) == 3
    other = open_messages([f"kafka:{topic}"], settings, resume=began)
    assert other.facts.identity != began.identity


def test_nothing_is_committed_and_no_group_is_there(settings: Settings, send: Any) -> None:
    send(settings.topics.messages, [(0, b"wire", message(0), AT)])
    with admin_client(settings.kafka) as admin:
        before = admin.list_groups()
        messages(opened(settings))
        assert admin.list_groups() == before


def _delete_before(settings: Settings, topic: str, offset: int) -> None:
    admin = KafkaAdminClient(**settings.kafka.client_options())
    admin.delete_records({TopicPartition(topic, 0): offset})
    admin.close()


def test_a_range_outside_retention_is_told_with_what_the_topic_holds(
    settings: Settings, send: Any, caplog: pytest.LogCaptureFixture
) -> None:
    topic = settings.topics.messages
    send(topic, [(0, b"wire", message(number), AT + number * MINUTE) for number in range(10)])
    whole = opened(settings)
    _delete_before(settings, topic, 4)
    holds = f"{topic}[0] holds offsets 4 to 9, arrived 2026-03-02T14:04:00Z to 2026-03-02T14:09:00Z"
    for offsets in ("0:3-5", "0:8-10"):
        with pytest.raises(InputError) as caught:
            opened(settings, f"kafka:?offsets={offsets}")
        assert f"are not all there: {holds}" in str(caught.value)
    with pytest.raises(InputError, match="has no partition 7, there is 0 to 1"):
        opened(settings, "kafka:?offsets=7:3-5")
    for span in (f"to={iso(AT + 3 * MINUTE)}", f"from={iso(AT + 10 * MINUTE)}"):
        with pytest.raises(InputError) as caught:
            opened(settings, f"kafka:?{span}")
        assert str(caught.value) == (f"kafka:?{span}: nothing arrived in this range: {holds}; {topic}[1] holds nothing")
    assert "begins at offset 4" not in caplog.text
    assert len(messages(opened(settings, f"kafka:?from={iso(AT)}"))) == 6
    assert f"{topic}[0] begins at offset 4: what came before is past its retention" in caplog.text
    with pytest.raises(InputError, match="has deleted records that this replay needs"):
        messages(whole)


def test_an_empty_topic_is_told(settings_with_topics: Settings) -> None:
    with pytest.raises(InputError, match=f"topic {settings_with_topics.topics.mentions} holds no records"):
        open_mentions(["kafka:"], settings_with_topics)


def test_a_topic_that_is_not_there_is_told_with_the_nearest(settings_with_topics: Settings) -> None:
    topic = settings_with_topics.topics.messages
    with pytest.raises(TopicError, match=f"there is no topic {topic}s on this cluster; did you mean {topic}"):
        open_messages([f"kafka:{topic}s"], settings_with_topics)


def test_a_topic_of_the_settings_that_is_not_there_is_told_with_how_to_make_it(settings: Settings) -> None:
    with pytest.raises(TopicError, match="Make the topics with: squall topics create"):
        open_messages(["kafka:"], settings)


def test_a_cluster_that_is_not_there_is_told(make_settings: Any) -> None:
    with pytest.raises(BrokerError, match="cannot reach Kafka"):
        open_messages(["kafka:"], make_settings("127.0.0.1:1", "nowhere"))


def test_a_broker_that_falls_silent_is_told(settings: Settings, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    send(settings.topics.messages, [(number % 2, b"wire", message(number), AT) for number in range(4)])
    source = opened(settings)
    send(settings.topics.mentions, [(0, None, encode(mention(1, AT)), AT)])
    scored = open_mentions(["kafka:"], settings)
    monkeypatch.setattr(KafkaConsumer, "poll", lambda *_, **__: {})
    monkeypatch.setattr(topic_reader, "_STALLED_S", -1.0)
    with pytest.raises(BrokerError, match=r"sends nothing more of .* from 0 on, although it ends at 2"):
        messages(source)
    with pytest.raises(BrokerError, match=r"sends nothing more of .* from 0 on, although it ends at 1"):
        read(scored)
