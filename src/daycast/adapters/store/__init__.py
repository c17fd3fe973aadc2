"""The forecast store: forecasts, what they missed by, and promotion history, which must outlive any run. SQLAlchemy;
SQLite or PostgreSQL.

Its tables are in ``tables``, and how they came to be in ``migrations``, by Alembic: opening a store brings it up to
the schema of this code.
"""

from daycast.adapters.store.data import keep_data, kept_data
from daycast.adapters.store.episodes import Episode, follow_alarms, going_on, mark_told, untold
from daycast.adapters.store.history import Move, Turn, moving, read_promotions
from daycast.adapters.store.ledger import judge, read_ledger, worst_series
from daycast.adapters.store.opening import Schema, opened, schema, upgrade
from daycast.adapters.store.rows import (
    find_forecasts,
    forecast_by_id,
    made_forecasts,
    newest_cutoff,
    newest_forecast,
    read_forecasts,
    write_forecasts,
)
from daycast.adapters.store.witness import witnessed

__all__ = [
    "Episode",
    "Move",
    "Schema",
    "Turn",
    "find_forecasts",
    "follow_alarms",
    "forecast_by_id",
    "going_on",
    "judge",
    "keep_data",
    "kept_data",
    "made_forecasts",
    "mark_told",
    "moving",
    "newest_cutoff",
    "newest_forecast",
    "opened",
    "read_forecasts",
    "read_ledger",
    "read_promotions",
    "schema",
    "untold",
    "upgrade",
    "witnessed",
    "worst_series",
    "write_forecasts",
]
