"""An alert's evidence in words, for the template. Pure; escaping is the template's."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from msgspec import UNSET

from models.labels import TOPIC_NAMES
from streams.deliver.measures import against_threshold, measured
from streams.deliver.text import company, kept_back, quality_warnings, what_happened
from streams.deliver.words import clean, moment, percent, plural, span, whole_percents
from streams.records import Alert, AlertState, Evidence, EvidenceMessage
from streams.replay.report.lives import Life

_STATES: dict[AlertState, str] = {
    "pending": "worth a look",
    "firing": "fired",
    "recovering": "calming down",
    "resolved": "over",
    "suppressed": "kept back",
    "inactive": "came to nothing",
}
_NAME_CHARS = 120
_TEXT_CHARS = 600
_URL_CHARS = 2_000
_LEAST_TOPIC_SHARE = 0.01
_SAFE_IN_ID = re.compile(r"[^A-Za-z0-9.-]")
_UNSAFE_IN_URL = re.compile(r"[\s\x00-\x20\x7f-\x9f\\]")


@dataclass(frozen=True, slots=True)
class Scale:
    """Observed against usual on a line from 0 to 100 %; the numbers are per cent."""

    usual: float
    usual_low: float
    usual_high: float
    share: float
    low: float
    high: float
    tested: float | None
    """What the share is tested against; None without a margin."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """One story, shown by its first message."""

    title: str
    text: str
    source: str
    author: str
    time: str
    negative: str
    weight: str
    copies: str
    topic: str
    url: str | None
    host: str


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert with all its evidence."""

    element: str
    company_element: str
    company: str
    severity: str
    rule: str
    fired: bool
    begin_ms: int
    begin: str
    lasted: str
    headline: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    scale: Scale
    messages: tuple[MessageView, ...]
    more_stories: str
    warnings: tuple[str, ...]
    life: tuple[str, ...]
    replay: str
    id: str


def element_id(kind: str, name: str) -> str:
    """Return a fragment for a company or an alert, one for each name: what an id cannot hold is written in hex."""
    return f"{kind}-" + _SAFE_IN_ID.sub(lambda found: f"_{ord(found[0]):x}_", name)


def safe_url(url: str | None) -> tuple[str | None, str]:
    """Return a link and its host if it is http or https and nothing but a link; (None, "") otherwise."""
    if not url or len(url) > _URL_CHARS or _UNSAFE_IN_URL.search(url):
        return None, ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None, ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None, ""
    return url, clean(host, most=_NAME_CHARS)


def alert_view(life: Life) -> AlertView:
    """Put an alert into words."""
    alert = life.shown
    evidence = alert.evidence
    observed, usual = evidence.observed, evidence.baseline
    messages, more = _messages(evidence)
    return AlertView(
        element=element_id("alert", life.id),
        company_element=element_id("company", life.entity),
        company=company(alert),
        severity=life.severity,
        rule=alert.rule,
        fired=life.fired is not None,
        begin_ms=int(life.begin.timestamp() * 1000),
        begin=moment(life.begin),
        lasted="not over when the range ended" if life.ended is None else f"lasted {span(life.ended - life.begin)}",
        headline=_sentence(what_happened(alert)),
        summary=clean(alert.annotations.get("summary", "")),
        facts=tuple(_facts(alert)),
        scale=Scale(
            usual=_per_cent(usual.share),
            usual_low=_per_cent(usual.low),
            usual_high=_per_cent(usual.high),
            share=_per_cent(observed.share),
            low=_per_cent(observed.low),
            high=_per_cent(observed.high),
            tested=_per_cent(min(1.0, usual.share + usual.margin)) if evidence.e_value is not None else None,
        ),
        messages=messages,
        more_stories=more,
        warnings=tuple(quality_warnings(evidence)),
        life=tuple(_step(step) for step in life.transitions),
        replay=clean(alert.replay),
        id=life.id,
    )


def _per_cent(share: float) -> float:
    return round(100 * share, 1)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _facts(alert: Alert) -> list[tuple[str, str]]:
    evidence = alert.evidence
    observed, usual = evidence.observed, evidence.baseline
    facts = [("How unusual", _sentence(clean(evidence.in_words)))] if evidence.in_words else []
    tested = (
        f"; the rule asks for more than {percent(usual.share + usual.margin)}" if evidence.e_value is not None else ""
    )
    if said := measured(evidence):
        facts.append(("Measured", _sentence(said)))
    if evidence.parts is not UNSET:
        facts.append(("Rules that held", clean(", ".join(evidence.parts))))
    facts += [
        ("Observed", f"{percent(observed.share)} negative (90 % interval {_interval(observed.low, observed.high)})"),
        (
            "Usual",
            f"{percent(usual.share)} (90 % interval {_interval(usual.low, usual.high)}, from {usual.votes:,.0f} votes "
            f"of its own){tested}",
        ),
        ("Evidence", _against_threshold(evidence)),
        ("Began", f"{moment(evidence.onset)} (estimate), told {span(alert.at - evidence.onset)} later"),
        ("Window", f"{moment(observed.window_start)} to {moment(observed.window_end)}"),
        (
            "Behind it",
            f"{plural(observed.stories, 'story', 'stories')} in {plural(observed.messages, 'message')} from "
            f"{plural(observed.sources, 'source')} and {plural(observed.authors, 'author')}",
        ),
    ]
    if without := _without_strongest(evidence):
        facts.append(("Without its strongest story", without))
    if topics := _topics(evidence):
        facts.append(("Topics", topics))
    versions = ", ".join(f"{name} {value}" for name, value in sorted(alert.versions.items()) if value)
    facts.append(("Rule and versions", clean(f"{alert.rule} {alert.rule_version}; {versions}")))
    return facts


def _interval(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def number(value: float) -> str:
    """Return a number for people: `1,234`, `0.35`, `2.4 million`, `3.1e+17`."""
    size = abs(value)
    if size >= 1e12 or (value and size < 1e-3):
        return f"{value:.2g}"
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if size >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def _against_threshold(evidence: Evidence) -> str:
    if said := against_threshold(evidence):
        return said
    if evidence.e_value is None:
        return f"a share of {percent(evidence.observed.share)} against a threshold of {percent(evidence.threshold)}"
    times = evidence.e_value / evidence.threshold if evidence.threshold else 0.0
    reached = f", {number(times)} times as much" if times >= 1.05 else ""
    return f"e-value {number(evidence.e_value)} against a threshold of {number(evidence.threshold)}{reached}"


def _without_strongest(evidence: Evidence) -> str:
    without = evidence.counterfactual
    if without is None:
        return ""
    verdict = "it would still have fired" if without.fires else "it would not have fired yet"
    return f"{verdict} (e-value {number(without.e_value)})"


def _topics(evidence: Evidence) -> str:
    ranked = sorted(evidence.topics.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(
        f"{clean(TOPIC_NAMES.get(topic, topic), most=_NAME_CHARS)} {percent(share)}"
        for topic, share in ranked
        if share >= _LEAST_TOPIC_SHARE
    )


def _messages(evidence: Evidence) -> tuple[tuple[MessageView, ...], str]:
    """Return the strongest stories, and a line for all others: the weights add up to 100 %."""
    shown = evidence.messages
    shares = [message.contribution for message in shown]
    weighed = any(shares)
    weights = whole_percents([*shares, 1.0 - math.fsum(shares)]) if weighed else [""] * (len(shown) + 1)
    others = max(0, evidence.observed.stories - len(shown))
    more = f"and {plural(others, 'more story', 'more stories')}" if others else ""
    if more and weighed:
        more += f", {weights[-1]} of the evidence"
    return tuple(_message(message, weight) for message, weight in zip(shown, weights, strict=False)), more


def _message(message: EvidenceMessage, weight: str) -> MessageView:
    url, host = safe_url(message.url)
    title, text = clean(message.title or "", most=_TEXT_CHARS), clean(message.text, most=_TEXT_CHARS)
    return MessageView(
        title="" if text.startswith(title) else title,
        text=text,
        source=clean(message.source, most=_NAME_CHARS),
        author=clean(message.author or "", most=_NAME_CHARS),
        time=moment(message.published_at),
        negative=percent(message.negative),
        weight=weight,
        copies=f"{message.copies:,} copies, counted once" if message.copies > 1 else "",
        topic=clean(TOPIC_NAMES.get(message.topic, message.topic), most=_NAME_CHARS),
        url=url,
        host=host,
    )


def _step(alert: Alert) -> str:
    evidence = alert.evidence
    severity = f" ({alert.severity})" if alert.state == "firing" else ""
    if said := measured(evidence):
        numbers = f": {said}"
    else:
        numbers = f": {percent(evidence.observed.share)} of {plural(evidence.observed.stories, 'story', 'stories')}"
    if evidence.e_value is not None:
        numbers += f", e-value {number(evidence.e_value)}"
    ended = alert.state in ("resolved", "inactive")
    kept = f"; {said}" if (said := kept_back(alert)) else ""
    state = "fires on" if alert.again is True else _STATES[alert.state]
    return f"{moment(alert.at)}: {state}{severity}" + ("" if ended else numbers) + kept
