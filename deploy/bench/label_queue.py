"""How many labels the queue saves: accuracy by number of labels, chosen by the queue and drawn at random.

The learner is a logistic regression on the mean-pooled vectors of the base encoder, which has seen none of the labels,
so that a round takes seconds and five seeds a few minutes. Both ways begin with the same first labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.files import TOKENIZER
from models.tokens import TextTokenizer
from retrain.base import load_base
from retrain.data import Example
from retrain.labels.choose import Candidate, choose
from retrain.split import group_texts

FIRST, STEP, LAST = 100, 100, 1_000
SIZES = tuple(range(FIRST, LAST + 1, STEP))
_TEST_SHARE = 0.3
_MAX_TOKENS = 128
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy on held-out rows by number of labels, one seed.

    Attributes:
        seed: of the draws.
        random: at each of `SIZES`, drawn at random.
        queue: at each of them, chosen.
    """

    seed: int
    random: tuple[float, ...]
    queue: tuple[float, ...]

    @property
    def enough(self) -> int | None:
        """The fewest chosen labels that are worth as much as all random ones; None if there are not enough."""
        return next((size for size, found in zip(SIZES, self.queue, strict=True) if found >= self.random[-1]), None)


def embed(texts: Sequence[str], base: str) -> NDArray[np.float64]:
    """Return the base encoder's mean-pooled vectors, of length 1 [texts, hidden].

    Raises:
        ModelFilesError: the base cannot be used.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = load_base(base, Path(scratch))
        tokens = TextTokenizer(Path(scratch) / TOKENIZER, _MAX_TOKENS)(texts)
    encoder = found.encoder.eval()
    order = sorted(range(len(texts)), key=lambda index: len(tokens[index].ids))
    vectors = np.zeros((len(texts), found.hidden_size))
    with torch.inference_mode():
        for start in range(0, len(order), _ROWS):
            chosen = order[start : start + _ROWS]
            rows = [torch.tensor(tokens[index].ids) for index in chosen]
            ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=found.pad_id)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row)) for row in rows], batch_first=True)
            states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            vectors[chosen] = torch.nn.functional.normalize(pooled).double().numpy()
    return vectors


def measure(
    examples: Sequence[Example],
    vectors: NDArray[np.float64],
    seeds: Sequence[int],
    *,
    on_round: Callable[[], None] = lambda: None,
) -> list[Curve]:
    """Return a curve per seed.

    Args:
        examples: labelled rows of one head.
        vectors: of the rows [rows, dimensions].
        seeds: each draws its own held-out rows, first labels and random ones.
        on_round: called after each round.

    Raises:
        ValueError: there are too few rows.
    """
    stories = group_texts([example.text for example in examples])
    labels = np.array([example.label for example in examples])
    return [_curve(examples, vectors, labels, stories, seed, on_round) for seed in seeds]


def _curve(
    examples: Sequence[Example],
    vectors: NDArray[np.float64],
    labels: NDArray[np.int64],
    stories: NDArray[np.int64],
    seed: int,
    on_round: Callable[[], None],
) -> Curve:
    dice = np.random.default_rng(seed)
    numbers = dice.permutation(stories.max() + 1)
    in_test = np.isin(stories, numbers[: int(_TEST_SHARE * len(numbers))])
    pool, test = dice.permutation(np.flatnonzero(~in_test)), np.flatnonzero(in_test)
    if len(pool) < 2 * LAST:
        raise ValueError(f"{len(pool)} rows are left to choose from; {2 * LAST} are needed at least")

    def accuracy(known: Sequence[int]) -> tuple[float, LogisticRegression]:
        model = LogisticRegression(C=10.0, max_iter=1_000).fit(vectors[known], labels[known])
        on_round()
        return float((model.predict(vectors[test]) == labels[test]).mean()), model

    drawn = [accuracy(pool[:size].tolist())[0] for size in SIZES]
    known = pool[:FIRST].tolist()
    chosen = []
    for size in SIZES:
        found, model = accuracy(known)
        chosen.append(found)
        if size < LAST:
            known += _next(examples, vectors, stories, model, sorted(set(pool.tolist()) - set(known)), seed)
    return Curve(seed, tuple(drawn), tuple(chosen))


def _next(
    examples: Sequence[Example],
    vectors: NDArray[np.float64],
    stories: NDArray[np.int64],
    model: LogisticRegression,
    left: Sequence[int],
    seed: int,
) -> list[int]:
    answers = model.predict_proba(vectors[left])
    candidates = [
        Candidate(message_id=f"{index:08}", text=examples[index].text, probabilities=tuple(row), model="bench")
        for index, row in zip(left, answers.tolist(), strict=True)
    ]
    found = choose(candidates, STEP, seed=seed, vectors=vectors[left], stories=stories[left].tolist())
    return [int(one.message_id) for one in found]


def plot(curves: Sequence[Curve]) -> str:
    """Return a page with both curves, their means and each seed, that opens offline."""
    import plotly.graph_objects as go  # type: ignore[import-untyped]

    figure = go.Figure()
    for name, colour in (("random", "#888888"), ("queue", "#c0392b")):
        found = np.array([getattr(curve, name) for curve in curves])
        for row in found:
            figure.add_scatter(x=SIZES, y=row, line={"color": colour, "width": 1}, opacity=0.35, showlegend=False)
        figure.add_scatter(x=SIZES, y=found.mean(axis=0), line={"color": colour, "width": 3}, name=f"{name}, mean")
    figure.update_layout(
        title="Accuracy on held-out rows by number of labels",
        xaxis_title="labels",
        yaxis_title="accuracy",
        template="plotly_white",
    )
    return str(figure.to_html(include_plotlyjs=True, full_html=True))
