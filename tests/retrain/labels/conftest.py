"""Invented judgements."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retrain.labels.judgement import Judgement

NOON = datetime(2026, 3, 17, 12, 0, tzinfo=UTC)

Judge = Callable[..., Judgement]


@pytest.fixture
def judge() -> Judge:
    """`judge(answer, message=..., by=..., later_min=...)`: a judgement on an invented message."""

    def make(
        answer: str | None, *, message: str = "desk:1", by: str = "ana", later_min: int = 0, **more: Any
    ) -> Judgement:
        fields: dict[str, Any] = {
            "text": f"Ostermere Bank says something, number {message}",
            "task": "sentiment",
            "kind": "label",
        }
        return Judgement(
            message_id=message,
            answer=answer,
            by=by,
            learned_at=NOON + timedelta(minutes=later_min),
            **{**fields, **more},
        )

    return make
