"""Label Studio: tasks to be labelled there, the page that asks, and its JSON export back.

Shape of tasks and annotations: https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from models.labels import SENTIMENTS, TOPICS
from retrain.data import Task
from retrain.labels.choose import Candidate
from retrain.labels.files import read_time
from retrain.labels.judgement import allowed_answers
from retrain.labels.said import Said, read_answer
from streams.errors import InputError

_TASKS: tuple[Task, ...] = ("sentiment", "topic")


class _Result(msgspec.Struct):
    from_name: str
    type: str = ""
    value: dict[str, Any] = {}


class _Annotation(msgspec.Struct):
    result: list[_Result] = []
    completed_by: Any = None
    created_at: str | None = None
    updated_at: str | None = None
    was_cancelled: bool = False


class _Task(msgspec.Struct):
    data: dict[str, Any]
    id: int | None = None
    annotations: list[_Annotation] = []


def page() -> str:
    """Return the labelling interface, for a project's settings: one question on sentiment and one on the topic."""
    sentiments = "\n".join(f'    <Choice value="{name}"/>' for name in allowed_answers("sentiment"))
    topics = "\n".join(f'    <Choice value="{topic.id}" alias="{topic.id}"/>' for topic in TOPICS)
    return f"""<View>
  <Header value="$entity"/>
  <Text name="text" value="$text"/>
  <Header value="What does it say of the company's fortune?"/>
  <Choices name="sentiment" toName="text" choice="single" required="true">
{sentiments}
  </Choices>
  <Header value="What is it about?"/>
  <Choices name="topic" toName="text" choice="single">
{topics}
  </Choices>
</View>
"""


def tasks(chosen: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return tasks in the order in which they are to be labelled, each with what the model thought of it."""
    return [
        {
            "data": {
                "text": one.text,
                "message_id": one.message_id,
                "entity": one.entity or "",
                "source": one.source or "",
                "lang": one.lang or "",
            },
            "predictions": [
                {
                    "model_version": one.model,
                    "score": round(max(one.probabilities), 4),
                    "result": [
                        {
                            "from_name": "sentiment",
                            "to_name": "text",
                            "type": "choices",
                            "value": {"choices": [SENTIMENTS[one.probabilities.index(max(one.probabilities))]]},
                        }
                    ],
                }
            ],
        }
        for one in chosen
    ]


def read_export(path: Path) -> list[Said]:
    """Read Label Studio's JSON export, wholly or not at all. Skipped tasks and other questions are passed over.

    Raises:
        InputError: the file cannot be read, is no such export, or holds an answer that is not known; it says where.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=list[_Task])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no JSON export of Label Studio ({error}); export the project as JSON") from None
    said = [one for number, task in enumerate(found, 1) for one in _answers(task, f"{path}: task {task.id or number}")]
    if not said:
        raise InputError(f"{path}: holds no answers to the questions 'sentiment' and 'topic'; see squall labels page")
    return said


def _answers(task: _Task, where: str) -> Iterator[Said]:
    text = task.data.get("text")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: has no text; were the tasks imported from squall labels queue?")
    for annotation in task.annotations:
        if annotation.was_cancelled:
            continue
        for result in annotation.result:
            if result.from_name not in _TASKS or result.type != "choices":
                continue
            name: Task = "sentiment" if result.from_name == "sentiment" else "topic"
            try:
                (choice,) = result.value.get("choices", [])
                answer = read_answer(str(choice), name)
                learned_at = _time(annotation)
            except ValueError as error:
                raise InputError(f"{where}, {name}: {error}") from None
            yield Said(
                where=where,
                by=_who(annotation.completed_by),
                learned_at=learned_at,
                answer=answer,
                task=name,
                message_id=_word(task.data, "message_id"),
                text=text.strip(),
                entity=_word(task.data, "entity"),
                source=_word(task.data, "source"),
                lang=_word(task.data, "lang"),
            )


def _time(annotation: _Annotation) -> datetime:
    text = annotation.updated_at or annotation.created_at
    if text is None:
        raise ValueError("the annotation does not say when it was made")
    return read_time(text)


def _who(completed_by: Any) -> str:
    """Name an annotator by the number of the account: its e-mail address is not kept."""
    number = completed_by.get("id") if isinstance(completed_by, dict) else completed_by
    return f"label-studio-{number if isinstance(number, int) else 'unknown'}"


def _word(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value.strip() if isinstance(value, str) and value.strip() else None
