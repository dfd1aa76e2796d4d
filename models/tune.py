"""Which backend is the fastest on this machine for a model, at next to no loss: measured, not guessed.

Every way to compute runs in a process of its own, in turn, several rounds: so its peak of memory is its own, and a
burst of other work on the machine hits all alike. What must be converted is converted beforehand.

Loss is that of accuracy against torch in float32. Where the texts have labels, it is measured for sentiment. Where they
have none, it is expected from float32's own probabilities: what a text is worth that is decided otherwise is the
difference between the probability of float32's class and that of the other class. Texts on which a rounding error
decides are such where that difference is next to nothing.
"""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.device import choose_device, choose_dtype, has_fast_bfloat16
from models.engines.artefacts import default_cache, installed
from models.engines.choice import BACKENDS
from models.engines.tuned import LIBRARIES, Choice, this_machine, write_choice
from models.errors import ModelError
from models.files import Manifest, read_manifest

CALL_MESSAGES = 1_024
"""Texts of one call, about as many as the stream scores at once under load."""

Note = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute, as `models.Classifier.load` takes it."""

    backend: str
    precision: str
    device: str = "cpu"

    def __str__(self) -> str:
        return f"{self.backend} {self.precision}" + ("" if self.device == "cpu" else f" on {self.device}")


REFERENCE = Way("torch", "float32")
"""What accuracy is held against."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out for one way.

    Attributes:
        way: how was computed.
        messages_per_s: the median over the rounds.
        messages_per_cpu_s: the same by the time of all threads, which other work on the machine changes less.
        against_torch: that, divided by the speed of torch as it is used where nothing was tuned.
        agreement: share of texts with the class of float32; sentiment and topic.
        loss: of accuracy against float32; sentiment and topic.
        accuracy: of sentiment, where there are labels.
        peak_mib: most memory that the process held.
        load_s: seconds until it was ready, without conversion.
        within: the losses are within the bound.
        error: why there is nothing of all this.
    """

    way: Way
    messages_per_s: float = 0.0
    messages_per_cpu_s: float = 0.0
    against_torch: float = 0.0
    agreement: tuple[float, float] = (0.0, 0.0)
    loss: tuple[float, float] = (0.0, 0.0)
    accuracy: float | None = None
    peak_mib: float = 0.0
    load_s: float = 0.0
    within: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Tuning:
    """All ways, fastest first and those that failed last, and the choice with the file that it is kept in."""

    measured: tuple[Measured, ...]
    choice: Choice
    file: Path


@dataclass(frozen=True, slots=True)
class Turn:
    """One way in one process: seconds for all texts, by the clock and of all threads; and the answers.

    The answers are the probabilities [texts, classes] of both heads.
    """

    seconds: float
    cpu_s: float
    load_s: float
    peak_mib: float
    sentiment: NDArray[np.float64]
    topic: NDArray[np.float64]


def ways(backends: Sequence[str] = BACKENDS) -> list[Way]:
    """Return the ways to compute on this machine, whether or not their libraries are installed; torch comes first."""
    fast = "bfloat16" if has_fast_bfloat16() else "float32"
    found = [REFERENCE, Way("torch", fast)]
    if torch.cuda.is_available():
        found.append(_untuned())
    found += [Way("onnx", "float32"), Way("onnx", "int8"), Way("openvino", fast), Way("openvino", "int8")]
    return [way for way in dict.fromkeys(found) if way.backend in backends]


def tune(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[int] | None = None,
    *,
    bound: float = 0.003,
    rounds: int = 3,
    cache: Path | None = None,
    calibration: Path | None = None,
    candidates: Sequence[Way] | None = None,
    note: Note = lambda _: None,
) -> Tuning:
    """Measure every way to compute a model, and keep the fastest within the bound as this machine's choice.

    Args:
        folder: the model.
        texts: what is scored; repeats count once.
        labels: the position of each text's sentiment.
        bound: the largest loss of accuracy, of either head.
        rounds: how often each way is measured.
        cache: where converted models and the choice are kept; None is the user's cache folder.
        calibration: texts that 8 bits with fixed ranges are fitted to, one a line; None takes generated ones.
        candidates: the ways; None is `ways()`. The reference and torch's default are always measured.
        note: is told what is being done.

    Raises:
        ModelError: the model cannot be used, or torch fails.
        ValueError: there are no texts, as many labels as texts are wanted, or a number is out of range.
    """
    if rounds < 1 or not 0 <= bound <= 1:
        raise ValueError(f"rounds must be at least 1 and the bound between 0 and 1, got {rounds} and {bound}")
    chosen, known = _first_of_each(texts, labels)
    manifest = read_manifest(folder)
    kept = cache or default_cache()
    wanted = list(dict.fromkeys([REFERENCE, _untuned(), *(ways() if candidates is None else candidates)]))
    failed: dict[Way, str] = {}
    turns: dict[Way, list[Turn]] = {way: [] for way in wanted}
    for way in (way for way in wanted if way.backend != "torch"):
        note(f"{way}: converted")
        _attempt(failed, way, _prepare, folder, kept, calibration)
    for number in range(rounds):
        for way in wanted:
            if way not in failed:
                note(f"{way}: round {number + 1} of {rounds}")
                took = _attempt(failed, way, _turn, folder, kept, calibration, chosen)
                turns[way] += [took] if took is not None else []
    for way in (REFERENCE, _untuned()):
        if way in failed:
            raise ModelError(f"{way} fails, so that there is nothing to compare with: {failed[way]}")
    measured = [
        Measured(way, error=failed[way]) if way in failed else _compare(way, turns, known, bound) for way in wanted
    ]
    measured.sort(key=lambda row: (row.error is not None, -row.messages_per_s))
    best = next(row for row in measured if row.within)
    choice = _choice(best, manifest, bound, calibration)
    return Tuning(tuple(measured), choice, write_choice(choice, manifest, kept))


def expected_loss(reference: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how much accuracy is lost by answering with another's classes, if the reference's probabilities are true.

    Both are probabilities [texts, classes].
    """
    own = reference.max(axis=1)
    theirs = reference[np.arange(len(reference)), other.argmax(axis=1)]
    return float(np.mean(own - theirs))


def _compare(way: Way, turns: dict[Way, list[Turn]], labels: NDArray[np.int64] | None, bound: float) -> Measured:
    own, reference = turns[way][0], turns[REFERENCE][0]
    pairs = ((reference.sentiment, own.sentiment), (reference.topic, own.topic))
    alike = [float(np.mean(one.argmax(axis=1) == other.argmax(axis=1))) for one, other in pairs]
    sentiment, topic = (expected_loss(one, other) for one, other in pairs)
    accuracy = None
    if labels is not None:
        accuracy = float(np.mean(own.sentiment.argmax(axis=1) == labels))
        sentiment = float(np.mean(reference.sentiment.argmax(axis=1) == labels)) - accuracy
    seconds = statistics.median(turn.seconds for turn in turns[way])
    return Measured(
        way,
        messages_per_s=len(own.sentiment) / seconds,
        messages_per_cpu_s=len(own.sentiment) / statistics.median(turn.cpu_s for turn in turns[way]),
        against_torch=statistics.median(turn.seconds for turn in turns[_untuned()]) / seconds,
        agreement=(alike[0], alike[1]),
        loss=(sentiment, topic),
        accuracy=accuracy,
        peak_mib=max(turn.peak_mib for turn in turns[way]),
        load_s=statistics.median(turn.load_s for turn in turns[way]),
        within=way == REFERENCE or max(sentiment, topic) <= bound,
    )


def _choice(best: Measured, manifest: Manifest, bound: float, calibration: Path | None) -> Choice:
    fitted = best.way.backend == "openvino" and best.way.precision == "int8" and calibration is not None
    return Choice(
        model=manifest.name,
        version=manifest.version,
        backend=best.way.backend,
        precision=best.way.precision,
        device=best.way.device,
        machine=this_machine(),
        libraries=installed(best.way.backend, LIBRARIES[best.way.backend]),
        calibration=str(calibration.resolve()) if fitted and calibration is not None else None,
        bound=bound,
        messages_per_s=round(best.messages_per_s, 1),
        against_torch=round(best.against_torch, 3),
        loss=round(max(best.loss), 5),
    )


def _untuned() -> Way:
    """Return what computes where nothing was tuned."""
    device = choose_device("auto")
    return Way("torch", str(choose_dtype("auto", device)).removeprefix("torch."), str(device))


def _first_of_each(texts: Sequence[str], labels: Sequence[int] | None) -> tuple[list[str], NDArray[np.int64] | None]:
    if not texts or (labels is not None and len(labels) != len(texts)):
        raise ValueError(f"texts are needed, and a label for each: got {len(texts)} and {len(labels or ())}")
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(text, place)
    known = None if labels is None else np.asarray([labels[place] for place in first.values()], dtype=np.int64)
    return list(first), known


def _attempt(failed: dict[Way, str], way: Way, work: Callable[..., T], *arguments: object) -> T | None:
    """Do the work in a fresh process; what goes wrong is kept in `failed`, and None is returned."""
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(work, way, *arguments).result()
    except ModelError as error:
        failed[way] = str(error)
    except BrokenProcessPool:
        failed[way] = "its process died; perhaps there was too little memory"
    except Exception as error:  # a library that fails here shall not keep the others from being measured
        failed[way] = f"{type(error).__name__}: {error}"
    return None


def _prepare(way: Way, folder: Path, cache: Path, calibration: Path | None) -> None:
    """Convert the model, where that has not been done."""
    from models.engines.choice import load_engine

    load_engine(
        folder,
        read_manifest(folder),
        backend=way.backend,
        device=way.device,
        dtype=way.precision,
        cache=cache,
        calibration=calibration,
    ).close()


def _turn(way: Way, folder: Path, cache: Path, calibration: Path | None, texts: list[str]) -> Turn:
    """Load the model and score the texts, once to warm up in part and once against the clock."""
    from models.classifier import Classifier

    started = time.perf_counter()
    classifier = Classifier.load(
        folder, backend=way.backend, device=way.device, dtype=way.precision, cache=cache, calibration=calibration
    )
    loaded = time.perf_counter()
    classifier.predict(texts[: CALL_MESSAGES // 4])
    gc.collect()
    before, cpu_before = time.perf_counter(), time.process_time()
    found = [
        answer
        for start in range(0, len(texts), CALL_MESSAGES)
        for answer in classifier.predict(texts[start : start + CALL_MESSAGES])
    ]
    seconds, cpu_s = time.perf_counter() - before, time.process_time() - cpu_before
    return Turn(
        seconds,
        cpu_s,
        loaded - started,
        _peak_mib(),
        np.asarray([(row.negative, row.neutral, row.positive) for row in found]),
        np.asarray([row.topics for row in found]),
    )


def _peak_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    try:
        # Not `ru_maxrss`: a child's begins with what its parent held.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        import resource  # not on Windows
        import sys

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
