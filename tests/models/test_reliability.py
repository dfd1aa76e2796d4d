from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.reliability import (
    BINS,
    adaptive_calibration_error,
    calibration_error,
    error_by_chance,
    reliability_table,
)


def test_a_perfect_forecaster_has_a_small_error_and_a_boaster_a_large_one() -> None:
    generator = np.random.default_rng(1)
    confidence = generator.uniform(0.3, 1.0, 40_000)
    right = generator.random(40_000) < confidence
    assert calibration_error(confidence, right) < 0.01
    assert adaptive_calibration_error(confidence, right) < 0.01
    boast = np.minimum(1.0, confidence + 0.1)
    assert calibration_error(boast, right) > 0.05
    assert adaptive_calibration_error(boast, right) > 0.05


def test_the_error_by_hand_of_two_bins() -> None:
    confidence = np.asarray([0.95, 0.95, 0.5, 0.5])
    right = np.asarray([True, True, False, False])
    assert calibration_error(confidence, right) == pytest.approx((2 * 0.05 + 2 * 0.5) / 4)
    assert adaptive_calibration_error(confidence, right, bins=2) == pytest.approx((2 * 0.05 + 2 * 0.5) / 4)


def test_no_rows_have_no_error() -> None:
    nothing = np.zeros(0)
    assert calibration_error(nothing, nothing.astype(bool)) == 0.0
    assert adaptive_calibration_error(nothing, nothing.astype(bool)) == 0.0
    assert reliability_table(nothing, nothing.astype(bool)) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_the_table_holds_every_row_once_and_makes_the_error(rows: list[tuple[float, bool]]) -> None:
    confidence, right = np.asarray([row[0] for row in rows]), np.asarray([row[1] for row in rows])
    table = reliability_table(confidence, right)
    assert sum(line.rows for line in table) == len(rows)
    for line in table:
        assert line.low - 1e-12 <= line.confidence <= line.high + 1e-12
    from_table = sum(line.rows * abs(line.confidence - line.accuracy) for line in table) / len(rows)
    assert calibration_error(confidence, right) == pytest.approx(from_table)
    assert 0.0 <= adaptive_calibration_error(confidence, right) <= 1.0


def test_chance_alone_makes_an_error_that_shrinks_with_the_rows() -> None:
    confidence = np.random.default_rng(2).uniform(0.5, 1.0, 20_000)
    few, many = error_by_chance(confidence[:500], seed=3), error_by_chance(confidence, seed=3, draws=50)
    assert 0.02 < few.mean < few.percentile_95 < 0.08
    assert many.percentile_95 < few.mean / 3
    assert error_by_chance(confidence[:500], seed=3) == few


def test_a_confidence_of_1_falls_into_the_last_bin() -> None:
    (line,) = reliability_table(np.ones(3), np.ones(3, dtype=bool))
    assert (line.high, line.rows, line.accuracy) == (1.0, 3, 1.0)
    assert line.low == pytest.approx(1 - 1 / BINS)
