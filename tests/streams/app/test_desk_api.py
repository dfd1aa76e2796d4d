"""POST /verdicts on a real Kafka: who may, what is taken, what is refused and how, and what happens without Kafka."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from streams.app import http_server
from streams.app.desk_api import DeskApi
from streams.app.health import HealthServer
from streams.app.security import aiokafka_options
from streams.config import Settings
from streams.records import Verdict, decode_verdict
from tests.streams.app.harness import records_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

ANNA = "anna-planted-token-0123456789"
BO = "bo-planted-token-0123456789ab"
ONE = {"verdict": "false_alarm", "alert_id": "2929662a07e4834b", "note": "an old story"}


@dataclass
class Desk:
    """A worker's address, and the topic behind it."""

    address: str
    settings: Settings

    async def post(self, body: Any, *, token: str | None = ANNA, **headers: str) -> tuple[int, dict[str, Any], Any]:
        """Status, answer and headers."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.address}/verdicts", data=data, headers=given) as answer,
        ):
            return answer.status, await answer.json(), answer.headers

    def written(self) -> list[Verdict]:
        return [decode_verdict(record.value) for record in records_of(self.settings, self.settings.topics.labels)]


@pytest.fixture
async def begin(settings_with_topics: Settings) -> AsyncIterator[Callable[..., Awaitable[Desk]]]:
    """`await begin(tokens, **options)`: the desk's address on a free port."""
    running: list[tuple[HealthServer, DeskApi]] = []

    async def start(tokens: dict[str, str] | None = None, *, connect: bool = True, **options: Any) -> Desk:
        kafka = aiokafka_options(options.pop("kafka", settings_with_topics.kafka))
        names = {"anna": ANNA, "bo": BO} if tokens is None else tokens
        api = DeskApi(names, topic=settings_with_topics.topics.labels, options=kafka, **options)
        if connect:
            await api.start()
        server = HealthServer("127.0.0.1", 0, is_ready=lambda: None, beat=time.monotonic, desk=api)
        running.append((server, api))
        return Desk(await server.start(), settings_with_topics)

    yield start
    for server, api in running:
        await server.stop()
        await api.stop()


async def test_a_verdict_is_on_kafka_before_it_is_answered_for_and_by_whose_token_it_was(begin: Any) -> None:
    desk = await begin()
    status, answer, _ = await desk.post(ONE)
    assert (status, answer) == (202, {"accepted": 1, "by": "anna"})
    many = [{"verdict": "stale", "message_id": f"wire:{number}", "entity": "ACME"} for number in range(3)]
    status, answer, _ = await desk.post(many, token=BO)
    assert (status, answer) == (202, {"accepted": 3, "by": "bo"})
    written = await asyncio.to_thread(desk.written)
    assert [(one.by, one.verdict, one.alert_id, one.message_id) for one in written] == [
        ("anna", "false_alarm", "2929662a07e4834b", None),
        ("bo", "stale", None, "wire:0"),
        ("bo", "stale", None, "wire:1"),
        ("bo", "stale", None, "wire:2"),
    ]


@pytest.mark.parametrize("token", [None, "", "anna", ANNA + "x", ANNA.upper()])
async def test_without_a_right_token_nothing_is_read_or_written(begin: Any, token: str | None) -> None:
    desk = await begin()
    status, answer, headers = await desk.post(ONE, token=token)
    assert status == 401
    assert headers["WWW-Authenticate"] == 'Bearer realm="squall"'
    assert "planted" not in json.dumps(answer)
    assert await asyncio.to_thread(desk.written) == []


async def test_guesses_are_slowed_and_a_right_token_is_not(begin: Any) -> None:
    desk = await begin()
    answers = [await desk.post(ONE, token=f"guess-{number}") for number in range(12)]
    assert [status for status, *_ in answers] == [401] * 10 + [429] * 2
    assert answers[-1][2]["Retry-After"] == "60"
    assert (await desk.post(ONE))[0] == 202


async def test_without_any_token_there_is_no_such_address(begin: Any) -> None:
    desk = await begin({})
    async with aiohttp.ClientSession() as session, session.post(f"{desk.address}/verdicts", json=ONE) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "truncated"),
        (b"[" * 200_000, "nested too deeply|Expected"),
        (b"\xff\xfe\x00", "malformed"),
        ([ONE, ONE | {"verdict": "maybe"}], r"Invalid enum value 'maybe' - at `\$\[1\].verdict`"),
        (ONE | {"by": "the chairman"}, "unknown field `by`"),
        ([], "empty"),
    ],
)
async def test_what_is_wrong_is_told_and_none_of_it_is_written(begin: Any, body: Any, told: str) -> None:
    desk = await begin()
    status, answer, _ = await desk.post(body)
    assert status == 400
    assert re.search(told, answer["error"]), answer
    assert await asyncio.to_thread(desk.written) == []


async def test_a_body_over_the_bound_is_refused_before_it_is_read_and_also_in_chunks(begin: Any) -> None:
    desk = await begin()
    large = b" " * (http_server.MOST_BODY_BYTES + 1)
    assert (await desk.post(large))[0] == 413

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b" " * 1_000

    headers = {"Authorization": f"Bearer {ANNA}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{desk.address}/verdicts", data=chunks(), headers=headers) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # closed while it was still sending


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": ""},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
    ],
)
async def test_another_type_or_packed_content_is_refused(begin: Any, headers: dict[str, str]) -> None:
    desk = await begin()
    bomb = gzip.compress(b" " * 50_000_000)
    assert (await desk.post(bomb, **headers))[0] == 415


async def test_a_packed_body_that_does_not_say_so_is_no_json(begin: Any) -> None:
    desk = await begin()
    assert (await desk.post(gzip.compress(json.dumps(ONE).encode())))[0] == 400


async def test_while_kafka_is_away_nothing_is_answered_for(begin: Any, settings_with_topics: Settings) -> None:
    desk = await begin(connect=False)
    status, answer, headers = await desk.post(ONE)
    assert status == 503
    assert "send the same verdicts again" in answer["error"]
    assert headers["Retry-After"] == "5"
    desk = await begin(kafka_within_s=0.0)  # no time at all: Kafka cannot have acknowledged
    assert (await desk.post(ONE))[0] == 503


async def test_a_body_that_does_not_come_is_not_waited_for(begin: Any) -> None:
    desk = await begin(body_within_s=0.1)
    host, port = desk.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /verdicts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ANNA}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    writer.write(head.encode())
    answer = (await asyncio.wait_for(reader.read(), 30)).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "the body did not come within 0.1 s" in answer
