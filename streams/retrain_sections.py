"""The section `retrain` of the configuration: labels, data sets, the gate, the registry, and when to train."""

from __future__ import annotations

from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


class RetrainSettings(BaseModel):
    """The way from labels to a better model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    labels: Path = Path(".squall/labels")
    """Folder in which `squall labels` keeps what people said of messages. It holds texts: keep it as safe as the
    messages themselves."""
    datasets: Path = Path(".squall/datasets")
    """Folder of the data sets and of the frozen holdout. It holds texts too."""
    runs: Path = Path(".squall/retrain")
    """Folder of the verdicts, the audit log, and the lock that keeps two runs apart."""
    models: Path = Path(".squall/models")
    """Folder of the models that were registered. Workers look for a promoted model here, so they need the same folder,
    or a copy of it: `squall models fetch`."""
    registry: str = ".squall/registry"
    """A folder, in which MLflow keeps a SQLite file and artefacts; or the address of an MLflow server."""
    registry_name: str = Field("squall", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")
    """Name of the registered model and of the experiment in MLflow."""

    sentiment: tuple[Path, ...] = ()
    """Files for sentiment that every run learns from beside the labels: CSV with the columns text and label."""
    topic: tuple[Path, ...] = ()
    """The same for topics."""
    base: str | None = None
    """Encoder to start from: a folder, or an id on the Hugging Face Hub. Unset: the champion's own."""
    training: Path | None = None
    """Settings of the training, YAML; see `squall train --help`. Unset: the defaults."""
    holdout_share: float = Field(0.1, gt=0, lt=1)
    """Share of new text groups that go to the frozen holdout."""
    most_old: int | None = Field(None, ge=1)
    """Of the training files at most this many rows for each head. Unset: all."""
    repeat_labels: int = Field(1, ge=1, le=20)
    """How often an epoch shows each label of the desk."""

    train_until: AwareDatetime | None = None
    """Nothing that became known later (`learned_at`, of labels and of rows of the training files) is read by training:
    for what a model of that day would be. Unset: all that is known now."""

    min_labels: int = Field(200, ge=1)
    """A scheduled run trains once this many labels have come since the last run."""
    drift_url: str | None = None
    """Address of a worker's /metrics. A scheduled run also trains when drift there is above `max_psi` or
    `max_distance`."""
    max_psi: float = Field(0.25, gt=0)
    """Population stability index from which the input or the answers count as drifted."""
    max_distance: float = Field(0.5, gt=0)
    """Distance of the texts from those of the reference (`squall_drift_embedding`, standard deviations) from which the
    input counts as drifted."""

    gate_min_gain: float = Field(0.002, ge=-1, le=1)
    """Macro F1 of sentiment on the holdout must rise by this at least."""
    gate_max_loss: float = Field(0.01, ge=0, le=1)
    """The 95 % interval of that rise may reach this far below zero, and macro F1 of topics may fall by this."""
    gate_max_loss_before: float = Field(0.005, ge=0, le=1)
    """Accuracy on what was held out before the labels of this run came may fall by this: wrong labels bring wrong
    holdout rows along, and are told by the older ones."""
    gate_min_label_agreement: float = Field(0.4, ge=0, le=1)
    """Share of the new labels that the champion agrees with; below it they are more likely wrong than right."""
    gate_max_slice_loss: float = Field(0.02, ge=0, le=1)
    """Accuracy on a source, language, topic, market or training file may fall by this."""
    gate_min_slice_rows: int = Field(100, ge=1)
    """Slices with fewer rows are shown and not judged."""
    gate_max_calibration_error: float = Field(0.03, ge=0, le=1)
    """Expected calibration error, unless the champion's is as high."""
    gate_min_speed: float = Field(0.9, ge=0)
    """Texts per second relative to the champion's."""
    gate_max_consistency_loss: float = Field(0.02, ge=0, le=1)
    """The share of answers that stay when texts are changed (slips, case, links, companies) may fall by this."""
    gate_min_swap_consistency: float = Field(0.9, ge=0, le=1)
    """Share of sentiments that stay when companies are exchanged."""
    gate_max_alerts_lost: int = Field(1, ge=0)
    """Alerts of the champion on the replayed history that the challenger may miss."""
    gate_max_alerts_added: int = Field(3, ge=0)
    """Alerts on it that only the challenger raises."""
    gate_history_days: float = Field(14.0, ge=0, le=400)
    """How much of the live history is replayed with both models; 0: none."""
