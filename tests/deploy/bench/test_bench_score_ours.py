from __future__ import annotations

from pathlib import Path

import pytest

from deploy.bench.score_ours import Calls, build
from models.errors import BackendMissingError, ModelFilesError
from models.first_tier import save_tier
from models.testing import FakeClassifier
from tests.models.first_tier.toy_tier import toy_tier
from tests.models.tiny_model import write_tiny_model

NEGATIVE, POSITIVE = 0, 2


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path)
    return tmp_path


def test_texts_go_in_calls_of_the_size_asked_for() -> None:
    scorer = FakeClassifier()
    calls = Calls(scorer, 4, cached=False)
    assert calls(["profit rises"] * 5 + ["fraud probe"] * 5) == [POSITIVE] * 5 + [NEGATIVE] * 5
    assert scorer.calls == [4, 4, 2]
    assert calls.shares == {"first_tier_share": 0.0, "cached_share": 0.0}


def test_each_pass_begins_with_an_empty_memory() -> None:
    scorer = FakeClassifier()
    calls = Calls(scorer, 2, cached=True)
    for _ in range(2):
        calls(["one", "two", "one", "three"])
        assert calls.shares["cached_share"] == 0.25
    assert scorer.calls == [2, 1, 2, 1]


def test_what_the_first_tier_answers_is_told(model: Path) -> None:
    save_tier(toy_tier(), model, {})
    options = {"backend": "torch", "dtype": "float32", "first_tier": True, "call_messages": 8}
    calls, about = build(str(model), options)
    found = calls(["ruin", "the bank", "boon", "the profit"])
    assert (found[0], found[2]) == (NEGATIVE, POSITIVE)
    assert calls.shares["first_tier_share"] == 0.5
    assert about == {"backend": "torch", "precision": "float32"}


def test_a_model_without_a_tier_and_an_unknown_backend_are_refused(model: Path) -> None:
    with pytest.raises(ModelFilesError, match="no first tier"):
        build(str(model), {"backend": "torch", "first_tier": True, "call_messages": 8})
    with pytest.raises(BackendMissingError):
        build(str(model), {"backend": "abacus", "call_messages": 8})
