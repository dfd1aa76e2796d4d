"""What the classifier reads of a message: the title before the text. Live, in a reference, and in a label alike."""

from __future__ import annotations

from streams.records import Mention


def with_title(title: str | None, text: str) -> str:
    """Return the title before the text, or the text alone where it begins with the title anyway."""
    return text if title is None or text.startswith(title) else f"{title}. {text}"


def whole_text(mention: Mention) -> str:
    """Return what the classifier read of a mention."""
    return with_title(mention.title, mention.text)
