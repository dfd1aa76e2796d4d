from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    UNCALIBRATED,
    Calibration,
    HeadCalibration,
    calibrate,
    fit_temperature,
    log_loss,
)
from models.prediction import build_predictions, softmax

CALIBRATION = Calibration(HeadCalibration(1.25, 900, 0.05, 0.02), HeadCalibration(0.8), 0.6, 0.9, 0.95)


def drawn(probabilities: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Return one class per row, drawn with the row's probabilities."""
    place = np.random.default_rng(seed).random((len(probabilities), 1))
    return np.asarray((probabilities.cumsum(axis=1) < place).sum(axis=1), dtype=np.int64)


@pytest.mark.parametrize("classes", [3, 20])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(classes: int, temperature: float) -> None:
    logits = np.random.default_rng(classes).normal(scale=3.0, size=(20_000, classes))
    labels = drawn(softmax(logits / temperature), seed=1)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_no_other_temperature_has_a_lower_log_loss() -> None:
    generator = np.random.default_rng(2)
    logits = generator.normal(size=(300, 3))
    labels = drawn(softmax(logits * 1.4), seed=3)
    found = fit_temperature(logits, labels)
    least = log_loss(calibrate(logits, found), labels)
    for other in (found * 0.98, found * 1.02, 1.0):
        assert least < log_loss(calibrate(logits, other), labels)


def test_rows_that_say_too_little_end_at_the_bounds() -> None:
    sure = np.asarray([[2.0, 0.0, -1.0]] * 5)
    assert fit_temperature(sure, [0] * 5) == MIN_TEMPERATURE
    assert fit_temperature(sure, [2] * 5) == MAX_TEMPERATURE


def test_wrong_shapes_and_broken_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        fit_temperature(np.zeros((0, 3)), [])
    with pytest.raises(ValueError, match="expected logits of 2 rows"):
        fit_temperature(np.zeros((3, 3)), [0, 1])
    with pytest.raises(ValueError, match="not finite"):
        fit_temperature(np.asarray([[0.0, np.nan]]), [0])


@given(
    logits=st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=20),
    temperature=st.floats(MIN_TEMPERATURE, MAX_TEMPERATURE),
)
def test_the_most_probable_class_never_changes_and_rounded_rows_still_sum_to_1(
    logits: list[list[float]], temperature: float
) -> None:
    raw = np.asarray(logits)
    calibrated = calibrate(raw, temperature)
    rows = np.arange(len(raw))
    assert (calibrated[rows, raw.argmax(axis=1)] == calibrated.max(axis=1)).all()
    topics = np.zeros((len(raw), 20))
    for row in build_predictions(softmax(calibrated), softmax(topics), [3] * len(raw), [False] * len(raw)):
        assert round(row.negative + row.neutral + row.positive, 4) == 1.0
        assert round(sum(row.topics), 4) == 1.0


def test_without_calibration_not_one_bit_changes() -> None:
    logits = np.random.default_rng(4).normal(size=(50, 3))
    assert calibrate(logits, UNCALIBRATED.sentiment.temperature).tobytes() == logits.tobytes()
    assert UNCALIBRATED.abstain_below == 0.0


def test_a_calibration_comes_back_from_json_as_it_went() -> None:
    assert Calibration.from_json(json.loads(json.dumps(asdict(CALIBRATION)))) == CALIBRATION


def test_only_what_decides_an_answer_is_deciding() -> None:
    told = replace(CALIBRATION, sentiment=HeadCalibration(1.25), kept_accuracy=0.0)
    assert told.deciding == CALIBRATION.deciding == (1.25, 0.8, 0.6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"abstain_below": "0.6"}, "abstain_below must be a number"),
        ({"abstain_below": True}, "abstain_below must be a number"),
        ({"abstain_below": 1.5}, "between 0 and 1"),
        ({"sentiment": 1.2}, "got float"),
        ({"topic": {"temperature": 1.0}}, "calibration needs error_after"),
        ({"topic": asdict(HeadCalibration(1.0)) | {"temperature": 0.0}}, "must be above 0"),
        ({"topic": asdict(HeadCalibration(1.0)) | {"temperature": float("nan")}}, "must be above 0"),
        ({"extra": 1}, "extra"),
    ],
)
def test_an_impossible_calibration_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Calibration.from_json(asdict(CALIBRATION) | changes)
