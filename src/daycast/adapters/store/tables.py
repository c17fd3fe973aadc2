"""The tables of the forecast store as they are now; ``migrations`` says how they came to be."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

forecasts = Table(
    "forecasts",
    metadata,
    # Of a million series, 14 million rows a day: the numbers of an Integer would last for half a year.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
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
    Column("role", String(32), nullable=False, server_default="champion"),  # rank of the fallback chain that made it
    Column("fallback_reason", Text),  # why the ranks before did not, or the data are not newer; empty on a good day
    # The same model version on the same data makes the same forecast: a second write of it changes nothing. The run
    # that made the version is part of its identity, as version numbers start anew in another registry.
    UniqueConstraint(
        "dataset", "unique_id", "cutoff", "ds", "model_version", "run_id", "data_version", name="one_forecast"
    ),
)

# What brings the files behind a forecast back: the data of most are no run's.
data_versions = Table(
    "data_versions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("pointers", JSON, nullable=False),  # path in the project -> text of the file that DVC reads
    Column("first_used_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("dataset", "version", name="one_data_version"),
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
    Column("kind", String(16), nullable=False, server_default="promotion"),  # promotion, rollback or override
    Column("actor", String(256), nullable=False, server_default="unknown"),  # user@machine
    Column("reason", Text, nullable=False, server_default="not recorded"),
    # Of two writers at once, one is first; the other then sees what it wrote.
    UniqueConstraint("dataset", "number", name="one_after_the_other"),
)
