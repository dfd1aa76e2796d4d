"""What metrics.json holds of a training; nothing in it depends on the clock, so equal runs write equal files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import transformers

from models.files import Manifest
from retrain.evaluation import Report
from retrain.held_out import HeldOut
from retrain.loop import LabelledTokens
from retrain.place import TrainingResult
from retrain.settings import TrainingSettings
from retrain.split import Split


def training_metrics(
    manifest: Manifest,
    settings: TrainingSettings,
    result: TrainingResult,
    split: Split,
    labelled: Sequence[LabelledTokens],
    before: Report,
    shipped: HeldOut,
) -> dict[str, Any]:
    """Return the figures of a run as plain values.

    Args:
        manifest: of the finished model.
        settings: the knobs.
        result: course of the run.
        split: of the labelled rows.
        labelled: the labelled rows of both sides; pseudo-labels are told apart from them.
        before: figures on one of each group of the development rows, of the weights before rounding.
        shipped: figures of the model as it is loaded.
    """
    lengths = [len(item.tokens.ids) for item in labelled]
    return {
        "model": asdict(manifest.model),
        "rows": {
            "train": len(split.train),
            "dev": len(split.dev),
            "dev_firsts": len(split.dev_firsts),
            "dev_duplicates": split.dev_duplicates,
            "groups": split.groups,
            "mean_tokens": round(float(np.mean(lengths)), 2),
            "longest_tokens": max(lengths),
        },
        "dev": shipped.dev,
        "dev_firsts": shipped.firsts,
        "dev_firsts_float32_weights": before,
        "best_epoch": result.best_epoch,
        "stopped_early": result.stopped,
        "history": result.history,
        "settings": settings.as_dict(),
        "environment": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads(),
        },
    }
