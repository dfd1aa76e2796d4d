from __future__ import annotations

import subprocess
import sys

import pytest

from models.prediction import Scorer
from models.testing import FakeClassifier


def test_the_double_knows_its_words() -> None:
    scorer: Scorer = FakeClassifier()
    bad, good, flat = scorer.predict(
        ["Alderney Foods slumps? No: a slump", "Dunmore Bank beats plan", "Fennick Labs moves office"]
    )
    assert (bad.label, good.label, flat.label) == ("negative", "positive", "neutral")
    assert bad.negative > 0.6
    assert good.positive > 0.6


def test_the_double_is_deterministic_and_ignores_its_neighbours() -> None:
    text = "Cobalt Ridge Mining faces a lawsuit over gold"
    alone = FakeClassifier().predict([text])
    among = FakeClassifier().predict(["other", text, ""])
    assert among[1] == alone[0]
    assert alone[0].topic == "legal"


def test_the_double_truncates_visibly_and_counts_its_calls() -> None:
    double = FakeClassifier(max_length=3)
    assert [row.truncated for row in double.predict(["one two three", "one two three four"])] == [False, True]
    assert double.predict([]) == []
    assert double.calls == [2, 0]


def test_a_bare_string_is_refused_as_the_real_classifier_does() -> None:
    with pytest.raises(TypeError, match="one string"):
        FakeClassifier().predict("not a list")


def test_the_light_modules_do_not_import_torch() -> None:
    code = (
        "import sys, models, models.batching, models.testing, models.labels, models.files\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
