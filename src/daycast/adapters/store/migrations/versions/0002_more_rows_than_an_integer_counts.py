"""Numbers of forecast rows beyond two thousand million; SQLite's are so long already."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Let PostgreSQL count on."""
    _count_by("bigint")


def downgrade() -> None:
    """Let it count no further than before."""
    _count_by("integer")


def _count_by(kind: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE forecasts ALTER COLUMN id TYPE {kind}")
        op.execute(f"ALTER SEQUENCE forecasts_id_seq AS {kind}")
