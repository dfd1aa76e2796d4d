from __future__ import annotations

import numpy as np
import pytest

from models.reliability import calibration_error
from retrain.evaluation import evaluate_head


def test_the_figures_are_those_computed_by_hand() -> None:
    probabilities = np.asarray([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.3, 0.7, 0.0]])
    report = evaluate_head(probabilities, [0, 1, 1, 1], ["a", "b", "c"])
    a, b, c = report.classes
    assert report.accuracy == 0.75
    assert (a.rows, a.precision, a.recall) == (1, 0.5, 1.0)
    assert (b.rows, b.precision, b.recall) == (3, 1.0, pytest.approx(2 / 3))
    assert (c.rows, c.precision, c.recall, c.f1) == (0, 0.0, 0.0, 0.0)
    assert report.macro_f1 == pytest.approx((2 / 3 + 0.8) / 2), "the absent class is left out of the mean"


def test_macro_f1_agrees_with_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    random = np.random.default_rng(3)
    probabilities, labels = random.dirichlet(np.ones(4), 300), random.integers(0, 4, 300).tolist()
    expected = f1_score(labels, probabilities.argmax(axis=1), average="macro")
    assert evaluate_head(probabilities, labels, list("abcd")).macro_f1 == pytest.approx(expected)


def test_a_model_as_right_as_it_is_sure_has_no_calibration_error() -> None:
    right = np.asarray([True, True, True, False])
    assert calibration_error(np.full(4, 0.75), right) == pytest.approx(0.0)
    assert calibration_error(np.full(4, 1.0), right) == pytest.approx(0.25)


def test_wrong_shapes_and_no_rows_are_refused() -> None:
    for shape, labels in (((2, 3), [0]), ((0, 3), []), ((1, 2), [0])):
        with pytest.raises(ValueError, match="classes"):
            evaluate_head(np.zeros(shape), labels, ["a", "b", "c"])
