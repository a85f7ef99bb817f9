"""EDIT THIS: the one link to the service. No other file of testdb knows it.

It imports the service alone, and holds all that testdb must know of it: its logical databases,
migrations, settings and application.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import URL

from <<cookiecutter.package_name>> import migrations
from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES, Databases
from <<cookiecutter.package_name>>.demo import fill  # demo
from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings

__all__ = [
    "ENV_PREFIX",
    "HEALTH",
    "LOGICAL",
    "SERVICE",
    "Databases",
    "create_app",
    "environment",
    "fill",  # demo
    "migration_files",
    "migrations",
    "settings",
    "source_files",
    "unchanged",
]

SERVICE: Final = "service"
"""The application_name of the service's sessions where it runs in the process of the tests."""
LOGICAL: Final = tuple(LOGICAL_DATABASES)
"""The logical databases, made and dropped together."""
HEALTH: Final = "/health"
"""The path that answers without an error when the service is ready."""


def source_files() -> Iterable[Path]:
    """List the code that the models may come from."""
    return migrations.DIRECTORY.parent.rglob("*.py")


def migration_files(logical: str) -> Iterable[Path]:
    """List the files that decide about a schema: the migrations, and the env.py that runs them."""
    folder = migrations.DIRECTORY
    return (*folder.glob("*.py"), *(folder / logical).rglob("*"))


def settings(urls: Mapping[str, URL]) -> Settings:
    """Make the service's settings for these databases; its sessions show under its name."""
    labelled = {
        logical: url.update_query_dict({"application_name": SERVICE})
        for logical, url in urls.items()
    }
    return Settings(
        database_urls={logical: SecretStr(str(url)) for logical, url in labelled.items()},
        development_mailbox=True,  # demo
    )


def environment(urls: Mapping[str, URL]) -> dict[str, str]:
    """Spell the settings as environment variables."""
    prefix = f"{ENV_PREFIX}DATABASE_URLS__"
    return {
        **{f"{prefix}{logical.upper()}": str(url) for logical, url in urls.items()},
        f"{ENV_PREFIX}DEVELOPMENT_MAILBOX": "true",  # demo
    }


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
