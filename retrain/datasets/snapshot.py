"""A data set: rows and the recipe that made them, in a folder that is named by its content.

    rows.parquet     every row with its place: train, holdout, later, left_out
    recipe.json      what it was made from: inputs with their hashes, seed, shares, cuts

The same rows and recipe are the same folder, so a model that names its data set can be made again. A folder that was
altered does not open.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
from pyarrow import parquet

from models.errors import TrainingDataError
from retrain.data import Task
from retrain.datasets.assign import Assigned, Place, assign, text_key
from retrain.datasets.ledger import Ledger
from retrain.datasets.rows import LABELS, Row
from retrain.split import Fingerprint, fingerprints
from streams.errors import InputError
from streams.records.codec import UtcTime

ROWS, RECIPE = "rows.parquet", "recipe.json"
FORMAT = 1
_DIGITS = 12


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What a data set was made from, and how.

    Attributes:
        inputs: one entry per training file (name, task, rows, sha256) and one of the labels (rows, sha256).
        holdout_share: share of new text groups that went to the holdout.
        seed: of the sides, and of which old rows were kept.
        most_old: of the training files' rows on the training side at most this many were kept for each head.
        repeat_labels: how often each row that people's judgements gave is shown to the model in an epoch.
        train_until: what became known later is no training row.
    """

    inputs: tuple[dict[str, Any], ...]
    holdout_share: float = 0.1
    seed: int = 20
    most_old: int | None = None
    repeat_labels: int = 1
    train_until: UtcTime | None = None
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Placed:
    """A row and where it is."""

    row: Row
    place: Place
    group: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A data set on disk.

    Attributes:
        folder: where it lies; its name is its version.
        recipe: what it was made from.
        rows: all of them.
    """

    folder: Path
    recipe: Recipe
    rows: tuple[Placed, ...]

    @property
    def version(self) -> str:
        """Hash of rows and recipe, 12 hexadecimal digits."""
        return self.folder.name

    def of(self, place: Place, task: Task | None = None) -> list[Row]:
        """Return the rows of a place, in their order; of one head or of both."""
        return [one.row for one in self.rows if one.place == place and task in (None, one.row.task)]

    def counts(self) -> dict[tuple[Task, Place], int]:
        """Return how many rows there are by head and place."""
        return Counter((one.row.task, one.place) for one in self.rows)


def build(root: Path, rows: Sequence[Row], recipe: Recipe) -> Snapshot:
    """Make a data set; if it is there already it is opened.

    Args:
        root: folder of data sets and of the ledger of sides.
        rows: from `retrain.datasets.rows`.
        recipe: how.

    Raises:
        TrainingDataError: there are no rows, or none is left for training or in the holdout of a head.
        InputError: the folder cannot be read or written; no side was given then.
    """
    if not rows:
        raise TrainingDataError("there are no rows to make a data set of: name training files, or import labels")
    ledger = Ledger(root)
    with ledger.locked():
        ordered = sorted(rows, key=_order)
        found = assign(
            ordered,
            ledger.read(),
            holdout_share=recipe.holdout_share,
            seed=recipe.seed,
            train_until=recipe.train_until,
            frozen=ledger.frozen(),
        )
        placed = _thinned(ordered, found, recipe)
        _check(placed)
        snapshot = _write(root, placed, recipe)
        # In this order: a side without its fingerprint would be lost where a later run has the text no more.
        ledger.freeze(_fingerprints(snapshot.of("holdout")))
        ledger.add(found.given)
    return snapshot


def open_snapshot(folder: Path) -> Snapshot:
    """Open a data set.

    Raises:
        InputError: the folder is no data set, or was altered.
    """
    try:
        recipe = msgspec.json.decode((folder / RECIPE).read_bytes(), type=Recipe)
        table = parquet.read_table(folder / ROWS).to_pylist()
    except (OSError, msgspec.DecodeError, pyarrow.ArrowInvalid) as error:
        raise InputError(f"{folder}: no data set ({error})") from None
    placed = []
    for entry in table:
        place, group = entry.pop("place"), entry.pop("group")
        placed.append(Placed(msgspec.convert(entry, Row), place, group))
    version = _version(placed, recipe)
    if folder.name != version:
        raise InputError(f"{folder}: its content is that of {version}: it was altered or renamed")
    return Snapshot(folder, recipe, tuple(placed))


def write_training_files(snapshot: Snapshot, folder: Path) -> dict[Task, list[Path]]:
    """Write the training side as files that training reads, one per head and origin; a holdout row is in none.

    Args:
        snapshot: the data set.
        folder: an empty folder, for texts: its owner's alone.
    """
    written: dict[Task, list[Path]] = {"sentiment": [], "topic": []}
    by_file: dict[tuple[Task, str], list[Row]] = defaultdict(list)
    for row in snapshot.of("train"):
        by_file[(row.task, row.origin)].append(row)
    for (task, origin), rows in sorted(by_file.items()):
        path = folder / f"{task}-{origin.removesuffix('.csv')}.csv"
        with path.open("x", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            times = snapshot.recipe.repeat_labels if origin == LABELS else 1
            writer.writerows((row.text, row.label) for row in rows for _ in range(times))
        written[task].append(path)
    return written


def _fingerprints(rows: Sequence[Row]) -> dict[str, Fingerprint]:
    texts = {text_key(row.text): row.text for row in rows}
    return dict(zip(texts, fingerprints(list(texts.values())), strict=True))


def _order(row: Row) -> tuple[Any, ...]:
    return (row.task, row.origin, row.message_id, row.text, row.label)


def _thinned(rows: Sequence[Row], found: Assigned, recipe: Recipe) -> list[Placed]:
    """Leave old rows out where there are more than the recipe wants: by a hash of the text, so that the same stay."""
    placed = [Placed(*one) for one in zip(rows, found.places, found.groups, strict=True)]
    if recipe.most_old is None:
        return placed
    old: dict[Task, list[int]] = defaultdict(list)
    for index, one in enumerate(placed):
        if one.place == "train" and one.row.origin != LABELS:
            old[one.row.task].append(index)
    for indices in old.values():
        ranked = sorted(indices, key=lambda index: _rank(placed[index].row.text, recipe.seed))
        for index in ranked[recipe.most_old :]:
            placed[index] = Placed(placed[index].row, "left_out", placed[index].group)
    return placed


def _rank(text: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{text}".encode()).hexdigest()


def _check(placed: Sequence[Placed]) -> None:
    counts = Counter((one.row.task, one.place) for one in placed)
    for task in sorted({one.row.task for one in placed}):
        for place in ("train", "holdout"):
            if not counts[(task, place)]:
                msg = f"no {task} row is left on the {place} side: give more rows, or another holdout share"
                raise TrainingDataError(msg)


def _version(placed: Sequence[Placed], recipe: Recipe) -> str:
    digest = hashlib.sha256(msgspec.json.encode(recipe, order="deterministic"))
    for one in placed:
        digest.update(b"\n" + msgspec.json.encode((one.row, one.place, one.group), order="deterministic"))
    return digest.hexdigest()[:_DIGITS]


def _write(root: Path, placed: Sequence[Placed], recipe: Recipe) -> Snapshot:
    folder = root / _version(placed, recipe)
    if folder.is_dir():
        return open_snapshot(folder)
    table = [{**_plain(one.row), "place": one.place, "group": one.group} for one in placed]
    try:
        with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as scratch:
            beside = Path(scratch) / "set"
            beside.mkdir(mode=0o700)
            parquet.write_table(pyarrow.Table.from_pylist(table, schema=_SCHEMA), beside / ROWS)
            encoded = msgspec.json.encode(recipe, order="deterministic")
            (beside / RECIPE).write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
            shutil.move(beside, folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error
    return Snapshot(folder, recipe, tuple(placed))


def _plain(row: Row) -> Mapping[str, str | datetime | None]:
    return msgspec.structs.asdict(row)


_SCHEMA = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in Row.__struct_fields__ if name != "learned_at"),
        ("learned_at", pyarrow.timestamp("us", tz="UTC")),
        ("place", pyarrow.string()),
        ("group", pyarrow.int64()),
    ]
)
