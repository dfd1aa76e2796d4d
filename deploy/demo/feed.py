"""What a demonstration publishes, from a thread of its own: the invented story, or the user's files."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError

from deploy.demo.companies import COMPANIES
from deploy.demo.story import DEMO_DAYS, demo_days, demo_history, malformed
from streams.config import Settings
from streams.errors import BrokerError, InputError
from streams.ingest.decode import Limits, message_id
from streams.ingest.publish import Publisher
from streams.ingest.readers import read_rows
from streams.ingest.rows import NEEDED, check_columns, message_from_row
from streams.records import Message

DAYS_WITHIN_S = 24.0
"""The days of the demonstration go by in this time, so that one sees the alerts come."""


class FeedStoppedError(Exception):
    """The run is being ended: nothing more is published."""


@dataclass(slots=True)
class Handed:
    """What has been handed over to Kafka. Written by the feed's thread, read by any other."""

    messages: int = 0
    malformed: int = 0
    reached: datetime | None = None
    """Greatest `published_at`."""
    phase: str = ""
    history_done: bool = False
    done: bool = False
    error: BaseException | None = None
    told_of: dict[str, str] = field(default_factory=dict)
    """The story only: company that a message was written about, by message id."""

    @property
    def records(self) -> int:
        """Messages and malformed records."""
        return self.messages + self.malformed


class Feed:
    """Publishes in a thread.

    Args:
        settings: of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._go_on = threading.Event()
        self._thread: threading.Thread | None = None
        self.handed = Handed()

    def tell_story(self, seed: int) -> None:
        """Publish the history; then, once `go_on` was called, the days with their incidents and malformed records."""
        self._start(self._story, seed)

    def send_messages(self, messages: Sequence[Message]) -> None:
        """Publish messages in the given order, as fast as Kafka takes them."""
        self._start(self._send, messages)

    def go_on(self) -> None:
        """The history is scored: let the days begin."""
        self._go_on.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Publish nothing more and wait for the thread."""
        self._stop.set()
        self._go_on.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _start(self, work: object, argument: object) -> None:
        def run() -> None:
            try:
                work(argument)  # type: ignore[operator]
            except FeedStoppedError:
                pass
            except BaseException as error:  # the main thread tells it
                self.handed.error = error
            self.handed.done = True

        self._thread = threading.Thread(target=run, name="demo-feed", daemon=True)
        self._thread.start()

    def _story(self, seed: int) -> None:
        with self._publisher() as publisher:
            self.handed.phase = "ordinary weeks, to learn what is usual"
            publisher.publish(self._noted(demo_history(seed), tell=True))
            self.handed.history_done = True
            self._go_on.wait()
            self.handed.phase = "days with incidents"
            days, _ = demo_days(seed)
            first, second = _split(list(days))
            speed = timedelta(days=DEMO_DAYS).total_seconds() / DAYS_WITHIN_S
            publisher.publish(self._noted(first, tell=True), speed=speed)
            self._send_malformed()
            publisher.publish(self._noted(second, tell=True), speed=speed)

    def _send(self, messages: Sequence[Message]) -> None:
        self.handed.phase = "your messages"
        with self._publisher() as publisher:
            publisher.publish(self._noted(messages, tell=False))

    def _publisher(self) -> Publisher:
        return Publisher(self._settings.kafka.client_options(), topic=self._settings.topics.messages, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _noted(self, messages: Iterable[Message], *, tell: bool) -> Iterator[Message]:
        handed = self.handed
        for message in messages:
            if self._stop.is_set():
                raise FeedStoppedError
            yield message
            handed.messages += 1
            if handed.reached is None or message.published_at > handed.reached:
                handed.reached = message.published_at
            if tell:
                handed.told_of[message_id(message.source, message.id)] = written_about(message)

    def _send_malformed(self) -> None:
        producer = KafkaProducer(**self._settings.kafka.client_options(), acks="all")
        try:
            deliveries = [
                producer.send(self._settings.topics.messages, value=value, key=b"chirp") for _, value in malformed()
            ]
            for delivery in deliveries:
                delivery.get(timeout=30)
                self.handed.malformed += 1
        except KafkaError as error:
            msg = f"the malformed records were not delivered: {error}"
            raise BrokerError(msg) from error
        finally:
            producer.close(timeout=10)


def written_about(message: Message) -> str:
    """Return the symbol of the invented company that a message is about, found by plain search; empty if none is.

    It knows nothing of the linker, so that what the linker finds can be held against it.
    """
    for company in COMPANIES:
        names = (company.short, *company.aliases)
        if f"${company.symbol}" in message.text or any(name in message.text for name in names):
            return company.symbol
    return ""


def _split(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Return the messages of the first day, and those after it."""
    day = messages[0].published_at.date()
    at = next((n for n, message in enumerate(messages) if message.published_at.date() != day), len(messages))
    return messages[:at], messages[at:]


@dataclass(frozen=True, slots=True)
class OwnMessages:
    """What was read of the user's files."""

    messages: list[Message]
    """In order of time."""
    bad: list[str]
    """What is wrong with the other rows: file, line and why."""
    was_sorted: bool
    """The rows stood in order of time already."""


def read_files(
    files: Sequence[Path],
    settings: Settings,
    *,
    columns: Mapping[str, str],
    assume_utc: bool,
    now: datetime | None = None,
) -> OwnMessages:
    """Read files whole and put their messages in order of time: an export often begins with the newest.

    Args:
        files: CSV, TSV, JSON lines or Parquet.
        settings: for the bounds of a message: what the worker would refuse is a bad row here.
        columns: field of a message to column, where it has an unusual name.
        assume_utc: take times without an offset as UTC.
        now: the time that `ingest.max_future_s` counts from, with an offset; the clock's if None.

    Raises:
        InputError: a file cannot be read at all, has no columns (text lines), or lacks one that a message needs.
    """
    ingest = settings.ingest
    limits = Limits(max_bytes=ingest.max_bytes, oldest=ingest.oldest, max_future_s=ingest.max_future_s)
    started = datetime.now(UTC) if now is None else now

    def on_header(header: list[str]) -> None:
        check_columns(header, columns, NEEDED)

    messages, bad = [], []
    for path in files:
        source = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        for row in read_rows(path, with_columns=True, on_header=on_header):
            try:
                message = message_from_row(
                    row, default_source=source, columns=columns, assume_utc=assume_utc, limits=limits, now=started
                )
            except InputError as error:
                bad.append(f"{path}: {error}")
            else:
                messages.append(message)
    ordered = sorted(messages, key=lambda message: message.published_at)
    was_sorted = all(a is b for a, b in zip(messages, ordered, strict=True))
    return OwnMessages(messages=ordered, bad=bad, was_sorted=was_sorted)
