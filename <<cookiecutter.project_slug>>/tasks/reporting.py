"""How tasks end where something is wrong: one message on stderr, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

from invoke.exceptions import Exit

from testdb.identity.errors import LifecycleError
from testdb.postgres import Error
from testdb.processes import child


@contextmanager
def errors_as_exit() -> Iterator[None]:
    """End the task with the message of an error that a person can do something about.

    When it is terminated, what it does is undone first, as after Ctrl-C.
    """
    child.terminate_in_order()
    try:
        yield
    except child.Terminated:
        raise Exit(code=child.TERMINATED) from None
    except (LifecycleError, Error) as error:
        raise Exit(str(error), code=1) from None
