"""How fast messages are taken in on one core: each step alone, and all together.

Messages are generated: invented companies, headlines, posts with links, entities and cashtags, one in 20 Chinese, one
in 50 with a phone number.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from streams.ingest.decode import Decoder
from streams.ingest.language import LanguageDetector
from streams.ingest.normalise import normalise
from streams.ingest.redact import Redactor
from streams.records import Message, encode

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)

_COMPANIES = ("Acme Widgets", "Borealis Foods", "Cobalt Bank", "Delphi Motors", "Evergreen Airlines", "Fjord Shipping")
_EVENTS = (
    "falls {n}.{m}% after the company cuts its outlook for the year",
    "beats estimates, shares up {n}% in early trading",
    "denies report of a liquidity shortfall of ${n}.{m} billion",
    "names a new finance chief, effective 2026-0{d}-1{m}",
    "recalls {n},{n}{m}0 units over a faulty part &amp; warns on margins",
)
_POSTS = (
    "RT @desk{n}: {c} {e} https://t.co/{n}a{m}",
    "$SYM{m} {c} {e} https://news.example/{n}/{m}?utm=1",
    "{c} &#8220;{e}&#8221; <b>more</b> at www.news.example/{n}",
    "{c} {e}",
)
_CHINESE = "云海钢铁（６０００{m}）公告：业绩下滑{n}％，公司回应称“影响有限”。https://t.co/{n}"
_PHONE = "{c} {e}, call 212-736-50{n} or mail desk{m}@news.example"


def generated_texts(count: int, *, seed: int = 7) -> list[str]:
    """Invented messages of about 90 characters, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311  # no secret depends on it
    texts = []
    for _ in range(count):
        n, m, d = chance.randint(10, 99), chance.randint(1, 9), chance.randint(1, 9)
        company, event = chance.choice(_COMPANIES), chance.choice(_EVENTS).format(n=n, m=m, d=d)
        kind = chance.random()
        template = _CHINESE if kind < 0.05 else _PHONE if kind < 0.07 else chance.choice(_POSTS)
        texts.append(template.format(c=company, e=event, n=n, m=m))
    return texts


def run(count: int = 20_000) -> list[tuple[str, float, str]]:
    """Measure; gives (name, value, unit) per step. One core, best of three."""
    texts = generated_texts(count)
    values = [
        encode(Message(id=str(i), source="bench", published_at=START + timedelta(seconds=i), text=text))
        for i, text in enumerate(texts)
    ]
    received_at = START + timedelta(days=1)
    decoder, redactor, detector = Decoder(), Redactor(), LanguageDetector()
    plain = [normalise(text).text for text in texts]

    def whole(value: bytes) -> tuple[str, str]:
        message = decoder.decode(value, received_at=received_at).message
        text = redactor.redact(normalise(message.text).text)
        return text, detector.detect(text, declared=message.lang)

    steps: Sequence[tuple[str, Callable[..., object], Iterable[object]]] = (
        ("ingest: decode", lambda value: decoder.decode(value, received_at=received_at), values),
        ("ingest: normalise", normalise, texts),
        ("ingest: redact", redactor.redact, plain),
        ("ingest: language", detector.detect, plain),
        ("ingest: all four", whole, values),
    )
    return [(name, round(_rate(step, inputs, count)), "msg/s") for name, step, inputs in steps]


def _rate(step: Callable[..., object], inputs: Iterable[object], count: int) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        for item in inputs:
            step(item)
        best = min(best, time.perf_counter() - started)
    return count / best
