"""Low-rank adapters: only they and the heads learn; at the end they are added to the weights, and nothing else is left.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, "LoRA: Low-Rank Adaptation of Large Language Models" (2021). The
saved model is as any other: who loads it needs neither peft nor the adapters.
"""

from __future__ import annotations

from typing import Any

from models.errors import BackendMissingError, TrainingDataError
from models.network import ClassifierNetwork
from retrain.settings_parts import LoraSettings


def add_adapters(network: ClassifierNetwork, settings: LoraSettings) -> None:
    """Freeze the encoder and put adapters into it; the heads go on learning. In place.

    Raises:
        BackendMissingError: peft is not installed.
        TrainingDataError: no layer of the encoder bears a name of `targets`, or none are named and peft knows none.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError:
        raise BackendMissingError("lora needs peft: pip install peft") from None
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type] # it is only ever divided by the rank
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets) or None,
        bias="none",
    )
    encoder: Any = network.encoder
    try:
        network.encoder = get_peft_model(encoder, config)
    except ValueError as error:
        layers = sorted({name.rpartition(".")[2] for name, part in encoder.named_modules() if _is_linear(part)})
        raise TrainingDataError(
            f"lora.targets {list(settings.targets)} do not fit this encoder ({error}); its linear layers are called "
            f"{', '.join(layers)}"
        ) from None


def merge_adapters(network: ClassifierNetwork) -> None:
    """Add the adapters to the weights and take them out; a network without them stays as it is. In place."""
    encoder: Any = network.encoder
    if hasattr(encoder, "merge_and_unload"):
        network.encoder = encoder.merge_and_unload()
        network.requires_grad_(True)


def _is_linear(part: object) -> bool:
    from torch import nn

    return isinstance(part, nn.Linear)
