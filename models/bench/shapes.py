"""Networks of well-known shapes with random weights, and the arithmetic that a text costs in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from models.labels import SENTIMENTS, TOPICS
from models.network import ClassifierNetwork
from models.storage import ATTENTION

VOCABULARY = 30_522
"""Word pieces of both shapes, and of the tokenizer that ships with Squall."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What decides the cost of a BERT encoder."""

    name: str
    layers: int
    hidden: int
    heads: int
    inner: int

    def flop(self, lengths: Iterable[int]) -> float:
        """Return the floating-point operations for rows of these lengths in tokens, without any padding.

        A product of [n, k] and [k, m] counts 2nkm. Per token and layer that is four products of hidden by hidden and
        two of hidden by inner; attention adds two of the row's length by hidden. The rest is left out, as usual.
        """
        per_token = 2 * (4 * self.hidden**2 + 2 * self.hidden * self.inner)
        heads_of_ours = 2 * self.hidden * (len(SENTIMENTS) + len(TOPICS))
        return float(
            sum(
                self.layers * (length * per_token + 4 * length * length * self.hidden) + heads_of_ours
                for length in lengths
            )
        )


SHAPES = {
    shape.name: shape
    for shape in (
        NetworkShape("minilm-l6", layers=6, hidden=384, heads=12, inner=1536),
        NetworkShape("bert-base", layers=12, hidden=768, heads=12, inner=3072),
        NetworkShape("tiny", layers=2, hidden=32, heads=4, inner=64),  # to try the command itself
    )
}
"""Shapes by name."""


def build_network(shape: NetworkShape, seed: int = 11) -> ClassifierNetwork:
    """Return a network in evaluation mode, float32, on the CPU; the caller's random numbers are left alone."""
    from transformers import BertConfig, BertModel

    build: Any = BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
    )
    config._attn_implementation = ATTENTION
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ClassifierNetwork(build(config, add_pooling_layer=False), shape.hidden).eval()
