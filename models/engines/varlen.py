"""Attention over rows that lie end to end: no padding is computed.

On CUDA it is torch's own `torch.nn.attention.varlen.varlen_attn` (torch 2.10 or later, half precision, compute
capability 8.0 or later). The reference computes the same row by row; it runs anywhere and holds the other to account.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attention = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""(query, key, value, offsets, longest) -> mixed values; the three and the result are [tokens, heads, head width]."""

_MIN_CAPABILITY = (8, 0)


def reference_attention(query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, longest: int) -> Tensor:
    """Attend within each row, one row after the other. Tokens behind the last row stay zero."""
    mixed = torch.zeros_like(query)
    for start, stop in pairwise(offsets.tolist()):
        q, k, v = (part[start:stop].transpose(0, 1).unsqueeze(0) for part in (query, key, value))
        mixed[start:stop] = functional.scaled_dot_product_attention(q, k, v).squeeze(0).transpose(0, 1)
    return mixed


def varlen_attention(kernel: str = "auto") -> Attention:
    """Return torch's own padding-free attention.

    Args:
        kernel: "auto" (torch chooses), "flash" or "cudnn".

    Raises:
        ImportError: this torch has none.
        ValueError: the kernel is unknown.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.attention.varlen import varlen_attn

    compute: Any = varlen_attn
    if kernel == "auto":
        return lambda query, key, value, offsets, longest: compute(
            query, key, value, offsets, offsets, longest, longest
        )
    kernels = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    if kernel not in ("auto", *kernels):
        raise ValueError(f"unknown attention kernel {kernel!r}; choose auto, {' or '.join(kernels)}")

    def attend(query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, longest: int) -> Tensor:
        with sdpa_kernel(kernels[kernel]) if kernel != "auto" else nullcontext():
            mixed: Tensor = compute(query, key, value, offsets, offsets, longest, longest)
            return mixed

    return attend


def why_no_varlen(device: torch.device, dtype: torch.dtype) -> str | None:
    """Say why torch's padding-free attention cannot be used here; None if it can."""
    if device.type != "cuda":
        return f"it needs a CUDA device, not {device.type}"
    if dtype not in (torch.bfloat16, torch.float16):
        return f"it computes in half precision, not in {str(dtype).removeprefix('torch.')}"
    capability = torch.cuda.get_device_capability(device)
    if capability < _MIN_CAPABILITY:
        return f"it needs compute capability 8.0 or later, and this device has {capability[0]}.{capability[1]}"
    if find_spec("torch.nn.attention.varlen") is None:
        return f"it came with torch 2.10, and this is {torch.__version__}"
    return None
