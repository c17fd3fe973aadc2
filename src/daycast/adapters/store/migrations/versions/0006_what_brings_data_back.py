"""Of each version of the data that forecasts were made from: what brings its files back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table; of forecasts made before, runs or the workspace may tell."""
    op.create_table(
        "data_versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("dataset", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("pointers", sa.JSON, nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("dataset", "version", name="one_data_version"),
    )


def downgrade() -> None:
    """Drop it, and what it holds."""
    op.drop_table("data_versions")
