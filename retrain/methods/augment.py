"""Augmentation: texts changed in ways that leave their labels as they are, seeded, others in each epoch.

- typos: in one word of six or so a letter is doubled, left out, or exchanged with its neighbour (words of four letters
  and more; links, handles, cashtags and numbers stay);
- case: all in lower case, or all in capitals;
- links: links and handles are dropped;
- entities: each company is exchanged for another (`retrain.methods.swap`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from retrain.methods.swap import default_swapper
from retrain.settings_parts import AugmentSettings

_LINK_OR_HANDLE = re.compile(r"(?:https?://|www\.)\S+|(?<!\w)@\w+", re.IGNORECASE)
_WORD = re.compile(r"(?:https?://|www\.)\S+|[@$#]\w+|\w+", re.IGNORECASE)
_MIN_LETTERS = 4
_TYPO_SHARE = 0.15

Change = Callable[[str, random.Random], str]


def typos(text: str, dice: random.Random) -> str:
    """Return the text with slips of the pen; a text that has a word to slip in gets one at least."""
    words = [match.span() for match in _WORD.finditer(text) if _may_slip(match[0])]
    if not words:
        return text
    chosen = [span for span in words if dice.random() < _TYPO_SHARE] or [dice.choice(words)]
    for start, end in reversed(chosen):
        text = text[:start] + _slip(text[start:end], dice) + text[end:]
    return text


def case(text: str, dice: random.Random) -> str:
    """Return the text all in lower case or all in capitals, whichever it is not."""
    forms = [form for form in (text.lower(), text.upper()) if form != text]
    return dice.choice(forms) if forms else text


def links(text: str, dice: random.Random) -> str:
    """Return the text without links and handles; as it is, if nothing else would be left."""
    bare = " ".join(_LINK_OR_HANDLE.sub(" ", text).split())
    return bare if bare and _LINK_OR_HANDLE.search(text) else text


def entities(text: str, dice: random.Random) -> str:
    """Return the text about other companies."""
    return default_swapper()(text, dice)


CHANGES: dict[str, Change] = {"typos": typos, "case": case, "links": links, "entities": entities}
"""By the names that `AugmentSettings.kinds` takes."""


def augment(text: str, kinds: Sequence[str], dice: random.Random) -> str:
    """Return the text changed in one way, drawn from those that change it; as it is, if none does."""
    for kind in dice.sample(list(kinds), len(kinds)):
        found = CHANGES[kind](text, dice)
        if found != text:
            return found
    return text


def augmented_rows(texts: Sequence[str], settings: AugmentSettings, *, seed: int, epoch: int) -> dict[int, str]:
    """Return the changed texts of an epoch by the position of their row.

    What becomes of a row depends on seed, epoch, position and text alone, so that a run that was broken off goes on as
    it would have.
    """
    changed: dict[int, str] = {}
    for index, text in enumerate(texts):
        dice = random.Random(f"{seed}:{epoch}:{index}")  # noqa: S311 - reproducible, not secret
        if dice.random() < settings.share:
            found = augment(text, settings.kinds, dice)
            if found != text:
                changed[index] = found
    return changed


def _may_slip(word: str) -> bool:
    return len(word) >= _MIN_LETTERS and word.isascii() and word.isalpha()


def _slip(word: str, dice: random.Random) -> str:
    """Return the word with one slip behind its first letter, which readers and writers seldom miss."""
    at = dice.randrange(1, len(word) - 1)
    return dice.choice(
        (
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
