"""Telling people: webhooks, e-mail and everything else that Apprise can reach."""

from __future__ import annotations

import os
from dataclasses import dataclass

from daycast.errors import ConfigError, ToolError

URLS = "DAYCAST_NOTIFY_URLS"


@dataclass(frozen=True)
class Notice:
    """What happened, and what to do.

    Attributes:
        title: a line.
        cause: why, in words or figures.
        link: page that shows it, or ``None``.
        command: what to run next.
    """

    title: str
    cause: str
    link: str | None
    command: str

    def text(self) -> str:
        """The body of a message."""
        lines = [self.cause, "", *([f"see: {self.link}"] if self.link else []), f"run: {self.command}"]
        return "\n".join(lines)


def configured() -> list[str]:
    """The places to tell, as Apprise writes them: ``jsons://host/path`` (a webhook), ``mailto://…``, ``slack://…`` …

    They may hold secrets, so they come from the environment (``DAYCAST_NOTIFY_URLS``, blanks between them).
    """
    return os.environ.get(URLS, "").split()


def tell(notice: Notice) -> int:
    """Send the notice to every place that is configured; to how many.

    Raises:
        ConfigError: an address is none that Apprise knows.
        ToolError: not all of them took it. Those that did have it.
    """
    import apprise

    places = configured()
    lost = 0
    for number, place in enumerate(places, 1):
        one = apprise.Apprise()
        if not one.add(place):
            raise ConfigError(
                f"{URLS} to hold addresses as Apprise writes them, such as jsons://host/path or mailto://user:pass@host",
                f"number {number}, which it does not know ({place.partition(':')[0]}:…)",
                "see https://github.com/caronc/apprise/wiki",
            )
        lost += not one.notify(title=notice.title, body=notice.text(), body_format=apprise.NotifyFormat.TEXT)
    if lost:
        raise ToolError(f"{len(places)} places of {URLS} to take a notice", f"{lost} did not", "check them, one by one")
    return len(places)
