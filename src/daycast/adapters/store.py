"""The forecast store: forecasts and promotion history, which must outlive any run. SQLAlchemy; SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from daycast.core.lineage import Lineage
from daycast.errors import ToolError

metadata = MetaData()

forecasts = Table(
    "forecasts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("unique_id", String(256), nullable=False),
    Column("cutoff", DateTime, nullable=False),  # last timestamp the model saw, inclusive
    Column("ds", DateTime, nullable=False),
    Column("step", Integer, nullable=False),
    Column("y_hat", Float(53), nullable=False),  # raw units of the dataset
    Column("quantiles", JSON, nullable=False),  # level as text -> value, raw units; only levels that have a value
    Column("model", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("data_version", String(64), nullable=False),
    Column("git_commit", String(64), nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    # The same model version on the same data makes the same forecast: a second write of it changes nothing. The run
    # that made the version is part of its identity, as version numbers start anew in another registry.
    UniqueConstraint(
        "dataset", "unique_id", "cutoff", "ds", "model_version", "run_id", "data_version", name="one_forecast"
    ),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("number", Integer, nullable=False),  # from 1, of this dataset
    Column("run_id", String(64), nullable=False),
    Column("from_version", String(64)),  # the champion before, if there was one
    Column("to_version", String(64), nullable=False),
    Column("decision", JSON, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    # Of two writers at once, one is first; the other then sees what it wrote.
    UniqueConstraint("dataset", "number", name="one_after_the_other"),
)

KEYS = ["dataset", "unique_id", "cutoff", "ds", "model_version", "run_id", "data_version"]
INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine on the store, its tables made where missing.

    Raises:
        ToolError: the database can't be reached or written.
    """
    engine = _engine(url)
    try:
        _make_tables(engine)
        yield engine
    except SQLAlchemyError as error:
        raise _failed(engine.url.render_as_string(hide_password=True), error) from error
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    try:
        parts = make_url(url)
        if parts.get_backend_name() not in INSERTS:
            raise ToolError(
                f"DAYCAST_STORE_URL to name {' or '.join(INSERTS)}", parts.get_backend_name(), "choose one of these"
            )
        if parts.get_backend_name() == "sqlite":
            Path(parts.database or "").parent.mkdir(parents=True, exist_ok=True)
            return create_engine(parts, connect_args={"timeout": 60})
        return create_engine(parts, pool_pre_ping=True)
    except (SQLAlchemyError, ValueError) as error:  # ValueError: a port that is no number
        raise _failed("DAYCAST_STORE_URL", error) from error
    except ModuleNotFoundError as error:
        raise ToolError(
            "a driver for the database of DAYCAST_STORE_URL", f"no {error.name}", "`pip install 'daycast[postgres]'`"
        ) from error


def _failed(where: str, error: Exception) -> ToolError:
    return ToolError(
        "a forecast store that can be written",
        f"{type(error).__name__} at {where}: {error.args[0]}",
        "check DAYCAST_STORE_URL and that the database is up",
    )


def _make_tables(engine: Engine) -> None:
    try:
        metadata.create_all(engine)
    except SQLAlchemyError:  # another process was making them at the same moment; if not, this fails again
        metadata.create_all(engine)


def _insert_new(engine: Engine, target: Table, records: list[dict[str, Any]], keys: list[str]) -> int:
    insert, new = INSERTS[engine.dialect.name], 0
    with engine.begin() as connection:
        for start in range(0, len(records), 500):  # below the limit of bound values of both databases
            statement = insert(target).values(records[start : start + 500])
            written = connection.execute(statement.on_conflict_do_nothing(index_elements=keys).returning(target.c.id))
            new += len(written.all())
    return new


def write_forecasts(engine: Engine, dataset: str, rows: pd.DataFrame, model: tuple[str, str], lineage: Lineage) -> int:
    """Write forecast rows once; rows that are there already stay as they are.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat`` and quantile columns ``q0.1`` …, raw units.
        model: the model's name and its version in the registry.

    Returns:
        How many rows were new.
    """
    levels = [c for c in rows.columns if c.startswith("q0.")]
    now = datetime.now(UTC)
    name, version = model
    records = [
        {
            "dataset": dataset,
            "unique_id": row["unique_id"],
            "cutoff": pd.Timestamp(row["cutoff"]).to_pydatetime(),
            "ds": pd.Timestamp(row["ds"]).to_pydatetime(),
            "step": int(row["step"]),
            "y_hat": float(row["y_hat"]),
            # A step that was not validated has no quantiles, and JSON has no NaN.
            "quantiles": {level[1:]: float(row[level]) for level in levels if pd.notna(row[level])},
            "model": name,
            "model_version": version,
            "data_version": lineage.data_version,
            "git_commit": lineage.git_commit,
            "config_hash": lineage.config_hash,
            "run_id": lineage.run_id,
            "made_at": now,
        }
        for row in rows.to_dict("records")
    ]
    return _insert_new(engine, forecasts, records, KEYS)


def read_forecasts(engine: Engine, dataset: str) -> pd.DataFrame:
    """All forecast rows of a dataset, oldest cutoff first, lineage included; ``made_at`` in UTC."""
    query = select(forecasts).where(forecasts.c.dataset == dataset)
    rows = pd.read_sql(query.order_by(forecasts.c.cutoff, forecasts.c.unique_id, forecasts.c.ds), engine)
    return rows.assign(made_at=pd.to_datetime(rows["made_at"], utc=True))


def write_promotion(
    engine: Engine, dataset: str, run_id: str, versions: tuple[str | None, str], decision: dict[str, Any]
) -> bool:
    """Append a promotion (from, to) with its decision; writing the newest one again changes nothing.

    Returns:
        Whether it was new.
    """
    query = select(promotions).where(promotions.c.dataset == dataset).order_by(promotions.c.number.desc()).limit(1)
    while True:
        with engine.connect() as connection:
            newest = connection.execute(query).one_or_none()
        if newest is not None and (newest.run_id, newest.from_version, newest.to_version) == (run_id, *versions):
            return False
        record = {
            "dataset": dataset,
            "number": 1 if newest is None else newest.number + 1,
            "run_id": run_id,
            "from_version": versions[0],
            "to_version": versions[1],
            "decision": decision,
            "decided_at": datetime.now(UTC),
        }
        if _insert_new(engine, promotions, [record], ["dataset", "number"]):
            return True


def read_promotions(engine: Engine, dataset: str) -> pd.DataFrame:
    """The promotion history of a dataset, oldest first; ``decided_at`` in UTC."""
    query = select(promotions).where(promotions.c.dataset == dataset).order_by(promotions.c.number)
    rows = pd.read_sql(query, engine)
    return rows.assign(decided_at=pd.to_datetime(rows["decided_at"], utc=True))
