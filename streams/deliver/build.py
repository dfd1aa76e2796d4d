"""Receivers as the configuration names them: secrets read, addresses checked, templates tried. Only at the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.deliver.alertmanager import AlertmanagerChannel, basic_login
from streams.deliver.attempts import Channel
from streams.deliver.chat import ChatChannel, slack_message, teams_message
from streams.deliver.mail import MailChannel
from streams.deliver.pagerduty import PagerDutyChannel
from streams.deliver.secret_files import required_secret, secret
from streams.deliver.templates import Template
from streams.deliver.transport import Advice, HttpTransport, read_url, require_header_text
from streams.deliver.webhook import WebhookChannel
from streams.delivery_sections import SHORTHAND, DeliverySettings
from streams.receiver_sections import (
    AlertmanagerReceiver,
    EmailReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)

LANES: dict[str, int] = {"webhook": 8, "alertmanager": 4, "pagerduty": 4, "slack": 4, "teams": 4, "email": 2}
"""Attempts under way at once, by type: so many that a slow one delays few, so few that they press nobody."""


@dataclass(frozen=True, slots=True)
class _Names:
    """How the settings of a receiver are called in messages."""

    where: str
    address: str
    token: str


def make_channel(settings: DeliverySettings, name: str) -> Channel:
    """Return the way to one receiver.

    Args:
        settings: the section `delivery`.
        name: of a receiver in `settings.all_receivers`.

    Raises:
        ConfigError: a secret cannot be read, an address cannot be used, or a template is not valid.
    """
    receiver = settings.all_receivers[name]
    where = f"delivery.receivers.{name}"
    names = _Names(where, f"{where}.url", f"{where}.token")
    if name == SHORTHAND and settings.webhook_url is not None:
        names = _Names("delivery", "delivery.webhook_url", "delivery.webhook_token")
    if isinstance(receiver, WebhookReceiver):
        return _webhook(settings, receiver, name, names)
    if isinstance(receiver, AlertmanagerReceiver):
        return _alertmanager(settings, receiver, name, where)
    if isinstance(receiver, PagerDutyReceiver):
        return _pagerduty(settings, receiver, where)
    if isinstance(receiver, EmailReceiver):
        return _mail(settings, receiver, name, where)
    return _chat(settings, receiver, names)


def _transport(receiver: Any, advice: Advice, *secrets: str | None) -> HttpTransport:
    return HttpTransport(
        timeout_s=receiver.timeout_s,
        allow_private=receiver.allow_private,
        advice=advice,
        secrets=[one for one in secrets if one],
        ca_file=receiver.ca_file,
    )


def _webhook(settings: DeliverySettings, receiver: WebhookReceiver, name: str, names: _Names) -> WebhookChannel:
    url = read_url(required_secret(receiver, "url", names.where), names.address, receiver.allow_private)
    token = secret(receiver, "token", names.where)
    key = secret(receiver, "signing_key", names.where)
    advice = Advice(names.address, names.token, "Alertmanager's webhook version 4")
    return WebhookChannel(
        url,
        _transport(receiver, advice, token, key),
        receiver=name,
        external_url=settings.external_url,
        token=token,
        signing_key=key,
        where=names.token,
    )


def _alertmanager(
    settings: DeliverySettings, receiver: AlertmanagerReceiver, name: str, where: str
) -> AlertmanagerChannel:
    urls = [read_url(url, f"{where}.urls", receiver.allow_private) for url in receiver.urls]
    token = secret(receiver, "token", where)
    password = secret(receiver, "password", where)
    headers = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {require_header_text(token, f'{where}.token')}"
    if receiver.username is not None and password is not None:
        headers["Authorization"] = basic_login(receiver.username, password)
    advice = Advice(f"{where}.urls", f"{where}.token or .password", "Alertmanager's API v2")
    return AlertmanagerChannel(
        urls,
        _transport(receiver, advice, token, password, headers.get("Authorization", "").partition(" ")[2]),
        external_url=settings.external_url,
        receiver=name,
        headers=headers,
        resend_every_s=receiver.resend_every_s,
        severity_label=receiver.severity_label,
    )


def _pagerduty(settings: DeliverySettings, receiver: PagerDutyReceiver, where: str) -> PagerDutyChannel:
    key = required_secret(receiver, "routing_key", where)
    advice = Advice(f"{where}.url", f"{where}.routing_key", "PagerDuty's Events API v2, and knows the routing_key")
    return PagerDutyChannel(
        read_url(receiver.url, f"{where}.url", receiver.allow_private),
        _transport(receiver, advice, key),
        routing_key=key,
        summary=Template(
            "pagerduty_summary", "plain", path=receiver.summary_template, where=f"{where}.summary_template"
        ),
        external_url=settings.external_url,
    )


def _chat(settings: DeliverySettings, receiver: SlackReceiver | TeamsReceiver, names: _Names) -> ChatChannel:
    url = read_url(required_secret(receiver, "url", names.where), names.address, receiver.allow_private)
    slack = isinstance(receiver, SlackReceiver)
    reads = "Slack's incoming webhooks" if slack else "Adaptive Cards"
    kind, shape = ("slack", slack_message) if slack else ("teams", teams_message)
    title_key, text_key = f"{names.where}.title_template", f"{names.where}.text_template"
    return ChatChannel(
        url,
        _transport(receiver, Advice(names.address, names.address, reads)),
        shape=shape,
        title=Template(f"{kind}_title", "slack" if slack else "plain", path=receiver.title_template, where=title_key),
        text=Template(f"{kind}_text", "slack" if slack else "teams", path=receiver.text_template, where=text_key),
        external_url=settings.external_url,
    )


def _mail(settings: DeliverySettings, receiver: EmailReceiver, name: str, where: str) -> MailChannel:
    return MailChannel(
        receiver.host,
        receiver.port,
        receiver.security,
        receiver=name,
        sender=receiver.sender,
        to=receiver.to,
        subject=Template("email_subject", "plain", path=receiver.subject_template, where=f"{where}.subject_template"),
        text=Template("email_text", "plain", path=receiver.text_template, where=f"{where}.text_template"),
        html=Template("email_html", "html", path=receiver.html_template, where=f"{where}.html_template"),
        external_url=settings.external_url,
        username=receiver.username,
        password=secret(receiver, "password", where),
        timeout_s=receiver.timeout_s,
        allow_private=receiver.allow_private,
        ca_file=receiver.ca_file,
        where=where,
    )
