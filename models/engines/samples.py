"""Texts that quantisation takes the usual ranges of numbers from: generated, or a file of the user's.

Half of the generated ones are invented news, and half are words at random from the tokenizer's own vocabulary: news
alone, invented from a few hundred words, left the ranges of all others to chance. On held-out tweets the 8 bits cost
0.0004 of the accuracy of sentiment and 0.0005 of topic, by float32's own probabilities; with news alone 0.0006 and
0.0016.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from models.batching import plan_batches
from models.engines.base import TokenBatch
from models.errors import ModelFilesError
from models.tokens import TextTokenizer

GENERATED = "generated-2"
"""Digest of the texts that are generated where no file is named; to be raised when they become others."""

_TEXTS = 640
"""Of each kind."""
_WORDS = (4, 40)
"""Fewest and most words of a text of random ones."""
_SEED = 11
_SPECIAL = re.compile(r"\[.*\]|<.*>")
_MARKS = re.compile(r"^(?:##|[\u0120\u2581])")
"""What tokenizers write before a piece to say that a word goes on, or begins."""
_BATCHES = 80
_BATCH_TOKENS = 512


def calibration_digest(file: Path | None) -> str:
    """Return what tells these texts from others.

    Raises:
        ModelFilesError: the file cannot be read.
    """
    return GENERATED if file is None else hashlib.sha256(_content(file)).hexdigest()


def calibration_texts(file: Path | None, tokenizer_file: Path) -> list[str]:
    """Return the texts: the lines of the file that are not empty, or else generated ones.

    Raises:
        ModelFilesError: the file cannot be read, is no UTF-8 text, or has no lines.
    """
    if file is None:
        from models.benchmark import generate_texts

        return generate_texts(_TEXTS, seed=_SEED) + random_texts(vocabulary(tokenizer_file), _TEXTS)
    try:
        lines = _content(file).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ModelFilesError(f"{file}: calibration texts must be UTF-8, one a line ({error})") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise ModelFilesError(f"{file}: holds no texts; calibration needs some hundreds, one a line")
    return texts


def vocabulary(tokenizer_file: Path) -> list[str]:
    """Return the words and parts of words that a tokenizer knows, without its special tokens and punctuation."""
    pieces = Tokenizer.from_file(str(tokenizer_file)).get_vocab(with_added_tokens=True)
    plain = (_MARKS.sub("", piece) for piece in pieces if not _SPECIAL.fullmatch(piece))
    return sorted({piece for piece in plain if piece.isalnum()})


def random_texts(words: Sequence[str], count: int) -> list[str]:
    """Return texts of words at random, the same for the same words."""
    pick = random.Random(_SEED)  # noqa: S311 - a sample, nothing secret
    return [" ".join(pick.choices(words, k=pick.randint(*_WORDS))) for _ in range(count)] if words else []


def calibration_batches(texts: Sequence[str], tokenizer: TextTokenizer) -> list[TokenBatch]:
    """Return batches of like length from all over the texts, the same for the same texts."""
    rows = [text.ids for text in tokenizer(texts)]
    plan = plan_batches([len(row) for row in rows], _BATCH_TOKENS)
    random.Random(_SEED).shuffle(plan)  # noqa: S311 - a sample, nothing secret
    return [TokenBatch(tuple(rows[at] for at in batch.indices), batch.padded_length) for batch in plan[:_BATCHES]]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelFilesError(f"{file}: calibration texts cannot be read ({error.strerror})") from None
