"""From a backend's name to an engine with a model folder in it."""

from __future__ import annotations

from pathlib import Path

from models.device import choose_device, choose_dtype
from models.engines.base import Engine
from models.errors import BackendMissingError
from models.files import Manifest
from models.storage import load_network

BACKENDS = ("torch",)
"""Names that `load_engine` takes."""


def load_engine(folder: Path, manifest: Manifest, *, backend: str, device: str, dtype: str) -> Engine:
    """Load a checked model folder into a backend.

    Raises:
        BackendMissingError: the backend is unknown or not installed.
        DeviceError: the device or the number format is unknown or not there.
        ModelFilesError: the folder's files do not fit each other.
    """
    if backend not in BACKENDS:
        raise BackendMissingError(f"unknown backend {backend!r}; choose {' or '.join(BACKENDS)}")
    from models.engines.torch_engine import TorchEngine

    where = choose_device(device)
    if where.type == "cuda":
        from models.engines.cuda import engine_on_cuda

        return engine_on_cuda(load_network(folder), manifest.pad_id, device=where, dtype=choose_dtype(dtype, where))
    return TorchEngine(load_network(folder), manifest.pad_id, device=where, dtype=choose_dtype(dtype, where))
