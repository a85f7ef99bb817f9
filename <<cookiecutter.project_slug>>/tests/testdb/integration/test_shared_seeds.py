"""Rows that all tests of a module share, in databases that each test may change: to copy from."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from <<cookiecutter.package_name>>.users import User

from testdb.testing.isolation import IsolationMode
from testdb.testing.worker import WorkerDatabases

NAMES = ["Ada", "Grace"]
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]
DescribeUser = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def team(worker_databases: WorkerDatabases, describe_user: DescribeUser) -> Iterator[None]:
    """Have users in the databases of all tests of this module."""

    def fill(sessions: Mapping[str, Session]) -> None:
        sessions["main"].add_all(User(**describe_user(name)) for name in NAMES)

    with worker_databases.seeded(fill):
        yield


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("mode", MODES)
async def test_the_service_has_them_and_goes_on_counting(
    client: AsyncClient, describe_user: DescribeUser, mode: IsolationMode, time: int
) -> None:
    assert [user["name"] for user in (await client.get("/users")).json()] == NAMES
    created = await client.post("/users", json=describe_user("Joan"))
    assert created.status_code == HTTPStatus.CREATED
    assert created.json()["id"] == len(NAMES) + 1


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_each_test_may_change_them(sync_session: Session, mode: IsolationMode, time: int) -> None:
    assert sync_session.scalars(select(User.name).order_by(User.id)).all() == NAMES
    sync_session.execute(delete(User).where(User.name == "Ada"))
    sync_session.execute(update(User).values(name="Augusta"))
    sync_session.commit()
