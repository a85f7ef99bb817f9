"""Workers never meet: each has databases of its own, where the same unique key is free."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, func, select, text
from sqlalchemy.orm import Session

from <<cookiecutter.package_name>>.users import User

from testdb.identity.disposable import Kind
from testdb.identity.errors import RefusedError
from testdb.identity.names import field, parse
from testdb.runs.run import DatabaseSet, Run

DescribeUser = Callable[[str], dict[str, Any]]


@pytest.fixture
def two_workers(run: Run) -> Iterator[list[Session]]:
    """Have a session of each of two workers, whatever number of them this run has."""
    with ExitStack() as stack:
        yield [_session(stack, run, worker) for worker in ("one", "two")]


def _session(stack: ExitStack, run: Run, worker: str) -> Session:
    databases = stack.enter_context(run.databases(worker, Kind.WORKER))
    engine = create_engine(databases.urls["main"])
    stack.callback(engine.dispose)
    return stack.enter_context(Session(engine))


def test_two_workers_insert_the_same_email_at_the_same_time(
    two_workers: list[Session], describe_user: DescribeUser
) -> None:
    for session in two_workers:
        # In one database the second insert would wait for the first one's commit, then fail.
        session.execute(text("SET lock_timeout = '1s'"))
        session.add(User(**describe_user("Ada")))
        session.flush()
    for session in two_workers:
        session.commit()
    for session in two_workers:
        assert session.scalar(select(func.count()).select_from(User)) == 1


@pytest.mark.isolation("reset")
@pytest.mark.parametrize("time", range(6))
def test_every_worker_commits_the_same_email(
    databases: DatabaseSet,
    sync_session: Session,
    describe_user: DescribeUser,
    worker: str,
    time: int,
) -> None:
    sync_session.add(User(**describe_user("Ada")))
    sync_session.commit()
    assert sync_session.scalars(select(User.name)).all() == ["Ada"]
    name = parse(str(sync_session.scalar(select(func.current_database()))))
    assert name == databases.names["main"]
    assert name.role == field(worker)


def test_names_that_are_in_use_are_refused_and_what_has_them_stays(run: Run) -> None:
    with run.databases("twice", Kind.WORKER) as databases:
        with pytest.raises(RefusedError, match="has databases of 'twice' already"):
            run.create("twice", Kind.WORKER)
        engine = create_engine(databases.urls["main"], poolclass=NullPool)
        with Session(engine) as session:
            assert session.scalar(select(func.count()).select_from(User)) == 0
