"""How a test is isolated from the others: rollback, reset or clone.

rollback   one connection, inside a transaction that is undone; commits become savepoints
reset      real commits over many connections; afterwards rows and sequences are put back
clone      databases of the test's own; it may change the schema, or hand them to a subprocess
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from testdb.identity.errors import LifecycleError


class IsolationMode(StrEnum):
    """The three modes. The README says what each allows and costs."""

    ROLLBACK = "rollback"
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
    """A test does what its isolation cannot bear. The message names the mode that can."""
