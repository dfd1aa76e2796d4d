"""The delivering process is killed at ten random moments: nobody misses anything, and a copy is known as one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import msgspec
import pytest
import yaml
from aiohttp import web

from streams.config import Settings
from streams.records import Alert
from tests.streams.app.test_deliverer import alert, publish, until
from tests.streams.deliver.test_mail import Postbox, postbox

KILLS = 10
COMPANIES = 40


class Desk:
    """One HTTP server for all receivers, by path; it answers after a moment, in which it may be too late."""

    def __init__(self, dice: random.Random) -> None:
        self.taken: dict[str, list[tuple[str | None, Any]]] = defaultdict(list)
        """By receiver: idempotency key (None of a copy of what fires) and body."""
        self.answered = 0
        self._dice = dice
        self.origin = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        receiver = request.path.strip("/").partition("/")[0]
        await asyncio.sleep(self._dice.uniform(0.0, 0.03))  # what may be killed in between
        self.taken[receiver].append((request.headers.get("Idempotency-Key"), body))
        self.answered += 1
        return web.Response()


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[Desk]:
    app = web.Application()
    app.router.add_post("/{tail:.*}", desk.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield desk
    finally:
        await runner.cleanup()


@pytest.fixture
def box() -> Iterator[Postbox]:
    with postbox() as box:
        yield box


def receivers(desk: Desk, box: Postbox) -> dict[str, Any]:
    common = {"allow_private": True}
    return {
        "hook": {"type": "webhook", "url": f"{desk.origin}/hook", "signing_key": "invented", **common},
        "chat": {"type": "slack", "url": f"{desk.origin}/chat", **common},
        "cards": {"type": "teams", "url": f"{desk.origin}/cards", **common},
        "pager": {"type": "pagerduty", "url": f"{desk.origin}/pager", "routing_key": "invented", **common},
        "am": {"type": "alertmanager", "urls": [f"{desk.origin}/am"], "resend_every_s": 1},
        "mail": {
            "type": "email",
            "host": "127.0.0.1",
            "port": box.port,
            "security": "none",
            "sender": "squall@bank.example",
            "to": ["desk@bank.example"],
            **common,
        },
    }


def story() -> list[list[Alert]]:
    """What happens between two kills: each company's alert fires, rises, and is over, in different rounds."""
    rounds: list[list[Alert]] = [[] for _ in range(KILLS + 1)]
    for number in range(COMPANIES):
        name = f"CO{number:02}"
        begin = number % (KILLS - 1)
        for transition, state in enumerate(("firing", "firing", "resolved")):
            at = min(KILLS, begin + transition * (number % 2))
            minute = 10 * at + transition
            rounds[at].append(alert(name.lower(), transition, entity=name, minute=minute, state=state))
    return rounds


async def test_ten_kills_lose_nothing_and_repeat_nothing_without_its_key(
    settings_with_topics: Settings, tmp_path: Path, box: Postbox
) -> None:
    dice = random.Random(20261122)
    async with serving(Desk(dice)) as desk:
        config = tmp_path / "squall.yaml"
        sections = settings_with_topics.model_dump(mode="json", include={"kafka", "topics"}, exclude_unset=True)
        # a name of its own lets the next process take over at once, as in a StatefulSet
        sections["worker"] = {"instance_id": "delivery-0"}
        sections["delivery"] = {"terminal": False, "receivers": receivers(desk, box)}
        config.write_text(yaml.safe_dump(sections))
        rounds = story()
        expected = {f"{one.id}-{one.transition}" for batch in rounds for one in batch}
        for batch in rounds[:KILLS]:
            process = await started(config, tmp_path)
            await write(settings_with_topics, batch)
            before, moment = desk.answered + len(box.messages), dice.randrange(1, 60)
            await until(lambda: desk.answered + len(box.messages) >= before + moment, "some is delivered")  # noqa: B023
            await asyncio.sleep(dice.uniform(0.0, 0.02))  # the moment of the kill, not a wait for anything
            process.send_signal(signal.SIGKILL)
            await process.wait()
        process = await started(config, tmp_path)
        await write(settings_with_topics, rounds[KILLS])

        def missing() -> set[tuple[str, str]]:
            return {(name, key) for name in ("hook", "chat", "cards", "pager", "am", "mail") for key in expected} - {
                (name, key) for name, keys in told(desk, box).items() for key in keys
            }

        try:
            await until(lambda: not missing(), "everybody has everything", deadline_s=120)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    for name, keys in told(desk, box).items():
        assert set(keys) == expected, name
        # one alert: its transitions are told in order, and the end has the last word
        for one in {key.rpartition("-")[0] for key in expected}:
            numbers = [int(key.rpartition("-")[2]) for key in keys if key.rpartition("-")[0] == one]
            assert list(dict.fromkeys(numbers)) == [0, 1, 2], (name, one, numbers)
            assert numbers[-1] == 2, (name, one, numbers)
    bodies_belong_to_one_key(desk)
    copies = {name: len(keys) - len(set(keys)) for name, keys in told(desk, box).items()}
    # at most what was under way or not yet committed at a kill comes twice
    assert all(number <= KILLS * 16 for number in copies.values()), copies


async def write(settings: Settings, alerts: list[Alert]) -> None:
    """As the monitor does: all transitions of an alert on one partition."""
    for partition in (0, 1):
        await publish(
            settings, *(one for one in alerts if crc32(one.id.encode()) % 2 == partition), partition=partition
        )


def told(desk: Desk, box: Postbox) -> dict[str, list[str]]:
    """Idempotency keys by receiver, in the order in which they came; copies of what fires have none."""
    found = {name: [key for key, _ in taken if key is not None] for name, taken in desk.taken.items()}
    found["mail"] = [str(message["Message-ID"]).removeprefix("<").partition(".mail@")[0] for message in box.messages]
    return found


def bodies_belong_to_one_key(desk: Desk) -> None:
    """Under one key one thing is said, and no alert has two."""
    for name in ("hook", "chat", "cards", "pager"):
        by_key: dict[str, set[bytes]] = defaultdict(set)
        for key, body in desk.taken[name]:
            assert key is not None, name
            by_key[key].add(msgspec.json.encode(body, order="sorted"))
        assert all(len(bodies) == 1 for bodies in by_key.values()), name
    hook = [(key, body["alerts"][0]["squall"]) for key, body in desk.taken["hook"]]
    assert all(key == f"{one['id']}-{one['transition']}" for key, one in hook)
    incidents = {(body["dedup_key"], body["event_action"]) for _, body in desk.taken["pager"]}
    assert len(incidents) == 2 * COMPANIES
    for key, entries in desk.taken["am"]:
        names = {(entry["labels"]["entity"], entry["labels"]["alertname"]) for entry in entries}
        assert len(names) == len(entries), "one entry for an alert"
        assert key is None or len(entries) == 1


async def started(config: Path, folder: Path) -> asyncio.subprocess.Process:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SQUALL_")}
    with (folder / "delivering.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.streams.app.delivering",
            str(config),
            stdout=log,
            stderr=log,
            env=environ | {"SQUALL_COMPILED": "0"},
        )
