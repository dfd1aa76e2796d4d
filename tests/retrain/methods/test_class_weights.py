from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.tokens import TokenizedText
from retrain.data import Example
from retrain.fit import weigh
from retrain.loop import LabelledTokens, _targets
from retrain.methods.class_weights import class_weights
from retrain.methods.pseudo import SOURCE
from retrain.settings import TrainingSettings

SETTINGS = TrainingSettings(class_weights="balanced", label_smoothing=0.0)


def example(label: int, source: str = "file.csv") -> Example:
    return Example("text", "sentiment", label, source, 1)


def row(label: int, source: str = "file.csv", weight: float = 1.0) -> LabelledTokens:
    return LabelledTokens(TokenizedText((2, 3), False), example(label, source), None, weight)


def test_balanced_weights_are_rows_by_classes_times_rows_of_the_class() -> None:
    found = class_weights("balanced", [*[example(0)] * 2, *[example(1)] * 6])
    assert found == {("sentiment", 0): 8 / (2 * 2), ("sentiment", 1): 8 / (2 * 6)}


@given(st.lists(st.integers(0, 2), min_size=1))
def test_balanced_weights_make_classes_equal_and_the_mean_row_one(labels: list[int]) -> None:
    weights = class_weights("balanced", [example(label) for label in labels])
    by_row = [weights["sentiment", label] for label in labels]
    assert sum(by_row) == pytest.approx(len(labels))
    sums = {label: sum(weights["sentiment", label] for other in labels if other == label) for label in labels}
    assert len({round(total, 9) for total in sums.values()}) == 1


def test_weights_that_are_given_count_and_the_rest_weighs_one() -> None:
    assert class_weights("none", [example(0)]) == {}
    assert class_weights({"sentiment": {"negative": 2.5}}, []) == {("sentiment", 0): 2.5}


def test_a_row_of_a_heavy_class_weighs_as_much_in_the_loss() -> None:
    rows = weigh([row(0), row(0), row(0), row(2)], SETTINGS)
    sums = _targets(rows, "sentiment", SETTINGS).sum(dim=1)
    assert torch.allclose(sums, torch.tensor([4 / 6, 4 / 6, 4 / 6, 2.0]))
    plain = replace(SETTINGS, class_weights="none")
    assert torch.equal(_targets(weigh([row(0)], plain), "sentiment", plain).sum(dim=1), torch.ones(1))


def test_pseudo_labels_are_weighed_by_class_but_count_for_none() -> None:
    rows = weigh([row(0), row(0), row(2), row(2), *[row(0, SOURCE, 0.5)] * 4], SETTINGS)
    assert [entry.weight for entry in rows] == [1.0] * 4 + [0.5] * 4
