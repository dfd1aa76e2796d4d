from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.network import ClassifierNetwork
from retrain.base import build_network, load_base
from retrain.data import read_both
from retrain.fit import open_material
from retrain.loop import Hooks, LabelledTokens, train_network
from retrain.place import TrainingResult
from retrain.settings import TrainingSettings
from tests.retrain.test_train import SETTINGS, train


@pytest.fixture
def rows(sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path) -> list[LabelledTokens]:
    material = open_material(str(tiny_base), tmp_path, SETTINGS, torch.device("cpu"))
    return material.tokenise(read_both([sentiment_file], [topic_file])[::4])


class Judge:
    """Gives scores from a list, whatever the network; remembers the networks that it saw."""

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores: Iterator[float] = iter(scores)
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, network: ClassifierNetwork) -> dict[str, float]:
        self.seen.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"selection": next(self._scores)}


def run(
    base: Path, folder: Path, rows: list[LabelledTokens], settings: TrainingSettings, judge: Judge, hooks: Hooks
) -> tuple[ClassifierNetwork, TrainingResult]:
    torch.manual_seed(1)
    network = build_network(load_base(str(base), folder), 0.0)
    result = train_network(network, rows, rows[:8], settings=settings, pad_id=0, score=judge, hooks=hooks)
    return network, result


def test_patience_ends_the_run_and_the_best_weights_come_back(
    rows: list[LabelledTokens], tiny_base: Path, tmp_path: Path
) -> None:
    judge = Judge([0.3, 0.5, 0.4, 0.5, 0.9])
    said: list[str] = []
    network, result = run(tiny_base, tmp_path, rows, replace(SETTINGS, epochs=9, patience=2), judge, Hooks(said.append))
    assert len(judge.seen) == 4, "an equal score is no better one"
    assert (result.best, result.best_epoch, result.stopped) == (0.5, 2, True)
    for name, value in network.state_dict().items():
        assert torch.equal(value, judge.seen[1][name])
    assert any(line.startswith("stopped: 2 evaluations") for line in said)


def test_without_patience_all_epochs_are_run_and_the_best_kept(
    rows: list[LabelledTokens], tiny_base: Path, tmp_path: Path
) -> None:
    judge = Judge([0.9, 0.5, 0.4])
    _, result = run(tiny_base, tmp_path, rows, replace(SETTINGS, epochs=3), judge, Hooks())
    assert (len(judge.seen), result.best_epoch, result.stopped) == (3, 1, False)


def test_evaluations_come_every_so_many_steps_and_at_the_end(
    rows: list[LabelledTokens], tiny_base: Path, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    at: list[int] = []
    hooks = Hooks(step=lambda done, total: told.append((done, total)), evaluated=lambda record: at.append(len(told)))
    settings = replace(SETTINGS, epochs=2, batch_size=16, evaluation_steps=4)
    steps = 2 * -(-len(rows) // 16)
    judge = Judge([0.1] * 9)
    _, result = run(tiny_base, tmp_path, rows, settings, judge, hooks)
    assert told == [(done, steps) for done in range(1, steps + 1)]
    assert at == [4, 8, steps]
    assert result.best_epoch == pytest.approx(4 / (steps / 2))
    assert all(record["train_loss"] > 0 for record in result.history)


def test_looking_on_the_way_does_not_change_where_it_goes(
    rows: list[LabelledTokens], tiny_base: Path, tmp_path: Path
) -> None:
    ends = []
    for steps in (0, 2):
        judge = Judge([at / 100 for at in range(1, 50)])
        settings = replace(SETTINGS, epochs=2, evaluation_steps=steps, average_decay=0.0, head_dropout=0.2)
        run(tiny_base, tmp_path, rows, settings, judge, Hooks())
        ends.append(judge.seen[-1])
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_a_card_and_metrics_say_that_a_run_was_stopped(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=30, patience=2)
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "out", settings)
    assert trained.metrics["stopped_early"] is True
    assert len(trained.metrics["history"]) < 30
    assert "Stopped early, after 2 evaluations" in (trained.folder / "MODEL_CARD.md").read_text()
