"""The watch over the model, wired into the worker: built from the settings, fed with verdicts, and ended with it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from streams.app.verdicts import VerdictReader
from streams.config import Settings
from streams.scoring.build import load_network
from streams.watch.watch import ModelWatch


def make_watch(settings: Settings) -> ModelWatch:
    """Build the watch of these settings; a challenger is loaded when it starts, in a thread of its own."""
    challenger = settings.watch.challenger
    return ModelWatch(settings.watch, None if challenger is None else partial(load_network, settings, challenger))


async def run_watch(watch: ModelWatch, settings: Settings, options: dict[str, Any]) -> None:
    """Do what the watch does beside the scorer, until cancelled: the challenger, and the reading of verdicts.

    Args:
        watch: the watch.
        settings: the configuration.
        options: aiokafka client options.
    """
    watch.start()
    try:
        if watch.reads_verdicts:
            await VerdictReader(options, settings.topics.labels).follow(watch.judged)
        else:
            await asyncio.Event().wait()
    finally:
        await asyncio.to_thread(watch.stop)
