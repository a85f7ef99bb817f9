"""EDIT THIS: the one link to the service. No other file of testdb knows it.

It imports the service alone, and holds all that testdb must know of it: its logical databases,
migrations, settings and application.
"""

# Each function imports what it needs of the service: whatever needs nothing of it starts without,
# and a measurement of coverage that begins after testdb was imported misses none of its lines.

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from alembic.config import Config
    from fastapi import FastAPI
    from sqlalchemy import URL, Connection

    from <<cookiecutter.package_name>>.settings import Settings


def _find(package: str) -> Path:
    """Find the folder of a package without importing it.

    Raises:
        ModuleNotFoundError: there is none.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(package)
    return Path(found.origin).parent


def _logical_databases() -> tuple[str, ...]:
    """Name the logical databases without importing the service: by the folders of migrations."""
    names = [
        folder.name
        for folder in MIGRATIONS.iterdir()
        if folder.is_dir()
        and folder.name != "__pycache__"
        # Git leaves such a folder behind when it goes to a branch that does not have it.
        and [path.name for path in folder.iterdir()] != ["__pycache__"]
    ]
    return tuple(sorted(names, key=lambda name: (name != "main", name)))


PACKAGE: Final = _find("<<cookiecutter.package_name>>")
"""Where the service is."""
MIGRATIONS: Final = PACKAGE / "migrations"
"""Where its migrations are: a folder for each logical database."""
LOGICAL: Final = _logical_databases()
"""The logical databases, made and dropped together; `main` is the first."""
ENV_PREFIX: Final = "<< cookiecutter.package_name | upper >>_"
"""How the variables begin that the service reads its settings from."""
SERVICE: Final = "service"
"""The application_name of the service's sessions where it runs in the process of the tests."""
SETTINGS: Final[Mapping[str, str]] = {
    "log_format": "text",  # as testdb/processes/reports.py reads it
    "development_mailbox": "true",  # demo
}
"""Settings of the service besides its databases, in tests, examples and tasks.

They are spelled as in the environment, where testdb/runs/environment.py puts them.
"""
MIGRATION_CHECKS: Final = ("models", "downgrades")
"""What is told before the first test: models that are ahead, migrations that cannot be undone."""
HEALTH: Final = "/health"
"""The path that answers without an error when the service is ready."""


def mismatch() -> str | None:
    """Say where the service does not say what is assumed of it above, if it does not."""
    return _mismatch_of_databases() or mismatch_of_settings()


def _mismatch_of_databases() -> str | None:
    from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES

    for name in LOGICAL_DATABASES:
        if name != name.lower() or "__" in name or not name.isidentifier():
            return (
                f"The logical database {name} needs another name: a word in lower case, without "
                f"__, as it is part of the variable {ENV_PREFIX}DATABASE_URLS__{name.upper()}."
            )
    if missing := LOGICAL_DATABASES.keys() - set(LOGICAL):
        folders = " ".join(str(MIGRATIONS / logical) for logical in sorted(missing))
        return f"LOGICAL_DATABASES names what has no folder of migrations: mkdir {folders}"
    if extra := set(LOGICAL) - LOGICAL_DATABASES.keys():
        return (
            f"{MIGRATIONS} has a folder for {', '.join(sorted(extra))}, and LOGICAL_DATABASES has "
            "no row. Add the row, or delete the folder."
        )
    return None


def mismatch_of_settings() -> str | None:
    """Say where SETTINGS above do not fit those of the service, if they do not."""
    from <<cookiecutter.package_name>>.settings import ENV_PREFIX as PREFIX
    from <<cookiecutter.package_name>>.settings import Settings, SettingsError

    if PREFIX != ENV_PREFIX:
        return f"ENV_PREFIX is {PREFIX} in the service and {ENV_PREFIX} in testdb/adapter.py."
    for name in SETTINGS:
        if name.partition("__")[0] not in Settings.model_fields:
            return f"SETTINGS in testdb/adapter.py has {name}, which is no setting of the service."
    try:
        settings({})
    except SettingsError as error:
        return f"{error} Tests, examples and tasks take it from SETTINGS in testdb/adapter.py."
    return None


def create_app(configured: Settings | None = None) -> FastAPI:
    """Make the application. Without settings it reads them from the environment."""
    from <<cookiecutter.package_name>> import app

    return app.create_app(configured)


def log_config() -> dict[str, Any]:
    """Describe to uvicorn how the service logs, by the settings in the environment."""
    from <<cookiecutter.package_name>> import logs
    from <<cookiecutter.package_name>>.settings import error_as_exit, read_settings

    with error_as_exit():
        return logs.log_config(read_settings())


async def fill(configured: Settings) -> None:  # demo
    """Store the demo data."""  # demo
    from <<cookiecutter.package_name>> import demo  # demo

    await demo.fill(configured)  # demo


def alembic_config(logical: str, connection: Connection | None = None) -> Config:
    """Configure Alembic for one logical database, on an open connection where one is needed."""
    from <<cookiecutter.package_name>> import migrations

    return migrations.alembic_config(logical, connection)


def alembic_command(logical: str) -> str:
    """Spell Alembic's own command line for one logical database."""
    return f"python -m {PACKAGE.name}.migrations {logical}"


def upgrade(logical: str, connection: Connection) -> None:
    """Migrate the database behind the connection to the newest revision, and commit."""
    from <<cookiecutter.package_name>> import migrations

    migrations.upgrade(logical, connection)


def revise(logical: str, connection: Connection, message: str, *, empty: bool) -> Path | None:
    """Write a migration that makes of a migrated database what the models describe, or none."""
    from <<cookiecutter.package_name>> import migrations

    return migrations.revise(logical, connection, message, empty=empty)


def source_files() -> Iterable[Path]:
    """List the code that the models may come from, and this file, which must fit it."""
    return (*PACKAGE.rglob("*.py"), Path(__file__))


def versions(logical: str) -> Path:
    """Say where the migrations of one logical database are."""
    return MIGRATIONS / logical


def migration_files(logical: str) -> Iterable[Path]:
    """List the files that decide about a schema: the migrations, and the env.py that runs them."""
    return (*MIGRATIONS.glob("*.py"), *versions(logical).rglob("*"))


def settings(urls: Mapping[str, URL]) -> Settings:
    """Make the service's settings for these databases; its sessions show under its name.

    All others are read from the environment, as the service does it.
    """
    from pydantic import SecretStr

    from <<cookiecutter.package_name>>.settings import read_settings

    labelled = {
        logical: url.update_query_dict({"application_name": SERVICE})
        for logical, url in urls.items()
    }
    secrets = {logical: SecretStr(str(url)) for logical, url in labelled.items()}
    return read_settings(database_urls=secrets)


def environment(urls: Mapping[str, URL | str]) -> dict[str, str]:
    """Spell the settings as environment variables."""
    databases = {f"database_urls__{logical}": str(url) for logical, url in urls.items()}
    every = {**databases, **SETTINGS}
    return {f"{ENV_PREFIX}{name}".upper(): str(value) for name, value in every.items()}


@contextmanager
def unchanged(app: FastAPI) -> Iterator[None]:
    """Have the application afterwards as it is now: its state, overrides, routes and handlers."""
    attributes = dict(vars(app))
    kept: list[tuple[dict[Any, Any] | list[Any], Any]] = [
        (found, found.copy())
        for found in (
            app.state._state,  # noqa: SLF001  Starlette has no public way to read all of it
            app.dependency_overrides,
            app.exception_handlers,
            app.user_middleware,
            app.router.routes,
        )
    ]
    try:
        yield
    finally:
        vars(app).clear()
        vars(app).update(attributes)
        for found, before in kept:
            found.clear()
            found.update(before) if isinstance(found, dict) else found.extend(before)
