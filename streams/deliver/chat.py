"""Slack and Microsoft Teams: one message for each transition, in the shape of the receiver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from yarl import URL

from streams.deliver.payload import idempotency_key
from streams.deliver.templates import Template
from streams.deliver.transport import HttpTransport
from streams.deliver.view import view
from streams.deliver.webhook import IDEMPOTENCY
from streams.deliver.words import clean
from streams.records import Alert

_SLACK_TITLE = 150
_SLACK_TEXT = 3_000
"""Slack refuses longer ones."""
_TEAMS_TEXT = 20_000
"""With the rest under the 28 kB that Teams takes."""

Shape = Callable[[Alert, str, str, str], dict[str, Any]]
"""(alert, title, text, address of this Squall) to the body of the request."""


def slack_message(alert: Alert, title: str, text: str, external_url: str) -> dict[str, Any]:
    """Return a message for Slack's incoming webhooks. Pure.

    Args:
        alert: what it is about.
        title: escaped for mrkdwn, one line.
        text: mrkdwn.
        external_url: where this Squall is reached.
    """
    footer = f"Alert {alert.id} \u00b7 {_escaped(clean(alert.replay))} \u00b7 <{_escaped(external_url)}|Squall>"
    return {
        "text": title,  # what notifications show, and clients without blocks
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _SLACK_TITLE), "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut(text, _SLACK_TEXT), "verbatim": True}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _cut(footer, _SLACK_TEXT), "verbatim": True}]},
        ],
    }


def teams_message(alert: Alert, title: str, text: str, external_url: str) -> dict[str, Any]:
    """Return a message with an Adaptive Card for a webhook of Teams' Workflows. Pure.

    Args:
        alert: what it is about.
        title: plain text.
        text: the Markdown of Adaptive Cards.
        external_url: where this Squall is reached.
    """
    color = "Good" if alert.state == "resolved" else {"critical": "Attention", "warning": "Warning"}.get(alert.severity)
    run = {"type": "TextRun", "text": title, "size": "Large", "weight": "Bolder", "color": color or "Default"}
    facts = [{"title": "Alert", "value": alert.id}, {"title": "Check it", "value": clean(alert.replay)}]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": title,
        "body": [
            {"type": "RichTextBlock", "inlines": [run]},  # which reads no Markdown
            {"type": "TextBlock", "text": _cut(text, _TEAMS_TEXT), "wrap": True},
            {"type": "FactSet", "facts": facts},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Squall", "url": external_url}],
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


class ChatChannel:
    """Posts one message for each transition.

    Args:
        url: the incoming webhook.
        transport: how.
        shape: what the receiver reads.
        title: template of the title.
        text: template of the text.
        external_url: address of this Squall.
    """

    def __init__(
        self, url: URL, transport: HttpTransport, *, shape: Shape, title: Template, text: Template, external_url: str
    ) -> None:
        self._url = url
        self._transport = transport
        self._shape = shape
        self._title = title
        self._text = text
        self._external_url = external_url

    @property
    def address(self) -> str:
        """Scheme, host and port."""
        return str(self._url.origin())

    async def send(self, alert: Alert) -> str:
        """Post once. Raises what `HttpTransport.post` does."""
        values = view(alert, external_url=self._external_url)
        title = " ".join(self._title.fill(values).split())
        message = self._shape(alert, title, self._text.fill(values), self._external_url)
        return await self._transport.post(
            self._url, msgspec.json.encode(message), {IDEMPOTENCY: idempotency_key(alert)}
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
