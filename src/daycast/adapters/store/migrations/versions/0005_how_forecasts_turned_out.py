"""What each forecast missed by, the ledger of it, how far it goes, and the episodes of alarms."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the four tables, and the index by which forecasts of a day are found."""
    op.create_index("forecasts_by_day", "forecasts", ["dataset", "ds"])
    op.create_table(
        "errors",
        sa.Column("forecast_id", BIG, primary_key=True, autoincrement=False),
        sa.Column("y", sa.Float(53), nullable=False),
        sa.Column("naive", sa.Float(53)),
        sa.Column("error", sa.Float(53), nullable=False),
        sa.Column("inside_80", sa.SmallInteger),
        sa.Column("inside_95", sa.SmallInteger),
        sa.Column("data_version", sa.String(64), nullable=False),
        sa.Column("judged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_y", sa.Float(53)),
        sa.Column("revised_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "ledger",
        sa.Column("dataset", sa.String(64), primary_key=True),
        sa.Column("cutoff", sa.DateTime, primary_key=True),
        sa.Column("ds", sa.DateTime, primary_key=True),
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("n", BIG, nullable=False),
        sa.Column("abs_error", sa.Float(53), nullable=False),
        sa.Column("error", sa.Float(53), nullable=False),
        sa.Column("n_naive", BIG, nullable=False),
        sa.Column("abs_error_naive", sa.Float(53), nullable=False),
        sa.Column("naive_error", sa.Float(53), nullable=False),
        sa.Column("n_80", BIG, nullable=False),
        sa.Column("inside_80", BIG, nullable=False),
        sa.Column("n_95", BIG, nullable=False),
        sa.Column("inside_95", BIG, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "ledger_marks",
        sa.Column("dataset", sa.String(64), primary_key=True),
        sa.Column("until", sa.DateTime, nullable=False),
        sa.Column("forecast_id", BIG, nullable=False),
    )
    op.create_table(
        "alarm_episodes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("topic", sa.String(32), nullable=False),
        sa.Column("began", sa.Date, nullable=False),
        sa.Column("last", sa.Date, nullable=False),
        sa.Column("ended", sa.Date),
        sa.Column("told_on", sa.Date),
        sa.Column("end_told_on", sa.Date),
        sa.Column("seen", sa.JSON, nullable=False),
        sa.UniqueConstraint("dataset", "topic", "began", name="one_episode"),
    )


def downgrade() -> None:
    """Drop them, and what they hold."""
    for name in ("alarm_episodes", "ledger_marks", "ledger", "errors"):
        op.drop_table(name)
    op.drop_index("forecasts_by_day", "forecasts")
