"""Alerts in a real Alertmanager: there once, silenced there, over there, and restored after its restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.config import DeliverySettings
from streams.deliver.alertmanager import AlertmanagerChannel
from streams.deliver.attempts import TryAgain
from streams.deliver.build import make_channel
from streams.records import Alert
from tests.streams.app.harness import Receiver, until
from tests.streams.deliver.alertmanager import Alertmanager, running_alertmanager
from tests.streams.invented_alert import sample_alert


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Alertmanager]:
    with running_alertmanager(tmp_path / "alertmanager") as manager:
        yield manager


@pytest.fixture
async def channel(manager: Alertmanager) -> AsyncIterator[AlertmanagerChannel]:
    made = channel_to(manager)
    yield made
    await made.aclose()


def channel_to(manager: Alertmanager, **keys: Any) -> AlertmanagerChannel:
    named = {"type": "alertmanager", "urls": [manager.url], "resend_every_s": 60, **keys}
    settings = {"receivers": {"am": named}, "external_url": "https://squall.bank.example"}
    made = make_channel(DeliverySettings.model_validate(settings), "am")
    assert isinstance(made, AlertmanagerChannel)
    return made


def live(transition: int = 0, **changes: Any) -> Alert:
    """An alert of just now: Alertmanager goes by its own clock."""
    now = datetime.now(UTC).replace(microsecond=0)
    at = now - timedelta(minutes=5)
    return sample_alert(
        **{"transition": transition, "at": at, "starts_at": at, "fired_at": at, "severity": "warning", **changes}
    )


async def test_an_alert_is_there_once_however_often_it_is_sent(
    manager: Alertmanager, channel: AlertmanagerChannel
) -> None:
    alert = live()
    await channel.send(alert)
    await channel.resend(lambda: [alert])
    await channel.send(live(1, severity="critical"))
    (shown,) = manager.alerts()
    assert shown["labels"] == {"alertname": "negative-surge", "entity": "BRMFD", "sector": "Consumer Staples"}
    assert shown["annotations"]["severity"] == "critical"
    assert shown["annotations"]["summary"].startswith("ALERT (critical) Brindlemoor Foods (BRMFD): 62 %")
    assert shown["annotations"]["summary_zh"].startswith("警报（严重）")
    assert shown["annotations"]["alert_id"] == "a1b2c3d4e5f60718"
    assert shown["generatorURL"] == "https://squall.bank.example"
    assert shown["status"]["state"] == "active"


async def test_it_is_silenced_there_and_stays_so_when_it_is_sent_again(
    manager: Alertmanager, channel: AlertmanagerChannel
) -> None:
    alert = live()
    await channel.send(alert)
    silence = manager.silence("entity", "BRMFD")
    await channel.resend(lambda: [alert])
    (shown,) = until(
        lambda: [one for one in manager.alerts() if one["status"]["state"] == "suppressed"], "it is silenced"
    )
    assert shown["status"]["silencedBy"] == [silence]


async def test_its_end_ends_it_and_a_copy_of_the_end_changes_nothing(
    manager: Alertmanager, channel: AlertmanagerChannel
) -> None:
    await channel.send(live())
    assert len(manager.alerts()) == 1
    over = live(1, state="resolved", ends_at=datetime.now(UTC) - timedelta(seconds=2))
    await channel.send(over)
    until(lambda: not manager.alerts(), "it is over")
    await channel.resend(lambda: [over])
    assert manager.alerts() == []


async def test_its_own_receivers_are_told_once_that_it_fires_and_once_that_it_is_over(tmp_path: Path) -> None:
    with Receiver() as desk:
        hook = {"url": desk.url, "send_resolved": True, "http_config": {"authorization": {"credentials": "desk-token"}}}
        config = {
            "route": {"receiver": "desk", "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"},
            "receivers": [{"name": "desk", "webhook_configs": [hook]}],
        }
        with running_alertmanager(tmp_path / "alertmanager", config) as manager:
            channel = channel_to(manager)
            await channel.send(live())
            until(lambda: len(desk.payloads) == 1, "the desk is told")
            await channel.resend(lambda: [live()])
            await channel.send(live(1, severity="critical"))
            await channel.send(live(2, severity="critical", state="resolved", ends_at=datetime.now(UTC)))
            until(lambda: any(one["status"] == "resolved" for one in desk.payloads), "the desk is told of the end")
            await channel.aclose()
    told = [(one["status"], [a["labels"]["entity"] for a in one["alerts"]]) for one in desk.payloads]
    assert told == [("firing", ["BRMFD"]), ("resolved", ["BRMFD"])]


async def test_without_copies_it_is_over_by_itself_when_squall_is_gone(manager: Alertmanager) -> None:
    channel = channel_to(manager, resend_every_s=1)
    alert = live()
    await channel.send(alert)
    assert len(manager.alerts()) == 1
    until(lambda: not manager.alerts(), "nobody has sent it again")
    await channel.resend(lambda: [alert])
    assert len(manager.alerts()) == 1
    await channel.aclose()


async def test_a_severity_as_a_label_leaves_one_alert_of_the_highest(manager: Alertmanager) -> None:
    channel = channel_to(manager, severity_label=True)
    await channel.send(live())
    assert [one["labels"]["severity"] for one in manager.alerts()] == ["warning"]
    await channel.send(live(1, severity="critical"))
    until(lambda: [one["labels"]["severity"] for one in manager.alerts()] == ["critical"], "the lower one is over")
    await channel.send(live(2, severity="critical", state="resolved", ends_at=datetime.now(UTC)))
    until(lambda: not manager.alerts(), "all are over")
    await channel.aclose()


async def test_one_that_lost_its_memory_gets_it_back_with_the_next_copy(
    manager: Alertmanager, channel: AlertmanagerChannel
) -> None:
    alert = live()
    await channel.send(alert)
    manager.stop()
    with pytest.raises(TryAgain, match=r"cannot connect|connection broke"):
        await channel.send(alert)
    assert await channel.resend(lambda: [alert]) == 0
    manager.start({"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]})
    assert manager.alerts() == []
    assert await channel.resend(lambda: [alert]) == 1
    assert len(manager.alerts()) == 1
