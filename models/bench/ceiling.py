"""The speed of a plain matrix product on a device: what no network of matrix products can exceed."""

from __future__ import annotations

import time

import torch

_SIDE = {"cuda": 8192, "cpu": 2048}
"""Large enough that the product, and not its beginning and end, is measured."""
_ROUNDS = 5
_PRODUCTS = {"cuda": 10, "cpu": 1}


@torch.inference_mode()
def matmul_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Return floating-point operations per second of the best round of square products, 2n^3 each."""
    side, products = _SIDE[device.type], _PRODUCTS[device.type]
    left, right = (torch.randn(side, side, dtype=torch.float32).to(device, dtype) for _ in range(2))
    out = left @ right
    best_s = float("inf")
    for _ in range(_ROUNDS):
        synchronise(device)
        began = time.perf_counter()
        for _ in range(products):
            torch.matmul(left, right, out=out)
        synchronise(device)
        best_s = min(best_s, time.perf_counter() - began)
    return products * 2 * side**3 / best_s


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given; nothing to wait for on the CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
