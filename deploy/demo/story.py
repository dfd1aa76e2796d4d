"""The story that the demonstration tells: weeks of ordinary messages, then days with planted incidents.

The same seed gives the same messages, byte by byte. To look at them:

    python -m deploy.demo.story --out messages.jsonl --companies companies.csv
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from deploy.demo.companies import COMPANIES, Company, company, write_table
from deploy.demo.incidents import PLANS, Incident, plant
from deploy.demo.messages import Draft, Writer, midnight, quiet_day
from deploy.demo.phrases import CHINESE
from streams.records import Message, encode

HISTORY_START = midnight(2026, 3, 2)
HISTORY_DAYS = 15
DEMO_DAYS = 3
SEED = 7


def demo_history(seed: int = SEED, days: int = HISTORY_DAYS) -> Iterator[Message]:
    """Yield the ordinary weeks before the demonstration, in time order.

    Args:
        seed: of all randomness.
        days: how many days, from `HISTORY_START` on.
    """
    writers = _writers(seed, "history")
    for number in range(days):
        day = HISTORY_START + timedelta(days=number)
        drafts = [draft for writer in writers.values() for draft in quiet_day(writer, day)]
        yield from _numbered(drafts, f"h{seed}-{number:03d}")


def demo_days(
    seed: int = SEED, days: int = DEMO_DAYS, *, history_days: int = HISTORY_DAYS
) -> tuple[Iterator[Message], list[Incident]]:
    """Return the days of the demonstration, in time order, and what is planted in them.

    Args:
        seed: of all randomness.
        days: how many days; with fewer than three the incidents move closer together.
        history_days: length of the history before them.

    Raises:
        ValueError: `days` is not at least 1.
    """
    if days < 1:
        msg = f"a demonstration takes at least 1 day, not {days}"
        raise ValueError(msg)
    start = HISTORY_START + timedelta(days=history_days)
    writers = _writers(seed, "incidents")
    planted: list[list[Draft]] = [[] for _ in range(days)]
    incidents = []
    for plan in PLANS:
        number = plan.day % days
        incident, drafts = plant(plan, writers[plan.entity], start + timedelta(days=number))
        incidents.append(incident)
        planted[number] += drafts
    return _demo_messages(seed, start, planted), sorted(incidents, key=lambda incident: incident.start)


def _demo_messages(seed: int, start: datetime, planted: Sequence[Sequence[Draft]]) -> Iterator[Message]:
    writers = _writers(seed, "days")
    for number, extra in enumerate(planted):
        day = start + timedelta(days=number)
        drafts = [draft for writer in writers.values() for draft in quiet_day(writer, day)]
        drafts += [*extra, *(_chinese_posts(writers["LNQOP"], day) if number == 0 else ())]
        yield from _numbered(drafts, f"d{seed}-{number:03d}")


def malformed() -> tuple[tuple[str, bytes], ...]:
    """Return records that no publisher should send, each with the reason for which Squall refuses it."""
    good = {"id": "x", "source": "chirp", "published_at": "2026-03-17T08:00:00Z", "text": "$BRMFD closed unchanged"}
    json = msgspec.json.encode
    return (
        ("not_json", b'{"id": "bad-1", "source": "chirp", "text": "cut off in the mid'),
        ("not_utf8", b'{"id": "bad-2", "source": "chirp", "text": "caf\xe9 prices fall"}'),
        ("wrong_type", json({**good, "id": "bad-3", "published_at": "yesterday at noon"})),
        ("wrong_type", json({**good, "id": 4})),
        ("wrong_type", b'["a list", "is no message"]'),
        ("empty_text", json({**good, "id": "bad-6", "text": " \n\t "})),
        ("too_old", json({**good, "id": "bad-7", "published_at": "1970-01-01T00:00:00Z"})),
        ("in_the_future", json({**good, "id": "bad-8", "published_at": "2999-12-31T00:00:00Z"})),
        ("newer_schema", json({**good, "id": "bad-9", "schema": 99})),
        ("bad_id", json({**good, "id": ""})),
    )


def _writers(seed: int, purpose: str) -> dict[str, Writer]:
    return {known.symbol: Writer(known, _dice(seed, purpose, known)) for known in COMPANIES}


def _dice(seed: int, purpose: str, known: Company) -> random.Random:
    # Seeded by text: the same numbers in every process, and one company's messages do not depend on another's.
    return random.Random(f"{seed}/{purpose}/{known.symbol}")  # noqa: S311 - a demonstration holds no secrets


def _chinese_posts(writer: Writer, day: datetime) -> Iterable[Draft]:
    for texts in CHINESE.values():
        for text in texts:
            at = day + timedelta(hours=1, minutes=writer.dice.randrange(14 * 60))
            name = writer.company.aliases[0]
            yield Draft(at=at, source="streetboard", author=writer.handle(), text=text.format(name=name), lang="zh")


def _numbered(drafts: Iterable[Draft], prefix: str) -> Iterator[Message]:
    ordered = sorted(drafts, key=lambda draft: (draft.at, draft.source, draft.text))
    for number, draft in enumerate(ordered):
        yield draft.message(f"{prefix}-{number:05d}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the whole story to a file, and tell what is planted in it."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.story", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="messages as JSON lines, in time order")
    parser.add_argument("--companies", type=Path, help="also write the entity table (CSV)")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--history-days", type=int, default=HISTORY_DAYS)
    parser.add_argument("--days", type=int, default=DEMO_DAYS)
    options = parser.parse_args(arguments)
    messages, incidents = demo_days(options.seed, options.days, history_days=options.history_days)
    count = 0
    with options.out.open("wb") as file:
        for source in (demo_history(options.seed, options.history_days), messages):
            for message in source:
                file.write(encode(message) + b"\n")
                count += 1
    if options.companies:
        write_table(options.companies)
    lines = [f"{count:,} messages in {options.out}"]
    for incident in incidents:
        fires = "must fire" if incident.should_fire else "must not fire"
        where = f"{company(incident.entity).name} ({incident.entity})"
        lines.append(f"{incident.start:%Y-%m-%d %H:%M} to {incident.end:%H:%M} UTC, {where}: {incident.about}; {fires}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
