"""How a test is isolated from the others. Either way it commits for real, over many connections.

reset   it uses the worker's databases, which are put back afterwards
clone   it has databases of its own
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from testdb.identity.errors import LifecycleError
from testdb.postgres.guard import in_service


class IsolationMode(StrEnum):
    """The two ways. The README says what each costs."""

    RESET = "reset"
    CLONE = "clone"


@dataclass(frozen=True)
class Isolation:
    """How one test is isolated."""

    mode: IsolationMode
    test: str
    should_keep: Callable[[], bool]
    """Asked at the end: the test failed, and a person wants to look at its databases."""


class IsolationError(LifecycleError):
    """A test left something running that could reach the next one."""


@contextmanager
def as_service() -> Iterator[None]:
    """Begin here what belongs to the service: its connections and asyncio tasks outlive a test."""
    token = in_service.set(True)
    try:
        yield
    finally:
        in_service.reset(token)
