"""OpenVINO and ONNX Runtime against torch in float32: the same answers, whatever the batch, thread or cache."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from models.benchmark import generate_texts
from models.classifier import Classifier
from models.device import has_fast_bfloat16
from models.engines.artefacts import ARTEFACT
from models.engines.base import Outputs
from models.engines.choice import load_engine
from models.engines.heads import Heads, Layer
from models.errors import BackendMissingError, DeviceError, ModelFilesError
from models.files import DEFAULT_MODEL, read_manifest
from models.prediction import softmax

LIBRARIES = {"openvino": ("openvino", "nncf"), "onnx": ("onnx", "onnxruntime")}
FORMATS = [
    ("openvino", "float32"),
    *([("openvino", "bfloat16")] if has_fast_bfloat16() else []),
    ("openvino", "int8"),
    ("onnx", "float32"),
    ("onnx", "int8"),
]
PROBABILITIES = {"float32": 1e-5, "bfloat16": 0.02, "int8": 0.05}
"""How far a probability of the tiny model may be from torch's in float32."""

Load = Callable[[str, str], Classifier]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def load(tiny_model: Path, cache: Path) -> Load:
    """Load the tiny model into a backend, once for all tests of this module."""
    loaded: dict[tuple[str, str], Classifier] = {}

    def one(backend: str, dtype: str) -> Classifier:
        skip_without(backend)
        if (backend, dtype) not in loaded:
            loaded[backend, dtype] = Classifier.load(tiny_model, backend=backend, dtype=dtype, cache=cache)
        return loaded[backend, dtype]

    return one


def skip_without(backend: str) -> None:
    for name in LIBRARIES.get(backend, ()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}")


def texts_of_all_lengths(words: int) -> list[str]:
    """Return texts that come to every token count from the empty text to beyond `words`, and some more."""
    vocabulary = ("shares", "fall", "rise", "profit", "loss", "bank", "the", ".")
    pick = random.Random(2)
    return [" ".join(pick.choices(vocabulary, k=count)) for count in range(words + 3)] + generate_texts(20)


def furthest(one: Outputs, other: Outputs) -> float:
    """Return the largest difference of a probability."""
    return max(float(part.max()) for part in differences(one, other))


def arrays(outputs: Outputs) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the fields as arrays of no particular type."""
    return outputs.sentiment, outputs.topic, outputs.pooled


def same_bits(one: Outputs, other: Outputs) -> bool:
    return all(first.tobytes() == second.tobytes() for first, second in zip(arrays(one), arrays(other), strict=True))


def differences(one: Outputs, other: Outputs) -> list[NDArray[np.float64]]:
    """Return how far the probabilities of sentiment and topic are apart."""
    return [np.abs(softmax(first) - softmax(second)) for first, second in zip(one[:2], other[:2], strict=True)]


@pytest.mark.parametrize(("backend", "dtype"), FORMATS)
def test_a_backend_agrees_with_float32_on_texts_of_all_lengths(load: Load, backend: str, dtype: str) -> None:
    texts = texts_of_all_lengths(32)
    expected, found = load("torch", "float32").outputs(texts), load(backend, dtype).outputs(texts)
    assert furthest(found, expected) < PROBABILITIES[dtype]
    assert found.pooled.shape == expected.pooled.shape
    if dtype == "float32":
        assert np.abs(found.pooled - expected.pooled).max() < 1e-4


@pytest.mark.parametrize(("backend", "dtype"), FORMATS)
def test_a_text_has_the_same_bits_in_every_batch(tiny_model: Path, load: Load, backend: str, dtype: str) -> None:
    whole = load(backend, dtype)
    texts = texts_of_all_lengths(32)
    expected = whole.outputs(texts)
    for budget in (1, 100, 700):
        other = Classifier(whole._engine, whole._tokenizer, whole.manifest, max_tokens_per_batch=budget)
        order = random.Random(budget).sample(range(len(texts)), len(texts))
        found = other.outputs([texts[at] for at in order])
        wanted = Outputs(*(part[order] for part in arrays(expected)))
        assert same_bits(wanted, found), f"other bits with a budget of {budget} tokens"


@pytest.mark.parametrize(("backend", "dtype"), [("openvino", FORMATS[1][1]), ("onnx", "int8"), ("onnx", "float32")])
def test_the_shipped_model_agrees_too_and_has_the_same_bits_in_every_batch(
    cache: Path, backend: str, dtype: str
) -> None:
    skip_without(backend)
    texts = ["", "!", *generate_texts(60), "Larkspur Pharma slumps. " * 40, "Kestrel Telecom wins " * 12]
    expected = Classifier.load(device="cpu", dtype="float32").outputs(texts)
    whole = Classifier.load(backend=backend, dtype=dtype, cache=cache)
    found = whole.outputs(texts)
    if dtype == "int8":  # a text between two classes may move far, most do not
        assert max(float(part.mean()) for part in differences(found, expected)) < 0.02
    else:
        assert furthest(found, expected) < {"float32": 1e-4, "bfloat16": 0.02}[dtype]
    alike = found.sentiment.argmax(axis=1) == expected.sentiment.argmax(axis=1)
    assert alike.mean() >= 0.95
    alone = Classifier(whole._engine, whole._tokenizer, whole.manifest, max_tokens_per_batch=1).outputs(texts)
    assert same_bits(found, alone)


@pytest.mark.parametrize(("backend", "dtype"), FORMATS)
def test_several_threads_get_the_answers_that_one_gets(load: Load, backend: str, dtype: str) -> None:
    classifier = load(backend, dtype)
    lists = [generate_texts(30, seed=seed) for seed in range(6)]
    expected = [classifier.predict(texts) for texts in lists]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(classifier.predict, lists)) == expected


@pytest.mark.parametrize(("backend", "dtype"), FORMATS)
def test_no_texts_get_no_predictions(load: Load, backend: str, dtype: str) -> None:
    classifier = load(backend, dtype)
    assert classifier.predict([]) == []
    assert classifier.outputs([]).pooled.shape == (0, 32)
    assert classifier._engine.run([]) == []


@pytest.mark.parametrize(("backend", "dtype"), FORMATS)
def test_a_backend_says_what_it_is(load: Load, backend: str, dtype: str) -> None:
    classifier = load(backend, dtype)
    assert (classifier.backend, classifier.precision, classifier.device) == (backend, dtype, "cpu")


@pytest.mark.parametrize(("backend", "dtype"), [("openvino", "float32"), ("onnx", "float32")])
def test_what_was_converted_once_is_used_again_and_made_again_when_damaged(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, backend: str, dtype: str
) -> None:
    skip_without(backend)
    (expected,) = Classifier.load(tiny_model, backend=backend, dtype=dtype, cache=tmp_path).predict(["profit"])
    (note,) = tmp_path.rglob(ARTEFACT)
    made = {file.name: file.stat().st_mtime_ns for file in note.parent.iterdir()}
    assert Classifier.load(tiny_model, backend=backend, dtype=dtype, cache=tmp_path).predict(["profit"]) == [expected]
    assert {file.name: file.stat().st_mtime_ns for file in note.parent.iterdir()} == made

    for file in [file for file in note.parent.iterdir() if file.suffix in (".bin", ".onnx")]:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        found = Classifier.load(tiny_model, backend=backend, dtype=dtype, cache=tmp_path).predict(["profit"])
    assert found == [expected]
    assert "is damaged" in caplog.text


def test_a_new_version_of_a_model_gets_artefacts_of_its_own(tmp_path: Path, tiny_model: Path) -> None:
    from tests.models.tiny_model import write_tiny_model

    skip_without("onnx")
    other = tmp_path / "other"
    other.mkdir()
    write_tiny_model(other, seed=4)
    for folder in (tiny_model, other):
        expected = Classifier.load(folder, device="cpu", dtype="float32").outputs(["shares fall"])
        found = Classifier.load(folder, backend="onnx", cache=tmp_path).outputs(["shares fall"])
        assert furthest(found, expected) < PROBABILITIES["float32"]


@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_nothing_is_sent_anywhere(
    backend: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without(backend)

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    Classifier.load(tiny_model, backend=backend, cache=tmp_path).predict(["profit"])
    if backend == "openvino":
        assert sys.modules["openvino_telemetry"] is None


@pytest.mark.parametrize(
    ("backend", "dtype", "absent", "extra"),
    [
        ("openvino", "float32", "openvino", "pip install nncf openvino"),
        ("openvino", "int8", "nncf", "pip install nncf openvino"),
        ("onnx", "float32", "onnxruntime", "pip install onnx onnxruntime"),
        ("onnx", "int8", "onnx", "pip install onnx onnxruntime"),
    ],
)
def test_a_missing_extra_is_a_message_that_says_how_to_install_it(
    tiny_model: Path, tmp_path: Path, backend: str, dtype: str, absent: str, extra: str
) -> None:
    skip_without(backend)
    program = (
        "import pathlib, sys\n"
        "sys.modules[sys.argv[4]] = None\n"
        "from models.classifier import Classifier\n"
        "from models.errors import BackendMissingError\n"
        "folder, backend, dtype, _, cache = sys.argv[1:]\n"
        "try: Classifier.load(folder, backend=backend, dtype=dtype, cache=pathlib.Path(cache))\n"
        "except BackendMissingError as error: print(error); sys.exit(3)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tiny_model), backend, dtype, absent, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 3, found.stderr
    assert f"{absent} is not installed" in found.stdout
    assert extra in found.stdout


def test_unknown_backends_formats_and_devices_are_named(tiny_model: Path, tmp_path: Path) -> None:
    manifest = read_manifest(tiny_model)
    with pytest.raises(BackendMissingError, match="unknown backend 'tensorflow'; choose auto, torch or onnx"):
        load_engine(tiny_model, manifest, backend="tensorflow", cache=tmp_path)
    for backend in ("openvino", "onnx"):
        skip_without(backend)
        with pytest.raises(DeviceError, match="computes on the CPU"):
            load_engine(tiny_model, manifest, backend=backend, device="cuda", cache=tmp_path)
        with pytest.raises(DeviceError, match="no number format 'int4'"):
            load_engine(tiny_model, manifest, backend=backend, dtype="int4", cache=tmp_path)


def test_a_cache_folder_that_cannot_be_written_is_named(tiny_model: Path, tmp_path: Path) -> None:
    skip_without("onnx")
    occupied = tmp_path / "file"
    occupied.write_text("no folder")
    with pytest.raises(ModelFilesError, match="XDG_CACHE_HOME"):
        Classifier.load(tiny_model, backend="onnx", cache=occupied)


def test_heads_give_a_row_the_same_bits_among_any_others() -> None:
    heads = Heads.load(DEFAULT_MODEL)
    vectors = np.random.default_rng(1).standard_normal((37, heads.hidden_size)).astype(np.float32)
    expected = heads(vectors)
    for count in (1, 2, 5, 36):
        found = heads(vectors[:count])
        assert np.array_equal(found.sentiment, expected.sentiment[:count])
        assert np.array_equal(found.topic, expected.topic[:count])


def layer(classes: int, hidden: int) -> Layer:
    return np.zeros((classes, hidden), np.float32), np.zeros(classes, np.float32)


def test_heads_of_another_shape_are_refused() -> None:
    with pytest.raises(ModelFilesError, match="do not fit each other"):
        Heads(layer(3, 8), layer(20, 4))
    with pytest.raises(ModelFilesError, match="outputs"):
        Heads(layer(2, 8), layer(20, 8))


def test_a_missing_extra_ends_a_command_with_its_message_and_status_2(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deploy.cli import main

    texts = tmp_path / "texts.csv"
    texts.write_text("text\nshares fall\n")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("SQUALL_CLASSIFIER__BACKEND", "onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        main(["score", str(texts), "--output", str(tmp_path / "out.jsonl"), "--model", str(tiny_model)])
    assert stopped.value.code == 2
    assert "onnxruntime is not installed: pip install onnx onnxruntime" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_telemetry_that_was_loaded_before_sends_nothing() -> None:
    if not any(found.metadata["Name"] == "openvino-telemetry" for found in importlib.metadata.distributions()):
        pytest.skip("needs openvino-telemetry")
    program = (
        "import openvino_telemetry.main as reports\n"
        "from models.engines.telemetry import refuse_telemetry\n"
        "def sent(*_): raise SystemExit('something is sent')\n"
        "reports.TelemetrySender.send = sent\n"
        "refuse_telemetry()\n"
        "reports.TelemetrySender().send(None, None)\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
