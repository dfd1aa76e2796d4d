"""Who takes part in `squall bench score`, and how each is run: a process of its own that scores when it is asked."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deploy.bench.score_environment import ContenderMissingError

Kind = Literal["pipeline", "other", "ours", "first tier", "cache"]
"""A transformers pipeline, another engine, our network alone, with the first tier, with first tier and cache."""

FOREIGN = Path(__file__).parent / "score_foreign.py"
OURS = "deploy.bench.score_ours"

_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Contender:
    """One engine in one configuration."""

    name: str
    kind: Kind
    engine: str
    """As the process knows it; "squall" is ours."""
    environment: str | None = None
    """Its lock file's name; None is the environment that this runs in."""
    options: Mapping[str, Any] = field(default_factory=dict)


def _sentence_transformers(backend: str, form: str | None = None) -> Contender:
    name = f"sentence-transformers, {backend}" + (f" {form}" if form else "")
    options = {"backend": backend, "form": form}
    return Contender(name, "other", "sentence-transformers", "sentence-transformers", options)


OTHERS = (
    Contender("transformers pipeline, one by one", "pipeline", "pipeline", "transformers"),
    Contender("transformers pipeline, batch_size=32", "pipeline", "pipeline", "transformers", {"batch_size": 32}),
    _sentence_transformers("torch"),
    _sentence_transformers("torch", "bfloat16"),
    _sentence_transformers("onnx"),
    _sentence_transformers("onnx", "int8"),
    _sentence_transformers("openvino"),
    _sentence_transformers("openvino", "int8"),
    Contender("infinity, torch", "other", "infinity", "infinity"),
)
"""The engines that a user would pick instead."""


@dataclass(frozen=True, slots=True)
class Files:
    """What the processes read."""

    model: Path
    """Our model folder."""
    exported: Path
    """The same for others."""
    raw: Path
    """Texts as they came: ours prepares them itself, and its time counts."""
    prepared: Path
    """Texts as the model wants them: others are given that for nothing."""
    reposts: Path
    """The stream with reposts, raw."""
    calibration: Path
    """Folder with a CSV file of other texts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process says of some passes over the texts."""

    seconds: list[float]
    labels: list[int]
    peak_mib: float
    more: dict[str, Any]


class Process:
    """A contender's process, loaded and warm.

    Args:
        contender: who.
        python: the interpreter of its environment.
        files: what it reads.
        threads: that it may compute with.
        log: where what it says besides goes.
        call_messages: messages per call, for ours.

    Raises:
        ContenderMissingError: it cannot be loaded; with its last words.
    """

    def __init__(
        self, contender: Contender, python: Path, files: Files, *, threads: int, log: Path, call_messages: int = 512
    ) -> None:
        ours = contender.engine == "squall"
        stream = files.reposts if contender.kind == "cache" else files.raw if ours else files.prepared
        task = {
            "engine": contender.engine,
            "folder": str(files.model if ours else files.exported),
            "texts": str(stream),
            "calibration": str(files.calibration),
            "threads": threads,
            "options": {**contender.options, "call_messages": call_messages},
        }
        start = ["-m", OURS] if ours else ["-I", str(FOREIGN)]
        self.contender = contender
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [str(python), *start, json.dumps(task)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_environment(threads, ours=ours),
            )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.about = self._next()
        except ContenderMissingError:
            self.close()
            raise

    def score(self, passes: int) -> Answer:
        """Score all texts so many times.

        Raises:
            ContenderMissingError: the process ended, or does not answer.
        """
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        try:
            self._process.stdin.write(f"{passes}\n")
            self._process.stdin.flush()
        except OSError:
            raise self._failed() from None
        found = self._next()
        return Answer(found.pop("seconds"), found.pop("labels"), found.pop("peak_mib"), found)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself, with a request unread
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put("")

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=_TIMEOUT_S)
        except queue.Empty:
            raise ContenderMissingError(f"no answer within {_TIMEOUT_S:.0f} s") from None
        if not line:
            raise self._failed()
        found: dict[str, Any] = json.loads(line)
        return found

    def _failed(self) -> ContenderMissingError:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return ContenderMissingError(lines[-1][:300] if lines else "it ended without a word")


def _environment(threads: int, *, ours: bool) -> dict[str, str]:
    """Return the variables of a process: all cores for it, and no network."""
    chosen = {
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }
    kept = {name: value for name, value in os.environ.items() if ours or not name.startswith("PYTHON")}
    if ours:
        # Found wherever the command was started from.
        kept["PYTHONPATH"] = os.pathsep.join(
            entry for entry in (str(FOREIGN.parents[2]), kept.get("PYTHONPATH")) if entry
        )
    return {**kept, **chosen}
