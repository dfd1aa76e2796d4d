"""Figures that others keep, read when /metrics is asked for: the memory for reposts and the GPU; and what runs here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from models.cache import CacheFigures
from models.engines import passes
from streams import __version__, compiled
from streams.app import metrics


class CacheCollector(Collector):
    """Shows how often a text was found in memory.

    Args:
        registry: what is scraped.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._read: Callable[[], CacheFigures] | None = None
        registry.register(self)

    def show(self, read: Callable[[], CacheFigures]) -> None:
        """Read these figures from now on."""
        self._read = read
        metrics.REMEMBERED.set_function(lambda: read().entries)

    def describe(self) -> list[Metric]:
        """Return the metric without samples."""
        return [metrics.CACHE_LOOKUPS.made_of(())]

    def collect(self) -> list[Metric]:
        """Return hits and misses; no samples where nothing is remembered."""
        if self._read is None:
            return self.describe()
        figures = self._read()
        return [metrics.CACHE_LOOKUPS.made_of([(("hit",), figures.hits), (("miss",), figures.misses)])]


class GpuCollector(Collector):
    """Shows the memory of the CUDA devices that this process uses; none where it uses none.

    Args:
        registry: what is scraped.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def describe(self) -> list[Metric]:
        """Return the metric without samples."""
        return [metrics.GPU_MEMORY.made_of(())]

    def collect(self) -> list[Metric]:
        """Return what torch has taken of each device, and what there is."""
        torch: Any = sys.modules.get("torch")  # a monitor has none, and does not load it for this
        if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
            return self.describe()
        samples = []
        for number in range(torch.cuda.device_count()):
            reserved = torch.cuda.memory_reserved(number)
            if reserved:
                device = f"cuda:{number}"
                samples += [
                    ((device, "allocated"), torch.cuda.memory_allocated(number)),
                    ((device, "reserved"), reserved),
                    ((device, "total"), torch.cuda.get_device_properties(number).total_memory),
                ]
        return [metrics.GPU_MEMORY.made_of(samples)]


CACHE = CacheCollector(REGISTRY)
GPU = GpuCollector(REGISTRY)


def show_worker(role: str) -> None:
    """Show what runs here; to be called when the monitor was imported, which may be compiled."""
    is_compiled = str(compiled.is_used()).lower()
    metrics.WORKER.labels(version=__version__, role=role, compiled=is_compiled).set(1)


def count_passes() -> Callable[[], None]:
    """Count tokens and padding of what goes through the network from now on; returns what ends that."""

    def count(tokens: int, computed: int) -> None:
        metrics.BATCH_FILL.observe(tokens / computed)
        metrics.BATCH_TOKENS.inc(tokens)

    return passes.listen(count)
