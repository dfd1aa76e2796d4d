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
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.bench.score_contenders import OTHERS, Answer, Contender, Files, Process
from deploy.bench.score_data import ScoreData, with_reposts
from deploy.bench.score_environment import ContenderMissingError
from deploy.bench.score_outcome import Missing, Outcome, Run, outcome

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
    first: Answer
    seconds: list[float]


def run(data: ScoreData, plan: Plan, *, start: MakeProcess, note: Note) -> Outcome:
    """Measure; about 10 minutes on two cores with a thousand texts, and some 12 GB of memory.

    A contender that cannot be loaded is in the outcome with the reason.
    """
    stream = with_reposts(len(data.texts), plan.repost_share, plan.seed)
    with tempfile.TemporaryDirectory(prefix="squall-bench-") as scratch, ExitStack() as running:
        folder = Path(scratch)
        files = _write_files(folder, plan.model, data, stream)
        missing: list[Missing] = []
        loaded: list[_Turns] = []

        def load(contenders: Iterable[Contender]) -> list[_Turns]:
            found = []
            for contender in contenders:
                note(f"loading {contender.name}")
                try:
                    number = len(loaded) + len(missing)
                    own = replace(files, exported=_own_copy(files.exported, folder / f"model-{number}"))
                    process = start(contender, own, folder / f"{number}.log")
                    running.callback(process.close)
                    found.append(_first_turn(process, plan.least_s))
                except ContenderMissingError as error:
                    note(f"{contender.name} is missing: {error}")
                    missing.append(Missing(contender.name, str(error)))
                    continue
                loaded.append(found[-1])
            return found

        load(plan.others)
        ours = load(our_networks() if plan.networks is None else plan.networks)
        if ours:
            best = min(ours, key=lambda turns: min(turns.first.seconds)).process.contender
            load(our_tiers(best))
        for number in range(plan.rounds):
            note(f"round {number + 1} of {plan.rounds}")
            # Forwards and backwards by turns: none is always the one after the slowest.
            for turns in loaded if number % 2 == 0 else reversed(loaded):
                turns.seconds.append(sum(turns.process.score(turns.passes).seconds) / turns.passes)
        tokens = _count_tokens(plan.model, data.texts)
        repeated = [tokens[place] for place in stream]
        labels = None if data.labels is None else [data.labels[place] for place in stream]
        runs = [
            Run(
                contender=turns.process.contender,
                seconds=turns.seconds,
                answer=turns.first,
                about=turns.process.about,
                tokens=sum(repeated if _reposts(turns) else tokens),
                labels=labels if _reposts(turns) else data.labels,
            )
            for turns in loaded
        ]
        return outcome(runs, missing)


def our_networks() -> list[Contender]:
    """Return ours without a tier: the reference in float32, and each backend with its default number format."""
    from models.engines.choice import BACKENDS

    return [
        Contender("squall, torch float32", "ours", "squall", options={"backend": "torch", "dtype": "float32"}),
        *(Contender(f"squall, {name}", "ours", "squall", options={"backend": name}) for name in BACKENDS),
    ]


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


def _reposts(turns: _Turns) -> bool:
    return turns.process.contender.kind == "cache"


def _first_turn(process: Process, least_s: float) -> _Turns:
    first = process.score(1)
    passes = min(_MAX_PASSES, max(1, math.ceil(least_s / max(first.seconds[0], 1e-9))))
    return _Turns(process, passes, first, [])


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
