"""This machine's choice of a backend: it counts for what was measured, and for nothing else."""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from models.classifier import Classifier
from models.engines.artefacts import installed, model_folder
from models.engines.tuned import CHOICE, LIBRARIES, Choice, read_choice, this_machine, why_not, write_choice
from models.errors import ModelFilesError
from models.files import Manifest, read_manifest

if importlib.util.find_spec("onnxruntime") is None:
    pytest.skip("needs onnxruntime", allow_module_level=True)


@pytest.fixture
def manifest(tiny_model: Path) -> Manifest:
    return read_manifest(tiny_model)


@pytest.fixture
def choice(manifest: Manifest) -> Choice:
    return Choice(
        model=manifest.name,
        version=manifest.version,
        backend="onnx",
        precision="int8",
        device="cpu",
        machine=this_machine(),
        libraries=installed("onnx", LIBRARIES["onnx"]),
        calibration=None,
        bound=0.003,
        messages_per_s=100.0,
        against_torch=1.5,
        loss=0.001,
    )


def loaded(tiny_model: Path, cache: Path, **asked: str) -> tuple[str, str]:
    classifier = Classifier.load(tiny_model, backend="auto", cache=cache, **asked)  # type: ignore[arg-type]
    return classifier.backend, classifier.precision


def test_the_choice_computes_where_the_backend_is_auto(
    tiny_model: Path, manifest: Manifest, choice: Choice, tmp_path: Path
) -> None:
    assert loaded(tiny_model, tmp_path)[0] == "torch"
    write_choice(choice, manifest, tmp_path)
    assert read_choice(manifest, tmp_path) == choice
    assert loaded(tiny_model, tmp_path) == ("onnx", "int8")
    assert Classifier.load(tiny_model, cache=tmp_path).backend == "torch"


def test_another_device_or_number_format_is_not_overruled(
    tiny_model: Path, manifest: Manifest, choice: Choice, tmp_path: Path
) -> None:
    write_choice(choice, manifest, tmp_path)
    assert loaded(tiny_model, tmp_path, dtype="float32") == ("torch", "float32")
    assert loaded(tiny_model, tmp_path, dtype="int8", device="cpu") == ("onnx", "int8")
    write_choice(replace(choice, device="cuda"), manifest, tmp_path)
    assert loaded(tiny_model, tmp_path, device="cpu")[0] == "torch"


def test_a_choice_counts_for_the_machine_and_the_libraries_that_were_measured(
    tiny_model: Path, manifest: Manifest, choice: Choice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert why_not(choice) is None
    stale = {
        "another machine": replace(choice, machine="abacus x 1"),
        "onnxruntime was 0.1": replace(choice, libraries={**choice.libraries, "onnxruntime": "0.1"}),
        "no backend 'slide rule'": replace(choice, backend="slide rule"),
    }
    for reason, other in stale.items():
        assert reason in (why_not(other) or "")
        write_choice(other, manifest, tmp_path)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert loaded(tiny_model, tmp_path)[0] == "torch"
        assert reason in caplog.text
        assert "squall models tune" in caplog.text


def test_a_choice_that_cannot_be_loaded_gives_way_to_torch(
    tiny_model: Path, manifest: Manifest, choice: Choice, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_choice(replace(choice, precision="bfloat16"), manifest, tmp_path)
    with caplog.at_level(logging.WARNING):
        assert loaded(tiny_model, tmp_path)[0] == "torch"
    assert "no number format 'bfloat16'" in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model": "tiny"}', "\xff"])
def test_a_damaged_choice_is_told_and_gives_way_to_torch(
    tiny_model: Path, manifest: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    file = model_folder(manifest.name, manifest.version, tmp_path) / CHOICE
    file.parent.mkdir(parents=True)
    file.write_bytes(content.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert loaded(tiny_model, tmp_path)[0] == "torch"
    assert str(file) in caplog.text


def test_a_choice_for_another_version_does_not_count(manifest: Manifest, choice: Choice, tmp_path: Path) -> None:
    write_choice(replace(choice, version="0" * 12), manifest, tmp_path)
    assert read_choice(manifest, tmp_path) is None


def test_a_choice_that_cannot_be_kept_is_told(manifest: Manifest, choice: Choice, tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("no folder")
    with pytest.raises(ModelFilesError, match="cannot be written"):
        write_choice(choice, manifest, tmp_path)
