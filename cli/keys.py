"""`graticule keys`: who may use this machine's server."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from server.security_keys import ApiKey, KeyRing


@click.group()
def keys() -> None:
    """Make, list and revoke the keys of `graticule serve`.

    Without any key only this machine may use the server; with one, everybody needs one.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scopes",
    default="read,write",
    show_default=True,
    help="What it may do: read (look), write (begin runs, change sessions), operate (metrics).",
)
@click.option("--rate", type=click.IntRange(1), help="Requests a minute; the server's by default.")
@click.option(
    "--body-bytes", type=click.IntRange(1), help="Largest request; the server's by default."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, scopes: str, rate: int | None, body_bytes: int | None, as_json: bool) -> None:
    """Make a key for NAME and show it this once; only its hash is kept."""
    from server.security_keys import scopes_of

    key, token = _ring().create(
        name, scopes=scopes_of(scopes), rate_per_minute=rate, body_bytes=body_bytes
    )
    if as_json:
        click.echo(json.dumps({**_shown(key), "key": token}, indent=2))
        return
    click.echo(token)
    click.echo(
        f"graticule: key {key.id} of {key.name}; it is shown this once. Send it as x-api-key or "
        "as Authorization: Bearer",
        err=True,
    )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(as_json: bool) -> None:
    """List the keys there are; the keys themselves are kept nowhere."""
    held = _ring().keys()
    if as_json:
        click.echo(json.dumps([_shown(key) for key in held], indent=2))
        return
    if not held:
        click.echo("graticule: no keys; only this machine may use its server", err=True)
    for key in held:
        rate = f"{key.rate_per_minute:,} a minute" if key.rate_per_minute else "default rate"
        click.echo(f"{key.id}  {key.name}  {','.join(key.scopes)}  {rate}  {key.created}")


@keys.command()
@click.argument("id_or_name")
def revoke(id_or_name: str) -> None:
    """Take the key ID_OR_NAME back, at once also from a server that runs."""
    ring = _ring()
    key = ring.revoke(id_or_name)
    click.echo(f"graticule: key {key.id} of {key.name} is revoked", err=True)
    if not ring.keys():
        click.echo("graticule: no key is left; only this machine may use its server", err=True)


def _ring() -> "KeyRing":
    from agent.settings import load_settings
    from server.security_keys import KeyRing

    return KeyRing(load_settings().home)


def _shown(key: "ApiKey") -> dict[str, object]:
    return key.model_dump(mode="json", exclude={"sha256"})
