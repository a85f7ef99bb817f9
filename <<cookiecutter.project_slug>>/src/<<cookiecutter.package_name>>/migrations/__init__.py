"""Alembic migrations: a folder for each logical database, one env.py for all of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent


def alembic_config(logical: str, connection: Connection | None = None) -> Config:
    """Configure Alembic for one logical database, on an open connection where one is needed."""
    config = Config(attributes={"logical": logical, "connection": connection})
    # Any path works so: with spaces and colons (a newline separates folders) and with %.
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(MIGRATIONS / logical).replace("%", "%%"))
    return config


def upgrade(logical: str, connection: Connection, revision: str = "head") -> None:
    """Migrate the database behind the connection, and commit."""
    command.upgrade(alembic_config(logical, connection), revision)
