"""The classifier alone, in a process of its own: `python -m deploy.bench.alone CONFIG TEXTS`; for the pipeline bench.

The same model, device, batch size and texts as the worker's, and nothing around them. Prints one JSON object.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from models.prediction import Scorer
from streams.config import load_settings
from streams.scoring.build import load_scorer


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """Messages per second of the classifier alone, and what they cost."""

    best_per_s: float
    median_per_s: float
    cpu_s_per_message: float
    mean_tokens: float
    model: str


def measure(scorer: Scorer, texts: Sequence[str], *, batch_messages: int, repeats: int) -> Alone:
    """Score all texts `repeats` times, in batches as the worker's, after one batch to warm up."""
    scorer.predict(texts[:batch_messages])
    seconds, tokens = [], 0
    cpu_s = time.process_time()
    for _ in range(repeats):
        tokens = 0
        began = time.perf_counter()
        for start in range(0, len(texts), batch_messages):
            found = scorer.predict(texts[start : start + batch_messages])
            tokens += sum(prediction.tokens for prediction in found)
        seconds.append(time.perf_counter() - began)
    cpu_s = time.process_time() - cpu_s
    return Alone(
        best_per_s=len(texts) / min(seconds),
        median_per_s=len(texts) / statistics.median(seconds),
        cpu_s_per_message=cpu_s / repeats / len(texts),
        mean_tokens=tokens / len(texts),
        model=f"{scorer.model.name} {scorer.model.version}",
    )


def main(arguments: Sequence[str]) -> None:
    """Measure the texts of a JSON file with the settings of a configuration file, and print the result."""
    config, texts, repeats = arguments
    settings = load_settings(Path(config))
    # The texts are scored several times over: from memory they would cost nothing.
    forgetful = settings.classifier.model_copy(update={"remembered_texts": 0})
    found = measure(
        load_scorer(settings.model_copy(update={"classifier": forgetful})),
        msgspec.json.decode(Path(texts).read_bytes(), type=list[str]),
        batch_messages=settings.worker.batch_messages,
        repeats=int(repeats),
    )
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
