"""The network: one Hugging Face encoder, masked mean pooling, and two linear heads on the pooled vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.labels import SENTIMENTS, TOPICS


class ClassifierNetwork(nn.Module):
    """Token ids in, sentiment and topic logits out.

    Args:
        encoder: any encoder of `transformers` whose output has a `last_hidden_state` [batch, tokens, hidden].
        hidden_size: width of that state.
        head_dropout: share of the pooled vector's entries dropped while training.
    """

    def __init__(self, encoder: nn.Module, hidden_size: int, head_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(head_dropout)
        self.sentiment = nn.Linear(hidden_size, len(SENTIMENTS))
        self.topic = nn.Linear(hidden_size, len(TOPICS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, sentiments] and [batch, topics] in float32.

        `input_ids` and `attention_mask` are integers of shape [batch, tokens]; the mask is 1 on real tokens.
        """
        pooled = self.pool(input_ids, attention_mask)
        return self.heads(self.dropout(pooled))

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of the encoder's states over real tokens, [batch, hidden] in float32."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        # The pooled vector and the heads stay in float32 whatever the encoder runs in: they cost nothing,
        # and probabilities would otherwise lose their third digit.
        with torch.autocast(device_type=states.device.type, enabled=False):
            return masked_mean(states.float(), attention_mask)

    def heads(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [batch, sentiments] and [batch, topics] of pooled vectors [batch, hidden]."""
        with torch.autocast(device_type=pooled.device.type, enabled=False):
            if self.training:
                return self.sentiment(pooled), self.topic(pooled)
            return apply_by_row(self.sentiment, pooled), apply_by_row(self.topic, pooled)


def apply_by_row(layer: nn.Linear, vectors: Tensor) -> Tensor:
    """Return what the layer makes of the vectors [batch, hidden], each row computed alike whatever the batch.

    The matrix product of so few rows takes another kernel for one row than for many, with other last bits; over
    the encoder, whose rows are tokens, that does not happen.
    """
    return (vectors.unsqueeze(1) * layer.weight).sum(dim=-1) + layer.bias


def masked_mean(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Return the mean of the states [batch, tokens, hidden] over real tokens: [batch, hidden]."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
