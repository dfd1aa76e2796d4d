"""What the tier is sure of it answers, the rest goes to the network in one call, and each answer says which it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import Calibration, HeadCalibration
from models.errors import ModelFilesError
from models.first_tier import TieredScorer
from models.prediction import ModelId, Prediction, predict_quickly
from models.testing import FakeClassifier
from tests.models.first_tier.toy_tier import DULL, WORDS, proven_curve, toy_tier

SURE, UNSURE, UNKNOWN = "ruin", DULL, "Fennick misses"


def test_the_tier_answers_what_it_is_sure_of_and_the_network_the_rest() -> None:
    network = FakeClassifier()
    scorer = TieredScorer(network, toy_tier())
    found = scorer.predict([UNKNOWN, SURE, UNSURE, "boon"])
    assert [row.tier for row in found] == ["transformer", "linear", "transformer", "linear"]
    assert [(row.label, row.topic) for row in found[1::2]] == [("negative", "legal"), ("positive", "earnings")]
    assert network.calls == [2]
    assert found[::2] == FakeClassifier().predict([UNKNOWN, UNSURE])
    assert not any(row.degraded for row in found)


def test_an_answer_names_the_network_and_the_tier() -> None:
    tier = toy_tier()
    scorer = TieredScorer(FakeClassifier(name="n", version="abc"), tier)
    linear, network = scorer.predict([SURE, UNKNOWN])
    assert linear.model == ModelId("n", f"abc+{tier.version}")
    assert network.model is None
    assert scorer.model == ModelId("n", "abc")


def test_alone_the_tier_answers_all_and_marks_only_what_it_was_unsure_of() -> None:
    network = FakeClassifier()
    scorer = TieredScorer(network, toy_tier())
    found = scorer.predict([UNKNOWN, SURE, UNSURE, UNKNOWN], alone=[True, True, True, False])
    assert [row.tier for row in found] == ["linear", "linear", "linear", "transformer"]
    assert [row.degraded for row in found] == [True, False, True, False]
    assert network.calls == [1]
    figures = scorer.figures
    assert (figures.texts, figures.sure, figures.degraded, figures.sure_share) == (4, 1, 2, 0.25)


def test_quick_answers_come_from_the_tier_alone() -> None:
    network = FakeClassifier()
    found = predict_quickly(TieredScorer(network, toy_tier()), [UNKNOWN, SURE])
    assert [(row.tier, row.degraded) for row in found] == [("linear", True), ("linear", False)]
    assert network.calls == []


def test_without_a_proven_threshold_the_network_answers_all() -> None:
    network = FakeClassifier()
    scorer = TieredScorer(network, toy_tier(proven_curve(answered=100)))
    assert scorer.certificate is None
    assert scorer.predict([SURE, UNSURE]) == FakeClassifier().predict([SURE, UNSURE])
    assert [row.degraded for row in scorer.predict([SURE, UNSURE], alone=[True, False])] == [True, False]
    assert scorer.figures.sure == 0


def test_a_confidence_equal_to_the_threshold_is_enough() -> None:
    confidence = float(toy_tier().answer([SURE]).confidence[0])
    assert TieredScorer(FakeClassifier(), toy_tier(proven_curve(confidence))).predict([SURE])[0].tier == "linear"
    above = toy_tier(proven_curve(confidence + 1e-6))
    assert TieredScorer(FakeClassifier(), above).predict([SURE])[0].tier == "transformer"


def test_the_level_decides_the_threshold() -> None:
    tier = toy_tier(proven_curve(errors=100))  # 98 % agree
    assert TieredScorer(FakeClassifier(), tier, level=0.99).certificate is None
    assert TieredScorer(FakeClassifier(), tier, level=0.97).certificate is not None


@pytest.mark.parametrize("text", ["", "   ", "\ud83d", "\U0001f600", "boon " * 2_000, "zzz " * 400_000])
def test_odd_texts_go_to_the_network_unless_the_tier_is_asked_alone(text: str) -> None:
    scorer = TieredScorer(FakeClassifier(), toy_tier())
    assert scorer.predict([text])[0].tier == "transformer"
    alone = scorer.predict_quickly([text])[0]
    assert (alone.tier, alone.degraded) == ("linear", True)
    assert alone.truncated == (len(text) > 2_000)


class Agreeing(FakeClassifier):
    """A network that sees everything as the toy tier does."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        return [replace(row, label="negative", topic="legal") for row in super().predict(texts)]


def named(count: int) -> list[str]:
    """Return different texts that the toy tier is sure of."""
    names = [first + second + third for first in "bcdfgh" for second in "aeiou" for third in "klmnp"]
    return [f"ruin ruin ruin ruin {names[place % 150]}{names[place // 150]}" for place in range(count)]


def test_a_sample_of_what_the_tier_is_sure_of_is_answered_by_the_network() -> None:
    scorer = TieredScorer(Agreeing(), toy_tier(), audit_share=0.25)
    found = scorer.predict(named(1_000))
    by_network = sum(row.tier == "transformer" for row in found)
    figures = scorer.figures
    assert 180 < by_network < 320
    assert (figures.audited, figures.audit_errors, figures.suspended) == (by_network, 0, False)
    assert figures.sure == 1_000 - by_network
    assert [row.tier for row in scorer.predict(named(1_000))] == [row.tier for row in found]


def test_a_tier_that_the_network_keeps_contradicting_is_suspended_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scorer = TieredScorer(FakeClassifier(), toy_tier(), audit_share=0.25)
    scorer.predict(named(200))
    assert scorer.figures.suspended
    assert [row.tier for row in scorer.predict(["ruin", "boon"])] == ["transformer", "transformer"]
    assert scorer.predict_quickly(["ruin"])[0].degraded
    assert len(caplog.records) == 1
    assert "is suspended" in caplog.text
    assert "squall models first-tier" in caplog.text


def test_an_audit_of_nothing_asks_the_network_nothing() -> None:
    network = FakeClassifier()
    TieredScorer(network, toy_tier(), audit_share=0.0).predict(named(500))
    assert network.calls == []
    with pytest.raises(ValueError, match="audit_share must lie"):
        TieredScorer(network, toy_tier(), audit_share=1.5)


@settings(deadline=None)
@given(st.lists(st.sampled_from([SURE, UNSURE, UNKNOWN, "boon", "", "flat day"]), max_size=12))
def test_a_texts_answer_follows_from_the_text_alone(texts: list[str]) -> None:
    scorer = TieredScorer(FakeClassifier(), toy_tier())
    assert scorer.predict(texts) == [scorer.predict([text])[0] for text in texts]


def test_the_models_calibration_holds_for_the_tier_too() -> None:
    plain = toy_tier().answer([UNSURE, SURE, "ruin boon"])
    warm = Calibration(HeadCalibration(2.0), HeadCalibration(1.0), abstain_below=0.6)
    tier = toy_tier(calibration=warm)
    soft = tier.answer([UNSURE, SURE, "ruin boon"])
    assert soft.sentiment[1].max() < plain.sentiment[1].max()
    assert soft.topic.tolist() == plain.topic.tolist()
    assert soft.confidence.tolist() == plain.confidence.tolist()  # so that the proof holds under any calibration
    found = TieredScorer(FakeClassifier(), tier).predict_quickly([UNSURE, SURE])
    assert [row.abstained for row in found] == [True, False]
    never = TieredScorer(FakeClassifier(), tier, abstain_below=0.0).predict_quickly([UNSURE])
    assert not never[0].abstained


def test_wrong_use_is_refused(tmp_path: Path) -> None:
    scorer = TieredScorer(FakeClassifier(), toy_tier())
    with pytest.raises(TypeError, match="a list of texts"):
        scorer.predict("ruin")
    with pytest.raises(ValueError, match="2 texts and 1 flags"):
        scorer.predict(["a", "b"], alone=[True])
    with pytest.raises(ValueError, match="level must lie"):
        TieredScorer(FakeClassifier(), toy_tier(), level=1.0)
    with pytest.raises(ModelFilesError, match=r"manifest\.json"):
        TieredScorer.load(FakeClassifier(), tmp_path)
    assert scorer.predict([]) == []


def test_the_words_are_those_of_the_toy() -> None:
    answers = toy_tier().answer([*WORDS, DULL, "nothing known here"])
    assert (answers.confidence[:3] > 0.9).all()
    assert 0.0 < answers.confidence[3] < 0.9
    assert answers.confidence[4] == 0.0
