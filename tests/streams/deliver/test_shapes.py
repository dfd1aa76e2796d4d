"""What each receiver is sent: its own shape, and nothing from outside that means something in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from streams.config import DeliverySettings
from streams.deliver import alertmanager, metrics
from streams.deliver.alertmanager import AlertmanagerChannel, postable
from streams.deliver.attempts import Channel, Refused, TryAgain
from streams.deliver.build import make_channel
from streams.deliver.pagerduty import PagerDutyChannel
from streams.deliver.templates import Template
from streams.deliver.view import harmless, view
from streams.errors import ConfigError
from streams.records import Alert
from tests.streams.app.test_deliverer import until
from tests.streams.deliver.recording import Recording, recording
from tests.streams.invented_alert import AT, EVIDENCE, sample_alert

SECRET = "hunter2-correct-horse"  # noqa: S105 - nobody's
HOSTILE = (
    "<!channel> <https://evil.example|Click> @everyone @here [Click](https://evil.example) https://evil.example "
    "www.evil.example evil.example *bold* _slanted_ ~gone~ `code` <b>x</b> <script>alert(1)</script> <at>All</at> "
    "mailto:a@evil.example \u202e\x1b[31m {{ 7*7 }} {% raw %} &amp; \"quoted\" 'single'"
)


def hostile(**changes: Any) -> Alert:
    """An alert in which every text from outside tries something."""
    messages = tuple(
        type(one)(**{f: getattr(one, f) for f in one.__struct_fields__} | {"text": HOSTILE, "author": HOSTILE})
        for one in EVIDENCE.messages
    )
    labels = {"entity": HOSTILE, "alertname": "negative-surge"}
    return sample_alert(messages=messages, labels=labels, annotations={"name": HOSTILE}, in_words=HOSTILE, **changes)


def channel_for(receiver: Recording, kind: str, **keys: Any) -> Channel:
    address = {"alertmanager": {"urls": [receiver.origin]}, "pagerduty": {"url": receiver.origin + "/v2/enqueue"}}
    named = {"type": kind, "allow_private": True, **address.get(kind, {"url": receiver.url}), **keys}
    if kind == "pagerduty":
        named.setdefault("routing_key", SECRET)
    settings = DeliverySettings.model_validate(
        {"receivers": {"desk": named}, "external_url": "https://squall.bank.example"}
    )
    return make_channel(settings, "desk")


@pytest.fixture
async def channels() -> AsyncIterator[list[Channel]]:
    made: list[Channel] = []
    yield made
    for one in made:
        await one.aclose()


async def sent(channels: list[Channel], channel: Channel, receiver: Recording, alert: Alert) -> Any:
    channels.append(channel)
    await channel.send(alert)
    return receiver.requests[-1].json


async def test_slack_gets_a_header_a_text_and_a_footer(channels: list[Channel], receiver: Recording) -> None:
    message = await sent(channels, channel_for(receiver, "slack"), receiver, sample_alert())
    header, section, footer = message["blocks"]
    assert header["text"] == {
        "type": "plain_text",
        "text": "\U0001f534 ALERT (critical) Brindlemoor Foods (BRMFD)",
        "emoji": False,
    }
    assert section["text"]["type"] == "mrkdwn"
    assert section["text"]["verbatim"] is True
    assert section["text"]["text"].startswith("*62 % of 41 stories in the last 60 minutes are negative, against")
    assert "By chance, a rise like this comes at most once" in section["text"]["text"]
    assert "Brindlemoor Foods pulls three frozen lines" in section["text"]["text"]
    assert "a1b2c3d4e5f60718" in footer["elements"][0]["text"]
    assert "<https://squall.bank.example|Squall>" in footer["elements"][0]["text"]
    assert message["link_names"] is False
    assert receiver.requests[0].headers["Idempotency-Key"] == "a1b2c3d4e5f60718-1"
    assert receiver.requests[0].path == "/services/T000/hidden-path"


async def test_slack_is_told_of_the_end(channels: list[Channel], receiver: Recording) -> None:
    alert = sample_alert(state="resolved", ends_at=AT + timedelta(hours=3))
    message = await sent(channels, channel_for(receiver, "slack"), receiver, alert)
    assert message["text"] == "\U0001f7e2 OVER Brindlemoor Foods (BRMFD)"
    assert "back to its usual level" in message["blocks"][1]["text"]["text"]


async def test_nothing_from_outside_mentions_links_or_formats_in_slack(
    channels: list[Channel], receiver: Recording
) -> None:
    message = await sent(channels, channel_for(receiver, "slack"), receiver, hostile())
    footer = message["blocks"].pop()
    text = json.dumps(message, ensure_ascii=False)
    for forged in ("<!", "<http", "<@", "<at", "<b>", "@here", "@everyone", "https://evil", "www.evil", "evil.example"):
        assert forged not in text
    assert "mailto:a" not in text
    assert "*bold*" not in text
    assert "~gone~" not in text
    assert "`" not in text
    assert "\u202e" not in text
    assert "{{ 7" in text  # a template in a value is a text like any other
    assert footer["elements"][0]["text"].count("<") == 1


async def test_teams_gets_a_card(channels: list[Channel], receiver: Recording) -> None:
    message = await sent(channels, channel_for(receiver, "teams"), receiver, sample_alert())
    (attachment,) = message["attachments"]
    assert message["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    title, text, facts = card["body"]
    assert title["inlines"][0]["text"] == "\U0001f534 ALERT (critical) Brindlemoor Foods (BRMFD)"
    assert title["inlines"][0]["color"] == "Attention"
    assert text["text"].startswith("**62 % of 41 stories")
    assert {"title": "Alert", "value": "a1b2c3d4e5f60718"} in facts["facts"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Squall", "url": "https://squall.bank.example"}]
    over = await sent(channels, channel_for(receiver, "teams"), receiver, sample_alert(state="resolved"))
    assert over["attachments"][0]["content"]["body"][0]["inlines"][0]["color"] == "Good"


async def test_nothing_from_outside_mentions_links_or_formats_in_teams(
    channels: list[Channel], receiver: Recording
) -> None:
    message = await sent(channels, channel_for(receiver, "teams"), receiver, hostile())
    card = message["attachments"][0]["content"]
    text = card["body"][1]["text"]
    for forged in ("](", "<at>", "<b>", "<script", "https://evil", "evil.example", "*bold*", "`", "@everyone"):
        assert forged not in text
    assert "entities" not in card["msteams"]


async def test_pagerduty_triggers_and_resolves_one_incident(channels: list[Channel], receiver: Recording) -> None:
    channel = channel_for(receiver, "pagerduty")
    event = await sent(channels, channel, receiver, sample_alert())
    assert receiver.requests[0].path == "/v2/enqueue"
    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (SECRET, "trigger", "a1b2c3d4e5f60718")
    payload = event["payload"]
    assert payload["summary"].startswith("Brindlemoor Foods (BRMFD): 62 % of 41 stories")
    assert (payload["severity"], payload["source"], payload["class"]) == ("critical", "BRMFD", "negative-surge")
    assert payload["timestamp"] == "2026-03-18T10:04:00Z"
    assert payload["group"] == "Consumer Staples"
    assert payload["custom_details"]["replay"].startswith("squall replay")
    over = await sent(channels, channel, receiver, sample_alert(state="resolved", transition=2))
    assert (over["event_action"], over["dedup_key"]) == ("resolve", "a1b2c3d4e5f60718")
    assert isinstance(channel, PagerDutyChannel)
    await channel.acknowledge("a1b2c3d4e5f60718")
    seen = receiver.requests[-1].json
    assert seen == {"routing_key": SECRET, "event_action": "acknowledge", "dedup_key": "a1b2c3d4e5f60718"}
    keys = [one.headers["Idempotency-Key"] for one in receiver.requests]
    assert keys == ["a1b2c3d4e5f60718-1", "a1b2c3d4e5f60718-2", "a1b2c3d4e5f60718-acknowledge"]


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
async def test_severities_are_pagerdutys_and_summaries_are_short(
    channels: list[Channel], receiver: Recording, severity: Any
) -> None:
    alert = hostile(severity=severity)
    event = await sent(channels, channel_for(receiver, "pagerduty"), receiver, alert)
    assert event["payload"]["severity"] == severity
    assert len(event["payload"]["summary"]) <= 1024


async def test_a_routing_key_that_is_echoed_is_shown_to_nobody(channels: list[Channel], receiver: Recording) -> None:
    receiver.answers = [web.Response(status=400, text=f"no such key {SECRET}")]
    channel = channel_for(receiver, "pagerduty")
    channels.append(channel)
    with pytest.raises(Refused, match=r"no such key .hidden.") as caught:
        await channel.send(sample_alert())
    assert SECRET not in str(caught.value)


NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


def entries(alert: Alert, **options: Any) -> list[dict[str, Any]]:
    return postable(alert, now=NOW, lasts_s=240.0, external_url="https://squall.bank.example", **options)


def test_alertmanager_is_told_until_when_an_alert_lasts_unless_it_hears_of_it_again() -> None:
    (entry,) = entries(sample_alert())
    assert entry["labels"] == {"alertname": "negative-surge", "entity": "BRMFD", "sector": "Consumer Staples"}
    assert (entry["startsAt"], entry["endsAt"]) == ("2026-03-18T10:04:00Z", "2026-03-18T12:04:00Z")
    assert entry["generatorURL"] == "https://squall.bank.example"
    annotations = entry["annotations"]
    assert annotations["severity"] == "critical"
    assert annotations["alert_id"] == "a1b2c3d4e5f60718"
    assert annotations["summary"].startswith("ALERT (critical) Brindlemoor Foods (BRMFD)")
    assert annotations["summary_zh"].startswith("警报")
    assert "Brindlemoor Foods pulls" in annotations["stories"]
    assert all(isinstance(value, str) for value in annotations.values())


def test_alertmanager_is_told_when_it_ended_and_never_of_an_end_in_the_future() -> None:
    (entry,) = entries(sample_alert(state="resolved", ends_at=AT + timedelta(minutes=30)))
    assert (entry["startsAt"], entry["endsAt"]) == ("2026-03-18T10:04:00Z", "2026-03-18T10:34:00Z")
    (early,) = entries(sample_alert(state="resolved", ends_at=NOW + timedelta(hours=1), fired_at=NOW + timedelta(1)))
    assert early["startsAt"] == early["endsAt"] == "2026-03-18T12:00:00Z"


def test_labels_hold_no_severity_so_that_a_rise_makes_no_second_alert() -> None:
    labels = [entries(sample_alert(severity=severity))[0]["labels"] for severity in ("info", "critical")]
    assert labels[0] == labels[1]


def test_a_severity_as_a_label_ends_the_alert_of_the_lower_one() -> None:
    found = entries(sample_alert(severity="critical"), severity_label=True)
    assert [one["labels"]["severity"] for one in found] == ["info", "warning", "critical"]
    assert [one["endsAt"] > "2026-03-18T12:00:00Z" for one in found] == [False, False, True]
    (only,) = entries(sample_alert(severity="info"), severity_label=True)
    assert only["labels"]["severity"] == "info"


def test_names_are_written_as_alertmanager_takes_them() -> None:
    (entry,) = entries(sample_alert(labels={"my-desk": "a", "1st": "b"}, annotations={"run book": "c"}))
    assert {"my_desk": "a", "_1st": "b"}.items() <= entry["labels"].items()
    assert entry["annotations"]["run_book"] == "c"


async def cluster(*receivers: Recording, **keys: Any) -> AlertmanagerChannel:
    named = {"type": "alertmanager", "urls": [one.origin for one in receivers], **keys}
    channel = make_channel(DeliverySettings.model_validate({"receivers": {"am": named}}), "am")
    assert isinstance(channel, AlertmanagerChannel)
    return channel


async def test_every_member_of_a_cluster_is_told_and_one_that_takes_it_is_enough(receiver: Recording) -> None:
    async with recording() as other:
        channel = await cluster(receiver, other, token=SECRET)
        await channel.send(sample_alert())
        await until(lambda: receiver.requests and other.requests, "both are told")
        assert receiver.requests[0].path == other.requests[0].path == "/api/v2/alerts"
        assert receiver.requests[0].headers["Authorization"] == f"Bearer {SECRET}"
        receiver.answers = [web.Response(status=503)]
        assert await channel.send(sample_alert()) == f"{other.origin}: it answered 200"
        await until(lambda: not receiver.answers, "the other one has failed")
        receiver.answers, other.answers = [web.Response(status=503)], [web.Response(status=400)]
        with pytest.raises(TryAgain, match="503"):
            await channel.send(sample_alert())
        receiver.answers, other.answers = [web.Response(status=400)], [web.Response(status=400)]
        with pytest.raises(Refused):
            await channel.send(sample_alert())
        await channel.aclose()


async def test_a_member_that_hangs_holds_up_no_other_and_hears_all_in_order_afterwards(receiver: Recording) -> None:
    go_on = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.Response()

    def told(member: Recording) -> list[str]:
        return [one.headers["Idempotency-Key"] for one in member.requests]

    async with recording() as other:
        other.answers = [hang]
        channel = await cluster(receiver, other, timeout_s=60)
        keys = [f"a{n}-1" for n in range(5)]
        for n in range(5):
            assert receiver.origin in await channel.send(sample_alert(id=f"a{n}"))
        assert told(receiver) == keys, "while the other one has not answered once"
        assert await channel.resend(lambda: [sample_alert(id="a0")]) == 1
        assert len(other.requests) == 1
        go_on.set()
        await until(lambda: len(other.requests) == 6, "the other one catches up")
        await channel.aclose()
    assert [one.headers.get("Idempotency-Key") for one in other.requests] == [*keys, None]


async def test_of_a_member_that_hangs_for_ever_no_queue_grows_without_bound_and_closing_ends_it(
    receiver: Recording, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alertmanager, "_MOST_WAITING", 2)
    monkeypatch.setattr(alertmanager, "_CLOSE_WITHIN_S", 0.01)

    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with recording() as other:
        other.answers = [hang]
        channel = await cluster(receiver, other, timeout_s=60)
        for n in range(5):
            await channel.send(sample_alert(id=f"a{n}"))
        await channel.aclose()
    assert len(receiver.requests) == 5
    assert len(other.requests) == 1
    assert caplog.text.count("2 alerts wait for it already") == 3


async def test_an_end_is_not_overtaken_by_a_copy_that_was_made_before_it(receiver: Recording) -> None:
    fires = [sample_alert(id="a")]
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        reached.set()
        await go_on.wait()
        return web.Response()

    receiver.answers = [slow]
    channel = await cluster(receiver)
    first = asyncio.create_task(channel.send(fires[0]))
    await reached.wait()
    fires.clear()  # as the book does when an end is about to be told
    end = asyncio.create_task(channel.send(sample_alert(id="a", transition=2, state="resolved")))
    copies = asyncio.create_task(channel.resend(lambda: fires))
    go_on.set()
    await asyncio.gather(first, end, copies)
    await channel.aclose()
    assert [one.headers.get("Idempotency-Key") for one in receiver.requests] == ["a-1", "a-2"]


async def test_a_login_by_name_and_password(receiver: Recording) -> None:
    channel = await cluster(receiver, username="desk", password=SECRET)
    receiver.answers = [web.Response(status=401, text="desk:" + SECRET + " ZGVzazpodW50ZXIyLWNvcnJlY3QtaG9yc2U=")]
    with pytest.raises(TryAgain) as caught:
        await channel.send(sample_alert())
    await channel.aclose()
    assert receiver.requests[0].headers["Authorization"] == "Basic ZGVzazpodW50ZXIyLWNvcnJlY3QtaG9yc2U="
    assert SECRET not in str(caught.value)
    assert "ZGVz" not in str(caught.value)


async def test_copies_are_sent_together_and_a_failure_is_only_logged(
    receiver: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    channel = await cluster(receiver)
    alerts = [sample_alert(id=f"a{n}", labels={"entity": f"CO{n}"}) for n in range(3)]
    assert await channel.resend(lambda: alerts) == 3
    assert [one["labels"]["entity"] for one in receiver.requests[0].json] == ["CO0", "CO1", "CO2"]
    assert await channel.resend(list) == 0
    older = sample_alert(id="b", labels={"entity": "CO0"}, at=AT - timedelta(hours=1), transition=5)
    assert await channel.resend(lambda: [alerts[0], older]) == 1, "the same labels are one alert there"
    assert receiver.requests[-1].json[0]["annotations"]["alert_id"] == "a0"
    receiver.answers = [web.Response(status=500)]
    assert await channel.resend(lambda: alerts) == 0
    await channel.aclose()
    assert "3 alerts were not sent again" in caplog.text


def many(number: int) -> list[Alert]:
    return [sample_alert(id=f"a{n}", labels={"entity": f"CO{n}"}) for n in range(number)]


async def test_a_bad_alert_among_many_costs_no_other_its_copy(
    receiver: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    taken: set[str] = set()

    async def picky(request: web.Request) -> web.StreamResponse:
        named = [one["labels"]["entity"] for one in json.loads(await request.read())]
        if "CO7" in named or "CO1100" in named:
            return web.Response(status=400)
        taken.update(named)
        return web.Response()

    receiver.answers = [picky] * 200
    failed = metrics.RESEND_FAILED.labels("am")
    before = failed._value.get()
    channel = await cluster(receiver)
    assert await channel.resend(lambda: many(1200)) == 1198
    await channel.aclose()
    assert taken == {f"CO{n}" for n in range(1200)} - {"CO7", "CO1100"}
    assert failed._value.get() == before + 2
    assert "1 alerts were not sent again to" in caplog.text
    assert ": a1100: it answered 400" in caplog.text


async def test_after_a_request_that_failed_the_next_copies_are_sent(receiver: Recording) -> None:
    receiver.answers = [web.Response(status=503)]
    channel = await cluster(receiver)
    sent = await channel.resend(lambda: many(700))
    await channel.aclose()
    lost, taken = (len(one.json) for one in receiver.requests)
    assert lost
    assert sent == taken == 700 - lost


async def test_if_everything_is_refused_the_halving_ends(receiver: Recording) -> None:
    receiver.answers = [web.Response(status=400) for _ in range(2000)]
    failed = metrics.RESEND_FAILED.labels("am")
    before = failed._value.get()
    channel = await cluster(receiver)
    assert await channel.resend(lambda: many(900)) == 0
    await channel.aclose()
    assert failed._value.get() == before + 900
    assert len(receiver.requests) < 450


async def test_a_request_of_copies_is_bounded_in_bytes(receiver: Recording) -> None:
    annotations = {"long": "x" * 100_000}
    alerts = [sample_alert(id=f"a{n}", labels={"entity": f"CO{n}"}, annotations=annotations) for n in range(12)]
    channel = await cluster(receiver)
    assert await channel.resend(lambda: alerts) == 12
    await channel.aclose()
    assert [len(one.json) for one in receiver.requests] == [5, 5, 2]
    assert all(len(one.body) <= 512 * 1024 for one in receiver.requests)


def test_a_template_of_ones_own_is_used(tmp_path: Path) -> None:
    own = tmp_path / "title.j2"
    own.write_text("{{ severity | upper }}: {{ symbol }} {% if firing %}rises{% else %}calms{% endif %}\n")
    template = Template("slack_title", "slack", path=own)
    assert template.fill(view(sample_alert(), external_url="x")) == "CRITICAL: BRMFD rises"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fine\n{{ compnay }}", ":2: UndefinedError: 'compnay' is undefined"),
        ("fine\n\n{% if %}", ":3: "),
        ("{{ what.__class__.__mro__ }}", ":1: SecurityError"),
        ("{% for message in messages %}\n{{ message.title }}{% endfor %}", ":2: UndefinedError"),
        ("{{ messages.append(1) }}", ":1: SecurityError"),
        ("{% include '/etc/passwd' %}", ":1: TemplateNotFound"),
        ("\n{{ transition / 0 }}", ":2: ZeroDivisionError"),
    ],
)
def test_a_wrong_template_is_told_at_the_start_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    own = tmp_path / "own.j2"
    own.write_text(text)
    settings = DeliverySettings.model_validate(
        {"receivers": {"desk": {"type": "slack", "url": "https://hooks.example/x", "text_template": own}}}
    )
    with pytest.raises(ConfigError) as caught:
        make_channel(settings, "desk")
    assert f"{own}{words}" in str(caught.value)
    assert "delivery.receivers.desk.text_template" in str(caught.value)


def test_a_template_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.j2: cannot be read"):
        Template("slack_title", "slack", path=tmp_path / "missing.j2")
    (tmp_path / "binary.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.j2: cannot be read"):
        Template("slack_title", "slack", path=tmp_path / "binary.j2")


@given(st.text(max_size=60))
def test_no_text_from_outside_makes_a_tag_or_control_character(text: str) -> None:
    shown = view(sample_alert(annotations={"name": text}), external_url="https://x")
    html = Template("email_html", "html").fill(shown)
    assert html.count("<") == Template("email_html", "html").fill(view(sample_alert(), external_url="https://x")).count(
        "<"
    )
    slack = Template("slack_title", "slack").fill(shown)
    assert "<" not in slack
    assert ">" not in slack


@given(st.text(alphabet="ab.:/@#www \u202e\n", max_size=40))
def test_what_is_harmless_holds_no_address_and_no_mention(text: str) -> None:
    shown = harmless(text)
    assert "://" not in shown
    assert "\n" not in shown
    for sign in "@#":
        assert not any(shown[place + 1 : place + 2].isalnum() for place, c in enumerate(shown) if c == sign)
