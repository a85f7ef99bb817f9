"""Alembic migrations: a folder for each logical database, one env.py for all of them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

DIRECTORY = Path(__file__).parent


def alembic_config(logical: str, connection: Connection | None = None) -> Config:
    """Configure Alembic for one logical database, on an open connection where one is needed."""
    config = Config(attributes={"logical": logical, "connection": connection})
    # Any path works so: with spaces and colons (a newline separates folders) and with %.
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(DIRECTORY).replace("%", "%%"))
    config.set_main_option("version_locations", str(DIRECTORY / logical).replace("%", "%%"))
    return config


def upgrade(logical: str, connection: Connection, revision: str = "head") -> None:
    """Migrate the database behind the connection, and commit."""
    command.upgrade(alembic_config(logical, connection), revision)


def revise(logical: str, connection: Connection, message: str) -> None:
    """Write a migration that makes of the database what the models describe.

    Args:
        logical: whose models.
        connection: to a database with all the migrations that there are.
        message: what the migration does.
    """
    folder = DIRECTORY / logical
    folder.mkdir(exist_ok=True)
    config = alembic_config(logical, connection)
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_section_option("post_write_hooks", "hooks", "ruff")
    config.set_section_option("post_write_hooks", "ruff.type", "module")
    config.set_section_option("post_write_hooks", "ruff.module", "ruff")
    config.set_section_option("post_write_hooks", "ruff.options", "format REVISION_SCRIPT_FILENAME")
    revision = f"{len(list(folder.glob('*.py'))) + 1:04}"
    command.revision(config, message, autogenerate=True, rev_id=revision, version_path=folder)
