"""Where people write and add photos; `static/page.js` sends what they wrote."""

from server.web_elements import el


def composer(hint: str, first: bool = False) -> None:
    """Show it.

    Args:
        hint: what to write, shown while nothing is.
        first: for a session that does not exist yet: a photo alone begins it.
    """
    with el("div", "composer first" if first else "composer", id="composer"):
        with el("div", "trouble", id="trouble", role="alert", hidden=True):
            el("span", "trouble-text")
            el("button", "cross", "×", type="button", data_act="quiet", aria_label="Dismiss")
        el("div", "chips", id="chips", hidden=True)
        with el("div", "composer-row"):
            el("label", "sr-only", "Message", for_="message")
            el("textarea", "message", id="message", rows=1, placeholder=hint, maxlength=500)
            el(
                "button",
                "button",
                "Photo",
                type="button",
                data_act="pick",
                aria_label="Add a photo",
            )
            el("button", "button primary", "Send", type="button", data_act="send", id="send")
        el("label", "sr-only", "Photos", for_="files")
        el(
            "input", "sr-only", id="files", type="file", accept="image/*", multiple=True,
            tabindex=-1,
        )  # fmt: skip
