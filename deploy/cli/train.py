"""`squall train`: fine-tune the classifier on labelled files."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.frame import err
from retrain.settings import TrainingSettings

_DEFAULTS = TrainingSettings()


def train(
    sentiment: Annotated[
        list[Path],
        typer.Option(help="CSV with the columns text and label: negative, neutral, positive (or bearish, bullish)."),
    ],
    topic: Annotated[
        list[Path], typer.Option(help="CSV with the columns text and label: ids or names of the twenty topics.")
    ],
    base: Annotated[str, typer.Option(help="Encoder to start from: a folder, or an id on the Hugging Face Hub.")],
    out: Annotated[Path, typer.Option(help="Folder to write the model to; new or empty.")],
    name: Annotated[str, typer.Option(help="Name of the model; the folder's name if not given.")] = "",
    base_name: Annotated[str, typer.Option(help="How the model card calls the base.")] = "",
    base_licence: Annotated[str, typer.Option(help="Licence of the base, for the model card.")] = "not stated",
    data_licence: Annotated[str, typer.Option(help="Licence of the files, for the model card.")] = "not stated",
    remark: Annotated[list[str] | None, typer.Option(help="A remark for the model card; may be repeated.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the rows.")] = _DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(help="Rows per step.")] = _DEFAULTS.batch_size,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the top layer.")] = _DEFAULTS.learning_rate,
    head_lr: Annotated[float, typer.Option(help="Peak rate of the heads.")] = _DEFAULTS.head_learning_rate,
    layer_decay: Annotated[float, typer.Option(help="Rate of a layer against the next above.")] = _DEFAULTS.layer_decay,
    label_smoothing: Annotated[float, typer.Option(help="Mass spread over all classes.")] = _DEFAULTS.label_smoothing,
    dev_share: Annotated[float, typer.Option(help="Share of text groups held out.")] = _DEFAULTS.dev_share,
    max_length: Annotated[int, typer.Option(help="Tokens read of a text.")] = _DEFAULTS.max_length,
    adversarial: Annotated[
        float, typer.Option(help="Step of adversarial training on the embeddings; 0: none.")
    ] = _DEFAULTS.adversarial,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Finished model to learn from as well; may be repeated.")
    ] = None,
    teacher_weight: Annotated[
        float, typer.Option(help="Share of the teachers in the loss of a labelled row.")
    ] = _DEFAULTS.teacher_weight,
    split_seed: Annotated[int, typer.Option(help="Of the split; teachers need the same.")] = _DEFAULTS.split_seed,
    seed: Annotated[int, typer.Option(help="Of heads, order and dropout.")] = _DEFAULTS.seed,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch.")] = _DEFAULTS.threads,
    bf16: Annotated[
        bool | None, typer.Option("--bf16/--no-bf16", help="bfloat16 arithmetic; as the device likes it if not given.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    first_tier: Annotated[
        list[Path] | None,
        typer.Option(help="Texts without labels: make the linear tier too; see squall models first-tier."),
    ] = None,
    learned_at: Annotated[
        str | None, typer.Option(help="When the labels were known, ISO 8601 with an offset; now if not given.")
    ] = None,
) -> None:
    """Fine-tune the classifier: sentiment and topic from one encoder, scored on texts it has not seen.

    Near-duplicates are kept on one side of the split. The same files, seeds and threads on the same kind of CPU
    give the same weights. A model card and all figures are written beside the weights.
    """
    console = err()
    learned = _learned(learned_at)
    try:
        settings = replace(
            _DEFAULTS,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            head_learning_rate=head_lr,
            layer_decay=layer_decay,
            label_smoothing=label_smoothing,
            dev_share=dev_share,
            max_length=max_length,
            adversarial=adversarial,
            teacher_weight=teacher_weight,
            split_seed=split_seed,
            seed=seed,
            threads=threads,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    # Imported here: torch takes seconds to load, and `squall train --help` shall not wait for it.
    import torch

    from models.device import choose_device, choose_dtype
    from retrain.card import CardFacts
    from retrain.train import TrainingJob, train_model

    if bf16 is None:
        bf16 = choose_dtype("auto", choose_device(device)) is torch.bfloat16
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
    )
    trained = train_model(
        job, replace(settings, bf16=bf16), lambda line: console.print(line, markup=False, soft_wrap=True)
    )
    for head, files in trained.metrics["dev"].items():
        for file, figures in files.items():
            console.print(
                f"{head} on {file}: accuracy {figures['accuracy']:.4f}, macro F1 {figures['macro_f1']:.4f}, "
                f"calibration error {figures['calibration_error']:.4f} ({figures['rows']} rows)",
                markup=False,
            )
    model = trained.manifest.model
    typer.echo(f"{trained.folder}: {model.name} {model.version}")
    if first_tier:
        from deploy.cli.models_first_tier import add_tier

        add_tier(trained.folder, first_tier, (sentiment, topic), split=(dev_share, split_seed))


def _learned(text: str | None) -> datetime:
    """Return the time that was given, or now, in UTC and to the second."""
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        time: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter(
            f"--learned-at needs a time with an offset, such as 2026-01-31T12:00:00Z, got {text!r}"
        )
    return time.astimezone(UTC).replace(microsecond=0)


def _public_name(base: str) -> str:
    """Return a Hub id as it is, and of a local folder the last part only: a card names no machine's paths."""
    return Path(base).name if Path(base).exists() else base
