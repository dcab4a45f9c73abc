"""API keys: shown once, kept as hashes in a file of the home folder.

A key is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError

from encoders.photo_file import printable
from geo.errors import ConfigError, InputError, UnavailableError
from tools.evidence import Record

Scope = Literal["read", "write", "operate"]
"""`read` looks, `write` begins runs and changes sessions, `operate` reads metrics."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
PREFIX = "graticule_"
RANDOM_BYTES = 32
FILE = "keys.json"


class ApiKey(Record):
    """A key as it is kept.

    Attributes:
        id: names it in lists and in `keys revoke`.
        name: who has it, for people.
        sha256: of the key itself, which is kept nowhere.
        scopes: what it may do.
        rate_per_minute: requests; None for the server's own limit.
        body_bytes: of one request; None for the server's own limit.
        created: UTC, ISO 8601.
    """

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = ("read", "write")
    rate_per_minute: int | None = Field(default=None, ge=1)
    body_bytes: int | None = Field(default=None, ge=1)
    created: str


class _File(Record):
    keys: tuple[ApiKey, ...] = ()


class KeyRing:
    """The keys of a home folder; changes of the file count from the next request on.

    Args:
        home: where `keys.json` lies.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()
        self._lock = threading.Lock()

    def keys(self) -> tuple[ApiKey, ...]:
        """Return the keys there are.

        Raises:
            ConfigError: the file is damaged, or others may write to it.
        """
        with self._lock:
            try:
                found = self.path.stat()
            except FileNotFoundError:
                self._seen, self._keys = None, ()
                return ()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self._seen:
                self._keys = self._read(found.st_mode)
                self._seen = seen
            return self._keys

    def find(self, token: str) -> ApiKey | None:
        """Return the key that was shown as `token`; as slow for a wrong one as for a right one."""
        digest = _digest(token)
        found = None
        for key in self.keys():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] = ("read", "write"),
        rate_per_minute: int | None = None,
        body_bytes: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key; return it and the token that is shown this once.

        Raises:
            InputError: the name is empty, too long or taken.
            UnavailableError: the file cannot be written.
        """
        shown = printable(name.strip(), 100)
        if not shown:
            raise InputError("a key needs a name, such as that of who gets it")
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        key = ApiKey(
            id=secrets.token_hex(4),
            name=shown,
            sha256=_digest(token),
            scopes=tuple(dict.fromkeys(scopes)),
            rate_per_minute=rate_per_minute,
            body_bytes=body_bytes,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with self._changing():
            held = self.keys()
            if any(one.name == shown for one in held):
                raise InputError(f"there is a key {shown!r} already; revoke it or choose a name")
            self._write((*held, key))
        return key, token

    def revoke(self, id_or_name: str) -> ApiKey:
        """Take a key back; requests that it began end as they would.

        Raises:
            InputError: there is no such key.
            UnavailableError: the file cannot be written.
        """
        with self._changing():
            held = self.keys()
            found = [one for one in held if id_or_name in (one.id, one.name)]
            if not found:
                raise InputError(
                    f"there is no key {printable(id_or_name, 60)!r}; `graticule keys list` shows "
                    "those there are"
                )
            self._write(tuple(one for one in held if one is not found[0]))
        return found[0]

    def _read(self, mode: int) -> tuple[ApiKey, ...]:
        shown = printable(str(self.path))
        if stat.S_IMODE(mode) & 0o022:
            raise ConfigError(f"others may write to '{shown}'; run chmod 600 on it")
        try:
            return _File.model_validate_json(self.path.read_bytes()).keys
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"'{shown}' holds no keys ({type(error).__name__}); restore it, or remove it and "
                "make new keys"
            ) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process at a time change the file."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        """Write the file whole or not at all, readable for its owner alone."""
        text = json.dumps(_File(keys=keys).model_dump(mode="json"), indent=1)
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".keys")
            try:
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(text + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, self.path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self._seen = None


def scopes_of(text: str) -> tuple[Scope, ...]:
    """Read scopes as the command line has them, such as `read,write`.

    Raises:
        InputError: one is not known, or there is none.
    """
    named = [word.strip() for word in text.split(",") if word.strip()]
    found = tuple(one for one in SCOPES if one in named)
    if not found or set(named) - set(found):
        raise InputError(f"scopes {printable(text, 60)!r}; choose from {', '.join(SCOPES)}")
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _unwritable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(
        f"keys '{printable(str(path))}' cannot be written: {error.strerror}; free space or set "
        "GRATICULE_HOME to a writable folder"
    )
