"""Leaves out layers of an encoder: those that stay are spread evenly, the first and the last among them, as a student
that inherits every second layer of its teacher does (Sanh et al. 2019, "DistilBERT"; Turc et al. 2019).
"""

from __future__ import annotations

from typing import Any

import torch

from models.errors import TrainingDataError
from models.network import ClassifierNetwork


def spread(there: int, kept: int) -> tuple[int, ...]:
    """Return which of so many layers are kept, from 0, evenly spread.

    Raises:
        TrainingDataError: more are to be kept than there are, or none.
    """
    if not 1 <= kept <= there:
        raise TrainingDataError(f"of {there} layers 1 to {there} can be kept, not {kept}")
    if kept == 1:
        return (there - 1,)
    return tuple(round(index * (there - 1) / (kept - 1)) for index in range(kept))


def cut_layers(network: ClassifierNetwork, kept: int) -> tuple[int, ...]:
    """Leave out layers, in place; and return which stay.

    Raises:
        TrainingDataError: the encoder does not keep its layers as BERT's family does, or as `spread`.
    """
    encoder: Any = network.encoder
    layers = getattr(getattr(encoder, "encoder", None), "layer", None)
    if not isinstance(layers, torch.nn.ModuleList):
        raise TrainingDataError(f"layers of a {type(encoder).__name__} cannot be left out: it has no encoder.layer")
    stay = spread(len(layers), kept)
    encoder.encoder.layer = torch.nn.ModuleList([layers[index] for index in stay])
    encoder.config.num_hidden_layers = kept
    return stay
