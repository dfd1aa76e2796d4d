"""The watchdog by its clock, and health over real HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from streams.app import metrics
from streams.app.health import HealthServer, Watchdog
from streams.app.offsets import Position
from streams.errors import ConfigError

TOPIC = "squall.messages"
Start = Callable[..., Awaitable["Started"]]


def watch(*checks: tuple[float, int, int], limit_s: float = 60.0) -> list[list[str]]:
    """What a watchdog says at each (time, committed, end) of one partition."""
    dog = Watchdog(limit_s)
    return [dog.check(TOPIC, {3: Position(committed=done, end=end)}, now) for now, done, end in checks]


def test_a_partition_that_moves_is_well_however_slowly() -> None:
    assert watch((0, 0, 100), (59, 1, 200), (118, 2, 300), (177, 3, 400)) == [[], [], [], []]


def test_a_partition_on_which_nothing_waits_may_stand_still_for_ever() -> None:
    assert watch((0, 100, 100), (1e6, 100, 100)) == [[], []]


def test_one_that_stands_still_while_something_waits_is_reported_when_the_time_is_up() -> None:
    before, after = watch((0, 5, 10), (59.9, 5, 10), (60, 5, 12))[1:]
    assert before == []
    assert after == ["squall.messages[3] stands at offset 5 for 60 s with 7 records waiting"]


def test_it_is_reported_until_it_moves() -> None:
    assert [bool(said) for said in watch((0, 5, 10), (60, 5, 10), (61, 5, 10), (62, 6, 10), (121, 6, 10))] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_time_counts_from_when_something_began_to_wait() -> None:
    assert watch((0, 5, 5), (1000, 5, 5), (1001, 5, 6), (1059, 5, 6))[-1] == []
    assert watch((0, 5, 5), (1000, 5, 5), (1001, 5, 6), (1061, 5, 6))[-1] != []


def test_partitions_and_topics_are_watched_one_by_one() -> None:
    dog = Watchdog(60)
    for now in (0.0, 60.0):
        said = dog.check("a", {0: Position(1, 2), 1: Position(int(now), 100), 2: Position(7, 7)}, now)
        assert dog.check("b", {0: Position(int(now), 100)}, now) == []
    assert len(said) == 1
    assert said[0].startswith("a[0] ")


def test_a_position_is_never_less_than_nothing() -> None:
    assert Position(committed=9, end=5).waiting == 0  # the topic was made anew


class Started:
    """A server that a test talks to."""

    def __init__(self, server: HealthServer, address: str) -> None:
        self.server = server
        self.address = address

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.address + path) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., object]]:
    """`await start(is_ready, beat)`: a health server on a free port."""
    servers: list[HealthServer] = []

    async def begin(
        is_ready: Callable[[], str | None] = lambda: None, beat: Callable[[], float] = time.monotonic, port: int = 0
    ) -> Started:
        server = HealthServer("127.0.0.1", port, is_ready=is_ready, beat=beat)
        servers.append(server)
        return Started(server, await server.start())

    yield begin
    for server in servers:
        await server.stop()


async def test_a_process_that_beats_is_well_and_one_that_does_not_is_not(start: Start) -> None:
    beats = [time.monotonic()]
    started = await start(beat=lambda: beats[-1])
    assert await started.get("/healthz") == (200, "ok\n")
    beats.append(time.monotonic() - HealthServer.STALE_AFTER_S - 5)
    status, text = await started.get("/healthz")
    assert status == 503
    assert text == "no sign of life for 35 s\n"


async def test_a_process_that_is_not_ready_says_why(start: Start) -> None:
    reasons: list[str | None] = ["Kafka has assigned no partitions yet"]
    started = await start(is_ready=lambda: reasons[-1])
    assert await started.get("/readyz") == (503, "Kafka has assigned no partitions yet\n")
    reasons.append(None)
    assert await started.get("/readyz") == (200, "ready\n")


async def test_metrics_are_in_prometheus_words(start: Start) -> None:
    metrics.MESSAGES.labels("mentioned").inc(0)
    status, text = await (await start()).get("/metrics")
    assert status == 200
    assert 'squall_messages_total{outcome="mentioned"}' in text
    assert "# TYPE squall_published_to_alerted_seconds histogram" in text


async def test_there_is_nothing_else(start: Start) -> None:
    started = await start()
    assert started.address.startswith("http://127.0.0.1:")
    for path in ("/", "/table", "/router", "/debug"):
        assert (await started.get(path))[0] == 404


async def test_a_port_that_is_taken_is_named_with_its_keys(start: Start) -> None:
    port = int((await start()).address.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{port} \(worker.host, worker.port\)"):
        await start(port=port)
