from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from models import Classifier
from models.calibration import Calibration, HeadCalibration
from models.errors import ModelFilesError
from models.files import (
    DECIDING_FILES,
    DEFAULT_MODEL,
    MANIFEST,
    WEIGHTS,
    _version_of,
    peek_manifest,
    read_manifest,
    write_calibration,
    write_manifest,
)
from models.quantise import dequantise, quantise


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def edit_manifest(folder: Path, **changes: object) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(content | changes))


@pytest.mark.parametrize("file", DECIDING_FILES)
def test_an_altered_file_is_refused_by_name(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[-2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(ModelFilesError, match=rf"{file}: altered.*fetch"):
        Classifier.load(folder)


@pytest.mark.parametrize("file", [*DECIDING_FILES, MANIFEST])
def test_a_missing_file_is_refused_by_name(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelFilesError, match=file):
        Classifier.load(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_length": 16}, "altered, its version"),
        ({"version": "abc"}, "altered, its version"),
        ({"format": 2}, "format is 2"),
        ({"text_preparation": 99}, "text_preparation"),
        ({"topics": ["only"]}, "topics"),
        ({"files": {}}, "must list"),
        ({"extra": 1}, "not a manifest"),
        ({"calibration": {}}, "not a manifest.*calibration needs"),
        ({"calibration": [1.0]}, "not a manifest.*got list"),
        ({"learned_at": "yesterday"}, "not a manifest"),
        ({"learned_at": 20260101}, "not a manifest"),
        ({"learned_at": "2026-01-31T12:00:00"}, "learned_at must be a time in UTC"),
        ({"learned_at": "2026-01-31T12:00:00+02:00"}, "learned_at must be a time in UTC"),
    ],
)
def test_an_altered_or_foreign_manifest_is_refused(folder: Path, changes: dict[str, object], words: str) -> None:
    edit_manifest(folder, **changes)
    with pytest.raises(ModelFilesError, match=words):
        read_manifest(folder)


def test_a_manifest_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ModelFilesError, match="not a manifest"):
        read_manifest(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    from safetensors.torch import save_file

    save_file({"encoder.other": torch.zeros(2)}, folder / WEIGHTS)
    write_manifest(folder, name="tiny", max_length=32, pad_id=0, base={}, training_data=[])
    with pytest.raises(ModelFilesError, match="does not fit"):
        Classifier.load(folder)


def test_the_version_follows_the_content_and_not_the_name(folder: Path) -> None:
    first = read_manifest(folder).version
    same = write_manifest(folder, name="other", max_length=32, pad_id=0, base={}, training_data=[])
    shorter = write_manifest(folder, name="tiny", max_length=16, pad_id=0, base={}, training_data=[])
    assert same.version == first
    assert shorter.version != first


def test_when_it_was_learned_stands_in_the_manifest_and_not_in_the_version(folder: Path) -> None:
    facts: dict[str, Any] = {"name": "tiny", "max_length": 32, "pad_id": 0, "base": {}, "training_data": []}
    unknown = write_manifest(folder, **facts)
    assert "learned_at" not in (folder / MANIFEST).read_text()
    assert read_manifest(folder).learned_at is None
    learned_at = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    known = write_manifest(folder, **facts, learned_at=learned_at)
    assert json.loads((folder / MANIFEST).read_text())["learned_at"] == "2026-01-31T12:00:00Z"
    assert read_manifest(folder) == known
    assert known.learned_at == learned_at
    assert known.version == unknown.version
    with pytest.raises(ValueError, match="UTC"):
        write_manifest(folder, **facts, learned_at=datetime(2026, 1, 31, 12, 0))
    assert read_manifest(folder) == known


CALIBRATION = Calibration(HeadCalibration(1.2, 900, 0.05, 0.02), HeadCalibration(0.9), 0.6, 0.9, 0.95)


def test_a_calibration_stands_in_the_manifest_and_what_decides_answers_in_the_version(folder: Path) -> None:
    plain, before = read_manifest(folder), (folder / MANIFEST).read_bytes()
    assert b"calibration" not in before
    calibrated = write_calibration(folder, CALIBRATION)
    assert read_manifest(folder) == calibrated == replace(plain, version=calibrated.version, calibration=CALIBRATION)
    assert calibrated.version != plain.version
    assert write_calibration(folder, replace(CALIBRATION, abstain_below=0.7)).version != calibrated.version
    told = replace(CALIBRATION, kept_accuracy=0.8, topic=HeadCalibration(0.9, 5, 0.1, 0.1))
    assert write_calibration(folder, told).version == calibrated.version
    facts: dict[str, Any] = {"name": "tiny", "max_length": 32, "pad_id": 0, "base": {}, "training_data": []}
    assert write_manifest(folder, **facts, calibration=CALIBRATION).version == calibrated.version
    assert write_manifest(folder, **facts) == plain
    assert (folder / MANIFEST).read_bytes() == before


def test_an_altered_calibration_is_refused(folder: Path) -> None:
    write_calibration(folder, CALIBRATION)
    edit_manifest(folder, calibration=asdict(replace(CALIBRATION, sentiment=HeadCalibration(2.0))))
    with pytest.raises(ModelFilesError, match="altered, its version"):
        Classifier.load(folder)


def test_a_version_without_calibration_is_the_one_that_it_always_was() -> None:
    # Of the model that Squall shipped before there were calibrations.
    manifest = read_manifest(DEFAULT_MODEL)
    facts: list[Any] = [sorted(manifest.files.items()), 256, 0, list(manifest.sentiments), list(manifest.topics), 1]
    old = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    assert _version_of(replace(manifest, calibration=None)) == old


def test_a_peek_reads_the_manifest_alone(folder: Path) -> None:
    expected = read_manifest(folder)
    (folder / WEIGHTS).unlink()
    assert peek_manifest(folder) == expected
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(ModelFilesError, match="not a manifest"):
        peek_manifest(folder)


def test_the_shipped_folder_is_complete_small_and_free_of_machine_paths() -> None:
    manifest = read_manifest(DEFAULT_MODEL)
    assert manifest.model.name == DEFAULT_MODEL.name
    network = [file for file in DEFAULT_MODEL.iterdir() if not file.name.startswith("first_tier.")]
    assert sum(file.stat().st_size for file in network) <= 25_000_000
    metrics = json.loads((DEFAULT_MODEL / "metrics.json").read_text())
    assert metrics["model"]["version"] == manifest.version
    card = (DEFAULT_MODEL / "MODEL_CARD.md").read_text()
    assert manifest.version in card
    assert "Apache-2.0" in card
    for file in (MANIFEST, "metrics.json", "MODEL_CARD.md", "config.json"):
        assert "/tmp" not in (DEFAULT_MODEL / file).read_text()  # noqa: S108


def test_8_bit_weights_come_back_within_half_a_step_and_exactly_where_kept() -> None:
    torch.manual_seed(0)
    weights = {
        "encoder.matrix": torch.randn(7, 33) * torch.logspace(-4, 2, 7).unsqueeze(1),
        "encoder.zeros": torch.zeros(3, 4),
        "encoder.bias": torch.randn(7),
        "topic.weight": torch.randn(20, 32),
    }
    back = dequantise(quantise(weights))
    steps = weights["encoder.matrix"].abs().amax(dim=1, keepdim=True) / 127
    assert ((back["encoder.matrix"] - weights["encoder.matrix"]).abs() <= steps * 0.501).all()
    for exact in ("encoder.zeros", "encoder.bias", "topic.weight"):
        assert torch.equal(back[exact], weights[exact])


def test_diverged_weights_and_lost_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="diverged"):
        quantise({"encoder.matrix": torch.full((2, 2), float("nan"))})
    stored = quantise({"encoder.matrix": torch.ones(2, 2)})
    del stored["encoder.matrix.scale"]
    with pytest.raises(ModelFilesError, match=r"encoder\.matrix have no matching scales"):
        dequantise(stored)
