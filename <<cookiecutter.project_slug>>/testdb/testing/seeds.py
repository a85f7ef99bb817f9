"""Seeds: rows that the tests of a module, or all, find in their databases, stored by the owner."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from inspect import iscoroutinefunction
from pathlib import Path
from traceback import extract_stack, extract_tb
from typing import NoReturn

import pytest
from sqlalchemy import URL, NullPool, create_engine
from sqlalchemy.orm import Session

from testdb.testing.reports import is_own

Fill = Callable[[Mapping[str, Session]], None]
"""Stores rows, with a session for each logical database."""


def store(urls: Mapping[str, URL], fill: Fill) -> None:
    """Have seeds stored and committed in these databases.

    Raises:
        pytest.fail.Exception: that fails; it says in which line of the owner's.
    """
    try:
        _store(urls, fill)
    except Exception as error:  # noqa: BLE001  whatever the owner's function raises
        msg = (
            f"{_owners_line(error)}: no seeds were stored. Correct this: "
            f"{type(error).__name__}: {error}"
        )
        raise pytest.fail.Exception(msg, pytrace=False) from None


def say_that_it_is_too_late() -> NoReturn:
    """Refuse seeds for databases that a test uses.

    Raises:
        pytest.fail.Exception: always.
    """
    msg = (
        f"{_owners_line()}: a test uses the databases already, so that it cannot have seeds. Use "
        '`seeded` in a fixture with scope="module" or scope="session".'
    )
    raise pytest.fail.Exception(msg, pytrace=False)


def _owners_line(error: BaseException | None = None) -> str:
    """Find the line of the owner's code that an error came from, or that called us."""
    frames = [*extract_stack(), *extract_tb(error.__traceback__ if error else None)]
    own = [frame for frame in frames if is_own(Path(frame.filename))]
    last = (own or frames)[-1]
    return f"{os.path.relpath(last.filename)}:{last.lineno}"


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
