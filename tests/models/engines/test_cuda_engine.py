"""The GPU's engine: on the CPU with its reference attention, and on a CUDA device where there is one."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.engines.base import Outputs, TokenBatch
from models.engines.cuda import DirectLane, PackedEngine, engine_on_cuda
from models.engines.packed import PackedBert, why_not_packed
from models.engines.packing import choose_shape, fill, pack
from models.engines.torch_engine import TorchEngine
from models.engines.varlen import varlen_attention, why_no_varlen
from models.network import ClassifierNetwork
from models.storage import without_pooler
from tests.models.tiny_model import build_encoder

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network(seed: int = 5) -> ClassifierNetwork:
    torch.manual_seed(seed)
    return ClassifierNetwork(build_encoder(), 32).eval()


def batches(rows: int = 50, *, longest: int = 60, seed: int = 1) -> list[TokenBatch]:
    dice = random.Random(seed)
    found = [tuple(dice.randrange(80) for _ in range(dice.randint(2, longest))) for _ in range(rows)]
    return [TokenBatch(tuple(found[start : start + 7]), longest) for start in range(0, rows, 7)]


def assert_equal(found: Sequence[Outputs], wanted: Sequence[Outputs], tolerance: float) -> None:
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        for part, reference in zip(one, other, strict=True):
            assert part.dtype == reference.dtype
            np.testing.assert_allclose(part, reference, rtol=0, atol=tolerance)


@pytest.mark.parametrize("pack_tokens", [1, 100, 10_000])
def test_packed_answers_are_those_of_the_padded_network(pack_tokens: int) -> None:
    padded = TorchEngine(network(), 0, device=CPU, dtype=torch.float32)
    packed = engine_on_cuda(network(), 0, device=CPU, dtype=torch.float32, pack_tokens=pack_tokens)
    assert isinstance(packed, PackedEngine)
    assert (packed.name, packed.precision, packed.device, packed.hidden_size) == ("torch", "float32", "cpu", 32)
    assert_equal(packed.run(batches()), padded.run(batches()), 1e-5)
    assert packed.run([]) == []


def test_packed_answers_in_bfloat16_differ_by_its_rounding_alone() -> None:
    padded = TorchEngine(network(), 0, device=CPU, dtype=torch.bfloat16)
    packed = engine_on_cuda(network(), 0, device=CPU, dtype=torch.bfloat16)
    assert packed.precision == "bfloat16"
    assert_equal(packed.run(batches()), padded.run(batches()), 0.05)


def test_a_pack_that_is_filled_up_to_a_shape_gives_its_rows_the_same_answers() -> None:
    packed = PackedBert(network())
    laid = pack([row for batch in batches(12) for row in batch.rows])
    shape = choose_shape(laid, 4096)
    assert shape is not None
    filled = fill(laid, shape, 0)
    with torch.inference_mode():
        plain, full = (
            packed(*(torch.from_numpy(part) for part in (one.ids, one.positions, one.offsets)), one.longest)
            for one in (laid, filled)
        )
    assert full.shape[0] == shape.rows
    torch.testing.assert_close(full[: laid.rows], plain, rtol=0, atol=1e-5)


def test_a_lane_is_free_again_after_an_error() -> None:
    class Failing(DirectLane):
        fail = True

        def submit(self, packed: object) -> None:
            if self.fail:
                raise RuntimeError("out of memory")
            super().submit(packed)  # type: ignore[arg-type]

    packed = PackedBert(network())
    lane = Failing(packed)
    engine = PackedEngine(packed, [lane], device=CPU, dtype=torch.float32, pack_tokens=64)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            engine.run(batches())
    lane.fail = False
    assert_equal(engine.run(batches()), TorchEngine(network(), 0, device=CPU, dtype=torch.float32).run(batches()), 1e-5)


def test_another_encoder_is_padded_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    config = DistilBertConfig(vocab_size=80, dim=32, n_layers=1, n_heads=4, hidden_dim=64, max_position_embeddings=64)
    other = ClassifierNetwork(without_pooler(DistilBertModel(config)), 32).eval()
    assert why_not_packed(network()) is None
    with caplog.at_level(logging.WARNING):
        engine = engine_on_cuda(other, 0, device=CPU, dtype=torch.float32)
    assert isinstance(engine, TorchEngine)
    assert (
        "texts are padded on cpu: only BERT is computed without padding, and the encoder is distilbert" in caplog.text
    )


def test_on_the_cpu_a_wish_for_compilation_is_answered_by_a_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine = engine_on_cuda(network(), 0, device=CPU, dtype=torch.float32, compiled=True)
    assert isinstance(engine, PackedEngine)
    assert "torch.compile and CUDA graphs are for CUDA devices" in caplog.text


def test_where_torchs_own_attention_cannot_run_there_is_a_reason() -> None:
    assert why_no_varlen(CPU, torch.bfloat16) == "it needs a CUDA device, not cpu"
    assert why_no_varlen(torch.device("cuda"), torch.float32) == "it computes in half precision, not in float32"
    with pytest.raises(ValueError, match="choose auto, flash or cudnn"):
        varlen_attention("fast")


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize("graph_tokens", [0, 4096])
@pytest.mark.parametrize("pack_tokens", [200, 16_384])
def test_on_a_gpu_packed_answers_are_those_of_the_cpu(graph_tokens: int, pack_tokens: int) -> None:
    cuda = torch.device("cuda")
    packed = engine_on_cuda(
        network(), 0, device=cuda, dtype=torch.bfloat16, graph_tokens=graph_tokens, pack_tokens=pack_tokens
    )
    assert isinstance(packed, PackedEngine)
    wanted = TorchEngine(network(), 0, device=CPU, dtype=torch.float32).run(batches(200))
    for _ in range(3):
        assert_equal(packed.run(batches(200)), wanted, 0.05)
