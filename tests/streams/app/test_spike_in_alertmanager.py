"""From mentions to a real Alertmanager by a real worker: a spike is there once, is silenced there, and is over."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from deploy.kafka import LocalBroker
from streams.config import Settings
from streams.records import Mention, Progress, encode
from streams.topics import create_topics
from tests.streams.app.harness import Receiver, WorkerProcess, until
from tests.streams.deliver.alertmanager import running_alertmanager
from tests.streams.monitor.invented import EAGER, START, ended, heard, incident

PARTITIONS = 2
HIGHEST = START + timedelta(hours=29, minutes=10)
"""The incident begins 28 hours after the start and lasts an hour."""


def write(settings: Settings, mentions: Iterable[Mention], news: Iterable[Progress]) -> None:
    """Write mentions where their company's are, and news of the feed to every partition."""
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for mention in mentions:
        producer.send(settings.topics.mentions, key=mention.entity.encode(), value=encode(mention))
    for one in news:
        for partition in range(PARTITIONS):
            producer.send(settings.topics.mentions, value=encode(one), partition=partition)
    producer.flush()
    producer.close()


@pytest.mark.broker
def test_a_spike_is_in_alertmanager_once_is_silenced_there_and_is_over(
    kafka: LocalBroker, make_settings: Any, topic_prefix: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(EAGER.partition("  - alert: High")[0])
    with Receiver() as desk, running_alertmanager(tmp_path / "alertmanager", _tells(desk)) as manager:
        receivers = {"am": {"type": "alertmanager", "urls": [manager.url], "resend_every_s": 1}}
        settings = make_settings(
            kafka.bootstrap,
            topic_prefix,
            monitor={"rules": str(rules)},
            delivery={"terminal": False, "receivers": receivers, "external_url": "https://squall.bank.example"},
            worker={"session_timeout_s": 10.0},
        )
        create_topics(settings)
        mentions = incident(random.Random(3), partitions=PARTITIONS)
        with WorkerProcess(settings, tmp_path, role="monitor") as worker:
            worker.wait_ready()
            write(settings, [], heard(PARTITIONS))
            write(settings, [m for m in mentions if m.published_at < HIGHEST], ended(PARTITIONS, HIGHEST))
            (shown,) = until(lambda: manager.alerts() or worker.must_live(), "the spike is in Alertmanager")
            assert shown["labels"] == {"alertname": "Surge", "entity": "AURL"}
            assert shown["annotations"]["summary"].startswith("ALERT")
            assert "stories" in shown["annotations"]["description"]
            assert shown["annotations"]["replay"].startswith("squall replay")
            assert shown["generatorURL"] == "https://squall.bank.example"
            until(lambda: desk.payloads, "the desk is told")
            silence = manager.silence("entity", "AURL")
            until(lambda: worker.metric("squall_alerts_resent_total"), "it is sent again while it fires")
            (shown,) = until(
                lambda: [one for one in manager.alerts() if one["status"]["silencedBy"]], "it is silenced there"
            )
            assert shown["status"]["silencedBy"] == [silence]
            after = max(m.published_at for m in mentions) + timedelta(hours=1)
            write(settings, [m for m in mentions if m.published_at >= HIGHEST], ended(PARTITIONS, after))
            until(lambda: not manager.alerts() or worker.must_live(), "it is over in Alertmanager")
            assert worker.metric("squall_alerts_undelivered_total") == 0
    told = [(one["status"], one["commonLabels"]["entity"]) for one in desk.payloads]
    assert told == [("firing", "AURL")], "once, and the end of what is silenced is told to nobody"


def _tells(desk: Receiver) -> dict[str, Any]:
    hook = {"url": desk.url, "send_resolved": True, "http_config": {"authorization": {"credentials": "desk-token"}}}
    return {
        "route": {"receiver": "desk", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "desk", "webhook_configs": [hook]}],
    }
