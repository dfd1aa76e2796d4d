"""What the signals were where a model learned, or in a stretch of its feed that was good: `reference.json` beside it.

The file holds figures alone: edges of bins, counts, and a bitmap of hashed words, from which no text can be read. It
says for which model it was made, and another model's is refused: its answers are others, and so is their histogram.
"""

from __future__ import annotations

import base64
import binascii
from array import array
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.errors import ModelFilesError
from models.prediction import ModelId, Prediction
from streams.records.codec import UtcTime
from streams.watch.embedding import Cloud, Points, point
from streams.watch.signals import (
    SIGNALS,
    TOPIC_BINS,
    WORD_SLOTS,
    Measured,
    Signal,
    place,
    quantile_edges,
    topic_place,
    word_hashes,
    word_slots,
)
from streams.whole_files import write_whole

FORMAT = 1
REFERENCE = "reference.json"
LEAST_TEXTS = 1_000
"""Of fewer texts the deciles are a guess: with n texts the index stands by chance at 9 / n above that of the window."""
_MOST_BYTES = 4 * 1024 * 1024


class Histogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts by bin; the edges between the bins, ascending, or none where the bins are topics."""

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()


class _Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    version: str


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a window is held against."""

    model: _Model
    texts: int
    made_at: UtcTime
    sources: tuple[str, ...]
    """What it was made from: names of files or of a topic."""
    signals: dict[Signal, Histogram]
    words: str
    """Which of the `WORD_SLOTS` are taken, one bit each, in base64."""
    embedding: str | None = None
    """Mean and covariance of the texts as points (`streams.watch.embedding`), in base64; None of a file that was made
    before they were."""
    format: int = FORMAT

    @property
    def model_id(self) -> ModelId:
        """The model that it was made for."""
        return ModelId(self.model.name, self.model.version)

    def known_words(self) -> bytes:
        """Return the bitmap of taken slots."""
        return base64.b64decode(self.words, validate=True)

    def cloud(self) -> Cloud | None:
        """Return mean and covariance of the texts as points, where they are known."""
        return None if self.embedding is None else Cloud.unpacked(self.embedding)


class ReferenceBuilder:
    """Makes a reference of scored texts, one by one. It keeps numbers of the texts, and no text."""

    def __init__(self) -> None:
        self._negative: list[float] = []
        self._topics: Counter[int] = Counter()
        self._slots: list[array[int]] = []
        self._points: list[Points] = []
        self._texts_with: Counter[int] = Counter()
        self._seen: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._negative)

    def add(self, text: str, negative: float, topic: str) -> None:
        """Take a text in, with the answer to it: the probability of "negative", and the likeliest topic."""
        hashes = word_hashes(text)
        slots = array("L", word_slots(hashes))
        self._points.append(point(hashes))
        self._negative.append(negative)
        self._topics[topic_place(topic)] += 1
        self._slots.append(slots)
        if (words := slots.tobytes()) not in self._seen:  # a repost makes no word known
            self._seen.add(words)
            self._texts_with.update(set(slots))

    def build(self, model: ModelId, *, made_at: datetime, sources: Sequence[str]) -> Reference:
        """Return the reference.

        A word of a text counts as known here if it stands in another text as well: so a text of the reference is judged
        as a new one would be, for which all of them are others.

        Args:
            model: whose answers the predictions are.
            made_at: now, UTC.
            sources: what the texts were taken from.

        Raises:
            ValueError: there are fewer than `LEAST_TEXTS` texts.
        """
        if len(self) < LEAST_TEXTS:
            msg = f"a reference needs {LEAST_TEXTS:,} texts at least, there are {len(self):,}"
            raise ValueError(msg)
        lengths = [len(slots) for slots in self._slots]
        unknown = [
            sum(self._texts_with[slot] < 2 for slot in slots) / len(slots) if slots else 0.0 for slots in self._slots
        ]
        known = bytearray(WORD_SLOTS // 8)
        for slot in self._texts_with:
            known[slot >> 3] |= 1 << (slot & 7)
        return Reference(
            model=_Model(model.name, model.version),
            texts=len(self),
            made_at=made_at,
            sources=tuple(sources),
            signals={
                "sentiment": _in_deciles(self._negative),
                "topic": Histogram(tuple(self._topics[at] for at in range(TOPIC_BINS))),
                "length": _in_deciles(lengths),
                "unknown_tokens": _in_deciles(unknown),
            },
            words=base64.b64encode(known).decode(),
            embedding=self._embedding(),
        )

    def _embedding(self) -> str | None:
        try:
            return Cloud.of(np.array(self._points)).packed()
        except ValueError:
            return None  # all texts are the same, or have no words: nothing can lie away from them


def _in_deciles(values: Sequence[float]) -> Histogram:
    edges = quantile_edges(values)
    counts = Counter(place(edges, value) for value in values)
    return Histogram(tuple(counts[bin_] for bin_ in range(len(edges) + 1)), edges)


class Measure:
    """Measures texts against a reference and says in which bins they fall.

    Args:
        reference: brings the bins, and the words that are known.
    """

    def __init__(self, reference: Reference) -> None:
        self._known = reference.known_words()
        self._edges = {name: reference.signals[name].edges for name in SIGNALS}

    def measured(self, hashes: Sequence[int], prediction: Prediction) -> Measured:
        """Return the signals of one text, of which the hashes of its words are given (`word_hashes`)."""
        slots, known = word_slots(hashes), self._known
        unknown = sum(not known[slot >> 3] >> (slot & 7) & 1 for slot in slots)
        share = unknown / len(slots) if slots else 0.0
        return Measured(prediction.negative, topic_place(prediction.topic), len(slots), share)

    def places(self, hashes: Sequence[int], prediction: Prediction) -> dict[Signal, int]:
        """Return the bin of each signal."""
        found = self.measured(hashes, prediction)
        return {
            "sentiment": place(self._edges["sentiment"], found.negative),
            "topic": found.topic,
            "length": place(self._edges["length"], found.words),
            "unknown_tokens": place(self._edges["unknown_tokens"], found.unknown_share),
        }


def write_reference(folder: Path, reference: Reference) -> Path:
    """Write a reference into its model's folder, in place of the one that may be there, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / REFERENCE
    content: dict[str, Any] = msgspec.to_builtins(reference)
    # A worker that loads the model meanwhile finds the old one or the new one.
    write_whole(path, [msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"], for_all=True)
    return path


def read_reference(folder: Path, model: ModelId) -> Reference | None:
    """Read the reference of a model; None if its folder has none.

    Raises:
        ModelFilesError: the file cannot be used, or was made for another model.
    """
    path = folder / REFERENCE
    again = "make it again with `squall models reference`"
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes")
        reference = msgspec.json.decode(content, type=Reference)
        _check(reference)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFilesError(f"{path}: cannot be read ({error.strerror}); check path and permissions") from None
    except (ValueError, RecursionError) as error:
        raise ModelFilesError(f"{path}: no reference of this Squall ({error}); {again}") from None
    if reference.model_id != model:
        made_for = f"{reference.model.name} {reference.model.version}"
        raise ModelFilesError(f"{path}: made for {made_for}, and the model is {model.name} {model.version}; {again}")
    return reference


def _check(reference: Reference) -> None:
    """Raise ValueError for what fits the format and makes no sense."""
    if reference.format != FORMAT:
        raise ValueError(f"its format is {reference.format}, and {FORMAT} is known")
    if set(reference.signals) != set(SIGNALS):
        raise ValueError(f"it needs the signals {', '.join(SIGNALS)}")
    for name, histogram in reference.signals.items():
        edges, counts = histogram.edges, histogram.counts
        bins = TOPIC_BINS if name == "topic" else len(edges) + 1
        if len(counts) != bins or min(counts) < 0 or sum(counts) != reference.texts:
            raise ValueError(f"{name}: expected {bins} counts that add up to {reference.texts:,}")
        if list(edges) != sorted(set(edges)):
            raise ValueError(f"{name}: the edges must ascend")
    if reference.texts < 1:
        raise ValueError("it was made of no text")
    try:
        known = reference.known_words()
    except binascii.Error as error:
        raise ValueError(f"words: {error}") from None
    if len(known) != WORD_SLOTS // 8:
        raise ValueError(f"words: expected {WORD_SLOTS // 8:,} bytes, got {len(known):,}")
    try:
        reference.cloud()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"embedding: {error}") from None
