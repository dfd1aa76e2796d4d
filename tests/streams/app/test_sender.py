"""What is sent arrives whole, in order, and where its key says; what failed is told apart from what arrived."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder
from kafka import KafkaConsumer
from kafka import TopicPartition as Place

from streams.app.security import aiokafka_options
from streams.app.sender import Outgoing, Sender, _Batch, _left
from streams.config import Settings
from streams.errors import DeliveryError
from streams.topics import create_topics


def send(settings: Settings, *calls: list[Outgoing]) -> None:
    async def main() -> None:
        sender = Sender(aiokafka_options(settings.kafka))
        await sender.start()
        try:
            for records in calls:
                await sender.send(records)
        finally:
            await sender.stop()

    asyncio.run(main())


def read(settings: Settings, topic: str) -> dict[int, list[Any]]:
    """All records by partition."""
    consumer = KafkaConsumer(**settings.kafka.client_options())
    places = [Place(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(places)
    found: dict[int, list[Any]] = {place.partition: [] for place in places}
    while any(consumer.position(place) < ends[place] for place in places):
        for place, records in consumer.poll(timeout_ms=500).items():
            found[place.partition] += records
    consumer.close()
    return found


@pytest.fixture
def mentions(settings: Settings) -> str:
    create_topics(settings)
    return settings.topics.mentions


def test_records_arrive_in_order_on_the_partition_of_their_key_over_several_batches(
    settings: Settings, mentions: str
) -> None:
    # Two thousand times half a kilobyte: more than one batch holds.
    records = [Outgoing(mentions, b"%04d" % n + b"." * 500, key=b"KEY%d" % (n % 7)) for n in range(2000)]
    send(settings, records[:1500], records[1500:])
    found = read(settings, mentions)
    for number, arrived in found.items():
        wanted = [r for r in records if DefaultPartitioner()(r.key, [0, 1], [0, 1]) == number]
        assert [(record.key, record.value) for record in arrived] == [(r.key, r.value) for r in wanted]
    assert sum(map(len, found.values())) == len(records)


def test_a_record_that_names_its_partition_and_headers_has_both(settings: Settings, mentions: str) -> None:
    send(settings, [Outgoing(mentions, b"value", partition=1, headers=(("why", b"because"), ("who", b"me")))])
    (record,) = read(settings, mentions)[1]
    assert list(record.headers) == [("why", b"because"), ("who", b"me")]
    assert record.key is None


def test_a_record_larger_than_a_batch_is_sent_and_one_without_key_and_value_too(
    settings: Settings, mentions: str
) -> None:
    # The second is the dead letter of a tombstone that had no key: what it says is in its headers.
    large = b"x" * 400_000
    send(
        settings,
        [
            Outgoing(mentions, b"before", partition=0),
            Outgoing(mentions, large, partition=0),
            Outgoing(mentions, None, partition=0, headers=(("squall-reason", b"tombstone"),)),
        ],
    )
    assert [record.value for record in read(settings, mentions)[0]] == [b"before", large, None]


def test_a_record_that_no_request_holds_is_refused_and_named_at_once(settings: Settings, mentions: str) -> None:
    with pytest.raises(DeliveryError, match=mentions):
        send(settings, [Outgoing(mentions, b"x" * (5 * 1_048_576))])


def test_a_producer_whose_numbers_kafka_refuses_for_ever_is_replaced(settings: Settings, mentions: str) -> None:
    async def main() -> None:
        sender = Sender(aiokafka_options(settings.kafka))
        await sender.start()
        try:
            await sender.send([Outgoing(mentions, b"one", partition=0)])
            # What aiokafka does itself when it gives a batch up: the next one has a number too high.
            assert sender._producer is not None
            sender._producer._txn_manager.increment_sequence_number(TopicPartition(mentions, 0), 3)
            records = [Outgoing(mentions, b"two", partition=0), Outgoing(mentions, b"other", partition=1)]
            await asyncio.gather(sender.send(records), sender.send([Outgoing(mentions, b"three", partition=0)]))
        finally:
            await sender.stop()

    asyncio.run(main())
    found = read(settings, mentions)
    assert {record.value for record in found[0]} == {b"one", b"two", b"three"}
    assert {record.value for record in found[1]} == {b"other"}


def test_after_a_failure_only_its_partition_is_sent_again_from_there_on() -> None:
    records = [Outgoing("t", b"%d" % n, partition=n % 2) for n in range(8)]
    batches = []
    for positions in ((0, 2), (1, 3), (4, 6), (5, 7)):
        target = TopicPartition("t", positions[0] % 2)
        batches.append(_Batch(BatchBuilder(1000, 0), target, list(positions)))
    error = KafkaTimeoutError()
    assert _left(records, batches, [None, None, None, None]) is None
    assert _left(records, batches, [None, error, None, None]) == ([records[n] for n in (1, 3, 5, 7)], error)
    assert _left(records, batches, [None, None, error, error]) == (records[4:], error)
    with pytest.raises(ZeroDivisionError):
        _left(records, batches, [None, ZeroDivisionError(), None, None])
