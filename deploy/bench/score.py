"""How fast our scoring is beside the engines that a user would pick instead, on the same texts with the same network.

Each contender is a process of its own that stays loaded. All of them score the texts in turn, round by round, so that
what else happens on the machine meets them all; a contender's speed is the median over the rounds. Loading, warming up
and choosing a batch size are not counted. Other engines are given texts that are already prepared; ours prepares them
itself, and its time counts. Tokens are the real ones, without padding, the same number for everybody.
"""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from deploy.bench.score_contenders import OTHERS, Answer, Contender, Files, Process
from deploy.bench.score_data import ScoreData, with_reposts
from deploy.bench.score_environment import ContenderMissingError
from deploy.bench.score_outcome import BOUND_POINTS, Missing, Outcome, Run, outcome

Note = Callable[[str], None]
MakeProcess = Callable[[Contender, Files, Path], Process]
"""Starts a contender: who, what it reads, its log. Raises ContenderMissingError."""

_MAX_PASSES = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        model: our model folder.
        rounds: how often each contender has its turn.
        least_s: a turn takes at least so long; a fast contender scores the texts several times in it.
        repost_share: of the stream for the cache.
        seed: of that stream.
        others: the engines of others.
        networks: ours without a tier; None is the reference and every backend.
    """

    model: Path
    rounds: int = 5
    least_s: float = 2.0
    repost_share: float = 0.15
    seed: int = 7
    others: tuple[Contender, ...] = OTHERS
    networks: tuple[Contender, ...] | None = None


@dataclass(slots=True)
class _Turns:
    """A loaded contender and what it has shown."""

    process: Process
    passes: int
    answer: Answer
    seconds: list[float]


class _Field:
    """All contenders: those that are loaded, and those that are missing.

    Args:
        start: starts a contender.
        files: what they read.
        least_s: as in `Plan`.
        note: is told what happens.
    """

    def __init__(self, start: MakeProcess, files: Files, least_s: float, note: Note) -> None:
        self._start = start
        self._files = files
        self._least_s = least_s
        self._note = note
        self._numbers = count()
        self.loaded: list[_Turns] = []
        self.missing: list[Missing] = []

    def load(self, contenders: Iterable[Contender]) -> list[_Turns]:
        """Load contenders one after the other, and return those that could be."""
        found = []
        for contender in contenders:
            self._note(f"loading {contender.name}")
            try:
                found.append(self._load(contender))
            except ContenderMissingError as error:
                self._miss(contender, error)
        self.loaded += found
        return found

    def round(self, *, backwards: bool) -> None:
        """Let each have its turn."""
        for turns in reversed(self.loaded) if backwards else list(self.loaded):
            try:
                turns.answer = turns.process.score(turns.passes)
            except ContenderMissingError as error:
                self._miss(turns.process.contender, error)
                turns.process.close()
                self.loaded = [other for other in self.loaded if other is not turns]
            else:
                turns.seconds.append(sum(turns.answer.seconds) / turns.passes)

    def close(self) -> None:
        """End all processes."""
        for turns in self.loaded:
            turns.process.close()

    def _load(self, contender: Contender) -> _Turns:
        folder = self._files.exported.parent
        number = next(self._numbers)
        own = replace(self._files, exported=_own_copy(self._files.exported, folder / f"model-{number}"))
        log = folder / f"{number}.log"
        if contender.kind == "ours" and contender.options.get("backend") != "torch":
            # A backend converts the model once and keeps it; that memory is not the scorer's.
            self._start(contender, own, log).close()
        process = self._start(contender, own, log)
        try:
            first = process.score(1)
        except ContenderMissingError:
            process.close()
            raise
        passes = min(_MAX_PASSES, max(1, math.ceil(self._least_s / max(first.seconds[0], 1e-9))))
        return _Turns(process, passes, first, [])

    def _miss(self, contender: Contender, error: ContenderMissingError) -> None:
        self._note(f"{contender.name} is missing: {error}")
        self.missing.append(Missing(contender.name, str(error)))


def run(data: ScoreData, plan: Plan, *, start: MakeProcess, note: Note) -> Outcome:
    """Measure; about 10 minutes on two cores with a thousand texts, and some 12 GB of memory.

    A contender that cannot be loaded, or that ends before its last turn, is in the outcome with the reason.
    """
    stream = with_reposts(len(data.texts), plan.repost_share, plan.seed)
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as scratch:
        field = _Field(start, _write_files(Path(scratch), plan.model, data, stream), plan.least_s, note)
        try:
            field.load(plan.others)
            ours = field.load(our_networks() if plan.networks is None else plan.networks)
            if ours:
                field.load(our_tiers(_fastest(ours, data.labels).process.contender))
            for number in range(plan.rounds):
                note(f"round {number + 1} of {plan.rounds}")
                # Forwards and backwards by turns: none is always the one after the slowest.
                field.round(backwards=number % 2 == 1)
        finally:
            field.close()
        return outcome(_runs(field.loaded, data, stream, _count_tokens(plan.model, data.texts)), field.missing)


def _fastest(ours: Sequence[_Turns], labels: Sequence[int] | None) -> _Turns:
    """Return the fastest of our networks so far, of those that are about as accurate as the first, in float32."""

    def right(turns: _Turns) -> int:
        return sum(said == label for said, label in zip(turns.answer.labels, labels or (), strict=False))

    least = right(ours[0]) - BOUND_POINTS["ours"] / 100 * len(ours[0].answer.labels)
    return min((turns for turns in ours if right(turns) >= least), key=lambda turns: min(turns.answer.seconds))


def _runs(loaded: Sequence[_Turns], data: ScoreData, stream: Sequence[int], tokens: Sequence[int]) -> list[Run]:
    """Return what each has shown; that with the cache is about the stream, the others about its texts."""
    runs = []
    for turns in loaded:
        contender = turns.process.contender
        places = stream if contender.kind == "cache" else range(len(data.texts))
        runs.append(
            Run(
                contender=contender,
                seconds=turns.seconds,
                answer=turns.answer,
                about=turns.process.about,
                tokens=sum(tokens[place] for place in places),
                labels=None if data.labels is None else [data.labels[place] for place in places],
            )
        )
    return runs


def our_networks() -> list[Contender]:
    """Return ours without a tier: the reference in float32, and each backend in the number formats worth having."""
    formats = [
        ("torch float32", {"backend": "torch", "dtype": "float32"}),
        ("torch", {"backend": "torch"}),  # bfloat16 where this processor computes it fast
        ("onnx int8", {"backend": "onnx", "dtype": "int8"}),
        ("openvino", {"backend": "openvino"}),  # the same
        ("openvino int8", {"backend": "openvino", "dtype": "int8"}),
    ]
    return [Contender(f"squall, {name}", "ours", "squall", options=options) for name, options in formats]


def our_tiers(best: Contender) -> list[Contender]:
    """Return ours with the first tier, and with a cache before both, over the fastest backend."""
    tiered = {**best.options, "first_tier": True}
    return [
        Contender(f"{best.name}, first tier", "first tier", "squall", options=tiered),
        Contender(f"{best.name}, first tier and cache, reposts", "cache", "squall", options={**tiered, "cache": True}),
    ]


def start_process(
    contender: Contender, files: Files, log: Path, *, environment: Callable[[str], Path], own: Path, call_messages: int
) -> Process:
    """Start a contender in its environment, with all cores.

    Raises:
        ContenderMissingError: its environment cannot be made, or it cannot be loaded.
    """
    python = own if contender.environment is None else environment(contender.environment)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Process(contender, python, files, threads=cores, log=log, call_messages=call_messages)


def _own_copy(folder: Path, copy: Path) -> Path:
    """Return a copy of the exported model for one contender: some write files of their own beside it."""
    copy.mkdir()
    for path in sorted(folder.rglob("*")):
        target = copy / path.relative_to(folder)
        if path.is_dir():
            target.mkdir()
        else:
            target.symlink_to(path)
    return copy


def _write_files(folder: Path, model: Path, data: ScoreData, stream: Sequence[int]) -> Files:
    from deploy.bench.score_export import export_model
    from models.text import prepare

    files = Files(
        model=model.absolute(),
        exported=folder / "model",
        raw=folder / "raw.json",
        prepared=folder / "prepared.json",
        reposts=folder / "reposts.json",
        calibration=folder / "calibration",
    )
    export_model(model, files.exported)
    files.raw.write_text(json.dumps(data.texts), encoding="utf-8")
    files.prepared.write_text(json.dumps([prepare(text) for text in data.texts]), encoding="utf-8")
    files.reposts.write_text(json.dumps([data.texts[place] for place in stream]), encoding="utf-8")
    files.calibration.mkdir()
    with (files.calibration / "train.csv").open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["text"])
        rows.writerows([prepare(text)] for text in data.calibration)
    return files


def _count_tokens(model: Path, texts: Sequence[str]) -> list[int]:
    from models.files import TOKENIZER, read_manifest
    from models.tokens import TextTokenizer

    return [len(text.ids) for text in TextTokenizer(model / TOKENIZER, read_manifest(model).max_length)(texts)]
