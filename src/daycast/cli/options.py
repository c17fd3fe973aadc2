"""Options and arguments that commands share, and how a command gets ready."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from daycast.errors import ConfigError

if TYPE_CHECKING:
    from daycast.config import Config
    from daycast.settings import Settings

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="GROUP=CHOICE|SECTION.KEY=VALUE", help="Choose and override configuration."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only results and errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Full stack traces and the tools' own logs.")]
AsOf = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last date that may be seen.")]
Fetch = Annotated[
    bool, typer.Option("--fetch", help="Ask the source for newer data, also where some is there already.")
]


def ready(overrides: list[str] | None, debug: bool = False, *, fitting: bool = False) -> tuple[Settings, Config]:
    """Settings applied to this process, and the checked configuration; before any tool is imported.

    Args:
        fitting: whether models will be fitted, and so have to suit the dataset.
    """
    from daycast import config, settings

    here = settings.load()
    settings.apply(here, debug)
    return here, config.compose(here.root, overrides or [], fitting=fitting)


def dataset_alone(overrides: list[str] | None) -> None:
    """Refuse overrides that would have no say: versions forecast as they were trained, monitoring goes by ``conf/``.

    Raises:
        ConfigError: there is another one than ``dataset=NAME``.
    """
    if others := [one for one in overrides or [] if not one.startswith("dataset=")]:
        raise ConfigError(
            "dataset=NAME alone: a version forecasts as it was trained, and monitoring goes by conf/",
            " ".join(others),
            "leave the others out; train another version with them, or change values of monitoring in conf/",
        )


def scheduled(overrides: list[str] | None, debug: bool) -> tuple[Settings, Config, tuple[str, ...]]:
    """As ``ready``, and the overrides, without the dataset, that scheduled trainings are to have.

    What else is scheduled knows none.

    Raises:
        ConfigError: one of them is not about training.
    """
    here, configured = ready(overrides, debug, fitting=True)  # each morning's training goes by it
    from daycast.config import filed

    if loose := filed.overridden(here.root, configured, "monitoring", "alert", filed.CHAMPION):
        raise ConfigError(
            "overrides of what trainings go by",
            f"{' '.join(loose)}, which schedules take from conf/",
            "change the values in conf/, or write a file there: a gate of your own is chosen with promotion=NAME",
        )
    return here, configured, tuple(one for one in overrides or [] if not one.startswith("dataset="))


def trainable(overrides: list[str] | None, debug: bool = False) -> tuple[Settings, Config]:
    """As ``ready``, where models will be fitted, on devices that are there."""
    here, configured = ready(overrides, debug, fitting=True)
    from daycast import models

    models.require_devices(configured)
    return here, configured


def day(when: datetime | None) -> date | None:
    return None if when is None else when.date()
