"""`squall train`: fine-tune the classifier on labelled files."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from deploy.cli import train_options as options
from deploy.cli.frame import err
from retrain.settings import TrainingSettings
from retrain.settings_file import changed, read_knobs

if TYPE_CHECKING:
    from rich.console import Console

    from retrain.job import TrainedModel, TrainingJob, Watchers
    from retrain.world import World


def train(
    sentiment: options.Sentiment,
    topic: options.Topic,
    base: options.Base,
    out: options.Out,
    unlabelled: options.Unlabelled = None,
    pseudo_labels: options.PseudoLabels = None,
    teacher: options.Teacher = None,
    learned_at: options.LearnedAt = None,
    until: options.Until = None,
    name: options.Name = "",
    base_name: options.BaseName = "",
    base_licence: options.BaseLicence = "not stated",
    data_licence: options.DataLicence = "not stated",
    remark: options.Remark = None,
    first_tier: options.FirstTier = None,
    settings: options.Settings = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    lr: options.Lr = None,
    head_lr: options.HeadLr = None,
    layer_decay: options.LayerDecay = None,
    label_smoothing: options.LabelSmoothing = None,
    dev_share: options.DevShare = None,
    max_length: options.MaxLength = None,
    patience: options.Patience = None,
    evaluation_steps: options.EvaluationSteps = None,
    split_seed: options.SplitSeed = None,
    seed: options.Seed = None,
    lora_rank: options.LoraRank = None,
    class_weights: options.ClassWeights = None,
    augment: options.Augment = None,
    adversarial: options.Adversarial = None,
    domain_epochs: options.DomainEpochs = None,
    teacher_weight: options.TeacherWeight = None,
    runs: options.Runs = None,
    combine: options.Combine = None,
    folds: options.Folds = None,
    tune: options.Tune = 0,
    threads: options.Threads = None,
    bf16: options.Bf16 = None,
    device: options.Device = "auto",
    checkpoint_steps: options.CheckpointSteps = None,
    fresh: options.Fresh = False,
) -> None:
    """Fine-tune the classifier: sentiment and topic from one encoder, scored on texts it has not seen.

    Near-duplicates are kept on one side of the split. The same files, seeds and threads on the same kind of CPU
    give the same weights. A model card and all figures are written beside the weights, among them those of a classical
    model (TF-IDF and logistic regression) on the same rows.

    A training that was killed goes on when the command is given again. On several GPUs: accelerate launch -m deploy.cli
    train ... All knobs are told in deploy/docs/TRAINING.md.
    """
    learned = _learned(learned_at, "--learned-at") or datetime.now(UTC).replace(microsecond=0)
    known_until = _learned(until, "--until")
    if known_until is not None and known_until > learned:
        raise typer.BadParameter(f"--until {until} is later than what the model is said to be learned at: {learned}")
    if known_until is not None and first_tier:
        raise typer.BadParameter("--first-tier reads all rows: train it after, with squall models first-tier")
    knobs = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": lr,
        "head_learning_rate": head_lr,
        "layer_decay": layer_decay,
        "label_smoothing": label_smoothing,
        "dev_share": dev_share,
        "max_length": max_length,
        "patience": patience,
        "evaluation_steps": evaluation_steps,
        "split_seed": split_seed,
        "seed": seed,
        "class_weights": class_weights,
        "adversarial": adversarial,
        "teacher_weight": teacher_weight,
        "runs": runs,
        "combine": combine,
        "folds": folds,
        "threads": threads,
        "bf16": bf16,
        "checkpoint_steps": checkpoint_steps,
        "lora": {"rank": lora_rank},
        "augment": {"share": augment},
        "domain": {"epochs": domain_epochs},
    }
    chosen, names_bf16 = _settings(settings, knobs)
    # Imported here: torch takes seconds to load, and `squall train --help` shall not wait for it.
    import torch

    from models.device import choose_device, choose_dtype
    from retrain.card import CardFacts
    from retrain.job import TrainingJob
    from retrain.world import World

    world = World.from_environment(os.environ)
    if world.size > 1 and device == "auto" and torch.cuda.is_available():
        device = f"cuda:{world.local_rank}"
    if not names_bf16:
        chosen = replace(chosen, bf16=choose_dtype("auto", choose_device(device)) is torch.bfloat16)
    job = TrainingJob(
        sentiment=tuple(sentiment),
        topic=tuple(topic),
        base=base,
        out=out,
        name=name or out.name,
        facts=CardFacts(base_name or _public_name(base), base_licence, data_licence, tuple(remark or ())),
        teachers=tuple(teacher or ()),
        device=device,
        learned_at=learned,
        unlabelled=tuple(unlabelled or ()),
        labeller=pseudo_labels,
        until=known_until,
    )
    console = err()
    trained = _run(job, chosen, world, console, trials=tune, fresh=fresh)
    if trained is None:
        return
    _show(trained, console)
    model = trained.manifest.model
    typer.echo(f"{trained.folder}: {model.name} {model.version}")
    if first_tier:
        from deploy.cli.models_first_tier import add_tier

        add_tier(trained.folder, first_tier, (sentiment, topic), split=(chosen.dev_share, chosen.split_seed))


def _settings(file: Path | None, given: dict[str, Any]) -> tuple[TrainingSettings, bool]:
    """Return the knobs of the file with those of the command line on top, and whether either names bf16."""
    told = read_knobs(file) if file else {}
    on_top: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, dict):
            inner = {key: entry for key, entry in value.items() if entry is not None}
            if inner:
                on_top[name] = inner
        elif value is not None:
            on_top[name] = value
    try:
        whole = {
            name: {**told.get(name, {}), **value} if isinstance(value, dict) else value
            for name, value in on_top.items()
        }
        return changed(TrainingSettings(), {**told, **whole}), "bf16" in told or "bf16" in on_top
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _run(
    job: TrainingJob, settings: TrainingSettings, world: World, console: Console, *, trials: int, fresh: bool
) -> TrainedModel | None:
    """Search for settings where asked, and train; only the first of several processes speaks."""
    from deploy.cli.replay_progress import RunDisplay
    from retrain.job import Watchers
    from retrain.train import train_in_world

    if not world.leads:
        return train_in_world(job, settings, Watchers(lambda line: None), world, fresh=fresh)
    with RunDisplay(console) as display:
        watchers = Watchers(lambda line: console.print(line, markup=False, soft_wrap=True), display)
        if trials:
            job, settings = _tuned(job, settings, trials, world, watchers)
        return train_in_world(job, settings, watchers, world, fresh=fresh)


def _tuned(
    job: TrainingJob, settings: TrainingSettings, trials: int, world: World, watchers: Watchers
) -> tuple[TrainingJob, TrainingSettings]:
    """Return the best settings of a search, and the job with a remark on it for the model card."""
    from retrain.tune import tune

    if world.size > 1:
        raise typer.BadParameter("--tune runs in one process; start it without the launcher")
    found = tune(job, settings, trials, watchers)
    told = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in found.knobs.items()
    )
    watchers.say(f"the best of {found.trials} trials scored {found.score:.4f}: {told}")
    watchers.say(f"all trials: {found.table}")
    remark = (
        f"Settings were chosen by {found.trials} trials on a split of the training rows; the development rows had no "
        "say in it."
    )
    return replace(job, facts=replace(job.facts, remarks=(*job.facts.remarks, remark))), found.settings


def _show(trained: TrainedModel, console: Console) -> None:
    """Print the figures, beside those of the classical model."""
    classical = trained.metrics["classical"]
    for head, files in trained.metrics["dev"].items():
        for file, figures in files.items():
            beside = ""
            if classical:
                other = classical["dev"][head][file]
                beside = f"; TF-IDF and LR: {other['accuracy']:.4f}, {other['macro_f1']:.4f}"
            console.print(
                f"{head} on {file}: accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}, "
                f"calibration error {figures['calibration_error']:.4f} ({figures['rows']} rows){beside}",
                markup=False,
                soft_wrap=True,
            )
            folds = trained.metrics.get("cross_validation", {}).get("summary", {}).get(head, {}).get(file)
            if folds:
                console.print(
                    f"{head} on {file}, {folds['folds']} folds: accuracy {folds['accuracy']:.4f} "
                    f"(spread {folds['accuracy_spread']:.4f}), macro F1 {folds['macro_f1']:.4f} "
                    f"(spread {folds['macro_f1_spread']:.4f})",
                    markup=False,
                    soft_wrap=True,
                )


def _learned(text: str | None, option: str) -> datetime | None:
    """Return the time that was given, in UTC and to the second."""
    if text is None:
        return None
    try:
        time: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter(f"{option} needs a time with an offset, such as 2026-01-31T12:00:00Z, got {text!r}")
    return time.astimezone(UTC).replace(microsecond=0)


def _public_name(base: str) -> str:
    """Return a Hub id as it is, and of a local folder the last part only: a card names no machine's paths."""
    return Path(base).name if Path(base).exists() else base
