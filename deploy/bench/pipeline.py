"""How fast the whole path is on this machine, against the classifier alone; and how long an alert takes.

What is measured, and how:

- **The classifier alone.** A process of its own loads the model as the worker does and scores the texts of all messages
  in batches of `worker.batch_messages`, after one batch to warm up. Nothing else runs but the idle broker. Best and
  median of the repeats.
- **The pipeline.** All messages are on `squall.messages` before a worker starts. Its rate is taken from Kafka's own
  times (`LogAppendTime`) on `squall.mentions`: the mentions after the first batch, over the time from the end of the
  first batch to the last mention. So neither the loading of the model nor the first, cold batch counts, on either side.
  Every message is about exactly one company, every text is different, and one second of event time lies between two
  messages, so that no cache and no bin spares any work. Worker, broker and classifier share the machine's cores: the
  ratio therefore holds what Kafka itself costs.
- **Where the rest goes.** Per message, what the pipeline takes longer than the classifier alone is split in two: the
  classifier's own step takes longer (others use the cores, the caches and the interpreter), and the classifier waits
  (nothing to score). From the worker's /metrics.
- **Published to alerted.** A worker of role `all` with `allowed_lateness_s` 0 runs on a live feed at its real pace:
  everyday messages all the time, and in each minute some companies with a surge of bad news (32 different stories).
  An alert cannot come before its minute is over, so two parts are told apart, both in Kafka's times: `waiting`, from
  the company's last message of that minute to the message that lets the minute close (on the last partition), and
  `service`, from there to the alert on `squall.alerts`. With the default lateness of 120 s the waiting is 120 s longer,
  and the service is the same. All alerts of a minute come together, so their delays hold the queue that they form.
- **Published to mentioned.** In the same run: from a message's arrival to its mention's.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from deploy.bench.alone import Alone
from deploy.bench.feed import everyday, everyday_companies, live_feed, surging_companies
from deploy.bench.figures import Figure
from deploy.bench.outcome import Live, Throughput, alone_figures, live_figures, throughput_figures
from deploy.bench.rig import SQUALL, Note, Rig, WorkerProcess, cluster, environment, rig
from deploy.bench.timing import Arrival, Raised, delays, steady_rate
from streams.config import Settings
from streams.errors import InputError, SquallError
from streams.records import Mention, Message, decode_alert, decode_mention
from streams.replay.log import read_topic

ALONE = (sys.executable, "-m", "deploy.bench.alone")

_TAIL_S = 8.0
_ALERTS_WITHIN_S = 60.0
_SLOWEST_PER_S = 20.0
"""A machine slower than this is given up on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    messages: int = 8192
    repeats: int = 3
    roles: tuple[str, ...] = ("scorer", "all")
    live_minutes: int = 4
    """0 leaves the live part out."""
    surges_per_minute: int = 30
    everyday_per_s: float = 20.0


def run(
    settings: Settings,
    plan: Plan,
    *,
    note: Note = lambda line: None,
    worker: Sequence[str] = SQUALL,
    alone: Sequence[str] = ALONE,
) -> list[Figure]:
    """Measure, and return the figures.

    Args:
        settings: the user's; classifier, batch sizes and partitions are measured as they say. A named cluster is used,
            with topics that are taken away afterwards; otherwise a broker of its own.
        plan: how much.
        note: told what is being done.
        worker: how to start `squall`.
        alone: how to start `deploy.bench.alone`.

    Raises:
        SquallError: the broker, a worker or the classifier fails; with the end of its log.
    """
    figures: list[Figure] = []
    with cluster(settings, note) as current:
        if plan.messages:
            companies = everyday_companies()
            backlog = everyday(plan.messages, start=_backlog_start(plan.messages))
            with rig(current, companies, command=worker) as one:
                note(f"Scoring {plan.messages:,} texts {plan.repeats} times with the classifier alone")
                by_itself = _measure_alone(one, backlog, plan.repeats, alone)
            figures += alone_figures(by_itself, plan.repeats)
            for role in plan.roles:
                with rig(current, companies, command=worker) as one:
                    note(f"The same messages through Kafka and a worker of role {role}")
                    figures += throughput_figures(_measure_backlog(one, backlog, role), by_itself)
        if plan.live_minutes:
            companies = everyday_companies() + surging_companies(plan.live_minutes * plan.surges_per_minute)
            with rig(current, companies, lateness_s=0, command=worker) as one:
                figures += live_figures(_measure_live(one, plan, note))
    return figures


def _backlog_start(count: int) -> datetime:
    """So that the backlog ends an hour ago."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1, seconds=count)


def _measure_alone(one: Rig, backlog: Sequence[Message], repeats: int, command: Sequence[str]) -> Alone:
    texts = one.folder / "texts.json"
    texts.write_bytes(msgspec.json.encode([message.text for message in backlog]))
    config = one.write_config("alone")
    done = subprocess.run(  # noqa: S603  # our own command line
        [*command, str(config), str(texts), str(repeats)],
        capture_output=True,
        text=True,
        env=environment(one.settings),
        check=False,
    )
    if done.returncode:
        msg = f"the classifier alone ended with status {done.returncode}:\n{done.stderr[-2000:]}"
        raise SquallError(msg)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Alone)


def _measure_backlog(one: Rig, backlog: Sequence[Message], role: str) -> Throughput:
    one.publish_all(backlog)
    count = len(backlog)
    with one.worker(role) as process:
        process.wait_ready()
        before = process.metrics()
        process.wait(
            lambda: process.metrics().get("squall_mentions_total", 0) >= count,
            f"not all of {count:,} messages became mentions",
            60 + count / _SLOWEST_PER_S,
        )
        after = process.metrics()
    _require_sound(after, count)
    mentions = _mentions(one.settings)
    return Throughput(
        role=role,
        per_s=_rate(mentions),
        mean_batch=after["squall_batch_messages_sum"] / after["squall_batch_messages_count"],
        step_s=_steps(after, count),
        cpu_s=_cpu_s(before, after),
    )


def _rate(mentions: Sequence[tuple[int, Mention]]) -> float:
    """Mentions that were scored together bear the same time, so it tells their batch."""
    try:
        return steady_rate((mention.scored_at, arrived_ms) for arrived_ms, mention in mentions)
    except ValueError as error:
        raise InputError(str(error)) from error


def _cpu_s(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """CPU seconds per message between two looks at the metrics."""
    done = after["squall_mentions_total"] - before.get("squall_mentions_total", 0)
    # Only Linux tells a process's CPU time through /proc.
    spent = after.get("process_cpu_seconds_total", 0.0) - before.get("process_cpu_seconds_total", 0.0)
    return spent / done if done else 0.0


def _steps(metrics: Mapping[str, float], count: int) -> dict[str, float]:
    prefix = "squall_step_seconds_sum{"
    return {name[len(prefix) : -1]: value / count for name, value in metrics.items() if name.startswith(prefix)}


def _require_sound(metrics: Mapping[str, float], count: int) -> None:
    """Refuse to report on a run that was not what it claims to be."""
    mentions, refused = metrics.get("squall_mentions_total", 0), metrics.get("squall_dead_letters_total", 0)
    if mentions != count or refused:
        msg = f"{count:,} messages gave {mentions:,.0f} mentions and {refused:,.0f} dead letters: nothing was measured"
        raise SquallError(msg)


def _mentions(settings: Settings) -> list[tuple[int, Mention]]:
    """Everything on the mentions topic but Progress, with Kafka's times in milliseconds."""
    found = []
    for record in read_topic(settings, settings.topics.mentions):
        item = decode_mention(record.value)
        if isinstance(item, Mention):
            found.append((record.timestamp, item))
    return found


def _measure_live(one: Rig, plan: Plan, note: Note) -> Live:
    with one.worker("all") as process:
        process.wait_ready()
        start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        messages, surging = live_feed(
            start=start,
            minutes=plan.live_minutes,
            surges_per_minute=plan.surges_per_minute,
            everyday_per_s=plan.everyday_per_s,
            tail_s=_TAIL_S,
        )
        length_s = plan.live_minutes * 60 + _TAIL_S
        rate = len(messages) / length_s
        note(f"A live feed of {rate:.0f} messages/s for {length_s / 60:.1f} minutes, with {len(surging)} surges")
        _publish_live(one, messages)
        note("Waiting for the last alerts")
        _wait_for_alerts(process, len(surging))
    mentions = _mentions(one.settings)
    entities = {(mention.origin.partition, mention.origin.offset): mention.entity for _, mention in mentions}
    arrivals = [
        Arrival(
            partition=record.partition,
            offset=record.offset,
            arrived_ms=record.timestamp,
            published_ms=_ms(msgspec.json.decode(record.value, type=Message).published_at),
            entity=entities[record.partition, record.offset],
        )
        for record in read_topic(one.settings, one.settings.topics.messages)
    ]
    symbols = {company.symbol for company in surging}
    return Live(
        per_s=rate,
        surges=len(surging),
        delays=delays(
            [raised for raised in _firing(one.settings) if raised.entity in symbols],
            arrivals,
            lateness_ms=0,
            partitions=one.settings.topics.message_partitions,
        ),
        mentioned_ms=[arrived_ms - _ms(mention.received_at) for arrived_ms, mention in mentions],
    )


def _publish_live(one: Rig, messages: Sequence[Message]) -> None:
    """Send each message when its time has come, with the time at which it was sent."""
    producer = one.producer()
    for message in messages:
        wait_s = (message.published_at - datetime.now(UTC)).total_seconds()
        if wait_s > 0:
            time.sleep(wait_s)
        one.send(producer, msgspec.structs.replace(message, published_at=datetime.now(UTC)))
    producer.flush()
    producer.close()


def _wait_for_alerts(process: WorkerProcess, surges: int) -> None:
    """Wait until every surge has fired, or for a while: how many did is a figure too."""
    deadline_s = time.monotonic() + _ALERTS_WITHIN_S
    while time.monotonic() < deadline_s:
        metrics = process.metrics()
        if sum(metrics.get(f"squall_alerts_total{{{key}}}", 0.0) for key in _FIRING) >= surges:
            return
        time.sleep(0.5)


_FIRING = tuple(f"NegativeShareSurge,firing,{severity}" for severity in ("info", "warning", "critical"))


def _firing(settings: Settings) -> list[Raised]:
    """The first firing of each alert."""
    found: dict[str, Raised] = {}
    for record in read_topic(settings, settings.topics.alerts):
        alert = decode_alert(record.value)
        if alert.state == "firing":
            found.setdefault(alert.id, Raised(alert.labels["entity"], _ms(alert.at), record.timestamp))
    return list(found.values())


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
