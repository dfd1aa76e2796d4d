"""Single texts from many threads to batches for one scorer, with a deadline, two lanes and a bound on what waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from models.lanes import LaneQueue
from models.prediction import Prediction, Scorer

_CHARS_PER_TOKEN = 4
"""About; a batch's cost is an estimate, as the texts are tokenised where they are scored."""


class BatcherClosedError(RuntimeError):
    """The batcher was closed: nothing more is taken, and what still waited is not scored."""


@dataclass(slots=True)
class _Request:
    text: str
    answer: Future[Prediction] = field(default_factory=Future)


class Batcher:
    """Gathers texts for a scorer. One thread scores; any number of threads submit.

    A text waits for at most `max_delay_ms` and the batch under way before its own batch begins. A text that cannot be
    scored gets its own error; the others of its batch get their answers.

    Args:
        scorer: answers a batch.
        max_tokens: tokens of a full batch, about.
        max_delay_ms: the longest that a text waits for its batch to fill.
        max_waiting: texts that may wait; `submit` blocks beyond it, which is how pressure goes back to the source.
        floor: share of a batch that is not watched and goes first come first served; see `LaneQueue`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        max_tokens: int = 8_192,
        max_delay_ms: float = 20.0,
        max_waiting: int = 8_192,
        floor: float = 0.25,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_waiting < 1:
            raise ValueError(f"max_waiting must be at least 1, got {max_waiting}")
        self._scorer = scorer
        self._queue: LaneQueue[_Request] = LaneQueue(budget=max_tokens, max_delay_s=max_delay_ms / 1000, floor=floor)
        self._max_waiting = max_waiting
        self._clock = clock
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Texts that wait for a batch."""
        with self._changed:
            return len(self._queue)

    def submit(self, text: str, *, watched: bool = False, timeout_s: float | None = None) -> Future[Prediction]:
        """Hand over a text; blocks while too many wait.

        Args:
            text: any string.
            watched: it goes before those that are not.
            timeout_s: the longest to block; None is for ever.

        Raises:
            BatcherClosedError: the batcher is closed.
            TimeoutError: there was no room in time.
        """
        request = _Request(text)
        with self._changed:
            roomy = self._changed.wait_for(lambda: self._closed or len(self._queue) < self._max_waiting, timeout_s)
            if self._closed:
                raise BatcherClosedError("the batcher is closed: nothing more is scored")
            if not roomy:
                raise TimeoutError(f"{self._max_waiting} texts wait already, and there was no room in {timeout_s} s")
            cost = len(text) // _CHARS_PER_TOKEN + 2
            self._queue.put(request, cost=cost, watched=watched, now_s=self._clock())
            self._changed.notify_all()
        return request.answer

    def close(self) -> None:
        """End the thread after the batch under way; what still waits gets a `BatcherClosedError`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._next()
            if batch is None:
                return
            self._answer([request for request in batch if request.answer.set_running_or_notify_cancel()])

    def _next(self) -> list[_Request] | None:
        """Wait for the next batch; None once closed."""
        with self._changed:
            while True:
                now_s = self._clock()
                if self._closed:
                    self._refuse_the_rest()
                    return None
                batch = self._queue.take(now_s)
                if batch:
                    self._changed.notify_all()  # there is room again
                    return batch
                due = self._queue.due_at_s()
                self._changed.wait(None if due is None else max(0.0, due - now_s))

    def _refuse_the_rest(self) -> None:
        while len(self._queue):
            for request in self._queue.take(float("inf")):
                if request.answer.set_running_or_notify_cancel():
                    refusal = BatcherClosedError("the batcher was closed before this text was scored")
                    request.answer.set_exception(refusal)

    def _answer(self, batch: list[_Request]) -> None:
        if not batch:
            return
        try:
            predictions = self._scorer.predict([request.text for request in batch])
            if len(predictions) != len(batch):
                raise RuntimeError(f"the scorer gave {len(predictions)} answers to {len(batch)} texts")
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
            else:
                for request in batch:  # one bad text must not fail the others
                    self._answer([request])
            return
        for request, prediction in zip(batch, predictions, strict=True):
            request.answer.set_result(prediction)
