"""Of each move of a champion: of what kind it was, whose, and why."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the three columns; all moves so far were promotions."""
    op.add_column("promotions", sa.Column("kind", sa.String(16), nullable=False, server_default="promotion"))
    op.add_column("promotions", sa.Column("actor", sa.String(256), nullable=False, server_default="unknown"))
    op.add_column("promotions", sa.Column("reason", sa.Text, nullable=False, server_default="not recorded"))


def downgrade() -> None:
    """Drop them, and what they hold."""
    for name in ("reason", "actor", "kind"):
        op.drop_column("promotions", name)
