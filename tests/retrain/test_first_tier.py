"""A tier learns what the network answers, is proved on texts that it did not learn, and says what it is worth."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.first_tier import load_tier, save_tier
from models.first_tier.guarantee import UNPROVED
from models.first_tier.linear import CONFIDENCE_INPUTS, CONSTANT_INPUT, LinearTier, TierAnswers
from retrain.data import Example
from retrain.first_tier import Held, divide, learn, make_tier
from retrain.first_tier_card import put_section, tier_section
from retrain.first_tier_proof import count_curve, fit_confidence, fit_soft_temperature
from retrain.first_tier_settings import TierSettings
from retrain.split import split_examples
from tests.models.tiny_model import write_tiny_model

QUICK = TierSettings(ngrams=2_000, epochs=2)
WORDS = [f"{first}{second}{third}" for first in "bdfgk" for second in "aeiou" for third in ("lm", "rst", "nd", "xq")]


def quiet(_: str) -> None:
    """Take a line of progress and drop it."""


def invented(count: int, seed: int = 1, words: int = len(WORDS)) -> list[str]:
    """Return texts of invented words; of all the words, no two are near-duplicates."""
    pick = np.random.default_rng(seed)
    return [" ".join(pick.choice(WORDS[:words], 8)) for _ in range(count)]


def says(texts: list[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return logits of an invented network: one word makes a text negative, another makes its topic the sixth."""
    sentiment, topic = np.zeros((len(texts), 3)), np.zeros((len(texts), 20))
    for at, text in enumerate(texts):
        sentiment[at, 0 if "balm" in text.split() else 2] = 3.0
        topic[at, 5 if "berst" in text.split() else 1] = 3.0
    return sentiment, topic


def test_a_tier_learns_what_a_network_says() -> None:
    seen, unseen = invented(1_000, words=20), invented(500, seed=2, words=20)
    knobs = TierSettings(ngrams=3_000, epochs=6, batch_texts=16, learning_rate=0.05)
    tier = LinearTier(learn(seen, says(seen), knobs, quiet), UNPROVED)
    answers, wanted = tier.answer(unseen), says(unseen)
    for found, logits in ((answers.sentiment, wanted[0]), (answers.topic, wanted[1])):
        assert (found.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.97
        assert 0.2 < (logits[:, 0] == 3.0).mean() + (logits[:, 1] == 3.0).mean() < 0.8


def test_the_same_texts_and_seed_make_the_same_weights() -> None:
    texts = invented(300)
    first, second = (learn(texts, says(texts), QUICK, quiet) for _ in range(2))
    assert LinearTier(first, UNPROVED).version == LinearTier(second, UNPROVED).version


def test_only_n_grams_of_two_texts_get_weights_and_no_more_than_asked_for() -> None:
    texts = ["alpha beta", "alpha gamma", "alpha delta delta delta"]
    assert len(learn(texts, says(texts), QUICK, quiet).ngrams) == 3  # alpha, its beginning, and its pair with the edge
    assert len(learn(invented(200), says(invented(200)), TierSettings(ngrams=50, epochs=1), quiet).ngrams) == 50


def labelled(texts: list[str]) -> Held:
    half = len(texts) // 2
    examples = [Example(text, "sentiment", 0, "a.csv", line) for line, text in enumerate(texts[:half], 2)]
    examples += [Example(text, "topic", 3, "b.csv", line) for line, text in enumerate(texts[half:], 2)]
    return Held(examples, split_examples(examples, 0.3, 20))


def test_no_side_shares_a_near_duplicate_with_another_or_with_a_held_out_text() -> None:
    known, fresh = invented(60, seed=3), invented(400, seed=4)
    held = labelled(known)
    copies = [f"{text} https://t.example/{at}" for at, text in enumerate([*known, *fresh])]
    sides = divide([*fresh, *copies, fresh[0]], held, TierSettings(tuning_share=0.2, proof_share=0.3))
    bare = [{text.split(" http")[0] for text in side} for side in (sides.learning, sides.tuning, sides.proof)]
    assert not (bare[0] & bare[1] or bare[0] & bare[2] or bare[1] & bare[2])
    assert not {held.examples[at].text for at in held.split.dev} & set.union(*bare)
    assert {held.examples[at].text for at in held.split.train} <= bare[0]
    assert len(bare[1]) == len(sides.tuning)  # one of each group
    assert len(bare[2]) == len(sides.proof)
    assert 0.1 < len(sides.tuning) / len(fresh) < 0.3
    assert 0.2 < len(sides.proof) / len(fresh) < 0.4


def test_a_side_does_not_depend_on_the_order_of_the_texts() -> None:
    texts = invented(300, seed=5)
    one, other = divide(texts, None, QUICK), divide(texts[::-1], None, QUICK)
    assert set(one.proof) == set(other.proof)
    assert set(one.tuning) == set(other.tuning)


def answers_of(confidence: list[float], negative: list[float]) -> TierAnswers:
    rows = len(confidence)
    sentiment = np.asarray([(value, 0.0, 1.0 - value) for value in negative])
    return TierAnswers(
        sentiment, np.eye(20)[np.zeros(rows, int)], np.asarray(confidence), np.ones(rows, int), np.zeros(rows, bool)
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.5, 0.9]), st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_equal_confidences_fall_on_one_side_of_every_threshold(rows: list[tuple[float, float, float]]) -> None:
    confidence, mine, theirs = zip(*rows, strict=True)
    answers, network = answers_of(list(confidence), list(mine)), answers_of(list(confidence), list(theirs))
    curve = count_curve((answers, network[:2]), (answers, network[:2]))
    assert set(curve.thresholds) <= set(confidence)
    for at, threshold in enumerate(curve.thresholds):
        taken = answers.confidence >= threshold
        wrong = answers.sentiment.argmax(axis=1) != network.sentiment.argmax(axis=1)
        assert curve.answered[at] == curve.tuning_answered[at] == taken.sum()
        assert curve.errors[at] == (taken & wrong).sum()
        assert curve.deviation[at] == pytest.approx(np.abs(np.subtract(mine, theirs))[taken].sum(), abs=1e-9)


def test_texts_of_which_nothing_is_known_are_below_every_threshold() -> None:
    answers = answers_of([0.0, 0.0], [0.1, 0.2])
    curve = count_curve((answers, answers[:2]), (answers, answers[:2]))
    assert curve.answered.tolist() == [0]


def test_the_temperature_brings_logits_to_the_probabilities_wanted() -> None:
    logits = np.random.default_rng(1).normal(0.0, 2.0, (500, 3))
    wanted = np.exp(logits / 1.7)
    wanted /= wanted.sum(axis=1, keepdims=True)
    assert fit_soft_temperature(logits, wanted) == pytest.approx(1.7, abs=0.01)


def test_the_confidence_rises_with_agreement_and_can_do_without_any_difference() -> None:
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(2_000, CONFIDENCE_INPUTS))
    inputs[:, CONSTANT_INPUT] = 1.0
    agree = generator.random(2_000) < 1 / (1 + np.exp(-2 * inputs[:, 0] - 1))
    weights = fit_confidence(inputs, agree)
    assert weights[0] == pytest.approx(2.0, abs=0.4)
    assert weights[CONSTANT_INPUT] == pytest.approx(1.0, abs=0.3)
    all_agree = fit_confidence(inputs, np.ones(2_000, bool))
    assert all_agree[CONSTANT_INPUT] > 6.0
    assert np.count_nonzero(all_agree) == 1


def test_a_tier_is_made_for_a_model_and_found_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    made = make_tier(
        folder, invented(2_500, seed=6), labelled(invented(200)), TierSettings(ngrams=500, epochs=1), quiet
    )
    save_tier(made.tier, folder, made.facts)
    assert load_tier(folder).version == made.tier.version
    facts = json.loads((folder / "first_tier.json").read_text())["facts"]
    assert facts["texts"]["proof"] > 300
    assert facts["dev"]["rows"] > 30
    section = tier_section(facts)
    assert "| 0.990 |" in section
    assert "linear alone" in section


def test_too_few_texts_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"only \d+ distinct texts to tune with .* give more texts"):
        make_tier(tiny_folder, invented(300), None, QUICK, quiet)


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_tiny_model(folder)
    return folder


def test_a_cards_section_is_put_in_place_of_the_old_one() -> None:
    card = "# M\n\n## First tier\n\nold\n\n| a |\n\n## Limits\n\nsome\n"
    found = put_section(card, "## First tier\n\nnew\n")
    assert found == "# M\n\n## Limits\n\nsome\n\n## First tier\n\nnew\n"
    assert put_section(found, "## First tier\n\nnew\n") == found


@pytest.mark.parametrize(
    "knobs",
    [{"ngrams": 0}, {"epochs": 0}, {"proof_share": 0.0}, {"tuning_share": 0.5, "proof_share": 0.5}, {"dropout": 1.0}],
)
def test_knobs_that_make_no_sense_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must|leave nothing"):
        TierSettings(**knobs)  # type: ignore[arg-type]


def test_a_folder_without_a_model_is_left_as_it_is(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    with pytest.raises(Exception, match="no model folder"):
        make_tier(tmp_path, invented(300), None, QUICK, quiet)
    assert list(tmp_path.iterdir()) == []
