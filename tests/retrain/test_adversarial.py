from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel

from models.network import ClassifierNetwork
from retrain.adversarial import moved_embeddings

EPSILON = 0.25


@pytest.fixture
def network() -> ClassifierNetwork:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return ClassifierNetwork(BertModel(config), 16).eval()


def loss_of(network: ClassifierNetwork) -> torch.Tensor:
    ids = torch.tensor([[2, 5, 7, 3]])
    sentiment, _ = network(ids, torch.ones_like(ids))
    return torch.nn.functional.cross_entropy(sentiment, torch.tensor([0]))


def word_weights(network: ClassifierNetwork) -> torch.Tensor:
    weight: torch.Tensor = network.encoder.embeddings.word_embeddings.weight
    return weight


def test_the_step_has_its_length_raises_the_loss_and_is_undone_to_the_bit(network: ClassifierNetwork) -> None:
    before = word_weights(network).detach().clone()
    loss = loss_of(network)
    loss.backward()
    with moved_embeddings(network, EPSILON):
        assert torch.linalg.norm(word_weights(network) - before).item() == pytest.approx(EPSILON, rel=1e-4)
        assert loss_of(network).item() > loss.item()
    assert torch.equal(word_weights(network), before)


def test_the_weights_come_back_although_the_second_pass_failed(network: ClassifierNetwork) -> None:
    before = word_weights(network).detach().clone()
    loss_of(network).backward()
    with pytest.raises(RuntimeError, match="out of memory"), moved_embeddings(network, EPSILON):
        raise RuntimeError("out of memory")
    assert torch.equal(word_weights(network), before)


@pytest.mark.parametrize("gradient", [None, 0.0, float("nan"), float("inf")])
def test_without_a_usable_gradient_nothing_moves(network: ClassifierNetwork, gradient: float | None) -> None:
    weight = word_weights(network)
    weight.grad = None if gradient is None else torch.full_like(weight, gradient)
    before = weight.detach().clone()
    with moved_embeddings(network, EPSILON):
        assert torch.equal(weight, before)
