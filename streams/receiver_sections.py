"""One receiver of alerts in the configuration: `delivery.receivers.NAME`, by its `type`.

A secret stands in the file itself, masked wherever settings are shown, or better in a file of its own that the key with
`_file` names, as Kubernetes mounts them.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from streams.section import Section

PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"

AllowPrivate = bool | tuple[IPv4Network | IPv6Network, ...]


class _Receiver(Section):
    allow_private: AllowPrivate = False
    """Let it lie on a loopback or private address: `true`, or a list of networks such as 10.20.0.0/16. Every address
    that its name leads to is checked when it is called, so that no name can lead into the own network by surprise.
    Link-local addresses and a cloud's metadata services are called only if a network of the list holds them."""
    timeout_s: float = Field(10.0, gt=0, le=60)
    """Longest wait for an answer."""
    ca_file: Path | None = None
    """PEM file of the authorities that sign its certificate. Unset: the system's."""

    def _pair(self, name: str, *, required: bool) -> None:
        """Refuse a secret that is given twice, or not at all where it is needed."""
        given = [key for key in (name, f"{name}_file") if getattr(self, key) is not None]
        if len(given) == 2:
            msg = f"give {name} or {name}_file, not both"
            raise ValueError(msg)
        if required and not given:
            msg = f"needs {name} or {name}_file"
            raise ValueError(msg)


def _require_http(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
        msg = "must begin with http:// or https://"
        raise ValueError(msg)
    return value


class _Chat(_Receiver):
    url: SecretStr | None = None
    """Address of the incoming webhook. It is a secret: who knows it can post."""
    url_file: Path | None = None
    """File with the address."""
    title_template: Path | None = None
    """Jinja template of the title. Unset: the one that is shipped."""
    text_template: Path | None = None
    """Jinja template of the text. Unset: the one that is shipped."""

    _http = field_validator("url")(_require_http)

    @model_validator(mode="after")
    def _has_an_address(self) -> Any:
        self._pair("url", required=True)
        return self


class SlackReceiver(_Chat):
    """A channel in Slack, by an incoming webhook."""

    type: Literal["slack"]


class TeamsReceiver(_Chat):
    """A channel in Microsoft Teams, by a webhook of Workflows."""

    type: Literal["teams"]


class WebhookReceiver(_Receiver):
    """Anything that reads Alertmanager's webhook, version 4; signed, if a key is given."""

    type: Literal["webhook"]
    url: SecretStr | None = None
    """Where to post."""
    url_file: Path | None = None
    """File with the address."""
    token: SecretStr | None = None
    """Sent as `Authorization: Bearer`."""
    token_file: Path | None = None
    """File with the token."""
    signing_key: SecretStr | None = None
    """Key of the HMAC-SHA256 signature in `X-Squall-Signature`."""
    signing_key_file: Path | None = None
    """File with the key."""

    _http = field_validator("url")(_require_http)

    @model_validator(mode="after")
    def _has_an_address(self) -> WebhookReceiver:
        self._pair("url", required=True)
        self._pair("token", required=False)
        self._pair("signing_key", required=False)
        return self


class AlertmanagerReceiver(_Receiver):
    """Prometheus Alertmanager, one or a cluster; firing alerts are sent again and again, as Prometheus does."""

    type: Literal["alertmanager"]
    allow_private: AllowPrivate = True
    """As with every receiver, but allowed by default: an Alertmanager stands in the same cluster as a rule."""
    urls: tuple[str, ...] = Field(min_length=1)
    """Addresses of all members of the cluster, such as http://alertmanager-0:9093. Each is sent everything: they do not
    tell each other of alerts."""
    token: SecretStr | None = None
    """Sent as `Authorization: Bearer`."""
    token_file: Path | None = None
    """File with the token."""
    username: str | None = None
    """For a login by name and password, instead of a token."""
    password: SecretStr | None = None
    """Its password."""
    password_file: Path | None = None
    """File with the password."""
    resend_every_s: float = Field(60.0, ge=1, le=3_600)
    """Time between two copies of a firing alert. If four in a row are missing, Alertmanager takes it as over."""
    severity_label: bool = False
    """Send the severity as a label, so that Alertmanager can route by it. When it rises, that is another alert for
    Alertmanager: the one of the lower severity is ended in the same request. Without it, it is an annotation."""

    @field_validator("urls")
    @classmethod
    def _are_http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not url.startswith(("http://", "https://")):
                msg = "each of urls must begin with http:// or https://"
                raise ValueError(msg)
            if "@" in url:
                msg = "urls hold no name or password: give username and password_file"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _logs_in_one_way(self) -> AlertmanagerReceiver:
        self._pair("token", required=False)
        self._pair("password", required=self.username is not None)
        if self.username is None and (self.password is not None or self.password_file is not None):
            msg = "a password needs a username"
            raise ValueError(msg)
        if self.username is not None and (self.token is not None or self.token_file is not None):
            msg = "give a token or a username, not both"
            raise ValueError(msg)
        return self


class PagerDutyReceiver(_Receiver):
    """A service in PagerDuty, by Events API v2."""

    type: Literal["pagerduty"]
    routing_key: SecretStr | None = None
    """Integration key of the service."""
    routing_key_file: Path | None = None
    """File with the integration key."""
    url: str = PAGERDUTY
    """Address of the Events API; in the EU https://events.eu.pagerduty.com/v2/enqueue."""
    summary_template: Path | None = None
    """Jinja template of the summary. Unset: the one that is shipped."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https"):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _has_a_key(self) -> PagerDutyReceiver:
        self._pair("routing_key", required=True)
        return self


class EmailReceiver(_Receiver):
    """People, by e-mail."""

    type: Literal["email"]
    host: str = Field(min_length=1)
    """The mail server."""
    port: int | None = Field(None, ge=1, le=65_535)
    """Its port. Unset: 587, with `tls` 465, with `none` 25."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`starttls`: an encrypted connection or none. `tls`: encrypted from the start. `none`: in the clear, without a
    login."""
    username: str | None = None
    """For a login."""
    password: SecretStr | None = None
    """Its password."""
    password_file: Path | None = None
    """File with the password."""
    sender: str = Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")
    """Address that alerts come from."""
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    """Addresses that alerts go to."""
    subject_template: Path | None = None
    """Jinja template of the subject. Unset: the one that is shipped."""
    text_template: Path | None = None
    """Jinja template of the plain text. Unset: the one that is shipped."""
    html_template: Path | None = None
    """Jinja template of the HTML. Unset: the one that is shipped."""

    @field_validator("to")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            local, _, domain = address.rpartition("@")
            if not local or not domain or any(c.isspace() or c in "<>,;" for c in address):
                msg = f"{address!r} is no e-mail address"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _logs_in_safely(self) -> EmailReceiver:
        self._pair("password", required=self.username is not None)
        if self.username is None and (self.password is not None or self.password_file is not None):
            msg = "a password needs a username"
            raise ValueError(msg)
        if self.username is not None and self.security == "none":
            msg = "a password is not sent in the clear: set security to starttls or tls"
            raise ValueError(msg)
        return self


ReceiverSettings = Annotated[
    AlertmanagerReceiver | WebhookReceiver | SlackReceiver | TeamsReceiver | PagerDutyReceiver | EmailReceiver,
    Field(discriminator="type"),
]

RECEIVER_TYPES: dict[str, type[_Receiver]] = {
    "alertmanager": AlertmanagerReceiver,
    "webhook": WebhookReceiver,
    "slack": SlackReceiver,
    "teams": TeamsReceiver,
    "pagerduty": PagerDutyReceiver,
    "email": EmailReceiver,
}
