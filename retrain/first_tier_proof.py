"""What is fitted and counted on the tuning and proof texts of a first tier."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression

from models.first_tier.guarantee import Curve
from models.first_tier.linear import CONFIDENCE_INPUTS, CONSTANT_INPUT, TierAnswers
from models.prediction import softmax

GRID = 200
"""Thresholds that are looked at: shares of the tuning texts, half a per cent apart."""

_MOST = 4.0
_REGULARISATION = 0.1
"""scikit-learn's C: some topics are rare among the tuning texts, and shall not get weights from a handful."""
_CONSTANT = np.arange(CONFIDENCE_INPUTS) == CONSTANT_INPUT
Floats = NDArray[np.float64]
Probabilities = tuple[Floats, Floats]


def fit_soft_temperature(logits: Floats, wanted: Floats) -> float:
    """Return the temperature at which logits [rows, classes] come closest to the probabilities wanted of them.

    The cross-entropy is minimised over temperatures from 1/4 to 4.
    """

    def loss(log_temperature: float) -> float:
        found = softmax(logits / math.exp(log_temperature))
        return float(-(wanted * np.log(np.maximum(found, 1e-12))).sum(axis=1).mean())

    bound = math.log(_MOST)
    return math.exp(float(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


def fit_confidence(inputs: Floats, agree: NDArray[np.bool_]) -> Floats:
    """Return weights under which the inputs' sum is the log-odds of agreement; [CONFIDENCE_INPUTS].

    Args:
        inputs: `confidence_inputs` of texts.
        agree: whether the network has the same two labels.
    """
    if agree.all() or not agree.any():
        # Nothing to tell apart; a constant says as much.
        share = (agree.sum() + 1) / (len(agree) + 2)
        return np.where(_CONSTANT, math.log(share / (1 - share)), 0.0)
    model = LogisticRegression(C=_REGULARISATION, max_iter=5000).fit(inputs[:, ~_CONSTANT], agree)
    weights = np.zeros(CONFIDENCE_INPUTS)
    weights[_CONSTANT], weights[~_CONSTANT] = model.intercept_, model.coef_[0]
    return weights


def count_curve(tuning: tuple[TierAnswers, Probabilities], proof: tuple[TierAnswers, Probabilities]) -> Curve:
    """Count agreement at each threshold of a grid that is taken from the tuning texts.

    Args:
        tuning, proof: of the texts of each side, what the tier says and what the network says.
    """
    confidence = tuning[0].confidence
    ranked = np.sort(confidence)[::-1]
    places = np.unique(np.linspace(0, len(ranked) - 1, GRID + 1).astype(np.int64)[1:])
    thresholds = np.unique(ranked[places])[::-1]
    thresholds = thresholds[thresholds > 0.0] if (thresholds > 0.0).any() else np.asarray([1.0])
    tuning_answered, tuning_errors, _, _ = _counts(*tuning, thresholds)
    answered, errors, deviation, squares = _counts(*proof, thresholds)
    return Curve(
        thresholds=thresholds,
        tuning_answered=tuning_answered,
        tuning_errors=tuning_errors,
        answered=answered,
        errors=errors,
        deviation=deviation,
        deviation_squares=squares,
        tuning_texts=len(confidence),
        calibration_texts=len(proof[0].confidence),
    )


def agreement(answers: TierAnswers, network: Probabilities) -> NDArray[np.bool_]:
    """Return for each text whether tier and network have the same sentiment and the same topic."""
    same = answers.sentiment.argmax(axis=1) == network[0].argmax(axis=1)
    return np.asarray(same & (answers.topic.argmax(axis=1) == network[1].argmax(axis=1)))


def _counts(
    answers: TierAnswers, network: Probabilities, thresholds: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    """Return by threshold: answered, disagreeing, and sums of |difference of P(negative)| and of its square."""
    order = np.argsort(-answers.confidence, kind="stable")
    ranked = answers.confidence[order]
    wrong = ~agreement(answers, network)[order]
    apart = np.abs(answers.sentiment[:, 0] - network[0][:, 0])[order]
    # How many are at or above each threshold; equal confidences are all above or all below it.
    answered = np.searchsorted(-ranked, -thresholds, side="right").astype(np.int64)
    sums = [np.concatenate(([0.0], np.cumsum(values))) for values in (wrong, apart, apart**2)]
    return answered, sums[0][answered].astype(np.int64), sums[1][answered], sums[2][answered]
