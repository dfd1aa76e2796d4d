"""A company that has fallen silent costs its baselines, and no more."""

from __future__ import annotations

from datetime import timedelta

from tests.streams.monitor.invented import START, Record, as_bytes, heard, mention, monitor


def test_what_is_remembered_of_a_silent_company_goes_and_its_baselines_stay() -> None:
    watching = monitor()
    log: list[Record] = [*heard(1), *(mention(n, START + timedelta(minutes=n), author=f"a-{n}") for n in range(40))]
    busy = [mention(100 + n, START + timedelta(hours=n), entity="BRND") for n in range(1, 60)]
    for offset, record in enumerate(log):
        watching.absorb(record, offset)
    saved = dict(watching.changes().entities)
    assert any("\x1fAURL\x1f" in key for key in saved)
    for offset, record in enumerate(busy, len(log)):
        watching.absorb(record, offset)
        for key, value in watching.changes().entities:
            saved.pop(key, None) if value is None else saved.update({key: value})
    assert [key for key in saved if "AURL" in key] == ["entity\x1fAURL"]
    assert set(watching._horizons) == {"BRND"}
    state = watching._entities["AURL"]
    assert all(memory.baseline.votes > 30 for memory in state.rules.values())


def test_memory_is_let_go_without_saving_too() -> None:
    watching = monitor()
    log: list[Record] = [
        *heard(1),
        *(mention(n, START + timedelta(hours=6 * n), entity=f"E{n:03d}") for n in range(60)),
    ]
    alerts = [alert for offset, record in enumerate(log) for alert in watching.absorb(record, offset)]
    assert len(watching._horizons) < 10 < len(watching._entities)
    assert as_bytes(alerts) == []
