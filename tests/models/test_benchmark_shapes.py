from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.bench.ceiling import matmul_ceiling
from models.bench.shapes import SHAPES, build_network
from models.bench.throughput import BusyClock, covered, load_variant
from models.benchmark import main
from models.engines.cuda import PackedEngine
from models.engines.torch_engine import TorchEngine

CPU = torch.device("cpu")


def test_the_arithmetic_of_a_token_is_that_of_the_matrices() -> None:
    shape = SHAPES["minilm-l6"]
    weights = sum(
        weight.numel()
        for name, weight in build_network(shape).named_parameters()
        if "layer." in name and weight.ndim == 2
    )
    heads = 2 * 384 * 23
    assert shape.flop([1]) == 2 * weights + 6 * 4 * 384 + heads
    assert shape.flop([10, 30]) == shape.flop([10]) + shape.flop([30])
    assert 21e6 < shape.flop([28]) / 28 < 22e6


def test_random_weights_are_the_same_each_time_and_leave_the_callers_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = (build_network(SHAPES["tiny"]).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_time_that_two_packs_share_counts_once() -> None:
    assert covered([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0), (5.2, 5.4)]) == 4.0
    assert covered([]) == 0.0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_the_covered_time_is_that_of_every_moment_covered(spans: list[tuple[int, int]]) -> None:
    moments = {moment for start, length in spans for moment in range(start, start + length)}
    assert covered([(float(start), float(start + length)) for start, length in spans]) == len(moments)


def test_each_way_of_computing_is_its_engine() -> None:
    kinds = {"padded": TorchEngine, "packed": PackedEngine, "packed without graphs": PackedEngine}
    for variant, kind in kinds.items():
        engine = load_variant(
            variant, SHAPES["tiny"], device=CPU, dtype=torch.float32, kernel="flash", clock=BusyClock()
        )
        assert isinstance(engine, kind)
    with pytest.raises(ValueError, match="unknown variant"):
        load_variant("fast", SHAPES["tiny"], device=CPU, dtype=torch.float32, kernel="flash", clock=BusyClock())


def test_a_matrix_product_has_a_speed() -> None:
    assert matmul_ceiling(CPU, torch.float32) > 1e6


def test_the_command_prints_a_table_and_writes_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shapes.json"
    options = f"--shape tiny --device cpu --dtype float32 --messages 70 --repeats 1 --batch-messages 32 --json {file}"
    main(options.split())
    printed = capsys.readouterr().out
    assert "plain matrix products reach" in printed
    figures = json.loads(file.read_text())
    assert figures["ceiling_flop_per_s"] > 0
    (padded, packed) = figures["shapes"]["tiny"]
    assert (padded["variant"], packed["variant"]) == ("padded", "packed")
    for row in (padded, packed):
        assert row["tokens_per_s"] > row["messages_per_s"] > 0
        assert row["ceiling_share"] > 0
        assert row["busy_share"] is None
        assert row["small_call_ms"] > 0
        assert row["texts_per_s"] > 0


def test_an_unknown_shape_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--shape", "gigantic", "--device", "cpu"])
    assert "minilm-l6" in capsys.readouterr().err
