"""`squall score --explain` and `--topics`: what a user sees, and what a program reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from deploy.cli import main
from deploy.cli.score_explained import explanation_record, marked_text, show_explanation, signed, visible
from models.explain import Explanation, WordContribution
from models.prediction import ModelId
from models.testing import FakeClassifier

TEXT = "🙈 $OSTM plunges &amp; sinks"
TOPICS = Path(__file__).parents[3] / "deploy" / "examples" / "own-topics.yaml"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def squall(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


def explanation(label: str = "negative", **changes: object) -> Explanation:
    """An explanation made by hand: 2 + 4 - 1 + 0.1 = 5.1."""
    words = ((2, 7, 2.0), (8, 15, 4.0), (16, 21, 0.1), (22, 27, -1.0))
    values: dict[str, object] = {
        "text": TEXT,
        "head": "sentiment",
        "label": label,
        "method": "integrated-gradients",
        "words": tuple(WordContribution(start, end, TEXT[start:end], amount) for start, end, amount in words),
        "score": 1.1,
        "baseline": -4.0,
        "rest": 0.0,
        "delta": 0.0,
        "tolerance": 0.051,
        "steps": 64,
        "tokens": 9,
        "windows": 1,
        "truncated": False,
        "model": ModelId("m", "v"),
    }
    return Explanation(**{**values, **changes})  # type: ignore[arg-type]


def shown(found: Explanation, width: int = 80, **options: object) -> str:
    console = Console(width=width, record=True, **options)  # type: ignore[arg-type]
    with console.capture() as captured:
        show_explanation(console, "a1", FakeClassifier().predict([found.text])[0], found)
    return captured.get()


def test_json_lines_hold_spans_that_add_up_to_the_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert squall("score", "--text", TEXT, "--explain", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    found = row["explanation"]
    assert [TEXT[span["start"] : span["end"]] for span in found["spans"]] == [
        "🙈",
        "$OSTM",
        "plunges",
        "&amp;",
        "sinks",
    ]
    assert sum(span["contribution"] for span in found["spans"]) == pytest.approx(found["sum"], abs=1e-5)
    assert abs(found["delta"]) <= found["tolerance"]
    assert found["baseline"] + found["sum"] + found["delta"] == pytest.approx(found["score"], abs=1e-5)
    assert found["probability"] == pytest.approx(row["sentiment"]["negative"], abs=0.02)
    assert (row["text"], found["class"], found["head"]) == (TEXT, "negative", "sentiment")


def test_without_a_terminal_words_that_matter_are_put_in_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    assert squall("score", "--text", "Kestrel Telecom plunges to a record low", "--explain") == 0
    told = capsys.readouterr()
    assert "[plunges +" in told.out
    assert "All together" in told.out
    assert "\x1b" not in told.out
    assert "1 text explained by" in told.err


def test_rows_of_a_file_are_explained_up_to_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text("id,text\na,profit rises\nb,\nc,loss widens\nd,never read\n")
    arguments = ("score", tmp_path / "rows.csv", "--explain", "--limit", "2", "--occlusion", "--class", "earnings")
    assert squall(*arguments, "--output", tmp_path / "out.jsonl") == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "c"]
    assert {row["explanation"]["class"] for row in rows} == {"earnings"}
    assert {row["explanation"]["head"] for row in rows} == {"topic"}
    assert rows[0]["explanation"]["tolerance"] is None
    assert "rows.csv:3: the text is empty" in capsys.readouterr().err


def test_topics_of_ones_own_stand_beside_the_scores(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("--text", "Train drivers strike over pay", "--text", "Profit up")
    assert squall("score", *texts, "--topics", TOPICS) == 0
    first, second = (json.loads(line)["own_topics"] for line in capsys.readouterr().out.splitlines())
    assert first["labour-disputes"] > 0.5 > first["cyber-incidents"]
    assert max(second.values()) < 0.3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a file, or give --text"),
        (("a.csv", "--text", "x"), "name a file, or give --text"),
        (("a.csv",), "name the file to write"),
        (("--text", "x", "--json", "--output", "o.jsonl"), "--json is standard output"),
        (("--text", "x", "--explain", "--class", "bad"), "unknown class 'bad'"),
        (("--text", "x", "--topics", "absent.yaml"), "cannot read the topics of absent.yaml"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_scored(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert squall("score", *arguments) == 2
    told = capsys.readouterr()
    assert words in " ".join(told.err.replace("│", " ").split())
    assert told.out == ""


def test_without_captum_the_extra_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    assert squall("score", "--text", "x", "--explain") == 2
    assert "pip install captum" in capsys.readouterr().err


def test_red_is_what_speaks_for_negative_and_green_what_speaks_for_anything_else() -> None:
    for label, strong, against in (("negative", "red", "green"), ("positive", "green", "red")):
        styles = {
            TEXT[span.start : span.end]: str(span.style)
            for span in marked_text(explanation(label), coloured=True).spans
        }
        assert styles == {"$OSTM": f"bold white on {strong}", "plunges": f"bold white on {strong}", "sinks": against}
    assert marked_text(explanation(), coloured=True).plain == TEXT
    assert marked_text(explanation(), coloured=False).plain == "🙈 [$OSTM +2.00] [plunges +4.00] &amp; [sinks −1.00]"


def test_a_terminal_without_colour_gets_the_brackets_and_one_with_colour_does_not() -> None:
    colourless = shown(explanation(), force_terminal=True, no_color=True)
    assert "[plunges +4.00]" in colourless
    coloured = shown(explanation(), force_terminal=True, color_system="standard")
    assert "[plunges" not in coloured
    assert "\x1b[1;37;41mplunges" in coloured


@pytest.mark.parametrize("width", [40, 80, 120])
def test_nothing_is_wider_than_the_terminal_and_the_sum_is_told(width: int) -> None:
    told = shown(explanation(), width)
    assert max(len(line) for line in told.splitlines()) <= width
    together = " ".join(told.split())
    assert "Negative 75.0%" in together
    assert "−4.00 and +5.10 make +1.10; 0.000 is missing, at most 0.051 may be." in together


def test_what_must_be_known_is_remarked_upon() -> None:
    told = shown(explanation(windows=3, truncated=True, method="occlusion", tolerance=None, delta=0.5), 200)
    assert "3 windows" in told
    assert "The end of the text was not read" in told
    assert "What words say together (+0.50)" in told


def test_a_text_cannot_steer_the_terminal() -> None:
    assert visible("a\x1b[2Jb\u202ec\nd\ud800") == "a·[2Jb·c d·"
    assert visible("👩‍👩‍👧") == "👩‍👩‍👧"


def test_numbers_have_a_sign_unless_they_are_zero() -> None:
    assert [signed(value) for value in (1.234, -1.234, 0.001, -0.001)] == ["+1.23", "−1.23", "0.00", "0.00"]


def test_a_record_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(explanation_record(explanation())))["spans"][0] == {
        "start": 2,
        "end": 7,
        "contribution": 2.0,
    }
