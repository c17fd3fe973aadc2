"""Of each forecast row: which rank of the fallback chain made it, and why none before it did."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the two columns; all rows so far are of champions, or of versions in their place."""
    op.add_column("forecasts", sa.Column("role", sa.String(32), nullable=False, server_default="champion"))
    op.add_column("forecasts", sa.Column("fallback_reason", sa.Text))


def downgrade() -> None:
    """Drop them, and what they hold."""
    for name in ("fallback_reason", "role"):
        op.drop_column("forecasts", name)
