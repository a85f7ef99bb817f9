"""What pytest says of an error: the owner's line where testdb gives a reason, and no password."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple

import pytest

from testdb.identity.errors import LifecycleError, ServerError, own_line, own_traceback
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


@contextmanager
def shown_in_own_code(
    raised: pytest.ExceptionInfo[BaseException] | None, config: pytest.Config
) -> Iterator[pytest.ExceptionInfo[BaseException] | None]:
    """Leave the frames of libraries out of an error and its causes while pytest reports it.

    Left out as well is a library's error whose text the error it caused repeats. An error that
    passed no code of the owner stays as it is, and --full-trace shows everything.
    """
    changed: list[tuple[BaseException, _Parts]] = []
    try:
        if raised and own_traceback(raised.value) and not config.getoption("fulltrace"):
            _shorten(raised.value, changed)
            raised = pytest.ExceptionInfo.from_exception(raised.value)
        yield raised
    finally:
        for shortened, parts in reversed(changed):
            parts.put_into(shortened)


class _Parts(NamedTuple):
    """The attributes of an error that a report of it is made from, to be put back afterwards."""

    traceback: TracebackType | None
    cause: BaseException | None
    context: BaseException | None
    suppresses_context: bool

    def put_into(self, error: BaseException) -> None:
        error.__traceback__, error.__cause__ = self.traceback, self.cause
        error.__context__, error.__suppress_context__ = self.context, self.suppresses_context


def _shorten(error: BaseException, changed: list[tuple[BaseException, _Parts]]) -> None:
    if any(error is known for known, _ in changed):
        return
    of_error = (error.__cause__, error.__context__, error.__suppress_context__)
    changed.append((error, _Parts(error.__traceback__, *of_error)))
    error.__traceback__ = own_traceback(error)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            if own_traceback(member):
                _shorten(member, changed)
    led = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if led and not own_traceback(led) and str(led) in str(error):
        error.__cause__ = error.__context__ = None
    elif led:
        _shorten(led, changed)


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
