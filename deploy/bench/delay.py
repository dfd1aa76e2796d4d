"""What batching adds to a text's delay: texts arrive at random times, whether the scorer keeps up or not.

Open loop: the times of arrival are drawn beforehand (a Poisson process at a share of what the scorer sustains), and a
delay is counted from them, so that a scorer which stalls cannot slow the arrivals down and hide it. What batching adds
is the time from a text's arrival to the beginning of its batch: waiting for the batch to fill, at most `max_delay_ms`,
and for the batch under way.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from deploy.bench.figures import Figure, percentile
from models.prediction import ModelId, Prediction, Scorer

_ANSWER_S = 300.0
_RATE_TEXTS = 8_192


class TextBatcher(Protocol):
    """What gathers texts into batches, as `models.batcher.Batcher` does; one thread of it scores."""

    def submit(self, text: str) -> Future[Prediction]:
        """Take a text; the answer comes later."""
        ...


MakeBatcher = Callable[[Scorer], AbstractContextManager[TextBatcher]]
"""Puts a batcher before a scorer; it ends with the context."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came of one stretch of arrivals; times in seconds.

    Attributes:
        added: from arrival to the beginning of the batch, per text.
        whole: from arrival to the answer, per text.
        late: from the time drawn to the call of `submit`, per text: how well this bench kept its own times.
        batches: how long each batch took to score.
        sizes: texts of each batch.
    """

    added: tuple[float, ...]
    whole: tuple[float, ...]
    late: tuple[float, ...]
    batches: tuple[float, ...]
    sizes: tuple[int, ...]


class TimedScorer:
    """A scorer that remembers when each batch began and how long it took.

    Args:
        scorer: answers.
        clock: monotonic seconds.
    """

    def __init__(self, scorer: Scorer, clock: Callable[[], float] = time.perf_counter) -> None:
        self._scorer = scorer
        self._clock = clock
        self.began_s = 0.0
        """When the batch under way, or the last one, began."""
        self.batches: list[tuple[float, int]] = []
        """Seconds and texts of each batch so far."""

    @property
    def model(self) -> ModelId:
        """Which model answers."""
        return self._scorer.model

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Return one prediction per text, in order."""
        self.began_s = self._clock()
        found = self._scorer.predict(texts)
        self.batches.append((self._clock() - self.began_s, len(texts)))
        return found


def draw_arrivals(count: int, per_s: float, seed: int) -> list[float]:
    """Return the times of a Poisson process in seconds from its beginning.

    Raises:
        ValueError: the rate is not above 0.
    """
    if per_s <= 0:
        raise ValueError(f"the rate must be above 0, got {per_s}")
    dice = random.Random(seed)  # noqa: S311 - arrivals, no secret
    times, now = [], 0.0
    for _ in range(count):
        now += dice.expovariate(per_s)
        times.append(now)
    return times


def sustained_rate(make: MakeBatcher, scorer: Scorer, texts: Sequence[str]) -> float:
    """Return texts per second when all of them wait, through the batcher; a first stretch warms up."""
    with make(scorer) as batcher:
        for future in [batcher.submit(text) for text in texts[: len(texts) // 4]]:
            future.result(_ANSWER_S)
        rest = texts[len(texts) // 4 :]
        began = time.perf_counter()
        for future in [batcher.submit(text) for text in rest]:
            future.result(_ANSWER_S)
        return len(rest) / (time.perf_counter() - began)


def arrive(make: MakeBatcher, scorer: Scorer, texts: Sequence[str], times_s: Sequence[float]) -> Arrivals:
    """Submit each text at its time, wait for all answers, and return the delays.

    Raises:
        Exception: whatever the scorer raised for a text.
    """
    timed = TimedScorer(scorer)
    done: list[tuple[float, float]] = [(0.0, 0.0)] * len(texts)
    left = threading.Semaphore(0)

    def note(place: int) -> Callable[[Future[Prediction]], None]:
        def finished(_: Future[Prediction]) -> None:
            # Called by the thread that scored, before it begins with the next batch.
            done[place] = timed.began_s, time.perf_counter()
            left.release()

        return finished

    late: list[float] = []
    futures: list[Future[Prediction]] = []
    with make(timed) as batcher:
        origin = time.perf_counter()
        for place, (text, at_s) in enumerate(zip(texts, times_s, strict=True)):
            wait_s = origin + at_s - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            late.append(time.perf_counter() - origin - at_s)
            future = batcher.submit(text)
            future.add_done_callback(note(place))
            futures.append(future)
        for future in futures:
            future.result(_ANSWER_S)
        for _ in texts:
            left.acquire()
    return Arrivals(
        added=tuple(began - origin - at_s for (began, _), at_s in zip(done, times_s, strict=True)),
        whole=tuple(ended - origin - at_s for (_, ended), at_s in zip(done, times_s, strict=True)),
        late=tuple(late),
        batches=tuple(seconds for seconds, _ in timed.batches),
        sizes=tuple(size for _, size in timed.batches),
    )


def delay_figures(found: Arrivals, *, rate_per_s: float, sustained_per_s: float, max_delay_ms: float) -> list[Figure]:
    """Return the figures; the bound is `max_delay_ms` plus one batch, the 99th percentile of those measured."""
    batch_ms = percentile(found.batches, 99) * 1e3
    bound_ms = max_delay_ms + batch_ms
    bound = f"max_delay_ms + one batch {bound_ms:,.1f}"
    added_ms = percentile(found.added, 99) * 1e3
    texts = len(found.added)
    return [
        Figure(
            name="sustained", value=round(sustained_per_s, 1), unit="messages/s", note="all waiting, by the batcher"
        ),
        Figure(
            name="arrivals",
            value=round(rate_per_s, 1),
            unit="messages/s",
            against="sustained",
            ratio=rate_per_s / sustained_per_s,
            note=f"{texts:,} texts, Poisson; p99 of lateness of this bench {percentile(found.late, 99) * 1e3:.2f} ms",
        ),
        Figure(name="added by batching, p50", value=percentile(found.added, 50) * 1e3, unit="ms"),
        Figure(name="added by batching, p99", value=added_ms, unit="ms", against=bound, ratio=added_ms / bound_ms),
        Figure(name="arrival to answer, p50", value=percentile(found.whole, 50) * 1e3, unit="ms"),
        Figure(name="arrival to answer, p99", value=percentile(found.whole, 99) * 1e3, unit="ms"),
        Figure(name="a batch, p50", value=percentile(found.batches, 50) * 1e3, unit="ms"),
        Figure(
            name="a batch, p99",
            value=batch_ms,
            unit="ms",
            note=f"{len(found.batches):,} batches of {texts / len(found.batches):.1f} texts on average",
        ),
    ]


def run(
    make: MakeBatcher,
    scorer: Scorer,
    texts: Sequence[str],
    *,
    load: float,
    seconds: float,
    max_delay_ms: float,
    seed: int = 7,
) -> list[Figure]:
    """Measure what the scorer sustains, and then the delays at a share of it.

    Args:
        make: puts the batcher under test before a scorer.
        scorer: the scorer under test; it should not know the texts from before, so all of them differ.
        texts: enough for both parts; the first quarter, at most 8,192, is for the rate.
        load: share of the sustained rate at which texts arrive, above 0.
        seconds: how long they arrive, unless the texts run out before.
        max_delay_ms: what the batcher was made with.
        seed: of the arrivals.
    """
    first = max(8, min(_RATE_TEXTS, len(texts) // 4))
    sustained = sustained_rate(make, scorer, texts[:first])
    rate = load * sustained
    rest = texts[first : first + max(8, int(rate * seconds))]
    found = arrive(make, scorer, rest, draw_arrivals(len(rest), rate, seed))
    return delay_figures(found, rate_per_s=rate, sustained_per_s=sustained, max_delay_ms=max_delay_ms)
