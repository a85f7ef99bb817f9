"""One insert a test in the baked project, in both ways of isolation, and none.

It is copied into the project. The client's tests go the whole way: HTTP, route, session, commit.
"""

import os
import time
from http import HTTPStatus

import pytest
from httpx import AsyncClient
from my_service.users import User
from sqlalchemy import text
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


def test_sync(sync_session: Session) -> None:
    insert(sync_session)


async def test_async(session: AsyncSession) -> None:
    await insert_async(session)


async def test_client(client: AsyncClient) -> None:
    await request(client)


def test_touched_seeds(sync_session: Session) -> None:
    sync_session.execute(text("UPDATE reference SET note = 'touched' WHERE id = 1"))
    sync_session.commit()


def test_waiting(sync_session: Session) -> None:
    insert(sync_session)
    time.sleep(float(os.environ["BENCHMARK_WAITING"]))


@pytest.mark.isolation("clone")
def test_clone(sync_session: Session) -> None:
    insert(sync_session)


@pytest.mark.isolation("clone")
async def test_clone_async(session: AsyncSession) -> None:
    await insert_async(session)


@pytest.mark.isolation("clone")
async def test_clone_client(client: AsyncClient) -> None:
    await request(client)


@pytest.mark.isolation("clone")
def test_clone_ddl(sync_session: Session) -> None:
    sync_session.execute(text("ALTER TABLE users ADD COLUMN nickname text"))
    insert(sync_session)
