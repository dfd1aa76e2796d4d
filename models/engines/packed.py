"""BERT over packed rows: the arithmetic of `transformers`' BERT and of our heads, without padding.

The weights are those of a `ClassifierNetwork`; query, key and value are one matrix product instead of three. All shapes
follow from the arguments and nothing waits for the device, so a call can be recorded in a CUDA graph and compiled.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from models.engines.varlen import Attention, reference_attention
from models.network import ClassifierNetwork


def why_not_packed(network: ClassifierNetwork) -> str | None:
    """Say why this network cannot be computed packed; None if it can."""
    config: Any = network.encoder.config
    if config.model_type != "bert":
        return f"only BERT is computed without padding, and the encoder is {config.model_type}"
    if getattr(config, "position_embedding_type", "absolute") != "absolute" or getattr(config, "is_decoder", False):
        return "only BERT encoders with absolute positions are computed without padding"
    return None


class PackedBert(nn.Module):
    """Packed token ids in; logits and pooled vectors out, side by side.

    Args:
        network: a network for which `why_not_packed` is None; its weights are copied.
        attention: how rows are attended to.
    """

    def __init__(self, network: ClassifierNetwork, attention: Attention = reference_attention) -> None:
        super().__init__()
        encoder: Any = network.encoder
        embeddings = encoder.embeddings
        self.words = _parameter(embeddings.word_embeddings.weight)
        # Every token is of the first segment, so segment and position are one table.
        self.places = _parameter(embeddings.position_embeddings.weight + embeddings.token_type_embeddings.weight[0])
        self.norm = _copy_norm(embeddings.LayerNorm)
        heads = int(encoder.config.num_attention_heads)
        act = ACT2FN[encoder.config.hidden_act]
        self.layers = nn.ModuleList(_Layer(layer, heads, act, attention) for layer in encoder.encoder.layer)
        self.sentiments = network.sentiment.out_features
        self.topics = network.topic.out_features
        self.hidden_size = network.sentiment.in_features
        self.head_weight = _parameter(torch.cat((network.sentiment.weight, network.topic.weight)).float())
        self.head_bias = _parameter(torch.cat((network.sentiment.bias, network.topic.bias)).float())

    def to_dtype(self, dtype: torch.dtype) -> PackedBert:
        """Hold the encoder in a number format; pooling and heads stay in float32, as in `ClassifierNetwork`."""
        for name, parameter in self.named_parameters():
            if not name.startswith("head_"):
                parameter.data = parameter.data.to(dtype)
        return self

    def forward(self, ids: Tensor, positions: Tensor, offsets: Tensor, longest: int) -> Tensor:
        """Return [rows, sentiments + topics + hidden] in float32: logits of both heads, then pooled vectors.

        Args:
            ids: token ids, int32 [tokens].
            positions: place of each token in its row, int32 [tokens].
            offsets: beginning of each row and the end of the last, int32 [rows + 1].
            longest: no row has more tokens.
        """
        states = functional.embedding(ids, self.words) + functional.embedding(positions, self.places)
        states = self.norm(states)
        for layer in self.layers:
            states = layer(states, offsets, longest)
        # `unsafe` leaves out a check of the offsets that would wait for the device; they are our own.
        pooled = torch.segment_reduce(states.float(), "mean", offsets=offsets, axis=0, unsafe=True)
        return torch.cat((functional.linear(pooled, self.head_weight, self.head_bias), pooled), dim=1)


class _Layer(nn.Module):
    """One layer of BERT on packed states [tokens, hidden]."""

    def __init__(self, layer: Any, heads: int, act: Any, attention: Attention) -> None:
        super().__init__()
        own = layer.attention.self
        self.mix_in = _linear(
            torch.cat((own.query.weight, own.key.weight, own.value.weight)),
            torch.cat((own.query.bias, own.key.bias, own.value.bias)),
        )
        self.mix_out = _linear(layer.attention.output.dense.weight, layer.attention.output.dense.bias)
        self.mix_norm = _copy_norm(layer.attention.output.LayerNorm)
        self.wide = _linear(layer.intermediate.dense.weight, layer.intermediate.dense.bias)
        self.narrow = _linear(layer.output.dense.weight, layer.output.dense.bias)
        self.norm = _copy_norm(layer.output.LayerNorm)
        self._heads = heads
        self._act = act
        self._attention = attention

    def forward(self, states: Tensor, offsets: Tensor, longest: int) -> Tensor:
        parts = self.mix_in(states).view(states.shape[0], 3, self._heads, -1)
        mixed = self._attention(parts[:, 0], parts[:, 1], parts[:, 2], offsets, longest)
        states = self.mix_norm(self.mix_out(mixed.reshape(states.shape)) + states)
        return cast(Tensor, self.norm(self.narrow(self._act(self.wide(states))) + states))


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    # On the meta device no random numbers are drawn for weights that are replaced at once.
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = _parameter(weight), _parameter(bias)
    return linear


def _copy_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    copy = nn.LayerNorm(norm.normalized_shape, eps=norm.eps, device="meta")
    copy.weight, copy.bias = _parameter(norm.weight), _parameter(norm.bias)
    return copy
