"""`graticule mcp`: the tools and whole investigations for clients of the Model Context Protocol."""

import click

from cli.geolocator_options import Chosen, geolocator_options
from geo.errors import UnavailableError


@click.command()
@geolocator_options
@click.option(
    "--allow-paths",
    is_flag=True,
    help="Let the client name photos by their path on this machine, any that you can read.",
)
def mcp(chosen: Chosen, allow_paths: bool) -> None:
    """Speak the Model Context Protocol over standard input and output.

    An assistant starts this command itself: give it `graticule mcp` as the command of a server.
    Standard output carries the protocol alone; what else there is to say goes to standard error.
    """
    try:
        import anyio

        from server.mcp import serve_stdio
    except ImportError as error:
        raise UnavailableError(
            f"package {error.name!r} is not installed; run pip install 'graticule[server]'"
        ) from None
    from agent.settings import load_settings
    from cli.session_options import open_sessions, session_options

    with open_sessions(chosen, load_settings()) as sessions:
        options = session_options(chosen)
        anyio.run(lambda: serve_stdio(sessions, options=options, paths=allow_paths))
