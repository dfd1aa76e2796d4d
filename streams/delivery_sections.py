"""The section `delivery`: who gets which alerts, and how."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator

from streams.matchers import Matcher, parse_matcher
from streams.receiver_sections import RECEIVER_TYPES, ReceiverSettings, WebhookReceiver, _require_http
from streams.section import Section

TERMINAL = "terminal"
SHORTHAND = "webhook"
"""Name of the receiver that `webhook_url` stands for."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class RouteSettings(Section):
    """Which alerts go to which receivers."""

    matchers: tuple[str, ...] = ()
    """Conditions on labels that all have to hold, as Alertmanager writes them: `entity="ACME"`, `severity!="info"`,
    `sector=~"Financials|Real Estate"`. Without any, every alert is meant."""
    receivers: tuple[str, ...] = Field(min_length=1)
    """Names of receivers."""
    continue_: bool = Field(False, alias="continue")
    """Look at the routes after this one too."""

    @field_validator("matchers")
    @classmethod
    def _can_be_read(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            parse_matcher(text)
        return value

    @property
    def conditions(self) -> tuple[Matcher, ...]:
        """The matchers, read."""
        return tuple(parse_matcher(text) for text in self.matchers)


class DeliverySettings(Section):
    """How alerts reach people."""

    terminal: bool = True
    """Print each alert that fires or resolves."""
    receivers: dict[str, ReceiverSettings] = Field({})
    """Receivers by name, each with a `type` (alertmanager, webhook, slack, teams, pagerduty, email) and that type's
    keys; see deploy/docs/DELIVERY.md."""
    routes: tuple[RouteSettings, ...] = ()
    """Which alerts go to which receivers: the first route that matches counts, and with `continue` those after it too.
    Without routes every receiver gets every alert."""
    default_receivers: tuple[str, ...] | None = None
    """Who gets the alerts that no route matches. To be given where there are routes; `[]` is nobody."""
    retry_for_s: float = Field(6 * 3600.0, ge=1, le=7 * 86_400)
    """An alert that a receiver does not take is tried until it is this old; then it is kept as undelivered. A night's
    outage of a receiver ends within it; after that the news is old, and the alerts behind it matter more."""
    look_back_s: float = Field(7 * 86_400.0, ge=0, le=90 * 86_400)
    """A worker that starts reads this much of the alerts topic again, to know which alerts a receiver was told of and
    which of them still fire."""
    webhook_url: SecretStr | None = None
    """Short for one receiver, named `webhook`, of type webhook; private addresses are allowed. Masked, as it often
    holds a key."""
    webhook_token: SecretStr | None = None
    """Sent to `webhook_url` as `Authorization: Bearer`."""
    webhook_timeout_s: float = Field(10.0, gt=0, le=60)
    """Longest wait for an answer of `webhook_url`."""
    external_url: str = "http://127.0.0.1:6066"
    """Address of this Squall that receivers are told. Unset: the loopback address at worker.port; name it where
    receivers run elsewhere, or where worker.port is 0."""

    _http = field_validator("webhook_url")(_require_http)

    @field_validator("receivers")
    @classmethod
    def _have_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _NAME.fullmatch(name) or name == TERMINAL:
                msg = (
                    f"a receiver cannot be named {name!r}: use small letters, digits, '.', '_' and '-', not 'terminal'"
                )
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _every_receiver_is_reached(self) -> DeliverySettings:
        if self.webhook_url is not None and SHORTHAND in self.receivers:
            msg = f"webhook_url stands for a receiver named {SHORTHAND!r}, and receivers has one too: keep one of them"
            raise ValueError(msg)
        names = list(self.all_receivers)
        reached = {name for route in self.routes for name in route.receivers} | set(self.default_receivers or ())
        for name in sorted(reached - set(names)):
            known = nearest_of(name, names) or f"; there are {', '.join(names) or 'none'}"
            msg = f"no receiver is named {name!r}{known}"
            raise ValueError(msg)
        if self.routes and self.default_receivers is None:
            msg = "default_receivers is missing: say who gets an alert that no route matches ([] is nobody)"
            raise ValueError(msg)
        if (self.routes or self.default_receivers is not None) and (left := [n for n in names if n not in reached]):
            msg = f"receiver {left[0]!r} would get nothing: no route names it, nor does default_receivers"
            raise ValueError(msg)
        return self

    @property
    def all_receivers(self) -> dict[str, Any]:
        """Receivers by name, with the one that `webhook_url` stands for; see `streams.receiver_sections`."""
        if self.webhook_url is None:
            return dict(self.receivers)
        short = WebhookReceiver(
            type="webhook",
            url=self.webhook_url,
            token=self.webhook_token,
            timeout_s=self.webhook_timeout_s,
            # It was there before private addresses were refused, and is meant for a first try on the own machine.
            allow_private=True,
        )
        return {SHORTHAND: short, **self.receivers}


def nearest_of(word: str, known: Sequence[str]) -> str:
    """Return a hint that names the known word nearest to an unknown one, or an empty text."""
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def explain_place(location: Sequence[str | int], kind: str, words: str) -> tuple[str, str]:
    """Return the place of a wrong value below `delivery`, and what is wrong with it in words.

    Args:
        location: where pydantic found it.
        kind: pydantic's name of the error.
        words: pydantic's words.
    """
    path = [str(part) for part in location]
    fields: list[str] = []
    if path[1:2] == ["receivers"]:
        if len(path) > 3 and path[3] in RECEIVER_TYPES:
            fields = list(RECEIVER_TYPES[path.pop(3)].model_fields)
        if kind.startswith("union_tag"):
            words = f"type is one of {', '.join(RECEIVER_TYPES)}"
    elif path[1:2] == ["routes"]:
        fields = [field.alias or name for name, field in RouteSettings.model_fields.items()]
    if kind == "extra_forbidden" and fields:
        words = f"unknown key{nearest_of(path[-1], fields)}"
    return ".".join(path), words
