"""Opening the store: an engine, and the tables as this code needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from daycast.adapters.store import revisions
from daycast.errors import ToolError

BACKENDS = ("postgresql", "sqlite")


@dataclass(frozen=True)
class Schema:
    """Which schema a store has.

    Attributes:
        url: where it is, without its password.
        found: its revision; ``None`` if it is empty, or was made before revisions were kept.
        wanted: the revision of this code.
    """

    url: str
    found: str | None
    wanted: str

    @property
    def state(self) -> str:
        """``current``; ``behind``, which the next opening mends; or ``newer`` than this code knows."""
        if self.found is not None and self.found not in revisions.known():
            return "newer"
        return "current" if self.found == self.wanted else "behind"


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine on the store, its schema brought up to this code's.

    Raises:
        ToolError: the database can't be reached or written, or newer code has changed its schema.
    """
    with _reached(url) as engine:
        revisions.upgrade(engine)
        yield engine


def schema(url: str) -> Schema:
    """The schema of a store, which stays as it is.

    Raises:
        ToolError: the database can't be reached.
    """
    with _reached(url) as engine:
        return Schema(engine.url.render_as_string(hide_password=True), revisions.found(engine), revisions.wanted())


def upgrade(url: str) -> tuple[Schema, Schema]:
    """Bring the store up to this code's schema; the schema before and after.

    Raises:
        ToolError: as ``opened``.
    """
    before = schema(url)
    with opened(url):
        return before, schema(url)


@contextmanager
def _reached(url: str) -> Iterator[Engine]:
    engine = _engine(url)
    try:
        yield engine
    except SQLAlchemyError as error:
        raise _failed(engine.url.render_as_string(hide_password=True), error) from error
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parts = make_url(url)
        if parts.get_backend_name() not in BACKENDS:
            raise ToolError(
                f"DAYCAST_STORE_URL to name {' or '.join(BACKENDS)}", parts.get_backend_name(), "choose one of these"
            )
        if parts.get_backend_name() == "sqlite":
            Path(parts.database or "").parent.mkdir(parents=True, exist_ok=True)
            return create_engine(parts, connect_args={"timeout": 60})
        return create_engine(parts, pool_pre_ping=True)
    except (SQLAlchemyError, ValueError) as error:  # ValueError: a port that is no number
        raise _failed("DAYCAST_STORE_URL", error) from error
    except ModuleNotFoundError as error:
        raise ToolError(
            "a driver for the database of DAYCAST_STORE_URL", f"no {error.name}", "`pip install 'daycast[server]'`"
        ) from error


def _failed(where: str, error: Exception) -> ToolError:
    return ToolError(
        "a forecast store that can be written",
        f"{type(error).__name__} at {where}: {error.args[0]}",
        "check DAYCAST_STORE_URL and that the database is up",
    )
