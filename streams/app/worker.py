"""The worker process: starts the roles, watches over them, stops cleanly, or ends at once when it cannot go on."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal, cast

import faust
from aiokafka.errors import KafkaError
from rich.console import Console

from streams import compiled
from streams.acls import AclRole
from streams.app import logs, metrics, on_scrape
from streams.app.apps import log
from streams.app.company_series import load_companies
from streams.app.control import ControlReader
from streams.app.delivery import delivery_loops
from streams.app.desk_api import DeskApi
from streams.app.health import HealthServer, Watchdog
from streams.app.http_server import tls_context
from streams.app.model_in_use import ModelInUse as ModelSwap
from streams.app.monitor import MonitorService
from streams.app.offsets import OffsetReader, Position
from streams.app.rules_in_force import RulesInForce
from streams.app.scorer import ScorerService
from streams.app.security import aiokafka_options
from streams.app.sender import Sender
from streams.app.silences_in_force import SilencesInForce
from streams.app.tokens import read_tokens
from streams.app.watching import make_watch, run_watch
from streams.assembly import company_names, rules_in_force
from streams.config import Settings
from streams.deliver import AlertSink, sinks
from streams.errors import BrokerError, ConfigError
from streams.records import CONTROL_KEYS, Control, ModelInUse, RulesInUse, Silence
from streams.rights import require_rights
from streams.scoring import ScoringStage
from streams.scoring.build import make_linker, make_stage, with_other_languages
from streams.topics import require_topics

Role = Literal["all", "scorer", "monitor"]

EXIT_STUCK = 70
"""EX_SOFTWARE: the orchestrator is to start the process anew."""
_STOP_WITHIN_S = 15.0
"""With what is closed afterwards, under the 30 s that Kubernetes gives by default."""
_ANSWER_WITHIN_S = 10.0
"""Longest wait for the offsets of one topic: an outage of Kafka shall not look like a process that stands still."""
_SILENT_S = 15.0
"""A worker whose offsets Kafka has not told for so long is not ready."""


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
        self._watches = False
        self._scorer: ScorerService | None = None
        self._monitor: MonitorService | None = None
        self._model: ModelSwap | None = None
        self._model_watch = make_watch(settings)
        self._silences = SilencesInForce()
        self._readers: list[tuple[str, OffsetReader, Callable[[], set[int] | None]]] = []
        self._watchdog = Watchdog(settings.worker.watchdog_s)
        self._answered_s = time.monotonic()
        self._options = aiokafka_options(settings.kafka)
        self._prefix = settings.topics.prefix

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then finish what is under way.

        Raises:
            SquallError: something that is needed at the start is missing: topics, broker, rules, tables, the port.
            ModelError: the classifier cannot be loaded.
        """
        self._handle_signals()
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(require_topics, self._settings)
            await asyncio.to_thread(require_rights, self._settings, self._acl_roles())
            await self._start_health(stack)
            # What lies on disk comes before connections: a wrong path is told at once, and leaves nothing open.
            configured = rules_in_force(self._settings)
            names = await asyncio.to_thread(company_names, self._settings)
            watches = self._role in ("all", "monitor")
            companies = await asyncio.to_thread(load_companies, self._settings) if watches else None
            receivers = sinks(self._settings.delivery, console=self._console)
            control = ControlReader(self._options, self._settings.topics.control)
            stack.push_async_callback(control.stop)
            try:
                meant = await control.start()
            except KafkaError as error:
                raise self._no_kafka(error) from error
            rules = None
            if watches:
                rules = RulesInForce(self._settings, configured)
                rules.begin(cast("RulesInUse | None", meant.get(CONTROL_KEYS[RulesInUse])))
                self._silences.begin(meant.values())
            stage: ScoringStage | None = None
            if self._role in ("all", "scorer"):
                stack.callback(on_scrape.count_passes())
                stage = await self._load_stage(cast("ModelInUse | None", meant.get(CONTROL_KEYS[ModelInUse])))
            sender = await self._connect(stack)
            apps: list[faust.App] = []
            if rules is not None:
                log.info("the monitor is %s", "compiled" if compiled.is_used() else "plain Python: see squall compile")
                self._monitor = MonitorService(
                    self._settings, rules.rules, sender, self._die, names=names, companies=companies,
                    silences=self._silences.silences,
                )  # fmt: skip
                stack.push_async_callback(self._monitor.stop)
                await self._follow(stack, self._settings.topics.mentions, self._monitor)
                apps.append(self._monitor.app)
                self._in_background(stack, self._monitor.look_for_ever())
                self._in_background(stack, self._monitor.save_for_ever())
                self._deliver_to(stack, receivers, sender)
            if stage is not None:
                reader = await self._reader(stack, self._settings.topics.messages, f"{self._prefix}-scorer")
                self._scorer = ScorerService(self._settings, stage, sender, reader, self._die, self._model_watch)
                stack.push_async_callback(self._scorer.stop)
                await self._follow(stack, self._settings.topics.messages, self._scorer)
                apps.append(self._scorer.app)
                self._in_background(stack, self._scorer.tick_for_ever())
                self._in_background(stack, self._scorer.express.run())
                self._in_background(stack, run_watch(self._model_watch, self._settings, self._options))
            self._in_background(stack, control.follow(partial(self._change, rules), self._forget_silence))
            _settle_memory()
            stack.callback(gc.unfreeze)  # what is left at the end is to be taken apart as usual
            self._in_background(stack, self._watch())
            starts = [asyncio.create_task(self._start(app)) for app in apps]
            await self._stopping.wait()
            await self._stop_apps(apps, starts)
        log.info("stopped")

    def _acl_roles(self) -> list[AclRole]:
        """Whose rights on Kafka this process needs."""
        worker = self._settings.worker
        takes_verdicts = worker.api_token is not None or worker.api_tokens_file is not None
        return [AclRole(self._role), *([AclRole.VERDICTS] if takes_verdicts else [])]

    async def _start_health(self, stack: AsyncExitStack) -> None:
        worker = self._settings.worker
        desk = DeskApi(read_tokens(worker), topic=self._settings.topics.labels, options=self._options)
        tls = tls_context(worker.tls_cert_file, worker.tls_key_file)
        stack.push_async_callback(desk.stop)
        try:
            await desk.start()
        except KafkaError as error:
            raise self._no_kafka(error) from error
        health = HealthServer(
            worker.host, worker.port, is_ready=self._why_not_ready, beat=lambda: self._beat_s, desk=desk, tls=tls
        )
        log.info("health and metrics on %s", await health.start())
        on_scrape.show_worker(self._role)
        stack.push_async_callback(health.stop)
        self._in_background(stack, self._beat_until_it_watches())

    async def _change(self, rules: RulesInForce | None, record: Control) -> None:
        """Do what the operators have decided."""
        if isinstance(record, RulesInUse):
            if self._monitor is not None and rules is not None and rules.change(record):
                await self._monitor.apply(rules.rules)
        elif isinstance(record, Silence):
            if self._monitor is not None and self._silences.change(record):
                await self._monitor.silence(self._silences.silences)
        elif self._model is not None:
            await self._model.change(record)

    async def _forget_silence(self, id_: str) -> None:
        if self._monitor is not None and self._silences.forget(id_):
            await self._monitor.silence(self._silences.silences)

    async def _load_stage(self, meant: ModelInUse | None) -> ScoringStage:
        linker = await asyncio.to_thread(make_linker, self._settings)
        log.info("loading the classifier")
        model = self._model = ModelSwap(self._settings, self._model_watch.use)
        scorer = await asyncio.to_thread(model.load, meant)
        if model.cache is not None:
            cache = model.cache
            on_scrape.CACHE.show(lambda: cache.figures)
        scorers = await asyncio.to_thread(with_other_languages, self._settings, scorer, cache=model.cache)
        return await asyncio.to_thread(make_stage, self._settings, scorers, linker)

    def _no_kafka(self, error: KafkaError) -> BrokerError:
        return BrokerError(f"no Kafka at {', '.join(self._settings.kafka.bootstrap_servers)}: {error}")

    async def _connect(self, stack: AsyncExitStack) -> Sender:
        sender = Sender(self._options)
        try:
            await sender.start()
        except KafkaError as error:
            raise self._no_kafka(error) from error
        stack.push_async_callback(sender.stop)
        return sender

    async def _reader(self, stack: AsyncExitStack, topic: str, group: str) -> OffsetReader:
        topics = self._settings.topics
        partitions = topics.message_partitions if topic == topics.messages else topics.mention_partitions
        reader = OffsetReader(self._options, group=group, topic=topic, partitions=partitions)
        await reader.start()
        stack.push_async_callback(reader.stop)
        return reader

    async def _follow(self, stack: AsyncExitStack, topic: str, service: ScorerService | MonitorService) -> None:
        """Let the watchdog see what a service has before it."""
        reader = await self._reader(stack, topic, service.group)
        self._readers.append((topic, reader, lambda: service.assigned))

    def _deliver_to(self, stack: AsyncExitStack, receivers: dict[str, AlertSink], sender: Sender) -> None:
        loops = delivery_loops(self._settings, receivers, options=self._options, sender=sender)
        for loop in loops:
            self._in_background(stack, loop.run())

        async def stop() -> None:
            await asyncio.gather(*(loop.stop() for loop in loops))

        stack.push_async_callback(stop)  # before the cancellations: what comes last is called first

    def _in_background(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
        """Run something until the worker stops; if it fails, the process ends."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                self._die(error)

        task = asyncio.create_task(watched())

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(cancel)

    async def _start(self, app: faust.App) -> None:
        try:
            await app.start()
        except Exception as error:
            self._die(error)

    async def _stop_apps(self, apps: list[faust.App], starts: list[asyncio.Task[None]]) -> None:
        log.info("stopping: finishing what is under way")
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                # Faust commits what was acknowledged; what is not done by then is read again by the next worker.
                await asyncio.gather(*(app.stop() for app in apps))
        except TimeoutError:
            log.warning("did not finish within %g s; what is left is done again by the next worker", _STOP_WITHIN_S)
        for start in starts:
            start.cancel()

    async def _beat_until_it_watches(self) -> None:
        """Beat while a model is loaded, however long that takes: who is slow to start is not dead."""
        while not self._watches:
            self._beat_s = time.monotonic()
            await asyncio.sleep(1.0)

    async def _watch(self) -> None:
        """Beat, show the lag, and end the process if it stands still while records wait."""
        pause_s = min(5.0, self._settings.worker.watchdog_s / 4)
        self._watches = True
        while True:
            self._beat_s = time.monotonic()
            for topic, reader, assigned in self._readers:
                try:
                    async with asyncio.timeout(_ANSWER_WITHIN_S):
                        positions = await reader.read()
                    self._answered_s = time.monotonic()
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
        silent_s = time.monotonic() - self._answered_s
        if silent_s > _SILENT_S:
            return f"Kafka has not answered for {silent_s:.0f} s"
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


def _settle_memory() -> None:
    """Exempt what is loaded by now from garbage collection.

    It stays for as long as the process does, and with torch it is half a million objects: each full collection looked
    through them for 0.3 s, in which nothing else ran, the classifier included.
    """
    gc.collect()
    gc.freeze()


def run_worker(settings: Settings, role: Role, *, console: Console | None = None) -> None:
    """Run a worker in this process until it is told to stop. Raises what `Worker.run` does, and ConfigError."""
    try:
        settings.worker.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        msg = f"cannot make worker.data_dir {settings.worker.data_dir}: {error.strerror}"
        raise ConfigError(msg) from error
    logs.set_up(settings.worker.log_level)
    asyncio.run(_run(settings, role, console))


async def _run(settings: Settings, role: Role, console: Console | None) -> None:
    await Worker(settings, role, console=console).run()
