"""Nearest points on the sphere, everywhere or inside one country, by KD-trees on unit vectors."""

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geo.sphere import unit_vectors

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_SPARE = 4
"""Neighbours beyond those asked for: chords rank like geodesics only up to the flattening."""


class NearestIndex:
    """K nearest of N points, with one lazily built tree for each country asked about."""

    def __init__(self, points: NDArray[np.float64], countries: list[str]) -> None:
        """Index points [N, 2] (latitude, longitude in degrees) and their N country codes."""
        self._vectors = unit_vectors(points)
        self._countries = np.array(countries, dtype="U2")
        self._trees: dict[str, tuple[cKDTree, NDArray[np.intp]]] = {}
        self._lock = threading.Lock()

    def query(
        self, latitude: float, longitude: float, country: str | None, limit: int
    ) -> list[int]:
        """Return indices of at least the `limit` nearest points, as far as there are any."""
        tree, members = self._tree((country or "").upper())
        if not len(members):
            return []
        vector = unit_vectors(np.array([[latitude, longitude]], dtype=np.float64))[0]
        _, found = tree.query(vector, k=min(limit + _SPARE, len(members)))
        return [int(i) for i in members[np.atleast_1d(found)]]

    def nearest(self, points: NDArray[np.float64], country: str) -> list[int]:
        """Return the index of the nearest point of a country to each of `points` `[N, 2]`.

        By chord; empty where the country has none.
        """
        tree, members = self._tree(country.upper())
        if not len(members):
            return []
        _, found = tree.query(unit_vectors(points))
        return [int(i) for i in members[found]]

    def _tree(self, country: str) -> "tuple[cKDTree, NDArray[np.intp]]":
        """Return the tree over one country (all points for "") and the indices of its points."""
        from scipy.spatial import cKDTree

        with self._lock:
            if country not in self._trees:
                members = np.flatnonzero((self._countries == country) | (country == ""))
                vectors = self._vectors[members].reshape(-1, 3)
                tree = cKDTree(vectors, compact_nodes=False, balanced_tree=False)
                self._trees[country] = tree, members
            return self._trees[country]
