"""The training loop: mixed batches of both tasks, one encoder pass, and the better epoch kept."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from models.batching import LENGTH_STEP, padded_length, plan_batches
from models.network import ClassifierNetwork
from models.tokens import TokenizedText, pad
from retrain.adversarial import moved_embeddings
from retrain.data import HEADS, TASKS, Example, Task
from retrain.optimiser import WeightAverage, build_optimiser, build_schedule
from retrain.settings import TrainingSettings

_POOL_BATCHES = 50
"""Rows are sorted by length within pools of this many batches: little padding, and still a random order."""
_EVALUATION_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class LabelledTokens:
    """One example ready for the network.

    `soft` holds what the teachers say of the text: probabilities by task, or None without teachers.
    """

    tokens: TokenizedText
    example: Example
    soft: dict[Task, NDArray[np.float32]] | None = None


@dataclass(slots=True)
class TrainingResult:
    """The weights of the best epoch and the course of the run."""

    state: dict[str, Tensor]
    best_epoch: int
    history: list[dict[str, float]] = field(default_factory=list)


def seed_everything(settings: TrainingSettings) -> None:
    """Fix torch's random numbers and, where asked, the number of CPU threads."""
    torch.manual_seed(settings.seed)
    if settings.threads:
        torch.set_num_threads(settings.threads)


def train_network(
    network: ClassifierNetwork,
    train: Sequence[LabelledTokens],
    dev: Sequence[LabelledTokens],
    *,
    settings: TrainingSettings,
    pad_id: int,
    score: Callable[[ClassifierNetwork], dict[str, float]],
    progress: Callable[[str], None],
) -> TrainingResult:
    """Fine-tune the network in place and return the weights of the epoch with the highest `score`.

    Args:
        network: the network; after the call it holds the returned weights.
        train: training rows of both tasks.
        dev: development rows; only their number is looked at here (an empty split keeps the last epoch).
        settings: the knobs.
        pad_id: the token id that fills rows up.
        score: evaluates a network; its entry "selection" decides which epoch is kept.
        progress: receives one line of text now and then.
    """
    optimiser = build_optimiser(network, settings)
    steps_per_epoch = -(-len(train) // settings.batch_size)
    steps = steps_per_epoch * settings.epochs
    schedule = build_schedule(optimiser, steps, settings.warmup_share)
    average = WeightAverage(network, settings.average_decay) if settings.average_decay else None
    random = np.random.default_rng(settings.seed)
    result = TrainingResult(state={}, best_epoch=0)
    best = -1.0
    started = time.perf_counter()
    for epoch in range(1, settings.epochs + 1):
        network.train()
        losses: list[float] = []
        for batch in _shuffled_batches(train, settings.batch_size, random):
            losses.append(_step(network, batch, optimiser, settings, pad_id))
            schedule.step()
            if average:
                average.update(network)
            if len(losses) % 100 == 0:
                done = (epoch - 1) * steps_per_epoch + len(losses)
                progress(
                    f"epoch {epoch} step {done}/{steps} loss {np.mean(losses[-100:]):.4f} "
                    f"{time.perf_counter() - started:.0f} s"
                )
        evaluated = network
        if average:
            evaluated = copy.deepcopy(network)
            evaluated.load_state_dict(average.state())
        record = {"epoch": float(epoch), "train_loss": float(np.mean(losses))}
        record |= score(evaluated.eval()) if dev else {"selection": float(epoch)}
        result.history.append(record)
        progress(" ".join(f"{name} {value:.4f}" for name, value in record.items()))
        if record["selection"] > best:
            best, result.best_epoch = record["selection"], epoch
            result.state = {name: value.detach().clone() for name, value in evaluated.state_dict().items()}
    network.load_state_dict(result.state)
    network.eval()
    return result


def _step(
    network: ClassifierNetwork,
    batch: Sequence[LabelledTokens],
    optimiser: torch.optim.AdamW,
    settings: TrainingSettings,
    pad_id: int,
) -> float:
    rows = [item.tokens.ids for item in batch]
    ids, mask = pad(rows, padded_length(max(map(len, rows))), pad_id)
    device = next(network.parameters()).device
    ids, mask = ids.to(device), mask.to(device)
    targets = {task: _targets(batch, task, settings).to(device) for task in TASKS}

    def backward() -> float:
        with torch.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=settings.bf16):
            logits = dict(zip(TASKS, network(ids, mask), strict=True))
        # Summed and divided by the rows of both tasks: every row weighs the same, whatever the mixture of a batch.
        loss = torch.stack([_cross_entropy(logits[task], targets[task]) for task in TASKS]).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    optimiser.zero_grad(set_to_none=True)
    loss = backward()
    if settings.adversarial:
        with moved_embeddings(network, settings.adversarial):
            backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), settings.max_grad_norm)
    optimiser.step()
    return loss


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy against target distributions [rows, classes]; a row of zeros adds nothing."""
    return -(targets * functional.log_softmax(logits.float(), dim=-1)).sum()


def _targets(batch: Sequence[LabelledTokens], task: Task, settings: TrainingSettings) -> Tensor:
    """Return what one head shall say [rows, classes]: the smoothed label, the teachers' word, or a mixture of both.

    A row without the task's label follows the teachers, or is zero, hence left out, where there are none.
    """
    classes = len(HEADS[task])
    targets = np.zeros((len(batch), classes), dtype=np.float32)
    for row, item in zip(targets, batch, strict=True):
        if item.example.task == task:
            row[:] = settings.label_smoothing / classes
            row[item.example.label] += 1.0 - settings.label_smoothing
            if item.soft is not None:
                row *= 1.0 - settings.teacher_weight
                row += settings.teacher_weight * item.soft[task]
        elif item.soft is not None:
            row[:] = item.soft[task]
    return torch.from_numpy(targets)


def _shuffled_batches(
    rows: Sequence[LabelledTokens], batch_size: int, random: np.random.Generator
) -> list[list[LabelledTokens]]:
    """Return batches of like length in random order; each row once."""
    order = random.permutation(len(rows)).tolist()
    batches: list[list[LabelledTokens]] = []
    pool = batch_size * _POOL_BATCHES
    for start in range(0, len(order), pool):
        members = sorted(order[start : start + pool], key=lambda index: len(rows[index].tokens.ids))
        batches += [
            [rows[index] for index in members[at : at + batch_size]] for at in range(0, len(members), batch_size)
        ]
    return [batches[index] for index in random.permutation(len(batches)).tolist()]


@torch.inference_mode()
def predict_probabilities(
    network: ClassifierNetwork, rows: Sequence[TokenizedText], pad_id: int, *, bf16: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities [rows, sentiments] and [rows, topics] of a network in evaluation mode."""
    device = next(network.parameters()).device
    outputs: dict[int, tuple[Tensor, Tensor]] = {}
    for batch in plan_batches([len(row.ids) for row in rows], _EVALUATION_TOKENS, LENGTH_STEP):
        ids, mask = pad([rows[index].ids for index in batch.indices], batch.padded_length, pad_id)
        with torch.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=bf16):
            logits = network(ids.to(device), mask.to(device))
        sentiment, topic = (head.double().softmax(dim=-1).cpu() for head in logits)
        outputs |= {index: (sentiment[at], topic[at]) for at, index in enumerate(batch.indices)}
    pairs = [outputs[index] for index in range(len(rows))]
    return torch.stack([pair[0] for pair in pairs]).numpy(), torch.stack([pair[1] for pair in pairs]).numpy()
