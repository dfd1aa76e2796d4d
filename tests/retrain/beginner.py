"""A model that was trained for a moment: what a better one is to take over from."""

from __future__ import annotations

from pathlib import Path

from retrain.card import CardFacts
from retrain.job import TrainingJob
from retrain.settings import TrainingSettings
from retrain.train import train_model
from tests.retrain.conftest import invented_sentiment, invented_topic, write_csv


def train_beginner(folder: Path, base: Path) -> tuple[Path, Path, Path]:
    """Train it into a folder, and return the model and the files that it was trained from: sentiment, topic."""
    sentiment = write_csv(folder / "sentiment.csv", invented_sentiment())
    topic = write_csv(folder / "topic.csv", invented_topic())
    job = TrainingJob(
        sentiment=(sentiment,),
        topic=(topic,),
        base=str(base),
        out=folder / "champion",
        name="beginner",
        facts=CardFacts("tiny"),
    )
    settings = TrainingSettings(
        epochs=1, learning_rate=1e-6, head_learning_rate=1e-6, bf16=False, threads=1, dev_share=0.3
    )
    train_model(job, settings, lambda _: None)
    return folder / "champion", sentiment, topic
