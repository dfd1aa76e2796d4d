"""Alerts from a real broker to a real HTTP receiver that is down, comes back, refuses, and is restarted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import REGISTRY

from streams.app.deliverer import DeliveryLoop
from streams.app.security import aiokafka_options
from streams.config import Settings
from streams.deliver import ListSink
from streams.deliver.circuit import CircuitOptions
from streams.deliver.patient import PatientSink
from streams.deliver.retry import Patience
from streams.deliver.sinks import AlertSink
from streams.errors import DeliveryError
from streams.records import Alert, encode
from tests.streams.deliver.recording import patient, webhook_channel
from tests.streams.invented_alert import AT, sample_alert


def alert(id_: str, transition: int = 0, *, entity: str = "BRMFD", minute: int = 0, state: Any = "firing") -> Alert:
    return sample_alert(
        id=id_, transition=transition, state=state, labels={"entity": entity}, at=AT + timedelta(minutes=minute)
    )


class Receiver:
    """An HTTP server on one port that can go down and come up; it keeps what it took."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.attempts = 0
        self.statuses: Callable[[str], int] = lambda key: 200
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook"

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def down(self) -> None:
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        self.attempts += 1
        status = self.statuses(key)
        if status == 200:
            self.taken.append(key)
        return web.Response(status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    double = Receiver()
    await double.up()
    yield double
    await double.down()


async def until(condition: Callable[[], Any], what: str, deadline_s: float = 60.0) -> None:
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110 - what is waited for lies in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited in vain: {what}")


def webhook(receiver: Receiver, *, retry_for_s: float = 3600.0, **options: Any) -> PatientSink:
    patience = Patience(retry_for_s=retry_for_s, first_wait_s=0.02, most_wait_s=0.05)
    return patient(webhook_channel(receiver.url), patience=patience, lanes=8, **options)


def loop_for(settings: Settings, sink: AlertSink, receiver: str = "webhook", **options: Any) -> DeliveryLoop:
    return DeliveryLoop(
        receiver,
        sink,
        options=aiokafka_options(settings.kafka),
        group=f"{settings.topics.prefix}-deliver-{receiver}",
        topic=settings.topics.alerts,
        **options,
    )


@contextlib.asynccontextmanager
async def running(loop: DeliveryLoop) -> AsyncIterator[DeliveryLoop]:
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        await loop.stop(timeout_s=0.5)
        await task


async def publish(settings: Settings, *values: Alert | bytes, partition: int | None = 0) -> None:
    producer = AIOKafkaProducer(**aiokafka_options(settings.kafka))
    await producer.start()
    for value in values:
        body = value if isinstance(value, bytes) else encode(value)
        await producer.send_and_wait(settings.topics.alerts, body, partition=partition)
    await producer.stop()


async def committed(settings: Settings, receiver: str = "webhook", partition: int = 0) -> int | None:
    group = f"{settings.topics.prefix}-deliver-{receiver}"
    reader = AIOKafkaConsumer(**aiokafka_options(settings.kafka), group_id=group, enable_auto_commit=False)
    await reader.start()
    offset: int | None = await reader.committed(TopicPartition(settings.topics.alerts, partition))
    await reader.stop()
    return offset


def counted(receiver: str, outcome: str) -> float:
    labels = {"receiver": receiver, "outcome": outcome}
    return REGISTRY.get_sample_value("squall_alerts_delivered_total", labels) or 0.0


async def test_a_receiver_that_is_down_gets_all_alerts_in_order_when_it_is_back(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    await receiver.down()
    names = [f"a{n}" for n in range(5)]
    await publish(settings_with_topics, *(alert(name, minute=n) for n, name in enumerate(names)))
    loop = loop_for(settings_with_topics, webhook(receiver))
    async with running(loop):
        await until(lambda: loop.waiting == 5, "all five are waiting")
        assert not await committed(settings_with_topics)
        await receiver.up()
        await until(lambda: len(receiver.taken) == 5, "all five arrive")
    assert receiver.taken == [f"{name}-0" for name in names]
    assert await committed(settings_with_topics) == 5


async def test_one_receivers_outage_holds_up_no_other(settings_with_topics: Settings, receiver: Receiver) -> None:
    await receiver.down()
    await publish(settings_with_topics, alert("a"), alert("b", minute=1))
    screen = ListSink()
    down = loop_for(settings_with_topics, webhook(receiver))
    async with running(down), running(loop_for(settings_with_topics, screen, "terminal")):
        await until(lambda: len(screen.alerts) == 2, "the terminal shows both")
        await until(lambda: down.waiting == 2, "the webhook still tries")
    assert await committed(settings_with_topics, "terminal") == 2
    assert not await committed(settings_with_topics)


async def test_what_was_not_delivered_at_a_stop_is_delivered_by_the_next_process(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    receiver.statuses = lambda key: 200 if key in ("a0-0", "a1-0") else 401
    await publish(settings_with_topics, *(alert(f"a{n}", minute=n) for n in range(6)))
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(receiver.taken) == 2 and receiver.attempts > 3, "the third is being retried")
    assert await committed(settings_with_topics) == 2
    receiver.statuses = lambda key: 200
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(receiver.taken) == 6, "the rest arrives")
    assert receiver.taken == [f"a{n}-0" for n in range(6)]


async def test_a_process_that_is_killed_loses_nothing_and_repeats_one_at_most(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    await publish(settings_with_topics, *(alert(f"a{n}", minute=n) for n in range(40)))
    first = asyncio.create_task(loop_for(settings_with_topics, webhook(receiver)).run())
    await until(lambda: len(receiver.taken) >= 10, "the first quarter arrives")
    first.cancel()  # nothing is finished and nothing more is committed
    await asyncio.gather(first, return_exceptions=True)
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(set(receiver.taken)) == 40, "the rest arrives")
    assert all(receiver.taken.count(key) <= 2 for key in receiver.taken)


async def test_a_record_that_is_no_alert_is_passed_over_and_named(
    settings_with_topics: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(settings_with_topics, alert("a"), b"\x00 no alert", b"{}", alert("b", minute=1))
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(receiver.taken) == 2, "both alerts arrive")
    assert receiver.taken == ["a-0", "b-0"]
    assert f"{settings_with_topics.topics.alerts}[0]@1 is no alert and is passed over" in caplog.text
    assert await committed(settings_with_topics) == 4


async def test_the_same_transition_twice_on_the_topic_is_sent_once(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    before = counted("webhook", "duplicate")
    await publish(settings_with_topics, alert("a"), alert("a"), alert("a", 1, minute=1, state="resolved"))
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(receiver.taken) == 2, "both transitions arrive")
        await publish(settings_with_topics, alert("a"), alert("b", minute=2))
        await until(lambda: "b-0" in receiver.taken, "a later alert arrives")
    assert receiver.taken == ["a-0", "a-1", "b-0"]
    assert counted("webhook", "duplicate") == before + 2


async def test_nobody_is_called_for_pending_and_inactive_and_their_offsets_go_on(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    quiet = [alert("a", state="pending"), alert("a", 1, minute=1, state="inactive")]
    await publish(settings_with_topics, *quiet, alert("b", minute=2))
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: receiver.taken, "the firing one arrives")
    assert receiver.taken == ["b-0"]
    assert await committed(settings_with_topics) == 3


async def test_a_receiver_that_is_switched_on_today_is_not_told_of_the_alerts_of_last_week(
    settings_with_topics: Settings,
) -> None:
    before = counted("list", "stale")
    await publish(settings_with_topics, alert("old"), alert("older"))
    sink = ListSink()
    async with running(
        loop_for(settings_with_topics, sink, "list", stale_after_s=60.0, now=lambda: time.time() + 120.0)
    ):
        await until(lambda: counted("list", "stale") == before + 2, "both are passed over")
    assert sink.alerts == []
    assert await committed(settings_with_topics, "list") == 2


async def test_a_batch_is_delivered_in_the_order_in_which_it_happened(settings_with_topics: Settings) -> None:
    await publish(settings_with_topics, alert("late", minute=9), alert("early", minute=1), alert("mid", minute=5))
    sink = ListSink()
    async with running(loop_for(settings_with_topics, sink, "list")):
        await until(lambda: len(sink.alerts) == 3, "all three arrive")
    assert [one.id for one in sink.alerts] == ["early", "mid", "late"]


async def test_a_final_refusal_is_loud_and_counted_and_the_next_alert_goes_on(
    settings_with_topics: Settings, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    before = counted("webhook", "failed")
    receiver.statuses = lambda key: 422 if key == "bad-0" else 200
    await publish(settings_with_topics, alert("bad"), alert("good", minute=1))
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: receiver.taken, "the good one arrives")
    assert receiver.taken == ["good-0"]
    assert counted("webhook", "failed") == before + 1
    (loud,) = [r for r in caplog.records if "bad-0 was NOT delivered" in r.getMessage()]
    assert loud.levelno == logging.ERROR
    assert await committed(settings_with_topics) == 2


async def test_after_its_time_an_alert_is_given_up_and_the_offset_moves_on(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    before = counted("webhook", "failed")
    receiver.statuses = lambda key: 503 if key == "old-0" else 200
    await publish(settings_with_topics, alert("old"), alert("new", minute=1))
    async with running(loop_for(settings_with_topics, webhook(receiver, retry_for_s=0.3))):
        await until(lambda: receiver.taken, "the next one arrives")
    assert counted("webhook", "failed") == before + 1
    assert await committed(settings_with_topics) == 2


async def test_an_alert_that_the_receiver_chokes_on_holds_up_no_other_company(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    receiver.statuses = lambda key: 500 if key == "stuck-0" else 200
    others = [alert(f"b{n}", entity=f"CO{n}", minute=2) for n in range(32)]
    await publish(settings_with_topics, alert("stuck"), alert("stuck", 1, minute=1, state="resolved"), *others)
    async with running(loop_for(settings_with_topics, webhook(receiver))):
        await until(lambda: len(receiver.taken) == 32, "all other companies arrive")
        assert not {"stuck-0", "stuck-1"} & set(receiver.taken)
        receiver.statuses = lambda key: 200
        await until(lambda: len(receiver.taken) == 34, "all arrive")
    assert receiver.taken.index("stuck-0") < receiver.taken.index("stuck-1")
    assert await committed(settings_with_topics) == 34


async def test_also_more_choking_alerts_than_lanes_hold_up_no_other_company(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    receiver.statuses = lambda key: 500 if key.startswith("stuck") else 200
    stuck = [alert(f"stuck{n}", entity=f"STUCK{n}") for n in range(20)]
    others = [alert(f"b{n:02}", entity=f"CO{n}", minute=n) for n in range(20)]
    await publish(settings_with_topics, *stuck, *others)
    sink = PatientSink(
        "webhook",
        webhook_channel(receiver.url),
        lanes=2,
        patience=Patience(first_wait_s=0.02, most_wait_s=0.05),
        circuit=CircuitOptions(open_after=1_000_000),
    )
    async with running(loop_for(settings_with_topics, sink)):
        await until(lambda: len(receiver.taken) == 20, "all other companies arrive")
        receiver.statuses = lambda key: 200
        await until(lambda: len(receiver.taken) == 40, "all arrive")
    assert await committed(settings_with_topics) == 40


async def test_more_than_fits_into_memory_waits_on_kafka(settings_with_topics: Settings, receiver: Receiver) -> None:
    receiver.statuses = lambda key: 503
    await publish(settings_with_topics, *(alert(f"a{n:02}", minute=n) for n in range(30)))
    loop = loop_for(settings_with_topics, webhook(receiver), capacity=4)
    most = 0

    def watched() -> bool:
        nonlocal most
        most = max(most, loop.waiting)
        return len(receiver.taken) == 30

    async with running(loop):
        await until(lambda: loop.waiting >= 4, "the memory is full")
        receiver.statuses = lambda key: 200
        await until(watched, "all arrive")
    assert most < 8
    assert receiver.taken == [f"a{n:02}-0" for n in range(30)]


async def test_a_second_process_takes_over_partitions_and_nothing_is_lost(
    settings_with_topics: Settings, receiver: Receiver
) -> None:
    receiver.statuses = lambda key: 503
    for partition in (0, 1):
        names = [f"p{partition}{n}" for n in range(5)]
        await publish(
            settings_with_topics,
            *(alert(name, entity=f"P{partition}", minute=n) for n, name in enumerate(names)),
            partition=partition,
        )
    one, two = (loop_for(settings_with_topics, webhook(receiver)) for _ in range(2))
    async with running(one):
        await until(lambda: one.waiting == 10, "the first has both partitions")
        async with running(two):
            await until(lambda: (one.waiting, two.waiting) == (5, 5), "each has one")
            receiver.statuses = lambda key: 200
            await until(lambda: len(set(receiver.taken)) == 10, "all arrive")
    assert sorted(receiver.taken) == sorted(set(receiver.taken))


async def test_an_unexpected_error_of_a_sink_is_named_by_its_kind_only(
    settings_with_topics: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Buggy(ListSink):
        async def deliver(self, alert: Alert, *, age_s: float = 0.0) -> None:
            if alert.id == "a":
                raise RuntimeError("with a s3cret in it")
            if alert.id == "b":
                raise DeliveryError("refused: check the address")
            await super().deliver(alert)

    sink = Buggy()
    await publish(settings_with_topics, alert("a"), alert("b", minute=1), alert("c", minute=2))
    async with running(loop_for(settings_with_topics, sink, "buggy")):
        await until(lambda: sink.alerts, "the third arrives")
    assert "unexpected RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text
    assert "refused: check the address; it is kept on" in caplog.text


async def test_what_is_remembered_is_bounded(settings_with_topics: Settings) -> None:
    sink = ListSink()
    await publish(settings_with_topics, *(alert(f"a{n}", minute=n) for n in range(5)))
    async with running(loop_for(settings_with_topics, sink, "bounded", remembered=2)):
        await until(lambda: len(sink.alerts) == 5, "all arrive")
        await publish(settings_with_topics, alert("a4", minute=4), alert("a0", minute=6))
        await until(lambda: len(sink.alerts) == 6, "the forgotten one comes again")
    assert [one.id for one in sink.alerts] == ["a0", "a1", "a2", "a3", "a4", "a0"]


async def test_no_broker_is_waited_for_and_a_stop_ends_the_wait(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"bootstrap_servers": ["127.0.0.1:9"]}
    loop = DeliveryLoop("webhook", webhook(receiver), options=options, group="g", topic="t", pause_s=0.05)
    async with running(loop):
        await until(lambda: caplog.text.count("has lost Kafka") >= 2, "it tries again")


async def test_a_stop_before_the_start_is_no_trouble(receiver: Receiver) -> None:
    await DeliveryLoop("webhook", webhook(receiver), options={}, group="g", topic="t").stop()
