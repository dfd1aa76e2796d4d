"""A challenger that scores a share of the live texts beside the model in use; nothing that it says leaves the process.

It works in a thread of its own, behind a queue that never makes anybody wait: what does not fit is `skipped`. What it
costs is its share of the arithmetic. (A lower priority for the thread would make that worse and not better: a thread
that is kept from running while it holds the interpreter's lock keeps the live ones from running too.)
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import xxhash

from models.prediction import ModelId, Prediction, Scorer

_log = logging.getLogger(__name__)

Outcome = Literal["agreed", "differed", "skipped", "failed"]
Report = Callable[[Outcome, int], None]

_TOGETHER = 32
"""Texts that the challenger scores at once."""
_MOST_WAITING = 1_024
"""Texts that wait for it; some megabytes at the most."""
_MOST_FAILURES = 5
"""Calls that may fail one after the other; then the shadow stops for good."""
_LEAST_COMPARED = 100
"""Texts below which no divergence is told."""
_DIVERGENCES = 1_000
"""Texts that the divergence is a mean over, the latest ones."""
_STOP_WITHIN_S = 5.0


class Shared(NamedTuple):
    """A text that the model in use has answered."""

    text: str
    live: Prediction


def is_chosen(message_id: str, share: float) -> bool:
    """Whether a message belongs to a share, 0 to 1; that follows from its id alone, on every worker alike."""
    return xxhash.xxh32_intdigest(message_id.encode("utf-8", "replace")) < share * 2**32


def jensen_shannon_bits(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the Jensen-Shannon divergence of two distributions [classes], in bits: 0 where they are equal, at most 1.

    The mean of the Kullback-Leibler divergences of each from their mean: Lin, "Divergence measures based on the Shannon
    entropy" (1991), equation 3.1 with equal weights.
    """
    total = 0.0
    for p, q in zip(one, other, strict=True):
        middle = (p + q) / 2
        total += sum(part * math.log2(part / middle) for part in (p, q) if part > 0)
    return min(1.0, max(0.0, total / 2))


class Divergence:
    """The mean divergence of the latest pairs of answers. Pure."""

    def __init__(self, size: int = _DIVERGENCES, least: int = _LEAST_COMPARED) -> None:
        self._latest: deque[float] = deque(maxlen=size)
        self._least = least

    def add(self, live: Prediction, challenger: Prediction) -> bool:
        """Take a pair in, and return whether both have the same sentiment."""
        self._latest.append(jensen_shannon_bits(_sentiments(live), _sentiments(challenger)))
        return live.label == challenger.label

    @property
    def mean_bits(self) -> float | None:
        """The mean; None while there are too few pairs."""
        return math.fsum(self._latest) / len(self._latest) if len(self._latest) >= self._least else None


def _sentiments(prediction: Prediction) -> tuple[float, float, float]:
    return prediction.negative, prediction.neutral, prediction.positive


class Shadow:
    """Scores what it is given with the challenger, when it comes to it.

    Args:
        load: loads the challenger, in the shadow's own thread. If that fails, a log line says so, and nothing else
            happens.
        share: of the messages, 0 to 1.
        on_outcome: told what became of texts, and how many they were.
        on_divergence: told the mean divergence, in bits, whenever it has changed.
        on_model: told which model the challenger is, once it is loaded, and again when it has failed for good: whether
            it scores.
    """

    def __init__(
        self,
        load: Callable[[], Scorer],
        share: float,
        *,
        on_outcome: Report,
        on_divergence: Callable[[float | None], None],
        on_model: Callable[[ModelId, bool], None],
    ) -> None:
        self._load = load
        self._share = share
        self._on_outcome = on_outcome
        self._on_divergence = on_divergence
        self._on_model = on_model
        self._waiting: deque[Shared] = deque()
        self._wake = threading.Condition()
        self._over = False
        self._model: ModelId | None = None
        self._champion: ModelId | None = None
        self._divergence = Divergence()
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether it has been stopped, by the worker or by its own failures."""
        return self._over

    def start(self) -> None:
        """Load the challenger and begin, without waiting for it."""
        self._thread.start()

    def stop(self) -> None:
        """End after the call that is under way; what waits is dropped."""
        with self._wake:
            self._over = True
            self._waiting.clear()
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(_STOP_WITHIN_S)

    def champion(self, model: ModelId) -> None:
        """Compare with another model in use from here on."""
        with self._wake:
            self._champion = model
            self._waiting.clear()
            self._divergence = Divergence()
        self._on_divergence(None)

    def offer(self, message_ids: Sequence[str], texts: Sequence[str], live: Sequence[Prediction]) -> None:
        """Choose some of the texts by their message's id, and let them be scored as well. It never waits."""
        if self._over or (self._model is not None and self._model == self._champion):
            return  # a challenger that has been promoted has nobody to challenge
        chosen = [
            Shared(text, answer)
            for message_id, text, answer in zip(message_ids, texts, live, strict=True)
            if is_chosen(message_id, self._share)
        ]
        if not chosen:
            return
        with self._wake:
            room = max(0, _MOST_WAITING - len(self._waiting))
            self._waiting.extend(chosen[:room])
            self._wake.notify()
        if len(chosen) > room:
            self._on_outcome("skipped", len(chosen) - room)

    def _work(self) -> None:
        try:
            scorer = self._load()
            self._model = scorer.model
        except Exception as error:  # whatever it is, the worker goes on without a challenger
            _log.critical("the challenger cannot be used, and nothing is scored in the shadow: %s", error)
            self._over = True
            return
        self._on_model(scorer.model, True)
        failures = 0
        for batch in self._batches():
            try:
                self._score(scorer, batch)
                failures = 0
            except Exception as error:
                failures += 1
                self._on_outcome("failed", len(batch))
                _log.warning("the challenger could not score %d texts: %r", len(batch), error)
                if failures == _MOST_FAILURES:
                    self._on_model(scorer.model, False)
                    _log.critical(
                        "the challenger %s %s has failed %d times in a row: it scores no more until the worker is "
                        "started anew",
                        scorer.model.name, scorer.model.version, failures,
                    )  # fmt: skip
                    self._over = True
                    return

    def _batches(self) -> Iterable[list[Shared]]:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._over)
                if self._over:
                    return
                batch = [self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))]
            yield batch

    def _score(self, scorer: Scorer, batch: Sequence[Shared]) -> None:
        divergence = self._divergence
        answers = scorer.predict([shared.text for shared in batch])
        same = sum(divergence.add(shared.live, answer) for shared, answer in zip(batch, answers, strict=True))
        if divergence is not self._divergence:
            return  # the model in use was exchanged meanwhile
        self._on_outcome("agreed", same)
        self._on_outcome("differed", len(batch) - same)
        self._on_divergence(divergence.mean_bits)
