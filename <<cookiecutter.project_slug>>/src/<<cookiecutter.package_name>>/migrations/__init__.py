"""Alembic migrations: a folder for each logical database, one env.py for all of them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.util import rev_id
from sqlalchemy import Connection, NullPool, create_engine, func, select
from sqlalchemy.exc import OperationalError

from <<cookiecutter.package_name>>.databases import check_urls
from <<cookiecutter.package_name>>.settings import error_as_exit, read_settings

DIRECTORY: Final = Path(__file__).parent
LOCK: Final = 4_203_198_011
"""Key of the advisory lock that who migrates a database holds. Any number that nobody else uses."""
POLL_SECONDS: Final = 0.5


def alembic_config(logical: str, connection: Connection | None = None) -> Config:
    """Configure Alembic for one logical database.

    Args:
        logical: which one.
        connection: to the database to work on; without it the one that the settings name is
            opened, if it is needed.
    """
    config = Config(attributes={"logical": logical, "connection": connection})
    # Any path works so: with spaces and colons (a newline separates folders) and with %.
    config.set_main_option("path_separator", "newline")
    config.set_main_option("script_location", str(DIRECTORY).replace("%", "%%"))
    config.set_main_option("version_locations", str(DIRECTORY / logical).replace("%", "%%"))
    # Files are listed by age. Their order is that of down_revision: two branches never collide.
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(rev)s_%%(slug)s")
    config.set_section_option("post_write_hooks", "hooks", "fix, format")
    for hook, command_line in {"fix": "check --fix-only", "format": "format"}.items():
        config.set_section_option("post_write_hooks", f"{hook}.type", "module")
        config.set_section_option("post_write_hooks", f"{hook}.module", "ruff")
        options = f"{command_line} --quiet REVISION_SCRIPT_FILENAME"
        config.set_section_option("post_write_hooks", f"{hook}.options", options)
    return config


@contextmanager
def connect(logical: str) -> Iterator[Connection]:
    """Connect to the database that the settings name, one program at a time.

    Several instances of the service may migrate when they start: one does, the others wait for it.

    Raises:
        SystemExit: the settings do not name it rightly, or it is out of reach.
    """
    with error_as_exit():
        settings = read_settings()
        check_urls(settings)
    url = settings.database_urls[logical].get_secret_value()
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        # In autocommit, and asking again and again: a session that waits, or has a transaction
        # open, would in turn keep CREATE INDEX CONCURRENTLY waiting.
        locking = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except OperationalError as error:
        msg = f"The database {logical} is out of reach: {' '.join(str(error.orig).split())}"
        raise SystemExit(msg) from None
    with locking, engine.connect() as connection:
        lock = select(func.pg_try_advisory_lock(LOCK))
        if not locking.scalar(lock):
            sys.stderr.write(f"Another program migrates {logical}; waiting for it.\n")
            while not locking.scalar(lock):
                time.sleep(POLL_SECONDS)
        yield connection


def upgrade(logical: str, connection: Connection | None = None) -> None:
    """Migrate a database to the newest revision, and commit. See `alembic_config`."""
    command.upgrade(alembic_config(logical, connection), "head")


def revise(logical: str, connection: Connection, message: str, *, empty: bool) -> Path | None:
    """Write a migration that makes of the database what the models describe.

    Args:
        logical: whose models.
        connection: to a database with all the migrations that there are.
        message: what the migration does.
        empty: write one that does nothing yet, for changes of data.

    Returns:
        Its file; None if there is nothing to write.
    """

    def skip_empty(_: MigrationContext, __: object, scripts: list[MigrationScript]) -> None:
        if scripts[0].upgrade_ops is not None and scripts[0].upgrade_ops.is_empty() and not empty:
            scripts.clear()

    folder, revision = DIRECTORY / logical, rev_id()
    try:
        command.revision(
            alembic_config(logical, connection),
            message,
            autogenerate=not empty,
            rev_id=revision,
            version_path=folder,
            process_revision_directives=skip_empty,
        )
    except BaseException:
        for path in folder.glob(f"*_{revision}_*"):
            path.unlink()
        raise
    return next(folder.glob(f"*_{revision}_*"), None)
