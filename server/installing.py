"""What surrounds every route: problem documents, and who may ask what."""

from fastapi import FastAPI

from server.problems import install_problems


def install(app: FastAPI) -> None:
    """Surround an application's routes; called once, after its context is set.

    Args:
        app: with `state.context`.
    """
    install_problems(app)
