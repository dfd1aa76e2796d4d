"""What a training is asked for, who is told of it, and what is known before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from models.errors import TrainingDataError
from models.files import Manifest, file_sha256, iso_utc
from retrain.base import check_base_known
from retrain.card import CardFacts
from retrain.data import Example, read_both
from retrain.fit import check_sides
from retrain.loop import Hooks
from retrain.methods.unlabelled import Unlabelled, read_unlabelled
from retrain.settings import TrainingSettings
from retrain.split import Split, split_examples
from retrain.teachers import check_teacher


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """Where the finished model lies, what it is, and the figures that stand in its metrics.json."""

    folder: Path
    manifest: Manifest
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to train from, and what the result is called.

    Attributes:
        sentiment: CSV files with the columns text and label (negative, neutral, positive; bearish, bullish).
        topic: CSV files with the columns text and label (topic ids or the public set's names).
        base: folder or Hub id of the encoder to start from.
        out: folder to write; it must not exist or be empty.
        name: name of the model.
        facts: what the model card shall say of rights and origin.
        teachers: finished model folders whose mean word on the training texts is learned too.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        learned_at: what the manifest shall say of when the model was learned, UTC; None says nothing.
        unlabelled: files with texts for domain adaptation and pseudo-labels.
        labeller: finished model whose sure word on them counts as a label; None leaves pseudo-labels out.
        until: rows of the files that became known later are not read (`retrain.data.read_examples`), UTC.
    """

    sentiment: tuple[Path, ...]
    topic: tuple[Path, ...]
    base: str
    out: Path
    name: str
    facts: CardFacts
    teachers: tuple[Path, ...] = ()
    device: str = "auto"
    learned_at: datetime | None = None
    unlabelled: tuple[Path, ...] = ()
    labeller: Path | None = None
    until: datetime | None = None


class Display(Protocol):
    """Shows how far a step of the work has come, and when it will be done."""

    def begin(self, name: str, total: int | None = None) -> None:
        """Begin a step."""

    def update(self, done: int, total: int | None) -> None:
        """Say how far it is."""


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told how a training goes on.

    Attributes:
        say: receives one line of text now and then.
        display: shows the progress of each step; None shows none.
    """

    say: Callable[[str], None]
    display: Display | None = None

    def begin(self, name: str) -> Hooks:
        """Return what a fit of this name calls on its way."""
        if self.display is None:
            return Hooks(say=self.say)
        self.display.begin(name)
        return Hooks(say=self.say, step=self.display.update)


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known before any training: the rows, their split, and the files they came from."""

    examples: list[Example]
    split: Split
    training_data: list[dict[str, Any]]
    texts: Unlabelled


def check_out(out: Path) -> None:
    """Make sure that a folder is free to be written.

    Raises:
        TrainingDataError: something is there.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TrainingDataError(f"{out} exists already and is not an empty folder; choose another one")


def read_ground(job: TrainingJob, settings: TrainingSettings) -> Ground:
    """Read and split the files, and make sure that no teacher and no unlabelled text gives away what is held out.

    Raises:
        TrainingDataError: the files cannot be used, a teacher may know the held-out texts, or the base was learned
            later than what is to be known.
        ModelFilesError: a teacher or the labeller is no model, or the base has a manifest that is none.
    """
    if job.until is not None:
        check_base_known(job.base, job.until)
    examples = read_both(job.sentiment, job.topic, until=job.until)
    split = split_examples(examples, settings.dev_share, settings.split_seed)
    check_sides(examples, split)
    training_data = describe_files((*job.sentiment, *job.topic), examples, until=job.until)
    for teacher in (*job.teachers, *([job.labeller] if job.labeller else [])):
        check_teacher(teacher, training_data, settings)
    if not job.unlabelled and (settings.domain.epochs or job.labeller):
        what = "domain adaptation" if settings.domain.epochs else "pseudo-labels"
        raise TrainingDataError(f"{what} needs texts without labels; name a file of them")
    texts = read_unlabelled(
        job.unlabelled,
        known=[examples[index].text for index in split.train],
        held_out=[examples[index].text for index in split.dev],
    )
    return Ground(examples, split, training_data, texts)


def describe_files(
    paths: Sequence[Path], examples: Sequence[Example], *, until: datetime | None = None
) -> list[dict[str, Any]]:
    """Return what a manifest says of training files: name, task, rows, SHA-256, and what was known when."""
    cut = {} if until is None else {"known_until": iso_utc(until)}
    described = []
    for path in paths:
        rows = [example for example in examples if example.source == path.name]
        described.append(
            {"name": path.name, "task": rows[0].task, "rows": len(rows), "sha256": file_sha256(path), **cut}
        )
    return described
