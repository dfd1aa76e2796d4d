from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploy.bench.ablation import KNOBS, PLAIN, Line, take_share
from deploy.cli import main
from retrain.data import Example
from retrain.settings import TrainingSettings
from retrain.settings_file import changed
from retrain.split import group_texts
from tests.retrain.conftest import invented_sentiment, invented_topic, write_base, write_csv


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"), mask=True)


def test_every_knob_differs_from_the_plain_training_and_is_allowed() -> None:
    plain = TrainingSettings()
    for name, changes in KNOBS.items():
        assert (changed(plain, changes) == plain) == (name == PLAIN)


def test_a_share_takes_groups_whole_and_the_same_again() -> None:
    words = [f"{chr(97 + at % 26)}{chr(97 + at // 26)}" for at in range(100)]
    texts = [f"{words[at // 3]} {words[at // 3]}x {words[at // 3]}y pays" for at in range(300)]
    examples = [Example(text, "topic", 0, "f", at) for at, text in enumerate(texts)]
    taken = take_share(examples, 0.3, 1)
    assert taken == take_share(examples, 0.3, 1) != take_share(examples, 0.3, 2)
    groups = group_texts(texts).tolist()
    inside = {groups[at] for at in taken}
    assert not inside & {group for at, group in enumerate(groups) if at not in set(taken)}
    assert len(take_share(examples, 1.0, 1)) == 300


def test_each_knob_is_compared_with_the_plain_training_of_the_same_seed(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentiment = write_csv(tmp_path / "s.csv", invented_sentiment())
    topic = write_csv(tmp_path / "t.csv", invented_topic())
    figures = tmp_path / "figures.json"
    chosen = ("domain", "pseudo-labels", "soup", "class-weights")
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "bench", "ablation", str(sentiment), str(topic), "--base", str(base), "--share", "0.5",
                "--threads", "1", "--device", "cpu", "--json", str(figures),
                *(word for name in chosen for word in ("--knob", name)),
            ]
        )  # fmt: skip
    assert not stopped.value.code
    lines = msgspec.json.decode(figures.read_bytes(), type=list[Line])
    assert [line.knob for line in lines[::2]] == [PLAIN, *(name for name in KNOBS if name in chosen)]
    by_knob = {(line.knob, line.head): line for line in lines}
    for line in lines:
        plain = by_knob[PLAIN, line.head]
        assert line.seeds == 2 and line.rows == plain.rows > 10
        assert line.accuracy - plain.accuracy == pytest.approx(line.accuracy_difference)
        assert line.macro_f1 - plain.macro_f1 == pytest.approx(line.macro_f1_difference)
        assert line.seconds > 0
    told = capsys.readouterr().out
    assert "pseudo-labels" in told and "to plain" in told


def test_an_unknown_knob_and_an_impossible_share_are_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [
        str(write_csv(tmp_path / "s.csv", invented_sentiment())),
        str(write_csv(tmp_path / "t.csv", invented_topic())),
    ]
    for wrong, words in ((("--knob", "magic"), "unknown knob 'magic'"), (("--share", "0"), "--share must be above 0")):
        with pytest.raises(SystemExit) as stopped:
            main(["bench", "ablation", *files, "--base", str(base), *wrong])
        assert stopped.value.code == 2
        assert words in capsys.readouterr().err
