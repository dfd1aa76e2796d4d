"""Where a training stands, to the bit: what a checkpoint holds, and how a run takes it up again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from models.errors import TrainingDataError
from models.network import ClassifierNetwork
from retrain.checkpoint import Checkpoints
from retrain.optimiser import WeightAverage
from retrain.world import World


@dataclass(slots=True)
class TrainingResult:
    """The weights of the best evaluation and the course of the run.

    Attributes:
        state: weights by name; where adapters were trained, theirs among them.
        best_epoch: epochs after which they stood, a fraction within one.
        best: their score on the development rows.
        stopped: whether patience ended the run before its last epoch.
        history: one record per evaluation.
    """

    state: dict[str, Tensor]
    best_epoch: float
    best: float = -1.0
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Place:
    """How far a run has come.

    Attributes:
        result: what it has found so far.
        step: steps taken.
        epoch: epochs finished.
        batch: batches of the present epoch that were taken.
        waited: evaluations in a row that brought nothing better.
        losses: of the steps since the last evaluation.
        order: state of the generator that orders the rows, as it was before the present epoch.
    """

    result: TrainingResult
    step: int = 0
    epoch: int = 0
    batch: int = 0
    waited: int = 0
    losses: list[float] = field(default_factory=list)
    order: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parts:
    """All that moves while a network is trained."""

    network: ClassifierNetwork
    optimiser: torch.optim.Optimizer
    schedule: LambdaLR
    average: WeightAverage | None
    random: np.random.Generator
    place: Place
    world: World

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all of it as numbers and plain values. Of several processes all must call it."""
        place, result = self.place, self.place.result
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in state.items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.state().items()}
        tensors |= {f"best.{name}": value for name, value in result.state.items()}
        device = next(self.network.parameters()).device
        for kind, state in self._dice(device).items():
            for rank, value in enumerate(self.world.gather(state, device)):
                tensors[f"dice.{kind}.{rank}"] = value
        values = {
            "step": place.step,
            "epoch": place.epoch,
            "batch": place.batch,
            "waited": place.waited,
            "losses": list(place.losses),
            "order": place.order,
            "best_epoch": result.best_epoch,
            "best": result.best,
            "stopped": result.stopped,
            "history": list(result.history),
            "updates": self.average.updates if self.average else 0,
            "rates": [group["lr"] for group in self.optimiser.param_groups],
            "schedule": {name: value for name, value in self.schedule.state_dict().items() if name != "lr_lambdas"},
        }
        return tensors, values

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Put everything back to where `capture` found it.

        Raises:
            KeyError: something is missing.
        """
        place, result = self.place, self.place.result
        device = next(self.network.parameters()).device
        self.network.load_state_dict(_under(tensors, "network."))
        saved = self.optimiser.state_dict()
        saved["state"] = _by_index(_under(tensors, "optimiser."))
        self.optimiser.load_state_dict(saved)
        for group, rate in zip(self.optimiser.param_groups, values["rates"], strict=True):
            group["lr"] = rate
        self.schedule.load_state_dict(self.schedule.state_dict() | values["schedule"])
        if self.average:
            self.average.restore(_under(tensors, "average."), values["updates"])
        self.random.bit_generator.state = values["order"]
        place.order = values["order"]
        place.step, place.epoch, place.batch = values["step"], values["epoch"], values["batch"]
        place.waited, place.losses = values["waited"], list(values["losses"])
        result.state = {name: value.to(device) for name, value in _under(tensors, "best.").items()}
        result.best_epoch, result.best, result.stopped = values["best_epoch"], values["best"], values["stopped"]
        result.history = list(values["history"])
        torch.set_rng_state(tensors[f"dice.cpu.{self.world.rank}"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(tensors[f"dice.cuda.{self.world.rank}"], device)

    @staticmethod
    def _dice(device: torch.device) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        return states


class Kept:
    """One stage's checkpoints, written every so many steps.

    Args:
        checkpoints: where they lie.
        stage: what they are called.
        every_steps: steps from one to the next; 0 writes none.
    """

    def __init__(self, checkpoints: Checkpoints, stage: str, every_steps: int) -> None:
        self._checkpoints = checkpoints
        self._stage = stage
        self._every_steps = every_steps

    def offer(self, parts: Parts, step: int) -> None:
        """Write a checkpoint if it is time for one.

        Raises:
            OSError: it cannot be written.
        """
        if self._every_steps and step % self._every_steps == 0:
            self._checkpoints.save(self._stage, *parts.capture())

    def restore(self, parts: Parts) -> bool:
        """Take up the run where its last checkpoint left it; False if there is none.

        Raises:
            TrainingDataError: the checkpoint is damaged.
        """
        found = self._checkpoints.load(self._stage)
        parts.world.wait()  # none may write the next one before all have read this one
        if found is None:
            return False
        try:
            parts.restore(*found)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise TrainingDataError(
                f"{self._checkpoints.folder}: the checkpoint {self._stage} does not fit ({error}); begin again "
                "with --fresh"
            ) from None
        return True


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _by_index(states: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in states.items():
        index, _, key = name.partition(".")
        found.setdefault(int(index), {})[key] = value
    return found
