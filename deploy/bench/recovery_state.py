"""What a deleted state costs: time, and no alert. Mentions of many companies through a real monitor, twice.

One monitor reads the history and what comes after it without an interruption. The other one reads the history, is
stopped, its folder is deleted, and it is started again, as often as is asked for; then it reads what comes after. Its
alerts must be the same bytes.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deploy.bench.feed import everyday_companies
from deploy.bench.mixed_feed import Row
from deploy.bench.offer import publish_rows
from deploy.bench.rig import SQUALL, Rig, WorkerProcess, rig
from models.benchmark import generate_texts
from streams.app.layout import state_changelog
from streams.config import Settings
from streams.records import Mention, ModelVersion, Origin, Progress, decode_alert, encode
from streams.replay.log import read_topic
from streams.replay.sources.topic_reader import TopicReader, partitions_of, topic_consumer, whole

_MODEL = ModelVersion(name="bench", version="0" * 12)
_SURGING = 8
_SURGE_MENTIONS = 40
_AFTER = timedelta(hours=3)
_TEXTS = 4_096


@dataclass(frozen=True, slots=True)
class StateRun:
    """What deleting the state of so many companies came to.

    Attributes:
        companies, mentions: how many.
        ready_s: from the start of the process until it was ready, each time.
        bare_s: the same without any state.
        saved, saved_mib: records of the changelog, and their size.
        alerts: transitions of the run without an interruption.
        same: transitions that are the same bytes in both.
    """

    companies: int
    mentions: int
    ready_s: tuple[float, ...]
    bare_s: float
    saved: int
    saved_mib: float
    alerts: int
    same: int


def delete_state(
    settings: Settings, companies: int, *, days: int, per_day: int, repeats: int, worker: Sequence[str] = SQUALL
) -> StateRun:
    """Let two monitors read the same mentions, delete the state of one, and compare.

    Args:
        settings: for the cluster.
        companies: how many.
        days: of history.
        per_day: mentions of each company in a day.
        repeats: how often the state is deleted.
        worker: how to start `squall`.

    Raises:
        SquallError: a monitor fails, with the end of its log.
    """
    start = datetime(2026, 3, 2, tzinfo=UTC)
    history_end = start + timedelta(days=days)
    with rig(settings, everyday_companies(), command=worker) as calm, calm.worker("monitor") as process:
        process.wait_ready()
        _publish(calm, companies, start, history_end, per_day)
        _publish_surges(calm, companies, history_end)
        _wait_for(process, calm.settings, history_end + _AFTER)
        wanted = _alerts(calm.settings)
    ready_s = []
    with rig(settings, everyday_companies(), command=worker) as rough:
        bare_s, process_count = 0.0, 0
        with rough.worker("monitor") as process:
            began_s = time.monotonic()
            process.wait_ready()
            bare_s = time.monotonic() - began_s
            process_count = _publish(rough, companies, start, history_end, per_day)
            _wait_for(process, rough.settings, history_end)
        saved, size = _changelog(rough.settings)
        for number in range(repeats):
            shutil.rmtree(rough.settings.worker.data_dir)
            with rough.worker("monitor") as process:
                began_s = time.monotonic()
                process.wait_ready()
                ready_s.append(time.monotonic() - began_s)
                if number == repeats - 1:
                    _publish_surges(rough, companies, history_end)
                    _wait_for(process, rough.settings, history_end + _AFTER)
        found = _alerts(rough.settings)
    return StateRun(
        companies=companies,
        mentions=process_count,
        ready_s=tuple(ready_s),
        bare_s=bare_s,
        saved=saved,
        saved_mib=size / 1024 / 1024,
        alerts=len(wanted | found),
        same=len(wanted & found),
    )


def _publish(one: Rig, companies: int, start: datetime, end: datetime, per_day: int) -> int:
    """Publish the history of all companies in order of time, and return how many mentions it has."""
    texts = generate_texts(_TEXTS)
    count = round((end - start) / timedelta(days=1) * companies * per_day)
    step = (end - start) / count
    dice = random.Random(7)  # noqa: S311  # a bench holds no secrets

    def records() -> Iterator[tuple[datetime, Mention]]:
        for number in range(count):
            at = start + number * step
            yield at, _mention(f"C{number % companies:05d}", number, at, f"{texts[number % _TEXTS]} {number}", dice)

    _send(one.settings, _with_progress(one.settings, records(), end))
    return count


def _publish_surges(one: Rig, companies: int, start: datetime) -> None:
    """Publish some hours in which a few companies have bad news, and let their bins close."""
    texts = generate_texts(_TEXTS, 11)
    dice = random.Random(11)  # noqa: S311
    found = []
    for number in range(_SURGING * _SURGE_MENTIONS):
        company = f"C{number % _SURGING * (companies // _SURGING):05d}"
        at = start + timedelta(minutes=5 + number / _SURGING * 1.5)
        text = f"{texts[number]} after the surge {number}"
        found.append((at, _mention(company, 10_000_000 + number, at, text, dice, bad=True)))
    _send(one.settings, _with_progress(one.settings, iter(found), start + _AFTER))


def _mention(entity: str, number: int, at: datetime, text: str, dice: random.Random, *, bad: bool = False) -> Mention:
    negative = round(dice.uniform(0.85, 0.99), 4) if bad else round(dice.choice((0.05, 0.1, 0.1, 0.2, 0.9)), 4)
    return Mention(
        message_id=f"wire:{number}",
        entity=entity,
        relevance=1.0,
        source=f"wire-{number % 5}",
        published_at=at,
        received_at=at,
        scored_at=at,
        text=text,
        negative=negative,
        neutral=round(1 - negative, 4),
        positive=0.0,
        topic="company-news",
        topics={"company-news": 0.9},
        model=_MODEL,
        origin=Origin(partition=0, offset=number),
        author=f"author-{number % 997}",
    )


def _with_progress(settings: Settings, records: Iterator[tuple[datetime, Mention]], end: datetime) -> Iterator[Row]:
    """Yield rows for mentions, each on its entity's partition, and after each minute for all partitions how far it is.

    A row's number is its partition.
    """
    partitions = settings.topics.mention_partitions
    minute: datetime | None = None
    for at, mention in records:
        this = at.replace(second=0, microsecond=0)
        if minute is not None and this > minute:
            yield from _progress(settings, this)
        minute = this
        yield Row(mention.entity.encode(), encode(mention), int(mention.entity[1:]) % partitions)
    yield from _progress(settings, end + timedelta(seconds=settings.monitor.allowed_lateness_s))


def _progress(settings: Settings, at: datetime) -> Iterator[Row]:
    topics = settings.topics
    for source in range(topics.message_partitions):
        told = encode(Progress(partition=source, partitions=topics.message_partitions, event_time=at, idle=False))
        for number in range(topics.mention_partitions):
            yield Row(None, told, number)


def _send(settings: Settings, rows: Iterator[Row]) -> None:
    publish_rows(settings, settings.topics.mentions, settings.topics.mention_partitions, rows)


def _wait_for(process: WorkerProcess, settings: Settings, end: datetime) -> None:
    """Wait until every partition's bins are closed up to a time, and nothing waits."""
    wanted = settings.topics.mention_partitions * end.timestamp()

    def done() -> bool:
        metrics = process.metrics()
        return abs(metrics.get("squall_watermark_seconds", 0.0) - wanted) < 0.5 and not metrics.get(
            "squall_waiting_records", 1.0
        )

    process.wait(done, f"the monitor has not come to {end:%d %B %H:%M}", 900.0)


def _alerts(settings: Settings) -> set[bytes]:
    """Return the different alert transitions."""
    found = set()
    for record in read_topic(settings, settings.topics.alerts):
        decode_alert(record.value)
        found.add(record.value)
    return found


def _changelog(settings: Settings) -> tuple[int, int]:
    """Return how many records the monitor's changelog holds, and their bytes."""
    topic = state_changelog(settings)
    servers = ", ".join(settings.kafka.bootstrap_servers)
    count = size = 0
    with topic_consumer(settings) as consumer:
        reader = TopicReader(consumer, topic, whole(consumer, partitions_of(consumer, topic)), servers=servers)
        for partition in reader.partitions:
            for record in reader.read(partition):
                count += 1
                size += len(record.key or b"") + len(record.value or b"")
    return count, size
