"""Which names a stream of rows has shown, and where: 16 bytes a name, in a growing hash table."""

from array import array

MAX_NAMES = 20_000_000
"""As many names are remembered (0.5 GB); later ones are taken as new."""
_FIRST_SLOTS = 1 << 12
_LOAD = 0.6
_MASK = (1 << 64) - 1
_DIGITS = 10_000_000
"""Positions are told apart to 1e-7 degree, about 1 cm."""


class SeenNames:
    """Remembers the position of each name by a 64-bit hash of it.

    5 million names take 134 MB (268 MB where the table has just grown). Two different names
    share a hash with a probability of one in a million among 5 million; the second one would
    be taken for the first.
    """

    def __init__(self) -> None:
        self._count = 0
        self._slots = _FIRST_SLOTS
        self._keys = array("Q", bytes(8 * self._slots))
        self._positions = array("Q", bytes(8 * self._slots))

    def __len__(self) -> int:
        return self._count

    def first(self, name: str, latitude: float, longitude: float) -> tuple[float, float] | None:
        """Remember a name; return the position that it came with before, or None if it is new.

        Args:
            name: of any length.
            latitude: in degrees, -90 to 90.
            longitude: in degrees, -180 to 180.
        """
        key = (hash(name) & _MASK) or 1  # 0 marks a free slot
        slot = self._slot(key)
        if self._keys[slot] == key:
            return _unpacked(self._positions[slot])
        if self._count < MAX_NAMES:
            self._keys[slot] = key
            self._positions[slot] = _packed(latitude, longitude)
            self._count += 1
            if self._count > _LOAD * self._slots:
                self._grow()
        return None

    def _slot(self, key: int) -> int:
        keys, last = self._keys, self._slots - 1
        slot = key & last
        while (there := keys[slot]) and there != key:
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        keys, positions = self._keys, self._positions
        self._slots *= 2
        self._keys = array("Q", bytes(8 * self._slots))
        self._positions = array("Q", bytes(8 * self._slots))
        for key, position in zip(keys, positions, strict=True):
            if key:
                slot = self._slot(key)
                self._keys[slot] = key
                self._positions[slot] = position


def same_position(one: tuple[float, float], two: tuple[float, float]) -> bool:
    """Say whether two positions are the same to 1e-7 degree."""
    return _packed(*one) == _packed(*two)


def _packed(latitude: float, longitude: float) -> int:
    return round((latitude + 90) * _DIGITS) << 32 | round((longitude + 180) * _DIGITS)


def _unpacked(packed: int) -> tuple[float, float]:
    latitude, longitude = packed >> 32, packed & (1 << 32) - 1
    return latitude / _DIGITS - 90, longitude / _DIGITS - 180
