"""Health, with every logical database within reach."""

from httpx import AsyncClient

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES


async def test_every_logical_database_answers(client: AsyncClient) -> None:
    assert (await client.get("/health")).json() == dict.fromkeys(LOGICAL_DATABASES, "ok")
