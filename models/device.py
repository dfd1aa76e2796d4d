"""Where and in which number format the network runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from models.errors import DeviceError

DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Number formats by the names that `Classifier.load` takes, beside "auto"."""


def choose_device(device: str) -> torch.device:
    """Return the device: "auto" is CUDA where there is one, else the CPU.

    Raises:
        DeviceError: the device is unknown or not present.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise DeviceError(f"unknown device {device!r}; choose auto, cpu, cuda or cuda:N") from None
    if chosen.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {device!r} is not supported; choose auto, cpu, cuda or cuda:N")
    if chosen.type == "cuda":
        present = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (chosen.index or 0) >= present:
            raise DeviceError(f"device {device!r} is not there ({present} CUDA devices found); choose cpu or auto")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the format: "auto" is bfloat16 where the device computes it fast, else float32.

    Scores of the two formats differ in the third decimal, so a cluster whose machines differ should fix one.

    Raises:
        DeviceError: the format is unknown.
    """
    if dtype != "auto":
        if dtype not in DTYPES:
            raise DeviceError(f"unknown number format {dtype!r}; choose auto, {' or '.join(DTYPES)}")
        return DTYPES[dtype]
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else has_fast_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def has_fast_bfloat16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware (AVX512_BF16 or AMX); else float32 is faster."""
    # torch before 2.10 cannot say: float32 is right everywhere.
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
