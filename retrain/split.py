"""A development split on which no text has a near-duplicate in training, and none occurs twice.

Texts are normalised (links, handles and case removed) and grouped: equal normalised texts, and texts whose
word pairs overlap by at least `SIMILARITY` in cosine, end up in one group through any chain of such links. A
group goes to one side as a whole, whatever file or task its texts come from.

Within development a text that is equal to another once normalised counts once. Near-duplicates that differ all count,
as a stream has them; what comes of one per group is told apart (`Split.dev_firsts`), as it weighs rare wordings more.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, vstack  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import HashingVectorizer

from retrain.data import Example

SIMILARITY = 0.6
"""Cosine over sets of word pairs from which two texts count as near-duplicates: one changed word in ten leaves 0.8."""

SLOTS = 2**22
"""Slots that word pairs are hashed into."""

Fingerprint = tuple[int, ...]
"""The slots of a text's word pairs, ascending."""

_CHUNK_ROWS = 1000
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_HANDLE = re.compile(r"@\w+")
_NOT_WORD = re.compile(r"[^\w$%.]+")


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of the examples on each side.

    Attributes:
        train: for training.
        dev: for development; equal texts stand there once per task.
        dev_firsts: of those, the first of each group and task.
        dev_duplicates: how many were left out of development as equal to another.
        groups: text groups on both sides together.
    """

    train: tuple[int, ...]
    dev: tuple[int, ...]
    dev_firsts: tuple[int, ...]
    dev_duplicates: int
    groups: int


def normalise_text(text: str) -> str:
    """Return the text without links, handles, case, entities and punctuation: what makes two posts the same."""
    bare = _HANDLE.sub(" ", _LINK.sub(" ", html.unescape(text))).casefold()
    return " ".join(_NOT_WORD.sub(" ", bare).split())


def group_texts(texts: Sequence[str], others: Sequence[Fingerprint] = ()) -> NDArray[np.int64]:
    """Return a group number for each text and then for each fingerprint [texts + others]; near-duplicates share one.

    Args:
        texts: any.
        others: of texts that are not at hand, and belong together with those that resemble them all the same.
    """
    normalised = [normalise_text(text) for text in texts]
    unique = {text: index for index, text in enumerate(dict.fromkeys(normalised))}
    vectors = _vectors(list(unique))
    if others:
        vectors = vstack([vectors, _vectors_of(others)], format="csr")
    count = vectors.shape[0]
    firsts, seconds = _near_pairs(vectors)
    links = coo_matrix((np.ones(len(firsts), dtype=np.int8), (firsts, seconds)), shape=(count, count))
    _, component = connected_components(links, directed=False)
    of_texts = [component[unique[text]] for text in normalised]
    return np.asarray([*of_texts, *component[len(unique) :]], dtype=np.int64)


def fingerprints(texts: Sequence[str]) -> list[Fingerprint]:
    """Return what each text is compared by, without the text: its word pairs, hashed; empty of fewer than two words."""
    vectors = _vectors([normalise_text(text) for text in texts])
    return [tuple(sorted(vectors.indices[start:end].tolist())) for start, end in pairwise(vectors.indptr.tolist())]


def _word_pairs(text: str) -> list[str]:
    return [f"{first} {second}" for first, second in pairwise(text.split())]


def _vectors(texts: list[str]) -> csr_matrix:
    """Return the set of word pairs of each normalised text, of length one [texts, slots]."""
    vectorizer = HashingVectorizer(n_features=SLOTS, analyzer=_word_pairs, binary=True, alternate_sign=False, norm="l2")
    return csr_matrix(vectorizer.transform(texts)) if texts else csr_matrix((0, SLOTS))


def _vectors_of(known: Sequence[Fingerprint]) -> csr_matrix:
    """Return the same vectors of texts that only the fingerprints are known of [known, slots]."""
    lengths = np.asarray([len(slots) for slots in known], dtype=np.int64)
    values = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths)
    columns = np.asarray([slot for slots in known for slot in slots], dtype=np.int64)
    return csr_matrix((values, columns, np.concatenate([[0], np.cumsum(lengths)])), shape=(len(known), SLOTS))


def _near_pairs(vectors: csr_matrix) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of near-duplicates as two arrays of positions."""
    transposed = vectors.T.tocsr()
    firsts: list[NDArray[np.int64]] = []
    seconds: list[NDArray[np.int64]] = []
    for start in range(0, vectors.shape[0], _CHUNK_ROWS):
        near = (vectors[start : start + _CHUNK_ROWS] @ transposed).tocoo()
        keep = near.data >= SIMILARITY
        firsts.append(near.row[keep].astype(np.int64) + start)
        seconds.append(near.col[keep].astype(np.int64))
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate(firsts or [empty]), np.concatenate(seconds or [empty])


def split_examples(examples: Sequence[Example], dev_share: float, seed: int) -> Split:
    """Split the examples by text group.

    A group's side follows from a hash of the seed and its alphabetically first normalised text, so that the
    side of a text does not depend on the order of files or rows.
    """
    groups = group_texts([example.text for example in examples]).tolist()
    texts = [normalise_text(example.text) for example in examples]
    key: dict[int, str] = {}
    for group, text in zip(groups, texts, strict=True):
        key[group] = min(key.get(group, text), text)
    in_dev = {group: unit_hash(f"{seed}:{text}") < dev_share for group, text in key.items()}
    train: list[int] = []
    dev: list[int] = []
    firsts: list[int] = []
    seen_groups: set[tuple[int, str]] = set()
    seen_texts: set[tuple[str, str]] = set()
    duplicates = 0
    for index, (group, text, example) in enumerate(zip(groups, texts, examples, strict=True)):
        if not in_dev[group]:
            train.append(index)
            continue
        if (text, example.task) in seen_texts:
            duplicates += 1
            continue
        seen_texts.add((text, example.task))
        dev.append(index)
        if (group, example.task) not in seen_groups:
            seen_groups.add((group, example.task))
            firsts.append(index)
    return Split(tuple(train), tuple(dev), tuple(firsts), duplicates, len(key))


def unit_hash(text: str) -> float:
    """Return a number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
