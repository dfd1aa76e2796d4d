"""Texts in, predictions out. This floor knows torch and transformers, and neither Kafka nor the stream.

Importing the package is cheap: `Classifier` (and with it torch) is loaded when it is first asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from models.labels import SENTIMENTS, TOPIC_IDS, TOPIC_NAMES, TOPICS
from models.prediction import ModelId, Prediction, Scorer

if TYPE_CHECKING:
    from models.classifier import Classifier

# Before torch is imported. By default OpenMP's threads spin while they wait for each other, and when anything else runs
# on the machine each step waits for a thread that spins in vain: on two busy cores scoring was seven times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = [
    "SENTIMENTS",
    "TOPICS",
    "TOPIC_IDS",
    "TOPIC_NAMES",
    "Classifier",
    "ModelId",
    "Prediction",
    "Scorer",
]


def __getattr__(name: str) -> Any:
    if name == "Classifier":
        from models.classifier import Classifier

        return Classifier
    raise AttributeError(f"module 'models' has no attribute {name!r}")
