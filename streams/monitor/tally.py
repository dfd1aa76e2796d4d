"""A closed bin, as every rule reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from streams.monitor.state import Vote
from streams.records import Mention, ModelChange


@dataclass(slots=True)
class Ballot:
    """A mention of a closed bin with what its story and its author make of it."""

    vote: Vote
    story: str
    copy: bool
    counts: bool


@dataclass(slots=True)
class Tally:
    """A closed bin, as every rule reads it."""

    start_ms: int
    end_ms: int
    ballots: Sequence[Ballot]
    """Its mentions in order of (time, id); not empty, unless a rule's filter let none of them pass."""
    scores: Sequence[float]
    """P(negative) of its effective votes."""
    negative: float
    """Their sum."""
    weight: float
    """What they bring to an e-detector before its null mean is taken off, see `e_detector.weighed`."""
    late: int
    """Mentions that came too late since the bin before."""
    change: ModelChange | UnsetType = UNSET
    """A model whose scores are new at the company."""
    outages: Sequence[tuple[int, int]] = ()
    """When nothing was heard of any company: begin and end, ascending."""


def vote_of(mention: Mention, at_ms: int) -> Vote:
    """Return what of a mention waits for its bin to close.

    Args:
        mention: the mention.
        at_ms: its event time, ms since the epoch.
    """
    # By position: this is done for every mention, and names are looked up one by one.
    return Vote(
        at_ms,
        mention.message_id,
        mention.source,
        mention.negative,
        mention.topic,
        mention.text,
        f"{mention.model.name}@{mention.model.version}",
        mention.title,
        mention.author,
        mention.url,
        mention.truncated,
        mention.clamped,
        mention.degraded is True,
        None if mention.story is UNSET else mention.story,
        mention.positive,
        mention.relevance,
        mention.lang,
    )
