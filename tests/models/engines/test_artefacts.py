"""The cache of converted models: whole or not at all, and checked as it is read."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.artefacts import ARTEFACT, Recipe, default_cache, installed, obtain
from models.errors import BackendMissingError

RECIPE = Recipe("tiny model", "abc123", "onnx", "int8", {"onnx": "1.2"}, "texts")
NAMES = ("graph", "weights")


def build(folder: Path) -> None:
    (folder / "graph").write_bytes(b"<graph>")
    (folder / "weights").write_bytes(bytes(range(200)))
    (folder / "left over").write_bytes(b"from the conversion")


def refuse(_: Path) -> None:
    raise AssertionError("built although it was there")


def test_it_is_built_once_and_then_read(tmp_path: Path) -> None:
    made = obtain(RECIPE, NAMES, tmp_path, build)
    assert made == {"graph": b"<graph>", "weights": bytes(range(200))}
    assert obtain(RECIPE, NAMES, tmp_path, refuse) == made
    folder = RECIPE.folder(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == sorted((*NAMES, ARTEFACT))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"model_version": "abc124"},
        {"backend": "openvino"},
        {"precision": "float32"},
        {"libraries": {"onnx": "1.3"}},
        {"calibration": "other texts"},
        {"format": 99},
    ],
)
def test_whatever_decides_it_tells_it_from_others(tmp_path: Path, change: dict[str, object]) -> None:
    assert replace(RECIPE, **change).folder(tmp_path) != RECIPE.folder(tmp_path)  # type: ignore[arg-type]


def test_a_model_name_cannot_lead_out_of_the_cache(tmp_path: Path) -> None:
    for name in ("../../etc", "/etc", "..", "a/b", ""):
        folder = replace(RECIPE, model=name).folder(tmp_path)
        assert folder.resolve().is_relative_to(tmp_path / "engines")
        assert folder.parent.parent == tmp_path / "engines"


@pytest.mark.parametrize("name", [*NAMES, ARTEFACT])
@pytest.mark.parametrize("harm", ["shorter", "flipped", "gone", "empty"])
def test_damage_is_told_and_made_good(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, harm: str) -> None:
    expected = obtain(RECIPE, NAMES, tmp_path, build)
    file = RECIPE.folder(tmp_path) / name
    content = bytearray(file.read_bytes())
    if harm == "gone":
        file.unlink()
    else:
        content[3] ^= 0x20
        file.write_bytes({"shorter": bytes(content[:3]), "flipped": bytes(content), "empty": b""}[harm])
    with caplog.at_level(logging.WARNING):
        assert obtain(RECIPE, NAMES, tmp_path, build) == expected
    assert "is damaged" in caplog.text
    assert obtain(RECIPE, NAMES, tmp_path, refuse) == expected


def test_another_artefact_in_its_place_is_damage(tmp_path: Path) -> None:
    obtain(RECIPE, NAMES, tmp_path, build)
    note = RECIPE.folder(tmp_path) / ARTEFACT
    content = json.loads(note.read_text())
    content["recipe"]["precision"] = "float32"
    note.write_text(json.dumps(content))
    with pytest.raises(AssertionError, match="built"):
        obtain(RECIPE, NAMES, tmp_path, refuse)


def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "graph").write_bytes(b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        obtain(RECIPE, NAMES, tmp_path, fail)
    assert list(RECIPE.folder(tmp_path).parent.iterdir()) == []


def test_several_that_build_at_once_all_get_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: obtain(RECIPE, NAMES, tmp_path, build), range(24)))
    assert found == [found[0]] * 24
    assert [path.name for path in RECIPE.folder(tmp_path).parent.iterdir()] == [RECIPE.folder(tmp_path).name]


def test_the_cache_folder_is_where_the_user_keeps_such_things(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "squall"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "squall"


def test_a_distribution_that_is_not_installed_is_named_with_all_that_is_needed() -> None:
    with pytest.raises(BackendMissingError, match=r"no-such-thing is not installed: pip install onnx onnxruntime"):
        installed("onnx", ("pytest", "no-such-thing"))
