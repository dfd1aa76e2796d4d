"""Files of topics: what is right is read, and what is wrong is refused with its place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import OwnTopicsError
from models.own_topics import OwnTopic, parse_own_topics, read_own_topics

GOOD = """\
topics:
  - name: outages
    examples:
      - Payments are down at Dunmore Bank
      - "Kestrel Telecom: no signal in the north"
      - The app of Pellworm Coffee does not open
    counter_examples: [Kestrel Telecom opens a shop]
    threshold: 0.6
"""


def test_a_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")
    (topic,) = read_own_topics(path)
    assert topic == OwnTopic(
        "outages",
        (
            "Payments are down at Dunmore Bank",
            "Kestrel Telecom: no signal in the north",
            "The app of Pellworm Coffee does not open",
        ),
        ("Kestrel Telecom opens a shop",),
        0.6,
        2,
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("examples:\n", "exmaples:\n", "t.yaml:3:5: unknown key 'exmaples'; did you mean 'examples'?"),
        ("threshold: 0.6", "zzz: 0.6", "t.yaml:8:5: unknown key 'zzz'; known are name, examples"),
        ("topics:", "topic:", "t.yaml:1:1: unknown key 'topic'; did you mean 'topics'?"),
        ("0.6", "1.0", "t.yaml:8:16: threshold must be a number between 0 and 1, such as 0.6, got '1.0'"),
        ("0.6", "high", "t.yaml:8:16: threshold must be"),
        ("0.6", ".nan", "t.yaml:8:16: threshold must be"),
        ("0.6", "0x1", "t.yaml:8:16: threshold must be"),
        ("    threshold: 0.6", "    name: outages", "t.yaml:8:5: the key 'name' stands here a second time"),
        ("name: outages", "name: Outages!", "t.yaml:2:11: 'Outages!' is no name"),
        ("name: outages", "name: earnings", "t.yaml:2:11: 'earnings' is a topic of the classifier's own"),
        ("  - name: outages\n   ", "  -", "t.yaml:2:5: the topic has no 'name'"),
        ("      - Payments are down at Dunmore Bank\n", "", "t.yaml:4:7: 'outages' has 2 examples and needs 3"),
        ("Payments are down at Dunmore Bank", "''", "t.yaml:4:9: the sentence is empty"),
        ("Payments are down at Dunmore Bank", "", "t.yaml:4:8: expected a sentence, got nothing"),
        ("Payments are down at Dunmore Bank", "Payments: down", "t.yaml:4:9: expected a sentence, got keys and values"),
        ("[Kestrel Telecom opens a shop]", "none", "t.yaml:7:23: 'counter_examples' must be a list"),
        (
            "[Kestrel Telecom opens a shop]",
            "[payments  are down at dunmore bank]",
            "t.yaml:7:24: the same sentence stands in line 4",
        ),
        ("[Kestrel", "[[Kestrel", "t.yaml:8:5: not valid YAML"),
        ("  - name", "\t- name", "t.yaml:2:1: not valid YAML: found character '\\t'"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(old: str, new: str, words: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(OwnTopicsError) as caught:
        parse_own_topics(GOOD.replace(old, new, 1), name="t.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "[]", "a", "topics: []", "topics: 3", "topics:\n  - a", "[" * 3000]
)
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(OwnTopicsError, match=r"t\.yaml"):
        parse_own_topics(text, name="t.yaml")


def test_two_topics_of_one_name_are_refused() -> None:
    again = GOOD.removeprefix("topics:\n")
    with pytest.raises(OwnTopicsError, match=r"t.yaml:9:5: a second topic 'outages'; the first is in line 2"):
        parse_own_topics(GOOD + again, name="t.yaml")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(OwnTopicsError, match="No such file"):
        read_own_topics(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"topics: \xe9")
    with pytest.raises(OwnTopicsError, match="byte 8 is not UTF-8"):
        read_own_topics(tmp_path / "latin.yaml")


@given(st.text(alphabet="topics:- \n[]{}'\"#&*!|>%@,nameexamples0.\t", max_size=60))
def test_any_text_is_read_or_refused_in_our_words(text: str) -> None:
    try:
        assert parse_own_topics(text, name="t.yaml")
    except OwnTopicsError as error:
        assert str(error).startswith("t.yaml")


def test_the_shipped_example_is_valid() -> None:
    topics = read_own_topics(Path(__file__).parents[3] / "deploy" / "examples" / "own-topics.yaml")
    assert [topic.name for topic in topics] == ["labour-disputes", "cyber-incidents"]
    assert all(len(topic.examples) >= 5 and topic.counter_examples for topic in topics)
