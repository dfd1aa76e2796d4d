"""What a template sees of an alert: plain words and numbers, with all text from outside made harmless. Pure.

Names, texts and authors come from messages that anybody can write. They are cut to one line without control characters,
and nothing in them can become a link or a mention: an invisible word joiner stands where a reader's program would begin
to take them for one. What the receiver's own markup means is escaped by the templates (`streams.deliver.templates`).
"""

from __future__ import annotations

import re
from typing import Any

from streams.deliver.chinese import alert_line_chinese
from streams.deliver.measures import measured
from streams.deliver.text import (
    STATE_WORDS,
    alert_line,
    company,
    margin,
    message_words,
    provenance,
    quality_warnings,
    since,
    topics_named,
    what_happened,
)
from streams.deliver.words import clean, percent, plural
from streams.records import Alert, Severity

_JOINER = "\u2060"
_MOST_MESSAGES = 5
_SIGNS: dict[Severity, str] = {"info": "\U0001f535", "warning": "\U0001f7e0", "critical": "\U0001f534"}
_SIGN_OF_END = "\U0001f7e2"
_LINKS = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})|:(?=//)|(?<=[^\W\d_]):(?=\S)|(?<=/)/", re.UNICODE)
_MENTIONS = re.compile(r"([@＠#])(?=\w)")


def harmless(text: str, *, most: int | None = None) -> str:
    """Return text from outside on one line, in which nothing is a link or a mention.

    Args:
        text: anything.
        most: longest result in characters, the joiners not counted.
    """
    shown = clean(text, most=most)
    return _MENTIONS.sub(rf"\1{_JOINER}", _LINKS.sub(lambda match: match[0] + _JOINER, shown))


def view(alert: Alert, *, external_url: str, test: bool = False) -> dict[str, Any]:
    """Return the names that a template may use, with their values; deploy/docs/DELIVERY.md explains each.

    Args:
        alert: firing or resolved.
        external_url: where this Squall is reached.
        test: it is no real alert.
    """
    evidence, observed = alert.evidence, alert.evidence.observed
    firing = alert.state == "firing"
    said = what_happened(alert)
    return {
        "id": alert.id,
        "transition": alert.transition,
        "state": alert.state,
        "firing": firing,
        "test": test,
        "severity": alert.severity,
        "sign": _SIGNS[alert.severity] if firing else _SIGN_OF_END,
        "word": STATE_WORDS[alert.state],
        "rule": harmless(alert.rule),
        "company": harmless(company(alert)),
        "symbol": harmless(alert.labels.get("entity", "")),
        "labels": {clean(key): harmless(value) for key, value in sorted(alert.labels.items())},
        "annotations": {clean(key): harmless(value) for key, value in sorted(alert.annotations.items())},
        "line": harmless(alert_line(alert)),
        "line_zh": harmless(alert_line_chinese(alert)),
        "what": said[:1].upper() + said[1:],
        "since": since(alert),
        "unusual": harmless(evidence.in_words) if firing else "",
        "share": percent(observed.share),
        "usual": percent(evidence.baseline.share),
        "measured": measured(evidence),
        "behind": f"{plural(observed.stories, 'story', 'stories')} in {plural(observed.messages, 'message')} from "
        f"{plural(observed.sources, 'source')} and {plural(observed.authors, 'author')}",
        "topics": harmless(topics_named(alert)),
        "margin": margin(alert),
        "warnings": quality_warnings(evidence) if firing else [],
        "messages": [
            {
                "text": harmless(message_words(message)),
                "from": harmless(provenance(message, alert)),
                "weight": percent(message.contribution) if message.contribution > 0 else "",
            }
            for message in (evidence.messages[:_MOST_MESSAGES] if firing else ())
        ],
        "replay": clean(alert.replay),
        "url": external_url,
        "versions": {clean(key): clean(value) for key, value in sorted(alert.versions.items())},
    }
