"""Whether a model's answers stay when a text is changed in ways that leave its meaning: slips of the pen, case, links,
another company.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.methods.augment import CHANGES

SWAP = "entities"
"""The change that exchanges companies."""

Labels = Callable[[Sequence[str]], NDArray[np.int64]]
"""From texts to the likeliest sentiment of each [texts]."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Texts before and after a change.

    Attributes:
        name: of the change.
        before: texts that it changes.
        after: the same texts, changed.
    """

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def changed_texts(texts: Sequence[str], *, seed: int = 0, most: int = 500) -> list[Changed]:
    """Return what each change makes of the texts; those that it leaves as they are tell nothing and are left out.

    Args:
        texts: any.
        seed: of the changes: both models get the same.
        most: texts for each change, spread evenly.
    """
    found = []
    for name, change in CHANGES.items():
        pairs = []
        for index, text in enumerate(texts):
            dice = random.Random(f"{seed}:{name}:{index}")  # noqa: S311 - reproducible, not secret
            after = change(text, dice)
            if after != text:
                pairs.append((text, after))
        step = max(1, -(-len(pairs) // most))
        kept = pairs[::step]
        found.append(Changed(name, tuple(one for one, _ in kept), tuple(other for _, other in kept)))
    return found


def consistency(labels: Labels, changed: Changed) -> float | None:
    """Return the share of answers that stay, 0 to 1; None where no text was changed."""
    if not changed.before:
        return None
    return float(np.mean(labels(changed.before) == labels(changed.after)))
