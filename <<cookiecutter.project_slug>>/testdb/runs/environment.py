"""The service's settings in this process's environment: for disposable databases, or for none.

Importing testdb.runs replaces what the shell says, so that no test, example or task, and no program
that they start, is led to a real database.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL

from testdb.adapter import ENV_PREFIX, LOGICAL, environment
from testdb.postgres.environment import NOWHERE
from testdb.postgres.server import DRIVER

NO_DATABASE: Final = URL.create(DRIVER, database="none", query={"host": NOWHERE})


def lead_nowhere() -> None:
    """Replace all settings of the service by URLs of no database.

    Nothing at all would not do: a service may read what is missing from a file such as .env.
    """
    settings = environment(dict.fromkeys(LOGICAL, NO_DATABASE))
    _replace({name: value for name, value in settings.items() if value == str(NO_DATABASE)})


@contextmanager
def pointing_to(urls: Mapping[str, URL] | None) -> Iterator[None]:
    """Have the settings of these databases, or of none, until the context ends."""
    before = {name: os.environ[name] for name in _settings()}
    if urls is None:
        lead_nowhere()
    else:
        _replace(environment(urls))
    try:
        yield
    finally:
        _replace(before)


def _replace(settings: Mapping[str, str]) -> None:
    for name in _settings():
        del os.environ[name]
    os.environ.update(settings)


def _settings() -> list[str]:
    # In any case, as pydantic-settings reads them.
    return [name for name in os.environ if name.upper().startswith(ENV_PREFIX.upper())]
