"""Other rules under way, on a real broker: they apply at once and after a restart, and broken ones change nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from kafka import KafkaProducer

from streams.config import Settings
from streams.control import tell_workers
from streams.monitor import default_rules
from streams.monitor.rule_files import parse_rules
from streams.records import Alert, RulesInUse, decode_alert, encode
from tests.streams.app.harness import WorkerProcess, records_of, until
from tests.streams.monitor.invented import START, Record, ended, heard, mention

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

LOW = """
rules:
  - alert: Low
    type: threshold
    window: 30m
    fire: {gte: 0.28}
    effect_min: 0
    min_support: {stories: 3, sources: 2}
"""


@pytest.fixture
def worker(settings_with_topics: Settings, tmp_path: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings_with_topics, tmp_path, role="monitor") as process:
        yield process.wait_ready()


class Feed:
    """Mentions of one company, as a scorer would write them; each call goes on where the one before ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._minute = 0
        self._number = 0

    def send(self, negative: float, minutes: int = 40) -> None:
        topics = self._settings.topics
        producer = KafkaProducer(**self._settings.kafka.client_options(), acks="all")
        partitions = topics.message_partitions
        records: list[Record] = [*heard(partitions)]
        for _ in range(minutes):
            self._minute += 1
            self._number += 1
            records.append(mention(self._number, START + timedelta(minutes=self._minute), negative))
        records += ended(partitions, START + timedelta(minutes=self._minute, hours=1))
        self._minute += 61
        for record in records:
            producer.send(topics.mentions, encode(record), partition=0)
        producer.close()


def use(settings: Settings, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """`squall rules use`, as an operator runs it."""
    config, rules = folder / "operator.yaml", folder / "low.yaml"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
    rules.write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "--config", str(config), "rules", "use", str(rules), "--by", "night-desk"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def alerts(settings: Settings) -> list[Alert]:
    return [decode_alert(record.value) for record in records_of(settings, settings.topics.alerts)]


def in_force(name: str, text: str | None) -> str:
    version = default_rules().version if text is None else parse_rules(text, name=name).version
    return f'squall_rules_info{{name="{name}",version="{version}"}}'


def test_rules_are_exchanged_without_a_restart_and_those_that_start_later_know_them(
    settings_with_topics: Settings, worker: WorkerProcess, tmp_path: Path
) -> None:
    settings, feed = settings_with_topics, Feed(settings_with_topics)
    assert worker.metric(in_force("shipped", None)) == 1
    feed.send(0.3)
    until(lambda: worker.metric("squall_monitor_records_total"), "the mentions are not read")
    told = use(settings, tmp_path, LOW)
    assert told.returncode == 0, told.stderr
    assert "told to apply low.yaml, version" in " ".join(told.stdout.split())
    until(lambda: worker.metric(in_force("low.yaml", LOW)) == 1, "the new rules are not in force")
    assert worker.metric(in_force("shipped", None)) == 0
    assert worker.metric('squall_rules_reloads_total{outcome="done"}') == 1
    assert alerts(settings) == []  # 30 % is nothing to the shipped rules
    feed.send(0.3)
    found = until(lambda: [alert for alert in alerts(settings) if alert.state == "firing"], "nothing fires")
    assert {alert.rule for alert in found} == {"Low"}
    assert worker.send(signal.SIGTERM) == 0
    worker.start()
    until(lambda: worker.metric(in_force("low.yaml", LOW)) == 1, "the rules are forgotten after a restart")


def test_broken_rules_leave_the_old_ones_in_place_loudly(
    settings_with_topics: Settings, worker: WorkerProcess, tmp_path: Path
) -> None:
    settings = settings_with_topics
    broken = LOW.replace("gte: 0.28", "gte: 5")
    refused = use(settings, tmp_path, broken)  # at the operator's own desk ...
    assert refused.returncode == 2
    assert "low.yaml:6:12: rule 1 (Low): fire.gte: Expected" in " ".join(refused.stderr.split())
    record = RulesInUse(name="low.yaml", text=broken, version="?", at=datetime.now(UTC), by="another-squall")
    tell_workers(settings, record)  # ... and by each worker
    until(lambda: worker.metric('squall_rules_reloads_total{outcome="failed"}') == 1, "the failure is not counted")
    assert worker.metric(in_force("shipped", None)) == 1
    log = worker.log.read_text()
    assert "the rules that another-squall decided on cannot be used, shipped stay in force: low.yaml:6:12" in log
    assert worker.send(signal.SIGTERM) == 0
    worker.start().wait_ready()  # it starts all the same
    assert worker.metric(in_force("shipped", None)) == 1
