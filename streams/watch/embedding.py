"""Texts as points, and how far the latest ones lie from those of the reference. Pure, and cheap: microseconds a text.

A text's point is the sum of its words' points over the square root of their number; a word's point has a coordinate of
+1 or -1 for each bit of its hash. So texts are about as far from each other as their bags of words are (Achlioptas,
"Database-friendly random projections: Johnson-Lindenstrauss with binary coins", 2003). The network's own vectors would
say more of the meaning; but the first tier answers without them, and an exported network does not give them out.

With the mean m and the covariance S of the reference, and the mean w of the window, the distance is

    d = sqrt((w - m)' S^-1 (w - m) - D (1/n + 1/N)),    D dimensions, n texts in the window, N in the reference

(Mahalanobis, "On the generalised distance in statistics", 1936), 0 where the root would be of less: what is taken off
comes by chance. It is the difference of the means in standard deviations, in the direction in which they differ most:
a linear classifier that tells texts of the window from those of the reference has an AUC of Phi(d / sqrt 2), if
they are normal. 0.2 is commonly called small, 0.5 medium, 0.8 large (Cohen, "Statistical power analysis", 1988).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 32
MARKED = 0.5
"""From here on the texts are others."""

_RIDGE = 0.05
"""Of the mean variance, added to each dimension's: a reference of few words does not fill all directions."""

Points = NDArray[np.float32]


def point(hashes: Sequence[int]) -> Points:
    """Return a text's point [DIMENSIONS]; that of a text without words is the origin.

    Args:
        hashes: of its words, 32 bits each.
    """
    if not hashes:
        return np.zeros(DIMENSIONS, dtype=np.float32)
    bits = np.unpackbits(np.asarray(hashes, dtype="<u4").view(np.uint8).reshape(-1, 4), axis=1)
    signs = 2.0 * bits.sum(axis=0, dtype=np.float32) - len(hashes)
    return np.asarray(signs / math.sqrt(len(hashes)), dtype=np.float32)


class Cloud:
    """Mean and covariance of the reference's points.

    Args:
        mean: [DIMENSIONS].
        covariance: [DIMENSIONS, DIMENSIONS].

    Raises:
        ValueError: they are of other shapes, not finite, or no covariance.
    """

    def __init__(self, mean: NDArray[np.float64], covariance: NDArray[np.float64]) -> None:
        if mean.shape != (DIMENSIONS,) or covariance.shape != (DIMENSIONS, DIMENSIONS):
            raise ValueError(f"expected {DIMENSIONS} dimensions")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all() and np.allclose(covariance, covariance.T)):
            raise ValueError("the numbers are no mean and no covariance")
        spread = float(np.trace(covariance)) / DIMENSIONS
        if spread <= 0 or float(np.linalg.eigvalsh(covariance)[0]) < -1e-3 * spread:
            raise ValueError("the numbers are no covariance")
        self.mean, self.covariance = mean, covariance
        self._inverse = np.linalg.inv(covariance + _RIDGE * spread * np.eye(DIMENSIONS))

    @classmethod
    def of(cls, points: Points) -> Cloud:
        """Return the cloud of points [texts, DIMENSIONS]. Raises ValueError where they are all the same."""
        return cls(points.mean(axis=0, dtype=np.float64), np.cov(points, rowvar=False).astype(np.float64))

    def distance(self, mean: NDArray[np.float64], texts: int, reference_texts: int) -> float:
        """Return how far a window lies from it; not negative.

        Args:
            mean: of the window's points [DIMENSIONS].
            texts: in the window.
            reference_texts: in the reference.
        """
        apart = mean - self.mean
        squared = float(apart @ self._inverse @ apart)
        return math.sqrt(max(0.0, squared - DIMENSIONS * (1 / texts + 1 / reference_texts)))

    def packed(self) -> str:
        """Return mean and covariance as float32, little-endian, row by row, in base64."""
        rows = np.vstack([self.mean, self.covariance]).astype("<f4")
        return base64.b64encode(rows.tobytes()).decode()

    @classmethod
    def unpacked(cls, text: str) -> Cloud:
        """Return the cloud of `packed`. Raises ValueError for any other text."""
        content = base64.b64decode(text, validate=True)
        if len(content) != 4 * DIMENSIONS * (DIMENSIONS + 1):
            raise ValueError(f"expected {4 * DIMENSIONS * (DIMENSIONS + 1):,} bytes, got {len(content):,}")
        rows = np.frombuffer(content, dtype="<f4").reshape(DIMENSIONS + 1, DIMENSIONS).astype(np.float64)
        return cls(rows[0], rows[1:])


class PointWindow:
    """The latest points: each new one drives the oldest out. The memory it takes is fixed: 128 bytes a point.

    Args:
        size: points that are kept, at least 1.
    """

    def __init__(self, size: int) -> None:
        self._ring = np.zeros((size, DIMENSIONS), dtype=np.float32)
        self._next = 0
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def add(self, one: Points) -> None:
        """Take a point in [DIMENSIONS]."""
        self._ring[self._next] = one
        self._next = (self._next + 1) % len(self._ring)
        self._held = min(self._held + 1, len(self._ring))

    def mean(self) -> NDArray[np.float64]:
        """Return the mean of those it holds [DIMENSIONS]; of none, the origin."""
        if not self._held:
            return np.zeros(DIMENSIONS)
        found: NDArray[np.float64] = self._ring[: self._held].mean(axis=0, dtype=np.float64)
        return found
