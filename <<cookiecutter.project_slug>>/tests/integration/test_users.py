"""Users, through the service and the database behind it."""

from http import HTTPStatus

from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from <<cookiecutter.package_name>>.users import User

ADA = {"email": "ada@example.com", "name": "Ada"}


async def test_what_a_route_commits_the_test_sees(
    client: AsyncClient, session: AsyncSession
) -> None:
    created = await client.post("/users", json=ADA)
    assert created.status_code == HTTPStatus.CREATED
    assert await session.scalar(select(User.name).where(User.email == ADA["email"])) == "Ada"


async def test_what_the_test_commits_a_route_sees(
    client: AsyncClient, session: AsyncSession
) -> None:
    session.add(User(**ADA))
    await session.commit()
    assert [user["email"] for user in (await client.get("/users")).json()] == [ADA["email"]]


async def test_an_email_is_taken_once(client: AsyncClient) -> None:
    await client.post("/users", json=ADA)
    again = await client.post("/users", json=ADA)
    assert again.status_code == HTTPStatus.CONFLICT
    assert len((await client.get("/users")).json()) == 1


async def test_a_user_is_fetched_by_id(client: AsyncClient) -> None:
    created = (await client.post("/users", json=ADA)).json()
    assert (await client.get(f"/users/{created['id']}")).json() == created


async def test_unknown_user_returns_404(client: AsyncClient) -> None:
    assert (await client.get("/users/1")).status_code == HTTPStatus.NOT_FOUND
