"""The section `retrain` of the configuration: where labels are kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class RetrainSettings(BaseModel):
    """The way from labels to a better model."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    labels: Path = Path(".squall/labels")
    """Folder in which `squall labels` keeps what people said of messages. It holds texts: keep it as safe as the
    messages themselves."""
