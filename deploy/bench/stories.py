"""Measure story detection: recall, false merges, speed, and a look at what was merged.

    python -m deploy.bench.stories --scenario OUT_OR_MENTIONS.jsonl ... --topic topic.csv --history tweets.csv.gz

- `--scenario`: mentions with their true `story`, per entity. Recall is the share of messages with an earlier copy
  within the horizon that join the story that copy is in; a false merge joins a story that is not its own.
- `--topic`: CSV with a `text` column. Truth is equality of text without links, handles, case and punctuation, so a
  genuine rewording counts as false: look at the sample (`--show`). As one entity and per cashtag. Then planted
  copies of its texts (prefix, link, one word changed for a word of another text) measure recall on real language.
- `--history`: CSV (.gz) with `text`, `timestamp`, `symbol`: no truth, shares of copies and a sample.
Speeds are per second of CPU time on one core, fingerprint included.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from streams.ingest.normalise import normalise
from streams.monitor.stories import StoryIndex

DAY_S = 86_400


class Item(msgspec.Struct, frozen=True):
    """A message about an entity, and the group of texts it truly belongs to ("" if not known)."""

    entity: str
    message_id: str
    at_s: float
    text: str
    truth: str = ""


class _ScenarioRow(msgspec.Struct):
    id: str
    entity: str
    story: str
    published_at: datetime
    text: str


@dataclass
class Result:
    """Counts of one run."""

    messages: int = 0
    copies: int = 0
    true_copies: int = 0
    recalled: int = 0
    false_merges: int = 0
    cpu_s: float = 0.0
    merged: list[tuple[str, str]] = field(default_factory=list)
    missed: list[tuple[str, str]] = field(default_factory=list)

    def line(self, name: str) -> str:
        """One line for people."""
        recall = f"{self.recalled / self.true_copies:.4f}" if self.true_copies else "-"
        share = self.false_merges / max(1, self.messages)
        return (
            f"{name}: {self.messages:,} messages, {self.copies:,} joined; recall {recall} "
            f"({self.recalled}/{self.true_copies}), false merges {share:.6f} ({self.false_merges}), "
            f"{self.messages / max(self.cpu_s, 1e-9):,.0f} messages/s"
        )


def measure(items: Iterable[Item], *, horizon_s: float = DAY_S, max_stories: int = 4096) -> Result:
    """Assign stories to items sorted by time and compare with their truth."""
    result = Result()
    indexes: dict[str, StoryIndex] = {}
    latest: dict[tuple[str, str], tuple[float, str, str]] = {}  # last copy of a truth: time, story, text
    first: dict[tuple[str, str], tuple[str, str]] = {}  # (entity, first message) to truth and text
    hour = -1.0
    for item in items:
        index = indexes.get(item.entity)
        if index is None:
            index = indexes[item.entity] = StoryIndex(horizon_s, max_stories)
        started = time.process_time()
        given = index.assign(item.text, message_id=item.message_id, at_s=item.at_s)
        if item.at_s // 3600 > hour:
            hour = item.at_s // 3600
            for other in indexes.values():
                other.expire(item.at_s - horizon_s)
        result.cpu_s += time.process_time() - started
        result.messages += 1
        result.copies += given.copy
        _judge(result, item, given.first_message_id, latest, first, horizon_s)
    return result


def _judge(
    result: Result,
    item: Item,
    opener: str,
    latest: dict[tuple[str, str], tuple[float, str, str]],
    first: dict[tuple[str, str], tuple[str, str]],
    horizon_s: float,
) -> None:
    first.setdefault((item.entity, item.message_id), (item.truth, item.text))
    key = (item.entity, item.truth)
    if item.truth:
        earlier = latest.get(key)
        if earlier is not None and item.at_s - earlier[0] <= horizon_s:
            result.true_copies += 1
            if earlier[1] == opener:
                result.recalled += 1
            else:
                result.missed.append((earlier[2], item.text))
        latest[key] = (item.at_s, opener, item.text)
    truth, text = first[item.entity, opener]
    if opener != item.message_id and (truth != item.truth or not item.truth):
        result.false_merges += bool(item.truth)
        if bare(text) != bare(item.text):
            result.merged.append((text, item.text))


def scenario(path: Path) -> Iterator[Item]:
    """Mentions of a written scenario, in order of time."""
    decode = msgspec.json.Decoder(_ScenarioRow).decode
    file = path / "mentions.jsonl" if path.is_dir() else path
    with file.open("rb") as lines:
        rows = [decode(line) for line in lines]
    rows.sort(key=lambda row: (row.published_at, row.id))
    for row in rows:
        yield Item(row.entity, row.id, row.published_at.timestamp(), row.text, row.story)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file, gzipped or not."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def bare(text: str) -> str:
    """A text without links, handles, case and punctuation: the independent truth of a copy."""
    return " ".join(re.findall(r"\w+", re.sub(r"https?:\S+|@\w+", " ", text).casefold()))


def topic(texts: list[str], *, per_cashtag: bool) -> Iterator[Item]:
    """The texts of a set without times, as one entity or once per cashtag."""
    for number, text in enumerate(texts):
        tags = sorted(set(re.findall(r"\$[A-Z]{1,5}\b", text))) if per_cashtag else ["all"]
        for tag in tags:
            yield Item(tag, str(number), 0.0, text, bare(text))


def planted(texts: list[str], seed: int) -> Iterator[Item]:
    """Every text of at least six words as a story of its own time, and a copy of it as a repost would change it."""
    rng = random.Random(seed)  # noqa: S311 - a measurement, not a secret
    words = [word for text in texts for word in text.split() if word.isalpha() and word.islower()]
    prefixes = ("", "RT @desk: ", "JUST IN: ", "UPDATE 2-", "Breaking: ", "What we read today: ", "As we said, ")
    usable = sorted({text for text in texts if len(bare(text).split()) >= 6})
    for number, text in enumerate(usable):
        at_s = number * 2.0 * DAY_S
        yield Item("all", f"{number}-original", at_s, text, str(number))
        parts = text.split()
        plain = [at for at, word in enumerate(parts) if word.isalpha() and word.islower()]
        if plain:
            parts[rng.choice(plain)] = rng.choice(words)
        copy = f"{rng.choice(prefixes)}{' '.join(parts)} https://example.test/{rng.getrandbits(30):x}"
        yield Item("all", f"{number}-copy", at_s + 60, normalise(copy).text, str(number))


def history(path: Path) -> Iterator[Item]:
    """Messages of a history, once per symbol, in order of time."""
    rows = [(datetime.fromisoformat(row["timestamp"]).timestamp(), row) for row in read_csv(path)]
    rows.sort(key=lambda pair: (pair[0], pair[1]["id"]))
    for at_s, row in rows:
        for symbol in row["symbol"].split("|"):
            yield Item(symbol, row["id"], at_s, normalise(row["text"]).text)


def _sample(pairs: list[tuple[str, str]], count: int, seed: int, title: str) -> list[str]:
    chosen = random.Random(seed).sample(pairs, min(count, len(pairs)))  # noqa: S311
    return [f"  {title}\n    {first}\n    {second}" for first, second in chosen]


def main(argv: list[str] | None = None) -> int:
    """Run the measurements that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", type=Path, nargs="+", default=[])
    parser.add_argument("--topic", type=Path)
    parser.add_argument("--history", type=Path)
    parser.add_argument("--show", type=int, default=0, help="how many merged and missed pairs to print per run")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    runs: list[tuple[str, Result]] = [(f"scenario {path}", measure(scenario(path))) for path in args.scenario]
    if args.topic:
        texts = [normalise(row["text"]).text for row in read_csv(args.topic)]
        unbounded = len(texts)
        runs.append(("topic, one entity", measure(topic(texts, per_cashtag=False), max_stories=unbounded)))
        runs.append(("topic, per cashtag", measure(topic(texts, per_cashtag=True), max_stories=unbounded)))
        runs.append(("topic, planted copies", measure(planted(texts, args.seed))))
    if args.history:
        runs.append(("history", measure(history(args.history))))
    for name, result in runs:
        lines = [result.line(name), *_sample(result.merged, args.show, args.seed, "merged")]
        lines += _sample(result.missed, args.show, args.seed, "missed")
        sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
