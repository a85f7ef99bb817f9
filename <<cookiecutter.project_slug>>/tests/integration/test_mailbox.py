"""The development mailbox is off unless it is set on."""

from http import HTTPStatus

import pytest
from httpx import ASGITransport, AsyncClient

from <<cookiecutter.package_name>>.settings import ENV_PREFIX

from testdb.adapter import create_app, settings
from testdb.runs.run import DatabaseSet


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_reads_or_sends_mail_without_the_setting(
    method: str, databases: DatabaseSet
) -> None:
    off = {"development_mailbox": False}
    app = create_app(settings(databases.urls).model_copy(update=off))
    path = {"GET": "/mailbox?to=ada@example.com", "POST": "/auth/request-reset"}[method]
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://service") as client,
    ):
        answer = await client.request(method, path, json={"email": "ada@example.com"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert f"{ENV_PREFIX}DEVELOPMENT_MAILBOX" in answer.json()["detail"]
