"""Answers and references that a test makes up."""

from __future__ import annotations

from datetime import UTC, datetime

from models.labels import SENTIMENTS, TOPIC_IDS
from models.prediction import ModelId, Prediction, Tier
from streams.watch.reference import LEAST_TEXTS, Reference, ReferenceBuilder

MODEL = ModelId("desk", "0123456789ab")
OTHER = ModelId("desk", "ba9876543210")
AT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa".split()


def answer(
    negative: float = 0.2,
    neutral: float = 0.5,
    positive: float = 0.3,
    *,
    topic: str = "earnings",
    model: ModelId | None = MODEL,
    tier: Tier = "transformer",
    degraded: bool = False,
) -> Prediction:
    """Return an answer with these sentiments."""
    sentiments = (negative, neutral, positive)
    return Prediction(
        *sentiments,
        label=SENTIMENTS[sentiments.index(max(sentiments))],
        topics=tuple(float(name == topic) for name in TOPIC_IDS),
        topic=topic,
        topic_probability=1.0,
        truncated=False,
        tokens=8,
        tier=tier,
        degraded=degraded,
        model=model,
    )


def usual(number: int) -> tuple[str, Prediction]:
    """Return the text and the answer of one of the usual kind; they repeat after 160 numbers."""
    text = " ".join(WORDS[(number + at) % len(WORDS)] for at in range(4 + number % 10))
    negative = (number % 10) / 10
    neutral = round((1 - negative) / 2, 4)
    return text, answer(negative, neutral, round(1 - negative - neutral, 4), topic=TOPIC_IDS[number % 5])


def usual_reference(texts: int = LEAST_TEXTS, model: ModelId = MODEL) -> Reference:
    """Return the reference of so many usual texts."""
    builder = ReferenceBuilder()
    for number in range(texts):
        text, found = usual(number)
        builder.add(text, found.negative, found.topic)
    return builder.build(model, made_at=AT, sources=["usual.csv"])
