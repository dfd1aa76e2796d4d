"""What goes through the network is told to whoever listens: tokens of text, and what was computed for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.batching import plan_batches
from models.classifier import Classifier
from models.engines import passes
from models.engines.base import TokenBatch
from models.engines.cuda import engine_on_cuda
from models.network import ClassifierNetwork
from tests.models.tiny_model import build_encoder

TEXTS = ["shares of the bank fall", "profit", "the bank", "shares of the bank rise on a profit of 3 %", ""]
LIBRARIES = {"openvino": ("openvino", "nncf"), "onnx": ("onnx", "onnxruntime")}


@pytest.fixture
def told() -> Iterator[list[tuple[int, int]]]:
    found: list[tuple[int, int]] = []
    stop = passes.listen(lambda tokens, computed: found.append((tokens, computed)))
    yield found
    stop()


@pytest.mark.parametrize(
    ("backend", "dtype"), [("torch", "float32"), ("openvino", "float32"), ("onnx", "float32"), ("onnx", "int8")]
)
def test_every_backend_tells_of_its_padding(
    backend: str, dtype: str, tiny_model: Path, tmp_path: Path, told: list[tuple[int, int]]
) -> None:
    if missing := [name for name in LIBRARIES.get(backend, ()) if importlib.util.find_spec(name) is None]:
        pytest.skip(f"needs {missing[0]}")
    classifier = Classifier.load(tiny_model, backend=backend, dtype=dtype, device="cpu", cache=tmp_path)
    told.clear()  # a backend may try itself out when it is loaded
    classifier.predict(TEXTS)
    lengths = classifier.count_tokens(TEXTS)
    assert sum(tokens for tokens, _ in told) == sum(lengths)
    if dtype == "int8":
        assert all(tokens == computed for tokens, computed in told), "each row alone, without padding"
        return
    plan = plan_batches(lengths, 2048)
    twice = {1} if backend == "onnx" else set()  # a row that is alone in its batch goes through beside itself
    expected = [batch.tokens * (2 if len(batch.indices) in twice else 1) for batch in plan]
    assert sorted(computed for _, computed in told) == sorted(expected)
    assert all(0 < tokens <= computed for tokens, computed in told)


def test_without_padding_as_much_is_computed_as_there_is_text(told: list[tuple[int, int]]) -> None:
    network = ClassifierNetwork(build_encoder(), 32).eval()
    engine = engine_on_cuda(network, 0, device=torch.device("cpu"), dtype=torch.float32)
    engine.run([TokenBatch(((5, 6, 7), (5, 6)), 8), TokenBatch(((9,),), 8)])
    assert told == [(6, 6)]


def test_who_stops_listening_hears_nothing_more_and_others_still_do() -> None:
    first: list[int] = []
    second: list[int] = []
    stop_first = passes.listen(lambda tokens, _: first.append(tokens))
    stop_second = passes.listen(lambda tokens, _: second.append(tokens))
    passes.tell(3, 4)
    stop_first()
    passes.tell_padded([(1, 2), (1,)], 8)
    stop_second()
    passes.tell(9, 9)
    assert (first, second) == ([3], [3, 3])
