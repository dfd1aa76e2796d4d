from __future__ import annotations

import random
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from models.files import read_manifest
from retrain.cycle.reference import write_challengers_reference
from retrain.gate.run import Stretch
from streams.config import Settings
from streams.monitor import MonitorOptions, default_rules
from streams.records import encode
from streams.replay.sources.open_source import open_mentions
from streams.watch.reference import read_reference
from tests.retrain.conftest import FILLERS
from tests.retrain.cycle.conftest import NOW
from tests.streams.monitor.invented import mention


@pytest.fixture
def model(beginner: tuple[Path, Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(beginner[0], tmp_path / "model"))


def texts(count: int) -> list[str]:
    return [" ".join(random.Random(number).sample(FILLERS, 7)) for number in range(count)]


def test_without_history_the_training_texts_are_the_reference(model: Path) -> None:
    told = write_challengers_reference(model, None, texts(1_200), at=NOW, device="cpu")
    assert told == "the challenger's reference for drift: 1,200 training texts"
    found = read_reference(model, read_manifest(model).model)
    assert found is not None
    assert found.sources == ("training texts",)


def test_with_history_the_last_messages_are_it_each_once(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "mentions.jsonl"
    found = [
        mention(number, NOW + timedelta(minutes=number), entity=entity, text=text)
        for number, text in enumerate(texts(1_100))
        for entity in ("AURL", "BRND")
    ]
    path.write_bytes(b"\n".join(encode(one) for one in found))
    stretch = Stretch(open_mentions([str(path)], Settings()), default_rules(), MonitorOptions())
    told = write_challengers_reference(model, stretch, [], at=NOW, device="cpu")
    assert told == "the challenger's reference for drift: 1,100 recent mentions"
    assert read_reference(model, read_manifest(model).model) is not None


def test_too_few_texts_are_told_and_leave_no_file(model: Path) -> None:
    told = write_challengers_reference(model, None, texts(50), at=NOW, device="cpu")
    assert "needs 1,000 texts at least, there are 50" in told
    assert read_reference(model, read_manifest(model).model) is None
