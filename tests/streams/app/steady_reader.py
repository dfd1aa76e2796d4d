"""A Faust app in a process of its own: reads two partitions to their ends and prints the offsets as they came.

python -m tests.streams.app.steady_reader CONFIG RECORDS HELD_BACK
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from faust.transport.drivers import aiokafka as driver

from streams.app.apps import make_app, raw_topic
from streams.app.layout import STATE_TABLE
from streams.config import load_settings


def hold_back(name: str) -> None:
    """Let a call into the consumer's thread wait, so that what it races with is done first."""
    whole = getattr(driver.AIOKafkaConsumerThread, name)

    async def held_back(self: Any, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await whole(self, *args, **options)

    setattr(driver.AIOKafkaConsumerThread, name, held_back)


async def read_all(config: Path, records: int) -> None:
    """Run until the last record of each partition has come, and end at once."""
    settings = load_settings(config)
    app = make_app(settings, "monitor")
    table = app.Table(STATE_TABLE, partitions=2, key_type=bytes, value_type=bytes)

    async def look_around() -> None:
        await asyncio.sleep(0.3)  # in which a fetch may be under way that asks for nothing in particular

    table.on_recover(look_around)
    found: dict[int, list[int]] = {0: [], 1: []}
    whole = asyncio.Event()

    @app.agent(raw_topic(app, settings.topics.mentions), name="reader", concurrency=1)
    async def read(stream: Any) -> None:
        async for events in stream.noack().noack_take(50, within=0.1):
            for event in events:
                found[event.message.partition].append(event.message.offset)
                await stream.ack(event)
            if all(records - 1 in of_one for of_one in found.values()):
                whole.set()

    running = asyncio.create_task(app.start())
    done = asyncio.create_task(whole.wait())
    await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
    if not whole.is_set():
        await running  # it has ended before its time, and says why
        await done
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # as a kill would, so that nothing is tidied up


if __name__ == "__main__":
    hold_back(sys.argv[3])
    asyncio.run(read_all(Path(sys.argv[1]), int(sys.argv[2])))
