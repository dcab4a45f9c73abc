"""`graticule serve`: sessions over HTTP for every kind of client, or an encoder alone."""

from pathlib import Path

import click

from cli.geolocator_options import Chosen, geolocator_options
from geo.errors import UnavailableError


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8800,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@geolocator_options
@click.pass_context
def serve(context: click.Context, chosen: Chosen, host: str, port: int) -> None:
    """Serve sessions over HTTP: LangGraph's API, /v1/locate, chat completions, MCP, the page.

    Only this machine may call it until there is a key, see `graticule keys`. SIGTERM and Ctrl-C
    end it; runs stop after their present step and can be resumed. `serve encoder` serves an
    encoder instead.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from server.serving import run_server
    except ImportError as error:
        raise UnavailableError(
            f"package {error.name!r} is not installed; run pip install 'graticule[server]'"
        ) from None
    from agent.settings import load_settings
    from cli.session_options import open_sessions

    with open_sessions(chosen, load_settings(), quiet=False) as sessions:
        run_server(
            sessions, host, port, announce=lambda line: click.echo(f"graticule: {line}", err=True)
        )


@serve.command()
@click.argument("name", metavar="NAME_OR_FOLDER")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8801,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--weights", type=click.Path(path_type=Path), help="Where downloaded weights lie.")
@click.option(
    "--segmenter",
    type=click.Path(path_type=Path),
    help="Folder of a transformers segmentation model, for families that look at maps (dualgeo).",
)
@click.option(
    "--max-batch",
    default=16,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Photos or texts encoded at once, and taken in one request.",
)
@click.option(
    "--queue",
    default=64,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Requests of each kind that may wait; more are told to come back later.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Let other machines in. Nobody is asked who they are: put a proxy that asks before it.",
)
def encoder(
    name: str,
    host: str,
    port: int,
    device: str,
    weights: Path | None,
    segmenter: Path | None,
    max_batch: int,
    queue: int,
    allow_remote: bool,
) -> None:
    """Serve the encoder NAME_OR_FOLDER: photos, coordinates and texts in, vectors out.

    Programs use it as load_encoder("http://127.0.0.1:8801"). SIGTERM and Ctrl-C end it after the
    requests that it has taken are answered.
    """
    try:
        from encoders.serving import check_host, run_service
    except ImportError as error:
        raise UnavailableError(
            f"package {error.name!r} is not installed; run pip install 'graticule[server]'"
        ) from None
    from encoders import load_encoder
    from encoders.batching import BatchLimits
    from encoders.service import ServiceLimits

    maps = None
    if segmenter is not None:
        from encoders.segmenter import TransformersSegmenter

        maps = TransformersSegmenter(segmenter, device)
    check_host(host, allow_remote)  # before weights are read for nothing
    batch = BatchLimits(images=max_batch, texts=max_batch, waiting=queue)
    run_service(
        load_encoder(name, device=device, weights=weights, segmenter=maps),
        host,
        port,
        allow_remote=allow_remote,
        limits=ServiceLimits(batch=batch),
        announce=lambda line: click.echo(f"graticule: {line}", err=True),
    )
