"""The service's settings in this process's environment: for disposable databases, or for none.

Importing testdb.runs replaces what the shell says, and so does the beginning of each test: no test,
example or task, and no program that they start, is led to a real database.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from testdb.adapter import ENV_PREFIX, LOGICAL, environment
from testdb.postgres.environment import NOWHERE, restrict
from testdb.postgres.server_url import DRIVER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL

NO_DATABASE: Final = f"{DRIVER}:///none?host={NOWHERE}"


# Nothing at all would not do: a service may read what is missing from a file such as .env.
_in_force: Final = [environment(dict.fromkeys(LOGICAL, NO_DATABASE))]
"""The settings of the innermost context come last."""


def apply() -> None:
    """Set the settings that are in force, and libpq's variables, whoever has changed them since."""
    restrict()
    os.environ.pop("PGPASSWORD", None)  # it would come before the passfile that has ours
    # In any case, as pydantic-settings reads them.
    for name in [name for name in os.environ if name.upper().startswith(ENV_PREFIX.upper())]:
        del os.environ[name]
    os.environ.update(_in_force[-1])


@contextmanager
def pointing_to(urls: Mapping[str, URL]) -> Iterator[None]:
    """Have the settings of these databases until the context ends."""
    settings = environment(urls)
    _in_force.append(settings)
    os.environ.update(settings)
    try:
        yield
    finally:
        # Not the last one where contexts overlap: fixtures may end in another order.
        _in_force[:] = [others for others in _in_force if others is not settings]
        for name in settings.keys() - _in_force[-1].keys():
            os.environ.pop(name, None)
        os.environ.update(_in_force[-1])
