from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bench.score_data import ScoreData, read_data, read_held_out, with_reposts
from models.errors import TrainingDataError
from models.files import write_manifest
from retrain.data import read_both
from retrain.job import describe_files
from retrain.settings import TrainingSettings
from streams.errors import InputError
from tests.models.tiny_model import write_tiny_model

LABELS = ("negative", "neutral", "positive")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def write(path: Path, rows: Sequence[tuple[str, str]], columns: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def headlines(count: int, tag: str = "") -> list[tuple[str, str]]:
    return [(f"Company {tag}{n} opens plant {n * 7} in town {n * n}", LABELS[n % 3]) for n in range(count)]


def read(file: Path, model: Path, limit: int = 1000, texts: str = "text", labels: str = "label") -> ScoreData:
    return read_data(file, model, texts_column=texts, labels_column=labels, limit=limit, seed=7)


def test_a_small_file_is_read_whole_and_in_order(tmp_path: Path, model: Path) -> None:
    data = read(write(tmp_path / "a.csv", [*headlines(5), ("  ", "neutral")]), model)
    assert data.texts == tuple(text for text, _ in headlines(5))
    assert data.labels == (0, 1, 2, 0, 1)
    assert len(data.calibration) == 300
    assert not set(data.calibration) & set(data.texts)
    assert not (data.held_out or data.known)


def test_a_large_file_gives_the_same_sample_each_time_and_others_to_calibrate(tmp_path: Path, model: Path) -> None:
    file = write(tmp_path / "a.csv", headlines(60))
    data = read(file, model, limit=20)
    assert data == read(file, model, limit=20)
    assert len(data.texts) == 20
    assert len(data.calibration) == 40
    assert not set(data.calibration) & set(data.texts)
    truth = dict(headlines(60))
    assert [LABELS[label] for label in data.labels or ()] == [truth[text] for text in data.texts]


def test_columns_may_have_other_names_and_labels_may_be_missing(tmp_path: Path, model: Path) -> None:
    file = write(tmp_path / "a.csv", headlines(3), ("body", "mood"))
    assert read(file, model, texts="body", labels="mood").labels == (0, 1, 2)
    assert read(file, model, texts="body").labels is None
    with pytest.raises(InputError, match="no column 'text'; it has body, mood"):
        read(file, model)


def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, model: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv:3: unknown sentiment 'glum'"):
        read(write(tmp_path / "a.csv", [*headlines(1), ("Company 1 closes", "glum")]), model)
    with pytest.raises(InputError, match="has no row with a text"):
        read(write(tmp_path / "b.csv", []), model)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "missing.csv", model)


def test_held_out_rows_are_those_of_the_trainings_own_split(tmp_path: Path, model: Path) -> None:
    sentiment = write(tmp_path / "sentiment.csv", headlines(200))
    topic = write(tmp_path / "topic.csv", [(text, "earnings") for text, _ in headlines(50, "t")])
    examples = read_both([sentiment], [topic])
    settings = TrainingSettings()
    write_manifest(
        model,
        name="tiny",
        max_length=32,
        pad_id=0,
        base={},
        training_data=describe_files([sentiment, topic], examples),
    )
    knobs = {"dev_share": settings.dev_share, "split_seed": settings.split_seed}
    (model / "metrics.json").write_text(json.dumps({"settings": knobs}))
    data = read_held_out(sentiment, model, sentiment=[], topic=[topic], limit=1000, seed=7)
    assert data.held_out
    assert 0 < len(data.texts) < 100
    assert set(data.texts) < {text for text, _ in headlines(200)}
    assert not set(data.texts) & set(data.calibration)
    assert read(sentiment, model).known
    other = write(tmp_path / "other.csv", headlines(9))
    with pytest.raises(TrainingDataError, match="was not trained from exactly"):
        read_held_out(other, model, sentiment=[], topic=[topic], limit=1000, seed=7)


@given(st.integers(0, 300), st.floats(0, 0.9), st.integers(0, 5))
def test_a_stream_brings_each_text_once_before_it_repeats_it(count: int, share: float, seed: int) -> None:
    stream = with_reposts(count, share, seed)
    assert list(dict.fromkeys(stream)) == list(range(count))
    assert stream == with_reposts(count, share, seed)


def test_about_so_many_are_reposts_as_were_asked_for() -> None:
    stream = with_reposts(4000, 0.15, 7)
    assert 1 - 4000 / len(stream) == pytest.approx(0.15, abs=0.02)
    assert with_reposts(50, 0.0, 7) == list(range(50))
    with pytest.raises(ValueError, match="below 1"):
        with_reposts(5, 1.0, 7)
