"""All that is watched, by what /metrics shows of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from models.first_tier import TieredScorer
from models.prediction import ModelId, Prediction
from models.testing import FakeClassifier
from streams.records import Verdict, VerdictKind
from streams.verdicts import Subject
from streams.watch import metrics
from streams.watch.embedding import MARKED
from streams.watch.reference import REFERENCE, write_reference
from streams.watch.signals import SIGNALS
from streams.watch.watch import ModelWatch
from streams.watch_sections import WatchSettings
from tests.models.first_tier.toy_tier import proven_curve, toy_tier
from tests.streams.app.harness import until
from tests.streams.watch.answers import AT, MODEL, OTHER, answer, usual, usual_reference


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """The gauges as a worker finds them."""
    metrics.DRIFT_PSI.clear()
    metrics.DRIFT_EMBEDDING.set(metrics.UNKNOWN)
    metrics.CALIBRATION_ERROR.set(metrics.UNKNOWN)
    metrics.SHADOW_DIVERGENCE.set(metrics.UNKNOWN)
    yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with a reference."""
    write_reference(tmp_path, usual_reference())
    return tmp_path


def scorer(model: ModelId = MODEL) -> FakeClassifier:
    return FakeClassifier(name=model.name, version=model.version)


def shown(name: str, /, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


class Counts:
    """By how much a counter has grown since this was made."""

    def __init__(self, name: str, /, **labels: str) -> None:
        self._name, self._labels = name, labels
        self._before = shown(name, **labels) or 0

    @property
    def grown(self) -> float:
        return (shown(self._name, **self._labels) or 0) - self._before


def watching(**values: Any) -> WatchSettings:
    return WatchSettings(**{"window_texts": 1_000, "min_texts": 100, "min_labels": 20} | values)


def feed(watch: ModelWatch, texts: list[tuple[str, Prediction]], begin: int = 0) -> None:
    names = [f"wire:{begin + number}" for number in range(len(texts))]
    watch.scored(names, [text for text, _ in texts], [found for _, found in texts])


def test_drift_is_shown_when_enough_texts_stand_behind_it(folder: Path) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    for begin in range(0, 960, 60):
        assert (shown("squall_drift_psi", signal="topic") is None) == (begin < 120)
        feed(watch, [usual(begin + number) for number in range(60)])
    assert shown("squall_drift_texts") == 960
    assert all((shown("squall_drift_psi", signal=name) or 0) < 0.01 for name in SIGNALS)


def test_texts_of_other_words_lie_away_and_the_distance_says_so(folder: Path) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    for begin in range(0, 480, 60):
        assert math.isnan(shown("squall_drift_embedding") or 0) == (begin < 120)
        feed(watch, [usual(begin + number) for number in range(60)])
    assert shown("squall_drift_embedding") == pytest.approx(0, abs=0.2)
    for begin in range(0, 960, 60):
        other = [usual(begin + number) for number in range(60)]
        feed(watch, [(text.replace("a", "oo"), found) for text, found in other])
    assert (shown("squall_drift_embedding") or 0) > MARKED
    watch.use(scorer(OTHER), folder)
    assert math.isnan(shown("squall_drift_embedding") or 0)


def test_with_a_reference_of_before_there_was_a_distance_the_indices_are_shown_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_reference(folder, msgspec.structs.replace(usual_reference(), embedding=None))
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    for begin in range(0, 300, 60):
        feed(watch, [usual(begin + number) for number in range(60)])
    assert shown("squall_drift_psi", signal="topic") is not None
    assert math.isnan(shown("squall_drift_embedding") or 0)
    assert "squall_drift_embedding is not measured" in caplog.text


def test_of_a_large_batch_a_sample_is_looked_at(folder: Path) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    feed(watch, [usual(number) for number in range(512)])
    assert shown("squall_drift_texts") == 64
    feed(watch, [usual(number) for number in range(65)])
    assert shown("squall_drift_texts") == 64 + 33


def test_a_model_without_a_reference_has_no_drift_and_the_log_says_how_to_get_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), tmp_path)
    feed(watch, [usual(number) for number in range(300)])
    assert shown("squall_drift_psi", signal="topic") is None
    assert f"squall models reference TEXTS --model {tmp_path}" in caplog.text


def test_the_reference_of_another_model_is_refused_and_scoring_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(OTHER), folder)
    feed(watch, [usual(number) for number in range(300)])
    assert shown("squall_drift_psi", signal="topic") is None
    assert f"{folder / REFERENCE}: made for desk {MODEL.version}" in caplog.text


def test_another_model_begins_anew_with_a_reference_of_its_own(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_reference(elsewhere, usual_reference(model=OTHER))
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    for begin in range(0, 300, 60):
        feed(watch, [usual(begin + number) for number in range(60)])
    assert shown("squall_drift_psi", signal="topic") is not None
    watch.use(scorer(OTHER), elsewhere)
    assert shown("squall_drift_psi", signal="topic") is None
    assert shown("squall_drift_texts") == 0
    feed(watch, [usual(number) for number in range(60)])  # on the way when the model was exchanged
    assert shown("squall_drift_texts") == 0
    feed(watch, [(text, replace(found, model=OTHER)) for text, found in map(usual, range(60))])
    assert shown("squall_drift_texts") == 60


def test_answers_of_the_first_tier_are_the_models_and_those_for_another_language_are_not(folder: Path) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    text, found = usual(1)
    tier = replace(found, tier="linear", model=ModelId(MODEL.name, f"{MODEL.version}+77aa"))
    chinese = replace(found, model=ModelId("finbert-zh", "f" * 12))
    watch.scored(["w:1", "w:2", "w:3", "w:4"], [text] * 4, [found, tier, chinese, ValueError("unscorable")])
    assert shown("squall_drift_texts") == 2


def verdict(number: int, kind: VerdictKind) -> Verdict:
    return Verdict(message_id=f"wire:{number}", alert_id=None, verdict=kind, by="desk", learned_at=AT)


def test_calibration_is_shown_on_labels_of_the_model_in_use(folder: Path) -> None:
    agreed = Counts("squall_labels_total", verdict="negative", outcome="agreed")
    differed = Counts("squall_labels_total", verdict="positive", outcome="differed")
    unknown = Counts("squall_labels_total", verdict="negative", outcome="unknown")
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    feed(watch, [("a text", answer(0.9, 0.1, 0.0))] * 40)
    watch.judged([verdict(number, "negative") for number in range(15)])
    assert math.isnan(shown("squall_calibration_error") or 0)
    assert shown("squall_calibration_labels") == 15
    watch.judged([verdict(number, "positive") for number in range(15, 30)] + [verdict(900, "negative")])
    assert (agreed.grown, differed.grown, unknown.grown) == (15, 15, 1)
    assert shown("squall_calibration_error") == pytest.approx(0.4)  # 0.9 sure, right in half of the cases
    watch.judged([Subject("message", "wire:15", None, "ana"), Subject("alert", "wire:15", None, "desk")])
    assert shown("squall_calibration_labels") == 30, "what others say stands"
    watch.judged([Subject("message", "wire:15", None, "desk")])
    assert shown("squall_calibration_labels") == 29
    watch.judged(["wire:16"])  # a record of somebody else's producer names no more than this
    assert shown("squall_calibration_labels") == 28
    watch.use(scorer(OTHER), folder)
    assert math.isnan(shown("squall_calibration_error") or 0)
    assert shown("squall_calibration_labels") == 0


def test_a_watch_that_remembers_nothing_wants_no_verdicts() -> None:
    assert not ModelWatch(watching(remembered_answers=0)).reads_verdicts
    assert ModelWatch(watching()).reads_verdicts


def test_a_challenger_is_compared_with_full_answers_of_the_model_in_use_alone(folder: Path) -> None:
    agreed, differed = (Counts("squall_shadow_texts_total", outcome=name) for name in ("agreed", "differed"))
    challenger = FakeClassifier(name="rival", version="c" * 12)
    watch = ModelWatch(watching(challenger=folder, share=1.0), lambda: challenger)
    watch.use(scorer(), folder)
    watch.start()
    try:
        feed(watch, [("a loss", answer(0.9, 0.1, 0.0))] * 100)
        feed(watch, [("a profit", answer(0.9, 0.1, 0.0))] * 20, begin=100)
        feed(watch, [("a loss", answer(0.9, 0.1, 0.0, degraded=True))] * 30, begin=200)
        feed(watch, [("a loss", answer(0.9, 0.1, 0.0, model=OTHER))] * 30, begin=300)
        until(lambda: agreed.grown + differed.grown == 120, "the challenger did not score")
        until(lambda: not math.isnan(shown("squall_shadow_divergence") or 0), "no divergence is shown")
        assert (agreed.grown, differed.grown) == (100, 20)
        assert shown("squall_shadow_info", name="rival", version="c" * 12) == 1
        watch.use(scorer(OTHER), folder)
        assert math.isnan(shown("squall_shadow_divergence") or 0)
    finally:
        watch.stop()
    assert sum(challenger.calls) == 120


def test_the_audit_of_the_first_tier_is_counted(folder: Path) -> None:
    agreed, differed = (Counts("squall_tier_audits_total", outcome=name) for name in ("agreed", "differed"))
    tier = TieredScorer(scorer(), toy_tier(proven_curve()), level=0.9, audit_share=1.0)
    watch = ModelWatch(watching())
    watch.use(tier, folder)
    texts = ["ruin", "perhaps", "flat"]
    watch.scored(["w:1", "w:2", "w:3"], texts, tier.predict(texts))
    assert agreed.grown + differed.grown == 2  # the network answered both that the tier was sure of
    assert differed.grown >= 1


def test_whatever_goes_wrong_stays_in_the_watch_and_it_looks_no_more_after_some_of_it(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = ModelWatch(watching())
    watch.use(scorer(), folder)
    with caplog.at_level(logging.ERROR):
        for _ in range(7):
            watch.scored(["w:1"], ["a text"], [None])  # type: ignore[list-item]  # what no scorer gives
    assert caplog.text.count("could not be watched") == 5
    assert caplog.text.count("watched no more") == 1
    feed(watch, [usual(1)])
    assert shown("squall_drift_texts") == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"min_texts": 600, "window_texts": 500}, "min_texts"),
        ({"min_labels": 600, "window_labels": 500}, "min_labels"),
        ({"share": 1.5}, "share"),
        ({"chalenger": "x"}, "chalenger"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WatchSettings(**values)
