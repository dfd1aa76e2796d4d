"""When a model was learned: from the command line through the job into manifest and card."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from deploy.cli import app
from models.files import peek_manifest
from retrain.card import CARD, CardFacts
from retrain.job import TrainingJob
from retrain.settings import TrainingSettings
from retrain.train import train_model

LEARNED_AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def same_threads() -> object:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_manifest_and_card_say_when_it_was_learned_and_the_version_does_not_depend_on_it(
    sentiment_file: Path, topic_file: Path, tiny_base: Path, tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=1, batch_size=16, bf16=False, dev_share=0.2, threads=1)
    job = TrainingJob(
        (sentiment_file,), (topic_file,), str(tiny_base), tmp_path / "silent", "tiny", CardFacts("x"), device="cpu"
    )
    silent = train_model(job, settings, progress=lambda line: None)
    dated = train_model(
        replace(job, out=tmp_path / "dated", learned_at=LEARNED_AT), settings, progress=lambda line: None
    )
    assert peek_manifest(dated.folder).learned_at == LEARNED_AT
    assert peek_manifest(silent.folder).learned_at is None
    assert dated.manifest.version == silent.manifest.version
    assert "- Learned at 2026-01-31T12:00:00Z" in (dated.folder / CARD).read_text()
    assert "Learned at" not in (silent.folder / CARD).read_text()


@pytest.mark.parametrize("given", ["yesterday", "2026-01-31T12:00:00", "2026-01-31"])
def test_a_time_without_an_offset_is_refused_before_anything_is_read(given: str) -> None:
    arguments = ["train", "--sentiment", "a.csv", "--topic", "b.csv", "--base", "c", "--out", "d"]
    result = CliRunner().invoke(app, [*arguments, "--learned-at", given])
    assert result.exit_code == 2
    assert "needs a time with an offset" in " ".join(result.output.split())
