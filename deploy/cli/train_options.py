"""The options of `squall train`, by panel. A knob that is not given keeps the file's value, or its default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from retrain.settings import TrainingSettings
from retrain.settings_parts import COMBINATIONS

DATA = "Data"
RESULT = "The result"
TUNING = "Fine-tuning"
METHODS = "Methods"
RUNS = "Several runs"
MACHINE = "This machine"

_DEFAULTS = TrainingSettings()


def _knob(knob: str, help_text: str, panel: str, *names: str) -> Any:
    """Return the option of a knob; `--help` shows the default, and a value of None that it was not given."""
    value: Any = _DEFAULTS
    for part in knob.split("."):
        value = getattr(value, part)
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=str(value))


Sentiment = Annotated[
    list[Path],
    typer.Option(
        help="CSV with the columns text and label: negative, neutral, positive (or bearish, bullish).",
        rich_help_panel=DATA,
    ),
]
Topic = Annotated[
    list[Path],
    typer.Option(help="CSV with the columns text and label: ids or names of the twenty topics.", rich_help_panel=DATA),
]
Unlabelled = Annotated[
    list[Path] | None,
    typer.Option(help="Texts without labels: CSV, JSON lines, Parquet or text; may be repeated.", rich_help_panel=DATA),
]
PseudoLabels = Annotated[
    Path | None,
    typer.Option(help="Finished model whose sure word on --unlabelled counts as a label.", rich_help_panel=DATA),
]
Teacher = Annotated[
    list[Path] | None, typer.Option(help="Finished model to learn from as well; may be repeated.", rich_help_panel=DATA)
]
LearnedAt = Annotated[
    str | None,
    typer.Option(help="When the labels were known, ISO 8601 with an offset; now if not given.", rich_help_panel=DATA),
]
Until = Annotated[
    str | None,
    typer.Option(
        help="Read no row whose column learned_at is later, ISO 8601 with an offset; rows without it always count.",
        rich_help_panel=DATA,
    ),
]

Base = Annotated[
    str,
    typer.Option(help="Encoder to start from: a folder, or an id on the Hugging Face Hub.", rich_help_panel=RESULT),
]
Out = Annotated[Path, typer.Option(help="Folder to write the model to; new or empty.", rich_help_panel=RESULT)]
Name = Annotated[str, typer.Option(help="Name of the model; the folder's name if not given.", rich_help_panel=RESULT)]
BaseName = Annotated[str, typer.Option(help="How the model card calls the base.", rich_help_panel=RESULT)]
BaseLicence = Annotated[str, typer.Option(help="Licence of the base, for the model card.", rich_help_panel=RESULT)]
DataLicence = Annotated[str, typer.Option(help="Licence of the files, for the model card.", rich_help_panel=RESULT)]
Remark = Annotated[
    list[str] | None, typer.Option(help="A remark for the model card; may be repeated.", rich_help_panel=RESULT)
]
FirstTier = Annotated[
    list[Path] | None,
    typer.Option(
        help="Texts without labels: make the linear tier too; see squall models first-tier.", rich_help_panel=RESULT
    ),
]

Settings = Annotated[
    Path | None,
    typer.Option("--settings", help="YAML file of knobs, any of them; what stands here wins.", rich_help_panel=TUNING),
]
Epochs = Annotated[int | None, _knob("epochs", "Passes over the rows.", TUNING)]
BatchSize = Annotated[int | None, _knob("batch_size", "Rows per step.", TUNING)]
Lr = Annotated[float | None, _knob("learning_rate", "Peak learning rate of the top layer.", TUNING, "--lr")]
HeadLr = Annotated[float | None, _knob("head_learning_rate", "Peak rate of the heads.", TUNING, "--head-lr")]
LayerDecay = Annotated[float | None, _knob("layer_decay", "Rate of a layer against the next above.", TUNING)]
LabelSmoothing = Annotated[float | None, _knob("label_smoothing", "Mass spread over all classes.", TUNING)]
DevShare = Annotated[float | None, _knob("dev_share", "Share of text groups held out.", TUNING)]
MaxLength = Annotated[int | None, _knob("max_length", "Tokens read of a text.", TUNING)]
Patience = Annotated[
    int | None, _knob("patience", "Evaluations without a better one until it stops; 0: never.", TUNING)
]
EvaluationSteps = Annotated[
    int | None, _knob("evaluation_steps", "Steps between evaluations; 0: after each epoch.", TUNING)
]
SplitSeed = Annotated[int | None, _knob("split_seed", "Of the split; teachers need the same.", TUNING)]
Seed = Annotated[int | None, _knob("seed", "Of heads, order and dropout.", TUNING)]

LoraRank = Annotated[int | None, _knob("lora.rank", "Rank of adapters; 0: all weights learn.", METHODS, "--lora-rank")]
ClassWeights = Annotated[
    str | None, _knob("class_weights", "none or balanced; weights by class in --settings.", METHODS)
]
Augment = Annotated[
    float | None, _knob("augment.share", "Share of rows changed in each epoch: typos, case, ...", METHODS, "--augment")
]
Adversarial = Annotated[
    float | None, _knob("adversarial", "Step of adversarial training on the embeddings; 0: none.", METHODS)
]
DomainEpochs = Annotated[
    int | None,
    _knob("domain.epochs", "Passes over --unlabelled, guessing masked words, beforehand.", METHODS, "--domain-epochs"),
]
TeacherWeight = Annotated[
    float | None, _knob("teacher_weight", "Share of the teachers in the loss of a labelled row.", METHODS)
]

Runs = Annotated[int | None, _knob("runs", "Trainings of other order and dropout.", RUNS)]
Combine = Annotated[str | None, _knob("combine", f"Make of them: {', '.join(COMBINATIONS)}.", RUNS)]
Folds = Annotated[int | None, _knob("folds", "Cross-validate over so many folds first.", RUNS)]
Tune = Annotated[int, typer.Option(help="Search for settings in so many trials first.", rich_help_panel=RUNS, min=0)]

Threads = Annotated[int | None, _knob("threads", "CPU threads; 0 leaves the choice to torch.", MACHINE)]
Bf16 = Annotated[
    bool | None,
    typer.Option(
        "--bf16/--no-bf16", help="bfloat16 arithmetic; as the device likes it if not given.", rich_help_panel=MACHINE
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=MACHINE)]
CheckpointSteps = Annotated[int | None, _knob("checkpoint_steps", "Steps between checkpoints; 0: none.", MACHINE)]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Begin again, whatever a killed training left.", rich_help_panel=MACHINE)
]
