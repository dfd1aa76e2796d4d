"""How much a message is about a company, 0 to 1.

Three places give evidence, each on its own: the publisher's list of symbols, the title, and the text.

- A mention in the text weighs by its kind: a cashtag or a symbol with its exchange 0.7, a bare code 0.6, a name or a
  bare symbol 0.5; the further back it stands the less, down to 60 % of that at 600 characters.
- A mention in the title weighs 0.85, whatever its kind. A symbol that the publisher sent weighs 0.6.
- Mentions in one place add up as independent evidence, 1 - (1 - w1)(1 - w2)..., five of them at most.
- A place that names many companies says little about each: with n companies its evidence is multiplied by
  min(1, 3 / n). A list of fifteen cashtags leaves 0.14 to each, a comparison of two or three loses nothing.
- The places add up as independent evidence, too.

So a title or a cashtag beats a passing word, and a passing word beats a place in a list of tags.
"""

from __future__ import annotations

from typing import Literal

LinkKind = Literal["cashtag", "qualified", "code", "symbol", "name", "publisher"]

WEIGHTS: dict[LinkKind, float] = {
    "cashtag": 0.7,
    "qualified": 0.7,
    "code": 0.6,
    "name": 0.5,
    "symbol": 0.5,
}
"""Weight of a mention at the beginning of the text."""
TITLE_WEIGHT = 0.85
PUBLISHER_WEIGHT = 0.6
_FADE_CHARACTERS = 600
_FADE_SHARE = 0.4
_MAX_MENTIONS = 5
_CROWD = 3


def mention_weight(kind: LinkKind, start: int) -> float:
    """Weight of a mention in the text that begins at character `start`."""
    return WEIGHTS[kind] * (1.0 - _FADE_SHARE * min(start, _FADE_CHARACTERS) / _FADE_CHARACTERS)


def place_evidence(weights: list[float], companies: int) -> float:
    """Evidence of one place, 0 to 1, from its mentions of a company and the number of companies it names."""
    missing = 1.0
    for weight in weights[:_MAX_MENTIONS]:
        missing *= 1.0 - weight
    return (1.0 - missing) * min(1.0, _CROWD / companies if companies else 0.0)


def combine(publisher: float, title: float, text: float) -> float:
    """Relevance from the evidence of the three places, to four digits."""
    return round(1.0 - (1.0 - publisher) * (1.0 - title) * (1.0 - text), 4)
