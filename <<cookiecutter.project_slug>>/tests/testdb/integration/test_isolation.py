"""What each way of isolation promises. Each test leaves traces that would make another fail."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import Executable, NullPool, Row, create_engine, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from <<cookiecutter.package_name>>.users import User

from testdb.runs.run import DatabaseSet
from testdb.testing.isolation import IsolationMode

MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]
every_mode = pytest.mark.parametrize("mode", MODES)
twice = pytest.mark.parametrize("time", [1, 2])

DescribeUser = Callable[[str], dict[str, Any]]
FetchRows = Callable[[Executable], Awaitable[Sequence[Row[Any]]]]


@twice
@every_mode
async def test_the_same_rows_are_new_in_every_test(
    client: AsyncClient, describe_user: DescribeUser, mode: IsolationMode, time: int
) -> None:
    created = await client.post("/users", json=describe_user("Ada"))
    assert created.status_code == HTTPStatus.CREATED
    assert created.json()["id"] == 1


@twice
@every_mode
def test_a_test_that_is_not_async_is_isolated_too(
    sync_session: Session, describe_user: DescribeUser, mode: IsolationMode, time: int
) -> None:
    sync_session.add(User(**describe_user("Ada")))
    sync_session.commit()
    assert sync_session.scalar(select(func.count()).select_from(User)) == 1


@every_mode
async def test_all_sessions_see_what_is_committed(
    client: AsyncClient,
    session: AsyncSession,
    sync_session: Session,
    fetch_rows: FetchRows,
    describe_user: DescribeUser,
    mode: IsolationMode,
) -> None:
    sync_session.add(User(**describe_user("Ada")))
    sync_session.commit()
    user = await session.scalar(select(User))
    assert user is not None
    await client.post("/users", json=describe_user("Grace"))
    await session.execute(text("UPDATE users SET name = 'Augusta' WHERE name = 'Ada'"))
    await session.commit()
    assert user.name == "Ada"
    assert await fetch_rows(select(User.name).order_by(User.name)) == [("Augusta",), ("Grace",)]


@every_mode
async def test_two_requests_at_once_each_have_a_connection(
    client: AsyncClient, describe_user: DescribeUser, mode: IsolationMode
) -> None:
    ada = describe_user("Ada")
    answers = await asyncio.gather(*(client.post("/users", json=ada) for _ in range(2)))
    codes = {answer.status_code for answer in answers}
    assert codes == {HTTPStatus.CREATED, HTTPStatus.CONFLICT}


@twice
@every_mode
async def test_the_schema_may_be_changed(
    session: AsyncSession, mode: IsolationMode, time: int
) -> None:
    await session.execute(text("ALTER TABLE users ADD COLUMN made_by_a_test text"))
    await session.commit()


@twice
def test_a_session_begins_with_its_own_settings(sync_session: Session, time: int) -> None:
    assert sync_session.scalar(text("SELECT current_setting('statement_timeout')")) == "0"
    sync_session.execute(text("SET statement_timeout = '1min'"))
    sync_session.execute(text("CREATE TEMPORARY TABLE scratch ()"))
    sync_session.commit()


@twice
async def test_the_app_begins_as_it_was(app: FastAPI, time: int) -> None:
    assert not hasattr(app.state, "time")
    app.state.time = time


@twice
def test_a_database_may_be_reached_by_its_url(databases: DatabaseSet, time: int) -> None:
    engine = create_engine(databases.urls["main"], poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE users CASCADE"))


@every_mode
async def test_every_logical_database_has_a_session(
    sessions: Mapping[str, AsyncSession],
    fetch_rows: Callable[..., Awaitable[Sequence[Row[Any]]]],
    databases: DatabaseSet,
    mode: IsolationMode,
) -> None:
    asked = text("SELECT current_database()")
    assert sessions.keys() == databases.names.keys()
    for logical, session in sessions.items():
        name = str(databases.names[logical])
        assert await session.scalar(asked) == name
        assert await fetch_rows(asked, logical=logical) == [(name,)]
