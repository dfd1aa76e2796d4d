"""The linear tier that answers before the network: hashed n-grams, linear heads, and a guarantee on what it answers.

    features    texts -> numbers of n-grams, without state
    linear      numbers -> probabilities of both heads, and how likely the network would agree
    guarantee   which confidence keeps a level of agreement, with the counts that prove it
    audit       whether the level is kept on the texts that really come
    files       both files of a tier in a model folder, bound to the network beside it
    scorer      the tier before a network, as one scorer

Nothing here imports torch, SciPy or scikit-learn: a tier is numpy alone. `retrain.first_tier` makes one.
"""

from models.first_tier.files import load_tier, save_tier
from models.first_tier.linear import LinearTier
from models.first_tier.scorer import TieredScorer

__all__ = ["LinearTier", "TieredScorer", "load_tier", "save_tier"]
