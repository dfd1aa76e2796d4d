"""Delivery over time, on a real broker: outages, restarts, rebalances, and what a receiver does not take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web
from kafka import KafkaConsumer, TopicPartition
from prometheus_client import REGISTRY

from streams.app.deliverer import DeliveryLoop
from streams.app.security import aiokafka_options
from streams.app.sender import Sender
from streams.app.undelivered import Keep, keeper
from streams.config import Settings
from streams.deliver import ListSink
from streams.deliver.circuit import CircuitOptions
from streams.deliver.patient import PatientSink
from streams.deliver.retry import Patience
from streams.errors import DeliveryError
from streams.records import Alert, DeadLetter, decode_alert
from streams.undelivered import newest_transitions, plan_again, read_undelivered
from tests.streams.app.test_deliverer import alert, committed, loop_for, publish, running, until
from tests.streams.deliver.recording import Clock, Recording, patient, recording, webhook_channel
from tests.streams.invented_alert import sample_alert


@pytest.fixture
async def receiver() -> AsyncIterator[Recording]:
    async with recording() as double:
        yield double


class RacingClock(Clock):
    """Time that passes when somebody sleeps, and lets others go on meanwhile."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        await asyncio.sleep(0)


class FastClock(Clock):
    """Time that runs two hundred times as fast, for all alike.

    A clock that every pause moved would run away: while one probe waits for a receiver that says nothing, all others
    ask again and again, and each would move it.
    """

    speed = 200.0

    def __init__(self) -> None:
        super().__init__()
        self._began_s = time.monotonic()

    def read(self) -> float:
        return (time.monotonic() - self._began_s) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.speed)


class RepeatingSink(ListSink):
    """A sink that wants what fires again and again, and keeps the copies apart."""

    def __init__(self, every_s: float = 0.05) -> None:
        super().__init__()
        self.resend_every_s = every_s
        self.copies: list[list[Alert]] = []

    @property
    def repeater(self) -> RepeatingSink:
        return self

    async def resend(self, what: Callable[[], Sequence[Alert]]) -> int:
        self.copies.append(list(what()))
        return len(self.copies[-1])

    def repeats(self, *ids: str) -> bool:
        """Whether the last copies were of these alerts."""
        return bool(self.copies) and sorted(one.id for one in self.copies[-1]) == sorted(ids)


def keys(receiver: Recording) -> list[str]:
    return [one.headers["Idempotency-Key"] for one in receiver.requests]


def answering(clock: Clock, outage: Callable[[web.Request], Any], taken: list[str]) -> Any:
    """A handler that fails in its own way for two minutes of the clock, and takes everything afterwards."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if clock.read() < 120.0:
            return await outage(request)
        taken.append(request.headers["Idempotency-Key"])
        return web.Response()

    return handle


async def says_500(request: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="\x00\xff garbage")


async def says_429(request: web.Request) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "30"})


async def says_nothing(request: web.Request) -> web.StreamResponse:
    """Slow: it answers later than anybody waits."""
    await asyncio.Event().wait()
    raise AssertionError


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def talks_garbage(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("outage", [says_500, says_429, says_nothing, hangs_up, talks_garbage])
async def test_two_minutes_of_outage_lose_nothing_keep_the_order_and_hold_up_nobody_else(
    settings_with_topics: Settings, receiver: Recording, outage: Callable[[web.Request], Any]
) -> None:
    clock, taken, screen = FastClock(), list[str](), ListSink()
    handler = answering(clock, outage, taken)
    receiver.answers = [handler] * 100_000
    alerts = [
        alert(f"{company}", number, entity=company, minute=number, state="resolved" if number == 3 else "firing")
        for number in range(4)
        for company in ("ACME", "BRMFD", "CORRIN", "DUSTY", "ELMS")
    ]
    sink = patient(
        webhook_channel(receiver.url, timeout_s=0.1 if outage is says_nothing else 5.0),
        clock,
        lanes=4,
        circuit=CircuitOptions(),
        luck=lambda: 0.5,
    )
    await publish(settings_with_topics, *alerts)
    other = loop_for(settings_with_topics, screen, "terminal")
    async with running(other), running(loop_for(settings_with_topics, sink)):
        await until(lambda: len(screen.alerts) == 20, "the other receiver has all")
        await until(lambda: len(set(taken)) == 20, "all arrive when the outage is over")
    for company in ("ACME", "BRMFD", "CORRIN", "DUSTY", "ELMS"):
        assert [key for key in taken if key.startswith(company)] == [f"{company}-{number}" for number in range(4)]
    assert clock.read() >= 120.0
    assert await committed(settings_with_topics) == 20
    # the circuit: while it is down it is not hammered by four lanes
    assert len(receiver.requests) < 20 + 60


async def test_while_a_receiver_is_down_metrics_say_so(settings_with_topics: Settings, receiver: Recording) -> None:
    clock = RacingClock()
    receiver.answers = [web.Response(status=503) for _ in range(8)]
    sink = patient(webhook_channel(receiver.url), clock, receiver="shown", circuit=CircuitOptions(open_after=2))
    seen: set[float] = set()

    async def sleep(seconds: float) -> None:
        seen.add(REGISTRY.get_sample_value("squall_receiver_suspended", {"receiver": "shown"}) or 0.0)
        await clock.sleep(seconds)

    sink._sleep = sleep
    await publish(settings_with_topics, alert("a"))
    async with running(loop_for(settings_with_topics, sink, "shown")):
        await until(lambda: len(receiver.requests) == 9, "it is taken in the end")
        await until(lambda: sample("squall_delivery_seconds_count", receiver="shown") == 1, "its time is counted")
    assert seen == {0.0, 1.0}
    assert sample("squall_receiver_suspended", receiver="shown") == 0.0
    assert sample("squall_delivery_attempts_total", receiver="shown", outcome="retry") == 8
    assert sample("squall_delivery_attempts_total", receiver="shown", outcome="taken") == 1


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def dead_letters(settings: Settings) -> list[tuple[DeadLetter, bytes]]:
    consumer = KafkaConsumer(**settings.kafka.client_options())
    try:
        topic = settings.topics.dead_letters
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        found = []
        while any(consumer.position(one) < ends[one] for one in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    letter = DeadLetter.from_headers(record.headers, key=record.key, value=record.value)
                    found.append((letter, record.value))
        return found
    finally:
        consumer.close()


async def test_what_a_receiver_refuses_is_kept_counted_and_found_again(
    settings_with_topics: Settings, receiver: Recording
) -> None:
    settings = settings_with_topics
    receiver.answers = [web.Response(status=422, text="not like this")]
    before = sample("squall_alerts_undelivered_total", receiver="picky") or 0.0
    sender = Sender(aiokafka_options(settings.kafka))
    await sender.start()
    keep = keeper(sender, settings.topics.dead_letters)
    sink = patient(webhook_channel(receiver.url), receiver="picky", lanes=1)
    first, second = alert("bad"), alert("good", entity="OTHER", minute=1)
    await publish(settings, first, second)
    async with running(loop_for(settings, sink, "picky", keep=keep)):
        await until(lambda: len(receiver.requests) == 2, "the other one arrives")
    await sender.stop()
    ((letter, value),) = dead_letters(settings)
    assert (letter.reason, letter.receiver, letter.offset) == ("undelivered", "picky", 0)
    assert letter.topic == settings.topics.alerts
    assert "it answered 422 (not like this)" in letter.detail
    assert "hidden-path" not in letter.detail
    assert decode_alert(value) == first
    assert sample("squall_alerts_undelivered_total", receiver="picky") == before + 1
    assert await committed(settings, "picky") == 2
    (found,) = read_undelivered(settings, receiver="picky")
    assert found.alert == first
    assert list(read_undelivered(settings, receiver="another")) == []
    # since then the alert has gone on, and the receiver has been told: nothing is worth sending again
    assert plan_again([found], newest_transitions(settings, [found], lambda one: True)).send == (found,)
    await publish(settings, alert("bad", 1, minute=2, state="resolved"))
    assert plan_again([found], newest_transitions(settings, [found], lambda one: True)).superseded == (found,)


async def test_while_it_cannot_be_kept_it_is_not_passed_over(settings_with_topics: Settings) -> None:
    tries: list[str] = []
    kept: list[str] = []

    class Refusing(ListSink):
        async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
            if alert.id == "bad":
                raise DeliveryError("refused")
            await super().deliver(alert)

    async def keep(alert: Alert, *_: Any) -> None:
        tries.append(alert.id)
        if len(tries) < 4:
            raise DeliveryError("Kafka is away")
        kept.append(alert.id)

    settings, sink = settings_with_topics, Refusing()
    keeps: Keep = keep
    await publish(settings, alert("bad"), alert("next", 0, minute=1))
    async with running(loop_for(settings, sink, "kept", keep=keeps, pause_s=0.05)):
        await until(lambda: tries, "it is tried")
        assert sink.alerts == []
        await until(lambda: sink.alerts, "the next one follows once it is kept")
    assert kept == ["bad"]
    assert tries == ["bad"] * 4


async def test_routes_lead_to_one_and_whoever_was_told_hears_of_the_end(settings_with_topics: Settings) -> None:
    def only(severity: str) -> Callable[[Alert], bool]:
        return lambda alert: alert.severity == severity

    settings, mild, grave = settings_with_topics, ListSink(), ListSink()

    def of(id_: str, transition: int, severity: Any, state: Any = "firing") -> Alert:
        return sample_alert(id=id_, transition=transition, severity=severity, state=state, labels={"entity": id_})

    await publish(settings, of("A", 0, "warning"), of("B", 0, "critical"), of("C", 0, "info"))
    first = [loop_for(settings, mild, "mild", leads_here=only("warning"))]
    first += [loop_for(settings, grave, "grave", leads_here=only("critical"))]
    async with running(first[0]), running(first[1]):
        await until(lambda: mild.alerts and grave.alerts, "each has its own")
    # after a restart, nothing but the topic says who was told of what
    await publish(
        settings, of("A", 1, "critical"), of("A", 2, "critical", "resolved"), of("B", 1, "critical", "resolved")
    )
    await publish(settings, of("C", 1, "info", "resolved"))
    second = [loop_for(settings, mild, "mild", leads_here=only("warning"))]
    second += [loop_for(settings, grave, "grave", leads_here=only("critical"))]
    async with running(second[0]), running(second[1]):
        await until(lambda: len(mild.alerts) == 3 and len(grave.alerts) == 4, "the ends come")
    assert [(one.id, one.transition) for one in mild.alerts] == [("A", 0), ("A", 1), ("A", 2)]
    assert sorted((one.id, one.transition) for one in grave.alerts) == [("A", 1), ("A", 2), ("B", 0), ("B", 1)]
    assert await committed(settings, "mild") == 7


async def test_what_fires_is_repeated_also_by_the_next_process_and_its_end_ends_it(
    settings_with_topics: Settings,
) -> None:
    settings = settings_with_topics
    await publish(settings, alert("a"), alert("b", minute=1), alert("c", minute=2))
    await publish(settings, alert("b", 1, minute=3, state="resolved"))
    one = RepeatingSink()
    async with running(loop_for(settings, one, "am")):
        await until(lambda: len(one.alerts) == 4, "all are told")
        await until(lambda: one.repeats("a", "c"), "what fires is repeated")
    two = RepeatingSink()
    async with running(loop_for(settings, two, "am")):
        await until(lambda: two.repeats("a", "c"), "the next process knows it from the topic")
        await publish(settings, alert("a", 1, minute=4, state="resolved"))
        await until(lambda: two.repeats("c"), "what is over is repeated no more")
    assert [(x.id, x.transition) for x in two.alerts] == [("a", 1)]
    three = RepeatingSink()
    async with running(loop_for(settings, three, "am", look_back_s=0.0)):
        await until(lambda: len(three.copies) > 2, "with nothing read back")
    assert not any(three.copies)


async def test_a_receiver_whose_copies_break_is_loud_and_goes_on(
    settings_with_topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(RepeatingSink):
        breaks = 3

        async def resend(self, what: Callable[[], Sequence[Alert]]) -> int:
            if self.breaks:
                self.breaks -= 1
                raise OverflowError("with a s3cret in it")
            return await super().resend(what)

    settings, sink = settings_with_topics, Broken()
    before = sample("squall_alert_resend_errors_total", receiver="breaks") or 0.0
    await publish(settings, alert("a"))
    async with running(loop_for(settings, sink, "breaks")):
        await until(lambda: sink.repeats("a"), "copies come again")
        await publish(settings, alert("b", minute=1))
        await until(lambda: len(sink.alerts) == 2, "and so do alerts")
    assert sample("squall_alert_resend_errors_total", receiver="breaks") == before + 3
    assert "what fires was not sent again to breaks: unexpected OverflowError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_two_processes_repeat_what_fires_on_their_own_partitions_alone(settings_with_topics: Settings) -> None:
    settings = settings_with_topics
    for partition in (0, 1):
        await publish(settings, alert(f"p{partition}", entity=f"P{partition}"), partition=partition)
    one, two = RepeatingSink(), RepeatingSink()
    async with running(loop_for(settings, one, "am")):
        await until(lambda: one.repeats("p0", "p1"), "the first repeats both")
        async with running(loop_for(settings, two, "am")):
            await until(
                lambda: one.copies and two.copies and len(one.copies[-1]) == len(two.copies[-1]) == 1, "each has one"
            )
            assert {one.copies[-1][0].id, two.copies[-1][0].id} == {"p0", "p1"}
        await until(lambda: one.repeats("p0", "p1"), "the one that is left has both again")
    assert len(one.alerts) + len(two.alerts) == 2, "nobody was told twice"


async def test_what_was_told_while_another_alert_was_stuck_is_not_told_again_after_a_restart(
    settings_with_topics: Settings,
) -> None:
    settings = settings_with_topics

    class Stuck(ListSink):
        lanes = 8

        async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
            if alert.id == "stuck":
                await asyncio.Event().wait()
            await super().deliver(alert)

    others = [alert(f"b{number}", entity=f"CO{number}", minute=1) for number in range(32)]
    await publish(settings, alert("stuck"), *others)
    first = Stuck()
    async with running(loop_for(settings, first, "chat")):
        await until(lambda: len(first.alerts) == 32, "the other companies go on")
        told = {one.id for one in first.alerts}
    told = {one.id for one in first.alerts}
    assert not await committed(settings, "chat"), "the offset stands before the one that is stuck"
    second = ListSink()
    async with running(loop_for(settings, second, "chat")):
        await until(lambda: len(second.alerts) == 33 - len(told), "the rest arrives")
    assert {one.id for one in second.alerts} == {"stuck", *(one.id for one in others)} - told
    assert await committed(settings, "chat") == 33


async def test_a_receiver_that_is_down_for_hours_costs_bounded_memory_and_gives_up_what_is_too_old(
    settings_with_topics: Settings, receiver: Recording
) -> None:
    settings, clock = settings_with_topics, RacingClock()
    receiver.answers = [web.Response(status=503) for _ in range(100_000)]
    kept: list[str] = []

    async def keep(alert: Alert, *_: Any) -> None:
        kept.append(alert.id)

    await publish(settings, *(alert(f"a{number:02}", minute=number) for number in range(30)))
    patience = Patience(retry_for_s=3600.0)
    sink = patient(webhook_channel(receiver.url), clock, patience=patience, circuit=CircuitOptions(), lanes=2)
    most = 0

    def all_kept() -> bool:
        nonlocal most
        most = max(most, loop.waiting)
        return len(kept) == 30

    loop: DeliveryLoop = loop_for(settings, sink, "gone", capacity=6, keep=keep)
    async with running(loop):
        await until(all_kept, "each is given up in its turn", deadline_s=120)
    assert most <= 12
    assert kept == [f"a{number:02}" for number in range(30)]


async def test_what_waited_for_longer_than_a_day_is_kept_and_calls_nobody(settings_with_topics: Settings) -> None:
    settings, sink, late, kept = settings_with_topics, ListSink(), ListSink(), list[str]()

    async def keep(alert: Alert, *words: Any) -> None:
        kept.append(f"{alert.id}: {words[-1]}")

    await publish(settings, alert("told"))
    async with running(loop_for(settings, sink, "known", keep=keep)):
        await until(lambda: sink.alerts, "it is told")
    await publish(settings, alert("waited", minute=1))
    tomorrow = time.time() + 90_000.0
    async with running(loop_for(settings, late, "known", keep=keep, now=lambda: tomorrow)):
        await until(lambda: kept, "it is kept")
    assert kept == ["waited: it is older than 24 hours"]
    assert late.alerts == []
    assert await committed(settings, "known") == 2


async def test_closing_a_sink_twice_is_no_trouble() -> None:
    async with recording() as double:
        sink: PatientSink = patient(webhook_channel(double.url))
        await sink.deliver(sample_alert())
        await sink.aclose()
        await sink.aclose()
