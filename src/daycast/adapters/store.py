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
    Column("quantiles", JSON, nullable=False),  # level as text -> value, raw units
    Column("model", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("data_version", String(64), nullable=False),
    Column("git_commit", String(64), nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    # The same model version on the same data makes the same forecast: a second write of it changes nothing.
    UniqueConstraint("dataset", "unique_id", "cutoff", "ds", "model_version", "data_version", name="one_forecast"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("from_version", String(64)),  # the champion before, if there was one
    Column("to_version", String(64), nullable=False),
    Column("decision", JSON, nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("dataset", "run_id", "to_version", name="one_promotion"),
)

KEYS = ["dataset", "unique_id", "cutoff", "ds", "model_version", "data_version"]


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine on the store, its tables made where missing.

    Raises:
        ToolError: the database can't be reached or written.
    """
    engine = _engine(url)
    try:
        metadata.create_all(engine)
        yield engine
    except SQLAlchemyError as error:
        raise ToolError(
            "a forecast store that can be written",
            f"{type(error).__name__} at {engine.url.render_as_string(hide_password=True)}: {error.args[0]}",
            "check DAYCAST_STORE_URL and that the database is up",
        ) from error
    finally:
        engine.dispose()


def _engine(url: str) -> Engine:
    try:
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            return create_engine(url, connect_args={"timeout": 60})
        return create_engine(url, pool_pre_ping=True)
    except (SQLAlchemyError, ImportError) as error:
        raise ToolError(
            "the URL of a forecast store, such as postgresql+psycopg2://user:password@host/database",
            f"one that SQLAlchemy can't use ({type(error).__name__})",
            "correct DAYCAST_STORE_URL; PostgreSQL needs `pip install 'daycast[postgres]'`",
        ) from error


def _insert_new(engine: Engine, target: Table, records: list[dict[str, Any]], keys: list[str]) -> int:
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    new = 0
    with engine.begin() as connection:
        for start in range(0, len(records), 500):  # below the limit of bound values of both databases
            statement = dialect.insert(target).values(records[start : start + 500])
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
    """All forecast rows of a dataset, oldest cutoff first, lineage included."""
    query = select(forecasts).where(forecasts.c.dataset == dataset)
    return pd.read_sql(query.order_by(forecasts.c.cutoff, forecasts.c.unique_id, forecasts.c.ds), engine)


def write_promotion(
    engine: Engine, dataset: str, run_id: str, versions: tuple[str | None, str], decision: dict[str, Any]
) -> bool:
    """Append a promotion (from, to) with its decision; the same one again changes nothing. True if it was new."""
    record = {
        "dataset": dataset,
        "run_id": run_id,
        "from_version": versions[0],
        "to_version": versions[1],
        "decision": decision,
        "decided_at": datetime.now(UTC),
    }
    return _insert_new(engine, promotions, [record], ["dataset", "run_id", "to_version"]) == 1


def read_promotions(engine: Engine, dataset: str) -> pd.DataFrame:
    """The promotion history of a dataset, oldest first."""
    return pd.read_sql(select(promotions).where(promotions.c.dataset == dataset).order_by(promotions.c.id), engine)
