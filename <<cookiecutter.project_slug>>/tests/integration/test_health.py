"""Health, with every logical database within reach and with one that is not."""

from http import HTTPStatus

import pytest
from httpx import ASGITransport, AsyncClient

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES

from testdb.adapter import create_app, settings
from testdb.runs.run import DatabaseSet


async def test_every_logical_database_answers(client: AsyncClient) -> None:
    answer = await client.get("/health")
    assert answer.status_code == HTTPStatus.OK
    assert answer.json() == dict.fromkeys(LOGICAL_DATABASES, "ok")


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
