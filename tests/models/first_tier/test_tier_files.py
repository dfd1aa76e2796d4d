"""A tier comes back from its files as it was, and no other file passes for one."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.calibration import Calibration, HeadCalibration
from models.errors import ModelFilesError
from models.files import write_calibration
from models.first_tier import load_tier, save_tier
from models.first_tier.files import TIER_MANIFEST, TIER_WEIGHTS, has_tier
from tests.models.first_tier.toy_tier import toy_tier
from tests.models.tiny_model import write_tiny_model

TEXTS = ["ruin", "perhaps a boon", "flat", ""]


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder with a tier."""
    copy = tmp_path / "model"
    shutil.copytree(tiny_model, copy)
    save_tier(toy_tier(), copy, {"texts": {"given": 3}})
    return copy


def change(folder: Path, **values: object) -> None:
    path = folder / TIER_MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_tier_comes_back_as_it_was(folder: Path) -> None:
    tier, found = toy_tier(), load_tier(folder)
    assert found.version == tier.version
    assert found.certificate(0.99) == tier.certificate(0.99)
    for mine, theirs in zip(tier.answer(TEXTS), found.answer(TEXTS), strict=True):
        assert (mine == theirs).all()
    assert has_tier(folder)


def test_a_folder_may_have_none(tiny_model: Path) -> None:
    assert not has_tier(tiny_model)
    with pytest.raises(ModelFilesError, match=r"first_tier\.json: missing.*squall models first-tier"):
        load_tier(tiny_model)


def test_a_tier_is_written_over_an_older_one(folder: Path) -> None:
    before = (folder / TIER_WEIGHTS).read_bytes()
    tier = toy_tier()
    save_tier(tier, folder, {})
    assert (folder / TIER_WEIGHTS).read_bytes() == before
    assert load_tier(folder).version == tier.version


def test_a_new_calibration_of_the_model_is_followed(folder: Path) -> None:
    write_calibration(folder, Calibration(HeadCalibration(2.0), HeadCalibration(1.0), abstain_below=0.5))
    found = load_tier(folder)
    assert found.calibration.sentiment.temperature == 2.0
    assert found.version == toy_tier().version


def test_a_tier_of_another_network_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_tiny_model(other, seed=4)
    for name in (TIER_WEIGHTS, TIER_MANIFEST):
        shutil.copy(folder / name, other)
    with pytest.raises(ModelFilesError, match="made beside another network than tiny"):
        load_tier(other)


def _flip(folder: Path) -> None:
    content = bytearray((folder / TIER_WEIGHTS).read_bytes())
    content[-5] ^= 1
    (folder / TIER_WEIGHTS).write_bytes(content)


def _pickled(folder: Path) -> None:
    (folder / TIER_WEIGHTS).write_bytes(pickle.dumps({"weights": [1, 2]}))
    from models.files import file_sha256

    change(folder, sha256=file_sha256(folder / TIER_WEIGHTS))


def _other_arrays(folder: Path) -> None:
    from safetensors.numpy import save_file

    from models.files import file_sha256

    save_file({"ngrams": np.zeros(3, dtype=np.uint32)}, folder / TIER_WEIGHTS)
    change(folder, sha256=file_sha256(folder / TIER_WEIGHTS))


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (_flip, "altered, its SHA-256"),
        (lambda folder: (folder / TIER_WEIGHTS).unlink(), "No such file"),
        (lambda folder: (folder / TIER_WEIGHTS).write_bytes(b""), "altered, its SHA-256"),
        (_pickled, "no tier of this Squall"),
        (_other_arrays, "no tier of this Squall"),
        (lambda folder: (folder / TIER_MANIFEST).write_text("{"), "not JSON"),
        (lambda folder: (folder / TIER_MANIFEST).write_text("[]"), "describes no tier"),
        (lambda folder: change(folder, features=0), "features is 0 and this Squall needs 1"),
        (lambda folder: change(folder, format=2), "format is 2"),
        (lambda folder: change(folder, hash_bits=18), "hash_bits is 18"),
        (lambda folder: change(folder, sentiments=["positive", "neutral", "negative"]), "sentiments is"),
        (lambda folder: change(folder, version="0" * 12), "its version is not that of"),
        (lambda folder: change(folder, calibration_texts=7), "no tier of this Squall"),
        (lambda folder: change(folder, calibration_texts=None), "no tier of this Squall"),
    ],
)
def test_bad_files_are_refused_with_a_remedy(folder: Path, spoil: Callable[[Path], object], match: str) -> None:
    spoil(folder)
    with pytest.raises(ModelFilesError, match=f"{match}.*make it again with `squall models first-tier`"):
        load_tier(folder)
