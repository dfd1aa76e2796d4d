"""From a backend's name to an engine with a model folder in it."""

from __future__ import annotations

from pathlib import Path

from models.device import choose_device, choose_dtype, has_fast_bfloat16
from models.engines.artefacts import default_cache
from models.engines.base import Engine
from models.errors import BackendMissingError, DeviceError
from models.files import Manifest
from models.storage import load_network

BACKENDS = ("torch", "onnx", "openvino")
"""Names that `load_engine` takes, beside "auto"."""


def load_engine(
    folder: Path,
    manifest: Manifest,
    *,
    backend: str,
    device: str = "auto",
    dtype: str = "auto",
    cache: Path | None = None,
    calibration: Path | None = None,
) -> Engine:
    """Load a checked model folder into a backend.

    Args:
        folder, manifest: the model.
        backend: one of `BACKENDS`, or "auto": what `squall models tune` has found to be the fastest on this machine
            for this model, and torch where it has not been run or no longer fits.
        device: "auto", "cpu", "cuda" or "cuda:N"; backends other than torch are for the CPU.
        dtype: "auto" or a number format that the backend has.
        cache: where converted models and the choice are kept; None is the user's cache folder.
        calibration: texts for OpenVINO's 8 bits, one a line; None takes generated ones.

    Raises:
        BackendMissingError: the backend is unknown or not installed.
        DeviceError: the device or the number format is unknown or not there.
        ModelFilesError: the folder's files do not fit each other, or the cache folder cannot be written.
    """
    kept = cache or default_cache()
    if backend == "auto":
        from models.engines.tuned import load_tuned

        found = load_tuned(folder, manifest, device=device, dtype=dtype, cache=kept)
        if found is not None:
            return found
        backend = "torch"
    if backend == "torch":
        return _torch(folder, manifest, device, dtype)
    if backend not in BACKENDS:
        raise BackendMissingError(f"unknown backend {backend!r}; choose auto, {' or '.join(BACKENDS)}")
    if device not in ("auto", "cpu"):
        raise DeviceError(f"{backend} computes on the CPU, not on {device!r}; choose cpu, or the backend torch")
    # Imported here: each needs libraries that may be absent.
    if backend == "openvino":
        from models.engines import openvino_engine

        wanted = ("bfloat16" if has_fast_bfloat16() else "float32") if dtype == "auto" else dtype
        precision = _checked(wanted, openvino_engine.PRECISIONS, backend)
        return openvino_engine.OpenVinoEngine.load(
            folder, manifest, precision=precision, cache=kept, calibration=calibration
        )
    from models.engines import onnx_engine

    precision = _checked("float32" if dtype == "auto" else dtype, onnx_engine.PRECISIONS, backend)
    return onnx_engine.OnnxEngine.load(folder, manifest, precision=precision, cache=kept)


def _torch(folder: Path, manifest: Manifest, device: str, dtype: str) -> Engine:
    where = choose_device(device)
    if where.type == "cuda":
        from models.engines.cuda import engine_on_cuda

        return engine_on_cuda(load_network(folder), manifest.pad_id, device=where, dtype=choose_dtype(dtype, where))
    from models.engines.torch_engine import TorchEngine

    return TorchEngine(load_network(folder), manifest.pad_id, device=where, dtype=choose_dtype(dtype, where))


def _checked(dtype: str, known: tuple[str, ...], backend: str) -> str:
    if dtype not in known:
        raise DeviceError(f"{backend} has no number format {dtype!r}; choose auto, {' or '.join(known)}")
    return dtype
