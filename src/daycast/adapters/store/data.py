"""Versions of the data that forecasts were made from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy import Engine, select

from daycast.adapters.store.rows import insert_new
from daycast.adapters.store.tables import data_versions


def keep_data(engine: Engine, dataset: str, version: str, pointers: Mapping[str, str]) -> None:
    """Keep what brings a version of the data back; one that is known stays as it is."""
    told = {"dataset": dataset, "version": version, "pointers": dict(pointers), "first_used_at": datetime.now(UTC)}
    insert_new(engine, data_versions, [told], ["dataset", "version"])


def kept_data(engine: Engine, dataset: str, version: str) -> dict[str, str] | None:
    """What brings a version of the data back, or ``None`` if no forecast was made from it since this is kept."""
    own = data_versions.c
    query = select(own.pointers).where(own.dataset == dataset, own.version == version)
    with engine.connect() as connection:
        found = connection.execute(query).scalar_one_or_none()
    return None if found is None else dict(found)
