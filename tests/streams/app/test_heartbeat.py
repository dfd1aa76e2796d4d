"""The sign of life behind /healthz: it stops with the process's loop, and with nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from streams.app import worker as module
from streams.app.worker import Worker
from streams.config import Settings
from tests.streams.app.harness import DEADLINE_S


class NeverAnswers:
    """Offsets of a Kafka that takes connections and says nothing."""

    asked = 0

    async def read(self) -> Any:
        self.asked += 1
        await asyncio.Event().wait()


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def beats(worker: Worker) -> None:
    """Wait for the next sign of life."""
    last = worker._beat_s
    async with asyncio.timeout(DEADLINE_S):
        while worker._beat_s == last:  # noqa: ASYNC110 - a plain number is watched
            await asyncio.sleep(0.01)


async def test_a_kafka_that_does_not_answer_does_not_look_like_a_dead_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_WITHIN_S", 0.01)
    worker, silent = Worker(Settings.model_validate({"worker": {"watchdog_s": 5}}), "scorer"), NeverAnswers()
    worker._readers = [("squall.messages", cast(Any, silent), lambda: {0})]
    async with running(worker._watch()):
        await beats(worker)
        await beats(worker)
    assert silent.asked >= 2


async def test_a_worker_that_is_slow_to_load_its_model_gives_signs_of_life() -> None:
    worker = Worker(Settings(), "scorer")
    async with running(worker._beat_until_it_watches()):
        await beats(worker)
        await beats(worker)


async def test_who_watches_beats_by_watching_alone() -> None:
    worker = Worker(Settings(), "scorer")
    async with running(worker._watch()):
        await beats(worker)
        async with asyncio.timeout(DEADLINE_S):
            await worker._beat_until_it_watches()
