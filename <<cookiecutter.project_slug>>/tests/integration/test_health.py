"""Health, with every logical database within reach."""

from httpx import AsyncClient

from testdb.link import LOGICAL


async def test_every_logical_database_answers(client: AsyncClient) -> None:
    assert (await client.get("/health")).json() == dict.fromkeys(LOGICAL, "ok")
