"""Silences on a real broker: what is silenced calls nobody, and is told when the silence ends while it still fires."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer

from streams.config import Settings
from streams.control import tell_workers
from streams.records import Alert, Silence, SilenceMatcher, decode_alert, encode
from streams.silences import KEPT
from streams.topics import HISTORY_KEPT_MS
from tests.streams.app.harness import Receiver, WorkerProcess, records_of, until
from tests.streams.monitor.invented import Record, ended, heard, mention

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

HIGH = """
rules:
  - alert: High
    type: threshold
    window: 5m
    fire: {gte: 0.5}
    resolve: {lt: 0.4}
    effect_min: 0
    min_support: {stories: 3, sources: 2}
    keep_firing_for: 2m
    cooldown: {for: 0m}
"""
SECRETS = {"SQUALL_DELIVERY__WEBHOOK_TOKEN": "desk-token"}


class Desk:
    """A worker, a receiver, a feed, and an operator at a terminal."""

    def __init__(self, settings: Settings, worker: WorkerProcess, receiver: Receiver, folder: Path) -> None:
        self.settings, self.worker, self.receiver = settings, worker, receiver
        self._config = folder / "operator.yaml"
        self._config.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_unset=True)))
        self._number = 0
        self._at = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)

    def squall(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("silences", *words)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deploy.cli", "--config", str(self._config), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def feed(self, negative: float, minutes: int = 8) -> None:
        topics = self.settings.topics
        producer = KafkaProducer(**self.settings.kafka.client_options(), acks="all")
        records: list[Record] = [*heard(topics.message_partitions)]
        for _ in range(minutes):
            self._at += timedelta(seconds=30)
            self._number += 1
            records.append(mention(self._number, self._at, negative))
        records += ended(topics.message_partitions, self._at + timedelta(minutes=4))
        for record in records:
            producer.send(topics.mentions, encode(record), partition=0)
        producer.close()
        self._at += timedelta(minutes=3)  # what came before is closed: a mention of it would be late

    def go_on_at(self, at: datetime) -> None:
        self._at = at

    def take_away(self, key: bytes) -> None:
        producer = KafkaProducer(**self.settings.kafka.client_options(), acks="all")
        producer.send(self.settings.topics.control, None, key).get(timeout=30)
        producer.close()

    def alerts(self) -> list[Alert]:
        return [decode_alert(record.value) for record in records_of(self.settings, self.settings.topics.alerts)]

    def states(self) -> list[str]:
        return [alert.state for alert in self.alerts()]

    def heard(self) -> list[tuple[str, str]]:
        return [(one["squall"]["id"], one["status"]) for told in self.receiver.payloads for one in told["alerts"]]

    def active(self, number: int) -> None:
        until(lambda: self.worker.metric("squall_silences_active") == number, f"the worker does not know {number}")


@pytest.fixture
def desk(settings_with_topics: Settings, tmp_path: Path) -> Iterator[Desk]:
    rules = tmp_path / "high.yaml"
    rules.write_text(HIGH)
    monitor = settings_with_topics.monitor.model_copy(update={"rules": rules})
    settings = settings_with_topics.model_copy(update={"monitor": monitor})
    with Receiver() as receiver:
        secrets = {**SECRETS, "SQUALL_DELIVERY__WEBHOOK_URL": receiver.url, "SQUALL_MONITOR__RULES": str(rules)}
        with WorkerProcess(settings_with_topics, tmp_path, role="monitor", secrets=secrets) as worker:
            yield Desk(settings, worker.wait_ready(), receiver, tmp_path)


def test_what_is_silenced_calls_nobody_and_is_told_when_the_silence_is_expired_while_it_fires(
    desk: Desk, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    id_ = "known"
    fit = (SilenceMatcher(name="entity", op="=", value="AURL"), SilenceMatcher(name="rule", op="=~", value="Hi.*"))
    times = {"starts_at": now - timedelta(hours=2), "ends_at": now + timedelta(hours=3)}
    tell_workers(desk.settings, Silence(id=id_, matchers=fit, by="night-desk", comment="a known story", **times))
    listed = json.loads(desk.squall("list", "--json").stdout)
    assert [(one["id"], one["state"], one["by"]) for one in listed] == [(id_, "active", "night-desk")]
    desk.active(1)

    desk.feed(0.9)
    until(lambda: "suppressed" in desk.states(), "nothing is suppressed")
    found = next(alert for alert in desk.alerts() if alert.state == "suppressed")
    assert found.suppressed
    assert (found.suppressed.by, found.suppressed.what) == ("silence", id_)
    assert found.evidence.messages
    assert desk.worker.metric('squall_alerts_suppressed_total{by="silence"}') == 1
    assert desk.worker.metric('squall_alerts_open{rule="High",state="suppressed"}') is not None
    assert desk.worker.send(signal.SIGTERM) == 0
    desk.worker.start().wait_ready()  # it is known after a restart, and the alert is still kept back
    desk.active(1)
    desk.feed(0.9)
    until(lambda: (desk.worker.metric("squall_monitor_records_total") or 0) >= 8, "the mentions are not read")
    assert desk.receiver.payloads == []

    # What was kept back is of minutes ago: a silence that ends now ended before what comes next.
    expired = desk.squall("expire", id_)
    assert expired.returncode == 0, expired.stderr
    desk.active(0)
    desk.go_on_at(datetime.now(UTC) + timedelta(minutes=1))
    desk.feed(0.9, minutes=20)
    until(lambda: desk.heard() == [(found.id, "firing")], "the receiver does not hear of it")
    desk.feed(0.0, minutes=30)
    until(lambda: (found.id, "resolved") in desk.heard(), "the receiver is not told that it is over")
    assert [state for one, state in desk.heard() if one == found.id] == ["firing", "resolved"]
    checked = desk.run("replay", "kafka:", "--as-scored", "--check", "--out", str(tmp_path / "run"))
    assert checked.returncode == 0, checked.stdout + checked.stderr  # a replay knows the silences
    assert desk.squall("list").stdout.strip() == "Nothing is silenced."
    assert id_ in desk.squall("list", "--all").stdout
    assert "is over already" in desk.squall("expire", id_).stdout


def test_a_silence_that_cannot_be_applied_silences_nothing_loudly(desk: Desk) -> None:
    now = datetime.now(UTC)
    wrong: dict[str, Any] = {"starts_at": now, "ends_at": now + timedelta(hours=1), "by": "another", "comment": ""}
    broken = SilenceMatcher(name="entity", op="=~", value="a{2000}")
    tell_workers(desk.settings, Silence(id="broken", matchers=(broken,), **wrong))
    until(lambda: desk.worker.metric("squall_silences_refused_total") == 1, "it is not counted")
    until(lambda: "silence broken of another cannot be applied" in desk.worker.log.read_text(), "nothing is said")
    listed = desk.squall("list")
    assert "broken" in listed.stdout
    desk.feed(0.9)
    until(lambda: "firing" in desk.states(), "nothing fires")


def test_silences_are_taken_from_the_topic_with_the_next_one_when_no_alert_of_their_time_is_left(desk: Desk) -> None:
    fit = (SilenceMatcher(name="entity", op="=", value="AURL"),)
    kept = datetime.now(UTC) - timedelta(milliseconds=HISTORY_KEPT_MS)
    for id_, end in (("old", kept), ("very-old", kept - KEPT - timedelta(days=1))):
        times = {"starts_at": end - timedelta(hours=1), "ends_at": end}
        tell_workers(desk.settings, Silence(id=id_, matchers=fit, by="desk", comment="", **times))
    assert "very-old" in desk.squall("list", "--all").stdout
    begin = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    added = desk.squall("add", "entity=BRND", "--for", "5h", "--from", begin, "--comment", "why", "--by", "night-desk")
    assert added.returncode == 0, added.stderr
    assert "It begins now: what was told since" in added.stdout
    listed = json.loads(desk.squall("list", "--json").stdout)
    (one,) = listed
    assert (one["state"], one["by"]) == ("active", "night-desk")
    assert datetime.fromisoformat(one["starts_at"]) > datetime.now(UTC) - timedelta(minutes=10)
    assert datetime.fromisoformat(one["ends_at"]) < datetime.now(UTC) + timedelta(hours=3)
    every = {one["id"] for one in json.loads(desk.squall("list", "--all", "--json").stdout)}
    assert every == {"old", one["id"]}


def test_a_silence_that_is_taken_from_the_topic_silences_nothing_in_a_worker_that_runs_or_starts(desk: Desk) -> None:
    now = datetime.now(UTC)
    fit = (SilenceMatcher(name="entity", op="=", value="AURL"),)
    times = {"starts_at": now - timedelta(hours=2), "ends_at": now + timedelta(hours=3)}
    for id_ in ("one", "two"):
        tell_workers(desk.settings, Silence(id=id_, matchers=fit, by="desk", comment="", **times))
    desk.active(2)
    desk.take_away(b"silence:one")
    desk.active(1)
    assert desk.worker.send(signal.SIGTERM) == 0
    desk.take_away(b"silence:two")
    desk.worker.start().wait_ready()
    assert desk.worker.metric("squall_silences_active") == 0
    desk.feed(0.9)
    until(lambda: "firing" in desk.states(), "nothing fires")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "entity~ACME", "--for", "1h", "--comment", "x"), "is no matcher: write one as"),
        (("add", "entity=~(", "--for", "1h", "--comment", "x"), "holds no regular expression"),
        (("add", "entity=~.*", "--for", "1h", "--comment", "x"), "or it would silence everything"),
        (("add", "entity=ACME", "--for", "0h", "--comment", "x"), "is no length of time: write 30m"),
        (("add", "entity=ACME", "--for", "400d", "--comment", "x"), "may last a year at most"),
        (("add", "entity=ACME", "--for", "1h", "--from", "today", "--comment", "x"), "is no time with an offset"),
        (("add", "entity=ACME", "--for", "1h"), "Missing option '--comment'"),
        (("expire", "nobody"), "there is no silence nobody"),
    ],
)
def test_what_makes_no_silence_is_refused_in_words(
    settings_with_topics: Settings, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with Receiver() as receiver:
        process = WorkerProcess(settings_with_topics, tmp_path, role="monitor")
        refused = Desk(settings_with_topics, process, receiver, tmp_path).squall(*words)
    assert refused.returncode == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())
