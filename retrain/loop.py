"""The training loop: mixed batches of both tasks, one encoder pass, and the weights of the best evaluation kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from retrain.place import Kept, Parts, Place, TrainingResult
from retrain.settings import TrainingSettings
from retrain.world import ALONE, World

_POOL_BATCHES = 50
"""Rows are sorted by length within pools of this many batches: little padding, and still a random order."""
_EVALUATION_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class LabelledTokens:
    """One example ready for the network.

    Attributes:
        tokens: of its text.
        example: text, task and label.
        soft: what the teachers say of the text: probabilities by task, or None without teachers.
        weight: what the row weighs in the loss.
    """

    tokens: TokenizedText
    example: Example
    soft: dict[Task, NDArray[np.float32]] | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a run calls on its way.

    Attributes:
        say: receives one line of text after each evaluation.
        step: told the steps done and their number.
        evaluated: told each record; may raise to end the run.
        rows_of_epoch: the rows to train on in an epoch, from 1, in the order of the given ones; without it those.
    """

    say: Callable[[str], None] = lambda line: None
    step: Callable[[int, int], None] = lambda done, total: None
    evaluated: Callable[[dict[str, float]], None] = lambda record: None
    rows_of_epoch: Callable[[int], Sequence[LabelledTokens]] | None = None


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
    hooks: Hooks = Hooks(),
    world: World = ALONE,
    kept: Kept | None = None,
) -> TrainingResult:
    """Fine-tune the network in place and return the weights of the evaluation with the highest `score`.

    Args:
        network: the network; after the call it holds the returned weights.
        train: training rows of both tasks.
        dev: development rows; only their number is looked at here (an empty split keeps the last epoch).
        settings: the knobs.
        pad_id: the token id that fills rows up.
        score: evaluates a network; its entry "selection" decides which weights are kept.
        hooks: what is called on the way.
        world: the processes that train it together; only the first evaluates.
        kept: where to leave, and find, what an unfinished run needs to go on.

    Raises:
        TrainingDataError: the checkpoint is damaged.
        OSError: a checkpoint cannot be written.
    """
    run = _Run(network, train, settings, world)
    if kept is not None and kept.restore(run.parts):
        hooks.say(f"going on at step {run.place.step} of {run.steps}, where the run was broken off")
    place, result = run.place, run.place.result
    while place.epoch < settings.epochs and not result.stopped:
        rows = hooks.rows_of_epoch(place.epoch + 1) if hooks.rows_of_epoch else train
        network.train()
        place.order = run.random.bit_generator.state
        batches = _shuffled_batches(rows, settings.batch_size, run.random)
        for batch in batches[place.batch :]:
            place.losses.append(_step(network, batch, run.optimiser, settings, pad_id, world))
            run.schedule.step()
            if run.average:
                run.average.update(network)
            place.step += 1
            place.batch += 1
            hooks.step(place.step, run.steps)
            if place.batch == len(batches):
                place.epoch, place.batch, place.order = place.epoch + 1, 0, run.random.bit_generator.state
            if _is_due(place, settings, run.steps):
                _evaluate(run, dev, score, hooks)
                network.train()
            if kept is not None and place.step < run.steps:
                kept.offer(run.parts, place.step)
            if result.stopped:
                break
    network.load_state_dict(result.state)
    network.eval()
    return result


class _Run:
    """All that moves while a network is trained."""

    def __init__(
        self, network: ClassifierNetwork, train: Sequence[LabelledTokens], settings: TrainingSettings, world: World
    ) -> None:
        self.settings = settings
        self.world = world
        self.steps_per_epoch = -(-len(train) // settings.batch_size)
        self.steps = self.steps_per_epoch * settings.epochs
        self.network = network
        world.start_alike(network)
        world.diverge(settings.seed)
        self.optimiser = build_optimiser(network, settings)
        self.schedule = build_schedule(self.optimiser, self.steps, settings.warmup_share)
        self.average = WeightAverage(network, settings.average_decay) if settings.average_decay else None
        self.random = np.random.default_rng(settings.seed)
        self.place = Place(TrainingResult(state={}, best_epoch=0))

    @property
    def parts(self) -> Parts:
        """What a checkpoint holds."""
        return Parts(self.network, self.optimiser, self.schedule, self.average, self.random, self.place, self.world)


def _is_due(place: Place, settings: TrainingSettings, steps: int) -> bool:
    if settings.evaluation_steps:
        return place.step % settings.evaluation_steps == 0 or place.step == steps
    return place.batch == 0


def _evaluate(
    run: _Run,
    dev: Sequence[LabelledTokens],
    score: Callable[[ClassifierNetwork], dict[str, float]],
    hooks: Hooks,
) -> None:
    """Score the weights as they are now, keep them if they are the best, and see whether patience is at its end."""
    place, result, device = run.place, run.place.result, next(run.network.parameters()).device
    epoch = place.epoch + place.batch / run.steps_per_epoch
    evaluated = run.network
    if run.average:
        evaluated = copy.deepcopy(run.network)
        evaluated.load_state_dict(run.average.state())
    record = {"epoch": float(epoch), "train_loss": float(np.mean(place.losses))}
    place.losses.clear()
    if not dev:
        record |= {"selection": float(epoch)}
    elif run.world.leads:
        record |= score(evaluated.eval())
    record["selection"] = run.world.agree(record.get("selection", 0.0), device)
    result.history.append(record)
    hooks.say(" ".join(f"{name} {value:.4f}" for name, value in record.items()))
    if record["selection"] > result.best:
        result.best, place.waited = record["selection"], 0
        result.best_epoch = int(epoch) if epoch.is_integer() else epoch
        result.state = {name: value.detach().clone() for name, value in evaluated.state_dict().items()}
    else:
        place.waited += 1
        result.stopped = bool(run.settings.patience) and place.waited >= run.settings.patience
        if result.stopped:
            hooks.say(
                f"stopped: {place.waited} evaluations in a row were no better than that after epoch "
                f"{result.best_epoch:g}"
            )
    hooks.evaluated(record)


def _step(
    network: ClassifierNetwork,
    batch: Sequence[LabelledTokens],
    optimiser: torch.optim.AdamW,
    settings: TrainingSettings,
    pad_id: int,
    world: World = ALONE,
) -> float:
    """Take one step along the gradient of a batch, and return its loss; of several processes each computes a part."""
    mine = world.share(batch)
    device = next(network.parameters()).device
    rows = [item.tokens.ids for item in mine]
    ids, mask = pad(rows, padded_length(max(map(len, rows))), pad_id) if rows else (torch.empty(0), torch.empty(0))
    ids, mask = ids.to(device), mask.to(device)
    targets = {task: _targets(mine, task, settings).to(device) for task in TASKS}

    def backward() -> float:
        if not rows:
            return 0.0
        with torch.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=settings.bf16):
            logits = dict(zip(TASKS, network(ids, mask), strict=True))
        # Summed and divided by the rows of both tasks: every row weighs the same, whatever the mixture of a batch.
        loss = torch.stack([_cross_entropy(logits[task], targets[task]) for task in TASKS]).sum() / len(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    optimiser.zero_grad(set_to_none=True)
    loss = backward()
    if settings.adversarial:
        # Of several processes each moves the embeddings along the gradient of its own rows.
        with moved_embeddings(network, settings.adversarial):
            backward()
    loss = world.add_gradients(network, loss)
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
            row *= item.weight
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
