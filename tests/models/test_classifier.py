from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Classifier, Prediction, Scorer
from models.benchmark import generate_texts
from models.device import choose_device, choose_dtype, has_fast_bfloat16
from models.errors import DeviceError
from models.files import DEFAULT_MODEL

FORMATS = ["float32", "bfloat16"] if has_fast_bfloat16() else ["float32"]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, device="cpu", dtype="float32")


def without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_a_model_folder_loads_and_scores_without_a_network(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_network(monkeypatch)
    scorer: Scorer = Classifier.load(str(tiny_model))
    (row,) = scorer.predict(["shares of the bank fall"])
    assert scorer.model.name == "tiny"
    assert len(scorer.model.version) == 12
    assert isinstance(row, Prediction)
    assert round(row.negative + row.neutral + row.positive, 4) == 1.0
    assert round(sum(row.topics), 4) == 1.0


@pytest.mark.parametrize(
    "text",
    ["", " ", "\x00\x01", "\ud800\udfff\ud800", "🙈" * 50, "a" * 100_000, "[CLS] [SEP] [PAD]", "负面消息", "\u202e‮"],
)
def test_weird_texts_get_a_prediction(tiny: Classifier, text: str) -> None:
    (row,) = tiny.predict([text])
    assert round(row.negative + row.neutral + row.positive, 4) == 1.0
    assert 2 <= row.tokens <= 32


def test_no_texts_get_no_predictions_and_a_bare_string_is_refused(tiny: Classifier) -> None:
    assert tiny.predict([]) == []
    with pytest.raises(TypeError, match="one string"):
        tiny.predict("shares fall")


def test_truncation_is_visible_and_padding_of_the_tokenizer_file_is_ignored(tiny_model: Path) -> None:
    one_window = Classifier.load(tiny_model, device="cpu", dtype="float32", max_windows=1)
    short, exact, long = one_window.predict(["profit", "the " * 30, "the " * 31])
    assert (short.tokens, short.truncated) == (3, False)
    assert (exact.tokens, exact.truncated) == (32, False)
    assert (long.tokens, long.truncated) == (32, True)
    assert (long.negative, long.topics) == (exact.negative, exact.topics)


def test_a_lower_limit_reads_less_and_a_higher_one_is_refused(tiny_model: Path) -> None:
    classifier = Classifier.load(tiny_model, max_length=8, max_windows=1)
    assert classifier.max_length == 8
    assert classifier.predict(["the " * 10])[0].truncated
    with pytest.raises(ValueError, match="at most 32"):
        Classifier.load(tiny_model, max_length=33)
    with pytest.raises(ValueError, match="special tokens"):
        Classifier.load(tiny_model, max_length=2)
    with pytest.raises(ValueError, match="max_tokens_per_batch"):
        Classifier.load(tiny_model, max_tokens_per_batch=0)


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.text(st.sampled_from("abc the%$. loss"), max_size=60), min_size=1, max_size=25),
    budget=st.integers(1, 300),
    order=st.randoms(use_true_random=False),
)
def test_a_prediction_does_not_depend_on_its_batch(
    tiny_model: Path, texts: list[str], budget: int, order: random.Random
) -> None:
    classifier = _with_budget(tiny_model, 2048)
    expected = [classifier.predict([text])[0] for text in texts]
    shuffled = order.sample(range(len(texts)), len(texts))
    rows = _with_budget(tiny_model, budget).predict([texts[index] for index in shuffled])
    assert rows == [expected[index] for index in shuffled]


_loaded: dict[tuple[Path, str], Classifier] = {}


def _with_budget(folder: Path, budget: int, dtype: str = "float32") -> Classifier:
    """Return one loaded model with another token budget, sharing its engine."""
    base = _loaded.setdefault((folder, dtype), Classifier.load(folder, device="cpu", dtype=dtype))
    return Classifier(base._engine, base._tokenizer, base.manifest, max_tokens_per_batch=budget)


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_shipped_model_scores_bit_for_bit_alike_in_every_batch(dtype: str) -> None:
    texts = ["", "!", *generate_texts(40), "Larkspur Pharma slumps. " * 40, "Kestrel Telecom wins " * 12]
    classifier = _with_budget(DEFAULT_MODEL, 2048, dtype)
    whole = _raw(classifier, texts)
    for budget in (1, 300):
        shuffled = random.Random(budget).sample(range(len(texts)), len(texts))
        other = _raw(_with_budget(DEFAULT_MODEL, budget, dtype), [texts[index] for index in shuffled])
        for place, index in enumerate(shuffled):
            assert other[place] == whole[index], f"text {index} differs with a budget of {budget} tokens"


def _raw(classifier: Classifier, texts: list[str]) -> list[bytes]:
    """Return logits and pooled vectors as bytes, so that nothing hides in the decimals."""
    return [b"".join(part.tobytes() for part in row) for row in zip(*classifier.outputs(texts), strict=True)]


def test_the_shipped_model_reads_plain_news_as_a_person_would() -> None:
    classifier = _with_budget(DEFAULT_MODEL, 2048, FORMATS[-1])
    rows = classifier.predict(
        [
            "Alderney Foods shares plunge 14% after a profit warning and an accounting probe",
            "Glasswing Air raises its full-year outlook as bookings beat expectations, stock jumps",
            "Harrowgate Insurance to hold its annual meeting on 4 May",
        ]
    )
    assert [row.label for row in rows] == ["negative", "positive", "neutral"]


def test_loading_leaves_the_callers_random_numbers_alone(tiny_model: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    Classifier.load(tiny_model)
    assert torch.equal(torch.rand(1), expected)


def test_unknown_or_absent_devices_and_formats_are_named() -> None:
    cpu = torch.device("cpu")
    assert choose_dtype("float32", cpu) is torch.float32
    for device in ("gpu", "mps", "cuda:99"):
        with pytest.raises(DeviceError, match="choose"):
            choose_device(device)
    with pytest.raises(DeviceError, match="float32 or bfloat16"):
        choose_dtype("int8", cpu)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_answers_as_the_cpu_does_up_to_rounding() -> None:
    texts = ["", *generate_texts(50)]
    on_cpu = Classifier.load(device="cpu", dtype="float32").predict(texts)
    on_gpu = Classifier.load(device="cuda", dtype="float32").predict(texts)
    for cpu, gpu in zip(on_cpu, on_gpu, strict=True):
        assert abs(cpu.negative - gpu.negative) < 0.005
        assert abs(cpu.topic_probability - gpu.topic_probability) < 0.005
