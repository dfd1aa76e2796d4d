"""The reference of a model: made, written, read, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import ModelFilesError
from models.files import DEFAULT_MODEL, read_manifest
from streams.watch.reference import LEAST_TEXTS, REFERENCE, Measure, ReferenceBuilder, read_reference, write_reference
from streams.watch.signals import SIGNALS, word_hashes
from tests.streams.watch.answers import AT, MODEL, OTHER, WORDS, answer, usual, usual_reference


def test_what_is_written_is_read(tmp_path: Path) -> None:
    reference = usual_reference()
    assert write_reference(tmp_path, reference) == tmp_path / REFERENCE
    assert read_reference(tmp_path, MODEL) == reference
    assert [path.name for path in tmp_path.iterdir()] == [REFERENCE]


def test_it_holds_no_text(tmp_path: Path) -> None:
    content = write_reference(tmp_path, usual_reference()).read_text()
    assert not any(word in content for word in WORDS)


def test_a_model_without_one_has_none(tmp_path: Path) -> None:
    assert read_reference(tmp_path, MODEL) is None


def test_one_of_another_model_is_refused(tmp_path: Path) -> None:
    write_reference(tmp_path, usual_reference(model=OTHER))
    with pytest.raises(ModelFilesError, match=f"made for desk {OTHER.version}, and the model is desk {MODEL.version}"):
        read_reference(tmp_path, MODEL)


def test_few_texts_make_none() -> None:
    with pytest.raises(ValueError, match="needs 1,000 texts at least, there are 999"):
        usual_reference(LEAST_TEXTS - 1)


def drop(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (drop("words"), "words"),
        (drop("signals"), "signals"),
        (lambda content: content.update(format=2), "its format is 2"),
        (lambda content: content.update(more=1), "more"),
        (lambda content: content.update(texts=7), "counts that add up to 7"),
        (lambda content: content.update(words="AAAA"), "expected 32,768 bytes, got 3"),
        (lambda content: content.update(words="!"), "words"),
        (lambda content: content["signals"].pop("topic"), "it needs the signals"),
        (lambda content: content["signals"]["topic"]["counts"].pop(), "topic: expected 21 counts"),
        (lambda content: content["signals"]["length"]["edges"].reverse(), "length: the edges must ascend"),
    ],
)
def test_a_spoilt_one_is_refused_with_the_reason(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object], told: str
) -> None:
    path = write_reference(tmp_path, usual_reference())
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelFilesError, match=told) as refused:
        read_reference(tmp_path, MODEL)
    assert "make it again with `squall models reference`" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b"{" + b" " * 5_000_000 + b"}"])
def test_a_file_that_is_no_reference_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / REFERENCE).write_bytes(content)
    with pytest.raises(ModelFilesError, match="no reference of this Squall"):
        read_reference(tmp_path, MODEL)


def test_a_word_is_unknown_if_it_stands_in_no_other_text() -> None:
    builder = ReferenceBuilder()
    for number in range(LEAST_TEXTS):
        # Each text has one word of its own among four.
        builder.add(f"alpha bravo charlie {'z' * (number % 300)}{chr(97 + number % 26)}x", 0.5, "earnings")
        builder.add(("alpha bravo charlie delta", "delta charlie bravo alpha")[number % 2], 0.5, "earnings")
    reference = builder.build(MODEL, made_at=AT, sources=[])
    counts, edges = reference.signals["unknown_tokens"].counts, reference.signals["unknown_tokens"].edges
    assert sum(counts) == 2 * LEAST_TEXTS
    assert edges[:2] == (0.0, 0.25)
    measure = Measure(reference)
    assert measure.measured(word_hashes("alpha bravo charlie delta"), answer()).unknown_share == 0.0
    assert measure.measured(word_hashes("alpha bravo charlie unheard"), answer()).unknown_share == 0.25
    assert measure.measured(word_hashes("..."), answer()).unknown_share == 0.0


def test_reposts_make_no_word_known() -> None:
    once, often = ReferenceBuilder(), ReferenceBuilder()
    for number in range(LEAST_TEXTS):
        once.add(f"{WORDS[number % 16]} {'q' * (number + 1)}", 0.5, "earnings")
    for _ in range(LEAST_TEXTS):
        often.add("quite unheard of", 0.5, "earnings")
    # A text that stands there a thousand times is as new to the others as one that stands there once.
    reposted = often.build(MODEL, made_at=AT, sources=[])
    assert reposted.signals["unknown_tokens"].edges[0] == 1.0
    assert Measure(reposted).measured(word_hashes("quite"), answer()).unknown_share == 0.0
    # Half of the words of each are its own.
    assert once.build(MODEL, made_at=AT, sources=[]).signals["unknown_tokens"].edges[0] == 0.5


def test_the_bins_are_those_of_the_reference() -> None:
    reference = usual_reference()
    measure = Measure(reference)
    places = [measure.places(word_hashes(text), found) for text, found in map(usual, range(LEAST_TEXTS))]
    for name in SIGNALS:
        counts = reference.signals[name].counts
        assert tuple(sum(place[name] == bin_ for place in places) for bin_ in range(len(counts))) == counts


def test_the_shipped_model_has_a_reference_of_its_own() -> None:
    manifest = read_manifest(DEFAULT_MODEL)
    reference = read_reference(DEFAULT_MODEL, manifest.model)
    assert reference is not None
    assert reference.texts >= LEAST_TEXTS
