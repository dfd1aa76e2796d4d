"""The classifier in processes of its own, so that a rescoring uses every core.

Each process holds one model and computes with one thread: a text's score then has the same bits whatever the number of
processes is. The processes end with the one that started them, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from models.prediction import Prediction, Scorer
from models.swap import SwappableScorer
from streams.config import Settings
from streams.errors import ReplayError
from streams.scoring.answers import score_in_languages
from streams.scoring.build import load_scorer, with_other_languages

Answers = list[Prediction | str]
"""Of each text its prediction, or the error that it made, in words: not every error can be sent to another process."""


class UnscorableError(Exception):
    """The error that a text made in another process; its `repr` is that error's."""

    def __repr__(self) -> str:
        return str(self.args[0])


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class ScoringPool:
    """Processes that score texts; a context manager.

    On CUDA there is one process, however many are asked for: they would share the device and its memory.

    Args:
        model: the model folder; the caller has checked its files.
        settings: the configuration: how the model computes, its first tier, and the models of other languages.
        workers: processes.

    Raises:
        DeviceError: the device is unknown or not there.
        ValueError: fewer than one process.
    """

    def __init__(self, model: Path, *, settings: Settings, workers: int) -> None:
        if workers < 1:
            msg = f"workers must be at least 1, got {workers}"
            raise ValueError(msg)
        self.workers = 1 if _is_cuda(settings.classifier.device) else workers
        self._executor = ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),  # torch and its threads do not survive a fork
            initializer=_start,
            initargs=(model, settings),
        )

    def __enter__(self) -> ScoringPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Asked to stop, a process would first finish what it is at, such as ten seconds of loading torch. It holds
        # nothing that would be lost, so it is ended (Python 3.14 calls this `terminate_workers`).
        for process in list((self._executor._processes or {}).values()):
            process.terminate()
        self._executor.shutdown(cancel_futures=True)

    def submit(self, texts: Sequence[str], languages: Sequence[str]) -> Future[Answers]:
        """Have texts scored, each by the model of its language; ask `result` for the answers.

        Raises:
            ReplayError: a process has died.
        """
        if not texts:
            nothing: Future[Answers] = Future()
            nothing.set_result([])
            return nothing
        with _told_of_deaths(), _interrupts_held():
            return self._executor.submit(_score, list(texts), list(languages))

    def result(self, answers: Future[Answers]) -> list[Prediction | Exception]:
        """Wait for the answers.

        Raises:
            ReplayError: a process has died, or cannot load the model, or its classifier scores nothing at all.
        """
        with _told_of_deaths():
            return [UnscorableError(answer) if isinstance(answer, str) else answer for answer in answers.result()]


@contextmanager
def _told_of_deaths() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        msg = (
            "a process that scores has died, perhaps for want of memory (each holds the model and torch). What was "
            "scored is kept: run the same command again to go on from there, with fewer --workers if memory is short"
        )
        raise ReplayError(msg) from error


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which a terminal sends to all: this process tells them to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_cuda(device: str) -> bool:
    if device == "cpu":
        return False
    from models.device import choose_device  # torch takes seconds to import

    return choose_device(device).type == "cuda"


# What follows runs in the other processes.

_scorer: Scorer | None = None
_failure = ""


def _start(model: Path, settings: Settings) -> None:
    global _scorer, _failure
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread per process, here too
    try:
        import torch

        torch.set_num_threads(1)
        # As in the worker, but for the memory of reposts: its answers are the same.
        _scorer = with_other_languages(settings, SwappableScorer(load_scorer(settings, model)))
    except Exception as error:  # raised here it would break the pool without a word of why
        _failure = f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    """End at once when the parent does: one that is killed cannot tell its children to stop."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _score(texts: list[str], languages: list[str]) -> Answers:
    if _scorer is None:
        msg = f"the classifier cannot be loaded: {_failure}"
        raise ReplayError(msg)
    try:
        answers = score_in_languages(_scorer, texts, languages)
    except Exception as error:
        msg = f"the classifier scores nothing at all: {error!r}. What was scored before is kept"
        raise ReplayError(msg) from None
    return [repr(answer) if isinstance(answer, Exception) else answer for answer in answers]
