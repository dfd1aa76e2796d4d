"""The network to and from the files of a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

from models.errors import ModelFilesError
from models.files import CONFIG, WEIGHTS
from models.network import ClassifierNetwork
from models.quantise import dequantise, quantise

ATTENTION = "sdpa"
"""torch's own attention: its CPU kernel gives a row the same bits whatever the number of rows (tested)."""


def save_network(network: ClassifierNetwork, folder: Path) -> None:
    """Write `config.json` and `weights.safetensors` (8-bit matrices) into an existing folder."""
    config: Any = network.encoder.config
    config.save_pretrained(folder)
    save_file(quantise(network.state_dict()), folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod(0o644)  # safetensors writes for the owner alone; a service may run as another user


def load_network(folder: Path) -> ClassifierNetwork:
    """Build the network from `config.json` and fill in the weights; float32, on the CPU, in evaluation mode.

    Only architectures that `transformers` knows are built: code that a folder might bring along is never run.

    Raises:
        ModelFilesError: the files do not describe a network that can be built, or weights are not finite.
    """
    try:
        config = AutoConfig.from_pretrained(folder / CONFIG, local_files_only=True, trust_remote_code=False)
        # Building fills the weights with random numbers that are overwritten; the caller's generator is left alone.
        with torch.random.fork_rng(devices=[]):
            build: Any = AutoModel.from_config
            encoder = build(config, attn_implementation=ATTENTION, trust_remote_code=False)
            network = ClassifierNetwork(without_pooler(encoder), encoder.config.hidden_size)
    except Exception as error:  # a configuration can be wrong in as many ways as transformers has architectures
        raise ModelFilesError(
            f"{folder / CONFIG}: no encoder can be built from it ({error}); fetch or train the model again"
        ) from None
    try:
        weights = dequantise(load_file(folder / WEIGHTS))
        _check_finite(weights)
        network.load_state_dict(weights)
    except OSError as error:
        raise ModelFilesError(
            f"{folder / WEIGHTS}: cannot be read ({error.strerror or error}); fetch or train the model again"
        ) from None
    except SafetensorError as error:
        raise ModelFilesError(
            f"{folder / WEIGHTS}: no safetensors file, or a damaged one ({error}); fetch or train the model again"
        ) from None
    except ModelFilesError as error:
        raise ModelFilesError(f"{folder / WEIGHTS}: {error}") from None
    except RuntimeError as error:
        raise ModelFilesError(
            f"{folder / WEIGHTS}: does not fit {CONFIG} ({error}); fetch or train the model again"
        ) from None
    return network.eval()


def _check_finite(weights: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that are not numbers: whatever is read, the answer would be none."""
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelFilesError(f"{name} holds values that are not finite; fetch or train the model again")


def without_pooler(encoder: torch.nn.Module) -> torch.nn.Module:
    """Take away the encoder's own pooling layer, where it has one: it is trained for another purpose and unused."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.register_module("pooler", None)
    return encoder
