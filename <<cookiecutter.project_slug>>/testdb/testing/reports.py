"""What pytest says of an error: the owner's line where testdb gives a reason, and no password."""

import pytest

from testdb.identity.errors import LifecycleError, ServerError, own_line
from testdb.identity.project import is_own
from testdb.testing.isolation import IsolationError


def in_one_message(
    error: LifecycleError, raised: pytest.ExceptionInfo[BaseException] | None
) -> pytest.ExceptionInfo[BaseException]:
    """Have pytest show the message and, unless no line is at fault, the owner's that led to it.

    Args:
        error: the reason.
        raised: what came of it, unless that was swallowed.
    """
    line = None
    if not isinstance(error, (IsolationError, ServerError)):
        line = own_line(error) or (raised and own_line(raised.value))
    failure = pytest.fail.Exception(str(error), pytrace=line is not None)
    for note in getattr(error, "__notes__", ()):
        failure.add_note(note)
    return pytest.ExceptionInfo.from_exception(failure.with_traceback(line or error.__traceback__))


def first_to_meet(error: BaseException, test: str) -> str | None:
    """Tell which test met this error first: a session fixture fails all tests that ask for it."""
    first: str = vars(error).setdefault("_testdb_first", test)
    return None if first == test else first


def hide_variables_of_libraries(longrepr: object) -> None:
    """Leave the variables of the owner's code in what pytest says of an error, and no others.

    It prints those of the frames that the error passed; libraries hold what they connect with.
    """
    for traceback, *_ in getattr(longrepr, "chain", ()):
        for entry in traceback.reprentries:
            place = getattr(entry, "reprfileloc", None)
            if place is None or not is_own(place.path):
                entry.reprlocals = entry.reprfuncargs = None
