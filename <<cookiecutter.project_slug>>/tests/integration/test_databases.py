"""Logical databases: one out of reach, the size of a pool, and what errors keep to themselves."""

from http import HTTPStatus

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES, Databases

from testdb.adapter import create_app, settings
from testdb.runs.run import DatabaseSet


async def test_health_names_a_database_that_is_out_of_reach(
    databases: DatabaseSet, caplog: pytest.LogCaptureFixture
) -> None:
    refused = databases.urls["main"].set(username="nosuchrole", password="s3cret")
    app = create_app(settings({**databases.urls, "main": refused}))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://service") as client,
    ):
        ready, live = await client.get("/health"), await client.get("/health/live")
    assert ready.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert ready.json() == {**dict.fromkeys(LOGICAL_DATABASES, "ok"), "main": "out of reach"}
    assert live.status_code == HTTPStatus.OK
    assert "The database main is out of reach: " in caplog.text
    assert "nosuchrole" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_pool_opens_no_more_connections_than_the_settings_say(
    databases: DatabaseSet,
) -> None:
    small = {"pool_size": 1, "max_overflow": 1, "pool_timeout_seconds": 0.01}
    pools = Databases(settings(databases.urls).model_copy(update=small))
    engine = pools.engines["main"]
    async with engine.connect(), engine.connect():
        with pytest.raises(PoolTimeoutError):
            await engine.connect()
    await pools.dispose()


async def test_an_error_shows_no_values_of_rows(session: AsyncSession) -> None:
    with pytest.raises(DBAPIError) as raised:
        await session.execute(text("SELECT nosuchfunction(:value)"), {"value": "s3cret"})
    assert "s3cret" not in str(raised.value)
