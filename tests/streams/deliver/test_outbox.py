import asyncio
from io import StringIO

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from rich.console import Console

from streams.config import DeliverySettings
from streams.deliver import Deliverer, ListSink, Outbox, TerminalSink, deliverer
from streams.errors import ConfigError, DeliveryError


def counted(receiver: str, outcome: str) -> float:
    labels = {"receiver": receiver, "outcome": outcome}
    return REGISTRY.get_sample_value("squall_alerts_delivered_total", labels) or 0.0


async def settled() -> None:
    """Let every task run until it waits for something."""
    for _ in range(200):
        await asyncio.sleep(0)


class GatedSink(ListSink):
    """Holds back the alerts whose ids are in `held` until `gate` is set."""

    def __init__(self, *held: str) -> None:
        super().__init__()
        self.held = set(held)
        self.gate = asyncio.Event()
        self.closed = False

    async def deliver(self, alert) -> None:
        if alert.id in self.held:
            await self.gate.wait()
        await super().deliver(alert)

    async def aclose(self) -> None:
        self.closed = True


class FailingSink(ListSink):
    """Fails with what it is given, once each, and then works."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    async def deliver(self, alert) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().deliver(alert)


async def test_alerts_are_handed_over_in_order(make_alert):
    sink = ListSink()
    outbox = Outbox("order", sink)
    for transition in range(5):
        assert outbox.submit(make_alert(transition=transition))
    assert await outbox.aclose() == 0
    assert [alert.transition for alert in sink.alerts] == [0, 1, 2, 3, 4]
    assert counted("order", "delivered") == 5


async def test_submit_does_not_wait_for_a_receiver_that_hangs(make_alert):
    sink = GatedSink("x")
    outbox = Outbox("hanging", sink, capacity=2)
    taken = [outbox.submit(make_alert(id="x", transition=n)) for n in range(3)]
    assert taken == [True, True, False]
    assert outbox.waiting == 2
    assert REGISTRY.get_sample_value("squall_alerts_waiting", {"receiver": "hanging"}) == 2
    sink.gate.set()
    assert await outbox.aclose() == 0


async def test_a_full_outbox_drops_counts_and_says_so(make_alert, caplog):
    outbox = Outbox("full", GatedSink("x"), capacity=1)
    outbox.submit(make_alert(id="x"))
    outbox.submit(make_alert(id="y"))
    assert counted("full", "dropped") == 1
    assert "y-1 was not sent to full: 1 are waiting; is the receiver down?" in caplog.text
    assert await outbox.aclose(timeout_s=0) == 1


async def test_one_alert_that_hangs_does_not_hold_up_another_but_keeps_its_own_order(make_alert):
    ids = [f"{n:02x}" for n in range(32)]
    sink = GatedSink("00")
    outbox = Outbox("lanes", sink, lanes=4)
    outbox.submit(make_alert(id="00", transition=1))
    outbox.submit(make_alert(id="00", transition=2))
    for other in ids[1:]:
        outbox.submit(make_alert(id=other))
    await settled()
    assert len(sink.alerts) >= 16  # the other three lanes
    assert all(alert.id != "00" for alert in sink.alerts)
    sink.gate.set()
    await outbox.aclose()
    assert [alert.transition for alert in sink.alerts if alert.id == "00"] == [1, 2]
    assert len(sink.alerts) == 33


async def test_the_same_transition_is_sent_once(make_alert):
    sink = ListSink()
    outbox = Outbox("once", sink)
    assert outbox.submit(make_alert())
    assert not outbox.submit(make_alert())
    assert outbox.submit(make_alert(transition=2))
    await outbox.aclose()
    assert [alert.transition for alert in sink.alerts] == [1, 2]
    assert counted("once", "duplicate") == 1


async def test_what_was_sent_is_remembered_within_a_bound(make_alert):
    outbox = Outbox("bounded", ListSink(), remembered=10)
    for transition in range(100):
        outbox.submit(make_alert(transition=transition))
    assert not outbox.submit(make_alert(transition=99))
    assert outbox.submit(make_alert(transition=0))
    await outbox.aclose()


async def test_a_failure_is_counted_and_logged_and_the_next_alert_goes_on(make_alert, caplog):
    sink = FailingSink(DeliveryError("desk refused the alert: check delivery.webhook_url"))
    outbox = Outbox("failing", sink)
    outbox.submit(make_alert(id="a"))
    outbox.submit(make_alert(id="b"))
    await outbox.aclose()
    assert [alert.id for alert in sink.alerts] == ["b"]
    assert counted("failing", "failed") == 1
    assert "check delivery.webhook_url; it is kept on the alerts topic" in caplog.text


async def test_an_unexpected_error_ends_no_lane_and_is_named_by_its_kind_only(make_alert, caplog):
    sink = FailingSink(RuntimeError("with a s3cret in it"))
    outbox = Outbox("buggy", sink)
    outbox.submit(make_alert(id="a"))
    outbox.submit(make_alert(id="b"))
    await outbox.aclose()
    assert [alert.id for alert in sink.alerts] == ["b"]
    assert "unexpected RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_what_failed_may_be_submitted_again(make_alert):
    sink = FailingSink(DeliveryError("down"))
    outbox = Outbox("again", sink)
    outbox.submit(make_alert())
    await settled()
    assert outbox.submit(make_alert())
    await outbox.aclose()
    assert len(sink.alerts) == 1


async def test_closing_drains_within_the_time_and_counts_what_was_left(make_alert, caplog):
    sink = GatedSink("stuck")
    outbox = Outbox("closing", sink)
    for transition in range(3):
        outbox.submit(make_alert(id="stuck", transition=transition))
    assert await outbox.aclose(timeout_s=0.01) == 3
    assert sink.closed
    assert outbox.waiting == 0
    assert counted("closing", "abandoned") == 3
    assert "3 alert transitions were not sent to closing" in caplog.text
    assert not outbox.submit(make_alert(id="late"))
    assert counted("closing", "dropped") == 1


async def test_settling_waits_for_what_was_taken_and_says_whether_it_went_out(make_alert):
    sink = GatedSink("held")
    both = Deliverer(Outbox("settle-1", sink), Outbox("settle-2", ListSink()))
    assert await both.settle(timeout_s=0.01)
    both.submit(make_alert(id="held"))
    assert not await both.settle(timeout_s=0.01)
    sink.gate.set()
    assert await both.settle(timeout_s=5)
    assert [alert.id for alert in sink.alerts] == ["held"]
    await both.aclose()


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_nobody_is_called_for_pending_and_inactive(make_alert, state):
    sink = ListSink()
    outbox = Outbox("quiet", sink)
    assert not outbox.submit(make_alert(state=state))
    await outbox.aclose()
    assert sink.alerts == []


async def test_a_slow_receiver_holds_up_no_other(make_alert):
    slow, quick = GatedSink("a1b2c3d4e5f60718"), ListSink()
    both = Deliverer(Outbox("slow", slow), Outbox("quick", quick))
    both.submit(make_alert())
    await settled()
    assert len(quick.alerts) == 1
    assert both.waiting == {"slow": 1, "quick": 0}
    assert await both.aclose(timeout_s=0.01) == 1


async def test_the_terminal_prints_a_line_into_a_log_and_a_block_on_a_terminal(make_alert):
    log, screen = StringIO(), StringIO()
    await TerminalSink(Console(file=log, width=60)).deliver(make_alert())
    await TerminalSink(Console(file=screen, width=100, force_terminal=True, color_system=None)).deliver(make_alert())
    assert log.getvalue().count("\n") == 1
    assert log.getvalue().startswith("ALERT (critical) Brindlemoor Foods (BRMFD): 62 %")
    assert "The messages that weighed most" in screen.getvalue()


async def test_the_terminal_is_quiet_about_pending(make_alert):
    out = StringIO()
    await TerminalSink(Console(file=out)).deliver(make_alert(state="pending"))
    assert out.getvalue() == ""


async def test_the_configuration_names_the_receivers(make_alert):
    out = StringIO()
    settings = DeliverySettings(webhook_url="https://desk.example/hook", webhook_token=SecretStr("t"))
    both = deliverer(settings, console=Console(file=out))
    assert set(both.waiting) == {"terminal", "webhook"}
    await both.aclose()
    none = deliverer(DeliverySettings(terminal=False))
    none.submit(make_alert())
    assert await none.aclose() == 0


def test_a_token_that_no_header_may_carry_is_refused_at_the_start():
    settings = DeliverySettings(webhook_url="https://desk.example/hook", webhook_token=SecretStr("a\r\nX: y"))
    with pytest.raises(ConfigError, match="webhook_token"):
        deliverer(settings)
