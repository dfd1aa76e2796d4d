import json
from pathlib import Path

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner

from deploy.cli import load
from deploy.cli import replay as command
from streams.assembly import company_names, monitor_options
from streams.config import Settings
from streams.errors import BrokerError, TopicError
from streams.monitor import PartitionMonitor, default_rules
from streams.records import Alert, Mention, encode
from streams.replay import partition_of, read_alerts, replay_mentions
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

    assert _sorted(list(replay_mentions(settings, rules=default_rules()))) == _sorted(live)
    assert _sorted(list(replay_mentions(settings, rules=default_rules(), entity=BAD))) == _sorted(
        [alert for alert in live if alert.labels["entity"] == BAD]
    )
    assert {alert.id for alert in read_alerts(settings)} == {alert.id for alert in live}

    # The command that the alert itself carries.
    monkeypatch.setattr(command, "settings", lambda: settings)
    words = fired.replay.split()
    assert words[:2] == ["squall", "replay"]
    entry = next(entry for entry in _entries() if entry.name == "replay")
    file = tmp_path / "alerts.jsonl"
    result = CliRunner().invoke(_typer(entry), [*words[2:], "--output", str(file), "--compare"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert rows[-1] == json.loads(encode(fired))
    assert "byte for byte" in result.output

    # One alert too many on the topic is found.
    producer = KafkaProducer(**settings.kafka.client_options())
    stray = encode(fired).replace(fired.id.encode(), b"0" * 16)
    producer.send(settings.topics.alerts, value=stray, key=b"0" * 16)
    producer.flush()
    producer.close()
    result = CliRunner().invoke(_typer(entry), ["--compare"])
    assert result.exit_code == 1
    assert "was raised, but does not follow from the log" in result.output


def _entries():
    from deploy.cli import ENTRIES

    return ENTRIES


def _typer(entry):
    import typer

    app = typer.Typer()
    app.command()(command.replay)
    assert load(entry).name == "replay"
    return app


def test_without_topics_a_replay_says_how_to_make_them(settings: Settings) -> None:
    with pytest.raises(TopicError, match="squall topics create"):
        list(replay_mentions(settings, rules=default_rules()))


def test_without_a_broker_a_replay_says_so(make_settings) -> None:
    with pytest.raises(BrokerError, match="cannot reach Kafka"):
        list(replay_mentions(make_settings("127.0.0.1:1", "nowhere"), rules=default_rules()))


def test_a_time_without_an_offset_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "settings", lambda: settings)
    entry = next(entry for entry in _entries() if entry.name == "replay")
    result = CliRunner().invoke(_typer(entry), ["--until", "2026-03-02T10:00:00"])
    assert result.exit_code == 2
    assert "with an offset" in result.output
