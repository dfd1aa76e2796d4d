"""State on disk: round trips, what is saved and in which order, and what is of another version."""

from __future__ import annotations

import logging
import random
from datetime import timedelta

import msgspec
import pytest

from streams.monitor import RuleSet
from streams.monitor.bins import HOUR_MS, to_ms
from streams.monitor.horizon import Horizon, Place
from streams.monitor.partition import Change, PartitionMonitor
from streams.monitor.state import EntityState, RuleState, Run, Vote, decode_state, encode_state
from streams.records import Progress, encode
from tests.streams.monitor.invented import (
    START,
    Record,
    eager_rules,
    ended,
    heard,
    in_order,
    incident,
    mention,
    monitor,
    run,
    words,
)
from tests.streams.monitor.invented_rules import all_rules

NOW_MS = to_ms(START)


def horizon(horizon_s: int = 86_400) -> Horizon:
    return Horizon(horizon_s=horizon_s, author_votes=2)


def save(store: dict[str, bytes], changes: list[Change]) -> None:
    for key, value in changes:
        if value is None:
            del store[key]
        else:
            store[key] = value


def saved_all(watching: PartitionMonitor, store: dict[str, bytes]) -> None:
    changes = watching.changes()
    save(store, [*changes.entities, *changes.clock])


def feed(watching: PartitionMonitor, log: list[Record], start: int = 0) -> list[bytes]:
    found = [alert for offset, record in enumerate(log, start) for alert in watching.absorb(record, offset)]
    return [encode(alert) for alert in found]


@pytest.mark.parametrize("rules", [eager_rules(), all_rules()], ids=["shares", "every type"])
def test_a_restored_monitor_goes_on_exactly_as_the_saved_one_would_have(rules: RuleSet) -> None:
    log = in_order(incident(random.Random(4)))
    store: dict[str, bytes] = {}
    whole, first = monitor(rules), monitor(rules)
    for cut in range(0, len(log), 40):
        part = log[cut : cut + 40]
        expected = feed(whole, part, cut)
        assert feed(first, part, cut) == expected
        saved_all(first, store)
        first = monitor(rules)
        first.restore(store.items())


def test_saving_and_restoring_changes_nothing_that_is_saved() -> None:
    store: dict[str, bytes] = {}
    watching = monitor()
    feed(watching, in_order(incident(random.Random(4)))[:150])
    saved_all(watching, store)
    again = monitor()
    again.restore(reversed(store.items()))
    assert again.changes() == ([], [])
    later: list[Record] = [*incident(random.Random(4))[150:170]]
    assert feed(again, later, 500) == feed(watching, later, 500)
    assert again.changes() == watching.changes()


def test_nothing_is_saved_twice_and_the_clock_comes_last() -> None:
    watching = monitor()
    feed(watching, [*heard(1), mention(1, START)])
    changes = watching.changes()
    assert [key.split("\x1f")[0] for key, _ in changes.entities] == ["hour", "entity"]
    assert [key for key, _ in changes.clock] == ["clock\x1f0"]
    assert watching.changes() == ([], [])


def test_a_chunk_in_force_is_never_written_over() -> None:
    watching, store = monitor(), dict[str, bytes]()
    feed(watching, list(heard(1)))
    for number in range(1, 30):
        feed(watching, [mention(number, START + timedelta(seconds=number))], number)
        before = dict(store)
        changes = watching.changes().entities
        entity = next(index for index, (key, _) in enumerate(changes) if key.startswith("entity"))
        assert not {key for key, _ in changes[:entity]} & before.keys()
        assert all(value is None for _, value in changes[entity + 1 :])
        save(store, changes)
        assert sum(key.startswith("hour") for key in store) == 1


def test_what_was_left_over_by_a_crash_is_cleared_away() -> None:
    watching, store = monitor(), dict[str, bytes]()
    feed(watching, [*heard(1), mention(1, START)])
    saved_all(watching, store)
    feed(watching, [mention(2, START)], 2)
    chunk, *_ = watching.changes().entities
    save(store, [chunk])  # and then it crashed
    assert sum(key.startswith("hour") for key in store) == 2
    again = monitor()
    again.restore(store.items())
    feed(again, [mention(2, START), mention(3, START + timedelta(hours=2))], 2)
    saved_all(again, store)
    assert sum(key.startswith("hour") for key in store) == 2
    assert again.take_counters().repeated == 0


def test_memory_is_bounded_in_what_is_saved_too() -> None:
    watching, store = monitor(story_horizon_s=7200), dict[str, bytes]()
    feed(watching, list(heard(1)))
    for number in range(1, 400):
        feed(watching, [mention(number, START + timedelta(minutes=10 * number))], number)
        saved_all(watching, store)
    assert sum(key.startswith("hour") for key in store) <= 5
    assert len(store) <= 7


def test_open_votes_are_kept_out_of_the_entitys_record_so_that_a_backlog_cannot_swell_it() -> None:
    watching, store = monitor(), dict[str, bytes]()
    backlog: list[Record] = [
        mention(n, START + timedelta(minutes=n), text=words(random.Random(n), 60)) for n in range(600)
    ]
    feed(watching, [*heard(2), *backlog])  # the other partition has said nothing yet, so that every bin is open
    saved_all(watching, store)
    sizes = {key.split("\x1f")[0]: len(value) for key, value in store.items()}
    assert sizes["entity"] < 1000
    assert max(len(value) for value in store.values()) < 100_000
    again = monitor()
    again.restore(store.items())
    rest: list[Record] = [*ended(2, START + timedelta(days=1))]
    assert feed(again, rest, 1000) == feed(watching, rest, 1000)


@pytest.mark.parametrize("damage", [b"", b"\xc1", msgspec.msgpack.encode({"entity": "AURL", "schema": 99})])
def test_an_entity_of_another_version_is_set_aside_with_a_warning_and_starts_afresh(
    damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    watching, store = monitor(), dict[str, bytes]()
    feed(watching, [*heard(1), mention(1, START), mention(2, START, entity="BRND")])
    saved_all(watching, store)
    store["entity\x1fAURL"] = damage
    again = monitor()
    with caplog.at_level(logging.WARNING):
        again.restore(store.items())
    (warning,) = caplog.messages
    assert "AURL is of another version and is set aside: it starts afresh" in warning
    feed(again, [mention(1, START), mention(2, START, entity="BRND")], 1)
    counters = again.take_counters()
    assert (counters.absorbed, counters.repeated) == (1, 1)
    saved_all(again, store)
    assert decode_state(store["entity\x1fAURL"]) is not None


def test_a_chunk_of_another_version_is_set_aside_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    watching, store = monitor(), dict[str, bytes]()
    feed(watching, [*heard(1), mention(1, START)])
    saved_all(watching, store)
    (hour,) = (key for key in store if key.startswith("hour"))
    for damage in (b"", msgspec.msgpack.encode([9, [], [], b"", []])):
        caplog.clear()
        monitor().restore({**store, hour: damage}.items())
        assert f"memory of AURL is set aside: hour {NOW_MS // HOUR_MS}: " in caplog.text
    caplog.clear()
    del store[hour]
    monitor().restore(store.items())
    assert "its chunk is missing" in caplog.text


def test_a_clock_of_another_version_is_set_aside_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    watching, store = monitor(), dict[str, bytes]()
    feed(watching, [Progress(partition=0, partitions=1, event_time=START, idle=False)])
    saved_all(watching, store)
    assert watching.watermark_ms is not None
    for damage in (b"", msgspec.msgpack.encode({"schema": 2})):
        caplog.clear()
        again = monitor()
        again.restore({"clock\x1f0": damage}.items())
        assert again.watermark_ms is None
        assert "the saved clock of partition 0 is of another version" in caplog.text
    again = monitor()
    again.restore([("clock\x1f7", store["clock\x1f0"])])  # of another partition
    assert again.watermark_ms is None


def test_a_record_that_is_read_again_changes_nothing() -> None:
    watching = monitor()
    log: list[Record] = [*heard(1), mention(1, START), mention(2, START)]
    feed(watching, log)
    watching.changes()
    watching.take_counters()
    feed(watching, log)
    assert watching.changes() == ([], [])
    assert watching.take_counters().repeated == 2


def test_a_message_that_is_sent_again_is_counted_once() -> None:
    watching = monitor()
    feed(watching, [*heard(1), mention(1, START), mention(1, START)])
    counters = watching.take_counters()
    assert (counters.absorbed, counters.repeated) == (2, 1)  # the Progress is one


def test_a_late_message_is_counted_once_and_one_beyond_memory_only_by_the_metrics() -> None:
    watching = monitor()
    feed(watching, [Progress(partition=0, partitions=1, event_time=START, idle=False)])
    late, ancient = mention(1, START - timedelta(minutes=30)), mention(2, START - timedelta(days=2))
    feed(watching, [late, late, ancient, ancient], 1)
    counters = watching.take_counters()
    assert (counters.late, counters.repeated) == (3, 1)
    store: dict[str, bytes] = {}
    saved_all(watching, store)
    state = decode_state(store["entity\x1fAURL"])
    assert state is not None
    assert state.late == 1


def test_silence_never_resolves() -> None:
    mentions = [m for m in incident(random.Random(4)) if m.entity == "AURL"]
    last_bad = max(m.published_at for m in mentions if m.negative > 0.7)
    silent = [m for m in mentions if m.published_at <= last_bad]
    far = last_bad + timedelta(days=30)
    states = [alert.state for alert in run([*in_order(silent), *ended(3, far)])]
    assert "firing" in states
    assert "resolved" not in states


def test_a_rule_of_another_version_starts_with_a_memory_of_its_own() -> None:
    state = EntityState(entity="AURL", rules={"Surge": RuleState(rule_version="old", run=Run(onset_ms=5, votes=3))})
    assert decode_state(encode_state(state)) == state
    watching = monitor()
    watching.restore([("entity\x1fAURL", encode_state(state))])
    feed(watching, [*heard(1), mention(1, START), *ended(1, START + timedelta(hours=1))])
    store: dict[str, bytes] = {}
    saved_all(watching, store)
    again = decode_state(store["entity\x1fAURL"])
    assert again is not None
    assert again.rules["Surge"].rule_version != "old"
    assert again.rules["Surge"].held_votes + again.rules["Surge"].baseline.votes == 1


def test_equal_states_are_equal_bytes_whatever_the_order_in_their_sets() -> None:
    names = [f"source-{n}" for n in range(50)]
    one, other = (
        EntityState(
            entity="AURL", rules={"Surge": RuleState(rule_version="1", run=Run(onset_ms=0, sources=set(order)))}
        )
        for order in (names, names[::-1])
    )
    assert encode_state(one) == encode_state(other)


def test_an_hour_knows_its_ids_and_its_authors_votes() -> None:
    memory = horizon()
    assert memory.first_seen("wire:1", NOW_MS)
    assert not memory.first_seen("wire:1", NOW_MS + 1)
    assert [memory.may_vote("ines", NOW_MS) for _ in range(3)] == [True, True, False]
    assert memory.may_vote("ines", NOW_MS + HOUR_MS)
    assert all(memory.may_vote(None, NOW_MS) for _ in range(9))


def test_a_memory_comes_back_from_its_chunks() -> None:
    memory = horizon()
    vote = Vote(at_ms=NOW_MS, message_id="wire:1", source="wire", negative=0.5, topic="legal", text="x", model="m@1")
    memory.first_seen("wire:1", NOW_MS)
    memory.may_vote("ines", NOW_MS)
    memory.may_vote("ines", NOW_MS)
    text = words(random.Random(1))
    memory.story(text, message_id="wire:1", at_ms=NOW_MS)
    saving = memory.changes({NOW_MS: [vote]})
    assert [place for place, _ in saving.written] == [Place(NOW_MS // HOUR_MS, 0)]
    again = horizon()
    assert again.restore(dict(saving.written), memory.slots) == ([vote], [])
    assert not again.first_seen("wire:1", NOW_MS)
    assert not again.may_vote("ines", NOW_MS)
    assert again.story(f"RT @x: {text}", message_id="wire:2", at_ms=NOW_MS + 5).copy


def test_hours_before_the_horizon_are_forgotten_and_deleted_with_one_hour_to_spare() -> None:
    memory = horizon(3600)
    for hour in range(4):
        memory.first_seen(f"wire:{hour}", NOW_MS + hour * HOUR_MS)
    memory.changes({})
    memory.expire(NOW_MS + 4 * HOUR_MS)
    first = NOW_MS // HOUR_MS
    assert memory.changes({}).deleted == [Place(first, 0), Place(first + 1, 0)]
    assert sorted(memory.slots) == [first + 2, first + 3]
    memory.expire(NOW_MS)  # never back
    assert memory.changes({}) == ([], [])
