"""Procedures of OPERATIONS.md on a real broker: another number of partitions, and a state that is gone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from streams.app.layout import group, state_changelog
from streams.config import Settings
from streams.records import Alert, Mention, Seed, decode_alert, decode_mention, encode
from streams.replay.sources.partitioner import partition_of
from streams.topics import admin_client
from tests.streams.app.harness import WorkerProcess, end_of, records_of, until
from tests.streams.monitor.invented import START, ended, heard, mention

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

COMPANIES = ("OSTMB", "PLNDR", "TAMAR", "VEKTR")


def quiet_days(days: int) -> list[Mention]:
    """Scored mentions of four companies, in the order of time."""
    first = START - timedelta(days=days)
    return [
        mention(number, first + timedelta(minutes=6 * number), 0.05, entity=COMPANIES[number % len(COMPANIES)])
        for number in range(days * 240)
    ]


def incident() -> list[Any]:
    """Two quiet days of one company, an hour of bad news, and the marks that close its bins."""
    dice = random.Random(8)
    rise = START + timedelta(days=2)
    quiet = [mention(5_000 + n, START + timedelta(minutes=20 * n), 0.05, entity=COMPANIES[0]) for n in range(144)]
    bad = [
        mention(9_000 + n, rise + timedelta(minutes=n), round(dice.uniform(0.85, 0.99), 3), entity=COMPANIES[0])
        for n in range(60)
    ]
    return [*heard(2), *quiet, *bad, *ended(2, rise + timedelta(hours=1))]


def put(settings: Settings, log: list[Any]) -> None:
    partitions = settings.topics.mention_partitions
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for record in log:
        chosen = [partition_of(record.entity, partitions)] if isinstance(record, Mention) else range(partitions)
        for number in chosen:
            producer.send(settings.topics.mentions, value=encode(record), partition=number)
    producer.flush()
    producer.close()


def squall(settings: Settings, folder: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the handbook writes it, with settings in variables."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    given = {
        "SQUALL_KAFKA__BOOTSTRAP_SERVERS": ",".join(settings.kafka.bootstrap_servers),
        "SQUALL_TOPICS__PREFIX": settings.topics.prefix,
        "SQUALL_TOPICS__MESSAGE_PARTITIONS": str(settings.topics.message_partitions),
        "SQUALL_TOPICS__MENTION_PARTITIONS": str(settings.topics.mention_partitions),
    }
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        env=environ | given | changed | {"PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def transitions(settings: Settings) -> list[Alert]:
    return [decode_alert(record.value) for record in records_of(settings, settings.topics.alerts)]


def test_what_one_installation_knows_is_taught_to_another_with_more_partitions(
    settings_with_topics: Settings, make_settings: Any, tmp_path: Path
) -> None:
    old = settings_with_topics
    put(old, [*heard(2), *quiet_days(3), *ended(2, START)])
    before = end_of(old, old.topics.mentions)
    new = make_settings(old.kafka.bootstrap_servers[0], f"{old.topics.prefix}-2", topics={"mention_partitions": 5})
    made = squall(new, tmp_path, "topics", "create")
    assert made.returncode == 0, made.stdout + made.stderr
    taught = squall(new, tmp_path, "warm", f"kafka:{old.topics.mentions}", "--as-scored")
    assert taught.returncode == 0, taught.stdout + taught.stderr
    assert "4 companies in the history: 4 new" in taught.stdout + taught.stderr

    seeds = {}
    for record in records_of(new, new.topics.mentions):
        seed = decode_mention(record.value)
        assert isinstance(seed, Seed)
        seeds[seed.entity] = record.partition
    assert seeds == {entity: partition_of(entity, 5) for entity in COMPANIES}
    assert end_of(old, old.topics.mentions) == before, "nothing was changed at the first"


def test_a_worker_refuses_a_number_of_partitions_that_the_topic_has_not(
    settings_with_topics: Settings, tmp_path: Path
) -> None:
    done = squall(settings_with_topics, tmp_path, "worker", "--role", "monitor", SQUALL_TOPICS__MENTION_PARTITIONS="5")
    assert done.returncode == 2
    assert "an entity's state stays on its partition" in done.stderr


def test_a_state_that_is_gone_is_made_again_from_the_mentions_with_the_same_alerts(
    settings_with_topics: Settings, tmp_path: Path
) -> None:
    settings = settings_with_topics
    put(settings, incident())
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        until(lambda: any(one.state == "firing" for one in transitions(settings)), "nothing fired")
        until(lambda: worker.metric("squall_waiting_records") == 0, "it is not done")
        worker.send(signal.SIGTERM)
    first = transitions(settings)

    with admin_client(settings.kafka) as admin:
        admin.delete_topics([state_changelog(settings)])
        admin.delete_groups([group(settings, "monitor")])
        until(lambda: state_changelog(settings) not in admin.list_topics(), "the changelog is still there")
    with WorkerProcess(settings, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        until(lambda: len(transitions(settings)) >= 2 * len(first), "the alerts did not come again")
        worker.send(signal.SIGTERM)
    again = transitions(settings)
    assert len(again) == 2 * len(first)
    assert {encode(alert) for alert in again} == {encode(alert) for alert in first}, "byte for byte the same"
