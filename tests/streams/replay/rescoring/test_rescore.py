"""Messages scored again: what is written, and that it is the same wherever a run was cut off."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.errors import ModelFilesError
from models.prediction import Prediction
from models.testing import FakeClassifier
from streams.config import Settings
from streams.errors import InputError, ReplayError
from streams.ingest.language import LanguageDetector
from streams.monitor.clock import observe
from streams.monitor.state import ClockState
from streams.records import Mention, Progress, decode_mention
from streams.replay.rescoring import rescore as module
from streams.replay.rescoring.rescore import RescoreProgress, rescore
from streams.replay.rescoring.segments import RescoreCounters
from streams.replay.sources.source import BadRecord
from tests.models.tiny_model import write_tiny_model
from tests.streams.replay.rescoring.invented_messages import (
    START,
    STEP,
    Listed,
    PoolHere,
    invented_settings,
    mark,
    message,
    refused,
)

ROWS: list[Any] = [
    *(message(number) for number in range(10)),
    "no time",
    message(10, id="3"),  # told before
    refused(11),
    *(message(number) for number in range(12, 20)),
    "no text",
    message(20, text="Brindlemoor Foods is told of in a poison text"),
    *(message(number) for number in range(21, 33)),
    "no end",
]
GOOD = len(ROWS) - 3


class Poisoned(FakeClassifier):
    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        if any("poison" in text for text in texts):
            raise ValueError("no number comes of this")
        return super().predict(texts)


class PoisonedPool(PoolHere):
    scorer = Poisoned()


class CutError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def languages() -> LanguageDetector:
    return LanguageDetector()


@pytest.fixture(autouse=True)
def scored_here(monkeypatch: pytest.MonkeyPatch, languages: LanguageDetector) -> None:
    monkeypatch.setattr(module, "ScoringPool", PoisonedPool)
    # Its tables take half a second to load, and a test here makes a hundred stages.
    monkeypatch.setattr("streams.scoring.stage.LanguageDetector", lambda: languages)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tiny_model(folder)
    return folder


@pytest.fixture
def run(model: Path, tmp_path: Path) -> Callable[..., bytes]:
    """`run(source, folder)`: rescore in small segments; returns the bytes of the mentions."""

    def make(source: Listed, folder: str = "whole", settings: Settings | None = None, **options: Any) -> bytes:
        path = rescore(
            source,
            settings=settings or invented_settings(tmp_path),
            model=options.pop("model", model),
            folder=tmp_path / folder,
            workers=options.pop("workers", 1),
            batch_messages=4,
            segment_batches=2,
            **options,
        )
        assert path == tmp_path / folder / "mentions.jsonl.gz"
        return path.read_bytes()

    return make


def records(data: bytes) -> list[Mention | Progress]:
    return [decode_mention(line) for line in gzip.decompress(data).splitlines()]


def test_messages_become_mentions_in_their_order_with_the_clock_of_the_data(run: Callable[..., bytes]) -> None:
    first, *others = records(run(Listed([message(number) for number in range(9)])))
    assert first == Progress(partition=0, partitions=1, event_time=None, idle=False)
    mentions = [record for record in others if isinstance(record, Mention)]
    assert [(m.message_id, m.entity) for m in mentions] == [
        ("wire:0", "BRMFD"), ("wire:1", "QLNTR"), ("wire:3", "BRMFD"), ("wire:3", "QLNTR"),
        ("wire:4", "BRMFD"), ("wire:5", "QLNTR"), ("wire:7", "BRMFD"), ("wire:7", "QLNTR"), ("wire:8", "BRMFD"),
    ]  # fmt: skip
    assert {m.scored_at - m.published_at for m in mentions} == {timedelta(seconds=1)}
    assert all(m.scored_at == m.received_at for m in mentions)
    assert (mentions[0].negative > 0.5, mentions[1].positive > 0.5) == (True, True)
    assert {m.model.name for m in mentions} == {"tiny"}
    told = [record for record in others if isinstance(record, Progress)]
    assert [p.event_time for p in told] == [START + number * STEP for number in (3, 7)], "a minute or more on"


def test_what_is_refused_is_counted_told_and_kept_with_its_place(run: Callable[..., bytes], tmp_path: Path) -> None:
    told: list[BadRecord] = []
    counters = RescoreCounters()
    data = run(Listed(ROWS), on_bad=told.append, counters=counters)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "dead-letters.jsonl").read_text().splitlines()]
    assert [(line["where"], line["reason"]) for line in lines] == [
        ("listed.csv:12", "bad_row"),
        ("listed.csv: row 11", "not_json"),
        ("listed.csv:23", "bad_row"),
        ("listed.csv: row 20", "unscorable"),
        ("listed.csv:37", "bad_row"),
    ]
    assert lines[0]["detail"] == "no time"
    assert "no number comes of this" in lines[3]["detail"]
    assert [tuple(line.values()) for line in lines] == [tuple(bad) for bad in told]
    mentions = [record for record in records(data) if isinstance(record, Mention)]
    assert counters.mentions == len(mentions)
    assert counters.scored == len({mention.message_id for mention in mentions})
    assert counters.refused == {"bad_row": 3, "not_json": 1, "unscorable": 1}
    assert (counters.bad_rows, counters.repeated, counters.messages, counters.feed_marks) == (3, 1, GOOD, 0)
    assert counters.scored + counters.unlinked + counters.repeated + 2 == GOOD
    assert json.loads((tmp_path / "whole" / "rescoring.json").read_text())["counters"] == msgspec.to_builtins(counters)


def test_the_bytes_do_not_depend_on_how_much_is_under_way(run: Callable[..., bytes]) -> None:
    assert run(Listed(ROWS), "one", workers=1) == run(Listed(ROWS), "many", workers=7)


def test_a_run_that_is_cut_off_after_any_batch_goes_on_to_the_same_bytes(
    run: Callable[..., bytes], tmp_path: Path
) -> None:
    counters = RescoreCounters()
    whole = run(Listed(ROWS), counters=counters)
    dead = (tmp_path / "whole" / "dead-letters.jsonl").read_bytes()
    for cut_at in range(1, GOOD // 4 + 2):
        folder = f"cut-{cut_at}"

        def cut(progress: RescoreProgress, cut_at: int = cut_at) -> None:
            if progress.messages >= min(cut_at * 4, GOOD):
                raise CutError

        with pytest.raises(CutError):
            run(Listed(ROWS), folder, on_progress=cut, workers=2)
        assert not (tmp_path / folder / "mentions.jsonl.gz").exists()
        again = RescoreCounters()
        source = Listed(ROWS)
        assert run(source, folder, counters=again) == whole
        assert source.skips == ([] if cut_at * 4 > GOOD else [cut_at // 2 * 8])
        assert again == counters
        assert (tmp_path / folder / "dead-letters.jsonl").read_bytes() == dead


def test_a_run_that_is_cut_off_at_any_touch_of_the_disk_goes_on_to_the_same_bytes(
    run: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before each fsync, before each rename and after it, and before the segments are removed."""
    whole = run(Listed(ROWS))
    touched = 0

    def cutting(real: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def touch(*values: Any, **options: Any) -> Any:
            nonlocal touched
            touched += 1
            if touched == cut_at and not after:
                raise CutError
            result = real(*values, **options)
            if touched == cut_at:
                raise CutError
            return result

        return touch

    cuts = 0
    for after in (False, True):
        for cut_at in range(1, 100):
            touched = 0
            folder = f"cut-{after}-{cut_at}"
            with monkeypatch.context() as patched:
                patched.setattr("os.fsync", cutting(lambda _: None, after))
                patched.setattr(Path, "replace", cutting(Path.replace, after))
                patched.setattr("shutil.rmtree", cutting(lambda path: None, after))
                try:
                    run(Listed(ROWS), folder)
                    break
                except CutError:
                    cuts += 1
            assert run(Listed(ROWS), folder) == whole
            left = {path.name for path in (tmp_path / folder).iterdir() if not path.name.endswith(".part")}
            assert left == {"mentions.jsonl.gz", "dead-letters.jsonl", "rescoring.json"}
    assert cuts > 40


def test_a_message_told_before_the_cut_is_not_scored_after_it(run: Callable[..., bytes]) -> None:
    rows = [message(number) for number in range(16)]
    rows += [
        message(16, id="0"),
        message(17, text="Quillentor Systems has poison in it", id="p"),
        *(message(number) for number in range(18, 24)),
        message(24, text="Quillentor Systems has poison in it", id="p"),
        message(25, id="23"),
        message(26),
    ]
    whole, counters = run(Listed(rows)), RescoreCounters()
    with pytest.raises(InputError, match="breaks off"):
        run(Listed(rows, breaks_after=25), "cut")
    assert run(Listed(rows), "cut", counters=counters) == whole
    assert counters.repeated == 3
    assert counters.refused == {"unscorable": 1}


def test_what_lies_before_the_horizon_of_repeats_is_not_read_again(run: Callable[..., bytes], tmp_path: Path) -> None:
    settings = invented_settings(tmp_path, ingest={"duplicate_horizon_s": 300.0})
    rows = [message(number) for number in range(40)] + [message(40, id="39"), message(41, id="0"), message(42)]
    whole = run(Listed(rows), settings=settings)
    with pytest.raises(InputError):
        run(Listed(rows, breaks_after=40), "cut", settings)
    segments = tmp_path / "cut" / "segments"
    size = (segments / "000001.jsonl.gz").stat().st_size
    (segments / "000001.jsonl.gz").write_bytes(b"\0" * size)  # unreadable: whoever reads it finds out
    with pytest.raises(InputError):
        run(Listed(rows, breaks_after=40), "cut", settings)
    counters = RescoreCounters()
    run(Listed(rows), "cut", settings, counters=counters)
    assert counters.repeated == 1, "the first id is old enough to be scored again"
    assert [r.message_id for r in records(whole) if isinstance(r, Mention)].count("wire:0") == 2


def test_a_finished_rescoring_is_not_done_again_and_tells_its_figures(run: Callable[..., bytes]) -> None:
    first, again = RescoreCounters(), RescoreCounters()
    whole = run(Listed(ROWS), counters=first)
    source = Listed(ROWS, breaks_after=0)
    assert run(source, counters=again) == whole
    assert again == first
    assert source.skips == []


def test_a_folder_of_another_rescoring_is_refused_with_what_differs(
    run: Callable[..., bytes], tmp_path: Path, model: Path
) -> None:
    other_model = tmp_path / "other-model"
    other_model.mkdir()
    write_tiny_model(other_model, seed=4)
    pseudonymous = invented_settings(tmp_path, ingest={"redact_handles": True})
    for finished in (False, True):
        folder = f"begun-{finished}"
        if finished:
            run(Listed(ROWS), folder)
        else:
            with pytest.raises(InputError):
                run(Listed(ROWS, breaks_after=20), folder)
        others: dict[str, dict[str, Any]] = {
            "the source": {"source": Listed(ROWS, identity="other")},
            "the model": {"model": other_model},
            "the settings of ingest": {"settings": pseudonymous},
            "the companies": {"settings": invented_settings(tmp_path, entities={"min_relevance": 0.9})},
        }
        for word, options in others.items():
            with pytest.raises(ReplayError, match=rf"differs in {word} .*add --fresh"):
                run(options.pop("source", Listed(ROWS)), folder, **options)
        table = tmp_path / "companies.csv"
        settings = invented_settings(tmp_path)
        table.write_text(table.read_text() + "ZZRLP,Zarrelop Mills\n")
        with pytest.raises(ReplayError, match="differs in the companies "):
            run(Listed(ROWS), folder, settings)


def test_a_folder_that_somebody_altered_is_refused(run: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(InputError):
        run(Listed(ROWS, breaks_after=30), "cut")
    segments = tmp_path / "cut" / "segments"
    state = (segments / "000002.json").read_bytes()
    (segments / "000002.json").write_bytes(state[:-9])
    with pytest.raises(ReplayError, match="damaged"):
        run(Listed(ROWS), "cut")
    (segments / "000002.json").write_bytes(state)
    member = (segments / "000001.jsonl.gz").read_bytes()
    (segments / "000001.jsonl.gz").write_bytes(member[:-1])
    with pytest.raises(ReplayError, match=r"000001\.jsonl\.gz is not what was written"):
        run(Listed(ROWS), "cut")
    run(Listed(ROWS))
    (tmp_path / "whole" / "mentions.jsonl.gz").write_bytes(b"")
    with pytest.raises(ReplayError, match=r"mentions\.jsonl\.gz is not what was written"):
        run(Listed(ROWS))


def test_what_cannot_be_written_is_told_with_its_name(run: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("a file")
    with pytest.raises(ReplayError, match=r"whole.*run the same command again|whole.*Not a directory"):
        run(Listed(ROWS))


def test_no_model_no_rescoring(run: Callable[..., bytes], tmp_path: Path) -> None:
    with pytest.raises(ModelFilesError, match="no model folder"):
        run(Listed(ROWS), model=tmp_path)
    assert not (tmp_path / "whole").exists()


def test_a_source_of_nothing_but_bad_rows_comes_to_an_end(run: Callable[..., bytes], tmp_path: Path) -> None:
    counters = RescoreCounters()
    (record,) = records(run(Listed(["no time"] * 3), counters=counters))
    assert isinstance(record, Progress)
    assert counters == RescoreCounters(bad_rows=3, refused={"bad_row": 3})


def test_the_pace_is_that_of_this_process(run: Callable[..., bytes]) -> None:
    ticks = iter(range(100))
    told: list[RescoreProgress] = []
    with pytest.raises(InputError):
        run(Listed(ROWS, breaks_after=30), "cut", on_progress=told.append, clock=lambda: 2.0 * next(ticks))
    assert told[1] == RescoreProgress(8, len(ROWS), 2.0)
    told.clear()
    run(Listed(ROWS), "cut", on_progress=told.append, clock=lambda: 4.0 * next(ticks))
    assert told[0].messages_per_s == 1.0
    assert told[-1].messages == GOOD


def test_quiet_messages_move_the_clock_as_mentions_do(run: Callable[..., bytes]) -> None:
    quiet = [message(number, text="Rain is expected in the north") for number in range(12)]
    told = records(run(Listed(quiet)))
    assert [record.event_time for record in told if isinstance(record, Progress)] == [
        None,
        *(START + number * STEP for number in (3, 7, 11)),
    ]


def watermark(found: Sequence[Mention | Progress]) -> list[int | None]:
    """The monitor's watermark after each record, without any lateness."""
    state = ClockState()
    return [observe(state, record, lateness_ms=0) for record in found]


def test_of_several_partitions_one_that_has_ended_holds_nobody_up(run: Callable[..., bytes]) -> None:
    rows = [message(number, partition=number % 2) for number in range(6)]
    rows += [message(number, partition=1) for number in range(6, 40)]
    found = records(run(Listed(rows, partitions=(0, 1), kind="kafka")))
    assert found[:2] == [Progress(partition=number, partitions=2, event_time=None, idle=False) for number in (0, 1)]
    told = [record for record in found if isinstance(record, Progress)]
    first_idle = next(place for place, record in enumerate(found) if isinstance(record, Progress) and record.idle)
    assert found[first_idle].partition == 0  # type: ignore[union-attr]
    assert first_idle < len(found) / 2
    last = int((START + 39 * STEP).timestamp() * 1000)
    assert watermark(found)[-1] == last or watermark(found)[-1] == last + 1000  # its arrival, a second later
    assert {p.partition for p in told if p.idle} == {0, 1}, "all have ended in the end"
    reached = [value for value in watermark(found) if value is not None]
    assert reached == sorted(reached)


def test_a_historical_feed_that_goes_on_keeps_its_partition_awake_until_the_source_ends(
    run: Callable[..., bytes],
) -> None:
    rows = [mark(0, partition=0), mark(0, partition=1)]
    rows += [message(number, partition=1) for number in range(1, 39)]
    published_in_a_minute = [
        replace(row, received_at=START + timedelta(days=1, seconds=number)) for number, row in enumerate(rows)
    ]
    found = records(run(Listed(published_in_a_minute, partitions=(0, 1), kind="kafka")))
    idle = [place for place, record in enumerate(found) if isinstance(record, Progress) and record.idle]
    assert idle == [len(found) - 2, len(found) - 1]
    assert max(value or 0 for value in watermark(found[:-2])) == int(START.timestamp() * 1000)


def test_several_partitions_too_go_on_to_the_same_bytes(run: Callable[..., bytes], tmp_path: Path) -> None:
    rows = [mark(0, partition=2)] + [message(number, partition=number // 9 % 3) for number in range(1, 60)]
    rows += [mark(60, partition=2, done=True)]
    whole = run(Listed(rows, partitions=(0, 1, 2), kind="kafka"))
    for after in range(8, 60, 8):
        with pytest.raises(InputError):
            run(Listed(rows, partitions=(0, 1, 2), kind="kafka", breaks_after=after), f"cut-{after}")
        assert run(Listed(rows, partitions=(0, 1, 2), kind="kafka"), f"cut-{after}") == whole


def test_a_refused_message_from_kafka_is_told_with_topic_partition_and_offset(run: Callable[..., bytes]) -> None:
    told: list[BadRecord] = []
    run(Listed([refused(7)], kind="kafka"), on_bad=told.append)
    assert [bad.where for bad in told] == ["squall.messages[0]@7"]
