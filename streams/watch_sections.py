"""The section `watch`: whether the model still does what it did where it learned."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from streams.section import Section


class WatchSettings(Section):
    """The model under watch: drift, calibration on the desk's verdicts, and a challenger in the shadow."""

    window_texts: int = Field(5_000, ge=100, le=1_000_000)
    """Texts that drift is measured on, the latest ones. Needs `reference.json` in the model's folder, which `squall
    models reference` makes."""
    min_texts: int = Field(500, ge=50, le=1_000_000)
    """No drift is shown of fewer: by chance alone they would look drifted."""
    remembered_answers: int = Field(50_000, ge=0, le=5_000_000)
    """Messages whose answer is remembered until the desk's verdict on it comes; about 200 bytes each. 0: verdicts are
    not read."""
    window_labels: int = Field(1_000, ge=50, le=1_000_000)
    """Verdicts that the calibration error is measured on, the latest ones."""
    min_labels: int = Field(100, ge=20, le=1_000_000)
    """No calibration error is shown of fewer."""
    challenger: Path | None = None
    """Folder of a model that scores a share of the live texts as well, out of sight: its answers are compared and
    forgotten. Unset: none."""
    share: float = Field(0.05, ge=0, le=1)
    """Share of the messages that the challenger scores; each costs what it costs the model in use."""

    @model_validator(mode="after")
    def _windows_can_fill(self) -> WatchSettings:
        for least, window in (("min_texts", "window_texts"), ("min_labels", "window_labels")):
            if getattr(self, least) > getattr(self, window):
                msg = f"{least} ({getattr(self, least)}) must not be above {window} ({getattr(self, window)})"
                raise ValueError(msg)
        return self
