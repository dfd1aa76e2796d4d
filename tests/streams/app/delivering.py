"""The delivery of a worker in a process of its own, until it is killed.

python -m tests.streams.app.delivering CONFIG
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from streams.app import logs
from streams.app.delivery import delivery_loops
from streams.app.security import aiokafka_options
from streams.app.sender import Sender
from streams.config import load_settings
from streams.deliver import sinks


async def deliver(config: Path) -> None:
    """Run the loops of all receivers, as the worker does."""
    settings = load_settings(config)
    options = aiokafka_options(settings.kafka)
    sender = Sender(options)
    await sender.start()
    loops = delivery_loops(settings, sinks(settings.delivery), options=options, sender=sender)
    await asyncio.gather(*(loop.run() for loop in loops))


if __name__ == "__main__":
    logs.set_up("INFO")
    asyncio.run(deliver(Path(sys.argv[1])))
