"""Cross-validation by text group: how much the figures depend on which texts happen to be held out.

The text groups are dealt into folds; each fold is held out once. The weights that a fold keeps are chosen on a
development split of its own training side, so that the held-out fold chooses nothing and its figures are honest.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from models.errors import TrainingDataError
from retrain.checkpoint import Checkpoints
from retrain.data import HEADS, Example
from retrain.fit import Material, check_sides, fit, network_report
from retrain.loop import Hooks, LabelledTokens
from retrain.settings import TrainingSettings
from retrain.split import group_texts, normalise_text, split_examples, unit_hash


def fold_examples(examples: Sequence[Example], folds: int, seed: int) -> list[tuple[int, ...]]:
    """Return the positions of each fold's examples; near-duplicates are in one fold, whatever their task or file.

    Groups are ordered by a hash of the seed and their alphabetically first normalised text and dealt in turn, so that
    the folds have nearly as many groups each.
    """
    groups = group_texts([example.text for example in examples]).tolist()
    first: dict[int, str] = {}
    for group, example in zip(groups, examples, strict=True):
        text = normalise_text(example.text)
        first[group] = min(first.get(group, text), text)
    order = sorted(first, key=lambda group: (unit_hash(f"{seed}:folds:{first[group]}"), first[group]))
    fold_of = {group: place % folds for place, group in enumerate(order)}
    return [tuple(index for index, group in enumerate(groups) if fold_of[group] == fold) for fold in range(folds)]


def cross_validate(
    material: Material,
    rows: Sequence[LabelledTokens],
    settings: TrainingSettings,
    *,
    begin: Callable[[str], Hooks],
    checkpoints: Checkpoints | None = None,
) -> dict[str, Any]:
    """Return accuracy and macro F1 by head and file: of each fold, their mean, and their standard deviation.

    Args:
        material: base, tokenizer and device.
        rows: all labelled rows, those held out from the training proper included: each fold is a model of its own.
        settings: the knobs.
        begin: told what begins; returns what that fold calls on its way.
        checkpoints: where the figures of finished folds are kept.

    Raises:
        TrainingDataError: a fold has too few rows of a head.
    """
    examples = [row.example for row in rows]
    by_fold: list[dict[str, dict[str, dict[str, float]]]] = []
    for number, held_out in enumerate(fold_examples(examples, settings.folds, settings.split_seed)):
        found = checkpoints.load(f"fold-{number}") if checkpoints else None
        if found is None:
            hooks = begin(f"fold {number + 1} of {settings.folds}")
            report = _fold(material, rows, held_out, settings, hooks)
            if checkpoints and settings.checkpoint_steps:
                checkpoints.save(f"fold-{number}", {}, {"report": report})
        else:
            report = found[1]["report"]
        by_fold.append(report)
    return {"folds": by_fold, "summary": _summary(by_fold)}


def _fold(
    material: Material,
    rows: Sequence[LabelledTokens],
    held_out: Sequence[int],
    settings: TrainingSettings,
    hooks: Hooks,
) -> dict[str, dict[str, dict[str, float]]]:
    closed = set(held_out)
    others = [row for index, row in enumerate(rows) if index not in closed]
    examples = [row.example for row in others]
    inner = split_examples(examples, settings.dev_share, settings.split_seed)
    check_sides(examples, inner)
    for task in HEADS:
        if not any(rows[index].example.task == task for index in held_out):
            raise TrainingDataError(f"a fold of {settings.folds} has no {task} rows; give more rows or fewer folds")
    train, dev = [others[index] for index in inner.train], [others[index] for index in inner.dev_firsts]
    fitted = fit(material, train, dev, settings, hooks=hooks)
    report = network_report(
        fitted.network, _once([rows[index] for index in held_out]), material.pad_id, bf16=settings.bf16
    )
    return {
        head: {
            file: {name: figures[name] for name in ("rows", "accuracy", "macro_f1")} for file, figures in files.items()
        }
        for head, files in report.items()
    }


def _once(rows: Sequence[LabelledTokens]) -> list[LabelledTokens]:
    """Return the first of the rows of a task whose texts are equal once normalised, as the development split does."""
    seen: set[tuple[str, str]] = set()
    kept: list[LabelledTokens] = []
    for row in rows:
        key = (row.example.task, normalise_text(row.example.text))
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept


def _summary(by_fold: Sequence[dict[str, dict[str, dict[str, float]]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return mean and standard deviation over the folds in which a file has rows."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for head in HEADS:
        files = dict.fromkeys(file for fold in by_fold for file in fold[head])
        summary[head] = {}
        for file in files:
            found = [fold[head][file] for fold in by_fold if file in fold[head]]
            summary[head][file] = {"folds": len(found), "rows": sum(int(entry["rows"]) for entry in found)}
            for name in ("accuracy", "macro_f1"):
                values = [entry[name] for entry in found]
                summary[head][file][name] = statistics.fmean(values)
                summary[head][file][f"{name}_spread"] = statistics.stdev(values) if len(values) > 1 else 0.0
    return summary
