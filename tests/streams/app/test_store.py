"""The state table without a broker: keys that begin with their partition, and a changelog that can be waited for."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from streams.app.apps import assigned_partitions, make_app
from streams.app.layout import STATE_TABLE, full_key, group, split_key, state_changelog
from streams.app.store import StateTable
from streams.config import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    content = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "topics": {"prefix": "desk", "mention_partitions": 12},
        "worker": {"data_dir": tmp_path},
    }
    return Settings.model_validate(content)


@pytest.fixture
def table(settings: Settings) -> StateTable:
    app = make_app(settings, "monitor")
    return cast(StateTable, app.Table(STATE_TABLE, partitions=12, key_type=bytes, value_type=bytes))


def test_a_key_is_saved_on_the_partition_it_is_saved_for(table: StateTable) -> None:
    table.save(11, "entity\x1fAURL", b"state")
    (record,) = table.unsent()
    assert (record.partition, record.value) == (11, b"state")
    assert record.topic == table.changelog_topic_name
    assert record.topic.startswith("desk-monitor-")
    assert record.key is not None
    assert table.partition_for_key(record.key) == 11


def test_partitions_whose_numbers_begin_alike_are_kept_apart(table: StateTable) -> None:
    table.save(1, "a", b"1")
    table.save(11, "a", b"11")
    table.save(1, "1\x1eb", b"odd")
    assert dict(table.saved(1)) == {"a": b"1", "1\x1eb": b"odd"}
    assert dict(table.saved(11)) == {"a": b"11"}
    assert dict(table.saved(2)) == {}


def test_what_is_deleted_leaves_a_tombstone_and_what_was_never_there_leaves_nothing(table: StateTable) -> None:
    table.save(0, "a", b"1")
    table.save(0, "a", None)
    table.save(0, "b", None)
    assert [record.value for record in table.unsent()] == [b"1", None]
    assert dict(table.saved(0)) == {}


def test_unsent_records_come_in_the_order_of_the_writes_and_once(table: StateTable) -> None:
    for number in range(5):
        table.save(number % 2, f"key-{number}", str(number).encode())
    table.save(0, "key-0", b"again")
    assert [record.value for record in table.unsent()] == [b"0", b"1", b"2", b"3", b"4", b"again"]
    assert table.unsent() == []


def test_keys_of_any_script_come_back(table: StateTable) -> None:
    table.save(3, "entity\x1f贵州茅台", b"x")
    assert list(table.saved(3)) == [("entity\x1f贵州茅台", b"x")]


def test_an_app_is_made_as_its_traps_demand(settings: Settings) -> None:
    app = make_app(settings, "monitor")
    assert app.conf.id == group(settings, "monitor") == "desk-monitor"
    assert app.conf.topic_disable_leader
    assert app.conf.stream_wait_empty
    assert app.conf.table_standby_replicas == 0
    assert app.conf.consumer_auto_offset_reset == "earliest"
    assert not app.conf.web_enabled
    assert [str(url) for url in app.conf.broker] == ["aiokafka://127.0.0.1:1"]


def test_of_an_assignment_only_the_topics_own_partitions_are_told() -> None:
    from faust.types import TP

    assigned = {TP("a", 0), TP("a", 3), TP("b", 1)}
    assert assigned_partitions(assigned, "a") == {0, 3}


def test_who_only_looks_finds_the_changelog_and_reads_its_keys(table: StateTable, settings: Settings) -> None:
    assert state_changelog(settings) == table.changelog_topic_name
    assert split_key(full_key(11, "hour\x1fAURL\x1f4\x1f0")) == (11, "hour\x1fAURL\x1f4\x1f0")
    with pytest.raises(ValueError, match="no key of the monitor's state"):
        split_key(b"entity")
