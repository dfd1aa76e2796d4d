from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Classifier
from models.calibration import Calibration, HeadCalibration
from models.files import DEFAULT_MODEL, TOKENIZER, write_calibration
from models.prediction import softmax
from models.tokens import TextTokenizer
from models.windows import overlap_of, window_weights
from tests.models.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def windowed(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, device="cpu", dtype="float32", max_windows=3)


@pytest.fixture(scope="module")
def cut_off(tiny_model: Path) -> Classifier:
    return Classifier.load(tiny_model, device="cpu", dtype="float32", max_windows=1)


@pytest.fixture(scope="module")
def shipped_tokenizer() -> TextTokenizer:
    return TextTokenizer(DEFAULT_MODEL / TOKENIZER, 24)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("abc the%$. profit🙈é"), max_size=400), st.integers(1, 5))
def test_windows_hold_the_tokens_of_the_text_in_order_between_special_tokens(
    shipped_tokenizer: TextTokenizer, text: str, max_windows: int
) -> None:
    whole = TextTokenizer(DEFAULT_MODEL / TOKENIZER, 10_000)([text])[0].ids
    (found,) = shipped_tokenizer.windows([text], max_windows)
    rebuilt: list[int] = []
    for window, span in zip(found.windows, found.spans, strict=True):
        assert (window[0], window[-1]) == (whole[0], whole[-1])
        assert len(window) == span.end - span.start + 2 <= 24
        assert window[1:-1] == whole[1:-1][span.start : span.end]
        rebuilt += window[1:-1][len(rebuilt) - span.start :]
    assert tuple(rebuilt) == whole[1 : found.tokens - 1]
    assert found.truncated == (found.tokens < len(whole))
    assert shipped_tokenizer([text])[0].ids == found.windows[0]


def test_a_long_text_says_in_how_many_windows_it_was_read_and_what_was_left_out(windowed: Classifier) -> None:
    # 30 tokens to a window, of which 3 are repeated: 30, 57 and 84 tokens fill one, two and three windows.
    texts = ["the " * count for count in (30, 31, 57, 58, 84, 85)]
    rows = windowed.predict(texts)
    assert [row.windows for row in rows] == [1, 2, 2, 3, 3, 3]
    assert [row.truncated for row in rows] == [False] * 5 + [True]
    assert [row.tokens for row in rows] == [32, 33, 59, 60, 86, 86] == windowed.count_tokens(texts)
    assert overlap_of(30) == 3


def test_one_window_answers_as_before_and_a_long_text_otherwise(windowed: Classifier, cut_off: Classifier) -> None:
    short = ["", "profit", "the bank falls " * 7]
    assert windowed.predict(short) == cut_off.predict(short)
    assert windowed.predict([*short, "loss " * 60])[:3] == cut_off.predict(short)
    long = "shares of the bank rise " * 5 + "loss " * 40
    first, whole = cut_off.predict([long])[0], windowed.predict([long])[0]
    assert (first.windows, first.truncated) == (1, True)
    assert (whole.windows, whole.truncated) == (3, False)
    assert whole.topics != first.topics


def test_the_answer_is_the_weighted_mean_of_the_windows_logits(windowed: Classifier, cut_off: Classifier) -> None:
    words = ["shares", "of", "the", "bank", "fall", "rise", "profit", "loss"]
    text = " ".join(words[place * place % 8] for place in range(50))
    (found,) = windowed._tokenizer.windows([text], 3)
    pieces = [" ".join(text.split()[span.start : span.end]) for span in found.spans]
    logits = cut_off.outputs(pieces).sentiment
    wanted = (window_weights(found.spans)[:, np.newaxis] * logits).sum(axis=0)
    assert windowed.outputs([text]).sentiment[0] == pytest.approx(wanted, abs=1e-6)
    (row,) = windowed.predict([text])
    assert (row.negative, row.neutral, row.positive) == pytest.approx(softmax(wanted[np.newaxis])[0], abs=1e-4)


def test_a_text_of_any_length_costs_a_bounded_number_of_windows(windowed: Classifier) -> None:
    (row,) = windowed.predict(["loss " * 200_000])
    assert (row.windows, row.truncated, row.tokens) == (3, True, 86)


def test_a_calibrated_model_changes_probabilities_and_never_the_label_and_marks_the_unsure(
    tiny_model: Path, tmp_path: Path
) -> None:
    write_tiny_model(tmp_path)
    texts = ["shares fall", "profit", "the bank", "loss " * 60]
    plain = Classifier.load(tiny_model, device="cpu", dtype="float32")
    manifest = write_calibration(tmp_path, Calibration(HeadCalibration(0.25), HeadCalibration(4.0), 0.99))
    calibrated = Classifier.load(tmp_path, device="cpu", dtype="float32")
    assert calibrated.model.version == manifest.version != plain.model.version
    assert calibrated.abstain_below == 0.99
    for before, after in zip(plain.predict(texts), calibrated.predict(texts), strict=True):
        assert (after.label, after.topic) == (before.label, before.topic)
        assert max(after.negative, after.neutral, after.positive) > max(
            before.negative, before.neutral, before.positive
        )
        assert after.topic_probability < before.topic_probability
        assert after.abstained
        assert not before.abstained
    bold = Classifier.load(tmp_path, device="cpu", dtype="float32", abstain_below=0.0)
    assert not any(row.abstained for row in bold.predict(texts))


def test_impossible_limits_are_named(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="max_windows must be at least 1, got 0"):
        Classifier.load(tiny_model, max_windows=0)
    with pytest.raises(ValueError, match=r"abstain_below must lie between 0 and 1, got 1\.5"):
        Classifier.load(tiny_model, abstain_below=1.5)
