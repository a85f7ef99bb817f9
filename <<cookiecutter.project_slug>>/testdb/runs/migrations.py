"""Migrate databases by the service's own migrations, and tell when those have changed."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import URL, Connection, NullPool, create_engine

from testdb.adapter import (
    LOGICAL,
    MIGRATIONS,
    alembic_config,
    migration_files,
    mismatch,
    source_files,
    upgrade,
    versions,
)
from testdb.identity.errors import LifecycleError, shorten
from testdb.postgres.templates import Migrator
from testdb.runs.environment import pointing_to


def migrator_of(logical: str) -> Migrator:
    """Hand the migrations of a logical database to whoever builds its template."""
    tools = f"alembic {version('alembic')} sqlalchemy {version('sqlalchemy')}"
    digest = hash_files(migration_files(logical))
    return Migrator(logical, f"{tools} {digest}", partial(migrate, logical))


@contextmanager
def connect_to(logical: str, url: URL) -> Iterator[Connection]:
    """Connect to a database to migrate it. The settings name it too, as env.py may ask them."""
    engine = create_engine(url, poolclass=NullPool)
    with pointing_to({logical: url}), engine.connect() as connection:
        yield connection


def migrate(logical: str, url: URL) -> None:
    """Migrate a database to the newest revision of its logical database.

    Raises:
        LifecycleError: the migrations fail, or the adapter does not fit the service.
    """
    from testdb.runs.migration_errors import one_message  # most runs find their templates built
    from testdb.runs.revisions import check_revisions

    check_adapter()
    check_revisions(logical)
    with one_message(logical), connect_to(logical, url) as connection:
        upgrade(logical, connection)


def is_newest(logical: str, url: URL) -> bool:
    """Tell whether a database is at the newest revision of its logical database.

    Raises:
        LifecycleError: the migrations cannot be read.
    """
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from testdb.runs.migration_errors import one_message

    with one_message(logical), connect_to(logical, url) as connection:
        newest = ScriptDirectory.from_config(alembic_config(logical)).get_heads()
        return {*MigrationContext.configure(connection).get_current_heads()} == {*newest}


def check_logical(logical: str) -> None:
    """Make sure that there is such a logical database.

    Raises:
        LifecycleError: there is not.
    """
    if logical not in LOGICAL:
        msg = (
            f"There is no logical database {logical!r}, only {', '.join(LOGICAL)}. "
            "Each has a row in LOGICAL_DATABASES and a folder of migrations: "
            f"mkdir {shorten(versions(logical))}"
        )
        raise LifecycleError(msg)


def check_adapter() -> None:
    """Make sure that what the adapter says without importing the service is right.

    Raises:
        LifecycleError: it is not.
    """
    if problem := mismatch():
        raise LifecycleError(problem)


def fingerprint() -> str:
    """Hash the code of the service: models, migrations and whatever they import of it."""
    return hash_files(source_files())


def hash_files(files: Iterable[Path]) -> str:
    """Hash what files hold and where they are in the service; compiled Python does not count."""
    digest = blake2b(digest_size=16)
    for path in sorted(files):
        if path.is_file() and path.parent.name != "__pycache__":
            place = os.path.relpath(path, MIGRATIONS)
            digest.update(f"\0{place}\0".encode() + path.read_bytes())
    return digest.hexdigest()
