"""The texts that `squall bench score` is about: a labelled file, its held-out rows, and a stream with reposts."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.benchmark import generate_texts
from models.errors import TrainingDataError
from models.files import file_sha256, read_manifest
from retrain.data import SENTIMENT_WORDS, read_both
from retrain.settings import TrainingSettings
from streams.errors import InputError

CALIBRATION_TEXTS = 300
"""What sentence-transformers asks for by default when it fits its 8-bit OpenVINO model."""
_RECENT = 2_000
"""A repost repeats one of so many messages before it."""


@dataclass(frozen=True, slots=True)
class ScoreData:
    """What is scored.

    Attributes:
        texts: as they came.
        labels: positions of their sentiments; None where the file has none.
        calibration: other texts, for engines that fit themselves to some.
        held_out: the rows are those that the model's training held out.
        known: the model was trained from this file, and its rows are not held out.
    """

    texts: tuple[str, ...]
    labels: tuple[int, ...] | None
    calibration: tuple[str, ...]
    held_out: bool
    known: bool


def read_data(file: Path, model: Path, *, texts_column: str, labels_column: str, limit: int, seed: int) -> ScoreData:
    """Read a CSV file, or a sample of it where it has more than `limit` rows; rows without text are left out.

    Raises:
        InputError: the file cannot be read, a column is missing, a label is unknown, or no row is left.
    """
    rows, labelled = _read_rows(file, texts_column, labels_column)
    known = file_sha256(file) in {entry.get("sha256") for entry in read_manifest(model).training_data}
    order = random.Random(seed).sample(range(len(rows)), len(rows))  # noqa: S311 - which rows are measured, no secret
    chosen, rest = sorted(order[:limit]), order[limit:]
    # Where the file is scored whole, engines are fitted to invented texts: to those that are scored would be cheating.
    other = tuple(rows[place][0] for place in rest[:CALIBRATION_TEXTS]) or tuple(generate_texts(CALIBRATION_TEXTS))
    return ScoreData(
        texts=tuple(rows[place][0] for place in chosen),
        labels=tuple(rows[place][1] for place in chosen) if labelled else None,
        calibration=other,
        held_out=False,
        known=known,
    )


def read_held_out(
    file: Path, model: Path, *, sentiment: Sequence[Path], topic: Sequence[Path], limit: int, seed: int
) -> ScoreData:
    """Return the rows of a training file that the model's training held out, equal texts once.

    The split is made again from all files of the training, so all have to be given.

    Args:
        file: a sentiment file of the training.
        model: the model's folder.
        sentiment: its further sentiment files.
        topic: its topic files.
        limit: at most so many rows.
        seed: which, where there are more.

    Raises:
        TrainingDataError: the model was not trained from exactly these files, or does not say how they were split.
    """
    from retrain.job import describe_files
    from retrain.split import split_examples
    from retrain.teachers import check_teacher

    files = [file, *sentiment]
    examples = read_both(files, topic)
    settings = TrainingSettings()
    check_teacher(model, describe_files([*files, *topic], examples), settings)
    split = split_examples(examples, settings.dev_share, settings.split_seed)
    held = [examples[place] for place in split.dev if examples[place].source == file.name]
    if not held:
        raise TrainingDataError(f"{file}: no row of it was held out; give another file")
    dice = random.Random(seed)  # noqa: S311 - which rows are measured, no secret
    chosen = sorted(dice.sample(range(len(held)), min(limit, len(held))))
    learned = dice.sample(split.train, min(CALIBRATION_TEXTS, len(split.train)))
    return ScoreData(
        texts=tuple(held[place].text for place in chosen),
        labels=tuple(held[place].label for place in chosen),
        calibration=tuple(examples[place].text for place in learned),
        held_out=True,
        known=False,
    )


def with_reposts(count: int, share: float, seed: int) -> list[int]:
    """Return positions of texts as a stream has them: each comes once, in order, and reposts of recent ones between.

    Args:
        count: different texts.
        share: of the stream, about, that repeats one of the 2,000 messages before.
        seed: of the dice.

    Raises:
        ValueError: the share is not at least 0 and below 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of reposts must be at least 0 and below 1, got {share}")
    dice = random.Random(seed)  # noqa: S311 - an invented stream, no secret
    stream: list[int] = []
    coming = 0
    while coming < count:
        if stream and dice.random() < share:
            stream.append(dice.choice(stream[-_RECENT:]))
        else:
            stream.append(coming)
            coming += 1
    return stream


def _read_rows(file: Path, texts_column: str, labels_column: str) -> tuple[list[tuple[str, int]], bool]:
    """Return (text, sentiment) of each row, and whether there are labels."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            columns = reader.fieldnames or []
            if texts_column not in columns:
                raise InputError(f"{file}: no column {texts_column!r}; it has {', '.join(columns) or 'none'}")
            labelled = labels_column in columns
            rows: list[tuple[str, int]] = []
            for row in reader:
                text = (row[texts_column] or "").strip()
                if text:
                    where = f"{file}:{reader.line_num}"
                    rows.append((text, _sentiment(row[labels_column] or "", where) if labelled else -1))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read ({error}); give a CSV file in UTF-8") from None
    if not rows:
        raise InputError(f"{file}: has no row with a text in column {texts_column!r}")
    return rows, labelled


def _sentiment(word: str, where: str) -> int:
    found = SENTIMENT_WORDS.get(word.strip().casefold())
    if found is None:
        raise InputError(f"{where}: unknown sentiment {word!r}; known are {', '.join(sorted(SENTIMENT_WORDS))}")
    return found
