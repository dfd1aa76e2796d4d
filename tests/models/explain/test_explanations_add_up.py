"""Contributions make up the score, and say what they claim to."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models.explain.attribution as attribution
from models import Classifier
from models.calibration import Calibration, HeadCalibration, calibrate
from models.errors import BackendMissingError, ExplanationError
from models.explain import Explainer
from models.files import TOKENIZER, read_manifest
from models.labels import SENTIMENTS, TOPIC_IDS
from models.prediction import softmax
from models.storage import load_network
from models.tokens import TextTokenizer

_WORDS = st.sampled_from(
    "shares of the bank fall rise profit loss $bank 12% bankfall ! 🙈 负面 &amp; http://x.example".split()
)
TEXTS = st.lists(_WORDS, max_size=12).map(" ".join) | st.text(max_size=20)
TINY: list[Explainer] = []


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Explainer:
    TINY[:] = [Explainer.load(tiny_model, device="cpu")]
    return TINY[0]


@pytest.mark.usefixtures("tiny")
@settings(max_examples=25, deadline=None)
@given(text=TEXTS, label=st.sampled_from([None, *SENTIMENTS]))
def test_contributions_add_up_to_the_score_within_the_tolerance(text: str, label: str | None) -> None:
    found = TINY[0].explain(text, label=label)
    assert found.tolerance is not None
    assert abs(found.delta) <= found.tolerance
    assert found.tolerance <= 0.01 * max(1.0, abs(found.score - found.baseline)) + 1e-12
    assert found.baseline + sum(word.contribution for word in found.words) + found.rest + found.delta == pytest.approx(
        found.score, abs=1e-6
    )
    assert found.rest == 0.0, "special tokens are the same in the baseline"
    for word in found.words:
        assert found.text[word.start : word.end] == word.text
    assert all(one.end <= other.start for one, other in zip(found.words, found.words[1:], strict=False))


@pytest.mark.parametrize(("head", "labels"), [("sentiment", SENTIMENTS), ("topic", TOPIC_IDS)])
def test_the_score_is_the_classifiers_own_log_odds(
    tiny: Explainer, tiny_model: Path, head: str, labels: tuple[str, ...]
) -> None:
    text = "shares of the bank fall, loss!"
    outputs = Classifier.load(tiny_model, device="cpu", dtype="float32").outputs([text])
    probabilities = softmax(outputs.sentiment if head == "sentiment" else outputs.topic)[0]
    for at, label in enumerate(labels[:4]):
        found = tiny.explain(text, head=head, label=label)
        assert found.probability == pytest.approx(probabilities[at], abs=1e-5)
    assert tiny.explain(text, head=head, label=None).label == labels[int(probabilities.argmax())]


def test_a_long_text_is_explained_as_the_one_answer_that_its_windows_make(tiny: Explainer, tiny_model: Path) -> None:
    text = "the bank fall " * 20 + "profit rise"
    classifier = Classifier.load(tiny_model, device="cpu", dtype="float32")
    found = tiny.explain(text)
    assert found.windows == classifier.predict([text])[0].windows == 3
    assert found.probability == pytest.approx(softmax(classifier.outputs([text]).sentiment)[0][0], abs=1e-5)
    assert len(found.words) == 62
    assert abs(found.delta) <= 0.01 * max(1.0, abs(found.score - found.baseline))
    cut = Explainer.load(tiny_model, device="cpu", max_windows=1).explain(text)
    assert (cut.windows, cut.truncated, len(cut.words)) == (1, True, 30)


def test_the_same_text_gives_the_same_explanation(tiny: Explainer, tiny_model: Path) -> None:
    again = Explainer.load(tiny_model, device="cpu")
    assert tiny.explain("profit of the bank rise") == again.explain("profit of the bank rise")


def test_calibrated_probabilities_are_what_is_explained(tiny_model: Path) -> None:
    manifest = replace(read_manifest(tiny_model), calibration=Calibration(HeadCalibration(2.5), HeadCalibration(0.5)))
    explainer = Explainer(load_network(tiny_model), TextTokenizer(tiny_model / TOKENIZER, 32), manifest)
    outputs = Classifier.load(tiny_model, device="cpu", dtype="float32").outputs(["profit fall"])
    for head, logits, temperature in (("sentiment", outputs.sentiment, 2.5), ("topic", outputs.topic, 0.5)):
        found = explainer.explain("profit fall", head=head, label=None)
        assert found.probability == pytest.approx(softmax(calibrate(logits, temperature))[0].max(), abs=1e-5)


def test_occlusion_says_what_the_score_loses_with_each_word(tiny: Explainer, tiny_model: Path) -> None:
    text = "profit of the bankfall rise"
    found = tiny.explain(text, method="occlusion")
    assert found.tolerance is None
    assert found.steps == 5
    for word in found.words:
        unknown = " ".join("☃" if part == word.text else part for part in text.split())
        if word.text == "bankfall":  # several tokens, which become as many unknown ones
            tokens = TextTokenizer(tiny_model / TOKENIZER, 32)([word.text])[0].ids
            unknown = text.replace("bankfall", "☃ " * (len(tokens) - 2))
        assert word.contribution == pytest.approx(
            found.score - tiny.explain(unknown, method="occlusion").score, abs=1e-5
        )
    assert found.delta == pytest.approx(found.score - found.baseline - found.total, abs=1e-6)


def test_a_word_that_the_network_does_not_know_adds_nothing(tiny: Explainer) -> None:
    (_, unknown, _) = tiny.explain("profit ☃ rise").words
    assert (unknown.text, unknown.contribution) == ("☃", 0.0)


def test_steps_are_doubled_until_the_sum_is_right(tiny: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "FIRST_STEPS", 1)
    found = tiny.explain("profit of the bank rise!", label="positive")
    assert found.steps > 1
    assert found.steps & (found.steps - 1) == 0
    assert found.tolerance is not None
    assert abs(found.delta) <= found.tolerance


def test_a_sum_that_stays_wrong_is_an_error_and_no_explanation(tiny_model: Path) -> None:
    strict = Explainer.load(tiny_model, device="cpu", tolerance=1e-9, most_steps=2)
    with pytest.raises(ExplanationError, match=r"after 2 steps the contributions miss .* allow more steps"):
        strict.explain("profit of the bank rise!")


def test_messages_are_explained_in_order_and_reposts_once(tiny: Explainer) -> None:
    first, second, third = tiny.explain_messages(["profit", "loss", "profit"])
    assert first is third
    assert (first.text, second.text) == ("profit", "loss")
    with pytest.raises(TypeError, match="one string"):
        tiny.explain_messages("profit")


def test_what_cannot_be_asked_is_refused(tiny: Explainer, tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="unknown head: choose one of sentiment, topic"):
        tiny.explain("x", head="mood")
    with pytest.raises(ValueError, match="unknown label: choose one of negative, neutral, positive"):
        tiny.explain("x", label="bad")
    with pytest.raises(ValueError, match="unknown method"):
        tiny.explain("x", method="guess")  # type: ignore[arg-type]
    for wrong in ({"tolerance": 0.0}, {"most_steps": 0}, {"max_windows": 0}):
        with pytest.raises(ValueError, match="must be"):
            Explainer.load(tiny_model, **wrong)  # type: ignore[arg-type]


def test_without_captum_the_error_says_what_to_install(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(BackendMissingError, match=r"pip install captum$"):
        Explainer.load(tiny_model)


def test_weights_are_left_as_they_were(tiny_model: Path) -> None:
    network = load_network(tiny_model)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    explainer = Explainer(network, TextTokenizer(tiny_model / TOKENIZER, 32), read_manifest(tiny_model))
    explainer.explain("profit")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert np.isfinite(explainer.explain("loss").score)
