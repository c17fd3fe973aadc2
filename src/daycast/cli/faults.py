"""An error as people are told it."""

from __future__ import annotations

import traceback
from typing import Any

import typer

from daycast.errors import DaycastError


def tell(error: Exception, debug: bool) -> None:
    """Print it on standard error: what a user can mend as a message, all else, and all with ``debug``, as a trace."""
    if debug or not isinstance(error, DaycastError):
        traceback.print_exception(error)
        return
    typer.secho(f"daycast: {type(error).__name__}", fg="red", bold=True, err=True)
    typer.echo(str(error), err=True)


def document(error: Exception | None) -> dict[str, Any] | None:
    """For machines."""
    if error is None or isinstance(error, DaycastError):
        return None if error is None else error.to_json()
    unknown = DaycastError("no defect of daycast", str(error), "see the trace on standard error")
    return {**unknown.to_json(), "type": type(error).__name__}
