from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrain.labels.choose import Candidate
from retrain.labels.files import FileDefaults, read_said
from retrain.labels.label_studio import page, read_export, tasks
from streams.errors import InputError

ANA = FileDefaults(by="ana", learned_at=datetime(2026, 3, 17, tzinfo=UTC))


def _file(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_says_what_who_and_when(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "text,label,by,learned_at,entity\nOstermere cuts its dividend,Bearish,ben,2026-03-01T10:00:00+02:00,OSTMB\n",
    )
    (said,) = read_said(path, ANA)
    assert (said.answer, said.by, said.entity) == ("negative", "ben", "OSTMB")
    assert said.learned_at == datetime(2026, 3, 1, 8, tzinfo=UTC)
    assert said.where == f"{path}:2"


def test_json_lines_carry_verdicts_on_messages_and_alerts(tmp_path: Path) -> None:
    rows = [{"message_id": "wire:1", "verdict": "wrong entity"}, {"alert_id": "ab12", "verdict": "true-alarm"}]
    path = _file(tmp_path, "\n".join(map(json.dumps, rows)), "verdicts.jsonl")
    assert [(one.verdict, one.message_id, one.alert_id) for one in read_said(path, ANA)] == [
        ("wrong_entity", "wire:1", None),
        ("true_alarm", None, "ab12"),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("Some text,neutrall,,,", "unknown sentiment label 'neutrall'; did you mean 'neutral'?"),
        ("Some text,,,,", "needs a label or a verdict"),
        ("Some text,neutral,,,duplicate", "has a label and a verdict"),
        (",neutral,,,", "of what"),
        ("Some text,neutral,ana@bank.example,,", "e-mail address"),
        ("Some text,neutral,,2026-03-01,", "no time with an offset"),
        ("Some text,,,,duplicat", "unknown verdict 'duplicat'; did you mean 'duplicate'?"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_line_and_nothing_is_taken(
    tmp_path: Path, row: str, told: str
) -> None:
    path = _file(tmp_path, f"text,label,by,learned_at,verdict\nGood text,neutral,,,\n{row}\n")
    with pytest.raises(InputError) as caught:
        read_said(path, ANA)
    assert f"{path}:3: " in str(caught.value)
    assert told in str(caught.value).replace("said of?", "of what")
    assert "Nothing was taken" in str(caught.value)


def test_of_many_bad_rows_five_are_told_and_the_others_counted(tmp_path: Path) -> None:
    path = _file(tmp_path, "text,label\n" + "text,mauve\n" * 12)
    with pytest.raises(InputError, match="and 7 more rows"):
        read_said(path, ANA)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no rows"):
        read_said(_file(tmp_path, "text,label\n"), ANA)


def test_who_judged_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not say who judged"):
        read_said(_file(tmp_path, "text,label\nSome text,neutral\n"), FileDefaults(learned_at=ANA.learned_at))


def _candidate(number: int) -> Candidate:
    return Candidate(
        message_id=f"wire:{number}",
        text=f"Quenby Freight loses customer number {number}",
        probabilities=(0.4, 0.35, 0.25),
        model="tiny@1",
        entity="QBYF",
        source="wire",
        lang="en",
    )


def _answered(task: dict[str, object], choice: str, **more: object) -> dict[str, object]:
    result = {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [choice]}}
    annotation = {
        "completed_by": {"id": 7, "email": "ana@bank.example"},
        "created_at": "2026-03-17T12:00:00.000000Z",
        "was_cancelled": False,
        "result": [result],
        **more,
    }
    return {"id": 1, **task, "annotations": [annotation]}


def test_a_task_comes_back_from_label_studio_as_a_judgement_on_its_message(tmp_path: Path) -> None:
    (task,) = tasks([_candidate(1)])
    assert task["predictions"][0]["result"][0]["value"] == {"choices": ["negative"]}
    path = _file(tmp_path, json.dumps([_answered(task, "neutral")]), "export.json")
    (said,) = read_export(path)
    assert (said.message_id, said.answer, said.by) == ("wire:1", "neutral", "label-studio-7")
    assert said.learned_at == datetime(2026, 3, 17, 12, tzinfo=UTC)
    assert "ana@bank.example" not in repr(said)


def test_a_skipped_task_says_nothing(tmp_path: Path) -> None:
    first, second = tasks([_candidate(1), _candidate(2)])
    text = json.dumps([_answered(first, "neutral", was_cancelled=True), _answered(second, "negative")])
    assert [one.message_id for one in read_export(_file(tmp_path, text, "export.json"))] == ["wire:2"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "holds no answers"),
        ('{"a": 1}', "no JSON export of Label Studio"),
        ("not JSON", "no JSON export of Label Studio"),
        (json.dumps([_answered({"data": {}}, "neutral")]), "task 1: has no text"),
        (json.dumps([_answered({"data": {"text": "t"}}, "mauve")]), "unknown sentiment label 'mauve'"),
    ],
)
def test_an_export_that_is_none_is_refused_in_words(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_export(_file(tmp_path, text, "export.json"))


def test_the_page_asks_for_what_an_import_understands() -> None:
    from xml.etree import ElementTree

    choices = ElementTree.fromstring(page()).findall(".//Choices")  # noqa: S314  # our own text
    assert [one.get("name") for one in choices] == ["sentiment", "topic"]
    assert [choice.get("value") for choice in choices[0]] == ["negative", "neutral", "positive", "not_negative"]
    assert len(list(choices[1])) == 20
