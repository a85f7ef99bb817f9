"""Authentication: what is stored, what expires, and what an answer gives away."""

from http import HTTPStatus

from httpx import AsyncClient, Response
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from <<cookiecutter.package_name>>.auth import Credential, Login, MailToken

PASSWORD = "correct horse battery staple"
ADA = {"email": "ada@example.com", "password": PASSWORD}


async def register(client: AsyncClient) -> str:
    """Register Ada, and return the token that she gets by mail."""
    registered = await client.post("/auth/register", json=ADA | {"name": "Ada"})
    assert registered.status_code == HTTPStatus.CREATED
    return await newest_token(client)


async def newest_token(client: AsyncClient) -> str:
    return str((await client.get("/mailbox", params={"to": ADA["email"]})).json()[0]["token"])


async def log_in(client: AsyncClient) -> dict[str, str]:
    """Register Ada, verify her e-mail, log her in, and return her tokens."""
    token = await register(client)
    verified = await client.post("/auth/verify", json={"token": token})
    assert verified.status_code == HTTPStatus.NO_CONTENT
    return dict((await client.post("/auth/login", json=ADA)).raise_for_status().json())


async def see_profile(client: AsyncClient, token: str) -> Response:
    return await client.get("/auth/profile", headers={"Authorization": f"Bearer {token}"})


async def test_neither_passwords_nor_tokens_are_stored(
    client: AsyncClient, session: AsyncSession
) -> None:
    mailed = await register(client)
    stored = await session.scalar(select(Credential.password_hash))
    assert stored is not None
    assert stored.startswith("$argon2id$")
    assert mailed.encode() != await session.scalar(select(MailToken.token_hash))


async def test_an_email_is_the_same_in_capitals(client: AsyncClient) -> None:
    await register(client)
    capitals = {"name": "Ada", "email": "ADA@Example.com"}
    again = await client.post("/auth/register", json=ADA | capitals)
    assert again.status_code == HTTPStatus.CONFLICT


async def test_a_short_password_is_refused(client: AsyncClient) -> None:
    short = await client.post("/auth/register", json=ADA | {"name": "Ada", "password": "short"})
    assert short.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


async def test_a_wrong_password_and_an_unknown_email_get_the_same_answer(
    client: AsyncClient,
) -> None:
    await register(client)
    wrong = await client.post("/auth/login", json=ADA | {"password": PASSWORD + "!"})
    unknown = await client.post("/auth/login", json=ADA | {"email": "eve@example.com"})
    assert wrong.status_code == unknown.status_code == HTTPStatus.UNAUTHORIZED
    assert wrong.json() == unknown.json()


async def test_a_mailed_token_is_good_once_and_for_one_purpose(client: AsyncClient) -> None:
    token = await register(client)
    new = {"token": token, "password": "another long password"}
    for path, body, expected in (
        ("/auth/reset", new, HTTPStatus.BAD_REQUEST),
        ("/auth/verify", {"token": token}, HTTPStatus.NO_CONTENT),
        ("/auth/verify", {"token": token}, HTTPStatus.BAD_REQUEST),
    ):
        assert (await client.post(path, json=body)).status_code == expected


async def test_an_expired_mailed_token_is_refused(
    client: AsyncClient, session: AsyncSession
) -> None:
    token = await register(client)
    await session.execute(update(MailToken).values(expires_at=func.now()))
    await session.commit()
    late = await client.post("/auth/verify", json={"token": token})
    assert late.status_code == HTTPStatus.BAD_REQUEST


async def test_expired_tokens_are_refused(client: AsyncClient, session: AsyncSession) -> None:
    tokens = await log_in(client)
    assert (await see_profile(client, tokens["access_token"])).status_code == HTTPStatus.OK
    await session.execute(
        update(Login).values(access_expires_at=func.now(), refresh_expires_at=func.now())
    )
    await session.commit()
    late = await see_profile(client, tokens["access_token"])
    assert late.status_code == HTTPStatus.UNAUTHORIZED
    assert late.headers["WWW-Authenticate"] == "Bearer"
    refreshed = await client.post("/auth/refresh", json={"token": tokens["refresh_token"]})
    assert refreshed.status_code == HTTPStatus.UNAUTHORIZED


async def test_a_reset_ends_every_login_and_the_old_password(client: AsyncClient) -> None:
    tokens = await log_in(client)
    await client.post("/auth/request-reset", json={"email": ADA["email"]})
    new = {"token": await newest_token(client), "password": "another long password"}
    reset = await client.post("/auth/reset", json=new)
    assert reset.status_code == HTTPStatus.NO_CONTENT
    refused = await see_profile(client, tokens["access_token"])
    assert refused.status_code == HTTPStatus.UNAUTHORIZED
    old = await client.post("/auth/login", json=ADA)
    assert old.status_code == HTTPStatus.UNAUTHORIZED


async def test_asking_for_a_reset_does_not_tell_who_is_registered(client: AsyncClient) -> None:
    await register(client)
    known = await client.post("/auth/request-reset", json={"email": ADA["email"]})
    unknown = await client.post("/auth/request-reset", json={"email": "eve@example.com"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
