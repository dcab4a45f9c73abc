"""What the person asks of a session, and how a refusal is told."""

import json
from collections.abc import Callable
from typing import Any

from nicegui import Client, run

from agent.session_records import SessionOptions
from agent.sessions import Sessions
from geo.errors import GeolocationError


def script(text: object) -> str:
    """Return data as it may stand in a script."""
    return json.dumps(text).replace("<", "\\u003c")


class Acts:
    """Does what is asked, away from the event loop.

    Args:
        sessions: all of them.
        session_id: whose acts.
        client: the browser window that is told of refusals.
    """

    def __init__(self, sessions: Sessions, session_id: str, client: Client) -> None:
        self.sessions, self.id, self.client = sessions, session_id, client

    async def do(self, act: Callable[[], Any]) -> Any:
        """Return what `act` returns, or None where it was refused, which is then shown."""
        try:
            return await run.io_bound(act)
        except (GeolocationError, ValueError) as error:
            self.client.run_javascript(f"graticule.trouble({script(str(error))})")
            return None

    def say(self, text: str) -> None:
        """Have a screen reader say something."""
        self.client.run_javascript(f"graticule.say({script(text)})")

    def close(self, dialog: str) -> None:
        """Close a dialog."""
        self.client.run_javascript(f"graticule.close({script(dialog)})")

    def choose(self, select: str, value: str) -> None:
        """Have a list show a choice, once its options are there."""
        self.client.run_javascript(
            f"setTimeout(() => {{ const found = document.getElementById({script(select)}); "
            f"if (found) found.value = {script(value)}; }}, 60)"
        )

    def go(self, address: str) -> None:
        """Have the window show another page."""
        self.client.run_javascript(f"location.assign({script(address)})")

    async def stop(self) -> None:
        """Stop after the present step."""
        await self.do(lambda: self.sessions.stop(self.id))
        self.say("It stops after this step")

    async def go_on(self) -> None:
        """Go on where it stopped."""
        await self.do(lambda: self.sessions.resume(self.id))

    async def reply(self, text: str) -> None:
        """Answer the model's question; an empty text says that there is no answer."""
        await self.do(lambda: self.sessions.resume(self.id, text or None))

    async def challenge(self, evidence_id: str, counts: bool) -> None:
        """Withdraw a piece of evidence, or let it count again."""
        keys = [evidence_id]
        if counts:
            await self.do(lambda: self.sessions.send(self.id, restore=keys))
        else:
            await self.do(lambda: self.sessions.send(self.id, withdraw=keys))

    async def keep_options(self, options: SessionOptions) -> None:
        """Have the next runs investigate otherwise."""
        if await self.do(lambda: self.sessions.update(self.id, options=options)):
            self.close("options")

    async def rename(self, name: str) -> bool:
        """Give the session another name; whether it has it."""
        return bool(name and await self.do(lambda: self.sessions.update(self.id, name=name)))

    async def delete(self) -> None:
        """Delete the session, and leave its page."""

        def act() -> bool:
            self.sessions.delete(self.id)
            return True

        if await self.do(act):
            self.go("/page/")
