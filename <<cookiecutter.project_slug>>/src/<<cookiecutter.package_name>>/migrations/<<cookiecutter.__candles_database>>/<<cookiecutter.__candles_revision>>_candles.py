"""Price candles."""

import sqlalchemy as sa
from alembic import op

<% if cookiecutter.databases == "two" %>
revision = "0001"
down_revision = None
<% else %>
revision = "0002"
down_revision = "0001"
<% endif %>


def upgrade() -> None:
    """Create the table of candles."""
    op.create_table(
        "candles",
        sa.Column("symbol", sa.String(20), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open", sa.Numeric(20, 8), nullable=False),
        sa.Column("high", sa.Numeric(20, 8), nullable=False),
        sa.Column("low", sa.Numeric(20, 8), nullable=False),
        sa.Column("close", sa.Numeric(20, 8), nullable=False),
        sa.Column("volume", sa.Numeric(28, 8), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "opened_at", name="pk_candles"),
    )


def downgrade() -> None:
    """Drop the table of candles."""
    op.drop_table("candles")
