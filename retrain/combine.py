"""Several runs made into one model: the best, the mean of their weights, or a pupil of them all.

- best: the run with the highest development score.
- soup: the uniform mean of the runs' weights (Wortsman et al., "Model soups", 2022), kept only where its development
  score is higher than the best run's. All runs start from the same base and heads; a mean of others is no model.
- distil: one more run learns from the runs' mean probabilities (`retrain.teachers` says how).

The ensemble itself, the mean of the runs' probabilities, is reported beside them: what keeping all would be worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.network import ClassifierNetwork
from retrain.base import build_network, load_base
from retrain.checkpoint import Checkpoints
from retrain.data import TASKS, Task
from retrain.evaluation import report_by_file
from retrain.fit import Fitted, Material, development_score, fit, probabilities, selection
from retrain.loop import Hooks, LabelledTokens
from retrain.place import Kept, TrainingResult
from retrain.settings import TrainingSettings
from retrain.world import ALONE, World

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Combined:
    """What was made of the runs.

    Attributes:
        network: the model.
        result: course of the run that it is, or is nearest to: the best one for a soup.
        facts: for metrics.json; None for a single run.
    """

    network: ClassifierNetwork
    result: TrainingResult
    facts: dict[str, Any] | None


def train_runs(
    material: Material,
    train: Sequence[LabelledTokens],
    dev: Sequence[LabelledTokens],
    settings: TrainingSettings,
    *,
    begin: Callable[[str], Hooks],
    world: World = ALONE,
    checkpoints: Checkpoints | None = None,
) -> Combined:
    """Train as many runs as the settings say and make one model of them.

    Args:
        material: base, tokenizer and device.
        train: training rows.
        dev: rows that choose.
        settings: the knobs.
        begin: told what begins; returns what that run calls on its way.
        world: the processes that train together.
        checkpoints: where finished and unfinished runs are kept.

    Raises:
        ModelFilesError: the base cannot be used.
        TrainingDataError: a checkpoint is damaged.
    """

    def one(run: int, rows: Sequence[LabelledTokens]) -> Fitted:
        hooks = begin("training" if settings.runs == 1 else f"training, run {run + 1}")
        return _finished(material, rows, dev, settings, run, hooks, world, checkpoints)

    runs = [one(run, train) for run in range(settings.runs)]
    best = max(runs, key=lambda run: run.result.best)
    if settings.runs == 1:
        return Combined(best.network, best.result, None)
    told = [probabilities(run.network, dev, material.pad_id, bf16=settings.bf16) for run in runs]
    ensemble = report_by_file([row.example for row in dev], *_mean(told))
    facts: dict[str, Any] = {
        "combine": settings.combine,
        "runs": [
            {"seed": settings.seed + index, "best_epoch": run.result.best_epoch, "score": run.result.best}
            for index, run in enumerate(runs)
        ],
        "ensemble": ensemble,
        "ensemble_score": selection(ensemble)["selection"],
        "kept": f"run {runs.index(best) + 1}",
    }
    if settings.combine == "soup":
        return _soup(material, runs, best, dev, settings, facts)
    if settings.combine == "distil":
        pupil = one(settings.runs, _taught(material, runs, train, settings))
        facts |= {"kept": "a pupil of all", "pupil_score": pupil.result.best}
        return Combined(pupil.network, pupil.result, facts)
    return Combined(best.network, best.result, facts)


def mean_weights(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the uniform mean of several networks' weights; what is no fraction is the first one's."""
    return {
        name: sum((state[name] for state in states[1:]), value.clone()) / len(states)
        if value.is_floating_point()
        else value.clone()
        for name, value in states[0].items()
    }


def _finished(
    material: Material,
    train: Sequence[LabelledTokens],
    dev: Sequence[LabelledTokens],
    settings: TrainingSettings,
    run: int,
    hooks: Hooks,
    world: World,
    checkpoints: Checkpoints | None,
) -> Fitted:
    """Return a run, from its checkpoint where it was finished before a kill."""
    if checkpoints is None or not settings.checkpoint_steps:
        return fit(material, train, dev, settings, run=run, hooks=hooks, world=world)
    found = checkpoints.load(f"run-{run}")
    world.wait()
    if found is not None:
        state, values = found
        network = blank(material, settings)
        network.load_state_dict(state)
        hooks.say("this run was finished before")
        return Fitted(network.eval(), TrainingResult(state={}, **values))
    kept = Kept(checkpoints, f"steps-{run}", settings.checkpoint_steps)
    fitted = fit(material, train, dev, settings, run=run, hooks=hooks, world=world, kept=kept)
    values = asdict(replace(fitted.result, state={}))
    del values["state"]
    checkpoints.save(f"run-{run}", fitted.network.state_dict(), values)
    checkpoints.forget(f"steps-{run}")
    return fitted


def blank(material: Material, settings: TrainingSettings) -> ClassifierNetwork:
    """Return a network of the base's shape, to put weights into."""
    return build_network(load_base(material.base, material.folder), settings.head_dropout).to(material.device)


def _soup(
    material: Material,
    runs: Sequence[Fitted],
    best: Fitted,
    dev: Sequence[LabelledTokens],
    settings: TrainingSettings,
    facts: dict[str, Any],
) -> Combined:
    network = blank(material, settings)
    network.load_state_dict(mean_weights([run.network.state_dict() for run in runs]))
    network.eval()
    score = development_score(network, dev, material.pad_id, settings.bf16)["selection"] if dev else -1.0
    facts["soup_score"] = score
    if score <= best.result.best:
        return Combined(best.network, best.result, facts)
    facts["kept"] = "the mean of all weights"
    return Combined(network, best.result, facts)


def _taught(
    material: Material, runs: Sequence[Fitted], rows: Sequence[LabelledTokens], settings: TrainingSettings
) -> list[LabelledTokens]:
    """Return the rows with the runs' mean probabilities, in place of what other teachers said."""
    words = _mean([probabilities(run.network, rows, material.pad_id, bf16=settings.bf16) for run in runs])
    soft: dict[Task, NDArray[np.float32]] = {
        task: word.astype(np.float32) for task, word in zip(TASKS, words, strict=True)
    }
    return [replace(row, soft={task: word[index] for task, word in soft.items()}) for index, row in enumerate(rows)]


def _mean(
    told: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.mean([one for one, _ in told], axis=0), np.mean([one for _, one in told], axis=0)
