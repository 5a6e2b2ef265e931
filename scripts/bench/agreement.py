"""How near two encoders' vectors of the same texts are."""

from __future__ import annotations

import numpy as np


def agreement(found: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Compare vectors, [texts, dimensions] each.

    Returns:
        least_cosine, mean_cosine: of each found vector with the wanted one.
        same_neighbour: the share of texts whose nearest other text is the same in both.
        texts: their number.
    """
    found, wanted = _unit(found), _unit(wanted)
    cosines = (found * wanted).sum(axis=1)
    same = _nearest(found) == _nearest(wanted)
    return {
        "least_cosine": float(cosines.min()),
        "mean_cosine": float(cosines.mean()),
        "same_neighbour": float(same.mean()),
        "texts": len(found),
    }


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _nearest(vectors: np.ndarray) -> np.ndarray:
    """Position of the nearest other vector of each."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest: np.ndarray = cosines.argmax(axis=1)
    return nearest
