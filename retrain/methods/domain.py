"""Domain adaptation: the encoder learns to guess masked words of unlabelled messages before it is fine-tuned.

Gururangan et al., "Don't Stop Pretraining" (2020), with the masking of BERT (Devlin et al. 2019): of the tokens to be
guessed 80 % are masked, 10 % exchanged for a random one, 10 % left. The head that guesses is thrown away afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForMaskedLM, AutoTokenizer, DataCollatorForLanguageModeling

from models.errors import ModelFilesError
from models.storage import ATTENTION
from models.tokens import TokenizedText
from retrain.base import quiet_transformers
from retrain.optimiser import schedule_factor
from retrain.settings import TrainingSettings


def adapt(
    base: str,
    texts: Sequence[TokenizedText],
    *,
    settings: TrainingSettings,
    device: torch.device,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[dict[str, Tensor], list[float]]:
    """Return the weights of the base's encoder after pre-training, on the CPU, and the mean loss of each epoch.

    The caller's random numbers are left alone. Of several processes each does the same work and reaches the same
    weights.

    Args:
        base: folder or Hub id of the encoder.
        texts: tokenised as for training; those of special tokens alone are passed over.
        settings: the knobs; those of `domain` and `seed`, `warmup_share`, `weight_decay`, `max_grad_norm`, `bf16`.
        device: where it runs.
        step: told the steps done and their number.

    Raises:
        ModelFilesError: the base has no mask token, or is no encoder that can guess words.
    """
    knobs = settings.domain
    # What stands before this in a run shall not depend on whether the run is adapted.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(settings.seed)
        model, tokenizer = _load(base)
        model.to(device).train()
        collate = DataCollatorForLanguageModeling(
            tokenizer, mlm=True, mlm_probability=knobs.mask_share, seed=settings.seed
        )
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=knobs.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        rows = [list(text.ids) for text in texts if len(text.ids) > tokenizer.num_special_tokens_to_add()]
        steps = math.ceil(len(rows) / knobs.batch_size) * knobs.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule_factor(steps, settings.warmup_share))
        order = np.random.default_rng(settings.seed)
        losses: list[float] = []
        done = 0
        for _ in range(knobs.epochs):
            epoch: list[float] = []
            for batch in _batches(rows, knobs.batch_size, order):
                inputs = {name: value.to(device) for name, value in collate(_features(batch)).items()}
                optimiser.zero_grad(set_to_none=True)
                if (inputs["labels"] != -100).any():  # a short text may have no token masked, and no loss then
                    with torch.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=settings.bf16):
                        loss = model(**inputs).loss
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
                    epoch.append(loss.item())
                optimiser.step()
                schedule.step()
                done += 1
                step(done, steps)
            losses.append(float(np.mean(epoch)) if epoch else 0.0)
    encoder = getattr(model, model.base_model_prefix)
    return {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}, losses


def _load(base: str) -> tuple[Any, Any]:
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
            model = AutoModelForMaskedLM.from_pretrained(
                base, use_safetensors=True, trust_remote_code=False, attn_implementation=ATTENTION
            )
    except (OSError, ValueError) as error:
        raise ModelFilesError(
            f"base {base!r} cannot be pre-trained further ({error}); leave domain.epochs at 0"
        ) from None
    if tokenizer.mask_token_id is None:
        raise ModelFilesError(
            f"base {base!r}: its tokenizer has no mask token, so no word can be hidden; leave domain.epochs at 0"
        )
    return model, tokenizer


def _features(rows: Sequence[list[int]]) -> list[dict[str, list[int]]]:
    return [{"input_ids": row, "attention_mask": [1] * len(row)} for row in rows]


def _batches(rows: Sequence[list[int]], size: int, order: np.random.Generator) -> list[list[list[int]]]:
    """Return batches of like length in random order; each row once."""
    mixed = sorted(order.permutation(len(rows)).tolist(), key=lambda index: len(rows[index]))
    batches = [[rows[index] for index in mixed[at : at + size]] for at in range(0, len(mixed), size)]
    return [batches[index] for index in order.permutation(len(batches)).tolist()]
