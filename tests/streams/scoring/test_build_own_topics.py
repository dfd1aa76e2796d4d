"""The setting `classifier.own_topics` reaches the classifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import Classifier
from models.errors import OwnTopicsError
from streams.config import load_settings
from streams.scoring.build import load_scorer

EXAMPLE = Path(__file__).parents[3] / "deploy" / "examples" / "own-topics.yaml"


def test_configured_topics_are_told_by_the_network_itself() -> None:
    settings = load_settings(environ={"SQUALL_CLASSIFIER__OWN_TOPICS": str(EXAMPLE)})
    scorer = load_scorer(settings)
    assert isinstance(scorer, Classifier), "no first tier before it, which has no vectors"
    (row,) = scorer.predict(["Dockers strike over pay"])
    assert [name for name, _ in row.own_topics] == ["labour-disputes", "cyber-incidents"]


def test_a_configured_file_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("topic: []")
    with pytest.raises(OwnTopicsError, match="did you mean 'topics'"):
        load_scorer(load_settings(environ={"SQUALL_CLASSIFIER__OWN_TOPICS": str(path)}))
