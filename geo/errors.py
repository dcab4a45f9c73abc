"""The errors a person or a program may meet, lowest floor so that every room can raise them.

Every message names the offending value, the limit it broke and the remedy, in one line.
"""


class GeolocationError(Exception):
    """Base of every error Graticule raises on purpose."""

    exit_code = 1


class InputError(GeolocationError, ValueError):
    """What the user gave cannot be used: a photo, a coordinate, a path, a gallery."""

    exit_code = 2


class ConfigError(InputError):
    """A setting is wrong or two settings contradict each other."""


class UnavailableError(GeolocationError):
    """Something this needs is missing, down or busy: a package, weights, a server, a lock.

    Attributes:
        retryable: whether the same call may succeed later without any change.
    """

    exit_code = 3

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
