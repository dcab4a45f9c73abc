"""Geolocators for sessions of different options, which share what is heavy."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.geolocator import Geolocator
from agent.graph import Graph
from agent.session_records import SessionOptions
from agent.settings import Settings
from agent.worldwide import AUTO, load_named
from geo.errors import InputError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from encoders.base import AlignedEncoder
    from index_builder.gallery import Gallery


class Geolocators:
    """Makes a geolocator for each set of options that sessions have, once.

    Args:
        settings: what options leave open.
        galleries: open ones, which sessions may choose from by name; closed by who opened them.
        make: makes one from options instead, for other ways of deciding.
        common: further arguments of every `Geolocator`, such as encoder and places.
    """

    def __init__(
        self,
        settings: Settings,
        galleries: "tuple[Gallery, ...]" = (),
        *,
        make: Callable[[SessionOptions], Geolocator] | None = None,
        **common: Any,
    ) -> None:
        self.settings, self.galleries, self.common = settings, galleries, common
        self._make = make or self._made
        self._held: dict[str, Geolocator] = {}
        self._graphs: dict[int, Graph] = {}
        self._encoders: dict[tuple[str, Path], AlignedEncoder] = {}
        self._lock, self._loading = threading.Lock(), threading.Lock()

    def get(self, options: SessionOptions) -> Geolocator:
        """Return the geolocator of these options.

        Raises:
            InputError: an option does not fit, see `Geolocator`.
            UnavailableError: something the recipe needs is missing.
        """
        key = options.model_dump_json(exclude={"trust_metadata"})
        with self._lock:
            if key not in self._held:
                self._held[key] = self._make(options)
            return self._held[key]

    def graph(self, geolocator: Geolocator, saver: "BaseCheckpointSaver[Any]") -> Graph:
        """Return a geolocator's graph over a checkpointer, compiled once."""
        with self._lock:
            if id(geolocator) not in self._graphs:
                self._graphs[id(geolocator)] = geolocator.compiled(saver)
            return self._graphs[id(geolocator)]

    def _made(self, options: SessionOptions) -> Geolocator:
        settings, model = self.settings, self.settings.model
        if options.model:
            model = model.model_copy(update={"name": options.model})
        if options.point:
            settings = settings.model_copy(update={"point": options.point})
        return Geolocator(
            self._chosen(options),
            recipe=options.recipe,
            model=model,
            settings=settings,
            budget=options.budget,
            trajectories=options.trajectories,
            analyst=options.ask,
            without=options.without,
            load=self._encoder,
            **{"encoder": AUTO, **self.common},
        )

    def _encoder(self, name: str, home: Path) -> "AlignedEncoder":
        """Return an encoder by name, loaded once for all."""
        with self._loading:
            if (name, home) not in self._encoders:
                self._encoders[name, home] = load_named(name, home)
            return self._encoders[name, home]

    def _chosen(self, options: SessionOptions) -> "tuple[Gallery, ...]":
        if not options.galleries:
            return self.galleries
        known = {gallery.name: gallery for gallery in self.galleries}
        if unknown := [name for name in options.galleries if name not in known]:
            raise InputError(
                f"no gallery {unknown[0]!r:.60} is open; choose from "
                f"{', '.join(sorted(known)) or 'none: open one with --gallery'}"
            )
        return tuple(known[name] for name in options.galleries)

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
            self._graphs.clear()
        for one in held:
            one.close()
        with self._loading:
            encoders, self._encoders = list(self._encoders.values()), {}
        for encoder in encoders:
            if hasattr(encoder, "close"):
                encoder.close()
