"""Dead letters are read without touching anything, and sent again byte by byte as they came, each once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.config import Settings
from streams.dead_letters import (
    KeptLetter,
    Query,
    plan_sending,
    read_letter,
    read_letters,
    send_again,
)
from streams.errors import BrokerError, InputError, TopicError
from streams.records import DeadLetter

AT = datetime(2026, 3, 18, 10, 4, tzinfo=UTC)
MESSAGES = "squall.messages"
LETTER = DeadLetter(
    value=b'{"id": "7", "text": 7}\xff',
    key=b"newswire-1",
    reason="wrong_type",
    detail="Expected `str`, got `int` - at `$.text`",
    topic=MESSAGES,
    partition=3,
    offset=17,
    refused_by="squall 0.1.0",
)
Keep = Callable[..., list[tuple[int, int, int]]]


def varied(**changes: Any) -> DeadLetter:
    return msgspec.structs.replace(LETTER, **changes)


@pytest.fixture
def producer(settings_with_topics: Settings) -> Iterator[KafkaProducer]:
    options = {**settings_with_topics.kafka.client_options(), "max_request_size": 8 * 1024 * 1024}
    made = KafkaProducer(**options, compression_type="lz4")
    yield made
    made.close(timeout=10)


@pytest.fixture
def keep(producer: KafkaProducer, settings_with_topics: Settings) -> Keep:
    """`keep(*letters)`: put letters on the topic; returns partition, offset and milliseconds of each."""

    def send(*letters: DeadLetter, partition: int | None = None) -> list[tuple[int, int, int]]:
        topic = settings_with_topics.topics.dead_letters
        sent = [
            producer.send(topic, value=letter.value, key=letter.key, headers=letter.headers(), partition=partition).get(
                timeout=30
            )
            for letter in letters
        ]
        return [(one.partition, one.offset, one.timestamp) for one in sent]

    return send


def of(settings: Settings, **changes: Any) -> DeadLetter:
    """A letter that these settings' own messages' topic has seen."""
    return varied(topic=settings.topics.messages, **changes)


def messages_of(settings: Settings) -> list[tuple[bytes | None, bytes | None]]:
    """Key and value of everything on the messages' topic."""
    consumer = KafkaConsumer(**settings.kafka.client_options())
    found = []
    try:
        topic = settings.topics.messages
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < ends[partition]:
                for batch in consumer.poll(timeout_ms=500).values():
                    found += [(record.key, record.value) for record in batch]
    finally:
        consumer.close()
    return found


@pytest.mark.broker
def test_letters_are_read_from_every_partition_with_their_bytes_place_and_time(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    assert list(read_letters(settings)) == []
    letters = [LETTER, varied(value=None, reason="tombstone"), varied(key=None, detail="a — 果"), varied(value=b"")]
    places = [place for number, one in enumerate(letters) for place in keep(one, partition=number % 2)]
    found = list(read_letters(settings))
    assert {(kept.partition, kept.offset): kept.letter for kept in found} == {
        (partition, offset): letter for (partition, offset, _), letter in zip(places, letters, strict=True)
    }
    assert sorted(round(kept.at.timestamp() * 1000) for kept in found) == sorted(ms for *_, ms in places)
    assert found == list(read_letters(settings))  # a look changes nothing
    assert [kept.place for kept in found] == ["0:0", "0:1", "1:0", "1:1"]


@pytest.mark.broker
def test_letters_are_chosen_by_reason_and_by_the_time_of_their_refusal(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    [(_, _, first_ms)] = keep(varied(reason="not_json"))
    while (last := keep(varied(reason="too_old")))[0][2] == first_ms:
        pass  # the broker's clock has milliseconds
    between = datetime.fromtimestamp(last[0][2] / 1000, UTC)

    def reasons(query: Query) -> set[str]:
        return {kept.letter.reason for kept in read_letters(settings, query)}

    everything = list(read_letters(settings))
    assert reasons(Query(frozenset({"not_json", "bad_id"}))) == {"not_json"}
    assert [kept.at for kept in read_letters(settings, Query(since=between))] == [between]
    before = list(read_letters(settings, Query(until=between)))
    assert "not_json" in {kept.letter.reason for kept in before}
    assert len(before) == len(everything) - 1
    assert reasons(Query(since=between + timedelta(days=1))) == set()
    assert list(read_letters(settings, Query(since=between - timedelta(days=1)))) == everything
    assert reasons(Query(frozenset({"not_json"}), since=between)) == set()


@pytest.mark.broker
def test_what_is_no_dead_letter_is_told_and_passed_over(
    settings_with_topics: Settings, keep: Keep, producer: KafkaProducer
) -> None:
    settings = settings_with_topics
    topic = settings.topics.dead_letters
    keep(LETTER, partition=0)
    producer.send(topic, value=b"{}", partition=0).get(timeout=30)
    keep(LETTER, partition=0)
    told: list[str] = []
    assert [kept.offset for kept in read_letters(settings, on_bad=told.append)] == [0, 2]
    assert len(told) == 1
    assert told[0].startswith(f"{topic}[0]@1 is no dead letter: ")
    assert len(list(read_letters(settings))) == 2
    with pytest.raises(InputError, match=r"\[0\]@1 is no dead letter: "):
        read_letter(settings, 0, 1)


@pytest.mark.broker
def test_one_letter_is_found_by_its_place_and_a_wrong_place_says_what_there_is(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    keep(*(varied(detail=str(number)) for number in range(5)), partition=1)
    assert read_letter(settings, 1, 3).letter.detail == "3"
    assert read_letter(settings, 1, 3).place == "1:3"
    with pytest.raises(InputError, match=r"\[1\] has nothing at offset 5: it holds offsets 0 to 4"):
        read_letter(settings, 1, 5)
    with pytest.raises(InputError, match=r"\[0\] has nothing at offset 0: it is empty"):
        read_letter(settings, 0, 0)
    with pytest.raises(InputError, match=r"has no partition 9; it has 0 to 1"):
        read_letter(settings, 9, 0)


@pytest.mark.broker
def test_sending_again_gives_the_messages_topic_the_very_bytes_and_keys(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    large = random.Random(7).randbytes(3 * 1024 * 1024 // 2)  # over what a producer sends by default
    contents = [(b"wire", b'{"id": "1"\xff'), (None, b"no key"), (b"wire", b""), (b"", b"empty key"), (b"big", large)]
    keep(*(of(settings, key=key, value=value) for key, value in contents))
    keep(of(settings, key=b"wire", value=b'{"id": "1"\xff'), varied(topic="squall.mentions"))
    keep(of(settings, value=None, reason="tombstone"))
    before = list(read_letters(settings))
    plan = plan_sending(before, settings.topics.messages)
    assert (plan.repeated, plan.from_elsewhere, plan.without_bytes) == (1, 1, 1)
    told: list[int] = []
    assert send_again(settings, plan, on_sent=told.append) == len(contents)
    assert told == [1, 2, 3, 4, 5]
    assert sorted(messages_of(settings), key=repr) == sorted(contents, key=repr)
    assert list(read_letters(settings)) == before


@pytest.mark.broker
def test_only_what_was_planned_is_sent_though_more_is_refused_meanwhile(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    keep(of(settings, value=b"1", reason="not_json"), of(settings, value=b"2", reason="too_old"))
    plan = plan_sending(read_letters(settings, Query(frozenset({"too_old"}))), settings.topics.messages)
    assert plan.by_reason == {"too_old": 1}
    keep(of(settings, value=b"3", reason="too_old"))
    assert send_again(settings, plan) == 1
    assert messages_of(settings) == [(LETTER.key, b"2")]


@pytest.mark.broker
def test_a_message_that_kafka_refuses_is_named_with_how_many_were_sent_before(
    settings_with_topics: Settings, keep: Keep
) -> None:
    settings = settings_with_topics
    too_large = random.Random(7).randbytes(3 * 1024 * 1024)  # the dead letters take it, the messages do not
    keep(of(settings, value=b"small"), of(settings, value=too_large), partition=1)
    plan = plan_sending(read_letters(settings), settings.topics.messages)
    with pytest.raises(BrokerError, match=r"dead letter 1:1 was not delivered: .* 1 before it were; .* is safe"):
        send_again(settings, plan)
    assert messages_of(settings) == [(LETTER.key, b"small")]


@pytest.mark.broker
def test_without_topics_it_says_how_to_make_them(settings: Settings) -> None:
    with pytest.raises(TopicError, match="squall topics create"):
        list(read_letters(settings))


def test_a_cluster_that_is_not_there_is_named() -> None:
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": "127.0.0.1:1"}})
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        list(read_letters(settings))


CONTENT = st.tuples(
    st.none() | st.sampled_from([b"", b"1", b"1:"]),
    st.none() | st.sampled_from([b"", b"a", b"1:a", b"2:"]),
    st.sampled_from([MESSAGES, "squall.mentions"]),
    st.sampled_from(["not_json", "too_old"]),
)


@given(st.lists(CONTENT, max_size=30))
def test_a_plan_sends_every_content_once_and_accounts_for_every_letter(
    contents: list[tuple[bytes | None, bytes | None, str, str]],
) -> None:
    letters = [
        KeptLetter(number % 3, number, AT, varied(key=key, value=value, topic=topic, reason=reason))
        for number, (key, value, topic, reason) in enumerate(contents)
    ]
    plan = plan_sending(letters, MESSAGES)
    sendable = {(key, value) for key, value, topic, _ in contents if topic == MESSAGES and value is not None}
    planned = [kept.letter for kept in letters if (kept.partition, kept.offset) in plan.places]
    assert len(planned) == len(plan.places) == sum(plan.by_reason.values()) == len(sendable)
    assert {(letter.key, letter.value) for letter in planned} == sendable
    assert len(plan.places) + plan.repeated + plan.without_bytes + plan.from_elsewhere == len(letters)
