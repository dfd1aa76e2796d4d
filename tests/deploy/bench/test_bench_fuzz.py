"""Spoilt records: the same from the same seed, of every kind, and two thousand of them through a real worker."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.bench.fuzz import FuzzRun, fuzz_figures, spoilt_messages
from deploy.bench.mutations import DATES, STRINGS, odd_headers, odd_key, spoil
from deploy.cli import bench as command
from streams.config import Settings
from streams.errors import RecordError
from streams.records import decode_message
from tests.models.tiny_model import write_tiny_model

GOOD = {"id": "1", "source": "wire", "published_at": "2026-03-18T10:00:00Z", "text": "$MSFT falls"}
LIMIT = 8_192


def test_the_same_seed_spoils_the_same() -> None:
    one, two = random.Random(5), random.Random(5)
    first = [(spoil(GOOD, one), odd_key(b"k", one), odd_headers(one)) for _ in range(500)]
    assert first == [(spoil(GOOD, two), odd_key(b"k", two), odd_headers(two)) for _ in range(500)]
    assert GOOD["text"] == "$MSFT falls"


def test_records_are_spoilt_in_every_way_that_a_reader_must_bear() -> None:
    dice = random.Random(7)
    reasons: Counter[str] = Counter()
    sizes = []
    for _ in range(4_000):
        value = spoil(GOOD, dice, max_bytes=LIMIT)
        sizes.append(len(value or b""))
        try:
            decode_message(value)
        except RecordError as error:
            reasons[error.reason] += 1
        else:
            reasons["read"] += 1
    assert reasons.keys() >= {"read", "tombstone", "not_utf8", "not_json", "wrong_type"}
    assert reasons["read"] > 400
    assert {LIMIT - 1, LIMIT, LIMIT + 1} & set(sizes)
    assert any("\ud800" <= char <= "\udfff" for text in STRINGS for char in text)
    assert "9999-12-31T23:59:59-23:59" in DATES


def test_a_repeat_bears_source_and_partition_of_nobody_else() -> None:
    rows = list(spoilt_messages(2_000, 7, max_bytes=LIMIT))
    assert [row.number for row in rows] == list(range(2_000))
    ids = Counter()
    for row in rows:
        try:
            message = decode_message(row.value)
        except RecordError:
            continue
        ids[message.source, message.id] += 1
    assert max(ids.values()) > 1


def fuzz_run(**changes: object) -> FuzzRun:
    values = {
        "published": 10,
        "fates": {"mentioned": 4, "refused": 3, "repeated": 1, "unlinked": 1, "marks": 1},
        "unexplained": (),
        "counted": {"mentioned": 4, "refused": 3, "repeated": 2, "unlinked": 0},
        "reasons": {"not_json": 3},
        "second_copies": 0,
        "others": {"mentions": (5, 2, 2)},
        "seconds": 1.0,
    }
    return FuzzRun(**(values | changes))


def test_a_run_is_exact_only_if_topics_and_counts_agree() -> None:
    assert fuzz_run().is_exact
    assert not fuzz_run(unexplained=((0, 7),)).is_exact
    assert not fuzz_run(published=11).is_exact
    assert not fuzz_run(counted={"mentioned": 5, "refused": 3, "repeated": 2, "unlinked": 0}).is_exact
    assert not fuzz_run(others={"mentions": (5, 2, 1)}).is_exact
    assert [figure.value for figure in fuzz_figures(fuzz_run())] == [10, 0, 3, 1.0, 2]


@pytest.mark.broker
@pytest.mark.timeout(400)
def test_two_thousand_spoilt_messages_and_spoilt_records_on_the_other_topics_are_accounted_for(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_model(folder)
    tiny = settings.model_copy(
        update={"classifier": settings.classifier.model_copy(update={"model": folder, "device": "cpu"})}
    )
    monkeypatch.setattr("deploy.cli.bench_load.settings", lambda: tiny)
    file = tmp_path / "figures.json"
    words = ["fuzz", "--messages", "2000", "--others", "200", "--seed", "11", "--json", str(file)]
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.output
    figures = {figure["name"]: figure for figure in json.loads(file.read_text())}
    assert figures["messages accounted for"]["value"] == 2_000
    assert figures["written twice"]["value"] == 0
    for topic in ("mentions", "alerts", "labels", "control"):
        assert figures[f"{topic}: cannot be read, and accounted for"]["ratio"] == 1.0
