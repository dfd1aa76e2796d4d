"""What to label next: what the model is unsure of, and different things, one per story.

The candidates that the model is least sure of are clustered by their words, weighted by how unsure it is, and the one
nearest to each cluster's centre is asked for (Zhdanov 2019, "Diverse mini-batch active learning"). Uncertainty alone
would ask for the same hard sentence in a hundred wordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from retrain.split import group_texts, normalise_text

_POOL = 10
"""Candidates per text that is asked for: what Zhdanov found to be enough, larger pools dilute the uncertainty."""
_DIMENSIONS = 100
_STARTS = 4
"""Of which the best clustering counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A scored message that could be labelled.

    Attributes:
        message_id: as mentions have it.
        text: what the classifier read.
        probabilities: of the classes, in the order of the head.
        model: name and version of the model that scored it.
    """

    message_id: str
    text: str
    probabilities: tuple[float, ...]
    model: str
    entity: str | None = None
    source: str | None = None
    lang: str | None = None


def uncertainty(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one minus the margin between the two likeliest classes [rows]; 1 is a tie, 0 is certainty.

    Args:
        probabilities: [rows, classes], at least two classes.
    """
    ordered = np.sort(probabilities, axis=1)
    unsure: NDArray[np.float64] = 1.0 - (ordered[:, -1] - ordered[:, -2])
    return unsure


def choose(
    candidates: Sequence[Candidate],
    count: int,
    *,
    seed: int = 0,
    vectors: NDArray[np.float64] | None = None,
    stories: Sequence[int] | None = None,
) -> list[Candidate]:
    """Return at most `count` candidates, the most worthwhile first; of near-duplicates only one.

    Args:
        candidates: in any order; the answer does not depend on it.
        count: how many are wanted, at least 1.
        seed: of the clusters.
        stories: number of each candidate's story, where that is known [candidates]; found from the texts without it.
        vectors: what likeness is measured by [candidates, dimensions]; of the words of the texts without it.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    order = sorted(range(len(candidates)), key=lambda index: candidates[index].message_id)
    ordered = [candidates[index] for index in order]
    if not ordered:
        return []
    unsure = uncertainty(np.array([one.probabilities for one in ordered]))
    groups = group_texts([one.text for one in ordered]).tolist() if stories is None else [stories[i] for i in order]
    firsts = _one_per_story(groups, unsure)
    pool = sorted(firsts, key=lambda index: (-unsure[index], ordered[index].message_id))[: _POOL * count]
    if len(pool) > count:
        space = None if vectors is None else normalize(vectors[[order[index] for index in pool]])
        pool = _spread([ordered[index].text for index in pool], pool, unsure, count, seed, space)
    chosen = sorted(pool, key=lambda index: (-unsure[index], ordered[index].message_id))
    return [ordered[index] for index in chosen]


def _one_per_story(stories: Sequence[int], unsure: NDArray[np.float64]) -> list[int]:
    best: dict[int, int] = {}
    for index, group in enumerate(stories):
        if group not in best or unsure[index] > unsure[best[group]]:
            best[group] = index
    return list(best.values())


def _spread(
    texts: Sequence[str],
    pool: Sequence[int],
    unsure: NDArray[np.float64],
    count: int,
    seed: int,
    vectors: NDArray[np.float64] | None,
) -> list[int]:
    space = _word_vectors(texts, seed) if vectors is None else vectors
    weights = np.maximum(unsure[list(pool)], 1e-6)
    clusters = KMeans(n_clusters=count, n_init=_STARTS, random_state=seed).fit(space, sample_weight=weights)
    away = np.linalg.norm(space - clusters.cluster_centers_[clusters.labels_], axis=1)
    chosen: dict[int, int] = {}
    for place in np.lexsort((np.arange(len(pool)), away)):
        chosen.setdefault(int(clusters.labels_[place]), pool[place])
    return list(chosen.values())


def _words(text: str) -> list[str]:
    return normalise_text(text).split()


def _word_vectors(texts: Sequence[str], seed: int) -> NDArray[np.float64]:
    words = TfidfVectorizer(sublinear_tf=True, analyzer=_words).fit_transform(texts)
    reduces = min(words.shape) > _DIMENSIONS
    words = TruncatedSVD(_DIMENSIONS, random_state=seed).fit_transform(words) if reduces else words.toarray()
    found: NDArray[np.float64] = normalize(np.asarray(words, dtype=np.float64))
    return found
