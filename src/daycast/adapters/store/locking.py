"""One process at a time, for as long as a transaction lasts."""

from __future__ import annotations

from sqlalchemy import Connection, text


def lock(connection: Connection, name: str) -> None:
    """Let other processes that ask for the same name wait until this connection's transaction ends.

    On SQLite they wait whatever they ask for, as does everybody who writes.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    else:
        # Python's driver would begin a transaction before rows only, and leave each change of a table on its own.
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("BEGIN IMMEDIATE")
