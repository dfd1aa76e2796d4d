"""How fast the entity linker is on one core, on generated messages and on a user's own file."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import random
import time
from pathlib import Path

from streams.errors import InputError
from streams.ingest.entities import Linker, sp500

WORDS_PER_MESSAGE = 30
_FILLER = (
    "after the bell investors weighed a softer outlook against steady demand while traders said volumes stayed thin "
    "as yields rose again and some funds cut exposure before results this week even though margins held up better "
    "than many had feared in spring so guidance for next year now looks within reach if costs keep falling"
).split()


def generated_messages(count: int, *, seed: int = 7) -> list[str]:
    """Invented messages of 30 words, each with one to three companies of the shipped table as cashtag or name."""
    draw = random.Random(seed)  # noqa: S311 - no secret, and the same messages in every run
    entities = sp500().entities
    messages = []
    for _ in range(count):
        words = draw.choices(_FILLER, k=WORDS_PER_MESSAGE)
        for entity in draw.sample(entities, k=draw.choice((1, 1, 1, 2, 3))):
            words[draw.randrange(WORDS_PER_MESSAGE)] = draw.choice((f"${entity.symbol}", entity.name))
        messages.append(" ".join(words))
    return messages


def file_messages(path: Path, *, limit: int) -> list[str]:
    """The first `limit` texts of a CSV file (or .csv.gz) with a column `text`.

    Raises:
        InputError: the column is missing.
    """
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if "text" not in (reader.fieldnames or ()):
        msg = f"{path}:1: column 'text' is missing"
        raise InputError(msg)
    return [row["text"] for row in itertools.islice(reader, limit)]


def messages_per_s(linker: Linker, texts: list[str], *, repeats: int = 3) -> float:
    """Messages linked per second of this process's own CPU time: the best of several runs."""
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        for text in texts:
            linker.link(text)
        best = min(best, time.process_time() - began)
    return len(texts) / best if best else float("inf")


def run(path: Path | None = None, *, count: int = 20_000) -> list[tuple[str, float, str]]:
    """Measure; gives (what, value, unit) per figure. `path` adds a file with a column `text`."""
    linker = Linker(sp500())
    figures = [("entities, generated messages", messages_per_s(linker, generated_messages(count)), "messages/s/core")]
    if path is not None:
        texts = file_messages(path, limit=count)
        figures.append((f"entities, {path.name}", messages_per_s(linker, texts), "messages/s/core"))
    return figures
