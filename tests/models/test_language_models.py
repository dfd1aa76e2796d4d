from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.errors import LanguagesError
from models.language_models import LanguageModel, parse_languages

TABLE = """
en: shipped
de: /srv/models/german
zh:
  model: /srv/models/chinese
  labels: {negative: LABEL_2, neutral: LABEL_1, positive: LABEL_0}
  max_length: 256
  topics:
    model: /srv/models/chinese-topics
    labels: {earnings: 业绩, legal: [诉讼, 监管], general-news: 其他}
ja: {model: kestrel/japanese@v2, topics: /srv/models/topics}
"""


def test_a_table_in_yaml_is_read_as_it_stands() -> None:
    assert parse_languages(yaml.safe_load(TABLE)) == {
        "en": LanguageModel("shipped"),
        "de": LanguageModel("/srv/models/german"),
        "zh": LanguageModel(
            "/srv/models/chinese",
            {"negative": "LABEL_2", "neutral": "LABEL_1", "positive": "LABEL_0"},
            256,
            "/srv/models/chinese-topics",
            {"earnings": "业绩", "legal": ["诉讼", "监管"], "general-news": "其他"},
        ),
        "ja": LanguageModel("kestrel/japanese@v2", topic_model="/srv/models/topics"),
    }
    assert parse_languages({"en": Path("models") / "en"}) == {"en": LanguageModel(str(Path("models") / "en"))}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "must be a table"),
        ({}, "must be a table"),
        (["en"], "must be a table"),
        ({"EN": "shipped"}, "'EN' is no language's code; use ISO 639 in lower case"),
        ({"zh-CN": "shipped"}, "'zh-CN' is no language's code"),
        ({1: "shipped"}, "1 is no language's code"),
        ({"und": "shipped"}, "by undetermined"),
        (yaml.safe_load("no: shipped"), "in quotes, such as 'no' for Norwegian"),
        ({"en": None}, "en: must be a model, or a table with the keys model, labels, max_length, topics"),
        ({"en": ["shipped"]}, "en: must be a model"),
        ({"en": " "}, "en: must be a folder"),
        ({"en": {}}, "en.model: must be a folder, shipped, or a name on the Hugging Face Hub; got None"),
        ({"en": {"model": 3}}, "en.model: must be a folder"),
        ({"en": {"modell": "x"}}, "en: unknown key modell; known are model, labels, max_length, topics"),
        ({"en": {"model": "x", "labels": "LABEL_0"}}, "en.labels: must be a table"),
        ({"en": {"model": "x", "max_length": "long"}}, "en.max_length: must be a number of tokens, got 'long'"),
        ({"en": {"model": "x", "max_length": 0}}, "en.max_length"),
        ({"en": {"model": "x", "max_length": True}}, "en.max_length"),
        ({"en": {"model": "x", "topics": 3}}, "en.topics: must be a model"),
        ({"en": {"model": "x", "topics": {"labels": {}}}}, "en.topics.model: must be a folder"),
        ({"en": {"model": "x", "topics": {"model": "y", "label": {}}}}, "en.topics: unknown key label"),
        ({"en": {"model": "x", "topics": {"model": "y", "labels": []}}}, "en.topics.labels: must be a table"),
    ],
    ids=str,
)
def test_a_table_that_cannot_be_meant_is_refused_by_key(table: Any, words: str) -> None:
    with pytest.raises(LanguagesError) as caught:
        parse_languages(table)
    assert words in str(caught.value)


def test_reading_a_table_loads_no_torch() -> None:
    code = "import sys, models.language_models, models.foreign; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
