from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.bench.delay import Arrivals, TimedScorer, arrive, delay_figures, draw_arrivals, run, sustained_rate
from deploy.cli import bench as command
from models.batcher import Batcher
from models.prediction import ModelId, Prediction, Scorer
from models.testing import FakeClassifier
from streams.config import Settings
from tests.models.tiny_model import write_tiny_model

TEXTS = [f"Ostermere Bank opens branch {number}" for number in range(200)]


def batcher(scorer: Scorer) -> Batcher:
    return Batcher(scorer, max_tokens=64, max_delay_ms=1.0)


def test_arrivals_are_a_poisson_process_and_the_same_each_time() -> None:
    times = draw_arrivals(20_000, 50.0, 7)
    assert times == sorted(times)
    assert times == draw_arrivals(20_000, 50.0, 7)
    assert times[-1] == pytest.approx(400, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert spread == pytest.approx(mean**2, rel=0.1), "an exponential gap varies as much as it lasts"
    with pytest.raises(ValueError, match="above 0"):
        draw_arrivals(3, 0.0, 7)


def test_a_batch_is_timed_where_it_is_scored() -> None:
    clock = iter([10.0, 10.5, 20.0, 21.0])
    scorer = TimedScorer(FakeClassifier(), lambda: next(clock))
    scorer.predict(TEXTS[:3])
    assert scorer.began_s == 10.0
    scorer.predict(TEXTS[:1])
    assert scorer.batches == [(0.5, 3), (1.0, 1)]
    assert scorer.model == ModelId("fake", "0" * 12)


def test_every_text_is_scored_once_and_waits_before_its_batch() -> None:
    scorer = FakeClassifier()
    found = arrive(batcher, scorer, TEXTS, [0.0] * len(TEXTS))
    assert sum(scorer.calls) == len(TEXTS)
    assert sum(found.sizes) == len(TEXTS) == len(found.added) == len(found.whole)
    assert all(0 <= added <= whole for added, whole in zip(found.added, found.whole, strict=True))
    assert sustained_rate(batcher, scorer, TEXTS) > 0


def test_texts_that_wait_behind_a_stalled_scorer_are_charged_for_it_and_do_not_wait_to_arrive() -> None:
    times = [0.002 * place for place in range(20)]
    all_there = threading.Event()

    class Stalling(FakeClassifier):
        def predict(self, texts: Sequence[str]) -> list[Prediction]:
            assert all_there.wait(60), "the arrivals wait for the scorer"
            return super().predict(texts)

    class Counting(Batcher):
        there = 0

        def submit(self, text: str, **options: object) -> Future[Prediction]:
            future = super().submit(text)
            self.there += 1
            if self.there == len(times):
                all_there.set()
            return future

    stalling = Stalling()
    found = arrive(lambda scorer: Counting(scorer, max_tokens=64, max_delay_ms=1.0), stalling, TEXTS[:20], times)
    for place in range(stalling.calls[0], len(times)):
        assert found.added[place] >= times[-1] - times[place]


def test_the_figures_hold_the_delay_against_its_bound() -> None:
    found = Arrivals(
        added=tuple(place / 1e4 for place in range(1, 101)),
        whole=tuple(place / 1e4 + 0.01 for place in range(1, 101)),
        late=(0.0001,) * 100,
        batches=(0.01,) * 10,
        sizes=(10,) * 10,
    )
    figures = {
        figure.name: figure for figure in delay_figures(found, rate_per_s=70, sustained_per_s=100, max_delay_ms=20)
    }
    assert figures["arrivals"].ratio == 0.7
    assert figures["added by batching, p50"].value == pytest.approx(5.0)
    assert figures["added by batching, p99"].value == pytest.approx(9.9)
    assert figures["added by batching, p99"].ratio == pytest.approx(9.9 / 30)
    assert figures["arrival to answer, p99"].value == pytest.approx(19.9)
    assert "10 batches of 10.0 texts" in figures["a batch, p99"].note


def test_a_run_measures_the_rate_first_and_keeps_within_its_texts() -> None:
    scorer = FakeClassifier()
    figures = {figure.name: figure for figure in run(batcher, scorer, TEXTS, load=0.5, seconds=0.02, max_delay_ms=1.0)}
    assert figures["arrivals"].ratio == pytest.approx(0.5)
    assert 58 <= sum(scorer.calls) <= 200


def test_the_command_measures_the_scorer_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    settings = Settings.model_validate({"classifier": {"model": str(folder), "device": "cpu"}})
    monkeypatch.setattr("deploy.cli.bench_score.settings", lambda: settings)
    file = tmp_path / "delay.json"
    options = ["delay", "--messages", "200", "--seconds", "0.2", "--load", "0.5", "--json", str(file)]
    result = CliRunner().invoke(command.app, options)
    assert result.exit_code == 0, result.output
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())}
    assert figures["added by batching, p99"]["value"] > 0
    assert "max_delay_ms + one batch" in figures["added by batching, p99"]["against"]
