"""Batches of like length within a budget of tokens: pure, tested without a model.

A padded length belongs to a text alone (its own token count, rounded up), and a batch holds one padded length
only. So the numbers that a row meets inside the network do not depend on which other texts share its batch, as
long as the matrix products themselves are row-invariant; replays and crash recovery rely on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LENGTH_STEP = 8
"""Padded lengths are multiples of this: about 4 tokens of padding per text, and few distinct lengths."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts that go through the network together: their positions in the input and their common length."""

    indices: tuple[int, ...]
    padded_length: int

    @property
    def tokens(self) -> int:
        """Tokens that the network computes for this batch, padding included."""
        return len(self.indices) * self.padded_length


def padded_length(tokens: int, step: int = LENGTH_STEP) -> int:
    """Return the token count rounded up to a multiple of `step`, at least one step.

    Raises:
        ValueError: `tokens` is negative or `step` is below 1.
    """
    if tokens < 0:
        raise ValueError(f"a token count cannot be negative, got {tokens}")
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    return max(1, -(-tokens // step)) * step


def plan_batches(token_counts: Sequence[int], max_tokens: int, step: int = LENGTH_STEP) -> list[Batch]:
    """Group texts by padded length into batches of at most `max_tokens` tokens, padding included.

    Longer batches come first (the peak of memory is then met at once), and within a length the texts keep
    their order. A text that alone exceeds the budget gets a batch of its own. The groups of one length are cut
    into pieces of nearly equal size, so that no batch is a remnant of one row.

    Args:
        token_counts: tokens of each text, special tokens included.
        max_tokens: budget of one batch.
        step: padded lengths are multiples of this.

    Raises:
        ValueError: the budget is below 1, or as `padded_length` does.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens must be at least 1, got {max_tokens}")
    by_length: dict[int, list[int]] = {}
    for index, tokens in enumerate(token_counts):
        by_length.setdefault(padded_length(tokens, step), []).append(index)
    batches: list[Batch] = []
    for length in sorted(by_length, reverse=True):
        members = by_length[length]
        per_batch = max(1, max_tokens // length)
        pieces = -(-len(members) // per_batch)
        cuts = [len(members) * piece // pieces for piece in range(pieces + 1)]
        batches += [Batch(tuple(members[start:stop]), length) for start, stop in pairwise(cuts)]
    return batches
