"""What each mode of isolation promises. Each test leaves traces that would make another fail."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import Executable, NullPool, Row, create_engine, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from <<cookiecutter.package_name>>.users import User

from testdb.runs.run import DatabaseSet
from testdb.testing.isolation import IsolationError, IsolationMode

ADA = {"email": "ada@example.com", "name": "Ada"}
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]
every_mode = pytest.mark.parametrize("mode", MODES)
own_connections = pytest.mark.parametrize("mode", MODES[1:])
twice = pytest.mark.parametrize("time", [1, 2])

FetchRows = Callable[[Executable], Awaitable[Sequence[Row[Any]]]]


@twice
@every_mode
async def test_the_same_rows_are_new_in_every_test(
    client: AsyncClient, mode: IsolationMode, time: int
) -> None:
    created = await client.post("/users", json=ADA)
    assert created.status_code == HTTPStatus.CREATED
    if mode is not IsolationMode.ROLLBACK:  # which cannot put sequences back
        assert created.json()["id"] == 1


@twice
@every_mode
def test_a_test_that_is_not_async_is_isolated_too(
    sync_session: Session, mode: IsolationMode, time: int
) -> None:
    sync_session.add(User(**ADA))
    sync_session.commit()
    assert sync_session.scalar(select(func.count()).select_from(User)) == 1


@every_mode
async def test_what_is_stored_is_read_past_every_cache(
    client: AsyncClient, session: AsyncSession, fetch_rows: FetchRows, mode: IsolationMode
) -> None:
    user = User(**ADA)
    session.add(user)
    await session.commit()
    await client.post("/users", json={"email": "grace@example.com", "name": "Grace"})
    await session.execute(text("UPDATE users SET name = 'Augusta' WHERE name = 'Ada'"))
    await session.commit()
    assert user.name == "Ada"
    assert await fetch_rows(select(User.name).order_by(User.name)) == [("Augusta",), ("Grace",)]


async def sign_up_twice_at_once(client: AsyncClient) -> list[Response | BaseException]:
    requests = (client.post("/users", json=ADA) for _ in range(2))
    return await asyncio.gather(*requests, return_exceptions=True)


@own_connections
async def test_two_requests_at_once_each_have_a_connection(
    client: AsyncClient, mode: IsolationMode
) -> None:
    answers = await sign_up_twice_at_once(client)
    codes = {answer.status_code for answer in answers if isinstance(answer, Response)}
    assert codes == {HTTPStatus.CREATED, HTTPStatus.CONFLICT}


async def test_two_requests_at_once_are_refused_under_rollback(client: AsyncClient) -> None:
    (refusal,) = [a for a in await sign_up_twice_at_once(client) if isinstance(a, Exception)]
    assert isinstance(refusal, IsolationError)
    assert "'reset'" in str(refusal)
    assert "'clone'" in str(refusal)


async def test_a_route_never_sees_what_the_test_has_not_committed(
    client: AsyncClient, session: AsyncSession
) -> None:
    session.add(User(**ADA))
    await session.flush()
    with pytest.raises(IsolationError, match="Commit first"):
        await client.get("/users")


async def test_the_test_never_undoes_what_a_route_has_committed(
    client: AsyncClient, session: AsyncSession
) -> None:
    assert await session.get(User, 1) is None
    await client.post("/users", json=ADA)
    with pytest.raises(IsolationError, match="rolled back"):
        await session.rollback()


@twice
@own_connections
async def test_the_schema_may_be_changed(
    session: AsyncSession, mode: IsolationMode, time: int
) -> None:
    await session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
    await session.commit()


@pytest.mark.isolation("clone")
def test_a_clone_may_be_reached_by_its_url(databases: DatabaseSet) -> None:
    engine = create_engine(databases.urls["main"], poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE users CASCADE"))
