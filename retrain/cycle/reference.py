"""What the challenger's texts usually are, so that drift is measured from the day it answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from models.classifier import Classifier
from retrain.gate.run import Stretch
from streams.records import Mention
from streams.replay.sources.source import BadRecord
from streams.watch.reference import ReferenceBuilder, write_reference
from streams.whole_text import whole_text

_MOST = 5_000
"""As many as drift looks at by default: a longer reference would tell no more."""


def write_challengers_reference(
    challenger: Path, stretch: Stretch | None, others: Sequence[str], *, at: datetime, device: str
) -> str:
    """Write reference.json into a model's folder; and return in words what it was made of.

    Args:
        challenger: the model folder.
        stretch: recent history, whose last messages are the reference: what the feed usually is.
        others: texts to take where there is no history.
        at: now, UTC.
        device: where to compute.

    Raises:
        InputError, BrokerError: the history cannot be read.
    """
    texts = _recent(stretch) if stretch is not None else []
    source = "recent mentions" if texts else "training texts"
    texts = texts or list(others[-_MOST:])
    model = Classifier.load(challenger, device=device)
    builder = ReferenceBuilder()
    for text, answer in zip(texts, model.predict(texts), strict=True):
        builder.add(text, answer.negative, answer.topic)
    try:
        reference = builder.build(model.model, made_at=at, sources=(source,))
    except ValueError as error:
        return f"drift of the challenger will not be measured: {error}; see squall models reference"
    write_reference(challenger, reference)
    return f"the challenger's reference for drift: {len(texts):,} {source}"


def _recent(stretch: Stretch) -> list[str]:
    """The texts of the last messages of each partition, each message once."""
    source = stretch.source
    share = max(1, _MOST // max(1, len(source.partitions)))
    found: list[str] = []
    for number in source.partitions:
        mentions = (one.record for one in source.records(number, on_bad=_pass_over) if isinstance(one.record, Mention))
        found += [whole_text(one) for one in _each_once(mentions, share)]
    return found


def _each_once(mentions: Iterable[Mention], most: int) -> list[Mention]:
    last: deque[Mention] = deque(maxlen=2 * most)  # one message may be about several companies
    last.extend(mentions)
    by_id = {mention.message_id: mention for mention in last}
    return list(by_id.values())[-most:]


def _pass_over(_: BadRecord) -> None:
    """What cannot be read is no part of it."""
