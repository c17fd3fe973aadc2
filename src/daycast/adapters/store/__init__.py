"""The forecast store: forecasts and promotion history, which must outlive any run. SQLAlchemy; SQLite or PostgreSQL.

Its tables are in ``tables``, and how they came to be in ``migrations``, by Alembic: opening a store brings it up to
the schema of this code.
"""

from daycast.adapters.store.data import keep_data, kept_data
from daycast.adapters.store.history import Move, Turn, moving, read_promotions
from daycast.adapters.store.opening import Schema, opened, schema, upgrade
from daycast.adapters.store.rows import (
    find_forecasts,
    forecast_by_id,
    made_forecasts,
    newest_forecast,
    read_forecasts,
    write_forecasts,
)

__all__ = [
    "Move",
    "Schema",
    "Turn",
    "find_forecasts",
    "forecast_by_id",
    "keep_data",
    "kept_data",
    "made_forecasts",
    "moving",
    "newest_forecast",
    "opened",
    "read_forecasts",
    "read_promotions",
    "schema",
    "upgrade",
    "write_forecasts",
]
