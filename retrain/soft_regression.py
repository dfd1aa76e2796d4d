"""Multinomial logistic regression on another model's probabilities, over many sparse n-grams.

scikit-learn's takes one label per row; the probabilities of the network say more of a text than its best label does
(Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015). So the cross-entropy to them is
minimised here by Adam in small batches, whose sparse form touches only the n-grams of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_START = 1e-3


@dataclass(frozen=True, slots=True)
class Bags:
    """Which n-grams each text has, as places in a list of n-grams: those of text i are items[starts[i] : starts[i+1]].

    Attributes:
        items: int64 [n-grams of all texts].
        starts: int64 [texts + 1].
        divisors: what the sum over a text's weights is divided by; float32 [texts].
    """

    items: NDArray[np.int64]
    starts: NDArray[np.int64]
    divisors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
        """Return items, starts and divisors of some texts, as `EmbeddingBag` takes them."""
        begins, ends = self.starts[rows], self.starts[rows + 1]
        counts = ends - begins
        firsts = np.cumsum(counts) - counts
        places = np.repeat(begins - firsts, counts) + np.arange(int(counts.sum()))
        return torch.from_numpy(self.items[places]), torch.from_numpy(firsts), torch.from_numpy(self.divisors[rows])


@dataclass(frozen=True, slots=True)
class Regression:
    """Weights [n-grams, classes] and bias [classes], float32; the classes of all heads side by side."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def fit_regression(
    bags: Bags,
    targets: NDArray[np.float32],
    heads: Sequence[int],
    ngrams: int,
    *,
    epochs: int,
    batch_texts: int,
    learning_rate: float,
    dropout: float,
    seed: int,
    progress: Callable[[str], None],
) -> Regression:
    """Fit one regression per head on the same n-grams.

    Args:
        bags: the n-grams of the texts.
        targets: probabilities [texts, classes]; each head's sum to 1.
        heads: number of classes of each head.
        ngrams: how many n-grams there are.
        epochs: passes over the texts; the learning rate falls to zero over all of them.
        batch_texts: texts per step.
        learning_rate: at the start.
        dropout: share of a text's n-grams that are left out, anew in each pass: no single one is relied on.
        seed: of the order of texts and of what is left out.
        progress: told after each pass.
    """
    threads = torch.get_num_threads()
    # The steps are so small that threads would wait for each other most of the time; and one adds up in one order.
    torch.set_num_threads(1)
    try:
        return _fit(bags, targets, heads, ngrams, epochs, batch_texts, learning_rate, dropout, seed, progress)
    finally:
        torch.set_num_threads(threads)


def _fit(
    bags: Bags,
    targets: NDArray[np.float32],
    heads: Sequence[int],
    ngrams: int,
    epochs: int,
    batch_texts: int,
    learning_rate: float,
    dropout: float,
    seed: int,
    progress: Callable[[str], None],
) -> Regression:
    generator = np.random.default_rng(seed)
    table = nn.EmbeddingBag(ngrams, sum(heads), mode="sum", sparse=True)
    with torch.no_grad():
        table.weight.copy_(torch.from_numpy(generator.normal(0.0, _START, table.weight.shape).astype(np.float32)))
    bias = nn.Parameter(torch.zeros(sum(heads)))
    optimisers: tuple[Any, ...] = (
        torch.optim.SparseAdam([table.weight], lr=learning_rate),
        torch.optim.Adam([bias], lr=learning_rate),
    )
    wanted = torch.from_numpy(targets)
    steps, done = epochs * -(-len(bags) // batch_texts), 0
    for epoch in range(epochs):
        order = generator.permutation(len(bags))
        total = 0.0
        for start in range(0, len(order), batch_texts):
            rows = order[start : start + batch_texts]
            items, firsts, divisors = bags.batch(rows)
            kept = torch.from_numpy((generator.random(len(items)) >= dropout).astype(np.float32) / (1.0 - dropout))
            logits = table(items, firsts, per_sample_weights=kept) / divisors[:, None] + bias
            loss: Any = _cross_entropy(logits, wanted[rows], heads)
            for optimiser in optimisers:
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate * (1.0 - done / steps)
                optimiser.zero_grad()
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
            total += loss.item() * len(rows)
            done += 1
        progress(f"linear tier, pass {epoch + 1} of {epochs}: loss {total / len(order):.4f}")
    return Regression(table.weight.detach().numpy(), bias.detach().numpy())


def _cross_entropy(logits: Tensor, targets: Tensor, heads: Sequence[int]) -> Tensor:
    """Return the mean over the texts of the heads' summed cross-entropies to their targets."""
    parts = zip(torch.split(logits, list(heads), dim=1), torch.split(targets, list(heads), dim=1), strict=True)
    losses = [-(wanted * nn.functional.log_softmax(found, dim=1)).sum(dim=1) for found, wanted in parts]
    return torch.stack(losses).sum(dim=0).mean()
