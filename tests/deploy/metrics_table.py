"""The tables of deploy/docs/METRICS.md, and what the code registers, in one form; for tests that hold them together."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import NamedTuple

from prometheus_client import REGISTRY

import streams

DOCUMENT = Path(__file__).parents[2] / "deploy" / "docs" / "METRICS.md"
HEADER = ("name", "type", "labels, at most", "unit", "shown", "meaning", "what to do with it")
_LABEL = re.compile(r"`([a-z_]+)`(?=[,:])")


class Known(NamedTuple):
    """What code and table both say of a metric."""

    name: str
    """As Prometheus shows it: a counter's ends with `_total`."""
    kind: str
    labels: tuple[str, ...]
    meaning: str
    """Its help."""

    @property
    def row(self) -> str:
        """A row for the table, with what only a person can say left open."""
        labels = ", ".join(f"`{label}`: ?" for label in self.labels)
        return f"| `{self.name}` | {self.kind} | {labels} | ? | ? | {self.meaning} | ? |"


class Row(NamedTuple):
    """A row of a table."""

    known: Known
    labels: str
    unit: str
    shown: str
    use: str


def registered() -> dict[str, Known]:
    """Every metric of Squall's own that comes into being when all of `streams` is imported."""
    for module in pkgutil.walk_packages(streams.__path__, "streams."):
        importlib.import_module(module.name)
    found = {}
    for collector in list(REGISTRY._collector_to_names):  # there is no public way to ask
        for metric in getattr(collector, "describe", list)():
            labels = getattr(collector, "_labelnames", getattr(metric, "_labelnames", ()))
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            if name.startswith("squall_"):
                found[name] = Known(name, metric.type, tuple(labels), metric.documentation)
    return found


def documented() -> dict[str, Row]:
    """Every row of the tables, by name."""
    rows: dict[str, Row] = {}
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells or cells[0] == HEADER[0] or set(cells[0]) == {"-"}:
            continue
        assert len(cells) == len(HEADER), f"{len(cells)} cells instead of {len(HEADER)}: {line}"
        name, kind, labels, unit, shown, meaning, use = cells
        known = Known(name.strip("`"), kind, tuple(_LABEL.findall(labels)), meaning)
        assert known.name not in rows, f"{name} stands twice"
        rows[known.name] = Row(known, labels, unit, shown, use)
    return rows
