"""Forecast rows in and out of the store: written once, and never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from daycast.adapters.store.tables import forecasts
from daycast.core.lineage import Lineage

KEYS = ["dataset", "unique_id", "cutoff", "ds", "model_version", "run_id", "data_version"]
AT_ONCE = 10_000  # rows, of which a large panel has more than memory should hold as objects
INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def insert_new(engine: Engine, target: Table, records: Iterable[dict[str, Any]], keys: list[str]) -> int:
    """Insert what is not there yet, by these columns of a unique constraint; how many that were."""
    insert, new = INSERTS[engine.dialect.name], 0
    statement = insert(target).on_conflict_do_nothing(index_elements=keys).returning(target.c.id)
    left = iter(records)
    with engine.begin() as connection:
        while some := list(islice(left, AT_ONCE)):
            new += len(connection.execute(statement, some).all())
    return new


def write_forecasts(
    engine: Engine,
    dataset: str,
    rows: pd.DataFrame,
    model: tuple[str, str],
    lineage: Lineage,
    served: tuple[str, str | None] = ("champion", None),
) -> int:
    """Write forecast rows once; rows that are there already stay as they are.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat`` and quantile columns ``q0.1`` …, raw units.
        model: the model's name and its version in the registry.
        served: which rank of the fallback chain made them, and why no one before it did, or ``None``.

    Returns:
        How many rows were new.
    """
    levels = [c for c in rows.columns if c.startswith("q0.")]
    now = datetime.now(UTC)
    (name, version), (role, reason) = model, served
    records = (
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
            "role": role,
            "fallback_reason": reason,
        }
        for start in range(0, len(rows), AT_ONCE)
        for row in rows.iloc[start : start + AT_ONCE].to_dict("records")
    )
    return insert_new(engine, forecasts, records, KEYS)


def read_forecasts(
    engine: Engine, dataset: str, version: str | None = None, since: datetime | None = None
) -> pd.DataFrame:
    """The forecast rows of a dataset, oldest cutoff first; ``made_at`` in UTC.

    Args:
        version: of this version alone.
        since: from cutoffs from there on alone.
    """
    own = forecasts.c
    query = select(forecasts).where(own.dataset == dataset).order_by(own.cutoff, own.unique_id, own.ds)
    query = query if version is None else query.where(own.model_version == version)
    rows = pd.read_sql(query if since is None else query.where(own.cutoff >= since), engine)
    return rows.assign(made_at=pd.to_datetime(rows["made_at"], utc=True))


def made_forecasts(engine: Engine, dataset: str) -> dict[tuple[pd.Timestamp, str, str], int]:
    """How many steps ahead there are forecasts: by cutoff, version, and the run that made the version."""
    own = forecasts.c
    one = (own.cutoff, own.model_version, own.run_id)
    query = select(*one, func.max(own.step)).where(own.dataset == dataset).group_by(*one)
    with engine.connect() as connection:
        return {(pd.Timestamp(cutoff), *by): steps for cutoff, *by, steps in connection.execute(query)}


def find_forecasts(
    engine: Engine, dataset: str, unique_id: str, ds: datetime, cutoff: datetime | None = None
) -> list[dict[str, Any]]:
    """The rows that forecast one value, as the table has them, those of the latest cutoff and making first."""
    own = forecasts.c
    query = select(forecasts).where(own.dataset == dataset, own.unique_id == unique_id, own.ds == ds)
    query = query if cutoff is None else query.where(own.cutoff == cutoff)
    return _rows(engine, query.order_by(own.cutoff.desc(), own.made_at.desc(), own.id.desc()))


def forecast_by_id(engine: Engine, number: int) -> dict[str, Any] | None:
    """One row by its id, as the table has it, or ``None``."""
    found = _rows(engine, select(forecasts).where(forecasts.c.id == number))
    return found[0] if found else None


def newest_forecast(engine: Engine, dataset: str) -> dict[str, Any] | None:
    """The first row, by series and time, of those that were made last, or ``None``."""
    own = forecasts.c
    newest = (own.made_at.desc(), own.cutoff.desc(), own.unique_id, own.ds)
    found = _rows(engine, select(forecasts).where(own.dataset == dataset).order_by(*newest).limit(1))
    return found[0] if found else None


def newest_cutoff(engine: Engine, dataset: str, until: datetime) -> datetime | None:
    """The latest observation, up to ``until``, that any forecast was made from, or ``None`` without such forecasts."""
    own = forecasts.c
    query = select(func.max(own.cutoff)).where(own.dataset == dataset, own.cutoff <= until)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()


def _rows(engine: Engine, query: Select[Any]) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
