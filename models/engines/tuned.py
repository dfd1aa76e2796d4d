"""This machine's choice of a backend for a model: made by `squall models tune`, used where a backend is "auto".

It stands in the cache folder, and counts only for the version of the model, the machine and the libraries that were
measured. Where it does not count, torch computes; a log line says why.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.engines.artefacts import installed, model_folder
from models.engines.base import Engine
from models.errors import BackendMissingError, ModelError, ModelFilesError
from models.files import Manifest

log = logging.getLogger(__name__)

CHOICE = "choice.json"
LIBRARIES = {"torch": ("torch",), "onnx": ("onnx", "onnxruntime"), "openvino": ("openvino", "nncf")}
"""Distributions by backend whose versions a choice holds to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found to be the fastest within the bound.

    Attributes:
        model, version: of which model.
        backend, precision, device: what computes, as `models.Classifier.load` takes it.
        machine: the processors that it was measured on.
        libraries: versions of what computes, by distribution.
        calibration: file of the texts that 8 bits were fitted to; None are generated ones.
        bound: the largest loss of accuracy that was allowed.
        messages_per_s, against_torch: its speed, and how many times that of torch.
        loss: of accuracy, against torch in float32, as it was measured.
    """

    model: str
    version: str
    backend: str
    precision: str
    device: str
    machine: str
    libraries: dict[str, str]
    calibration: str | None
    bound: float
    messages_per_s: float
    against_torch: float
    loss: float

    def __str__(self) -> str:
        return f"{self.backend} {self.precision} on {self.device}"


def this_machine() -> str:
    """Return what tells machines apart for which another backend may be the fastest: processors and their number."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass  # not Linux
    cuda = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{name} x {os.cpu_count()}{cuda}"


def write_choice(choice: Choice, manifest: Manifest, cache: Path) -> Path:
    """Keep the choice, in place of an earlier one, and return its file.

    Raises:
        ModelFilesError: the cache folder cannot be written.
    """
    file = model_folder(manifest.name, manifest.version, cache) / CHOICE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f".{CHOICE}.", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(json.dumps(asdict(choice), indent=2) + "\n")
                out.flush()
                os.fsync(out.fileno())
            Path(part).replace(file)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise ModelFilesError(f"{file}: cannot be written ({error.strerror}); make the cache folder writable") from None
    return file


def read_choice(manifest: Manifest, cache: Path) -> Choice | None:
    """Return the choice that was made for this version of a model; None if there is none that can be read."""
    file = model_folder(manifest.name, manifest.version, cache) / CHOICE
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        choice = Choice(**content)
        if any(not isinstance(text, str) for text in (choice.backend, choice.precision, choice.device, choice.machine)):
            raise TypeError("a word is no text")
        if (choice.model, choice.version) != (manifest.name, manifest.version):
            raise ValueError("it is about another model")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s cannot be used (%s); run squall models tune again", file, error)
        return None
    return choice


def why_not(choice: Choice) -> str | None:
    """Return why a choice no longer counts here; None if it does."""
    if choice.backend not in LIBRARIES:
        return f"there is no backend {choice.backend!r}"
    if choice.machine != this_machine():
        return f"it was made on another machine ({choice.machine})"
    try:
        now = installed(choice.backend, LIBRARIES[choice.backend])
    except BackendMissingError as error:
        return str(error)
    for name, version in now.items():
        if choice.libraries.get(name) != version:
            return f"{name} was {choice.libraries.get(name)} and is {version}"
    return None


def load_tuned(folder: Path, manifest: Manifest, *, device: str, dtype: str, cache: Path) -> Engine | None:
    """Load the backend of the choice that was made for this model; None if there is none, or none that counts.

    A choice for another device or number format than the one asked for does not count.
    """
    from models.engines.choice import load_engine

    choice = read_choice(manifest, cache)
    if choice is None or device not in ("auto", choice.device) or dtype not in ("auto", choice.precision):
        return None
    reason = why_not(choice)
    if reason is None:
        try:
            return load_engine(
                folder,
                manifest,
                backend=choice.backend,
                device=choice.device,
                dtype=choice.precision,
                cache=cache,
                calibration=Path(choice.calibration) if choice.calibration else None,
            )
        except ModelError as error:
            reason = str(error)
    log.warning("the tuned backend %s is not used, but torch: %s; run squall models tune again", choice, reason)
    return None
