"""Kills, a broker restart and bad bytes change nothing: the same mentions, the same dead letters, the same alerts."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from deploy.demo.companies import write_table
from deploy.demo.story import demo_days, demo_history
from deploy.kafka import LocalBroker, free_port
from streams.config import Settings
from streams.records import (
    FEED_MARK_KEY,
    DeadLetter,
    FeedMark,
    Mention,
    Message,
    decode_alert,
    decode_mention,
    encode,
)
from streams.topics import create_topics
from tests.streams.app.harness import Receiver, WorkerProcess, end_of, records_of, until

GOOD = 1_800
BAD = 200
LATENESS_S = 120

Row = tuple[bytes, bytes | None]
"""Key and value of a record of the messages topic."""


def good_messages() -> list[Message]:
    """The last day of a quiet history, then three days with incidents."""
    days, _ = demo_days(seed=11, history_days=1)
    return [*demo_history(seed=11, days=1), *days][-GOOD:]


def bad_rows(dice: random.Random) -> list[tuple[Row, str]]:
    """Records that must be refused, each with the reason; all different, so that each can be found again."""

    def altered(number: int, **fields: Any) -> bytes:
        message = {"id": f"bad-{number}", "source": "wire", "published_at": "2026-03-18T12:00:00Z", "text": "Bad news."}
        return json.dumps(message | fields).encode()

    makers = [
        (lambda n: b'{"id": "bad-%d", ' % n, "not_json"),
        (lambda n: b'{"id": "bad-%d \xff\xfe"}' % n, "not_utf8"),
        (lambda n: altered(n, text=n), "wrong_type"),
        (lambda n: altered(n, published_at="2026-03-18T12:00:00"), "wrong_type"),
        (lambda n: altered(n, published_at="1969-07-20T20:17:40Z"), "too_old"),
        (lambda n: altered(n, published_at="2999-01-01T00:00:00Z"), "in_the_future"),
        (lambda n: altered(n, text=" \u200b ", title=None), "empty_text"),
        (lambda n: altered(n, id="", note=n), "bad_id"),
        (lambda n: altered(n, source=" ", note=n), "bad_source"),
        (lambda n: altered(n, schema=99), "newer_schema"),
        (lambda n: altered(n, text="x" * 300_000), "too_large"),
    ]
    rows = [
        ((f"s{dice.randrange(9)}".encode(), make(n)), why) for n in range(BAD - 1) for make, why in [makers[n % 11]]
    ]
    return [*rows, ((b"s1", None), "tombstone")]


def shuffled_in(rows: Sequence[Row], others: Iterable[Row], dice: random.Random) -> list[Row]:
    """Put rows at random places, and leave the order of the first ones as it is."""
    mixed = list(rows)
    for row in others:
        mixed.insert(dice.randrange(len(mixed) + 1), row)
    return mixed


def publish(settings: Settings, rows: Iterable[Row]) -> None:
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all", enable_idempotence=True)
    for key, value in rows:
        producer.send(settings.topics.messages, key=key, value=value)
    producer.flush()
    producer.close()


def finished(worker: WorkerProcess, settings: Settings, last_ms: int) -> None:
    """Wait until every partition's watermark has reached the end of the feed, and nothing waits."""
    wanted = settings.topics.mention_partitions * (last_ms / 1000 - LATENESS_S)

    def done() -> bool:
        worker.must_live()
        reached = worker.metric("squall_watermark_seconds")
        return reached is not None and abs(reached - wanted) < 0.5 and worker.metric("squall_waiting_records") == 0

    until(done, "the watermark has not reached the end of the feed")


def alerts_on(settings: Settings) -> dict[tuple[str, int], bytes]:
    """Alert transitions; the copies of one must be the same bytes."""
    found: dict[tuple[str, int], bytes] = {}
    for record in records_of(settings, settings.topics.alerts):
        alert = decode_alert(record.value)
        assert found.setdefault((alert.id, alert.transition), record.value) == record.value
    return found


def mentions_on(settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """What was said of each (message, company), without the clocks of the run; copies must agree."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records_of(settings, settings.topics.mentions):
        mention = decode_mention(record.value)
        if isinstance(mention, Mention):
            said = json.loads(encode(mention))
            for clock in ("received_at", "scored_at", "origin"):
                del said[clock]
            assert found.setdefault((mention.message_id, mention.entity), said) == said
    return found


def dead_letters_on(settings: Settings) -> set[tuple[bytes | None, str]]:
    letters = (
        DeadLetter.from_headers(record.headers, key=record.key, value=record.value)
        for record in records_of(settings, settings.topics.dead_letters)
    )
    return {(letter.value, letter.reason) for letter in letters}


@dataclass(frozen=True)
class Run:
    """What a run left on the topics."""

    mentions: dict[tuple[str, str], dict[str, Any]]
    dead_letters: set[tuple[bytes | None, str]]
    alerts: dict[tuple[str, int], bytes]
    webhooks: list[dict[str, Any]] = field(default_factory=list)


class Stage:
    """A broker of this module's own, and the records that every run is fed."""

    def __init__(self, folder: Path, broker: LocalBroker, make_settings: Any) -> None:
        dice = random.Random(5)
        self.folder = folder
        self.broker = broker
        self.messages = good_messages()
        self.bad = bad_rows(dice)
        self.rows = shuffled_in(
            [(m.source.encode(), encode(m)) for m in self.messages], [row for row, _ in self.bad], dice
        )
        self.last_ms = max(int(m.published_at.timestamp() * 1000) for m in self.messages)
        self._make_settings = make_settings
        write_table(folder / "companies.csv")

    def settings(self, name: str, rows: Sequence[Row] | None = None, *, idle_after_s: float = 2.0) -> Settings:
        """Settings with topics of their own, filled with all rows or with these."""
        settings: Settings = self._make_settings(
            self.broker.bootstrap,
            name,
            worker={"batch_messages": 32, "idle_after_s": idle_after_s, "session_timeout_s": 10.0},
            monitor={"allowed_lateness_s": LATENESS_S},
            entities={"tables": [str(self.folder / "companies.csv")]},
            delivery={"terminal": False},
        )
        create_topics(settings)
        publish(settings, self.rows if rows is None else rows)
        return settings

    def worker(
        self,
        settings: Settings,
        name: str,
        *,
        role: str = "all",
        secrets: dict[str, str] | None = None,
        named: bool = True,
    ) -> WorkerProcess:
        """A worker with a folder of its own, not started; without a name it leaves its group when it ends."""
        folder = self.folder / settings.topics.prefix / name
        folder.mkdir(parents=True)
        instance = name if named else None
        own = settings.model_copy(update={"worker": settings.worker.model_copy(update={"instance_id": instance})})
        return WorkerProcess(own, folder, role=role, secrets=secrets)


def result(settings: Settings) -> Run:
    return Run(mentions_on(settings), dead_letters_on(settings), alerts_on(settings))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, make_settings: Any) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("once")
    broker = LocalBroker(folder / "broker", free_port())
    broker.start(timeout_s=120)
    yield Stage(folder, broker, make_settings)
    broker.stop()


@pytest.fixture(scope="module")
def calm(stage: Stage) -> Run:
    """The run that nothing disturbs; what the others are compared with."""
    settings = stage.settings("calm")
    with Receiver() as receiver:
        secrets = {"SQUALL_DELIVERY__WEBHOOK_URL": receiver.url, "SQUALL_DELIVERY__WEBHOOK_TOKEN": "desk-token"}
        with stage.worker(settings, "one", secrets=secrets) as worker:
            finished(worker, settings, stage.last_ms)
            assert worker.send(signal.SIGTERM) == 0
            assert "desk-token" not in worker.log.read_text()
    return replace(result(settings), webhooks=receiver.payloads)


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_every_good_message_has_its_mentions_and_every_bad_one_its_reason(stage: Stage, calm: Run) -> None:
    assert len(stage.rows) == GOOD + BAD
    unread = [m for m in stage.messages if m.lang == "zh"]  # no model reads it: kept, and not scored
    scored = [m for m in stage.messages if m not in unread]
    assert {message_id for message_id, _ in calm.mentions} == {f"{m.source}:{m.id}" for m in scored}
    bad = {(value, reason) for (_, value), reason in stage.bad}
    assert calm.dead_letters == bad | {(encode(m), "no_model") for m in unread}
    assert unread
    assert any(decode_alert(data).state == "firing" for data in calm.alerts.values()), "nothing fired"


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_the_webhook_gets_each_firing_and_each_end_once_in_alertmanagers_shape(calm: Run) -> None:
    alerts = [decode_alert(data) for data in calm.alerts.values()]
    called_for = sorted((a.id, a.transition, a.state) for a in alerts if a.is_news)
    got = sorted(
        (p["alerts"][0]["squall"]["id"], p["alerts"][0]["squall"]["transition"], p["status"]) for p in calm.webhooks
    )
    assert got == called_for
    first = calm.webhooks[0]
    assert first["version"] == "4"
    assert {"receiver", "groupKey", "commonLabels", "externalURL", "alerts"} <= first.keys()
    assert first["alerts"][0]["labels"]["alertname"] == "NegativeShareSurge"


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_three_kills_and_a_broker_restart_lose_nothing_and_change_no_alert(stage: Stage, calm: Run) -> None:
    settings = stage.settings("rough")
    with stage.worker(settings, "one") as worker:
        trouble(worker, settings, stage.broker)
        finished(worker, settings, stage.last_ms)
        assert worker.send(signal.SIGTERM) == 0
    rough = result(settings)
    assert rough.mentions == calm.mentions
    assert rough.dead_letters == calm.dead_letters
    assert rough.alerts == calm.alerts


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_roles_apart_and_a_second_worker_that_takes_over_change_no_alert(stage: Stage, calm: Run) -> None:
    settings = stage.settings("apart")
    with (
        stage.worker(settings, "scorer", role="scorer") as scorer,
        stage.worker(settings, "first", role="monitor") as first,
        stage.worker(settings, "second", role="monitor") as second,
    ):
        at_work(scorer, settings)
        second.wait_ready()
        assert first.send(signal.SIGTERM) == 0
        finished(second, settings, stage.last_ms)
        assert scorer.send(signal.SIGTERM) == 0
        assert second.send(signal.SIGTERM) == 0
    with stage.worker(settings, "third", role="monitor") as third:
        finished(third, settings, stage.last_ms)  # it reads no record, and yet tells how far it was watched
        assert third.send(signal.SIGTERM) == 0
    apart = result(settings)
    assert apart.mentions == calm.mentions
    assert apart.alerts == calm.alerts


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_of_two_workers_under_load_one_leaves_one_joins_and_one_is_killed_and_no_alert_changes(
    stage: Stage, calm: Run
) -> None:
    third = len(stage.rows) // 3
    # History in pieces: a partition that is quiet in between has not ended, and no scorer knows of another's.
    settings = stage.settings("moving", stage.rows[:third], idle_after_s=600.0)
    with (
        stage.worker(settings, "one", named=False) as one,
        stage.worker(settings, "two", named=False) as two,
    ):
        one.wait_ready()
        two.wait_ready()
        publish_and_see_read(settings, stage.rows[third : 2 * third], one, two)
        assert one.send(signal.SIGTERM) == 0
        with stage.worker(settings, "three", named=False) as three:
            three.wait_ready()
            publish_and_see_read(settings, stage.rows[2 * third :], two, three)
            two.send(signal.SIGKILL)
            publish_marks(settings, stage.last_ms)
            finished(three, settings, stage.last_ms)
            assert three.send(signal.SIGTERM) == 0
    moved = result(settings)
    assert moved.mentions == calm.mentions
    assert moved.dead_letters == calm.dead_letters
    assert list(differences(moved.alerts, calm.alerts)) == []


def trouble(worker: WorkerProcess, settings: Settings, broker: LocalBroker) -> None:
    """Kill the worker three times in the middle of its work, and restart the broker under it once."""
    for kill in range(3):
        at_work(worker, settings)
        worker.send(signal.SIGKILL)
        worker.start()
        if kill == 1:
            at_work(worker, settings)
            broker.stop()
            broker.start(timeout_s=120)


def differences(found: dict[tuple[str, int], bytes], wanted: dict[tuple[str, int], bytes]) -> Iterator[str]:
    """Where transitions differ, field by field: their bytes are too long to be compared by eye."""
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            yield from _fields(str(key), json.loads(found.get(key, b"null")), json.loads(wanted.get(key, b"null")))


def _fields(path: str, found: Any, wanted: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            yield from _fields(f"{path}.{name}", found.get(name), wanted.get(name))
    elif found != wanted:
        yield f"{path}: {found!r}, not {wanted!r}"


def publish_marks(settings: Settings, last_ms: int) -> None:
    """Say on every partition that its feed has come to a time."""
    mark = FeedMark(feed="pieces", event_time=datetime.fromtimestamp(last_ms / 1000, tz=UTC))
    producer = KafkaProducer(**settings.kafka.client_options(), acks="all")
    for number in range(settings.topics.message_partitions):
        producer.send(settings.topics.messages, key=FEED_MARK_KEY, value=encode(mark), partition=number)
    producer.flush()
    producer.close()


def publish_and_see_read(settings: Settings, rows: Sequence[Row], *workers: WorkerProcess) -> None:
    """Publish while workers run, and wait until each of them has read some of it."""
    before = [worker.metric("squall_messages_total") or 0 for worker in workers]
    publish(settings, rows)
    for worker, count in zip(workers, before, strict=True):
        until(
            lambda worker=worker, count=count: (
                worker.must_live() or (worker.metric("squall_messages_total") or 0) >= count + 32
            ),
            "a worker reads nothing",
        )


def at_work(worker: WorkerProcess, settings: Settings) -> None:
    """Wait until the worker that runs now has written some mentions, and see that it has not written them all."""
    before = end_of(settings, settings.topics.mentions)
    until(
        lambda: worker.must_live() or end_of(settings, settings.topics.mentions) >= before + 100,
        "the worker writes no mentions",
    )
    assert len(mentions_on(settings)) < GOOD, "too late: all is done"
