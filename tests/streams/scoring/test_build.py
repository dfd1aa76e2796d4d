"""The scorer that the settings describe: what answers by itself, and what answers under overload. The shipped model."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from models.prediction import predict_quickly
from streams.config import Settings
from streams.scoring.build import load_scorer
from streams.sections import ClassifierSettings
from tests.models.tiny_model import write_tiny_model

TEXT = "Cawdle Marine plunges 14% as regulators open a fraud investigation"


def settings(**classifier: object) -> Settings:
    return Settings(classifier=ClassifierSettings(device="cpu", backend="torch", **classifier))  # type: ignore[arg-type]


def test_with_overload_wanted_the_first_tier_answers_under_it_and_only_then() -> None:
    scorer = load_scorer(settings(degrade_after_s=60))
    (usual,) = scorer.predict([TEXT])
    (quick,) = predict_quickly(scorer, [TEXT])
    assert (usual.tier, usual.degraded) == ("transformer", False)
    assert (quick.tier, quick.degraded) == ("linear", True)  # nothing is proved of it: it was not asked for


def test_without_either_there_is_no_first_tier() -> None:
    (quick,) = predict_quickly(load_scorer(settings()), [TEXT])
    assert (quick.tier, quick.degraded) == ("transformer", False)


def test_a_model_without_a_first_tier_that_is_asked_for_one_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tiny_model(tmp_path)
    with caplog.at_level(logging.WARNING):
        scorer = load_scorer(settings(model=tmp_path, degrade_after_s=60))
    assert "has no first tier" in caplog.text
    assert predict_quickly(scorer, [TEXT])[0].tier == "transformer"
