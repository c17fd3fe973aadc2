"""Telling people: webhooks, e-mail and everything else that Apprise can reach; and the log in any case."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import asdict, dataclass

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
        series: those it is worst for, worst first; or in words, that it is about all.
    """

    title: str
    cause: str
    link: str | None
    command: str
    series: tuple[str, ...] = ()

    def text(self) -> str:
        """The body of a message."""
        worst = [f"series: {', '.join(self.series)}"] if self.series else []
        return "\n".join(
            [self.cause, "", *worst, *([f"see: {self.link}"] if self.link else []), f"run: {self.command}"]
        )


def configured() -> list[str]:
    """The places to tell, as Apprise writes them: ``jsons://host/path`` (a webhook), ``mailto://…``, ``slack://…`` …

    They may hold secrets, so they come from the environment (``DAYCAST_NOTIFY_URLS``, blanks between them).
    """
    return os.environ.get(URLS, "").split()


def log(notice: Notice) -> None:
    """Write the notice to standard error as a line of JSON, whatever else of the log is shown."""
    logger = logging.getLogger("daycast.notices")
    handler = logging.StreamHandler(sys.stderr)
    logger.propagate = False  # Prefect silences the root
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        logger.warning(json.dumps({"daycast": "notice", **asdict(notice)}, ensure_ascii=False))
    finally:
        logger.removeHandler(handler)


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
