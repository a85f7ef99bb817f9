"""Logical databases: the size of a pool, and what errors keep to themselves."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from <<cookiecutter.package_name>>.databases import Databases

from testdb.adapter import settings
from testdb.runs.run import DatabaseSet


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
