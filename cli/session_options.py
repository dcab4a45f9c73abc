"""From options of the command line to sessions: what every face is opened with.

`open_sessions` is what `chat`, `sessions`, `serve` and `mcp` call. The options given there are what
a session's own options leave open: a session that names a recipe keeps it whatever the command
line says, one that names none follows the command line, then the settings.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.geolocators import Geolocators
from agent.session_records import SessionOptions
from agent.sessions import Sessions
from agent.told_sessions import told
from cli.geolocator_options import Chosen
from geo.errors import UnavailableError

if TYPE_CHECKING:
    from agent.geolocator import Geolocator
    from agent.settings import Settings
    from index_builder.gallery import Gallery


NOTED = "opened.json"
OF_MACHINE = ("model_url", "galleries", "encoder", "places", "calibration", "abstain_cost")
"""Options that `SessionOptions` does not hold."""
BARE: dict[str, Any] = {
    "recipe": "", "model": "", "model_url": "", "trajectories": None, "galleries": (),
    "encoder": "auto", "places": None, "calibration": None, "point": None, "abstain_cost": None,
    "download": False, "trust_metadata": False,
}  # fmt: skip
"""What a command is given where nothing is said."""


class ChosenGeolocators(Geolocators):
    """Geolocators under the options of a command; galleries are opened once, and closed with it.

    Args:
        chosen: options of the command line.
        settings: what they leave open.
        quiet: whether downloads that were asked for show no progress.

    Raises:
        InputError: a gallery does not exist, is empty or cannot be used.
        UnavailableError: a gallery is held by another process, or a download failed.
    """

    def __init__(self, chosen: Chosen, settings: "Settings", *, quiet: bool = True) -> None:
        if chosen.download:
            chosen.get_weights(settings, quiet=quiet)
        self._default = session_options(chosen)
        with ExitStack() as closing:
            opened = _opened(chosen.galleries or settings.galleries, settings, closing)
            said = {
                "galleries": (),
                "recipe": chosen.recipe or settings.recipe,
                "model": chosen.model_settings(settings),
            }
            super().__init__(
                chosen.settled(settings).model_copy(update=said),
                opened,
                encoder=chosen.encoder,
                places=chosen.places,
            )
            self._closing = closing.pop_all()

    def get(self, options: SessionOptions) -> "Geolocator":
        """Return the geolocator of a session's options, which win over the command line's."""
        said: dict[str, Any] = {}
        if options.trajectories is None and options.recipe in ("", self._default.recipe):
            said["trajectories"] = self._default.trajectories
        return super().get(options.model_copy(update=said))

    def close(self) -> None:
        """Close all of them, then the galleries."""
        super().close()
        self._closing.close()


def open_sessions(chosen: Chosen, settings: "Settings", *, quiet: bool = True) -> Sessions:
    """Open the sessions of the settings' home or database under the options of a command.

    Used as a context manager, it stops what runs and closes the galleries at the end:

        with open_sessions(chosen, load_settings()) as sessions:
            info = sessions.create(photo, options=session_options(chosen))
            answer = sessions.send(info.id).wait()

    A session that is created without options follows the command line of whoever runs it; give
    `session_options(chosen)` where it shall keep to these wherever it goes on. Encoder and
    language models load when they are first needed; `Geolocator.warm` and `Chosen.prepare` do so
    at once. They tell as much as `Settings.disclosure` allows.

    Args:
        chosen: options of the command line, see `cli.geolocator_options`.
        settings: what they leave open.
        quiet: whether downloads that were asked for show no progress.

    Raises:
        InputError: a gallery does not exist, is empty or cannot be used.
        UnavailableError: a gallery is held by another process, a download failed, or sessions
            cannot be kept.
    """
    geolocators = ChosenGeolocators(chosen, settings, quiet=quiet)
    try:
        return told(Sessions(settings, geolocators))
    except BaseException:
        geolocators.close()
        raise


def session_options(chosen: Chosen) -> SessionOptions:
    """Return those options of a command that a session keeps for itself."""
    return SessionOptions(
        recipe=chosen.recipe,
        model=chosen.model,
        trajectories=chosen.trajectories,
        point=chosen.point,
        trust_metadata=chosen.trust_metadata,
    )


def remember(sessions: Sessions, session_id: str, chosen: Chosen) -> None:
    """Note beside a session what it was begun with and its options do not hold.

    Galleries, encoder and the like are of this machine: they go into no trace and to no client.

    Raises:
        UnavailableError: the disk is full.
    """
    held = {name: _noted(getattr(chosen, name)) for name in OF_MACHINE}
    path = sessions.folder(session_id) / NOTED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(held), encoding="utf-8")
    except OSError as error:
        raise UnavailableError(
            f"cannot write {str(path)!r} ({error.strerror}); free space"
        ) from None


def as_before(chosen: Chosen, settings: "Settings", name: str) -> Chosen:
    """Return options with what a session was begun with where they leave something open.

    Args:
        chosen: options of the command line, which win.
        settings: where sessions are kept.
        name: id or name of the session; empty for none.

    Raises:
        UnknownSessionError: there is none of this name.
    """
    if not name:
        return chosen
    with Sessions(settings) as sessions:
        path = sessions.folder(sessions.find(name).id) / NOTED
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return chosen  # begun by another program, or on another machine
    bare = Chosen(**BARE)
    left = {key for key in OF_MACHINE if getattr(chosen, key) == getattr(bare, key)}
    return replace(chosen, **{key: _read(key, held[key]) for key in left & held.keys()})


def _noted(value: object) -> object:
    if isinstance(value, tuple):
        return [_noted(one) for one in value]
    if isinstance(value, Path):
        return str(value if str(value) == "none" else value.absolute())
    return value


def _read(key: str, value: Any) -> Any:
    if key == "galleries":
        return tuple(one if "://" in one else Path(one) for one in value)
    return Path(value) if key in ("places", "calibration") and value else value


def _opened(
    places: "Sequence[Path | str]", settings: "Settings", closing: ExitStack
) -> "tuple[Gallery, ...]":
    """Open galleries, each once however often it is named."""
    from index_builder import open_gallery

    api_key = settings.qdrant_api_key.get_secret_value() or None
    held: dict[object, Gallery] = {}
    for place in places:
        remote = str(place).startswith(("http://", "https://"))
        key = str(place) if remote else Path(place).resolve()
        if key not in held:
            held[key] = open_gallery(place, api_key=api_key)
            closing.callback(held[key].close)
    return tuple(held.values())
