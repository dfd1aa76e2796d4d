"""What is measured of one text and its answer. Pure, and cheap: some microseconds a text.

- `sentiment`: the probability of "negative", in the reference's deciles. Not the class mix: the monitor counts
  probabilities, so a model that grows unsure moves the alerts before it moves one label.
- `topic`: the likeliest topic.
- `length`: words of the text, in the reference's deciles. Words and not the tokens that were read, as the first tier
  counts those in another way than the network, and the same text would be of two lengths.
- `unknown_tokens`: the share of the words that stood in no text of the reference, in its deciles. The tokenizer's own
  unknown token would say nothing: a word-piece tokenizer spells any English word, known or not, in pieces.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple

import xxhash

from models.labels import TOPIC_IDS
from models.text import LINK

Signal = Literal["sentiment", "topic", "length", "unknown_tokens"]
SIGNALS: tuple[Signal, ...] = ("sentiment", "topic", "length", "unknown_tokens")

TOPIC_BINS = len(TOPIC_IDS) + 1
"""One for each topic, and one for an answer without."""
QUANTILES = 10

WORD_SLOTS = 1 << 18
"""Slots that words are hashed into. Of a reference with 30,000 words a tenth of the unknown ones meet a taken slot, and
count as known: in the reference as well as live, so that no drift comes of it."""

_READ_CHARS = 2_000
"""What lies beyond is not looked at, which bounds the time that a long text takes; and a mention keeps no more either
(`ingest.mention_text_chars`), so that a reference made of mentions measures what is measured live."""
_WORD = re.compile(r"[^\W\d_]+")
_TOPIC_PLACE = {name: place for place, name in enumerate(TOPIC_IDS)}


class Measured(NamedTuple):
    """The four signals of one text, before they are binned."""

    negative: float
    topic: int
    words: int
    unknown_share: float


def word_hashes(text: str) -> list[int]:
    """Return a hash of 32 bits for each word of a text, in order. Links, numbers and signs are no words."""
    bare = LINK.sub(" ", text[:_READ_CHARS]).lower()
    return [xxhash.xxh32_intdigest(word.encode("utf-8", "replace")) for word in _WORD.findall(bare)]


def word_slots(hashes: Sequence[int]) -> list[int]:
    """Return the slot of each word."""
    return [found % WORD_SLOTS for found in hashes]


def topic_place(topic: str) -> int:
    """Return the bin of a topic's id."""
    return _TOPIC_PLACE.get(topic, len(TOPIC_IDS))


def quantile_edges(values: Sequence[float]) -> tuple[float, ...]:
    """Return the edges of the deciles of the values, and of a bin below the least and one above the greatest.

    The two outermost bins are empty for these values: they are for what has never been there. Where many values are
    equal there are fewer bins; the least value, if a tenth of the values have it, has a bin for itself.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there are no values to take deciles of")
    ranked = sorted(values)
    least, greatest = ranked[0], ranked[-1]
    edges = {ranked[rank * len(ranked) // QUANTILES] for rank in range(1, QUANTILES)}
    if least in edges and greatest > least:
        edges.add(ranked[bisect_right(ranked, least)])
    return tuple(sorted({least, *edges, math.nextafter(greatest, math.inf)}))


def place(edges: Sequence[float], value: float) -> int:
    """Return the bin of a value, 0 to `len(edges)`; an edge belongs to the bin above it."""
    return bisect_right(edges, value)
