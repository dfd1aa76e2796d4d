"""The one way in which a text is prepared for the network, in training and in scoring alike.

It is part of the model: a change here changes scores, so its version stands in the manifest of every model
folder and a model made with another version is refused.
"""

from __future__ import annotations

import html
import re

PREPARATION_VERSION = 1
"""Version of the rules in `prepare`; to be raised with every change that alters a text."""

LINK_WORD = "http"
"""What stands for a link: a short link costs about 15 tokens and says nothing; that there is one says a little."""

LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
SPACE = re.compile(r"\s+")


def prepare(text: str) -> str:
    """Return the text as the tokenizer shall see it: entities resolved, links shortened, white space collapsed.

    Any string is accepted, lone surrogates included (each becomes a question mark, for tokenizers take valid
    Unicode only). `models.spans.align` leads back to the original characters.
    """
    return SPACE.sub(" ", LINK.sub(LINK_WORD, html.unescape(valid_unicode(text)))).strip()


def valid_unicode(text: str) -> str:
    """Return the text with a question mark for each lone surrogate; its length stays the same."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
