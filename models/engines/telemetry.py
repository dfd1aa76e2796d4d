"""No network call from a library that computes.

OpenVINO's converter and NNCF report their use to a web service through the package `openvino_telemetry`, unless it
cannot be imported; then they go without.
"""

from __future__ import annotations

import sys
from typing import Any


def refuse_telemetry() -> None:
    """Keep OpenVINO and NNCF from reporting anything; to be called before either is imported."""
    loaded: Any = sys.modules.get("openvino_telemetry")
    if loaded is None:
        modules: dict[str, Any] = sys.modules
        modules["openvino_telemetry"] = None  # Python's own way to make an import fail
        return
    # Someone else in this process was there first: what it holds stays, and sends nothing.
    loaded.main.TelemetrySender.send = _nothing


def _nothing(*_: object, **__: object) -> None:
    """Send nothing."""
