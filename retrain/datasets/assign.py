"""Which side a row is on: training or holdout. Pure.

A side that a text was once given is kept for ever: the holdout is frozen, and what a model was trained on never judges
a later one. New texts follow their near-duplicates; a group of new ones goes to a side by a hash of its texts.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from retrain.datasets.rows import Row
from retrain.split import Fingerprint, group_texts, normalise_text

Side = Literal["train", "holdout"]
Place = Literal["train", "holdout", "later", "left_out"]
"""Where a row ends up. `later`: it became known after the cut, and judges what was trained before. `left_out`: a
near-duplicate of a frozen holdout text, which may neither be trained on nor change the holdout; or a later
one of a text that was known before the cut."""

NO_FINGERPRINTS: Mapping[str, Fingerprint] = {}


@dataclass(frozen=True, slots=True)
class Assigned:
    """Sides of rows.

    Attributes:
        places: of each row.
        groups: number of each row's text group.
        given: sides that were given anew, by `text_key`.
    """

    places: tuple[Place, ...]
    groups: tuple[int, ...]
    given: Mapping[str, Side]


def text_key(text: str) -> str:
    """Return what a text goes by in the ledger: a hash, so that the ledger holds no text."""
    return hashlib.sha256(normalise_text(text).encode()).hexdigest()[:24]


def trust_key(row: Row) -> str:
    """Return what a labelled text goes by among the trusted ones: another label of the same text is another key."""
    return f"{text_key(row.text)}:{row.task}:{row.label}"


def assign(
    rows: Sequence[Row],
    sides: Mapping[str, Side],
    *,
    holdout_share: float,
    seed: int,
    train_until: datetime | None = None,
    frozen: Mapping[str, Fingerprint] = NO_FINGERPRINTS,
) -> Assigned:
    """Put rows on sides.

    Args:
        rows: in any order, which changes no side.
        sides: those that were given before, by `text_key`.
        holdout_share: share of the new text groups that go to the holdout, 0 to 1.
        seed: of the hash.
        train_until: what became known later is `later`: for looking at how a model of that day fares afterwards; or
            `left_out` where something like it was known before. It moves nothing of what was known before.
        frozen: fingerprints of holdout texts, by `text_key`: what resembles one of them is not trained on, also where
            none of the rows has the text itself.
    """
    late = [train_until is not None and row.learned_at is not None and row.learned_at > train_until for row in rows]
    if not any(late):
        return _of_known(rows, sides, frozen, holdout_share, seed)
    # First as if the later ones were not there: they move nothing, not even by what they resemble.
    known = [row for row, is_late in zip(rows, late, strict=True) if not is_late]
    found = _of_known(known, sides, frozen, holdout_share, seed)
    groups, keys = _groups(rows, frozen)
    taken = {group for group, is_late in zip(groups, late, strict=True) if not is_late}
    taken |= {group for group, key in zip(groups[len(rows) :], keys[len(rows) :], strict=True) if key in frozen}
    early = iter(found.places)
    places: list[Place] = []
    for group, key, is_late in zip(groups, keys, late, strict=False):
        if not is_late:
            places.append(next(early))
        elif sides.get(key) == "holdout":
            places.append("holdout")
        else:
            places.append("left_out" if group in taken else "later")
    return Assigned(tuple(places), tuple(groups[: len(rows)]), found.given)


def _groups(rows: Sequence[Row], frozen: Mapping[str, Fingerprint]) -> tuple[list[int], list[str]]:
    """Return group and key of each row, and then of each frozen text that no row has."""
    keys = [text_key(row.text) for row in rows]
    missing = sorted(frozen.keys() - set(keys))
    groups = group_texts([row.text for row in rows], [frozen[key] for key in missing]).tolist()
    return groups, [*keys, *missing]


def _of_known(
    rows: Sequence[Row],
    sides: Mapping[str, Side],
    frozen: Mapping[str, Fingerprint],
    holdout_share: float,
    seed: int,
) -> Assigned:
    groups, keys = _groups(rows, frozen)
    members: dict[int, set[str]] = defaultdict(set)
    for group, key in zip(groups, keys, strict=True):
        members[group].add(key)
    sides = {**dict.fromkeys(keys[len(rows) :], "holdout"), **sides}
    group_side = {group: _side(found, sides, holdout_share, seed) for group, found in members.items()}
    places: list[Place] = []
    given: dict[str, Side] = {}
    for group, key in zip(groups[: len(rows)], keys, strict=False):
        side, known = group_side[group], sides.get(key)
        was_frozen = any(sides.get(member) == "holdout" for member in members[group])
        if side == "holdout" and was_frozen and known != "holdout":
            places.append("left_out")
        else:
            places.append(side)
            if known is None:
                given[key] = side
    return Assigned(tuple(places), tuple(groups[: len(rows)]), given)


def _side(keys: set[str], sides: Mapping[str, Side], holdout_share: float, seed: int) -> Side:
    known = {sides[key] for key in keys if key in sides}
    if known:
        return "holdout" if "holdout" in known else "train"
    first = hashlib.sha256(f"{seed}:{min(keys)}".encode()).digest()
    return "holdout" if int.from_bytes(first[:8], "big") / 2**64 < holdout_share else "train"
