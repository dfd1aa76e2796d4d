"""Rows of token ids laid end to end, without padding: what padding-free attention takes. Pure, and no torch.

A pack of three texts of 4, 2 and 3 tokens has nine ids, the positions 0 1 2 3 0 1 0 1 2, and the offsets 0 4 6 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS_PER_TOKEN = 16
"""A shape has room for one row in so many tokens: real tweets are longer on average, so room seldom runs out."""
_LONGEST = (64, 128, 256, 512)
"""Attention is launched for the longest row that a shape may hold; more steps than these would gain nothing."""


class Pack(NamedTuple):
    """Rows that are computed together."""

    ids: NDArray[np.int32]
    """Token ids; [tokens]."""
    positions: NDArray[np.int32]
    """Place of each token in its row; [tokens]."""
    offsets: NDArray[np.int32]
    """Where each row begins, and where the last one ends; [rows + 1]."""
    longest: int
    """Tokens of the longest row."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return len(self.ids)


class Shape(NamedTuple):
    """A fixed size that packs are filled up to, so that one recorded graph serves them all."""

    tokens: int
    rows: int
    longest: int


def pack(rows: Sequence[Sequence[int]]) -> Pack:
    """Lay rows end to end.

    Raises:
        ValueError: there is no row, or an empty one; special tokens make that impossible for a text.
    """
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int32, count=len(rows))
    if not len(lengths) or lengths.min() < 1:
        raise ValueError(f"a pack needs rows of at least one token each, got lengths {lengths[:8].tolist()}")
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    tokens = int(offsets[-1])
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=tokens)
    positions = np.arange(tokens, dtype=np.int32) - np.repeat(offsets[:-1], lengths)
    return Pack(ids, positions, offsets, int(lengths.max()))


def plan_packs(token_counts: Sequence[int], max_tokens: int) -> Iterator[slice]:
    """Cut rows, in their order, into stretches of at most `max_tokens` tokens; a longer row is one of its own.

    Raises:
        ValueError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
    start, used = 0, 0
    for index, tokens in enumerate(token_counts):
        if used and used + tokens > max_tokens:
            yield slice(start, index)
            start, used = index, 0
        used += tokens
    if used:
        yield slice(start, len(token_counts))


def choose_shape(packed: Pack, max_tokens: int, smallest: int = 128) -> Shape | None:
    """Return the smallest shape that holds the pack, a power of two of tokens up to `max_tokens`; None if none does."""
    longest = next((bound for bound in _LONGEST if packed.longest <= bound), None)
    if longest is None:
        return None
    tokens = smallest
    while tokens <= max_tokens:
        rows = max(1, tokens // _ROWS_PER_TOKEN)
        # Rows that are missing are filled up with one token each: no kernel has to cope with empty ones.
        if packed.rows <= rows and packed.tokens + rows - packed.rows <= tokens:
            return Shape(tokens, rows, longest)
        tokens *= 2
    return None


def fill(packed: Pack, shape: Shape, pad_id: int) -> Pack:
    """Return the pack filled up to a shape that holds it; answers of its first rows are those of the pack.

    What is left of the tokens belongs to no row. Its numbers are computed and mean nothing.
    """
    missing = shape.rows - packed.rows
    ids = np.full(shape.tokens, pad_id, dtype=np.int32)
    ids[: packed.tokens] = packed.ids
    positions = np.zeros(shape.tokens, dtype=np.int32)
    positions[: packed.tokens] = packed.positions
    offsets = np.empty(shape.rows + 1, dtype=np.int32)
    offsets[: packed.rows + 1] = packed.offsets
    offsets[packed.rows + 1 :] = packed.tokens + 1 + np.arange(missing, dtype=np.int32)
    return Pack(ids, positions, offsets, shape.longest)
