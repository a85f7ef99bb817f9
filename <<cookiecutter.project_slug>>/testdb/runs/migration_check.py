"""Do migrations and models agree? And where they do not, the migration that is missing."""

import io
from contextlib import suppress

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from testdb.adapter import LOGICAL, MIGRATIONS, alembic_config, revise
from testdb.identity.disposable import Kind
from testdb.identity.errors import LifecycleError
from testdb.runs.migrations import check_adapter
from testdb.runs.run import Run


def check_heads() -> None:
    """Make sure that the migrations of each logical database end in one revision.

    Raises:
        LifecycleError: two of them end there, or the adapter does not fit the service.
    """
    check_adapter()
    for logical in LOGICAL:
        heads = ScriptDirectory.from_config(alembic_config(logical)).get_heads()
        if len(heads) > 1:
            msg = (
                f"The migrations of the logical database {logical} have {len(heads)} heads: "
                f"{', '.join(heads)}. Set down_revision of one of them to another, or merge them."
            )
            raise LifecycleError(msg)


def check_models(run: Run) -> None:
    """Make sure that migrations make what the models describe, and can be undone and redone.

    A migration whose downgrade raises NotImplementedError says that it cannot be undone.

    Raises:
        LifecycleError: they differ, or undoing or redoing fails.
    """
    with run.databases("check", Kind.CLONE) as databases:
        for logical, url in databases.urls.items():
            try:
                with create_engine(url, poolclass=NullPool).connect() as connection:
                    _check_models(logical, connection)
            except (CommandError, SQLAlchemyError) as error:
                msg = (
                    f"Models and migrations of the logical database {logical} disagree: {error} "
                    f"Correct the models, or write a migration in {MIGRATIONS / logical}."
                )
                raise LifecycleError(msg) from None


def _check_models(logical: str, connection: Connection) -> None:
    config = alembic_config(logical, connection)
    config.stdout = io.StringIO()
    command.check(config)
    with suppress(NotImplementedError):
        command.downgrade(config, "base")
        command.upgrade(config, "head")


def write_revision(run: Run, logical: str, message: str) -> None:
    """Write the migration that is missing, by comparing the models with a migrated database.

    Raises:
        LifecycleError: there is no such logical database, or its migrations fail.
    """
    if logical not in LOGICAL:
        msg = (
            f"There is no logical database {logical!r}, only {', '.join(LOGICAL)}. "
            f"Each has a row in LOGICAL_DATABASES and a folder in {MIGRATIONS}."
        )
        raise LifecycleError(msg)
    with run.databases("revision", Kind.CLONE) as databases:
        url = databases.urls[logical]
        with create_engine(url, poolclass=NullPool).connect() as connection:
            revise(logical, connection, message)
