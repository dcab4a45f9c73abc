"""What surrounds every route: problem documents, and who may ask what."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from server.context import Context
from server.observing import Observed
from server.operations import Counting, Metrics
from server.problems import install_problems
from server.schemas import describe_app
from server.security import Doors, KeyDoor
from server.security_bodies import Bodies
from server.security_keys import KeyRing

EXPOSED = (
    "content-location", "location", "ratelimit", "ratelimit-policy", "retry-after",
    "x-pagination-total",
)  # fmt: skip
"""What a page of a configured origin may read beside the body."""


def install(app: FastAPI) -> None:
    """Surround an application's routes; called once, after its context is set.

    Args:
        app: with `state.context`.
    """
    context: Context = app.state.context
    settings = context.settings
    keys = KeyRing(settings.home)
    # The last that is added is the first that sees a request.
    app.add_middleware(Bodies, limits=settings.server)
    app.add_middleware(KeyDoor, settings=settings, keys=keys)
    if settings.server.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(Doors, settings=settings, keys=keys)
    install_problems(app)
    app.state.metrics = Metrics()
    app.state.observed = Observed(context.sessions, app.state.metrics)
    app.add_middleware(Counting, metrics=app.state.metrics)
    describe_app(app)
