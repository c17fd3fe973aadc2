"""The schema's revisions, by Alembic: which one a store has, and the way from there to this code's.

The table that holds it has a name of its own, as MLflow and Optuna call theirs ``alembic_version`` and may be in the
same database.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from daycast.adapters.store.locking import lock
from daycast.errors import ToolError

MIGRATIONS = Path(__file__).parent / "migrations"
TABLE = "daycast_revision"
_alone = threading.Lock()  # Alembic keeps the revision it is running in globals


def known() -> list[str]:
    """Revisions of this code, oldest first: the numbers that files of ``migrations/versions`` begin with."""
    return sorted(file.stem.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def wanted() -> str:
    """The revision of this code."""
    return known()[-1]


def found(engine: Engine) -> str | None:
    """The revision of the store; ``None`` if it is empty, or was made before revisions were kept."""
    with engine.connect() as connection:
        return _found(connection)


def upgrade(engine: Engine) -> None:
    """Bring the store up to this code's schema, whoever else does so at the same moment; nothing if it is there.

    Raises:
        ToolError: newer code has changed its schema.
    """
    if not _behind(found(engine)):
        return
    with _alone, engine.connect() as connection:
        lock(connection, "daycast schema")
        if _behind(_found(connection)):  # still: another process may have been faster
            from alembic import command

            command.upgrade(config(connection), "head")
        connection.commit()


def config(connection: Connection):  # type: ignore[no-untyped-def]  # Alembic's Config, imported where used
    """Alembic's configuration, for its commands on this connection."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def _found(connection: Connection) -> str | None:
    if not inspect(connection).has_table(TABLE):
        return None
    revision = connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalar_one_or_none()
    return None if revision is None else str(revision)


def _behind(revision: str | None) -> bool:
    """Whether this code has newer revisions."""
    if revision is not None and revision not in known():
        raise ToolError(
            f"a forecast store with the schema of this code, {wanted()}, or an older one",
            f"revision {revision}, of newer code",
            "use that newer code here too, or point DAYCAST_STORE_URL to another store",
        )
    return revision != wanted()
