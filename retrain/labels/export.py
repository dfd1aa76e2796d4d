"""Settled labels as rows of a training file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrain.labels.decide import Decided

HEADER = ("text", "label", "message_id", "learned_at", "source", "lang", "entity", "topic", "votes", "against")
"""`squall train` reads the first two; the others are for whoever wants to know where a row came from."""


def rows(decided: Sequence[Decided]) -> Iterator[tuple[str, ...]]:
    """Yield the header and a row for each label, in the order of the message ids."""
    yield HEADER
    for one in decided:
        word = one.judgement
        yield (
            word.text,
            one.answer,
            word.message_id,
            word.learned_at.isoformat(),
            word.source or "",
            word.lang or "",
            word.entity or "",
            word.topic or "",
            str(one.votes),
            str(one.against),
        )
