"""What a company remembers of the models that scored it; see `streams.monitor.model_change`."""

from __future__ import annotations

import msgspec


class Arrival(msgspec.Struct, omit_defaults=True, gc=False):
    """A model whose scores are new at a company."""

    votes: float = 0.0
    """Effective votes that it scored here."""
    excess: float = 0.0
    """Sum of their P(negative) less the level."""
    taken: float = 0.0
    """Sum of what was taken off their P(negative)."""
    held_votes: float = 0.0
    """Votes of what may be a rise, as are the next two; they count once it has come to nothing."""
    held_excess: float = 0.0
    held_taken: float = 0.0
    others: float = 0.0
    """Votes that known models scored in the same time, as far as its own count."""
    held_others: float = 0.0
    lately: float = 0.0
    """Its votes among the last few of the company, whatever became of them, as is the next."""
    others_lately: float = 0.0
    """Those of known models."""


class Scale(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The models whose scores a company's history is made of, and the new ones."""

    models: tuple[str, ...] = ()
    """Known: in the order in which they came."""
    votes: float = 0.0
    """Of known models, faded to `at_ms`, as is the next: the level."""
    negative: float = 0.0
    at_ms: int = 0
    arriving: dict[str, Arrival] = msgspec.field(default_factory=dict)
