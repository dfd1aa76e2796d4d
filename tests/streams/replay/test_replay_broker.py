from pathlib import Path

import pytest
import typer
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.cli import ENTRIES, load
from deploy.cli import replay as command
from streams.assembly import company_names, monitor_options
from streams.config import Settings
from streams.errors import BrokerError, TopicError
from streams.monitor import PartitionMonitor, default_rules
from streams.records import Alert, Mention, encode
from streams.replay.log import read_alerts
from streams.replay.results import alert_from_line, load_run
from streams.replay.sources.partitioner import partition_of
from tests.streams.replay.replay_log import BAD, story

pytestmark = pytest.mark.broker


def _live(settings: Settings) -> list[Alert]:
    """Put the story on Kafka, with the alerts that monitors raise on it; some of them twice, as after a crash."""
    options, partitions = monitor_options(settings), settings.topics.mention_partitions
    names = company_names(settings)
    monitors = [PartitionMonitor(n, default_rules(), options, names=names) for n in range(partitions)]
    offsets = [0] * partitions
    alerts: list[Alert] = []
    producer = KafkaProducer(**settings.kafka.client_options(), compression_type="lz4", linger_ms=20)
    for entity, record in story():
        chosen = range(partitions) if entity is None else [partition_of(entity, partitions)]
        for number in chosen:
            key = entity.encode() if entity else None
            where = {} if isinstance(record, Mention) else {"partition": number}
            producer.send(settings.topics.mentions, value=encode(record), key=key, **where)
            alerts += monitors[number].absorb(record, offsets[number])
            offsets[number] += 1
    for alert in [*alerts, *alerts[-2:]]:
        producer.send(settings.topics.alerts, value=encode(alert), key=alert.id.encode())
    producer.flush()
    producer.close()
    return alerts


def _sorted(alerts: list[Alert]) -> list[bytes]:
    return sorted(encode(alert) for alert in alerts)


def test_a_replay_from_kafka_gives_the_alerts_that_were_raised(
    settings_with_topics: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with_topics
    live = _live(settings)
    fired = next(alert for alert in live if alert.state == "firing")
    assert fired.labels["entity"] == BAD
    assert {alert.id for alert in read_alerts(settings)} == {alert.id for alert in live}
    monkeypatch.setattr(command, "settings", lambda: settings)

    out = tmp_path / "all"
    result = _squall("replay", "kafka:", "--as-scored", "--check", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "byte for byte" in result.output
    assert _sorted(load_run(out).alerts) == _sorted(live)

    # The command that the alert itself carries.
    words = fired.replay.split()
    assert words[:2] == ["squall", "replay"]
    result = _squall(*words[1:], "--check", "--out", str(tmp_path / "one"))
    assert result.exit_code == 0, result.output
    assert "byte for byte" in result.output
    rows = (tmp_path / "one" / "alerts.jsonl").read_bytes().splitlines()
    assert encode(alert_from_line(rows[-1])) == encode(fired)

    # One alert too many on the topic is found.
    producer = KafkaProducer(**settings.kafka.client_options())
    stray = encode(fired).replace(fired.id.encode(), b"0" * 16)
    producer.send(settings.topics.alerts, value=stray, key=b"0" * 16)
    producer.flush()
    producer.close()
    result = _squall("replay", "kafka:", "--as-scored", "--check")
    assert result.exit_code == 1
    assert "was raised, but does not follow from the log" in result.output


def _squall(name: str, *arguments: str) -> Result:
    entry = next(entry for entry in ENTRIES if entry.name == name)
    assert load(entry).name == "replay"
    app = typer.Typer(add_completion=False)
    app.command()(command.replay)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_without_topics_a_replay_says_which_one_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "settings", lambda: settings)
    result = _squall("replay", "kafka:", "--as-scored")
    assert isinstance(result.exception, TopicError)
    assert f"there is no topic {settings.topics.mentions}" in str(result.exception)


def test_without_a_broker_a_replay_says_so(make_settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "settings", lambda: make_settings("127.0.0.1:1", "nowhere"))
    result = _squall("replay", "kafka:", "--as-scored")
    assert isinstance(result.exception, BrokerError)
    assert "cannot reach Kafka" in str(result.exception)
