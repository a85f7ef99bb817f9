"""Seeds: rows that the tests of a module, or all, find in their databases, stored by the owner."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from inspect import iscoroutinefunction

from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.orm import Session

from testdb.identity.errors import LifecycleError, in_one_line

Fill = Callable[[Mapping[str, Session]], None]
"""Stores rows, with a session for each logical database."""


def store(urls: Mapping[str, URL], fill: Fill) -> None:
    """Have seeds stored and committed in these databases.

    Raises:
        LifecycleError: that fails; it says in which line of the owner's.
    """
    try:
        _store(urls, fill)
    except Exception as error:  # noqa: BLE001  whatever the owner's function raises
        msg = f"No seeds were stored. {in_one_line(error)}"
        raise LifecycleError(msg) from None


def _store(urls: Mapping[str, URL], fill: Fill) -> None:
    if iscoroutinefunction(fill):
        msg = "an async function stores none, as these sessions are not async"
        raise TypeError(msg)
    with ExitStack() as stack:
        sessions = {
            logical: stack.enter_context(Session(create_engine(url, poolclass=NullPool)))
            for logical, url in urls.items()
        }
        fill(sessions)
        for session in sessions.values():
            session.commit()
