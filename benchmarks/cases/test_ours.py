"""One insert a test in the baked project, in each mode of isolation, and none.

It is copied into the project. The client's tests go the whole way: HTTP, route, session, commit.
"""

from http import HTTPStatus

import pytest
from httpx import AsyncClient
from my_service.users import User
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

ADA = {"email": "ada@example.com", "name": "Ada"}


def test_nothing() -> None:
    pass


async def test_nothing_async() -> None:
    pass


def insert(session: Session) -> None:
    session.add(User(**ADA))
    session.commit()


async def insert_async(session: AsyncSession) -> None:
    session.add(User(**ADA))
    await session.commit()


async def request(client: AsyncClient) -> None:
    assert (await client.post("/users", json=ADA)).status_code == HTTPStatus.CREATED


@pytest.mark.isolation("rollback")
def test_rollback(sync_session: Session) -> None:
    insert(sync_session)


@pytest.mark.isolation("reset")
def test_reset(sync_session: Session) -> None:
    insert(sync_session)


@pytest.mark.isolation("clone")
def test_clone(sync_session: Session) -> None:
    insert(sync_session)


@pytest.mark.isolation("rollback")
async def test_rollback_async(session: AsyncSession) -> None:
    await insert_async(session)


@pytest.mark.isolation("reset")
async def test_reset_async(session: AsyncSession) -> None:
    await insert_async(session)


@pytest.mark.isolation("clone")
async def test_clone_async(session: AsyncSession) -> None:
    await insert_async(session)


@pytest.mark.isolation("rollback")
async def test_rollback_client(client: AsyncClient) -> None:
    await request(client)


@pytest.mark.isolation("reset")
async def test_reset_client(client: AsyncClient) -> None:
    await request(client)


@pytest.mark.isolation("clone")
async def test_clone_client(client: AsyncClient) -> None:
    await request(client)
