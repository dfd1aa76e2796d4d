"""One configuration of ours, in a process of its own: `python -m deploy.bench.score_ours JSON`.

It speaks as `deploy.bench.score_foreign` does. Texts come raw, in calls of as many messages as the worker's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.bench.score_foreign import own_stdout, serve
from models.labels import SENTIMENTS
from models.prediction import Prediction, Scorer

CACHE_CAPACITY = 20_000


class Calls:
    """Scores texts in calls of a size, and remembers what was said of the last pass.

    Args:
        scorer: what answers.
        call_messages: messages per call.
        cached: put a memory before the scorer, empty at the beginning of each pass.
    """

    def __init__(self, scorer: Scorer, call_messages: int, *, cached: bool) -> None:
        self._scorer = scorer
        self._call_messages = call_messages
        self._cached = cached
        self.shares: dict[str, float] = {}

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """Return the position of each text's sentiment."""
        scorer = self._scorer
        if self._cached:
            from models.cache import CachedScorer, PredictionCache

            scorer = CachedScorer(scorer, PredictionCache(CACHE_CAPACITY))
        found: list[Prediction] = []
        for start in range(0, len(texts), self._call_messages):
            found += scorer.predict(texts[start : start + self._call_messages])
        self.shares["first_tier_share"] = sum(row.tier == "linear" for row in found) / len(found)
        self.shares["cached_share"] = sum(row.cached for row in found) / len(found)
        return [SENTIMENTS.index(row.label) for row in found]


def build(folder: str, options: dict[str, Any]) -> tuple[Calls, dict[str, Any]]:
    """Load a configuration: backend, number format, first tier, cache."""
    from models import Classifier

    classifier = Classifier.load(folder, backend=options["backend"], dtype=options.get("dtype", "auto"))
    scorer: Scorer = classifier
    if options.get("first_tier"):
        from models.first_tier import TieredScorer

        scorer = TieredScorer.load(classifier, Path(folder))
    about = {"backend": classifier.backend, "precision": classifier.precision}
    return Calls(scorer, options["call_messages"], cached=bool(options.get("cache"))), about


def main() -> None:
    """Load the configuration named in the argument and serve."""
    import torch

    task = json.loads(sys.argv[1])
    answer = own_stdout()
    torch.set_num_threads(task["threads"])
    texts = json.loads(Path(task["texts"]).read_text(encoding="utf-8"))
    score, about = build(task["folder"], task["options"])
    serve(score, about, texts, answer, more=score.shares)


if __name__ == "__main__":
    main()
