"""What publishing leaves on a real broker: batches as they lie on its disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from kafka.record import MemoryRecords
from kafka.record.default_records import DefaultRecordBatch

from deploy.kafka import LocalBroker
from streams.config import Settings
from streams.ingest.publish import Publisher
from streams.records import Message, encode

pytestmark = pytest.mark.broker

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def batches_on_disk(kafka: LocalBroker, topic: str) -> Iterator[DefaultRecordBatch]:
    """The batches of a topic as the broker keeps them, from its log segments."""
    for segment in sorted(kafka.files.data.glob(f"{topic}-*/*.log")):
        yield from MemoryRecords(segment.read_bytes())


def test_messages_travel_and_lie_compressed_with_lz4(kafka: LocalBroker, settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    messages = [
        Message(
            id=str(number),
            source=f"wire-{number % 7}",
            published_at=START + timedelta(seconds=number),
            text=f"Brindlemoor Foods expects costs to rise in plant {number}",
        )
        for number in range(5_000)
    ]
    with Publisher(settings.kafka.client_options(), topic=settings.topics.messages) as publisher:
        assert publisher.publish(messages).sent == len(messages)
    # A feed mark may be alone in its batch, and what does not get smaller is sent as it is.
    batches = [batch for batch in batches_on_disk(kafka, settings.topics.messages) if batch.records_count > 10]
    assert sum(batch.records_count for batch in batches) >= 0.9 * len(messages)
    assert {batch.compression_type for batch in batches} == {DefaultRecordBatch.CODEC_LZ4}
    bytes_on_disk = sum(batch.size_in_bytes for batch in batches)
    assert bytes_on_disk < 0.5 * sum(len(encode(message)) for message in messages)
