"""A small champion that has learned little, files to learn from, and a configuration around them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from retrain.cycle.steps import Run
from retrain.labels.judgement import Judgement, id_of_text
from retrain.labels.store import LabelStore
from retrain.registry.mlflow_registry import Registry
from retrain.registry.promotion import Desk
from streams.config import Settings
from streams.records import ModelInUse
from tests.retrain.conftest import FILLERS, NEGATIVE, POSITIVE

NOW = datetime(2026, 3, 17, 2, tzinfo=UTC)
LABELLED = datetime(2026, 3, 16, 12, tzinfo=UTC)
KNOBS = {"epochs": 6, "batch_size": 16, "learning_rate": 3e-3, "head_learning_rate": 3e-3, "average_decay": 0.0,
         "bf16": False, "threads": 1, "dev_share": 0.2}  # fmt: skip
GATE = {"gate_max_consistency_loss": 0.2, "gate_min_speed": 0.1, "gate_min_slice_rows": 20}
"""What these models cannot be asked for: the champion says one thing of nearly every text, so nothing that is done to a
text changes its mind, and whoever has learned a few words must be less steady; a network that is done in milliseconds
is as fast as the machine happens to be; and there are few texts. All else is asked for as by default."""


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables take seconds to make: one file for all, and a name of its own for each test."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def settings(tmp_path: Path, beginner: tuple[Path, Path, Path], registry_folder: Path) -> Settings:
    champion, sentiment, topic = beginner
    knobs = tmp_path / "training.yaml"
    knobs.write_text(yaml.safe_dump(KNOBS))
    retrain = {
        "labels": tmp_path / "labels", "datasets": tmp_path / "datasets", "runs": tmp_path / "runs",
        "models": tmp_path / "models", "registry": str(registry_folder), "registry_name": tmp_path.name,
        "sentiment": [sentiment], "topic": [topic], "training": knobs, "min_labels": 50,
        "gate_history_days": 0, **GATE,
        "gate_max_calibration_error": 0.3,  # of some fifty held-out rows it is as high by chance
    }  # fmt: skip
    return Settings.model_validate({"classifier": {"model": champion}, "retrain": retrain})


@pytest.fixture
def told() -> list[ModelInUse]:
    return []


@pytest.fixture
def begin(settings: Settings, told: list[ModelInUse]) -> Callable[..., Run]:
    """`begin(**more)`: a run of the loop at `NOW`."""

    def make(**more: object) -> Run:
        retrain = settings.retrain
        desk = Desk(
            registry=Registry(retrain.registry, retrain.registry_name),
            models=retrain.models,
            runs=retrain.runs,
            tell=told.append,
            by="ana",
            now=lambda: NOW,
        )
        return Run(settings=settings, desk=desk, say=lambda _: None, device="cpu", **more)  # type: ignore[arg-type]

    return make


def judged(count: int, *, flipped: bool = False, first: int = 0) -> list[Judgement]:
    """What an annotator says of invented texts; flipped, the wrong thing."""
    found = []
    for number in range(first, first + count):
        dice = random.Random(number + 9_000)
        good = number % 2 == 0
        words = [*dice.sample(FILLERS, 6), dice.choice(POSITIVE if good else NEGATIVE)]
        dice.shuffle(words)
        text = " ".join(words)
        answer = "positive" if good != flipped else "negative"
        found.append(
            Judgement(
                message_id=id_of_text(text),
                text=text,
                task="sentiment",
                answer=answer,
                kind="label",
                by="ana",
                learned_at=LABELLED,
                source="desk",
                lang="en",
            )
        )
    return found


@pytest.fixture
def store(settings: Settings) -> LabelStore:
    return LabelStore(settings.retrain.labels)
