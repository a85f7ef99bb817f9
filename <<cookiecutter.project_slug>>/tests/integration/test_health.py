"""Health, with every logical database within reach."""

from http import HTTPStatus

from httpx import AsyncClient

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES


async def test_every_logical_database_answers(client: AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == HTTPStatus.OK
    assert answer.json() == dict.fromkeys(LOGICAL_DATABASES, "ok")
