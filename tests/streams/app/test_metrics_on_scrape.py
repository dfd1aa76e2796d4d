"""Figures read when /metrics is asked for: the memory for reposts, the GPU; and what goes through the network."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from prometheus_client import CollectorRegistry

from models.cache import CachedScorer, PredictionCache
from models.classifier import Classifier
from models.testing import FakeClassifier
from streams import __version__
from streams.app import metrics, on_scrape
from streams.app.on_scrape import CacheCollector, GpuCollector, count_passes, show_worker
from tests.models.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-model")
    write_tiny_model(folder)
    return folder


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def samples(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def test_lookups_are_counted_by_whether_something_was_found() -> None:
    registry = CollectorRegistry()
    collector = CacheCollector(registry)
    assert samples(registry) == {}, "a worker that remembers nothing shows nothing"
    cache = PredictionCache(10)
    collector.show(lambda: cache.figures)
    scorer = CachedScorer(FakeClassifier(), cache)
    scorer.predict(["profit rises", "shares fall"])
    scorer.predict(["shares fall", "shares fall again"])
    assert samples(registry) == {
        ("squall_cache_lookups_total", "hit"): 1,
        ("squall_cache_lookups_total", "miss"): 3,
    }
    assert metrics.REMEMBERED.collect()  # the gauge beside it reads the same memory


def test_no_memory_of_a_gpu_is_shown_where_torch_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    GpuCollector(registry)
    monkeypatch.delitem(sys.modules, "torch")
    assert samples(registry) == {}


@pytest.mark.parametrize(("available", "initialised"), [(False, False), (True, False)])
def test_nor_where_no_gpu_is_in_use(monkeypatch: pytest.MonkeyPatch, available: bool, initialised: bool) -> None:
    registry = CollectorRegistry()
    GpuCollector(registry)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialised)
    assert samples(registry) == {}


def test_of_two_gpus_the_one_in_use_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    GpuCollector(registry)
    for name, answer in {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 2,
        "memory_reserved": lambda number: [0, 3_000][number],
        "memory_allocated": lambda number: [0, 2_000][number],
        "get_device_properties": lambda number: SimpleNamespace(total_memory=80_000),
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    name = "squall_gpu_memory_bytes"
    assert samples(registry) == {
        (name, "cuda:1", "allocated"): 2_000,
        (name, "cuda:1", "reserved"): 3_000,
        (name, "cuda:1", "total"): 80_000,
    }


@pytest.mark.gpu
@needs_cuda
def test_on_a_gpu_a_models_memory_is_shown_and_padding_is_counted(tiny_model: Path) -> None:
    registry = CollectorRegistry()
    GpuCollector(registry)
    stop = count_passes()
    tokens = metrics.BATCH_TOKENS._value.get()
    try:
        classifier = Classifier.load(tiny_model, device="cuda")
        classifier.predict(["shares of the bank fall", "profit"])
    finally:
        stop()
    assert metrics.BATCH_TOKENS._value.get() - tokens == sum(
        classifier.count_tokens(["shares of the bank fall", "profit"])
    )
    found = samples(registry)
    name = "squall_gpu_memory_bytes"
    assert 0 < found[name, "cuda:0", "allocated"] <= found[name, "cuda:0", "reserved"] < found[name, "cuda:0", "total"]


def test_tokens_and_padding_of_each_pass_are_counted(tiny_model: Path) -> None:
    texts = ["shares of the bank fall", "profit", "the bank"]
    classifier = Classifier.load(tiny_model, device="cpu", dtype="float32")
    before = metrics.BATCH_TOKENS._value.get()
    classifier.predict(texts)
    assert metrics.BATCH_TOKENS._value.get() == before, "nobody listens yet"
    stop = count_passes()
    try:
        classifier.predict(texts)
    finally:
        stop()
    read = sum(classifier.count_tokens(texts))
    assert metrics.BATCH_TOKENS._value.get() - before == read
    classifier.predict(texts)
    assert metrics.BATCH_TOKENS._value.get() - before == read, "nobody listens any more"


def test_a_worker_says_what_it_is() -> None:
    metrics.WORKER.clear()
    show_worker("scorer")
    ((sample,),) = (metric.samples for metric in metrics.WORKER.collect())
    assert sample.labels["version"] == __version__
    assert sample.labels["role"] == "scorer"
    assert sample.labels["compiled"] in ("true", "false")
    assert sample.value == 1
    metrics.WORKER.clear()


def test_both_are_part_of_what_is_scraped() -> None:
    assert isinstance(on_scrape.CACHE, CacheCollector)
    assert isinstance(on_scrape.GPU, GpuCollector)
