from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import Classifier
from models.errors import BackendMissingError, TrainingDataError
from models.files import CONFIG, MANIFEST, TOKENIZER, WEIGHTS
from models.network import ClassifierNetwork
from retrain.base import build_network, load_base
from retrain.card import CARD, METRICS
from retrain.methods.lora import add_adapters, merge_adapters
from retrain.optimiser import build_optimiser
from retrain.settings_parts import LoraSettings
from tests.retrain.test_train import SETTINGS, train

IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 5, 6, 3, 0]])
MASK = (IDS != 0).long()


@pytest.fixture
def network(tiny_base: Path, tmp_path: Path) -> ClassifierNetwork:
    torch.manual_seed(1)
    return build_network(load_base(str(tiny_base), tmp_path), 0.0).eval()


def some_steps(network: ClassifierNetwork) -> None:
    optimiser = build_optimiser(network, replace(SETTINGS, learning_rate=0.05))
    for _ in range(3):
        optimiser.zero_grad()
        sentiment, topic = network(IDS, MASK)
        (sentiment[:, 0].sum() - topic[:, 1].sum()).backward()
        optimiser.step()


def test_only_adapters_and_heads_learn(network: ClassifierNetwork) -> None:
    before = copy.deepcopy(network.state_dict())
    add_adapters(network, LoraSettings(rank=4))
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    assert all("lora_" in name or name.startswith(("sentiment.", "topic.")) for name in learning)
    assert any("lora_" in name for name in learning)
    some_steps(network)
    after = network.state_dict()
    for name, value in before.items():
        if name.startswith("encoder."):
            kept = after[_wrapped(name, after)]
            assert torch.equal(kept, value), f"{name} has moved"
        else:
            assert not torch.equal(after[name], value), f"{name} has not learned"


def _wrapped(name: str, state: dict[str, torch.Tensor]) -> str:
    inner = "encoder.base_model.model." + name.removeprefix("encoder.")
    stem, _, last = inner.rpartition(".")
    return inner if inner in state else f"{stem}.base_layer.{last}"


def test_the_merged_network_answers_as_the_one_with_adapters_and_has_the_weights_of_any_other(
    network: ClassifierNetwork,
) -> None:
    names = set(network.state_dict())
    plain = network(IDS, MASK)[0]
    add_adapters(network, LoraSettings(rank=4, alpha=32, targets=("query", "value", "dense")))
    some_steps(network)
    adapted = network(IDS, MASK)
    merge_adapters(network)
    merged = network(IDS, MASK)
    for one, other in zip(adapted, merged, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert not torch.allclose(plain, merged[0], atol=1e-3), "nothing was learned"
    assert set(network.state_dict()) == names
    assert all(value.requires_grad for value in network.parameters())


def test_a_model_trained_with_adapters_is_a_folder_like_any_other(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=8, learning_rate=2e-2, lora=LoraSettings(rank=8, dropout=0.05))
    trained = train(sentiment_file, topic_file, tiny_base, tmp_path / "out", settings)
    assert {file.name for file in trained.folder.iterdir()} == {MANIFEST, CONFIG, TOKENIZER, WEIGHTS, METRICS, CARD}
    losses = [epoch["train_loss"] for epoch in trained.metrics["history"]]
    assert losses[-1] < 0.7 * losses[0]
    assert Classifier.load(trained.folder).model == trained.manifest.model
    assert "Adapters of rank 8 and the heads were then trained" in (trained.folder / CARD).read_text()


def test_a_layer_that_is_not_there_is_told_with_those_that_are(network: ClassifierNetwork) -> None:
    with pytest.raises(TrainingDataError, match=r"lora.targets \['querry'\].* dense, key, query, value"):
        add_adapters(network, LoraSettings(rank=4, targets=("querry",)))


def test_without_peft_the_message_says_what_to_install(
    network: ClassifierNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(BackendMissingError, match="pip install peft"):
        add_adapters(network, LoraSettings(rank=4))


def test_adversarial_steps_need_the_embeddings_that_adapters_freeze() -> None:
    with pytest.raises(ValueError, match="which lora freezes"):
        replace(SETTINGS, adversarial=0.1, lora=LoraSettings(rank=4))
