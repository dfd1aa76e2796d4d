"""Messages scored again: the same ingest, linking and classifier as live, on all cores, resumable after a kill.

The main process decodes, links and writes, in the order of the source; other processes run the classifier. The bytes of
the result depend on the messages, the settings and the model alone: not on the number of processes, nor on where a run
was cut off and taken up again. (Live, the classifier computes with several threads, which can change a probability's
fourth decimal.)
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec

from models.files import read_manifest
from models.prediction import ModelId, Prediction
from streams import __version__
from streams.config import Settings
from streams.errors import InputError
from streams.records import Mention, Progress, encode
from streams.replay.rescoring.refusals import NothingScored, Place, Refused
from streams.replay.rescoring.scoring_pool import Answers, ScoringPool, default_workers
from streams.replay.rescoring.segments import RescoreCounters, SegmentState, SegmentStore
from streams.replay.sources.source import BadRecord, MessageSource, OnBad, SourceFacts
from streams.scoring import FeedClock, Prepared, RawRecord
from streams.scoring.build import make_stage
from streams.scoring.feeds import ABANDONED_AFTER

BATCH_MESSAGES = 512
"""Messages that a process scores at once. Progress records stand between batches, so it is part of the result."""
SEGMENT_BATCHES = 8
"""Batches of a segment: what a kill costs is at most the work on one, about ten seconds of one core."""
_AHEAD = 2
"""Batches that wait for a process that has just finished one."""


@dataclass(frozen=True, slots=True)
class RescoreProgress:
    """How far a rescoring has come.

    Attributes:
        messages: messages done since its beginning, earlier processes included.
        total: about how many there are; None if that is not known.
        messages_per_s: pace of this process so far.
    """

    messages: int
    total: int | None
    messages_per_s: float


OnRescored = Callable[[RescoreProgress], None]


def rescore(
    source: MessageSource,
    *,
    settings: Settings,
    model: Path,
    folder: Path,
    workers: int | None = None,
    on_progress: OnRescored | None = None,
    on_bad: OnBad | None = None,
    counters: RescoreCounters | None = None,
    clock: Callable[[], float] = time.monotonic,
    batch_messages: int = BATCH_MESSAGES,
    segment_batches: int = SEGMENT_BATCHES,
) -> Path:
    """Score a source's messages into `mentions.jsonl.gz`, or go on with what an earlier run has left in the folder.

    A mention's `scored_at` is its message's arrival: the clock is the data's. What is refused goes to
    `dead-letters.jsonl` beside it.

    Args:
        source: the messages, the same as when the folder was begun.
        settings: the configuration; its classifier's folder is not looked at.
        model: the model folder.
        folder: where to work; the result appears in it when it is complete.
        workers: processes that score, each with one thread; None is one per core. On CUDA there is one.
        on_progress: told after each batch.
        on_bad: told of each row or message that is refused; not again of those that an earlier run was told of.
        counters: is given the figures, those of earlier runs included.
        clock: seconds that only go forward, for the pace.
        batch_messages: messages that are scored at once.
        segment_batches: batches from one save to the next.

    Returns:
        Path of the mentions.

    Raises:
        InputError: the source breaks off, or an entity table or watch list cannot be used.
        BrokerError: Kafka stops answering.
        ReplayError: the folder holds the rescoring of something else or cannot be written, a process dies, or the
            classifier does.
        ModelError: the model or the device cannot be used.
    """
    scorer = _Named(read_manifest(model).model)
    identity = _identity(source.facts, settings, scorer.model, f"{segment_batches} of {batch_messages}")
    store = SegmentStore(folder, identity)
    figures = counters if counters is not None else RescoreCounters()
    if store.finished is None:
        run = _Run(source, settings, scorer, store, batch_messages, segment_batches)
        if not run.ended:
            pool = ScoringPool(
                model,
                settings=settings,
                workers=default_workers() if workers is None else workers,
            )
            tell = _Teller(on_progress, source.total, run.counters.messages, clock)
            with pool:
                for refused in run.through(pool):
                    tell.progress(run.counters.messages)
                    for item in refused if on_bad is not None else ():
                        cast(OnBad, on_bad)(BadRecord(item.where, item.reason, item.detail))
        store.finish()
    if store.finished is not None:
        figures.become(store.finished)
    return store.mentions_path


def require_mentions(text: str, figures: RescoreCounters) -> None:
    """Refuse a rescoring that came to no mention: an empty result would look like a quiet market.

    Args:
        text: the source, as the user named it.
        figures: what the rescoring came to.

    Raises:
        NothingScored: not one message is about a known company.
    """
    if figures.mentions:
        return
    found = f"{figures.messages - figures.feed_marks:,} messages: {figures.unlinked:,} about no known company"
    if figures.refused:
        found += ", refused " + ", ".join(f"{count:,} {reason}" for reason, count in sorted(figures.refused.items()))
    msg = f"{text}: nothing was scored of {found}. Companies are known from the S&P 500 and entities.tables"
    raise NothingScored(f"{msg}; if the rows are mentions with their scores, add --as-scored")


class _Named:
    """Stands for the classifier in the main process, which needs its name alone."""

    def __init__(self, model: ModelId) -> None:
        self.model = model

    def predict(self, texts: Sequence[str]) -> list[Prediction]:  # pragma: no cover - a programming error
        raise NotImplementedError


@dataclass(slots=True)
class _Batch:
    prepared: Prepared
    answers: Future[Answers]
    bad: list[Refused]
    """Rows that the source could not read on the way to this batch's last message."""
    last: bool


class _Run:
    """A rescoring under way in this process."""

    def __init__(
        self,
        source: MessageSource,
        settings: Settings,
        scorer: _Named,
        store: SegmentStore,
        batch_messages: int,
        segment_batches: int,
    ) -> None:
        self._source = source
        self._store = store
        self._batch_messages = batch_messages
        self._segment_batches = segment_batches
        self._stage = make_stage(settings, scorer)
        self._idle_after_s = settings.worker.idle_after_s
        self._partitions = set(source.partitions)
        self._clock = FeedClock(
            partitions=len(self._partitions),
            idle_after_s=self._idle_after_s,
            lateness_s=settings.monitor.allowed_lateness_s,
        )
        self._clock.assign(self._partitions)
        self._place = Place(source.facts, settings.topics.messages)
        self.counters = RescoreCounters()
        self._number = 0
        self._now: datetime | None = None
        state = store.newest
        self.ended = state is not None and state.last
        if state is not None and not self.ended:
            self.counters.become(state.counters)
            self._clock.restore(bytes(state.clock))
            self._number, self._now = state.number, state.now
            for message_id, published_at in store.remembered(settings.ingest.duplicate_horizon_s):
                self._stage.remember(message_id, published_at)
        self._bad: list[Refused] = []
        self._lines: list[bytes] = []
        self._refused: list[Refused] = []
        self._unscorable: list[tuple[str, datetime]] = []
        self._newest: datetime | None = None
        self._taken = 0
        if not self._number:
            count = len(self._partitions)
            for number in sorted(self._partitions):
                self._put(Progress(partition=number, partitions=count, event_time=None, idle=False))

    def through(self, pool: ScoringPool) -> Iterator[list[Refused]]:
        """Go on to the end of the source; yields after each batch what was refused in it."""
        waiting: deque[_Batch] = deque()
        batches = self._batches(pool)
        with closing(batches):
            for batch in batches:
                waiting.append(batch)
                if len(waiting) >= pool.workers + _AHEAD:
                    yield self._take(waiting.popleft(), pool)
            while waiting:
                yield self._take(waiting.popleft(), pool)

    def _batches(self, pool: ScoringPool) -> Generator[_Batch, None, None]:
        records = self._source.records(skip=self.counters.messages, on_bad=self._heard)
        last = False
        while not last:
            batch = list(islice(records, self._batch_messages))
            last = len(batch) < self._batch_messages
            prepared = self._stage.prepare(batch)
            # Remembered before it is written: a run that ends before that takes the message up again, and its memory
            # is then made of what was written. So it does not matter how many batches are under way.
            self._stage.delivered(prepared)
            bad, self._bad = self._bad, []
            yield _Batch(prepared, pool.submit(prepared.texts, prepared.languages), bad, last)

    def _heard(self, bad: BadRecord) -> None:
        # A source tells of a bad row before it yields the record after it, and to a reading that goes on after that
        # record not again: so each is told once, in the batch of the record after it.
        self._bad.append(Refused(where=bad.where, reason=bad.reason, detail=bad.detail))

    def _take(self, batch: _Batch, pool: ScoringPool) -> list[Refused]:
        prepared = batch.prepared
        predictions = pool.result(batch.answers)
        now = self._advance(prepared.records)
        refused = list(batch.bad)
        if now is not None:
            outcome = self._stage.finish(prepared, predictions, scored_at=now)
            self._write(prepared, outcome.mentions, now)
            refused += [self._place.refused(letter) for letter in outcome.dead]
            self._count(prepared, predictions, len(outcome.mentions))
        for item in refused:
            self.counters.refused[item.reason] = self.counters.refused.get(item.reason, 0) + 1
        self.counters.bad_rows += len(batch.bad)
        self._refused += refused
        self._taken += 1
        if batch.last:
            self._end()
        if batch.last or self._taken == self._segment_batches:
            self._save(batch)
        return refused

    def _advance(self, records: Sequence[RawRecord]) -> datetime | None:
        """Return the highest arrival time so far; None if there was no record at all."""
        for record in records:
            if self._now is None or record.received_at > self._now:
                self._now = record.received_at
        return self._now

    def _write(self, prepared: Prepared, mentions: Sequence[Mention], now: datetime) -> None:
        """Write what the live scorer would send, in its order: who is awake, the mentions, how far all have come."""
        here = {record.partition for record in prepared.records}
        self._tell(self._clock.wake(here))
        for mention in mentions:
            self._put(msgspec.structs.replace(mention, scored_at=mention.received_at))
        for partition, published_at, received_at in prepared.times:
            self._clock.seen(partition, published_at, received_at)
        for partition, mark in prepared.marks:
            self._clock.marked(partition, mark)
        self._tell(self._clock.advanced())
        if here and len(self._partitions) > 1:
            self._tell(self._clock.tick(now, now.timestamp(), here))

    def _end(self) -> None:
        """The source has ended, and with it each of several partitions: none of them is waited for any more."""
        if self._now is not None and len(self._partitions) > 1:
            for later_s in (0.0, ABANDONED_AFTER * self._idle_after_s):  # silent from now on, and for long enough
                self._tell(self._clock.tick(self._now, self._now.timestamp() + later_s, set()))

    def _count(self, prepared: Prepared, predictions: Sequence[Prediction | Exception], mentions: int) -> None:
        counters = self.counters
        counters.messages += len(prepared.records)
        counters.feed_marks += len(prepared.marks)
        counters.unlinked += prepared.unlinked
        counters.repeated += prepared.repeated
        counters.mentions += mentions
        for ready, prediction in zip(prepared.ready, predictions, strict=True):
            published_at = ready.message.published_at
            if self._newest is None or published_at > self._newest:
                self._newest = published_at
            if isinstance(prediction, Exception):
                self._unscorable.append((ready.message_id, published_at))
            else:
                counters.scored += 1

    def _save(self, batch: _Batch) -> None:
        self._number += 1
        state = SegmentState(
            number=self._number,
            counters=self.counters.copy(),
            clock=msgspec.Raw(self._clock.snapshot()),
            now=self._now,
            newest=self._newest,
            unscorable=self._unscorable,
            refused=self._refused,
            size=0,
            last=batch.last,
        )
        self._store.add(state, b"".join(self._lines))
        self._lines, self._refused, self._unscorable = [], [], []
        self._newest = None
        self._taken = 0

    def _tell(self, news: Sequence[Progress]) -> None:
        for item in news:
            self._put(item)

    def _put(self, record: Mention | Progress) -> None:
        self._lines += (encode(record), b"\n")


class _Teller:
    def __init__(
        self, on_progress: OnRescored | None, total: int | None, before: int, clock: Callable[[], float]
    ) -> None:
        self._on_progress = on_progress
        self._total = total
        self._before = before
        self._clock = clock
        self._started_s = clock()

    def progress(self, messages: int) -> None:
        """Tell how far it is."""
        if self._on_progress is None:
            return
        seconds = self._clock() - self._started_s
        per_s = (messages - self._before) / seconds if seconds > 0 else 0.0
        self._on_progress(RescoreProgress(messages, self._total, per_s))


_NO_ANSWER_DEPENDS = frozenset({"remembered_texts", "degrade_after_s"})
"""Keys of `classifier` that a rescoring does not read: it remembers nothing and is never in a hurry."""


def _identity(facts: SourceFacts, settings: Settings, model: ModelId, segments: str) -> dict[str, str]:
    """Return in words all that decides the result: a rescoring goes on only as what it was."""
    entities = settings.entities
    files = [_sha256(path) for path in (*entities.tables, *entities.watchlists)]
    classifier = settings.classifier
    return {
        "the source": facts.identity,
        "the model": f"{model.name} {model.version}",
        "the device": f"{classifier.device}, {classifier.max_tokens_per_batch} tokens",
        "the settings of the classifier": _hash(
            classifier.model_dump_json(exclude={"model", "device", "max_tokens_per_batch", *_NO_ANSWER_DEPENDS})
        ),
        "the settings of ingest": _hash(settings.ingest.model_dump_json()),
        "the companies": _hash(f"{entities.include_sp500} {entities.min_relevance} {len(entities.tables)} {files}"),
        "worker.idle_after_s": f"{settings.worker.idle_after_s:g}",
        "monitor.allowed_lateness_s": f"{settings.monitor.allowed_lateness_s}",
        "the version of Squall": __version__,
        "the segments": segments,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise InputError(msg) from error
