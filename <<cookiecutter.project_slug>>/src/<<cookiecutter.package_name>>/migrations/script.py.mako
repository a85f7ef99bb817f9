"""${" ".join((message[:1].upper() + message[1:].rstrip(".")).split()).replace("\\", "/").replace('"', "'")}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Upgrade."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Undo the upgrade."""
    ${downgrades if downgrades else "pass"}
