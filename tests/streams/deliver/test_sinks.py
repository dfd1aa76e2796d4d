from io import StringIO

import pytest
from pydantic import SecretStr
from rich.console import Console

from streams.config import DeliverySettings
from streams.deliver import TerminalSink, sinks
from streams.deliver.patient import PatientSink
from streams.errors import ConfigError


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


async def test_the_configuration_names_the_receivers():
    settings = DeliverySettings(webhook_url="https://desk.example/hook", webhook_token=SecretStr("t"))
    both = sinks(settings, console=Console(file=StringIO()))
    assert list(both) == ["terminal", "webhook"]
    assert isinstance(both["webhook"], PatientSink)
    assert both["terminal"].lanes == 1  # or blocks of different alerts would come in any order
    for sink in both.values():
        await sink.aclose()
    assert sinks(DeliverySettings(terminal=False)) == {}


def test_a_token_that_no_header_may_carry_is_refused_at_the_start():
    settings = DeliverySettings(webhook_url="https://desk.example/hook", webhook_token=SecretStr("a\r\nX: y"))
    with pytest.raises(ConfigError, match="webhook_token"):
        sinks(settings)
