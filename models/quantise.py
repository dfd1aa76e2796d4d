"""Weights in 8 bits: symmetric integers with one scale per output channel (per row of a matrix).

A row w is stored as q = round(w / s) with s = max|w| / 127, and read back as q * s. For an embedding a row is one
token. Vectors (biases, norms) and the small heads stay in float32. Computation happens in floating point: the
integers save disk and repository, not arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.errors import ModelFilesError

_VALUES, _SCALES = ".int8", ".scale"
_LARGEST = 127


def quantise(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by name, each matrix of the encoder as int8 values [rows, ...] and float32 scales [rows].

    Raises:
        ValueError: a matrix holds a value that is not finite.
    """
    stored: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.ndim < 2 or not name.startswith("encoder.") or not value.is_floating_point():
            stored[name] = (value.float() if value.is_floating_point() else value).contiguous()
            continue
        rows = value.float().flatten(1)
        if not torch.isfinite(rows).all():
            raise ValueError(f"{name} holds values that are not finite; the training has diverged")
        scales = rows.abs().amax(dim=1) / _LARGEST
        divisor = torch.where(scales > 0, scales, torch.ones_like(scales)).unsqueeze(1)
        values = torch.round(rows / divisor).clamp(-_LARGEST, _LARGEST).to(torch.int8)
        stored[name + _VALUES] = values.reshape(value.shape).contiguous()
        stored[name + _SCALES] = scales.contiguous()
    return stored


def dequantise(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights by name from what `quantise` made.

    Raises:
        ModelFilesError: an int8 matrix has no scales, or scales of another length.
    """
    weights: dict[str, Tensor] = {}
    for name, value in stored.items():
        if name.endswith(_SCALES):
            continue
        if not name.endswith(_VALUES):
            weights[name] = value
            continue
        base = name.removesuffix(_VALUES)
        scales = stored.get(base + _SCALES)
        if scales is None or scales.shape != value.shape[:1]:
            raise ModelFilesError(f"weights of {base} have no matching scales; train or fetch the model again")
        weights[base] = value.float() * scales.reshape(-1, *[1] * (value.ndim - 1))
    return weights
