"""The worker process: starts the roles, watches over them, stops cleanly, or ends at once when it cannot go on."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import faust
from aiokafka.errors import KafkaError
from rich.console import Console

from models.prediction import Scorer
from streams import __version__
from streams.app import metrics
from streams.app.apps import log
from streams.app.health import HealthServer, Watchdog
from streams.app.monitor import MonitorService
from streams.app.offsets import OffsetReader, Position
from streams.app.scorer import ScorerService
from streams.app.security import aiokafka_options
from streams.app.sender import Sender
from streams.assembly import company_names, entity_table, rules_in_force
from streams.config import Settings
from streams.deliver import deliverer
from streams.errors import BrokerError
from streams.ingest.decode import Limits
from streams.ingest.entities import Linker, load_watchlist
from streams.ingest.redact import Redactor
from streams.scoring import ScoringStage, StageOptions
from streams.topics import require_topics

Role = Literal["all", "scorer", "monitor"]

EXIT_STUCK = 70
"""EX_SOFTWARE: the orchestrator is to start the process anew."""
_STOP_WITHIN_S = 25.0
"""Under the 30 s that Kubernetes gives by default."""


def load_scorer(settings: Settings) -> Scorer:
    """Load the classifier; this imports torch. Raises models.errors.ModelError."""
    from models import Classifier

    options = settings.classifier
    return Classifier.load(options.model, device=options.device, max_tokens_per_batch=options.max_tokens_per_batch)


def make_linker(settings: Settings) -> Linker:
    """Build the entity linker. Raises InputError for a table or watch list that cannot be used."""
    watchlists = [load_watchlist(path) for path in settings.entities.watchlists]
    return Linker(entity_table(settings), watchlists=watchlists)


def make_stage(settings: Settings, scorer: Scorer) -> ScoringStage:
    """Build the scoring stage of these settings."""
    ingest = settings.ingest
    return ScoringStage(
        scorer,
        make_linker(settings),
        Redactor(emails=ingest.redact_emails, phones=ingest.redact_phones, handles=ingest.redact_handles),
        StageOptions(
            limits=Limits(
                max_bytes=ingest.max_bytes,
                oldest=ingest.oldest,
                max_future_s=ingest.max_future_s,
                future_skew_s=ingest.future_skew_s,
            ),
            topic=settings.topics.messages,
            refused_by=f"squall {__version__}",
            min_relevance=settings.entities.min_relevance,
            mention_text_chars=ingest.mention_text_chars,
            pseudonymous_authors=ingest.redact_handles,
            duplicate_horizon_s=ingest.duplicate_horizon_s,
        ),
    )


class Worker:
    """One process with one or both roles.

    Args:
        settings: the configuration.
        role: which agents to run.
        console: where alerts are printed.
    """

    def __init__(self, settings: Settings, role: Role, *, console: Console | None = None) -> None:
        self._settings = settings
        self._role = role
        self._console = console
        self._stopping = asyncio.Event()
        self._beat_s = time.monotonic()
        self._scorer: ScorerService | None = None
        self._monitor: MonitorService | None = None
        self._readers: list[tuple[str, OffsetReader, Callable[[], set[int] | None]]] = []
        self._watchdog = Watchdog(settings.worker.watchdog_s)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then finish what is under way.

        Raises:
            SquallError: something that is needed at the start is missing: topics, broker, rules, tables, the port.
        """
        settings = self._settings
        await asyncio.to_thread(require_topics, settings)
        options = aiokafka_options(settings.kafka)
        sender = Sender(options)
        out = deliverer(settings.delivery, console=self._console)
        health = HealthServer(
            settings.worker.host, settings.worker.port, is_ready=self._why_not_ready, beat=lambda: self._beat_s
        )
        log.info("health and metrics on %s", await health.start())
        try:
            await sender.start()
        except KafkaError as error:
            await health.stop()
            msg = f"no Kafka at {', '.join(settings.kafka.bootstrap_servers)}: {error}"
            raise BrokerError(msg) from error
        self._handle_signals()
        apps: list[faust.App] = []
        stops: list[Callable[[], Awaitable[object]]] = []
        tasks: list[asyncio.Task[None]] = []
        if self._role in ("all", "monitor"):
            rules = rules_in_force(settings)
            self._monitor = MonitorService(
                settings, rules, sender, out, self._die, names=await asyncio.to_thread(company_names, settings)
            )
            await self._read_offsets_of(settings.topics.mentions, settings.topics.mention_partitions, self._monitor)
            apps.append(self._monitor.app)
            stops.append(self._monitor.stop)
        if self._role in ("all", "scorer"):
            log.info("loading the classifier")
            scorer = await asyncio.to_thread(load_scorer, settings)
            metrics.MODEL.labels(scorer.model.name, scorer.model.version).set(1)
            stage = await asyncio.to_thread(make_stage, settings, scorer)
            own = OffsetReader(
                options,
                group=f"{settings.topics.prefix}-scorer",
                topic=settings.topics.messages,
                partitions=settings.topics.message_partitions,
            )
            await own.start()
            stops.append(own.stop)
            self._scorer = ScorerService(settings, stage, sender, own, self._die)
            await self._read_offsets_of(settings.topics.messages, settings.topics.message_partitions, self._scorer)
            tasks.append(asyncio.create_task(self._scorer.tick_for_ever()))
            apps.append(self._scorer.app)
            stops.append(self._scorer.stop)
        tasks.append(asyncio.create_task(self._watch()))
        starts = [asyncio.create_task(self._start(app)) for app in apps]
        await self._stopping.wait()
        await self._stop(apps, starts, tasks, stops)
        await out.aclose()
        await sender.stop()
        await health.stop()
        log.info("stopped")

    async def _start(self, app: faust.App) -> None:
        try:
            await app.start()
        except Exception as error:
            self._die(error)

    async def _stop(
        self,
        apps: list[faust.App],
        starts: list[asyncio.Task[None]],
        tasks: list[asyncio.Task[None]],
        stops: list[Callable[[], Awaitable[object]]],
    ) -> None:
        log.info("stopping: finishing what is under way")
        for task in tasks:
            task.cancel()
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                # Faust commits what was acknowledged; what is not done by then is read again by the next worker.
                await asyncio.gather(*(app.stop() for app in apps))
        except TimeoutError:
            log.warning("did not finish within %g s; what is left is done again by the next worker", _STOP_WITHIN_S)
        for start in starts:
            start.cancel()
        for stop in stops:
            await stop()
        for _, reader, _ in self._readers:
            await reader.stop()

    async def _read_offsets_of(self, topic: str, partitions: int, service: ScorerService | MonitorService) -> None:
        reader = OffsetReader(
            aiokafka_options(self._settings.kafka), group=service.group, topic=topic, partitions=partitions
        )
        await reader.start()
        self._readers.append((topic, reader, lambda: service.assigned))

    async def _watch(self) -> None:
        """Beat, show the lag, and end the process if it stands still while records wait."""
        pause_s = min(5.0, self._settings.worker.watchdog_s / 4)
        while True:
            self._beat_s = time.monotonic()
            for topic, reader, assigned in self._readers:
                try:
                    positions = await reader.read()
                except (KafkaError, OSError) as error:
                    log.warning("cannot read the offsets of %s: %r", topic, error)
                    continue
                self._look_at(topic, positions, assigned())
            await asyncio.sleep(pause_s)

    def _look_at(self, topic: str, positions: dict[int, Position], assigned: set[int] | None) -> None:
        for number, position in positions.items():
            metrics.WAITING.labels(topic, str(number)).set(position.waiting)
        mine = {number: position for number, position in positions.items() if number in (assigned or ())}
        stuck = self._watchdog.check(topic, mine, time.monotonic())
        if stuck:
            self._die(RuntimeError("; ".join(stuck)))

    def _why_not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "stopping"
        if self._role in ("all", "monitor") and not (self._monitor is not None and self._monitor.is_ready):
            return "the monitor has no partitions yet, or is recovering its state"
        if self._role in ("all", "scorer") and not (self._scorer is not None and self._scorer.is_ready):
            return "the scorer has no partitions yet, or is loading its model"
        return None

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)

    def _die(self, error: BaseException) -> None:
        """End the process at once and unacknowledged: what is under way is done again by the next one."""
        log.critical("cannot go on, ending the process: %s", error, exc_info=error)
        logging.shutdown()
        sys.stderr.flush()
        os._exit(EXIT_STUCK)


def run_worker(settings: Settings, role: Role, *, console: Console | None = None) -> None:
    """Run a worker in this process until it is told to stop."""
    settings.worker.data_dir.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=settings.worker.log_level,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("aiokafka", "faust", "mode", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_run(settings, role, console))


async def _run(settings: Settings, role: Role, console: Console | None) -> None:
    await Worker(settings, role, console=console).run()
