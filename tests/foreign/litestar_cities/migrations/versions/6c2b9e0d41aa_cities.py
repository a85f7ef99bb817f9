"""cities

Revision ID: 6c2b9e0d41aa
Revises:
Create Date: 2025-08-04 21:40:12.518204

"""

import sqlalchemy as sa
from alembic import op

revision = "6c2b9e0d41aa"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cities",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("cities")
