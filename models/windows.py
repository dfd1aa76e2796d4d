"""Long texts: read in windows that overlap, and made one answer again.

*Windows.* A text that is longer than the network reads is cut into windows of full length, each of which repeats the
last eighth of the one before, so that what stands at a cut is read with its context. There are at most `max_windows`;
what lies beyond is not read, and the prediction says so (`truncated`).

*One answer.* The logits of a text are the weighted mean of those of its windows. The network itself takes the mean
over the tokens of what it reads and has linear heads on it, so the mean over windows by tokens, each token counted
once, is what it would do if it could read on; and the window at place k counts 1/k, as a report says at its head what
it is about. The weights sum to 1, so a text of one window is answered as it always was, bit for bit.

Measured on held-out texts that were read in windows of 16 to 32 tokens, where the answer to the whole is known
(BENCHMARKS.md has the figures): the surest window and noisy-or are worse than the first alone, and so is the most
negative one, as every further window is another chance to be wrong. Means are better than it and close to one another:
those of the logits before that of the probabilities, and with weight on the head at a lower log loss for most.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.engines.base import Outputs

DEFAULT_MAX_WINDOWS = 4
"""Four windows of 256 tokens are some 700 words: a whole agency report, and a bound on what one text can cost."""

OVERLAP_SHARE = 8
"""A window repeats this part of the one before: 1/8."""


class Span(NamedTuple):
    """One window: the tokens from `start` up to `end` of a text, special tokens not counted."""

    start: int
    end: int


def overlap_of(capacity: int) -> int:
    """Return how many tokens two windows of `capacity` tokens share."""
    return capacity // OVERLAP_SHARE


def most_tokens(capacity: int, max_windows: int) -> int:
    """Return how many tokens of a text are read at most, special tokens not counted.

    Raises:
        ValueError: a number is below 1.
    """
    if capacity < 1 or max_windows < 1:
        raise ValueError(f"capacity and max_windows must be at least 1, got {capacity} and {max_windows}")
    return capacity + (max_windows - 1) * (capacity - overlap_of(capacity))


def plan_windows(tokens: int, capacity: int, max_windows: int) -> tuple[Span, ...]:
    """Return the windows of a text of so many tokens; the last one ends where the text or what is read of it ends.

    Args:
        tokens: tokens of the text, special tokens not counted; 0 makes one empty window.
        capacity: tokens that a window holds beside the special ones.
        max_windows: windows at most.

    Raises:
        ValueError: a number is too small.
    """
    if tokens < 0:
        raise ValueError(f"a token count cannot be negative, got {tokens}")
    read = min(tokens, most_tokens(capacity, max_windows))
    step = capacity - overlap_of(capacity)
    further = max(0, -(-(read - capacity) // step))
    return tuple(Span(place * step, min(read, place * step + capacity)) for place in range(further + 1))


def window_weights(spans: Sequence[Span]) -> NDArray[np.float64]:
    """Return what each window of a text counts for [windows]: its new tokens divided by its place; they sum to 1."""
    if len(spans) == 1:
        return np.ones(1)
    ends = [0, *(span.end for span in spans[:-1])]
    weights = np.asarray(
        [
            (span.end - max(before, span.start)) / place
            for place, (span, before) in enumerate(zip(spans, ends, strict=True), 1)
        ]
    )
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def merge_windows(outputs: Outputs, spans: Sequence[Sequence[Span]]) -> Outputs:
    """Return one row per text from rows that are windows: text after text, and each text's windows in order.

    The pooled vectors are merged with the same weights. `spans` holds the windows of each text.

    Raises:
        ValueError: the windows are not as many as the rows, or a text has none.
    """
    counts = [len(of_text) for of_text in spans]
    if sum(counts) != len(outputs.sentiment) or 0 in counts:
        raise ValueError(f"{len(outputs.sentiment)} rows cannot be {sum(counts)} windows of {len(counts)} texts")
    if sum(counts) == len(counts):
        return outputs
    firsts = np.asarray([0, *accumulate(counts[:-1])], dtype=np.int64)
    weights = np.concatenate([window_weights(of_text) for of_text in spans])[:, np.newaxis]
    return Outputs(
        np.add.reduceat(outputs.sentiment * weights, firsts, axis=0),
        np.add.reduceat(outputs.topic * weights, firsts, axis=0),
        np.add.reduceat(outputs.pooled * weights.astype(np.float32), firsts, axis=0),
    )
