"""Adversarial training: a second pass over the batch with the word embeddings moved against the model.

The fast gradient method of Miyato, Dai and Goodfellow, "Adversarial Training Methods for Semi-Supervised Text
Classification" (2017), taken on the embedding matrix: r = epsilon * g / ||g||, g being the gradient of the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from models.network import ClassifierNetwork


@contextmanager
def moved_embeddings(network: ClassifierNetwork, epsilon: float) -> Iterator[None]:
    """Move the word embeddings by `epsilon` along their gradient; they are put back to the bit on leaving.

    The gradients of the first pass stay, so that a second backward pass adds to them. Embeddings without a
    gradient, or with one that is zero or not finite, stay where they are.
    """
    weight = _word_embeddings(network).weight
    gradient = weight.grad
    norm = gradient.norm() if gradient is not None else None
    if gradient is None or norm is None or not torch.isfinite(norm) or norm == 0:
        yield
        return
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(gradient, alpha=epsilon / norm.item())
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(before)


def _word_embeddings(network: ClassifierNetwork) -> nn.Embedding:
    embeddings = network.encoder.get_input_embeddings()  # type: ignore[operator]
    assert isinstance(embeddings, nn.Embedding)  # noqa: S101 - tells the type checker; every text encoder has them
    return embeddings
