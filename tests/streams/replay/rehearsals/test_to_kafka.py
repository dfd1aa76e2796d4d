"""History is played into topics of its own: what a worker makes of it there, and that the live ones are left alone."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from deploy.cli import replay as replay_command
from deploy.cli import replay_to_kafka
from deploy.cli import topics as topics_command
from streams.config import Settings
from streams.errors import BrokerError, InputError, TopicError
from streams.records import FEED_MARK_KEY, Alert, Mention, Progress, decode_mention, decode_message, encode
from streams.replay.log import read_alerts
from streams.replay.rehearsals.rehearsal import rehearsal_design, rehearsal_settings, rehearsal_topics, remove_topics
from streams.replay.rehearsals.to_kafka import Play, PlayWatch, play_to_kafka
from streams.replay.results import load_run
from streams.replay.sources.options import Window
from streams.replay.sources.partitioner import partition_of
from streams.replay.sources.source import BadRecord
from streams.topics import admin_client, create_topics, design
from tests.streams.app.harness import WorkerProcess, end_of, records_of, until
from tests.streams.replay.replay_log import START, story
from tests.streams.replay.replay_source import write_mentions

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

TEXTS = ("$MSFT plunges after a fraud investigation", "$AAPL opens a shop", "$MSFT settles with the regulator")


class Clock:
    """A clock that moves only when someone sleeps by it; so many waits, and then Ctrl-C."""

    def __init__(self, waits: int | None = None) -> None:
        self.now_s = 1_000.0
        self.longest_s = 0.0
        self._waits = waits

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        if self._waits is not None:
            if not self._waits:
                raise KeyboardInterrupt
            self._waits -= 1
        self.longest_s = max(self.longest_s, seconds)
        self.now_s += seconds


@pytest.fixture
def prefix(settings: Settings) -> Iterator[str]:
    name = f"{settings.topics.prefix}-replay"
    yield name
    remove_topics(settings, rehearsal_topics(settings, name))


@pytest.fixture
def target(settings: Settings, prefix: str) -> Settings:
    return rehearsal_settings(settings, prefix)


@pytest.fixture
def mentions(tmp_path: Path) -> Path:
    return write_mentions(tmp_path / "mentions.jsonl")


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    path = tmp_path / "wire.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "published_at", "text"])
        for number, text in enumerate(TEXTS):
            rows.writerow([number, (START + timedelta(minutes=30 * number)).isoformat(), text])
        rows.writerow(["x", (START + timedelta(hours=2)).isoformat(), ""])
    return path


def squall(command: Callable[..., Any], settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: object) -> Result:
    for module in (replay_command, topics_command):
        monkeypatch.setattr(module, "settings", lambda: settings)
    app = typer.Typer(add_completion=False)
    app.command()(command)
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def held(settings: Settings) -> dict[str, int]:
    return {topic.name: end_of(settings, topic.name) for topic in design(settings)}


def names(settings: Settings) -> set[str]:
    with admin_client(settings.kafka) as admin:
        return set(admin.list_topics())


def same(alerts: list[Alert]) -> list[bytes]:
    return sorted(encode(alert) for alert in alerts)


def test_a_worker_raises_on_what_is_played_the_alerts_of_the_offline_replay(
    settings_with_topics: Settings,
    target: Settings,
    prefix: str,
    mentions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, replay = settings_with_topics, replay_command.replay
    before = held(settings)
    out = tmp_path / "offline"
    assert squall(replay, settings, monkeypatch, mentions, "--as-scored", "--out", out).exit_code == 0
    offline = load_run(out).alerts
    assert {alert.state for alert in offline} >= {"firing"}

    played = squall(replay, settings, monkeypatch, mentions, "--as-scored", "--to-kafka", "--prefix", prefix)
    assert played.exit_code == 0, played.output
    assert f"{prefix}.mentions with 2 partitions as in the settings" in played.stderr
    assert "retention.ms=-1" in played.stderr
    assert f"SQUALL_TOPICS__PREFIX={prefix} " in played.stdout
    assert "worker --role monitor" in played.stdout
    assert f"squall topics remove --prefix {prefix}" in played.stdout

    with WorkerProcess(target, tmp_path, role="monitor") as worker:
        worker.wait_ready()
        until(
            lambda: worker.must_live() or len(list(read_alerts(target))) >= len(offline), "the worker raises no alerts"
        )
    assert same(list(read_alerts(target))) == same(offline)
    assert held(settings) == before

    again = squall(replay, settings, monkeypatch, mentions, "--as-scored", "--to-kafka", "--prefix", prefix)
    assert isinstance(again.exception, TopicError)
    assert f"{prefix}.mentions holds" in str(again.exception)
    more = squall(replay, settings, monkeypatch, mentions, "--as-scored", "--to-kafka", "--prefix", prefix, "--force")
    assert more.exit_code == 0, more.output

    # The worker has left a topic for its state; it goes too.
    removed = squall(topics_command.remove, settings, monkeypatch, "--prefix", prefix, "--yes")
    assert removed.exit_code == 0, removed.output
    assert not [name for name in names(settings) if name.startswith(prefix)]
    assert held(settings) == before


def test_played_messages_are_scored_with_their_own_times_and_time_does_not_leap_to_the_present(
    settings_with_topics: Settings, target: Settings, prefix: str, messages: Path, tmp_path: Path
) -> None:
    bad: list[BadRecord] = []
    played = play_to_kafka(Play((str(messages),), prefix), settings_with_topics, PlayWatch(on_bad=bad.append))
    assert (played.count, played.bad, played.first) == (3, 1, START)
    assert bad[0].where.endswith("wire.csv:5")
    records = list(records_of(target, target.topics.messages))
    for record in records:
        assert record.timestamp_type == 0  # CreateTime
        if record.key != FEED_MARK_KEY:
            at = decode_message(record.value).published_at
            assert record.timestamp == round(at.timestamp() * 1_000)
    assert sum(record.key == FEED_MARK_KEY for record in records) == 2 * target.topics.message_partitions

    def scored() -> list[Mention]:
        found = [decode_mention(record.value) for record in records_of(target, target.topics.mentions)]
        ended = [one for one in found if isinstance(one, Progress) and one.idle]
        return [one for one in found if isinstance(one, Mention)] if len(ended) >= 4 else []

    with WorkerProcess(target, tmp_path) as worker:
        worker.wait_ready()
        there = until(lambda: worker.must_live() or scored(), "no mentions came")
    assert {(one.message_id, one.received_at) for one in there} == {
        (f"wire:{number}", START + timedelta(minutes=30 * number)) for number in range(3)
    }
    times = [decode_mention(record.value) for record in records_of(target, target.topics.mentions)]
    latest = max(one.event_time for one in times if isinstance(one, Progress) and one.event_time is not None)
    assert latest <= START + timedelta(hours=1, seconds=target.monitor.allowed_lateness_s)


def test_mentions_carry_their_own_times_and_stand_where_the_scorer_puts_them(
    settings: Settings, target: Settings, prefix: str, mentions: Path
) -> None:
    play_to_kafka(Play((str(mentions),), prefix, as_scored=True), settings)
    count = 0
    for record in records_of(target, target.topics.mentions):
        item = decode_mention(record.value)
        if isinstance(item, Mention):
            count += 1
            assert record.timestamp == int(item.published_at.timestamp() * 1_000 + 1e-6)
            assert record.key == item.entity.encode()
            assert record.partition == partition_of(item.entity, target.topics.mention_partitions)
        assert START.timestamp() * 1_000 <= record.timestamp < (START + timedelta(days=3)).timestamp() * 1_000
    assert count == sum(isinstance(record, Mention) for _, record in story())


def test_a_log_on_kafka_is_played_record_for_record(
    settings_with_topics: Settings, target: Settings, prefix: str
) -> None:
    settings = settings_with_topics
    producer = KafkaProducer(**settings.kafka.client_options(), linger_ms=20)
    for entity, record in story():
        for number in range(2) if entity is None else [partition_of(entity, 2)]:
            producer.send(settings.topics.mentions, value=encode(record), partition=number)
    producer.flush()
    producer.close()
    before = held(settings)
    source = (f"kafka:{settings.topics.mentions}",)
    play_to_kafka(Play(source, prefix, as_scored=True), settings)
    live, played = (
        [(record.partition, record.value) for record in records_of(settings, topic)]
        for topic in (settings.topics.mentions, target.topics.mentions)
    )
    assert played == live
    assert held(settings) == before

    other = settings.model_copy(update={"topics": settings.topics.model_copy(update={"mention_partitions": 3})})
    with pytest.raises(InputError, match="has 2 partitions, the settings say 3"):
        play_to_kafka(Play(source, f"{prefix}-3", as_scored=True), other)
    assert not [name for name in names(settings) if name.startswith(f"{prefix}-3")]


def test_the_live_topics_are_refused_before_anything_is_opened_or_made(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    nowhere = make_settings("127.0.0.1:1", "desk.live")
    missing = str(tmp_path / "missing.csv")
    for prefix in ("desk.live", "desk_live", " desk.live"):
        with pytest.raises(InputError, match="stand the live topics"):
            play_to_kafka(Play((missing,), prefix), nowhere)
    with pytest.raises(InputError, match="would play this topic into itself"):
        play_to_kafka(Play(("kafka:replay-x.mentions?from=2026-03-01T00:00:00Z",), "replay-x"), nowhere)
    with pytest.raises(InputError, match="cannot begin the names of topics"):
        play_to_kafka(Play((missing,), "replay/x"), nowhere)
    with pytest.raises(InputError, match="no such file"):
        play_to_kafka(Play((missing,), "replay-x"), nowhere)


def test_topics_that_were_not_made_for_it_are_neither_played_into_nor_removed(
    settings_with_topics: Settings, mentions: Path, messages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = settings_with_topics
    before, there = held(live), names(live)
    # The configuration names another prefix, as it does for whoever rehearses: the live topics are found all the same.
    elsewhere = rehearsal_settings(live, f"{live.topics.prefix}-other")
    for source, as_scored in ((mentions, True), (messages, False)):
        with pytest.raises(TopicError, match="may be live"):
            play_to_kafka(Play((str(source),), live.topics.prefix, as_scored=as_scored, add=True), elsewhere)
    for settings, error in ((elsewhere, TopicError), (live, InputError)):
        result = squall(topics_command.remove, settings, monkeypatch, "--prefix", live.topics.prefix, "--yes")
        assert isinstance(result.exception, error)
    assert (held(live), names(live)) == (before, there)


def test_topics_of_another_size_are_told(settings: Settings, target: Settings, prefix: str, mentions: Path) -> None:
    wide = target.model_copy(update={"topics": target.topics.model_copy(update={"mention_partitions": 3})})
    create_topics(wide, rehearsal_design(wide))
    with pytest.raises(TopicError, match=r"has 3 partitions, the settings say 2.*squall topics remove"):
        play_to_kafka(Play((str(mentions),), prefix, as_scored=True), settings)
    assert end_of(wide, target.topics.mentions) == 0


def test_a_source_that_cannot_be_read_leaves_no_topics(settings: Settings, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("id,text\n1,Quoll opens a ferry\n")
    with pytest.raises(InputError, match="no column for the time"):
        play_to_kafka(Play((str(path),), prefix), settings)
    assert not [name for name in names(settings) if name.startswith(prefix)]


def test_without_a_broker_it_says_so(make_settings: Callable[..., Settings], mentions: Path) -> None:
    with pytest.raises(BrokerError, match="cannot reach Kafka"):
        play_to_kafka(Play((str(mentions),), "replay-x", as_scored=True), make_settings("127.0.0.1:1", "nowhere"))


def test_at_3600x_an_hour_is_a_second_and_what_comes_before_the_range_takes_no_time(
    settings: Settings, prefix: str, mentions: Path
) -> None:
    clock, told = Clock(), []
    begin = START + timedelta(hours=20)
    play = Play((str(mentions),), prefix, as_scored=True, speed=3_600.0, window=Window(since=START), paced_from=begin)
    watch = PlayWatch(clock=clock, sleep=clock.sleep, on_progress=lambda count, at: told.append((clock.now_s, at)))
    played = play_to_kafka(play, settings, watch)
    assert played.first is not None
    assert played.first < START + timedelta(hours=1)
    assert clock.now_s - 1_000 == pytest.approx(20, abs=0.2)  # of the 40 hours
    assert clock.longest_s <= 1.0
    for now_s, at in told:
        if now_s > 1_000:
            assert abs((at - begin).total_seconds() / 3_600 - (now_s - 1_000)) < 0.2


def test_messages_keep_the_same_pace(settings: Settings, prefix: str, messages: Path) -> None:
    clock = Clock()
    play = Play((str(messages),), prefix, speed=60.0)
    assert play_to_kafka(play, settings, PlayWatch(clock=clock, sleep=clock.sleep)).count == 3
    assert clock.now_s - 1_000 == pytest.approx(60)


@pytest.mark.parametrize("as_scored", [True, False])
def test_a_play_that_is_stopped_says_where_and_leaves_what_was_played(
    settings: Settings,
    target: Settings,
    prefix: str,
    mentions: Path,
    messages: Path,
    as_scored: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock(waits=40)
    monkeypatch.setattr(replay_to_kafka, "PlayWatch", lambda **options: PlayWatch(**options, **vars_of(clock)))
    source = mentions if as_scored else messages
    play = Play((str(source),), prefix, as_scored=as_scored, speed=60.0)
    with pytest.raises(KeyboardInterrupt):
        replay_to_kafka.run_play(play, settings)
    told = capsys.readouterr().err
    assert "Stopped at 2026-03-02T00:" in told
    assert "--warm-up 0h --force goes on from there" in told
    assert f"squall topics remove --prefix {prefix}" in told
    topic = target.topics.mentions if as_scored else target.topics.messages
    at = [datetime.fromtimestamp(record.timestamp / 1_000, UTC) for record in records_of(target, topic)]
    assert START <= max(at) < START + timedelta(minutes=50)
    assert len(at) >= 2


def vars_of(clock: Clock) -> dict[str, Any]:
    return {"clock": clock, "sleep": clock.sleep}


def test_what_is_later_than_the_range_is_not_waited_for(settings: Settings, prefix: str, mentions: Path) -> None:
    clock = Clock()
    end = START + timedelta(hours=2)
    play = Play((str(mentions),), prefix, as_scored=True, speed=60.0, window=Window(until=end))
    played = play_to_kafka(play, settings, PlayWatch(clock=clock, sleep=clock.sleep))
    assert played.last is not None
    assert played.last <= end
    assert clock.now_s - 1_000 <= 125
    assert play_to_kafka(replace(play, add=True, speed=None), settings).count == played.count


def test_removing_asks_first(
    settings: Settings, target: Settings, prefix: str, messages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = squall(topics_command.remove, settings, monkeypatch, "--prefix", prefix)
    assert (nothing.exit_code, nothing.stdout) == (0, f"There are no topics under {prefix}\n")
    play_to_kafka(Play((str(messages),), prefix), settings)
    asked = squall(topics_command.remove, settings, monkeypatch, "--prefix", prefix)
    assert asked.exit_code == 1
    assert target.topics.messages in asked.stdout
    assert target.topics.messages in names(settings)
