"""Running the encoder service: the address it listens on, and how it stops."""

import ipaddress
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from encoders.base import Encoder
from encoders.photo_file import printable
from encoders.service import EncoderService, ServiceLimits
from geo.errors import InputError, UnavailableError

KEEP_ALIVE_S = 75
BACKLOG = 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Announce = Callable[[str], Any]


def run_service(
    encoder: Encoder,
    host: str,
    port: int,
    *,
    allow_remote: bool = False,
    limits: ServiceLimits | None = None,
    announce: Announce,
) -> None:
    """Serve an encoder until SIGINT or SIGTERM; what was accepted by then is answered.

    Args:
        encoder: what to serve.
        host: name or address of this machine to listen on.
        port: 0 takes a free one.
        allow_remote: other machines may reach it; nobody is asked who they are.
        limits: of requests, batches, memory and time.
        announce: is told in lines what a person should know.

    Raises:
        InputError: the host is not of this machine, or open to others without `allow_remote`.
        UnavailableError: the port is taken.
    """
    local = check_host(host, allow_remote)
    limits = limits or ServiceLimits()
    with listen(host, port) as listening:
        service = EncoderService(encoder, limits, LOOPBACK | {host} if local else None)
        server = EncoderServer(service, limits.deadline_s)
        _stop_on_signals(server)
        shown = f"[{host}]" if ":" in host else host
        where = f"http://{shown}:{listening.getsockname()[1]}"
        announce(f"serving {service.card.name} on {where} ({service.device}); Ctrl-C stops it")
        if not local:
            announce(
                f"other machines reach {where} and are not asked who they are; put it behind a "
                "proxy that asks"
            )
        watcher = threading.Thread(target=_say_unavailable, args=(service, announce), daemon=True)
        watcher.start()
        try:
            server.run(sockets=[listening])
        finally:
            service.close()
    announce(f"stopped; {service.answered:,} requests answered, {service.refused:,} refused")


def check_host(host: str, allow_remote: bool) -> bool:
    """Return whether a host is this machine alone.

    Raises:
        InputError: it is open to others, and that was not allowed.
    """
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local and not allow_remote:
        raise InputError(
            f"host {printable(host)!r} lets other machines in, and the service asks nobody who "
            "they are; use 127.0.0.1, or --allow-remote behind a proxy that asks"
        )
    return local


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        InputError: the host is not an address of this machine.
        UnavailableError: the port is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Connections inherit it; without it every answer waits 40 ms for an acknowledgement,
        # for asyncio sees to this only where a socket names its protocol.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except socket.gaierror:
        raise InputError(f"host {printable(host)!r} is not known; use 127.0.0.1") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)  # its own text names the address twice
        raise UnavailableError(
            f"cannot listen on {printable(host)}:{port} ({reason}); give another --port or --host"
        ) from None


class EncoderServer(uvicorn.Server):
    """A uvicorn server of one encoder service.

    Args:
        service: what it serves.
        patience_s: how long stopping waits for requests to be answered.
    """

    def __init__(self, service: EncoderService, patience_s: float) -> None:
        config = uvicorn.Config(
            service.app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(patience_s) + 1,
        )
        super().__init__(config)


def _stop_on_signals(server: uvicorn.Server) -> None:
    """Let signals stop the server, also those that come before it runs or are raised again."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)


def _say_unavailable(service: EncoderService, announce: Announce) -> None:
    if reason := service.wait_until_warm():
        announce(f"photos cannot be encoded: {reason}")
    else:
        announce("ready")
