"""The tables of the forecast store as they are now; ``migrations`` says how they came to be."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
BIG = BigInteger().with_variant(Integer, "sqlite")

forecasts = Table(
    "forecasts",
    metadata,
    # Of a million series, 14 million rows a day: the numbers of an Integer would last for half a year.
    Column("id", BIG, primary_key=True),
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
    Index("forecasts_by_day", "dataset", "ds"),
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

errors = Table(
    "errors",
    metadata,
    Column("forecast_id", BIG, primary_key=True, autoincrement=False),  # of `forecasts`; a row there has one here
    Column("y", Float(53), nullable=False),  # raw units, as are naive and error
    Column("naive", Float(53)),  # the seasonal naive forecast of the same cutoff, where it had one
    Column("error", Float(53), nullable=False),  # y_hat - y
    Column("inside_80", SmallInteger),  # 1 or 0; null for a row without these quantiles
    Column("inside_95", SmallInteger),
    Column("data_version", String(64), nullable=False),  # that y is of
    Column("judged_at", DateTime(timezone=True), nullable=False),
    Column("first_y", Float(53)),  # what y was before the source revised it; null if it never did
    Column("revised_at", DateTime(timezone=True)),
)

# Sums over series, so that what is asked every day does not grow with how many there are.
ledger = Table(
    "ledger",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("cutoff", DateTime, primary_key=True),
    Column("ds", DateTime, primary_key=True),
    Column("model", String(64), primary_key=True),
    Column("model_version", String(64), primary_key=True),
    Column("run_id", String(64), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("n", BIG, nullable=False),
    Column("abs_error", Float(53), nullable=False),
    Column("error", Float(53), nullable=False),
    Column("n_naive", BIG, nullable=False),  # rows that have a seasonal naive forecast beside them, and of these:
    Column("abs_error_naive", Float(53), nullable=False),  # the forecast's absolute errors
    Column("naive_error", Float(53), nullable=False),  # the seasonal naive's
    Column("n_80", BIG, nullable=False),
    Column("inside_80", BIG, nullable=False),
    Column("n_95", BIG, nullable=False),
    Column("inside_95", BIG, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),  # of the newest forecast in it
)

ledger_marks = Table(
    "ledger_marks",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("until", DateTime, nullable=False),  # newest observation by which forecasts were judged
    Column("forecast_id", BIG, nullable=False),  # of all forecasts up to this one
)

alarm_episodes = Table(
    "alarm_episodes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("topic", String(32), nullable=False),  # forecasts, or data
    Column("began", Date, nullable=False),
    Column("last", Date, nullable=False),  # newest day with an alarm
    Column("ended", Date),  # null while it goes on
    Column("told_on", Date),  # when people were told last that it goes on; null before the first time
    Column("end_told_on", Date),
    Column("seen", JSON, nullable=False),  # the alarms as they were seen last
    UniqueConstraint("dataset", "topic", "began", name="one_episode"),
)
