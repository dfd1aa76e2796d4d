"""The sides that a model was trained and held out on, for a holdout that judges it fairly.

The first champion was trained before there was a ledger of sides. A holdout drawn at random from its own training files
would ask it mostly what it has learned by heart, and no challenger could win. So what it held out is the holdout.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from models.files import file_sha256, read_manifest
from retrain.card import METRICS
from retrain.data import TASKS, Example, Task, read_examples
from retrain.datasets.assign import Side, text_key
from retrain.split import split_examples


def sides_of(model: Path, files: dict[Task, Sequence[Path]]) -> dict[str, Side] | None:
    """Return the sides of a model's training files, by `text_key`; None where they cannot be told.

    They can be told of a model that was trained from exactly these files and says how it split them.

    Args:
        model: a model folder.
        files: training files by head, in the order in which they were given to the training.

    Raises:
        ModelFilesError: the folder is no model.
        TrainingDataError: a file cannot be read.
    """
    told = read_manifest(model).training_data
    theirs = {str(entry["sha256"]) for entry in told}
    cuts = {entry.get("known_until") for entry in told}
    paths = [path for task in TASKS for path in files.get(task, ())]
    if not paths or len(cuts) != 1 or theirs != {file_sha256(path) for path in paths if path.is_file()}:
        return None
    try:
        knobs = json.loads((model / METRICS).read_text(encoding="utf-8"))["settings"]
        dev_share, seed = float(knobs["dev_share"]), int(knobs["split_seed"])
        (cut,) = cuts
        until = None if cut is None else datetime.fromisoformat(cut)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    examples: list[Example] = [one for task in TASKS for one in read_examples(files.get(task, ()), task, until=until)]
    split = split_examples(examples, dev_share, seed)
    sides: dict[str, Side] = {text_key(examples[index].text): "train" for index in split.train}
    sides |= {text_key(examples[index].text): "holdout" for index in split.dev}
    return sides
