from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.errors import ModelFilesError, TrainingDataError
from retrain.base import load_base
from retrain.card import CARD, CardFacts
from retrain.data import Example
from retrain.fit import open_material
from retrain.job import TrainedModel, TrainingJob
from retrain.methods.domain import adapt
from retrain.settings import TrainingSettings
from retrain.settings_parts import DomainSettings
from retrain.train import train_model
from tests.retrain.conftest import FILLERS
from tests.retrain.test_train import SETTINGS

KNOBS = replace(SETTINGS, domain=DomainSettings(epochs=12, learning_rate=1e-2, batch_size=16, mask_share=0.3))
TEXTS = [" ".join((FILLERS[at], "dividend", FILLERS[at], "payout", FILLERS[at])) for at in range(len(FILLERS))]


def adapted(base: Path, folder: Path, settings: TrainingSettings) -> tuple[dict[str, torch.Tensor], list[float]]:
    material = open_material(str(base), folder, settings, torch.device("cpu"))
    rows = material.tokenise([Example(text, "topic", 0, "", 0) for text in TEXTS])
    return adapt(str(base), [row.tokens for row in rows], settings=settings, device=torch.device("cpu"))


def test_the_encoder_learns_to_guess_masked_words_and_leaves_its_guessing_head_behind(
    masked_base: Path, tmp_path: Path
) -> None:
    before = load_base(str(masked_base), tmp_path).encoder.state_dict()
    torch.manual_seed(7)
    dice = torch.get_rng_state()
    weights, losses = adapted(masked_base, tmp_path, KNOBS)
    assert losses[-1] < 0.8 * losses[0]
    assert set(before) <= set(weights) and not any("cls" in name or "pred" in name for name in weights)
    assert any(not torch.equal(weights[name], value) for name, value in before.items())
    assert torch.equal(torch.get_rng_state(), dice), "a run after it would differ from one without"
    again, _ = adapted(masked_base, tmp_path, KNOBS)
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def test_a_base_that_cannot_hide_words_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="has no mask token"):
        adapted(tiny_base, tmp_path, KNOBS)


def run(sentiment: Path, topic: Path, base: Path, out: Path, texts: tuple[Path, ...], epochs: int) -> TrainedModel:
    job = TrainingJob((sentiment,), (topic,), str(base), out, "tiny", CardFacts("b"), device="cpu", unlabelled=texts)
    settings = replace(SETTINGS, epochs=1, domain=replace(KNOBS.domain, epochs=epochs))
    return train_model(job, settings, progress=lambda line: None)


def test_a_training_begins_from_the_adapted_encoder_and_its_card_says_so(
    sentiment_file: Path, topic_file: Path, masked_base: Path, tmp_path: Path
) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    plain = run(sentiment_file, topic_file, masked_base, tmp_path / "plain", (), 0)
    adapted_model = run(sentiment_file, topic_file, masked_base, tmp_path / "adapted", (path,), 2)
    assert adapted_model.manifest.version != plain.manifest.version
    assert len(adapted_model.metrics["domain"]["losses"]) == 2
    assert "domain" not in plain.metrics
    assert "guess masked words of 50 unlabelled texts" in (adapted_model.folder / CARD).read_text()
    with pytest.raises(TrainingDataError, match="domain adaptation needs texts without labels"):
        run(sentiment_file, topic_file, masked_base, tmp_path / "none", (), 2)
