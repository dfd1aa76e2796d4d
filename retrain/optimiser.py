"""Learning rates by depth, the warm-up and cosine schedule, and the moving average of the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from models.network import ClassifierNetwork
from retrain.settings import TrainingSettings

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def build_optimiser(network: ClassifierNetwork, settings: TrainingSettings) -> AdamW:
    """Return AdamW with one parameter group per rate and weight decay.

    The heads have their own rate; an encoder layer's rate is the learning rate times `layer_decay` to the power
    of its distance from the top, embeddings lying below the lowest layer. Vectors (biases, norms) do not decay. Frozen
    weights, as adapters leave them, are in no group.
    """
    layers = [int(match[1]) for name, _ in network.encoder.named_parameters() if (match := _LAYER.search(name))]
    depth = max(layers, default=-1) + 1
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((_rate(name, depth, settings), decay), []).append(parameter)
    return AdamW(
        [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in groups.items()],
        fused=True,
    )


def _rate(name: str, depth: int, settings: TrainingSettings) -> float:
    if not name.startswith("encoder."):
        return settings.head_learning_rate
    match = _LAYER.search(name)
    if match:
        below_top = depth - 1 - int(match[1])
    elif "embed" in name:
        below_top = depth
    else:
        below_top = 0
    return settings.learning_rate * settings.layer_decay**below_top


def build_schedule(optimiser: AdamW, steps: int, warmup_share: float) -> LambdaLR:
    """Return the schedule: a linear rise over `warmup_share` of the steps, then half a cosine down to zero."""
    return LambdaLR(optimiser, schedule_factor(steps, warmup_share))


def schedule_factor(steps: int, warmup_share: float) -> Callable[[int], float]:
    """Return what the peak rate is multiplied by at a step."""
    warmup = max(1, round(steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))

    return factor


class WeightAverage:
    """Exponential moving average of a network's weights, started at the first update.

    Early on the decay is lower, (1 + n) / (10 + n) after n updates, so that the random start of the heads is
    soon forgotten.
    """

    def __init__(self, network: ClassifierNetwork, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: ClassifierNetwork) -> None:
        """Move the average towards the network's present weights."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self._values[name].lerp_(value, 1.0 - decay)
            else:
                self._values[name].copy_(value)

    def state(self) -> dict[str, Tensor]:
        """Return a copy of the averaged weights, by parameter name."""
        return {name: value.clone() for name, value in self._values.items()}

    @property
    def updates(self) -> int:
        """How often it has been moved; with `state` all that it needs to go on."""
        return self._updates

    def restore(self, state: Mapping[str, Tensor], updates: int) -> None:
        """Take up the average where `state` and `updates` left it."""
        self._updates = updates
        for name, value in self._values.items():
            value.copy_(state[name])
