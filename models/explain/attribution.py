"""What each token adds to a score: integrated gradients and occlusion, both captum's.

*Integrated gradients* (Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", 2017): the gradient of
the score with respect to the token embeddings is integrated along the straight line from the baseline's embeddings to
the text's, and multiplied by their difference. What the tokens get adds up to the difference of the two scores, as
exactly as the integral is computed: by Gauss and Legendre, with twice as many points until the tolerance is met.

*The baseline* is the same text with every token the tokenizer's "unknown". A word that the network does not know thus
adds exactly nothing. Padding tokens would do too, but occur nowhere in training; the network is near its neutral
answer for any number of unknown ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from models.errors import INSTALL, BackendMissingError, ExplanationError
from models.network import ClassifierNetwork

FIRST_STEPS = 64
"""Enough for nearly all messages; the error of a few then calls for twice as many."""

MAX_TOKENS_AT_ONCE = 1024
"""Bounds the memory: gradients keep what the layers computed, some 110 kB per token of a small encoder. Twice as many
would take 120 MB more and be no faster."""


class Windows(NamedTuple):
    """One text as it goes through the network, in one window or several."""

    ids: Tensor
    """Token ids; [windows, tokens] int64."""
    mask: Tensor
    """1 on real tokens; [windows, tokens] int64."""
    unknown: Tensor
    """The baseline's ids; [windows, tokens] int64."""
    weights: Tensor
    """What each window's logits count for; [windows] float32, sums to 1."""


class Target(NamedTuple):
    """The class whose log-odds are explained."""

    head: int
    """0 for sentiment, 1 for topic: the place in what the network returns."""
    label: int
    temperature: float


class Attribution(NamedTuple):
    """What tokens add, and between which scores."""

    tokens: Tensor
    """[windows, tokens] float64."""
    score: float
    baseline: float
    steps: int


class LogOdds:
    """The score of one text as a function of its ids, for captum: [n, windows * tokens] in, [n] out."""

    def __init__(self, network: ClassifierNetwork, windows: Windows, target: Target) -> None:
        self._network = network
        self._windows = windows
        self._target = target

    def __call__(self, ids: Tensor) -> Tensor:
        """Return log(p / (1 - p)) of the target's class for each row."""
        count, (rows, length) = len(ids), self._windows.ids.shape
        logits = self._network(ids.reshape(count * rows, length), self._windows.mask.repeat(count, 1))[
            self._target.head
        ]
        # Several windows are one answer: the weighted mean of their logits (`models.windows`).
        merged = (logits.reshape(count, rows, -1) * self._windows.weights[:, None]).sum(
            dim=1
        ) / self._target.temperature
        others = torch.cat([merged[:, : self._target.label], merged[:, self._target.label + 1 :]], dim=1)
        score: Tensor = merged[:, self._target.label] - torch.logsumexp(others, dim=1)
        return score

    @torch.no_grad()
    def of(self, ids: Tensor) -> float:
        """Return the score of one text's ids, [windows, tokens]."""
        return float(self(ids.reshape(1, -1))[0])


def integrate(
    network: ClassifierNetwork, windows: Windows, target: Target, *, tolerance: float, most_steps: int
) -> Attribution:
    """Return what each token adds by integrated gradients; all together make the difference of the scores.

    Args:
        network: in float32, its parameters without gradients.
        windows: the text.
        target: the class.
        tolerance: how far the sum may be from the difference of the scores, as `allowed` says.
        most_steps: points of the path at most.

    Raises:
        ExplanationError: `most_steps` are not enough.
    """
    score_of = LogOdds(network, windows, target)
    score, baseline = score_of.of(windows.ids), score_of.of(windows.unknown)
    encoder: Any = network.encoder
    method = captum_attr().LayerIntegratedGradients(score_of, encoder.get_input_embeddings())
    rows, length = windows.ids.shape
    steps = min(FIRST_STEPS, most_steps)
    while True:
        found = method.attribute(
            windows.ids.reshape(1, -1),
            windows.unknown.reshape(1, -1),
            n_steps=steps,
            internal_batch_size=rows * max(1, MAX_TOKENS_AT_ONCE // (rows * length)),
        )
        tokens = found.detach().double().sum(dim=-1).reshape(rows, length).cpu()
        missing = score - baseline - float(tokens.sum())
        if abs(missing) <= allowed(score - baseline, tolerance):
            return Attribution(tokens, score, baseline, steps)
        if steps == most_steps:
            raise ExplanationError(
                f"after {steps} steps the contributions miss the score by {missing:+.3f} of {score - baseline:+.3f}, "
                f"and {allowed(score - baseline, tolerance):.3f} is allowed; allow more steps, or ask for occlusion"
            )
        steps = min(2 * steps, most_steps)


def occlude(network: ClassifierNetwork, windows: Windows, target: Target, words: Sequence[Tensor]) -> Attribution:
    """Return what the score loses when a word's tokens become unknown, on the first token of each word.

    Args:
        network, windows, target: as for `integrate`.
        words: for each word its tokens, as a mask [windows, tokens] of booleans; they do not overlap.
    """
    score_of = LogOdds(network, windows, target)
    features = torch.zeros_like(windows.ids)  # feature 0 is what belongs to no word: equal in both, so it loses nothing
    for number, word in enumerate(words, 1):
        features[word] = number
    lost = (
        captum_attr()
        .FeatureAblation(score_of)
        .attribute(
            windows.ids.reshape(1, -1),
            windows.unknown.reshape(1, -1),
            feature_mask=features.reshape(1, -1),
            perturbations_per_eval=max(1, MAX_TOKENS_AT_ONCE // windows.ids.numel()),
        )
    )
    everywhere = lost.detach().double().reshape(windows.ids.shape).cpu()
    tokens = torch.zeros_like(everywhere)
    for word in words:
        first = tuple(word.nonzero()[0].tolist())
        tokens[first] = everywhere[first]
    return Attribution(tokens, score_of.of(windows.ids), score_of.of(windows.unknown), len(words))


def allowed(difference: float, tolerance: float) -> float:
    """Return how far contributions may be from adding up: a share of the difference, which counts as 1 at least."""
    return tolerance * max(1.0, abs(difference))


def captum_attr() -> Any:
    """Return `captum.attr`.

    Raises:
        BackendMissingError: captum is not installed.
    """
    try:
        return importlib.import_module("captum.attr")  # by name: it comes without types, and with matplotlib
    except ImportError as error:
        raise BackendMissingError(
            f"explanations need captum, which is not installed ({error}): {INSTALL['explain']}"
        ) from None
